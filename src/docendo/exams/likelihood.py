"""Exams by likelihood (regime B): how likely the exam problems' worked solutions are to a student after each lesson.

Nothing is written, so one call a student, lesson and exam problem is enough, and its score has no luck of sampling in
it. It needs worked solutions, and students that tell log-likelihoods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from docendo.models.base import Ask
from docendo.types import (
    Call,
    Exam,
    ExamAnswer,
    Grade,
    GradeState,
    Lesson,
    Problem,
    ScoredLesson,
    Sitting,
)

Floats = NDArray[np.float64]

# (student, lesson, exam problem, continuation, batch, batch size) -> the call
Telling = Callable[[str, Lesson, Problem, str, str, int], Call]


async def examine_by_likelihood(
    name: str,
    lessons: Sequence[tuple[Lesson, Grade, tuple[int, ...]]],
    exam: Exam,
    telling: Telling,
    ask: Ask,
) -> tuple[tuple[ScoredLesson, ...], Sitting]:
    """Ask every student how likely each exam problem's worked solution is after each lesson.

    Args:
        name: names the batches, one a student: the taught problem's id.
        lessons: distinct lessons, each with its own grade and the indices of the samples that wrote it.
        exam: problems with solutions, and students; `repeats` has no meaning here.
        telling: makes the call of one question.
        ask: the gateway.

    Returns:
        The lessons in the same order, scores by `weights` (the mean over students); what was asked is in their
        answers, whose grades have no score, as nothing can be right or wrong.
    """
    size = len(lessons) * len(exam.problems)
    seats = [(s, i, p) for s in exam.students for i in range(len(lessons)) for p in exam.problems]
    calls = [telling(s, lessons[i][0], p, worked(p), f"likelihood {s} {name}", size) for s, i, p in seats]
    logs = np.full((len(exam.students), len(lessons), len(exam.problems)), np.nan)
    answers: list[list[ExamAnswer]] = [[] for _ in lessons]
    for at, (call, reply) in enumerate(zip(calls, await ask(calls) if calls else [], strict=True)):
        student, i, problem = seats[at]
        told = reply.stop != "error"
        if told:
            logs.reshape(-1)[at] = float(reply.text)
        state = GradeState.OK if told else GradeState.FAILED
        answers[i].append(
            ExamAnswer(
                lessons[i][0].id,
                problem.id,
                student,
                0,
                reply.text,
                Grade(state),
                reply.usage,
                call.request,
            )
        )
    own = np.array([weights(of_student) for of_student in logs]).reshape(len(exam.students), len(lessons))
    scored = []
    for i, (lesson, grade, samples) in enumerate(lessons):
        by_student = {
            s: None if np.isnan(w) else float(w) for s, w in zip(exam.students, own[:, i], strict=True)
        }
        known = [w for w in by_student.values() if w is not None]
        score = sum(known) / len(known) if known else None
        scored.append(ScoredLesson(lesson, grade, samples, score, by_student, tuple(answers[i])))
    return tuple(scored), Sitting(len(calls), len(calls), int(bool(calls)), "complete")


def worked(problem: Problem) -> str:
    """What a student would write who solved an exam problem as its reference solution does."""
    return f" {problem.solution}\nAnswer: {problem.answer}"


def weights(logs: Floats) -> Floats:
    """One student's log-likelihoods (lessons, exam problems) as lesson scores in (0, 1], 1 for the best lesson.

    The scores are exp((m - max m) / t) of the mean log-likelihoods m, each problem's own mean over the lessons taken
    off first, so that a lesson that misses a hard problem is not favoured. The temperature t is the student's own: the
    standard error of those means, by how much the exam problems disagree on the lessons, and at least 1. So where the
    problems agree the scores are the lessons' posterior by these solutions, and where they do not, nearly flat. NaN for
    a lesson of which nothing is known.
    """
    with np.errstate(invalid="ignore"):
        seen = np.isfinite(logs)
        count = np.maximum(seen.sum(axis=0, keepdims=True), 1)
        apart = logs - np.where(seen, logs, 0.0).sum(axis=0, keepdims=True) / count
        number = seen.sum(axis=1)
        mean = np.where(seen, apart, 0.0).sum(axis=1) / np.maximum(number, 1)
        off = np.where(seen, apart - mean[:, None], 0.0)
    several = number > 1
    error = (
        ((off**2).sum(axis=1)[several] / (number[several] - 1) / number[several]).mean()
        if several.any()
        else 0.0
    )
    mean = np.where(number > 0, mean, np.nan)
    if not (number > 0).any():
        return mean
    found: Floats = np.exp((mean - np.nanmax(mean)) / max(1.0, float(np.sqrt(error))))
    return found
