"""What the study's runs say: pooled estimates with their intervals, and everything exploratory beside them.

Pure functions from runs to figures; the wording is left to `page`. A difference is always of the same problems,
and intervals resample the world's clusters: a cluster's problems move together under all teachers and seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from docendo.solve.arms import Table, table
from docendo.solve.curves import Point, curves
from docendo.solve.facts import Cost, Facts
from docendo.stats import Interval, mean_ci, paired_difference
from docendo.study.intervals import negated
from docendo.study.measures import (
    Bin,
    Doubt,
    ExamSize,
    Follow,
    Ranking,
    calibration,
    clusters_of,
    doubt,
    exam_sizes,
    follow,
    marks,
    ranking,
    scored_lessons,
)
from docendo.study.plan import BOOTSTRAP_DRAWS, PRIMARY, SECONDARY, Expectation
from docendo.study.read import Data, read
from docendo.study.rivals import Rival
from docendo.study.run import Study

ZERO_SHOT = " zero-shot "
"""In the names of the rivals that are shown nothing: the students unaided."""
SECOND = "second-student"
GROUPS = ("head", "middle", "tail", "untaught")


@dataclass(frozen=True, slots=True)
class Group:
    """Some problems of some runs together."""

    name: str
    table: Table
    ranking: Ranking


@dataclass(frozen=True, slots=True)
class RunResult:
    """One main run (or the slipping teacher's; or all runs of one teacher, without a seed), with its groups."""

    teacher: str
    seed: int | None
    whole: Group
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class Compared:
    """A condition or a rival beside the first main run, on the problems that both have.

    `accuracy` is its own (a condition's is SUM's), `main` SUM's in the main run, `difference` the first less the
    second, `gain` its accuracy less that of SC over the main run's samples. `cost` is of those problems together, and
    `sc_cost` that of SC.
    """

    name: str
    asks: str
    problems: int
    accuracy: Interval
    main: Interval
    difference: Interval
    gain: Interval
    cost: Cost
    sc_cost: Cost
    ranking: Ranking | None = None
    auc: float | None = None
    follow: Sequence[Follow] = ()
    regime: str = "A"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A difference that the paper's insight says is above zero."""

    says: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class Insight:
    """One insight of the paper with all that was measured of it; a part may be missing from a slice."""

    name: str
    claims: str
    evidence: Sequence[Evidence]


@dataclass(frozen=True, slots=True)
class Met:
    """A declared expectation, the figure, and whether it was met."""

    expectation: Expectation
    value: float | None
    met: bool


@dataclass(frozen=True, slots=True)
class Results:
    """All that the study found. `scores` are the LbT scores of all right and all wrong lessons."""

    pooled: Group
    groups: Sequence[Group]
    runs: Sequence[RunResult]
    teachers: Sequence[RunResult]
    slips: RunResult | None
    follow: Sequence[Follow]
    calibration: Sequence[Bin]
    doubt: Sequence[Doubt]
    exam_sizes: Sequence[ExamSize]
    curves: Sequence[Point]
    conditions: Sequence[Compared]
    rivals: Sequence[Compared]
    insights: Sequence[Insight]
    expectations: Sequence[Met]
    scores: tuple[Sequence[float], Sequence[float]]
    problems: int
    """Test problems, each taken by every main run."""


def analyse(study: Study) -> Results:
    """Read the study's runs and compare what is to be compared."""
    main = {key: read(run) for key, run in study.main.items()}
    first = next(iter(main.values()))
    data = Data([f for d in main.values() for f in d.facts], [e for d in main.values() for e in d.exams])
    pooled, followed = _group("all", data.facts), follow(data)
    conditions = [
        _condition(condition.name, condition.asks, read(run), first.facts)
        for condition, run in study.conditions.values()
    ]
    rivals = [_rival(rival, first.facts) for rival in study.rivals.values()]
    lessons = [scored_lessons(f) for f in data.facts]
    return Results(
        pooled=pooled,
        groups=_groups(data.facts),
        runs=[_run_result(letter, seed, d.facts) for (letter, seed), d in main.items()],
        teachers=[
            _run_result(letter, None, [f for (own, _), d in main.items() if own == letter for f in d.facts])
            for letter in study.plan.teachers
        ],
        slips=None
        if study.slips is None
        else _run_result("slips", study.plan.seeds[0], read(study.slips).facts),
        follow=followed,
        calibration=calibration(data.facts),
        doubt=doubt(data.facts),
        exam_sizes=exam_sizes(data),
        curves=curves(data.facts, draws=BOOTSTRAP_DRAWS),
        conditions=conditions,
        rivals=rivals,
        insights=_insights(first.facts, conditions, study.rivals, study.plan.declared.answers_tell),
        # A slice on numbers kept for tuning can neither meet nor miss what was declared for the test.
        expectations=[]
        if study.plan.quick
        else [
            Met(e, value := measured(e, pooled, followed, conditions), e.met(value))
            for e in study.plan.declared.expectations
        ],
        scores=(
            [s for scores, right in lessons for s, r in zip(scores, right, strict=True) if r],
            [s for scores, right in lessons for s, r in zip(scores, right, strict=True) if not r],
        ),
        problems=len(first.facts),
    )


def measured(
    expectation: Expectation,
    pooled: Group,
    followed: Sequence[Follow],
    conditions: Sequence[Compared] = (),
) -> float | None:
    """The figure that an expectation is about; the least over students where there are several.

    None where it was not measured, such as one under a condition that was not run.
    """
    if expectation.under is not None:
        return _under(expectation, {c.name: c for c in conditions}.get(expectation.under))
    differences = pooled.table.differences
    match expectation.measure:
        case "lowest sum-sc":
            return differences[PRIMARY].low if PRIMARY in differences else None
        case "sum-sc":
            return differences[PRIMARY].mean if PRIMARY in differences else None
        case "sum-sc_equal_cost":
            return differences[SECONDARY].mean if SECONDARY in differences else None
        case "auc":
            return pooled.ranking.within.mean
        case "follow":
            rates = [f.right.mean for f in followed]
            return None if not rates or None in rates else min(r for r in rates if r is not None)
    return None  # what is left is measured under conditions alone


def _under(expectation: Expectation, found: Compared | None) -> float | None:
    if found is None:
        return None
    match expectation.measure:
        case "lowest sum-sc":
            return found.gain.low
        case "lowest main-condition":
            return negated(found.difference).low
        case "auc":
            return found.auc
    return None


def _group(name: str, facts: Sequence[Facts]) -> Group:
    return Group(name, table(facts, BOOTSTRAP_DRAWS), ranking(facts))


def _groups(facts: Sequence[Facts]) -> list[Group]:
    """The school's groups, in the order of schooling frequency."""
    own = {name: [f for f in facts if f.problem.group == name] for name in GROUPS}
    return [_group(name, members) for name, members in own.items() if members]


def _run_result(teacher: str, seed: int | None, facts: Sequence[Facts]) -> RunResult:
    return RunResult(teacher, seed, _group("all", facts), _groups(facts))


def _condition(name: str, asks: str, data: Data, main: Sequence[Facts]) -> Compared:
    """A condition's SUM beside the main run's; its cost is what its exams add to the main run's samples."""
    base = {f.problem.id: f for f in main}
    own = [f for f in data.facts if f.problem.id in base]
    same = [base[f.problem.id] for f in own]
    cost = sum((f.costs["sum"] for f in own), Cost()) + sum((f.costs["sc"] for f in same), Cost())
    ranked = ranking(own)
    found = _compared(name, asks, marks(own, "sum"), same, cost)
    return replace(found, ranking=ranked, auc=ranked.within.mean, follow=follow(data))


def _rival(rival: Rival, main: Sequence[Facts]) -> Compared:
    same = [f for f in main if f.problem.id in rival.correct]
    accuracies = [float(rival.correct[f.problem.id]) for f in same]
    return replace(
        _compared(rival.name, rival.asks, accuracies, same, rival.cost), regime=rival.regime, auc=rival.auc
    )


def _compared(
    name: str, asks: str, accuracies: Sequence[float], main: Sequence[Facts], cost: Cost
) -> Compared:
    clusters = clusters_of(main)
    by_sum, by_sc = marks(main, "sum"), marks(main, "sc")
    return Compared(
        name=name,
        asks=asks,
        problems=len(main),
        accuracy=mean_ci(accuracies, clusters, draws=BOOTSTRAP_DRAWS),
        main=mean_ci(by_sum, clusters, draws=BOOTSTRAP_DRAWS),
        difference=paired_difference(accuracies, by_sum, clusters, draws=BOOTSTRAP_DRAWS),
        gain=paired_difference(accuracies, by_sc, clusters, draws=BOOTSTRAP_DRAWS),
        cost=cost,
        sc_cost=sum((f.costs["sc"] for f in main), Cost()),
    )


def _insights(
    main: Sequence[Facts], conditions: Sequence[Compared], rivals: Mapping[str, Rival], answers_tell: bool
) -> list[Insight]:
    """The paper's insights, each as differences that it says are above zero.

    Where answers tell all that rationales do, that rationales matter cannot be measured; that lessons do can.
    """
    found = {c.name: c for c in conditions}

    def less(names: Mapping[str, str], sign: int) -> list[Evidence]:
        """Differences to SUM in the main run: main less the condition for -1, the condition less main for 1."""
        return [
            Evidence(says, found[name].difference if sign > 0 else negated(found[name].difference))
            for name, says in names.items()
            if name in found
        ]

    without = {"answer-only": "whole lesson − answer without rationale"}
    lesson = {
        "no-lesson": "whole lesson − no lesson",
        "unrelated-lesson": "own lesson − lesson for an unrelated problem",
    }
    similarity = {
        "confusable-exams": "exams of the same family − of a confusable family",
        "unrelated-exams": "exams of the same family − of an unrelated family",
    }
    diverse = {"both-students": "both students − the first student alone"}
    return [
        Insight("The lesson matters", "students need a lesson, and of this problem", less(lesson, -1))
        if answers_tell
        else Insight(
            "Rationale matters", "students need the working, not the answer", less(without | lesson, -1)
        ),
        Insight("Similarity matters", "exams must be of problems like the taught one", less(similarity, -1)),
        Insight(
            "Weak-to-strong",
            "a teacher that beats its student unaided still gains from teaching it",
            _weak_to_strong(main, rivals, found),
        ),
        Insight("Diverse students", "several different students judge better than one", less(diverse, 1)),
    ]


def _weak_to_strong(
    main: Sequence[Facts], rivals: Mapping[str, Rival], conditions: Mapping[str, Compared]
) -> list[Evidence]:
    """That the teacher beats each student unaided, and gains from exams by each."""
    evidence = []
    for rival in rivals.values():
        if ZERO_SHOT not in rival.name:
            continue
        same = [f for f in main if f.problem.id in rival.correct]
        theirs = [float(rival.correct[f.problem.id]) for f in same]
        way = rival.name.split()[-1]
        ahead = paired_difference(marks(same, way), theirs, clusters_of(same), draws=BOOTSTRAP_DRAWS)
        evidence.append(Evidence(f"teacher {way} − {rival.name}", ahead))
    if not evidence:
        return []
    gain = paired_difference(marks(main, "sum"), marks(main, "sc"), clusters_of(main), draws=BOOTSTRAP_DRAWS)
    evidence.append(Evidence("the teacher's SUM − SC with exams by the main student", gain))
    if SECOND in conditions:
        evidence.append(Evidence("the same with exams by the second student", conditions[SECOND].gain))
    return evidence
