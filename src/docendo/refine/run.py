"""Refining with a run folder: planned whole, walked, and gone on with after any cut.

The method is in `walk`; here models are opened and asked whether they can do it, and every round goes into the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from docendo import _loop
from docendo.errors import ConfigError, UnspeakableError
from docendo.models.base import Model
from docendo.models.budget import StopCondition, budget_of
from docendo.models.gateway import Gateway
from docendo.models.meter import Meter
from docendo.models.resolve import opened
from docendo.prompts import PromptBook, fitted
from docendo.refine.book import Entry
from docendo.refine.config import WORDS, Planned, planned
from docendo.refine.nouns import Round
from docendo.refine.plan import Refining
from docendo.refine.record import facts_of, state_of
from docendo.refine.record import task_of as stored_task
from docendo.refine.summary import Summary, summarise
from docendo.refine.task import PARTS, Source, Task
from docendo.refine.walk import Stage, walk
from docendo.solve.again import Anew, said_anew
from docendo.solve.forecast import flat
from docendo.solve.plan import Settings
from docendo.solve.run import new_folder
from docendo.solve.spent import Bill, bill
from docendo.solve.work import check_same, ledger_of, model_row, places_of, prices_of, specs_of, styles_of
from docendo.store import RunView, Store
from docendo.types import Example, Lesson, Problem

KIND = "refine"


class Watch(Protocol):
    """Whoever looks on. Called on the event loop's thread; must return at once."""

    def started(self, folder: Path, rounds: int, done: int, meter: Meter) -> None:
        """The run begins or goes on: of `rounds` and round 0 `done` are whole already."""

    def stage(self, round: int, stage: Stage) -> None:
        """The run reaches a stage of a round."""

    def finished(self, whole: Round) -> None:
        """A round is whole and recorded."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """A run folder of refining, read back from its store."""

    folder: Path

    def view(self) -> RunView:
        """The store, read-only; a context manager."""
        return Store.read(self.folder)

    def summary(self) -> Summary:
        """Rounds, read-outs, what changed since the start, and how sure one may be."""
        with self.view() as view, view.snapshot():
            return summarise(view)

    def bill(self) -> Bill:
        """Calls, tokens and money by model and purpose."""
        with self.view() as view:
            return bill(view)

    def best(self) -> Lesson | None:
        """The best set on validation so far; None where not even round 0 is whole."""
        return self.summary().best


def refine(
    train: Source | Task | None = None,
    *,
    validation: Source | None = None,
    test: Source | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    limit: int | None = None,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
    **settings: Any,
) -> Refinement:
    """M3: improve a set of examples by reading where students fail (paper, section 5).

    Args:
        train: where the task's problems come from (a file, READER:PATH, or problems), or a whole `Task`; by default
            what `config` says, and without that a task of the built-in school with its models.
        validation: where sets are chosen on; by default a share of `train`.
        test: what results are read out on; by default a share of `train`.
        config: a TOML file of models and settings (docs/refine.md); what is given here beats it.
        out: the run folder, new or empty; by default runs/refine-DATE-TIME.
        limit: only the first so many training problems.
        models: open models by name, instead of opening those that the settings name.
        watch: is told of progress.
        stop: says when to ask no more, beside the setting `budget`; not kept in the run folder.
        **settings: fields of `refine.plan.Refining`; of `Settings` those that `refine.config.ASKING` names; and
            `instruction` and `name` of the task.

    Raises:
        DataError, ConfigError, ModelError: before anything is asked or written.
        StoreError: the folder cannot be used, or a disk is full; what was recorded is kept.
    """
    plan = planned(train, validation, test, config, limit, settings)
    return begin(plan, out, models, watch, stop)


def begin(
    plan: Planned,
    out: str | Path | None = None,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
) -> Refinement:
    """Make the folder of a planned run, and do it; arguments and errors as for `refine`."""
    folder = Path(out) if out is not None else new_folder(KIND)
    budget_of(plan.settings.budget, prices_of(plan.settings))
    _loop.run(_create(folder, plan, models, watch, stop))
    return Refinement(folder)


def resume(
    folder: str | Path,
    *,
    config: str | Path | None = None,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
    budget: str | None = None,
    **settings: Any,
) -> Refinement:
    """Go on with a run; nothing that was recorded is asked again.

    Args:
        folder: the run's.
        config: a TOML file that says how models are reached from now on (docs/models.md#going-on).
        models: as for `refine`.
        watch: as for `refine`.
        stop: as for `refine`.
        budget: instead of the one that the run was made with; "" for none.
        **settings: as for `docendo.resume`.

    Raises:
        ConfigError: the folder's run is of another kind, or something is said that may not change.
    """
    if budget is not None:
        settings["budget"] = budget
    with Store.open(folder) as store:
        if store.info.kind != KIND:
            raise ConfigError(f"{folder}: a run of docendo {store.info.kind}, which refines nothing")
        stored = store.config
        how = {name: value for name, value in stored["refine"].items() if name != "start"}  # mostly a path
        anew = said_anew(Settings.of(stored["settings"]), config, settings, WORDS, how)
        _loop.run(_work(store, models, watch, stop, anew))
    return Refinement(Path(folder))


async def _create(
    folder: Path,
    plan: Planned,
    models: Mapping[str, Model] | None,
    watch: Watch | None,
    stop: StopCondition | None,
) -> None:
    """Check everything that can be known before the first call, make the folder, then work."""
    task, settings = plan.task, plan.settings
    async with AsyncExitStack() as stack:
        if models is None:
            models = await stack.enter_async_context(opened(specs_of(settings, "solve")))
        names = list(dict.fromkeys((settings.teacher, *settings.students)))
        styles = styles_of(settings, names, models)
        check(task, settings, plan.how, styles, bool(plan.given))
        _check_speakable({name: models[name] for name in names}, styles, task)
        config = {
            "settings": settings.stored(),
            "refine": plan.how.stored(),
            "task": {"name": task.name, "instruction": task.instruction, "dropped": dict(task.dropped)},
            "given": [[[e.question, e.rationale, e.answer] for e in own.examples] for own in plan.given],
        }
        with Store.create(
            folder,
            kind=KIND,
            config=config,
            seed=settings.seed,
            models=[model_row(models[name], name, settings) for name in names],
            parts={part: task.part(part) for part in PARTS},
        ) as store:
            await _work(store, models, watch, stop, Anew())


async def _work(
    store: Store,
    models: Mapping[str, Model] | None,
    watch: Watch | None,
    stop: StopCondition | None,
    anew: Anew,
) -> None:
    """Walk on from the last whole round, while the budget lasts."""
    config = store.config
    plan, how = anew.of(Settings.of(config["settings"])), Refining.of(config["refine"])
    task = stored_task(store)
    names = [m.name for m in store.models()]
    given = [Lesson(tuple(Example(*e) for e in own)) for own in config["given"]]
    async with AsyncExitStack() as stack:
        if models is None:
            specs = {name: fitted(plan.spec(name), plan.prompts) for name in names}
            models = await stack.enter_async_context(opened(specs))
        check_same(models, store)
        ledger = ledger_of(store, plan, stop)
        store.record_places(places_of(models, plan, store))
        gateway = await stack.enter_async_context(Gateway(models, store, ledger))
        before = state_of(store, task, texts=True)
        styles = styles_of(plan, names, models)
        if watch is not None:
            watch.started(store.folder, how.rounds, len(before.rounds), gateway.meter)
        began = time.perf_counter()

        def note(whole: Round, entries: Sequence[Entry]) -> None:
            nonlocal began
            now = time.perf_counter()
            store.finish_round(facts_of(whole, entries, now - began))
            began = now
            if watch is not None:
                watch.finished(whole)

        refined = await walk(
            task,
            plan,
            how,
            styles,
            gateway.ask,
            given=given,
            before=before,
            speakable=_speakable({name: models[name] for name in names}, styles, task),
            note=note,
            stage=watch.stage if watch is not None else None,
        )
        if refined.cut and ledger.why is not None:
            store.record_stop(ledger.why)


def check(task: Task, plan: Settings, how: Refining, styles: PromptBook, given: bool) -> None:
    """Whether a run can be done as it is meant, before its folder is made.

    Raises:
        ConfigError: a template is missing, or there are fewer training problems than a set has examples.
    """
    wanted = {"reflect": ["reflect", "rewrite"], "rewrite": ["rewrite"], "propose": ["propose"]}
    names = [*wanted.get(how.search, ()), *(["propose"] if how.start == "teacher" and not given else [])]
    styles.of(plan.teacher).check_refining(dict.fromkeys(names))
    drawing = how.search in ("sample", "random") or how.start == "train"
    if drawing and len(task.pool) < how.examples:
        raise ConfigError(
            f"task {task.name}: {len(task.pool)} problems that examples may be drawn from are too few for sets of "
            f"{how.examples}; ask for fewer --examples, or give more problems"
        )


def _check_speakable(models: Mapping[str, Model], styles: PromptBook, task: Task) -> None:
    """Whether every model can read every problem, asked as it will be."""
    for problem in task.problems():
        try:
            _read(models, styles, task, Lesson(()), problem)
        except UnspeakableError as error:
            raise UnspeakableError(f"problem {problem.id!r}: {error}") from error


def _speakable(models: Mapping[str, Model], styles: PromptBook, task: Task) -> Callable[[Lesson], None]:
    """Whether every model can read a set."""
    return lambda lesson: _read(models, styles, task, lesson, task.exam[0])


def _read(
    models: Mapping[str, Model], styles: PromptBook, task: Task, lesson: Lesson, problem: Problem
) -> None:
    for name, model in models.items():
        model.check(flat(styles.of(name).examine(lesson, problem, task.said)))
