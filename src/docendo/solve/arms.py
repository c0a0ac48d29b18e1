"""Arms: the ways of answering under comparison, with accuracies, intervals and costs over some problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from docendo.solve.facts import LESSON_ARMS, Cost, Facts
from docendo.stats import Interval, mean_ci, paired_difference

# In the order of every table. `sc` is the choice rule MAJ over the taught samples.
ARMS = (
    "greedy",
    "sample_undebugged",
    "sample",
    "sc_undebugged",
    "sc",
    "sc_equal_cost",
    "max",
    "sum",
    "avg",
    "oracle",
)
BASELINES = ("sc", "sc_equal_cost")
DEBUGGED = (("sample", "sample_undebugged"), ("sc", "sc_undebugged"))
"""What self-debug is compared by: an arm with it and without."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One row of a table: accuracy over problems with a gold answer (none read counts as wrong), and total cost.

    `v_score` and `s_score` are the mean shares of visible and of hidden tests that its programs pass, over the problems
    that have such tests; None where none has.
    """

    name: str
    accuracy: Interval
    cost: Cost
    v_score: Interval | None = None
    s_score: Interval | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The arms over some problems, and their paired differences such as "sum-sc"."""

    problems: int
    arms: Mapping[str, Arm]
    differences: Mapping[str, Interval]


def table(facts: Sequence[Facts], draws: int = 2000) -> Table:
    """The arms over some problems; an arm is there if any of them has it."""
    if not facts:
        return Table(0, {}, {})
    present = [name for name in ARMS if any(name in f.correct for f in facts)]
    marks = {
        name: [float(f.correct.get(name, f.correct.get("sc", False))) for f in facts] for name in present
    }
    clusters = [f.problem.cluster or f.problem.id for f in facts]
    arms = {}
    for name in present:
        spent = sum((f.costs.get(name, f.costs.get("sc", Cost())) for f in facts), Cost())
        scores = [_scores(facts, name, which, draws) for which in ("visible", "hidden")]
        arms[name] = Arm(name, mean_ci(marks[name], clusters, draws=draws), spent, *scores)
    differences = {
        f"{name}-{base}": paired_difference(marks[name], marks[base], clusters, draws=draws)
        for name in LESSON_ARMS
        for base in BASELINES
        if name in marks and base in marks
    } | {
        f"{name}-{base}": paired_difference(marks[name], marks[base], clusters, draws=draws)
        for name, base in DEBUGGED
        if name in marks and base in marks
    }
    return Table(len(facts), arms, differences)


def _scores(
    facts: Sequence[Facts], arm: str, which: Literal["visible", "hidden"], draws: int
) -> Interval | None:
    """The mean share of tests passed by an arm's programs; an arm that a problem lacks is SC there, as in accuracy."""
    found = [
        (share, f.problem.cluster or f.problem.id)
        for f in facts
        if (passed := f.passed.get(arm, f.passed.get("sc"))) is not None
        and (share := getattr(passed, which)) is not None
    ]
    return mean_ci([s for s, _ in found], [c for _, c in found], draws=draws) if found else None
