"""What the walks of the study of M3 say: accuracy and F1 by round, and what changed since round 0.

Pure functions of the recorded walks. Every figure is pooled over all tasks and seeds of an arm; intervals resample
tasks, all seeds and readers of a task moving together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from docendo.stats import FEW, Interval
from docendo.study.m3.plan import BOOTSTRAP_DRAWS, Plan
from docendo.study.m3.run import Answers, Done, Walk

POSITIVE = "yes"
CONTROLS = ("none", "turned", "told")
Counts = NDArray[np.float64]
"""By task: answers, right ones, true positives, false positives, false negatives."""
Measure = Callable[[Counts], NDArray[np.float64]]


def accuracy(counts: Counts) -> NDArray[np.float64]:
    """The share of right answers, of counts summed over tasks (..., 5)."""
    share: NDArray[np.float64] = counts[..., 1] / counts[..., 0]
    return share


def f1(counts: Counts) -> NDArray[np.float64]:
    """F1 of the positive label, of counts summed over tasks (..., 5); 0 where it is never right."""
    twice = 2 * counts[..., 2]
    found: NDArray[np.float64] = twice / np.maximum(twice + counts[..., 3] + counts[..., 4], 1e-9)
    return found


MEASURES: Mapping[str, Measure] = {"F1": f1, "accuracy": accuracy}


@dataclass(frozen=True, slots=True)
class Line:
    """One arm's read-out by one kind of reader: its measures by round, and without or with turned sets."""

    arm: str
    reader: str
    rounds: Mapping[str, Sequence[Interval]]
    controls: Mapping[str, Mapping[str, Interval]]
    change: Mapping[str, Interval]
    """By measure: the last round less round 0."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two arms in their last rounds, by measure, with the same readers."""

    one: str
    other: str
    by: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Equal:
    """The first arm's last round beside the round of random search until which that had asked no more calls.

    `calls` and `first` are the calls of random search until then and of the first arm, a walk's mean; read-outs and
    controls do not count.
    """

    round: int
    calls: float
    first: float
    by: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Spent:
    """What an arm asked, a walk's mean, and what became of the teacher's replies."""

    arm: str
    calls: Mapping[str, float]
    rejected: Mapping[str, int]
    changed: float
    """Of all walks, the share whose best set is another in the end than in round 0."""


@dataclass(frozen=True, slots=True)
class Results:
    """All that the study found."""

    primary: Interval
    lines: Sequence[Line]
    differences: Sequence[Difference]
    equal: Equal | None
    groups: Mapping[str, tuple[int, Interval]]
    """The primary comparison by how well the teacher was taught a task, with the number of tasks."""
    spent: Sequence[Spent]
    tasks: int
    walks: int


def analyse(done: Done) -> Results:
    """All figures of the study."""
    plan, walks = done.plan, done.walks
    by_arm = {arm.name: [w for w in walks if w.arm == arm.name] for arm in plan.arms}
    first = plan.arms[0]
    both = plan.students
    lines = []
    for arm in plan.arms:
        own = by_arm[arm.name]
        readers = {"students": arm.students} if arm.students != (plan.teacher,) else {}
        readers["teacher"] = (plan.teacher,)
        lines += [_line(plan, arm.name, name, own, models) for name, models in readers.items()]
    main = next(line for line in lines if (line.arm, line.reader) == (first.name, "students"))
    differences = [
        _against(plan, by_arm, first.name, arm.name, arm.students if len(arm.students) < len(both) else both)
        for arm in plan.arms[1:]
    ]
    groups = {}
    for group in dict.fromkeys(plan.group(id) for id in plan.tasks):
        some = [w for w in by_arm[first.name] if plan.group(w.task) == group]
        line = _line(plan, first.name, "students", some, both)
        groups[group] = (len({w.task for w in some}), line.change["F1"])
    spent = [_spent(arm.name, by_arm[arm.name]) for arm in plan.arms]
    equal = _equal(plan, by_arm)
    return Results(main.change["F1"], lines, differences, equal, groups, spent, len(plan.tasks), len(walks))


def _line(plan: Plan, arm: str, reader: str, walks: Sequence[Walk], models: Sequence[str]) -> Line:
    rounds = [_counts(walks, models, [w.rounds[n] for w in walks]) for n in range(plan.rounds + 1)]
    controls = {n: _counts(walks, models, [w.controls[n] for w in walks]) for n in CONTROLS}
    return Line(
        arm,
        reader,
        {name: [_interval(c, measure) for c in rounds] for name, measure in MEASURES.items()},
        {
            control: {name: _interval(c, measure) for name, measure in MEASURES.items()}
            for control, c in controls.items()
        },
        {name: _interval(rounds[-1], measure, rounds[0]) for name, measure in MEASURES.items()},
    )


def _against(
    plan: Plan, by_arm: Mapping[str, Sequence[Walk]], one: str, other: str, models: Sequence[str]
) -> Difference:
    last = [_counts(by_arm[name], models, [w.rounds[-1] for w in by_arm[name]]) for name in (one, other)]
    return Difference(
        one, other, {n: _interval(last[0], measure, last[1]) for n, measure in MEASURES.items()}
    )


def _equal(plan: Plan, by_arm: Mapping[str, Sequence[Walk]]) -> Equal | None:
    """None where random search asks more in its first round already; it asks as much in every round."""
    arm = next(arm for arm in plan.arms if arm.search == "random")
    own, first = by_arm[arm.name], by_arm[plan.arms[0].name]
    most = _asked(first)
    whole, before = _asked(own), sum(w.calls.get("worked", 0) for w in own) / len(own)
    until = [before + (whole - before) * (n + 1) / (plan.rounds + 1) for n in range(plan.rounds + 1)]
    round = max((n for n, calls in enumerate(until) if calls <= most), default=None)
    if round is None:
        return None
    last = _counts(first, plan.students, [w.rounds[-1] for w in first])
    then = _counts(own, plan.students, [w.rounds[round] for w in own])
    by = {name: _interval(last, measure, then) for name, measure in MEASURES.items()}
    return Equal(round, until[round], most, by)


def _asked(walks: Sequence[Walk]) -> float:
    """Calls a walk, without read-outs and controls."""
    apart = ("readout", "control")
    return sum(n for w in walks for purpose, n in w.calls.items() if purpose not in apart) / len(walks)


def _counts(walks: Sequence[Walk], models: Sequence[str], given: Sequence[Answers]) -> Counts:
    """One row a task, in the tasks' order of appearance."""
    rows: dict[str, Counts] = {}
    for walk, answers in zip(walks, given, strict=True):
        row = rows.setdefault(walk.task, np.zeros(5))
        for model in models:
            for said, gold in zip(answers[model], walk.golds, strict=True):
                is_yes, says_yes = gold == POSITIVE, said == POSITIVE
                row += (
                    1,
                    said == gold,
                    is_yes and says_yes,
                    says_yes and not is_yes,
                    is_yes and not says_yes,
                )
    return np.stack(list(rows.values()))


def _interval(counts: Counts, measure: Measure, less: Counts | None = None) -> Interval:
    """A measure over all tasks, or what it is more than over `less`, with a bootstrap interval over tasks."""
    tasks = len(counts)
    drawn = np.random.default_rng(0).integers(0, tasks, size=(BOOTSTRAP_DRAWS, tasks))

    def over(own: Counts) -> tuple[float, NDArray[np.float64]]:
        return float(measure(own.sum(axis=0))), measure(own[drawn].sum(axis=1))

    mean, values = over(counts)
    if less is not None:
        other, others = over(less)
        mean, values = mean - other, values - others
    if tasks < 2:
        return Interval(mean, None, None, tasks, tasks, "one task: no interval can be given")
    low, high = np.quantile(values, [0.025, 0.975])
    note = f"only {tasks} tasks: the interval is too narrow" if tasks < FEW else ""
    return Interval(mean, float(low), float(high), tasks, tasks, note)


def _spent(arm: str, walks: Sequence[Walk]) -> Spent:
    calls: dict[str, float] = {}
    rejected: dict[str, int] = {}
    for walk in walks:
        for purpose, count in walk.calls.items():
            calls[purpose] = calls.get(purpose, 0.0) + count / len(walks)
        for reason, count in walk.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
    changed = sum(w.best[-1] != w.best[0] for w in walks) / len(walks)
    return Spent(arm, calls, rejected, changed)
