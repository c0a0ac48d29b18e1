"""What the study of M2 found: accuracies and differences with their intervals, and where rankings part.

How it is said is left to `page`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from docendo.prompts import rationale_of
from docendo.stats import Interval, mean_ci, paired_difference
from docendo.study.m2.plan import PRIMARY, SECONDARY, UNTUNED, Arm
from docendo.study.m2.readout import Answered
from docendo.study.m2.run import Study
from docendo.tune.read import Candidate, Side
from docendo.types import Problem

Floats = NDArray[np.float64]
UNTAUGHT = "untaught"


@dataclass(frozen=True, slots=True)
class Row:
    """One arm's figures over one set of problems; `less` are differences to other arms by name, in shares."""

    name: str
    mean: Interval
    greedy: Interval
    sound: Interval
    less: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Trainings:
    """One arm's trainings: what was learnt from, and how seeds differ.

    Attributes:
        arm: which.
        pairs, steps: of each training.
        problems, families: with a pair, at the first seed.
        tokens: trained on, the mean over seeds.
        chosen_right, chosen_sound: shares of the chosen lessons; `rejected_right`, `rejected_sound` of the rejected.
        by_seed: mean accuracy on taught families of each seed, in their order.
    """

    arm: Arm
    pairs: int
    steps: int
    problems: int
    families: int
    tokens: float
    chosen_right: float
    chosen_sound: float
    rejected_right: float
    rejected_sound: float
    by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One lesson as an example."""

    question: str
    gold: str
    working: str
    answer: str
    correct: bool
    sound: bool
    lbt: float


@dataclass(frozen=True, slots=True)
class Apart:
    """Where LbT's ranking of the lessons differs from that by correctness.

    Attributes:
        lessons: distinct lessons with a score.
        cells: of each kind (right or wrong answer, sound or unsound method) the lessons and their mean LbT score.
        problems: that were taught.
        only_correctness, only_lbt: problems with pairs in one of the two rankings alone; `both` with in both.
        accidents: right answers by an unsound method, lowest LbT score first; `slips`: wrong by a sound one, highest
            first.
        graded: pairs that LbT makes of lessons with the same correctness, as a share of its pairs.
    """

    lessons: int
    cells: Mapping[tuple[bool, bool], tuple[int, float | None]]
    problems: int
    only_correctness: int
    only_lbt: int
    both: int
    accidents: tuple[Shown, ...]
    slips: tuple[Shown, ...]
    graded: float


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that the page says.

    Attributes:
        taught: every arm on the families that were taught from; `untaught` on the others.
        groups: by how often the teacher's schooling had shown a family.
        kinds: taught families by the better lessons that correctness alone found of them; `learnt` has the pairs that
            each arm has of these, the mean over seeds.
        primary, secondary: the declared differences; `by_seed` is the primary one of each training seed.
        trainings: one an arm.
        apart: where rankings part.
        problems, clusters: of the primary comparison.
    """

    taught: Sequence[Row]
    untaught: Sequence[Row]
    groups: Mapping[str, Sequence[Row]]
    kinds: Mapping[str, Sequence[Row]]
    learnt: Mapping[str, Mapping[str, float]]
    primary: Interval
    secondary: Interval
    by_seed: tuple[float, ...]
    trainings: Sequence[Trainings]
    apart: Apart
    problems: int
    clusters: int


def analyse(study: Study) -> Results:
    """Compare the arms."""
    columns = {UNTUNED: [study.untuned]}
    for tuned in study.tuned:
        columns.setdefault(tuned.arm.name, []).append(tuned.answers)
    taught = [p for p in study.tested if p.group != UNTAUGHT]
    groups = {
        name: _rows(columns, [p for p in study.tested if p.group == name])
        for name in dict.fromkeys(p.group or "" for p in study.tested)
    }
    rows = _rows(columns, taught)
    clusters = [p.cluster for p in taught]

    def difference(pair: tuple[str, str]) -> Interval:
        one, other = (_values(columns[name], taught, _mean) for name in pair)
        return paired_difference(one.tolist(), other.tolist(), clusters)

    kinds = _by_kind(study, taught)
    first, second = ([_of_seed(seed, taught) for seed in columns[name]] for name in PRIMARY)
    return Results(
        taught=rows,
        untaught=groups.get(UNTAUGHT, ()),
        groups=groups,
        kinds={kind: _rows(columns, own) for kind, own in kinds.items()},
        learnt={kind: _pairs_of(study, {p.family for p in own}) for kind, own in kinds.items()},
        primary=difference(PRIMARY),
        secondary=difference(SECONDARY),
        by_seed=tuple(a - b for a, b in zip(first, second, strict=True)),
        trainings=[_trainings(study, arm, taught) for arm in study.plan.arms],
        apart=_apart(study),
        problems=len(taught),
        clusters=len(set(clusters)),
    )


def _by_kind(study: Study, problems: Sequence[Problem]) -> dict[str, list[Problem]]:
    """Tested problems by whether what correctness chose of their family was sound."""
    sound: dict[str | None, set[bool]] = {}
    for tuned in study.tuned:
        if tuned.arm.name == PRIMARY[1]:
            for pair in tuned.pairs.train:
                sound.setdefault(pair.family, set()).add(_side(study, pair.problem, pair.chosen)[1])
    names = {(True,): "all sound", (False, True): "sound and unsound", (False,): "all unsound", (): "none"}
    found: dict[str, list[Problem]] = {name: [] for name in names.values()}
    for problem in problems:
        found[names[tuple(sorted(sound.get(problem.family, ())))]].append(problem)
    return {name: own for name, own in found.items() if own}


def _pairs_of(study: Study, families: Set[str | None]) -> dict[str, float]:
    """How many pairs each arm has of these families, the mean over seeds."""
    counts: Counter[str] = Counter()
    for tuned in study.tuned:
        counts[tuned.arm.name] += sum(pair.family in families for pair in tuned.pairs.train)
    return {arm.name: counts[arm.name] / len(study.plan.seeds) for arm in study.plan.arms}


def _mean(answered: Answered) -> float:
    return answered.right / answered.samples


def _greedy(answered: Answered) -> float:
    return float(answered.greedy)


def _sound(answered: Answered) -> float:
    return answered.sound / answered.samples


def _values(
    seeds: Sequence[Mapping[str, Answered]], problems: Sequence[Problem], of: Callable[[Answered], float]
) -> Floats:
    """Each problem's value, the mean over the seeds."""
    by_seed = np.array([[of(seed[p.id]) for p in problems] for seed in seeds], dtype=np.float64)
    values: Floats = by_seed.mean(axis=0)
    return values


def _of_seed(seed: Mapping[str, Answered], problems: Sequence[Problem]) -> float:
    return float(np.mean([_mean(seed[p.id]) for p in problems]))


def _rows(columns: Mapping[str, Sequence[Mapping[str, Answered]]], problems: Sequence[Problem]) -> list[Row]:
    """All arms over some problems, each beside the untuned teacher and beside correctness alone."""
    if not problems:
        return []
    clusters = [p.cluster for p in problems]
    means = {name: _values(seeds, problems, _mean) for name, seeds in columns.items()}
    rows = []
    for name, seeds in columns.items():
        less = {
            other: paired_difference(means[name].tolist(), means[other].tolist(), clusters)
            for other in (UNTUNED, PRIMARY[1])
            if other != name and other in means
        }
        mean, greedy, sound = (
            mean_ci(_values(seeds, problems, of).tolist(), clusters) for of in (_mean, _greedy, _sound)
        )
        rows.append(Row(name, mean, greedy, sound, less))
    return rows


def _trainings(study: Study, arm: Arm, problems: Sequence[Problem]) -> Trainings:
    own = [tuned for tuned in study.tuned if tuned.arm == arm]
    learnt = [(tuned, pair) for tuned in own for pair in tuned.pairs.train]
    chosen = np.array([_side(study, pair.problem, pair.chosen) for _, pair in learnt]).mean(axis=0)
    rejected = np.array([_side(study, pair.problem, pair.rejected) for _, pair in learnt]).mean(axis=0)
    first = own[0].pairs.train
    return Trainings(
        arm=arm,
        pairs=len(first),
        steps=own[0].trained.steps,
        problems=len({pair.problem for pair in first}),
        families=len({pair.family for pair in first}),
        tokens=float(np.mean([tuned.trained.tokens for tuned in own])),
        chosen_right=float(chosen[0]),
        chosen_sound=float(chosen[1]),
        rejected_right=float(rejected[0]),
        rejected_sound=float(rejected[1]),
        by_seed=tuple(_of_seed(tuned.answers, problems) for tuned in own),
    )


def _side(study: Study, problem: str, side: Side) -> tuple[bool, bool]:
    """Whether a lesson of a pair is right, and whether its method is sound."""
    known = study.problems[problem]
    return side.answer == known.answer, study.methods.sound(known, rationale_of(side.text))


def _apart(study: Study) -> Apart:
    cells: dict[tuple[bool, bool], list[float]] = {(a, b): [] for a in (True, False) for b in (True, False)}
    shown: dict[tuple[bool, bool], list[Shown]] = {cell: [] for cell in cells}
    for one in study.ranked:
        for lesson in one.candidates:
            if lesson.lbt is None:
                continue
            made = _shown(study, one.problem, lesson)
            cell = (made.correct, made.sound)
            cells[cell].append(made.lbt)
            shown[cell].append(made)
    paired = {
        tuned.arm.name: {pair.problem for pair in tuned.pairs.train}
        for tuned in reversed(study.tuned)
        if tuned.arm.name in (PRIMARY[1], SECONDARY[0])
    }
    correct, lbt = paired.get(PRIMARY[1], set()), paired.get(SECONDARY[0], set())
    same = [
        pair.chosen.correct == pair.rejected.correct
        for tuned in study.tuned
        if tuned.arm.name == SECONDARY[0]
        for pair in tuned.pairs.train
    ]
    return Apart(
        lessons=sum(map(len, cells.values())),
        cells={c: (len(s), float(np.mean(s)) if s else None) for c, s in cells.items()},
        problems=len(study.ranked),
        only_correctness=len(correct - lbt),
        only_lbt=len(lbt - correct),
        both=len(correct & lbt),
        accidents=_first(shown[True, False], lambda s: s.lbt),
        slips=_first(shown[False, True], lambda s: -s.lbt),
        graded=float(np.mean(same)) if same else 0.0,
    )


def _first(shown: Iterable[Shown], by: Callable[[Shown], float], count: int = 3) -> tuple[Shown, ...]:
    """The first few, each of another trade."""
    found: dict[str, Shown] = {}
    for one in sorted(shown, key=by):
        found.setdefault(" ".join(one.question.split()[:2]), one)
        if len(found) == count:
            break
    return tuple(found.values())


def _shown(study: Study, problem: Problem, lesson: Candidate) -> Shown:
    working = rationale_of(lesson.text)
    return Shown(
        problem.question,
        problem.answer or "",
        working,
        lesson.answer,
        lesson.correct == 1.0,
        study.methods.sound(problem, working),
        lesson.lbt or 0.0,
    )
