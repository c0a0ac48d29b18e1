"""Running a study: ordinary runs in one folder, each kept where it is complete and gone on with where it is not.

What is run stands in `plan`; what the runs say is left to `analyse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docendo.data import load_problems
from docendo.errors import ConfigError
from docendo.solve.run import Run, resume, solve
from docendo.solve.work import Watch
from docendo.store.schema import FILE
from docendo.study.claim import claim
from docendo.study.conditions import CONDITIONS, SECOND, Condition
from docendo.study.likelihood import likelihood
from docendo.study.plan import SLIPS_TEMPERATURE, Plan
from docendo.study.rivals import Rival, rivals
from docendo.types import Problem

Watched = Callable[[str], AbstractContextManager[Watch | None]]
"""Makes the watch of one piece of the study, from a line that says which piece it is."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study's runs, all complete.

    `main` is by teacher and seed, the first of them being `first`, whose lessons the conditions examine again.
    """

    plan: Plan
    folder: Path
    main: Mapping[tuple[str, int], Run]
    slips: Run | None
    conditions: Mapping[str, tuple[Condition, Run]]
    rivals: Mapping[str, Rival]

    @property
    def first(self) -> Run:
        """The main run of the first teacher and seed."""
        return next(iter(self.main.values()))


@contextmanager
def unwatched(_: str) -> Iterator[None]:
    """No watch."""
    yield None


def run_study(plan: Plan, out: str | Path, watched: Watched = unwatched) -> Study:
    """Bring every run of the study to its end; called again after any stop, it goes on where it was.

    Args:
        plan: what is run.
        out: the study's folder: new, empty, or one of the same plan.
        watched: makes the watch of each run.

    Raises:
        StoreError: the folder holds another study, or something else.
        DocendoError: as for `docendo.solve`.
    """
    folder = Path(out)
    conditions = _conditions(plan)
    claim(folder, plan.stored())
    pieces = (
        len(plan.teachers) * len(plan.seeds) + (plan.slips is not None) + len(conditions) + 2 * plan.rivals
    )
    numbers = iter(range(1, pieces + 1))

    def title(name: str) -> str:
        return f"study {next(numbers)}/{pieces} {name}"

    main = {}
    for letter, teacher in plan.teachers.items():
        for seed in plan.seeds:
            name = f"main-{letter}-{seed}"
            with watched(title(name)) as watch:
                main[letter, seed] = _solved(plan, folder / name, teacher, seed, watch)
    first = next(iter(main.values()))
    slips = None
    if plan.slips is not None:
        with watched(title("slips")) as watch:
            slips = _solved(
                plan, folder / "slips-hot", plan.slips, plan.seeds[0], watch, temperature=SLIPS_TEMPERATURE
            )
    explored = {}
    for condition in conditions:
        name = f"explore-{condition.name}"
        with watched(title(name)) as watch:
            explored[condition.name] = (
                condition,
                condition.run(first, folder / name, watch, plan.declared.second),
            )
    found: dict[str, Rival] = {}
    if plan.rivals:
        for name, ask in (("rivals", rivals), ("likelihood", likelihood)):
            with watched(title(name)):
                found |= ask(first, folder)
    return Study(plan, folder, main, slips, explored, found)


def _solved(plan: Plan, folder: Path, teacher: str, seed: int, watch: Watch | None, **settings: Any) -> Run:
    """One ordinary run, complete; what `settings` leave out is the default."""
    if not (folder / FILE).is_file():
        return solve(
            plan.problems,
            teacher=teacher,
            students=plan.students,
            seed=seed,
            exams=_pool(plan),
            limit=plan.limit,
            out=folder,
            watch=watch,
            **{**plan.declared.settings, **settings},
        )
    run = Run(folder)
    return run if run.complete else resume(folder, watch=watch)


def _pool(plan: Plan) -> list[Problem] | None:
    """The first few exam problems of each family, where the study says how many; None means the whole set."""
    if plan.declared.pool is None or plan.quick:
        return None
    name, at, seed = plan.problems.partition("@")
    kept: dict[str | None, list[Problem]] = {}
    for problem in load_problems(f"{name}-exams{at}{seed}"):
        kept.setdefault(problem.family, []).append(problem)
    return [problem for own in kept.values() for problem in own[: plan.declared.pool]]


def _conditions(plan: Plan) -> list[Condition]:
    if plan.conditions is None:
        return [c for c in CONDITIONS if plan.declared.second is not None or SECOND not in c.students]
    known = {condition.name: condition for condition in CONDITIONS}
    strange = [name for name in plan.conditions if name not in known]
    if strange:
        raise ConfigError(f"no such condition: {strange[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in plan.conditions]
