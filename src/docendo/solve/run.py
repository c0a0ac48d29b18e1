"""Runs, as they are asked for: what is to be done is settled here, whole, before the first call.

Problems, exams, models and settings are then in the run's folder, so that it can be gone on with from the folder
alone. Doing it is left to `work`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, cast

from docendo import _loop
from docendo.data import Notes, load_problems, parse, read_lessons
from docendo.errors import ConfigError, DataError
from docendo.exams.select import ProblemPool, Selection, Selector
from docendo.models.base import Model
from docendo.models.budget import StopCondition, budget_of
from docendo.models.gateway import Gateway
from docendo.models.resolve import opened
from docendo.solve.again import Anew, said_anew
from docendo.solve.config import configured
from docendo.solve.debug import check_debuggable
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings
from docendo.solve.road import Road, Solved
from docendo.solve.spent import Bill, bill
from docendo.solve.summary import Summary, summarise
from docendo.solve.work import Around, Watch, create, names_of, prices_of, specs_of, styles_of, work_on
from docendo.store import RunView, Store
from docendo.types import Example, Problem

DEFAULT_PROBLEMS = "school:m1"
Source = str | Path | Iterable[Problem]


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
    config: str | Path | None = None,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
    budget: str | None = None,
    **settings: Any,
) -> Run:
    """Go on with a run; nothing that was recorded is asked again.

    Args:
        folder: the run's.
        config: a TOML file that says how models are reached from now on (docs/models.md#going-on).
        models: as for `solve`.
        watch: as for `solve`.
        stop: as for `solve`.
        budget: instead of the one that the run was made with; "" for none.
        **settings: as for `solve`. `base_url` moves every `openai:` and `azure:` model of the run, `parallel` and what
            else `config` or a `ModelSpec` says of how a model is reached is taken, and the rest must be as it was.

    Raises:
        ConfigError: something is said that may not change; the message names it.
        StoreError, ModelError: the run cannot be gone on with.
    """
    if budget is not None:
        settings["budget"] = budget
    return continued(folder, Around(models, watch, stop, told(folder, config, settings)))


def told(folder: str | Path, config: str | Path | None, settings: Mapping[str, Any]) -> Anew:
    """What a run is told anew; arguments and errors as for `resume`."""
    if config is None and not settings:
        return Anew()
    with Store.read(folder) as view:
        plan = Settings.of(view.config["settings"])
    return said_anew(plan, config, settings)


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
                models = await stack.enter_async_context(opened(specs_of(plan, "solve")))
            gateway = await stack.enter_async_context(Gateway(models))
        selector = selector_of(plan, ProblemPool(exams))
        styles = styles_of(plan, names_of(plan, "solve"), gateway.models)
        check_debuggable(plan, styles, [problem])
        judge = Judge(plan.sandbox)
        road = Road(plan, styles, lambda p: selector.select(p).problems, gateway.ask, {}, judge=judge)
        return await road.walk(problem)


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


def continued(folder: str | Path, around: Around, *, pilot: bool = False) -> Run:
    """Go on with a run of any kind; see `resume`.

    Raises:
        ConfigError: a pilot where none is gone on with, another run where `pilot` is; or a run that refines.
    """
    with Store.open(folder) as store:
        if store.info.kind == "refine":
            raise ConfigError(f"{folder}: go on with it by `docendo refine --resume {folder}`")
        if (store.info.kind == "pilot") != pilot:
            what, command = ("a pilot", "pilot") if not pilot else ("not a pilot", "solve")
            raise ConfigError(f"{folder}: {what}; go on with it by `docendo {command} --resume {folder}`")
        _loop.run(work_on(store, around))
    return Run(Path(folder))


def new_run(
    kind: str,
    taught: Sequence[Problem],
    pool: ProblemPool,
    plan: Settings,
    more: Mapping[str, Any],
    out: str | Path | None,
    around: Around,
    parent: str | None = None,
) -> Run:
    """Plan a run whole, make its folder, and do it.

    Args:
        kind: "solve", "score", "pilot" or, without exams, "evaluate".
        taught: its problems.
        pool: where exams come from.
        plan: its settings.
        more: what else is kept in its configuration.
        out: its folder; None for a new one under runs/.
        around: what is not kept.
        parent: the run it comes from.
    """
    if not taught:
        raise DataError("there are no problems to solve")
    ids = Counter(problem.id for problem in taught)
    twice = next((id for id, times in ids.items() if times > 1), None)
    if twice is not None:
        raise DataError(f"problem {twice!r} is there twice; take one out, or give it an id of its own")
    selected: dict[str, Selection] = {}
    if kind == "evaluate":
        selected = {problem.id: Selection((), "none") for problem in taught}
    elif not plan.writes_exams:
        selector = selector_of(plan, pool)
        selected = {problem.id: selector.select(problem) for problem in taught}
    folder = Path(out) if out is not None else new_folder(kind)
    budget_of(plan.budget, prices_of(plan))
    _loop.run(create(kind, folder, taught, selected, plan, more, around, parent))
    return Run(folder)


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


def _load(source: Source, notes: Notes, limit: int | None = None) -> list[Problem]:
    if isinstance(source, (str, Path)):
        return load_problems(source, limit=limit, notes=notes)
    found = list(islice(source, limit))
    for number, each in enumerate(cast("list[object]", found)):  # callers are not all type-checked
        if not isinstance(each, Problem):
            kind = type(each).__name__
            raise DataError(
                f"problem {number}: is a {kind} and no docendo.Problem; make one: docendo.Problem(**row)"
            )
    return found


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


def new_folder(kind: str) -> Path:
    """A folder under runs/ that is not there yet, named by the kind of run and the time."""
    stamp = Path("runs") / f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"
    return next(p for p in [stamp, *(Path(f"{stamp}-{i}") for i in range(2, 1000))] if not p.exists())
