"""Running a pilot: a small run of kind "pilot" with its controls, then its diagnosis."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docendo.exams.select import ProblemPool
from docendo.models.base import Model
from docendo.models.budget import StopCondition
from docendo.pilot.controls import ask_controls
from docendo.pilot.diagnose import Diagnosis, diagnose
from docendo.solve.plan import Settings
from docendo.solve.run import Source, continued, new_run, planned, told
from docendo.solve.spent import Bill, bill
from docendo.solve.work import Around, Watch
from docendo.store import Store
from docendo.types import Problem

COUNT = 30
"""Problems in a pilot."""

LESSONS = 8
"""The teacher's samples of a pilot's problem, where the full run has no fewer."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """A pilot's run folder."""

    folder: Path

    def diagnosis(self) -> Diagnosis:
        """What it says, as far as it came."""
        with Store.read(self.folder) as view:
            return diagnose(view)

    def bill(self) -> Bill:
        """What was paid for it so far."""
        with Store.read(self.folder) as view:
            return bill(view)


def pilot(
    problems: Source | None = None,
    *,
    exams: Source | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    count: int = COUNT,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
    **settings: Any,
) -> Pilot:
    """Try a full run's settings on `count` of its problems, with controls, and diagnose.

    Args:
        problems: those of the full run.
        exams: as for `solve`.
        config: as for `solve`.
        out: the pilot's folder, new or empty; by default runs/pilot-DATE-TIME.
        count: problems tried, drawn by the seed.
        models: as for `solve`.
        watch: as for `solve`.
        stop: as for `solve`.
        **settings: those of the full run; of the teacher's samples at most `LESSONS` are tried.

    Raises:
        DataError, ConfigError, ModelError, StoreError: as for `solve`.
    """
    plan = small_plan(problems, exams, config, count, settings)
    around = Around(models, watch, stop, beside=ask_controls)
    run = new_run("pilot", plan.chosen, plan.pool, plan.settings, plan.more, out, around)
    return Pilot(run.folder)


@dataclass(frozen=True, slots=True)
class SmallPlan:
    """A pilot as planned: its problems, where their exams come from, its settings, and what else its store keeps."""

    chosen: list[Problem]
    pool: ProblemPool
    settings: Settings
    more: Mapping[str, object]


def small_plan(
    problems: Source | None,
    exams: Source | None,
    config: str | Path | None,
    count: int,
    settings: Mapping[str, Any],
) -> SmallPlan:
    """Plan a pilot; arguments as for `pilot`, `settings` those of the full run.

    Raises:
        DataError, ConfigError: as for `solve`.
    """
    full, taught, pool, kept = planned(problems, exams, config, None, settings)
    small = replace(full, lessons=min(full.lessons, LESSONS), equal_cost=False)
    of = {"problems": len(taught), "lessons": full.lessons, "equal_cost": full.equal_cost}
    more = kept | {"pilot": of}
    return SmallPlan(_draw(taught, count, full.seed), pool, small, more)


def resume(
    folder: str | Path,
    *,
    config: str | Path | None = None,
    models: Mapping[str, Model] | None = None,
    watch: Watch | None = None,
    stop: StopCondition | None = None,
    budget: str | None = None,
    **settings: Any,
) -> Pilot:
    """Go on with a pilot; arguments as for `docendo.resume`."""
    if budget is not None:
        settings["budget"] = budget
    anew = told(folder, config, settings)
    return Pilot(continued(folder, Around(models, watch, stop, anew, ask_controls), pilot=True).folder)


def _draw(problems: Sequence[Problem], count: int, seed: int) -> list[Problem]:
    """`count` problems by a hash of seed and id, in the order of the set."""

    def rank(problem: Problem) -> str:
        return hashlib.sha256(f"pilot {seed} {problem.id}".encode("utf-8", "surrogatepass")).hexdigest()

    kept = {p.id for p in sorted(problems, key=rank)[:count]}
    return [p for p in problems if p.id in kept]
