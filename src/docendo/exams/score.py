"""What exam answers say of a lesson: its LbT score, the share that students get right after it."""

from __future__ import annotations

from collections.abc import Sequence

from docendo.types import ExamAnswer


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
