"""All answers to one problem's exams so far, and what no further answer can change.

What is likely to change is left to `forecast`, what to ask next to `allocate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from docendo.exams.score import pooled, student_weights
from docendo.exams.ways import Settle
from docendo.types import Grade

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SAME = 1e-9  # as in `choose`: weights closer than this are equal
_DULL_LESSONS = 2
"""Lessons of every answer (or all it has) that a question must have been asked after before it counts as dull."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One exam question: a student, a lesson and an exam problem by their indices, and which repeat."""

    student: int
    lesson: int
    problem: int
    repeat: int


class Standing:
    """One problem's lessons with the answers to their exams so far.

    `asked`, `counted` and `right` are arrays (lessons, students, problems): questions asked, those whose answer
    counts, and the sum of their scores. `groups` has the indices of the lessons with one answer, a group an answer,
    in the order in which ties are decided; lessons without a key have no vote and are in none. `votes` are each
    lesson's samples.

    Args:
        lessons: each lesson's grade and the indices of the samples that wrote it.
        students: how many a whole exam has.
        problems: how many a whole exam has.
        repeats: how often each student is asked each problem in a whole exam.
        weighed: whether several students are pooled by what each one's answers tell, and not by their mean.
    """

    def __init__(
        self,
        lessons: Sequence[tuple[Grade, tuple[int, ...]]],
        students: int,
        problems: int,
        repeats: int,
        *,
        weighed: bool = False,
    ) -> None:
        shape = (len(lessons), students, problems)
        self.repeats = repeats
        self.weighed = weighed and students > 1
        self.asked = np.zeros(shape, np.int64)
        self.counted = np.zeros(shape, np.int64)
        self.right = np.zeros(shape)
        self.votes = np.array([len(samples) for _, samples in lessons], np.int64)
        by_key: dict[str, list[int]] = {}
        for i, (grade, samples) in enumerate(lessons):
            if grade.key is not None and samples:
                by_key.setdefault(grade.key, []).append(i)

        def priority(own: list[int]) -> tuple[int, int]:
            return -sum(len(lessons[i][1]) for i in own), min(min(lessons[i][1]) for i in own)

        self.groups = [np.array(own, np.int64) for own in sorted(by_key.values(), key=priority)]

    def note(self, seat: Seat, score: float | None) -> None:
        """Take an answer in; `score` is None where it does not count."""
        at = (seat.lesson, seat.student, seat.problem)
        self.asked[at] += 1
        if score is not None:
            self.counted[at] += 1
            self.right[at] += score

    @property
    def open(self) -> Ints:
        """How often each (lesson, student, problem) can still be asked; 0 for lessons without a vote."""
        left = self.repeats - self.asked
        voting = np.zeros(len(left), bool)
        voting[[i for own in self.groups for i in own]] = True
        return np.where(voting[:, None, None], left, 0)

    def weights(self) -> Floats | None:
        """What each student weighs by the answers so far; None where all weigh the same."""
        if not self.weighed:
            return None
        return student_weights(self.right.sum(axis=2), self.counted.sum(axis=2).astype(np.float64))

    def scores(self, right: Floats, counted: Floats) -> Floats:
        """LbT scores (..., lessons) from sums and counts (..., lessons, students)."""
        return pooled(right, counted, self.weights())

    def dull(self) -> Bools:
        """Which (student, problem) tell nothing: every lesson asked passed it, or every one failed.

        At least two lessons of every answer must have been asked, or all where it has fewer.
        """
        found = np.full(self.asked.shape[1:], len(self.groups) > 1)
        for own in self.groups:
            found &= (self.counted[own] > 0).sum(axis=0) >= min(_DULL_LESSONS, len(own))
        right, counted = self.right.sum(axis=0), self.counted.sum(axis=0)
        alike: Bools = found & ((right == 0) | (right == counted))
        return alike

    def bounds(self) -> tuple[Floats, Floats]:
        """The lowest and the highest LbT score that each lesson can end with, by the mean of students; both can happen.

        All open answers wrong, or all right: an answer that will not count moves a score less than that. NaN
        where nothing counts.
        """
        right, counted = self.right.sum(axis=2), self.counted.sum(axis=2)
        left = self.open.sum(axis=2)
        whole = (counted + left).astype(np.float64)
        return pooled(right, whole), pooled(right + left, whole)

    def settled(self, settle: Settle) -> int | None:
        """The group that a rule chooses whatever the open answers are; None where several can win.

        Weighed students have no such bounds before the end, as every answer may change what one weighs.
        """
        if self.weighed:
            return None
        low, high = (self.group_weights(scores[None], settle)[0] for scores in self.bounds())
        groups = range(len(self.groups))
        for group in groups:
            # Whoever comes first in the order of the groups wins a tie.
            beats = (
                high[o] < low[group] * (1 - _SAME) if o < group else low[group] >= high[o] * (1 - _SAME)
                for o in groups
                if o != group
            )
            if all(beats):
                return group
        return None

    def choice(self, scores: Floats, settle: Settle) -> int:
        """The group that a rule chooses from the lessons' scores, with the ties of `choose`."""
        weights = self.group_weights(scores[None], settle)[0]
        return int((weights >= weights.max() * (1 - _SAME)).argmax())

    def group_weights(self, scores: Floats, settle: Settle) -> Floats:
        """What each group weighs under a rule: (rows, groups) from scores (rows, lessons)."""
        scores = np.nan_to_num(scores)
        if settle == "max":
            return np.stack([scores[:, own].max(axis=1) for own in self.groups], axis=1)
        return np.stack([scores[:, own] @ self.votes[own] for own in self.groups], axis=1)
