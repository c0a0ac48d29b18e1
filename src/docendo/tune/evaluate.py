"""Is the tuned teacher better: the same problems before and after, compared in pairs.

The teacher alone is measured by its greedy answer, by the mean over its samples and by their majority (SC); M1 by its
choice rules. A reply without a readable answer counts as wrong, and so does one that was cut: the denominator is every
problem with a gold answer (of the mean: every sample of it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docendo.data import load_problems
from docendo.errors import DataError
from docendo.exams.select import ProblemPool
from docendo.models.spec import ModelSpec
from docendo.solve.facts import gather
from docendo.solve.plan import Settings
from docendo.solve.run import Run, continued, new_run, planned
from docendo.solve.work import Around
from docendo.stats import Interval, mean_ci, paired_difference
from docendo.store.schema import FILE
from docendo.tune.plan import recast
from docendo.types import Problem

ALONE = ("greedy", "mean", "sc")
WITH_EXAMS = (*ALONE, "max", "sum", "avg")
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """One way of answering, before and after: accuracies and their paired difference, clustered as the problems are."""

    rule: str
    before: Interval
    after: Interval
    difference: Interval


@dataclass(frozen=True, slots=True)
class Right:
    """What one run got right: by rule the share in [0, 1] for each problem with a gold answer, in the runs' order."""

    problems: tuple[str, ...]
    clusters: tuple[str, ...]
    by_rule: dict[str, tuple[float, ...]]


def evaluate(
    plan: Settings,
    teacher: ModelSpec,
    problems: Sequence[Problem],
    folder: Path,
    around: Around,
    samples: int,
    parent: str | None = None,
) -> Run:
    """Ask a teacher alone: once greedily and `samples` times; or go on where the same was cut.

    Args:
        plan: whose sampling, prompts and seed are taken.
        teacher: who is asked.
        problems: with gold answers; others are asked and not counted.
        folder: of the run that is made.
        around: as for a run.
        samples: of each problem.
        parent: the run it belongs to.

    Raises:
        DataError: no problem has a gold answer.
    """
    if not any(problem.judgeable for problem in problems):
        raise DataError("no problem to compare on has a gold answer, so that nothing can be said to be right")
    if (folder / FILE).is_file():
        return continued(folder, around)
    # No exam is held; a student must be named all the same, and the teacher is there anyway.
    alone = recast(
        plan,
        teacher=teacher,
        students=[teacher],
        lessons=samples,
        equal_cost=False,
        self_debug=False,
        exam_score="answers",
        exam_select="auto",
        allocation="fixed",
        budget="",
    )
    return new_run("evaluate", problems, ProblemPool([]), alone, {"problems": None}, folder, around, parent)


def evaluate_m1(
    plan: Settings, teacher: ModelSpec, source: str, exams: str | None, folder: Path, around: Around
) -> Run:
    """M1 with a teacher on a set of problems; or go on where the same was cut.

    Args:
        plan: everything but the teacher.
        teacher: who teaches.
        source: the problems.
        exams: where exam problems come from; None as for `solve`.
        folder: of the run that is made.
        around: as for a run.
    """
    if (folder / FILE).is_file():
        return continued(folder, around)
    _, taught, pool, more = planned(source, exams, None, None, {})
    return new_run(
        "solve", taught, pool, recast(plan, teacher=teacher, equal_cost=False), more, folder, around
    )


def problems_of(source: str) -> list[Problem]:
    """A set of problems to compare on.

    Raises:
        DataError: it cannot be read, or nothing in it has a gold answer.
    """
    found = load_problems(source)
    if not any(problem.judgeable for problem in found):
        raise DataError(f"{source}: no problem has a gold answer, so that nothing can be said to be right")
    return found


def right(folder: str | Path) -> Right:
    """What a run got right, of its finished problems with gold answers."""
    with Run(Path(folder)).view() as view, view.snapshot():
        facts = [f for f in gather(view) if f.problem.judgeable]
        samples = Settings.of(view.config["settings"]).lessons
    by_rule: dict[str, tuple[float, ...]] = {}
    for rule in WITH_EXAMS:
        if rule == "mean":
            by_rule[rule] = tuple(sum(f.right) / max(len(f.right), samples) for f in facts)
        elif all(rule in f.correct for f in facts):
            by_rule[rule] = tuple(float(f.correct[rule]) for f in facts)
    problems = [f.problem for f in facts]
    return Right(tuple(p.id for p in problems), tuple(p.cluster or p.id for p in problems), by_rule)


def compare(before: Right, after: Right, rules: Sequence[str] = ALONE) -> tuple[Change, ...]:
    """Before and after, rule by rule, over the problems that both finished.

    Raises:
        DataError: they have no problem in common.
    """
    at = [({id: i for i, id in enumerate(side.problems)}) for side in (before, after)]
    both = [id for id in before.problems if id in at[1]]
    if not both:
        raise DataError("the two runs have no finished problem in common, so that nothing can be compared")
    clusters = [before.clusters[at[0][id]] for id in both]
    found = []
    for rule in rules:
        if rule in before.by_rule and rule in after.by_rule:
            was, now = (
                [side.by_rule[rule][places[id]] for id in both]
                for side, places in zip((before, after), at, strict=True)
            )
            found.append(
                Change(
                    rule,
                    mean_ci(was, clusters, draws=DRAWS),
                    mean_ci(now, clusters, draws=DRAWS),
                    paired_difference(now, was, clusters, draws=DRAWS),
                )
            )
    return tuple(found)


def change_json(change: Change) -> dict[str, Any]:
    """A change as plain values."""
    return {
        "rule": change.rule,
        **{
            name: {"mean": i.mean, "low": i.low, "high": i.high, "problems": i.n, "clusters": i.clusters}
            for name, i in (
                ("before", change.before),
                ("after", change.after),
                ("difference", change.difference),
            )
        },
    }
