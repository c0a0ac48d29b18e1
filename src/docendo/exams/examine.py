"""Examine: students take an exam after each lesson; what they get right is its LbT score (paper, section 3.1).

The whole exam at once (`examine`, the paper's), or in rounds until the choice is settled (`examine_adaptively`);
which questions a round has is left to `allocate`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from docendo.exams.allocate import plan_next
from docendo.exams.forecast import Forecast
from docendo.exams.score import lbt_scores
from docendo.exams.standing import Seat, Standing
from docendo.exams.ways import Settle
from docendo.grading import agrade
from docendo.models.base import Ask
from docendo.types import Call, Exam, ExamAnswer, Grade, Lesson, Problem, ScoredLesson, Sitting

# (student, lesson, exam problem, repeat, batch, batch size) -> the call
Asking = Callable[[str, Lesson, Problem, int, str, int], Call]

Drafted = tuple[Lesson, Grade, tuple[int, ...]]
"""A distinct lesson, its own grade, and the indices of the samples that wrote it."""


class Judging(Protocol):
    """Who grades the answers."""

    def __call__(
        self, problem: Problem, text: str, *, truncated: bool, failed: bool, exam: bool
    ) -> Coroutine[Any, Any, Grade]:
        """As `grading.agrade`."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One problem's lessons with their exams behind them, and how much was asked."""

    lessons: tuple[ScoredLesson, ...]
    sitting: Sitting


async def examine(
    name: str,
    lessons: Sequence[Drafted],
    exam: Exam,
    asking: Asking,
    ask: Ask,
    *,
    weighed: bool = False,
    judge: Judging = agrade,
) -> Examined:
    """Examine lessons, every student on every exam problem `exam.repeats` times.

    Args:
        name: names the batches, one a student: the taught problem's id.
        lessons: distinct lessons.
        exam: problems, students, repeats.
        asking: makes the call of one exam question.
        ask: the gateway.
        weighed: whether several students are pooled by what each one's answers tell, and not by their mean.
        judge: grades the answers.

    Returns:
        The lessons in the same order, each with its exam answers and scores in [0, 1].
    """
    seats = [
        Seat(student, lesson, problem, repeat)
        for student in range(len(exam.students))
        for lesson in range(len(lessons))
        for problem in range(len(exam.problems))
        for repeat in range(exam.repeats)
    ]
    answers = await _ask(name, seats, lessons, exam, asking, ask, judge)
    standing = _standing(lessons, exam, weighed)
    for seat, (_, answer) in zip(seats, answers, strict=True):
        standing.note(seat, answer.grade.score)
    scores = standing.scores(standing.right.sum(axis=2), standing.counted.sum(axis=2).astype(float)).tolist()
    scored = []
    for i, mine in enumerate(_by_lesson(answers, len(lessons))):
        lesson, own, samples = lessons[i]
        score, by_student = lbt_scores(mine, exam.students)
        if weighed:
            score = None if math.isnan(scores[i]) else scores[i]
        scored.append(ScoredLesson(lesson, own, samples, score, by_student, tuple(mine)))
    return Examined(tuple(scored), Sitting(len(seats), len(seats), int(bool(seats)), "complete"))


async def examine_adaptively(
    name: str,
    lessons: Sequence[Drafted],
    exam: Exam,
    asking: Asking,
    ask: Ask,
    *,
    settle: Settle,
    certainty: float,
    seed: int,
    weighed: bool = False,
    judge: Judging = agrade,
) -> Examined:
    """Examine lessons in rounds, and only while the choice between their answers is open.

    Each round is a batch a student, named by its number: which questions it has follows from the answers before
    it, so a run that was cut asks the same again.

    Args:
        name: as for `examine`.
        lessons: as for `examine`.
        exam: the whole exam, of which as little as possible is asked.
        asking: as for `examine`.
        ask: as for `examine`.
        settle: the rule whose choice is to be settled.
        certainty: the chance of the whole exam's choice at which to stop; 1 leaves no doubt.
        seed: the run's.
        weighed: as for `examine`; then nothing is beyond doubt before everything was asked.
        judge: as for `examine`.

    Returns:
        The lessons in the same order. A lesson's score is what it can be expected to end the whole exam with, from
        its own answers and those of lessons with the same answer; None where nothing was asked of any lesson.
    """
    standing = _standing(lessons, exam, weighed)
    answers: list[tuple[int, ExamAnswer]] = []
    rounds = 0
    while True:
        step = plan_next(standing, settle, certainty, f"{seed} {rounds} {name}")
        if step.ended is not None:
            break
        rounds += 1
        found = await _ask(f"{name} round {rounds}", step.seats, lessons, exam, asking, ask, judge)
        for seat, (_, answer) in zip(step.seats, found, strict=True):
            standing.note(seat, answer.grade.score)
        answers += found
    expected = Forecast(standing).expected().tolist() if answers else [math.nan] * len(lessons)
    scored = []
    for i, mine in enumerate(_by_lesson(answers, len(lessons))):
        lesson, own, samples = lessons[i]
        _, by_student = lbt_scores(mine, exam.students)
        score = None if math.isnan(expected[i]) or own.key is None else expected[i]
        scored.append(ScoredLesson(lesson, own, samples, score, by_student, tuple(mine)))
    planned = int(standing.asked.size) * exam.repeats
    return Examined(tuple(scored), Sitting(planned, len(answers), rounds, step.ended, step.chance))


def _standing(lessons: Sequence[Drafted], exam: Exam, weighed: bool) -> Standing:
    own = [(grade, samples) for _, grade, samples in lessons]
    return Standing(own, len(exam.students), len(exam.problems), exam.repeats, weighed=weighed)


async def _ask(
    name: str,
    seats: Sequence[Seat],
    lessons: Sequence[Drafted],
    exam: Exam,
    asking: Asking,
    ask: Ask,
    judge: Judging,
) -> list[tuple[int, ExamAnswer]]:
    """The graded answers to some exam questions, each with the index of its lesson; a student's are one batch."""
    if not seats:
        return []
    sizes = [sum(seat.student == student for seat in seats) for student in range(len(exam.students))]
    calls = [
        asking(
            exam.students[s.student],
            lessons[s.lesson][0],
            exam.problems[s.problem],
            s.repeat,
            f"exam {exam.students[s.student]} {name}",
            sizes[s.student],
        )
        for s in seats
    ]
    replies = await ask(calls)
    grades = await asyncio.gather(
        *(
            judge(
                exam.problems[seat.problem],
                reply.text,
                truncated=reply.stop == "length",
                failed=reply.stop == "error",
                exam=True,
            )
            for seat, reply in zip(seats, replies, strict=True)
        )
    )
    found = []
    for seat, call, reply, judged in zip(seats, calls, replies, grades, strict=True):
        problem, lesson = exam.problems[seat.problem], lessons[seat.lesson][0]
        student = exam.students[seat.student]
        answer = ExamAnswer(
            lesson.id, problem.id, student, seat.repeat, reply.text, judged, reply.usage, call.request
        )
        found.append((seat.lesson, answer))
    return found


def _by_lesson(answers: Sequence[tuple[int, ExamAnswer]], lessons: int) -> list[list[ExamAnswer]]:
    own: list[list[ExamAnswer]] = [[] for _ in range(lessons)]
    for lesson, answer in answers:
        own[lesson].append(answer)
    return own
