"""What exam answers say of a lesson: its LbT score, the share that students get right after it.

Several students are pooled by their mean, or weighed by what each one's answers tell: see `student_weights`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from docendo.types import ExamAnswer

Floats = NDArray[np.float64]

_PRIOR_LESSONS, _PRIOR_SIGNAL = 2.0, 0.05
"""What is believed of every student's signal before any answer, and how many lessons that belief is worth."""


def lbt_scores(
    answers: Sequence[ExamAnswer], students: Sequence[str]
) -> tuple[float | None, dict[str, float | None]]:
    """Return one lesson's LbT score, pooled and for each student (paper, section 3).

    Args:
        answers: all answers to one lesson's exam; those whose grade has no score are not counted.
        students: the names of all students, each once.

    Returns:
        The pooled score in [0, 1], which is the mean of the students' own scores, so that a student with
        fewer counted answers weighs as much as the others; and each student's own, the mean over their
        counted answers. None where no answer was counted.

    Raises:
        ValueError: an answer by somebody who is not among the students.
    """
    graded: dict[str, list[float]] = {student: [] for student in students}
    for answer in answers:
        if answer.student not in graded:
            raise ValueError(
                f"an exam answer by {answer.student!r}, who is not among the students {list(students)}"
            )
        if answer.grade.score is not None:
            graded[answer.student].append(answer.grade.score)
    by_student = {
        student: sum(scores) / len(scores) if scores else None for student, scores in graded.items()
    }
    own = [score for score in by_student.values() if score is not None]
    return (sum(own) / len(own) if own else None), by_student


def student_weights(right: Floats, counted: Floats) -> Floats:
    """How much each student's score is worth in the pooled one, from one problem's exams and no gold answer of it.

    A student's signal is the variance of its scores over lessons that its own noise does not explain; its weight
    is signal / noise. So one who passes (or fails) whatever the lesson says, or guesses, has little of it, and
    one who can be taught has much. Few lessons say little: the signal is shrunk to one value for all, as if two
    more lessons had shown it, and with fewer than two lessons all students weigh the same.

    Args:
        right: sums of the scores of counted answers, (lessons, students).
        counted: their numbers.

    Returns:
        Weights (students) that sum to 1.
    """
    weights = np.empty(right.shape[1])
    for student in range(right.shape[1]):
        n = counted[:, student]
        k, n = right[n > 0, student], n[n > 0]
        if not len(n):
            weights[student] = _PRIOR_SIGNAL  # never asked: it has no score to weigh
            continue
        share = (k + 0.5) / (n + 1)  # not k / n, by which whoever always passes would have no noise at all
        noise = float(np.mean(share * (1 - share) / n))
        over = max(0.0, float(np.var(k / n, ddof=1)) - noise) if len(n) > 1 else 0.0
        known = len(n) - 1
        signal = (known * over + _PRIOR_LESSONS * _PRIOR_SIGNAL) / (known + _PRIOR_LESSONS)
        weights[student] = signal / noise
    total: Floats = weights / weights.sum()
    return total if len(right) > 1 else np.full(len(weights), 1 / len(weights))


def pooled(right: Floats, counted: Floats, weights: Floats | None = None) -> Floats:
    """LbT scores (..., lessons) from sums of scores and counts (..., lessons, students).

    The mean of the students' means, weighed where `weights` (students) are given; students of whom nothing counts
    are left out, and where that is all of them the score is NaN.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        own = right / counted
    seen = np.isfinite(own)
    share = seen * (np.ones(own.shape[-1]) if weights is None else weights)
    total, whole = (np.where(seen, own, 0.0) * share).sum(axis=-1), share.sum(axis=-1)
    mean: Floats = np.where(whole > 0, total / np.where(whole > 0, whole, 1.0), np.nan)
    return mean
