"""What is measured of runs beside accuracy: ranking, following, calibration, doubt and the size of exams.

Each takes problems of any runs together; which runs, and what they are compared with, is left to `analyse`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from docendo.solve.facts import Facts
from docendo.stats import Interval, mean_ci, paired_difference, within_auc
from docendo.study.intervals import auc_ci, ratio_ci
from docendo.study.plan import BOOTSTRAP_DRAWS
from docendo.study.read import Data, Exams, lesson_scores, rescored, unscored

EXAM_SIZES = ((1, 1), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3))
DOUBT = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
SCORE_BINS = 10


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well LbT scores tell right lessons from wrong ones, over distinct lessons.

    `within` is the chance that, of a right and a wrong lesson for one problem, the right one scores higher;
    `pooled` the same over lessons of all problems. Ties count half.
    """

    within: Interval
    pooled: Interval


@dataclass(frozen=True, slots=True)
class Follow:
    """What one student does after a lesson: the share of its exam answers that are right.

    `right`: after a lesson whose answer is right, which should be high. `reference`: after one whose working is the
    reference solution, so that a right answer by a wrong way does not count against the student. `wrong`: after a
    lesson whose answer is wrong, which should be low.
    """

    student: str
    right: Interval
    reference: Interval
    wrong: Interval


@dataclass(frozen=True, slots=True)
class Bin:
    """Lessons whose LbT score is in [low, high) (the last bin holds 1 too), and the share of them that are right."""

    low: float
    high: float
    right: Interval


@dataclass(frozen=True, slots=True)
class Doubt:
    """Problems whose most frequent answer has a share of the samples in (low, high] (the first holds 0 too)."""

    low: float
    high: float
    problems: int
    sc: Interval
    sum: Interval
    gain: Interval


@dataclass(frozen=True, slots=True)
class ExamSize:
    """Smaller exams, taken from the recorded ones: SUM's accuracy and gain, the mean over all such exams."""

    problems: int
    repeats: int
    exams: int
    accuracy: Interval
    gain: Interval
    auc: float | None


def ranking(facts: Sequence[Facts]) -> Ranking:
    """AUC within a problem and pooled, over the distinct lessons that have a score."""
    found = [scored_lessons(f) for f in facts]
    scores, labels = [s for s, _ in found], [r for _, r in found]
    clusters = clusters_of(facts)
    won, pairs = [], []
    for own, right in zip(scores, labels, strict=True):
        good = np.array([s for s, r in zip(own, right, strict=True) if r])
        bad = np.array([s for s, r in zip(own, right, strict=True) if not r])
        won.append(float((good[:, None] > bad).sum() + (good[:, None] == bad).sum() / 2))
        pairs.append(float(len(good) * len(bad)))
    return Ranking(ratio_ci(won, pairs, clusters), auc_ci(scores, labels, clusters))


def follow(data: Data) -> list[Follow]:
    """Each student's share of right exam answers after each kind of lesson."""
    clusters = clusters_of(data.facts)
    students = list(dict.fromkeys(s for e in data.exams for s in e.students))
    found = []
    for student in students:
        rates = []
        for kind in ("right", "reference", "wrong"):
            pairs = [
                _right_answers(e, student, _of_kind(f, e, kind))
                for f, e in zip(data.facts, data.exams, strict=True)
            ]
            rates.append(ratio_ci([p[0] for p in pairs], [p[1] for p in pairs], clusters))
        found.append(Follow(student, *rates))
    return found


def calibration(facts: Sequence[Facts]) -> list[Bin]:
    """The share of right lessons by LbT score, over distinct lessons."""
    bins = []
    for i in range(SCORE_BINS):
        right, all_ = [], []
        for f in facts:
            own = [
                r
                for s, r in zip(*scored_lessons(f), strict=True)
                if min(int(s * SCORE_BINS + 1e-9), SCORE_BINS - 1) == i
            ]
            right.append(float(sum(own)))
            all_.append(float(len(own)))
        bins.append(Bin(i / SCORE_BINS, (i + 1) / SCORE_BINS, ratio_ci(right, all_, clusters_of(facts))))
    return bins


def doubt(facts: Sequence[Facts]) -> list[Doubt]:
    """SUM's gain by how divided the teacher's samples are: from torn between answers to nearly sure."""
    shares = [
        max((f.keys.count(key) for key in set(f.keys) if key is not None), default=0) / max(len(f.keys), 1)
        for f in facts
    ]
    found = []
    for low, high in DOUBT:
        own = [f for f, s in zip(facts, shares, strict=True) if low < s <= high or (s == low == 0.0)]
        clusters = clusters_of(own)
        by_sum, by_sc = marks(own, "sum"), marks(own, "sc")
        gain = paired_difference(by_sum, by_sc, clusters, draws=BOOTSTRAP_DRAWS)
        found.append(Doubt(low, high, len(own), _mean(by_sc, clusters), _mean(by_sum, clusters), gain))
    return found


def exam_sizes(data: Data) -> list[ExamSize]:
    """SUM with every smaller exam that is part of the recorded one, decided again by `choose`."""
    most = max((e.scores.shape[2:] for e in data.exams), default=(0, 0))
    return [_exam_size(data, p, r, most) for p, r in EXAM_SIZES if p <= most[0] and r <= most[1]]


def _exam_size(data: Data, problems: int, repeats: int, most: Sequence[int]) -> ExamSize:
    clusters = clusters_of(data.facts)
    parts = [
        np.ix_(p, r)
        for p in combinations(range(most[0]), problems)
        for r in combinations(range(most[1]), repeats)
    ]
    total = np.zeros(len(data.facts))
    aucs = []
    lessons = [unscored(f) for f in data.facts]
    for rows, columns in parts:
        again = [
            rescored(f, own, lesson_scores(e.scores[:, :, rows, columns]))
            for f, own, e in zip(data.facts, lessons, data.exams, strict=True)
        ]
        total += marks(again, "sum")
        aucs.append(within_auc([scored_lessons(f) for f in again]))
    accuracy = (total / max(len(parts), 1)).tolist()
    gain = paired_difference(accuracy, marks(data.facts, "sc"), clusters, draws=BOOTSTRAP_DRAWS)
    known = [a for a in aucs if a is not None]
    auc = sum(known) / len(known) if known else None
    return ExamSize(problems, repeats, len(parts), _mean(accuracy, clusters), gain, auc)


def clusters_of(facts: Sequence[Facts]) -> list[str]:
    """What each problem is resampled with."""
    return [f.problem.cluster or f.problem.id for f in facts]


def marks(facts: Sequence[Facts], arm: str) -> list[float]:
    """1 for each problem that an arm got right, else 0."""
    return [float(f.correct.get(arm, False)) for f in facts]


def scored_lessons(facts: Facts) -> tuple[list[float], list[bool]]:
    """The scores of a problem's lessons that have one, and whether each is right."""
    pairs = [(s, r) for s, r in zip(facts.scores, facts.lesson_right, strict=True) if s is not None]
    return [s for s, _ in pairs], [r for _, r in pairs]


def _of_kind(facts: Facts, exams: Exams, kind: str) -> NDArray[np.bool_]:
    """Which lessons are of a kind of `Follow`."""
    if kind == "reference":
        return np.array(exams.reference, bool)
    right = np.array(facts.lesson_right, bool)
    return right if kind == "right" else ~right


def _right_answers(exams: Exams, student: str, lessons: NDArray[np.bool_]) -> tuple[float, float]:
    """A student's right exam answers, and all that count, after some of the lessons."""
    if student not in exams.students:
        return 0.0, 0.0
    own = exams.scores[lessons, exams.students.index(student)]
    return float(np.nansum(own)), float(np.isfinite(own).sum())


def _mean(values: Sequence[float], clusters: Sequence[str]) -> Interval:
    return mean_ci(values, clusters, draws=BOOTSTRAP_DRAWS)
