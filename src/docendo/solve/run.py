"""Runs: problems go down the road many at a time, and every fact goes into the run's store.

A run is planned whole before the first call (problems, exams, models, settings are in its folder), so that it
can be gone on with from the folder alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from docendo import _loop
from docendo.data import Notes, load_problems, parse, read_lessons
from docendo.errors import ConfigError, DataError, ModelError, UnspeakableError
from docendo.exams.select import ProblemPool, Selection, Selector
from docendo.grading.sandbox import ready
from docendo.models.base import Ask, Model
from docendo.models.budget import Ledger, StopCondition, any_of, budget_of, not_asked
from docendo.models.gateway import Gateway, Meter
from docendo.models.resolve import opened
from docendo.models.spec import ModelSpec, Prices
from docendo.prompts import PromptBook, Styles, fitted, styles_for
from docendo.solve.arms import Summary, summarise
from docendo.solve.config import configured
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings, weights_of
from docendo.solve.record import facts_of
from docendo.solve.road import Road, Solved, Stage
from docendo.solve.spent import Bill, bill
from docendo.solve.teach import given
from docendo.store import ModelRow, RunView, SelectionRow, Store
from docendo.types import Call, Example, Problem, Reply

DEFAULT_PROBLEMS = "school:m1"
Source = str | Path | Iterable[Problem]


class Watch(Protocol):
    """Whoever looks on. Called on the event loop's thread; must return at once."""

    def started(self, folder: Path, total: int, done: int, settings: Settings, meter: Meter) -> None:
        """The run begins or goes on: `done` of `total` problems are finished already."""

    def stage(self, problem: Problem, stage: Stage) -> None:
        """A problem reaches a stage."""

    def finished(self, solved: Solved) -> None:
        """A problem is finished and recorded."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder: what a finished or interrupted run left, read back from its store."""

    folder: Path

    def view(self) -> RunView:
        """The store, read-only; a context manager."""
        return Store.read(self.folder)

    def summary(self) -> Summary:
        """Arms, differences, groups and AUC over the finished problems."""
        with self.view() as view:
            return summarise(view)

    def bill(self) -> Bill:
        """Calls, tokens and money by model and purpose, unfinished problems and failed calls included."""
        with self.view() as view:
            return bill(view)

    @property
    def complete(self) -> bool:
        """Whether every planned problem is finished."""
        with self.view() as view:
            return len(view.done_ids()) == sum(1 for _ in view.problems())

    def answers(self) -> dict[str, str | None]:
        """The answer that SUM chose, by problem id; of problems that a budget cut short, from what there was."""
        with self.view() as view:
            chosen = (*view.provisional(), *view.decisions())
            return {d.problem: d.choice.answer for d in chosen if d.choice.rule == "sum"}


def solve(
    problems: Source | None = None,
    *,
    exams: Source | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    limit: int | None = None,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
    **settings: Any,
) -> Run:
    """M1: teach every problem, examine the lessons, choose the answers (paper, section 3).

    Args:
        problems: a problem file, `school:NAME`, or problems; by default those of `config`, or the school's.
        exams: where exam problems come from; by default the school's own pool, else the problems themselves,
            also those beyond `limit`.
        config: a TOML file of models and settings (docs/models.md); what is given here beats it.
        out: the run folder, new or empty; by default runs/solve-DATE-TIME.
        limit: only the first so many problems.
        models: open models by name, instead of opening those that the settings name.
        watch: is told of progress.
        stop: says when to ask no more, beside the setting `budget`; not kept in the run folder.
        **settings: fields of `Settings`; `teacher` and `students` may also be `ModelSpec`s, and `base_url` is for
            those of them that are endpoints.

    Raises:
        DataError, ConfigError, ModelError, SandboxError: before anything is asked or written.
        StoreError: the folder cannot be used, or a disk is full; what was recorded is kept.
    """
    plan, taught, pool, more = planned(problems, exams, config, limit, settings)
    return new_run("solve", taught, pool, plan, more, out, Around(models, watch, stop))


def score(
    lessons: str | Path | Mapping[str, Sequence[Example]],
    *,
    problems: Source | None = None,
    exams: Source | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Run:
    """Examine lessons that already exist, and choose among them.

    Args:
        lessons: a lesson file (rows of question, rationale, answer), or examples by problem id.
        problems: the problems that the lessons are about, found by id or by the same question.
        exams: as for `solve`.
        config: as for `solve`; its teacher and `limit` have no use here.
        out: as for `solve`; runs/score-DATE-TIME by default.
        models: as for `solve`.
        watch: as for `solve`.
        **settings: as for `solve`; those of the teacher's sampling have no use here.

    Raises:
        DataError: a lesson is about none of the problems; otherwise as for `solve`.
    """
    said = configured(config, settings)
    plan = said.settings
    if problems is None:
        problems = said.problems or DEFAULT_PROBLEMS
    exams = exams if exams is not None else said.exams
    notes = Notes()
    known = _load(problems, notes)
    examples = lessons if isinstance(lessons, Mapping) else _lessons_by_problem(lessons, known)
    taught = [p for p in known if p.id in examples]
    strange = sorted(set(examples) - {p.id for p in taught})
    if strange:
        raise DataError(f"lessons for problem {strange[0]!r}, which is not among the problems")
    stored = {id: [[e.question, e.rationale, e.answer] for e in own] for id, own in examples.items()}
    pool = _pool(problems, exams, known, notes)
    more = {"problems": _name(problems), "dropped": dict(notes.dropped), "given": stored}
    return new_run("score", taught, pool, plan, more, out, Around(models, watch))


def resume(
    folder: str | Path,
    *,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
    budget: str | None = None,
) -> Run:
    """Go on with a run; nothing that was recorded is asked again.

    Args:
        folder: the run's.
        models: as for `solve`.
        watch: as for `solve`.
        stop: as for `solve`.
        budget: instead of the one that the run was made with; "" for none.
    """
    return continued(folder, Around(models, watch, stop), budget)


async def asolve(
    problem: Problem,
    exams: Iterable[Problem],
    *,
    models: Mapping[str, Model] | None = None,
    gateway: Gateway | None = None,
    **settings: Any,
) -> Solved:
    """One problem down the road, without a run folder: for servers, notebooks and callbacks.

    Args:
        problem: the problem; give it a `family` shared with its exam problems, where it has variants.
        exams: problems with gold answers, of which the exam is made (docs/exams.md).
        models: open models by name; opened and closed here where None.
        gateway: an open gateway to share between calls, which then owns the models.
        **settings: fields of `Settings`.
    """
    plan = configured(None, {"equal_cost": False} | settings).settings
    async with AsyncExitStack() as stack:
        if gateway is None:
            if models is None:
                models = await stack.enter_async_context(opened(_specs(plan, "solve")))
            gateway = await stack.enter_async_context(Gateway(models))
        selector = selector_of(plan, ProblemPool(exams))
        styles = _styles(plan, _names(plan, "solve"), gateway.models)
        judge = Judge(plan.sandbox)
        road = Road(plan, styles, lambda p: selector.select(p).problems, gateway.ask, {}, judge=judge)
        return await road.walk(problem)


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a run and not kept in it.

    `beside` is awaited for each problem at the end of the road, before it is recorded as finished: for further
    questions that belong to it.
    """

    models: Mapping[str, Model] | None = None
    watch: Watch | None = None
    stop: StopCondition | None = None
    beside: Callable[[Solved, Settings, PromptBook, Ask], Awaitable[None]] | None = None


def planned(
    problems: Source | None,
    exams: Source | None,
    config: str | Path | None,
    limit: int | None,
    settings: Mapping[str, Any],
) -> tuple[Settings, list[Problem], ProblemPool, dict[str, Any]]:
    """What a run is to do: its settings, the taught problems, where exams come from, what else is kept of it.

    Arguments and errors are those of `solve`.
    """
    said = configured(config, settings)
    if problems is None:
        problems = said.problems or DEFAULT_PROBLEMS
    exams = exams if exams is not None else said.exams
    limit = limit or said.limit
    notes = Notes()
    known = _load(problems, notes, None if exams is None else limit)
    pool = _pool(problems, exams, known, notes)
    more = {"problems": _name(problems), "dropped": dict(notes.dropped)}
    return said.settings, known[:limit], pool, more


def continued(folder: str | Path, around: Around, budget: str | None = None) -> Run:
    """Go on with a run of any kind; see `resume`.

    Raises:
        ConfigError: a pilot, without what it asks beside the road.
    """
    with Store.open(folder) as store:
        if store.info.kind == "pilot" and around.beside is None:
            raise ConfigError(f"{folder}: a pilot; go on with it by `docendo pilot --resume {folder}`")
        _loop.run(_work(store, around, budget))
    return Run(Path(folder))


def new_run(
    kind: str,
    taught: Sequence[Problem],
    pool: ProblemPool,
    plan: Settings,
    more: Mapping[str, Any],
    out: str | Path | None,
    around: Around,
) -> Run:
    """Plan a run whole, make its folder, and do it.

    Args:
        kind: "solve", "score" or "pilot".
        taught: its problems.
        pool: where exams come from.
        plan: its settings.
        more: what else is kept in its configuration.
        out: its folder; None for a new one under runs/.
        around: what is not kept.
    """
    if not taught:
        raise DataError("there are no problems to solve")
    selector = selector_of(plan, pool)
    selected = {problem.id: selector.select(problem) for problem in taught}
    folder = Path(out) if out is not None else _new_folder(kind)
    budget_of(plan.budget, _prices(plan))
    _loop.run(_create(kind, folder, taught, selected, plan, more, around))
    return Run(folder)


async def _create(
    kind: str,
    folder: Path,
    taught: Sequence[Problem],
    selected: Mapping[str, Selection],
    plan: Settings,
    more: Mapping[str, Any],
    around: Around,
) -> None:
    """Check everything that can be known before the first call, make the folder, then work."""
    exam = list({p.id: p for selection in selected.values() for p in selection.problems}.values())
    exams = [
        SelectionRow(id, found.how, tuple(p.id for p in found.problems), found.excluded)
        for id, found in selected.items()
    ]
    models = around.models
    async with AsyncExitStack() as stack:
        if models is None:
            models = await stack.enter_async_context(opened(_specs(plan, kind)))
        _check_speakable(models, _styles(plan, models, models), [*taught, *exam])
        if any(problem.kind == "code" for problem in (*taught, *exam)):
            await asyncio.to_thread(ready, plan.sandbox)
        if plan.exam_score == "likelihood":
            _check_likelihood([models[name] for name in plan.students], exam)
        rows = [_model_row(models[name], name, plan) for name in _names(plan, kind)]
        config = {"settings": plan.stored(), **more}
        with Store.create(
            folder,
            kind=kind,
            config=config,
            seed=plan.seed,
            models=rows,
            taught=taught,
            exam=exam,
            exams=exams,
        ) as store:
            await _work(store, replace(around, models=models))


async def _work(store: Store, around: Around, budget: str | None = None) -> None:
    """Bring every problem that is not done to the end of the road, `parallel` at a time, while the budget lasts."""
    config, models, watch = store.config, around.models, around.watch
    plan = Settings.of(config["settings"])
    lessons = {id: [Example(*fields) for fields in own] for id, own in config.get("given", {}).items()}
    taught, done = list(store.problems()), store.done_ids()
    todo = iter([p for p in taught if p.id not in done])
    sizes = weights_of({m.name: m.parameters for m in store.models()})
    async with AsyncExitStack() as stack:
        if models is None:
            specs = {name: fitted(plan.spec(name), plan.prompts) for name in sizes}
            models = await stack.enter_async_context(opened(specs))
        _check_same(models, store)
        ledger = _ledger(store, plan, around.stop, budget)
        gateway = await stack.enter_async_context(Gateway(models, store, ledger))
        road = Road(
            plan,
            _styles(plan, sizes, models),
            lambda problem: store.exam_of(problem.id),
            gateway.ask,
            sizes,
            watch.stage if watch else None,
            Judge(plan.sandbox, store),
        )
        if watch is not None:
            watch.started(store.folder, len(taught), len(done), plan, gateway.meter)

        async def work() -> None:
            for problem in todo:
                if not ledger.may_leave():
                    return
                began = time.perf_counter()
                own = lessons.get(problem.id)
                cut = _Cut(gateway)
                way = replace(road, ask=cut.ask)
                solved = await (
                    way.walk(problem) if own is None else way.join(await given(problem, own, way.judge))
                )
                if around.beside is not None:
                    await around.beside(solved, plan, road.prompts, cut.ask)
                if cut.short:
                    _keep_provisional(store, solved)
                    continue
                store.finish_problem(problem.id, **facts_of(solved), seconds=time.perf_counter() - began)
                if watch is not None:
                    watch.finished(solved)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(plan.parallel, len(taught) - len(done))):
                    group.create_task(work())
        except ExceptionGroup as errors:
            # The first is the cause; the others are what it did to the problems beside it.
            raise errors.exceptions[0] from None
        if ledger.why is not None and len(store.done_ids()) < len(taught):
            store.record_stop(ledger.why)


class _Cut:
    """Asks for one problem, and notices where a budget left a part of it unasked."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.short = False

    async def ask(self, calls: Sequence[Call]) -> list[Reply]:
        replies = await self._gateway.ask(calls)
        self.short = self.short or any(not_asked(reply) for reply in replies)
        return replies


def _keep_provisional(store: Store, solved: Solved) -> None:
    """Keep what can be chosen from a part of a problem, until the run goes on; nothing where nothing can."""
    if any(choice.key is not None for choice in solved.choices.values()):
        store.record_provisional(solved.problem.id, facts_of(solved)["decisions"])


def _ledger(store: Store, plan: Settings, stop: StopCondition | None, budget: str | None) -> Ledger:
    """The run's ledger, with what earlier sessions spent on it."""
    prices = _prices(plan)
    conditions = [budget_of(plan.budget if budget is None else budget, prices), stop]
    before = [(row.model, row.calls, row.usage) for row in store.totals()]
    before += [(row.model, 1, row.usage) for row in store.errors()]
    return Ledger(any_of(*(each for each in conditions if each is not None)), prices, before)


def _prices(plan: Settings) -> dict[str, Prices]:
    return {name: spec.prices for name, spec in plan.models.items() if spec.prices is not None}


def selector_of(plan: Settings, pool: ProblemPool) -> Selector:
    """How a run with these settings finds the exam problems of each taught one."""
    return Selector(
        pool,
        plan.exam_problems,
        plan.seed,
        plan.exam_select,
        plan.exam_rule,
        plan.exam_ids,
        plan.exam_index,
    )


def _names(plan: Settings, kind: str) -> list[str]:
    return list(dict.fromkeys([*([] if kind == "score" else [plan.teacher]), *plan.students]))


def _specs(plan: Settings, kind: str) -> dict[str, ModelSpec]:
    return {name: fitted(plan.spec(name), plan.prompts) for name in _names(plan, kind)}


def _model_row(model: Model, name: str, plan: Settings) -> ModelRow:
    roles = {"teacher": name == plan.teacher, "student": name in plan.students}
    able, said = model.capabilities, plan.models.get(name)
    parameters = (said.parameters if said else None) or able.parameters
    return ModelRow(name, parameters, (said.context if said else None) or able.context, able.digest, roles)


def _check_same(models: Mapping[str, Model], store: Store) -> None:
    """Half a run by one model and half by another under its name would be a result of neither."""
    for row in store.models():
        now = models[row.name].capabilities.digest
        if row.digest is not None and now is not None and now != row.digest:
            raise ModelError(
                f"model {row.name!r} is not the one that {store.folder} was begun with: its files, or its address "
                f"and extra fields, have changed ({row.digest[:12]} then, {now[:12]} now). Put the old ones back, or "
                "make a new run"
            )


def _styles(plan: Settings, names: Iterable[str], models: Mapping[str, Model]) -> Styles:
    known = {name: (plan.models.get(name), models[name].capabilities) for name in names}
    return styles_for(known, plan.prompts)


def _check_speakable(models: Mapping[str, Model], styles: Styles, problems: Iterable[Problem]) -> None:
    for problem in problems:
        for name, model in models.items():
            prompt = styles.of(name).teach(problem)
            text = prompt if isinstance(prompt, str) else "\n".join(said for _, said in prompt)
            try:
                model.check(text)
            except UnspeakableError as error:
                raise UnspeakableError(f"problem {problem.id!r}: {error}") from error


def _check_likelihood(students: Iterable[Model], exam: Iterable[Problem]) -> None:
    """Whether likelihood exams can be held: before the folder is made, as nothing could be scored otherwise."""
    for student in students:
        if not student.capabilities.continuations:
            raise ModelError(
                f"{student.name}: cannot take exams by likelihood; school: and hf: models can. Examine it by answers"
            )
    bare = next((problem for problem in exam if not problem.solution), None)
    if bare is not None:
        raise DataError(
            f"exam problem {bare.id!r} has no worked solution, which exams by likelihood need; choose others by "
            "--exams or --exam-rule, or examine by answers"
        )


def _load(source: Source, notes: Notes, limit: int | None = None) -> list[Problem]:
    if isinstance(source, (str, Path)):
        return load_problems(source, limit=limit, notes=notes)
    return list(islice(source, limit))


def _name(source: Source) -> str | None:
    """How a report names the problems, without folders; None where they were given as values."""
    if not isinstance(source, (str, Path)):
        return None
    found = parse(str(source))
    name = found.path if found.reader in ("school", "hub") else Path(found.path).name
    return name if found.reader == "docendo" else f"{found.reader}:{name}"


def _pool(problems: Source, exams: Source | None, known: Sequence[Problem], notes: Notes) -> ProblemPool:
    if exams is None and isinstance(problems, str) and problems.startswith("school:"):
        name, at, seed = problems.partition("@")
        exams = f"{name}-exams{at}{seed}"
    return ProblemPool(known if exams is None else _load(exams, notes))


def _lessons_by_problem(path: str | Path, known: Sequence[Problem]) -> dict[str, list[Example]]:
    ids = {p.id for p in known}
    by_question = {" ".join(p.question.split()): p.id for p in known}
    found: dict[str, list[Example]] = {}
    for line, id, example in read_lessons(path):
        owner = id if id is not None else by_question.get(" ".join(example.question.split()))
        if owner is None or owner not in ids:
            what = f"problem {id!r}" if id is not None else f"question {example.question[:60]!r}"
            raise DataError(
                f"{path}:{line}: {what} is not among the problems; name their file with --problems"
            )
        found.setdefault(owner, []).append(example)
    return found


def _new_folder(kind: str) -> Path:
    stamp = Path("runs") / f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"
    return next(p for p in [stamp, *(Path(f"{stamp}-{i}") for i in range(2, 1000))] if not p.exists())
