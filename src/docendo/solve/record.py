"""What a solved problem leaves in the store: rows, and nothing that could not be read back."""

from __future__ import annotations

from typing import Literal, TypedDict

from docendo.exams.ways import WRITTEN
from docendo.solve.road import Solved
from docendo.solve.teach import Sample
from docendo.store import DecisionRow, ExamRow, LessonRow, SampleRow, SelectionRow, SittingRow
from docendo.types import Problem


class Facts(TypedDict):
    """The rows of one problem, as `Store.finish_problem` takes them."""

    samples: list[SampleRow]
    lessons: list[LessonRow]
    exam_answers: list[ExamRow]
    decisions: list[DecisionRow]
    sitting: SittingRow
    written: tuple[SelectionRow, tuple[Problem, ...]] | None


def facts_of(solved: Solved) -> Facts:
    """Every fact of a solved problem."""
    id, written = solved.problem.id, solved.written
    greedy = [solved.greedy] if solved.greedy is not None else []
    return {
        "samples": [_sample(id, s) for s in (*greedy, *solved.samples, *solved.extra, *solved.revisions)]
        + [SampleRow(id, "draft", d.index, _request(d), None, d.grade) for d in solved.drafts],
        "lessons": [LessonRow(id, s.lesson, s.score, s.by_student) for s in solved.lessons],
        "exam_answers": [
            ExamRow(id, a.lesson, a.problem, a.student, a.repeat, a.request, a.repeat, a.grade)
            for s in solved.lessons
            for a in s.answers
        ],
        "decisions": [DecisionRow(id, c, solved.correct(c)) for c in solved.choices.values()],
        "sitting": SittingRow(id, solved.sitting),
        "written": None
        if written is None
        else (
            SelectionRow(id, WRITTEN, tuple(p.id for p in written.problems), written.excluded),
            written.problems,
        ),
    }


def _sample(problem: str, sample: Sample) -> SampleRow:
    lesson = sample.lesson.id if sample.lesson is not None else None
    if sample.call is None:
        return SampleRow(problem, "given", sample.index, None, lesson, sample.grade)
    if sample.arm == "teach":
        return SampleRow(
            problem, "teach", sample.index, _request(sample.draft or sample), lesson, sample.grade
        )
    # The others became no lesson, even where one like them did.
    others: tuple[Literal["greedy", "sc", "debug"], ...] = ("greedy", "sc", "debug")
    arm = next(name for name in others if name == sample.arm)
    return SampleRow(problem, arm, sample.index, _request(sample), None, sample.grade)


def _request(sample: Sample) -> str | None:
    return sample.call.request if sample.call is not None else None
