"""Examine: students take an exam after each lesson; what they get right is its LbT score (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from docendo.exams.score import lbt_scores
from docendo.grading import grade
from docendo.models.base import Ask
from docendo.types import Call, Exam, ExamAnswer, Grade, Lesson, Problem, ScoredLesson

# (student, lesson, exam problem, repeat, batch, batch size) -> the call
Asking = Callable[[str, Lesson, Problem, int, str, int], Call]


async def examine(
    name: str,
    lessons: Sequence[tuple[Lesson, Grade, tuple[int, ...]]],
    exam: Exam,
    asking: Asking,
    ask: Ask,
) -> tuple[ScoredLesson, ...]:
    """Examine lessons, every student on every exam problem `exam.repeats` times.

    Args:
        name: names the batches, one a student: the taught problem's id.
        lessons: distinct lessons, each with its own grade and the indices of the samples that wrote it.
        exam: problems, students, repeats.
        asking: makes the call of one exam question.
        ask: the gateway.

    Returns:
        The lessons in the same order, each with its exam answers and scores in [0, 1].
    """
    if not lessons:
        return ()
    size = len(lessons) * len(exam.problems) * exam.repeats
    seats = [
        (student, lesson, problem, repeat)
        for student in exam.students
        for lesson, _, _ in lessons
        for problem in exam.problems
        for repeat in range(exam.repeats)
    ]
    calls = [asking(s, lesson, p, r, f"exam {s} {name}", size) for s, lesson, p, r in seats]
    replies = await ask(calls)
    answers: dict[str, list[ExamAnswer]] = {lesson.id: [] for lesson, _, _ in lessons}
    for (student, lesson, problem, repeat), call, reply in zip(seats, calls, replies, strict=True):
        judged = grade(problem, reply.text, truncated=reply.stop == "length", failed=reply.stop == "error")
        answers[lesson.id].append(
            ExamAnswer(lesson.id, problem.id, student, repeat, reply.text, judged, reply.usage, call.request)
        )
    scored = []
    for lesson, own, samples in lessons:
        pooled, by_student = lbt_scores(answers[lesson.id], exam.students)
        scored.append(ScoredLesson(lesson, own, samples, pooled, by_student, tuple(answers[lesson.id])))
    return tuple(scored)
