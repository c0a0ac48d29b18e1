"""Reading the study's runs into arrays: what the tables need of each problem, and every exam answer's score.

What the figures mean is left to `analyse`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from docendo.solve.choose import choose
from docendo.solve.facts import Facts, gather
from docendo.solve.run import Run
from docendo.types import Example, Grade, GradeState, Lesson, Problem, ScoredLesson

Floats = NDArray[np.float64]
_BLANK = Lesson((Example("", "", ""),))


@dataclass(frozen=True, slots=True)
class Exams:
    """One problem's exam answers.

    `scores` (lessons, students, exam problems, repeats) are in [0, 1], NaN where an answer does not count; lessons
    as in `Facts.scores`. `reference` says which lessons' working (for code: program) is the problem's reference
    solution, word for word.
    """

    scores: Floats
    students: tuple[str, ...]
    reference: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """One run: the facts of each judged problem in the order of the plan, and its exams beside it."""

    facts: Sequence[Facts]
    exams: Sequence[Exams]


def read(run: Run) -> Data:
    """Read a run's judged problems."""
    with run.view() as view, view.snapshot():
        facts = [f for f in gather(view) if f.problem.judgeable]
        lessons: dict[str, list[str]] = {f.problem.id: [] for f in facts}
        reference: dict[str, list[bool]] = {f.problem.id: [] for f in facts}
        taught = {f.problem.id: f.problem for f in facts}
        for row in view.lessons():
            if row.problem in lessons:
                lessons[row.problem].append(row.lesson.id)
                reference[row.problem].append(_is_reference(taught[row.problem], row.lesson.examples[0]))
        marks: dict[str, dict[tuple[str, str, str, int], float]] = {f.problem.id: {} for f in facts}
        for answer in view.exam_answers():
            if answer.problem in marks:
                score = np.nan if answer.grade.score is None else answer.grade.score
                key = (answer.lesson, answer.student, answer.exam_problem, answer.repeat)
                marks[answer.problem][key] = score
    ids = [f.problem.id for f in facts]
    return Data(facts, [_exams(lessons[id], marks[id], reference[id]) for id in ids])


def _is_reference(problem: Problem, example: Example) -> bool:
    """Whether an example is solved as the reference does: a program is its own working."""
    own = example.answer if problem.kind == "code" else example.rationale
    return own.split() == (problem.solution or "").split()


def _exams(
    ids: Sequence[str], marks: dict[tuple[str, str, str, int], float], reference: Sequence[bool]
) -> Exams:
    """The answers as one array; lessons may have different exam problems, which then stand in their own order."""
    students = tuple(dict.fromkeys(key[1] for key in marks))
    asked: dict[str, dict[str, int]] = {id: {} for id in ids}
    for lesson, _, problem, _ in marks:
        asked[lesson].setdefault(problem, len(asked[lesson]))
    most = max((len(own) for own in asked.values()), default=0)
    repeats = 1 + max((key[3] for key in marks), default=-1)
    scores = np.full((len(ids), len(students), most, repeats), np.nan)
    row = {id: i for i, id in enumerate(ids)}
    column = {student: i for i, student in enumerate(students)}
    for (lesson, student, problem, repeat), score in marks.items():
        scores[row[lesson], column[student], asked[lesson][problem], repeat] = score
    return Exams(scores, students, tuple(reference))


def lesson_scores(scores: Floats) -> list[float | None]:
    """LbT scores of lessons from (lessons, students, exam problems, repeats): the mean of the students' means."""
    counted = np.isfinite(scores)
    number = counted.sum(axis=(2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.where(counted, scores, 0.0).sum(axis=(2, 3)) / number
    seen = number > 0
    total = np.where(seen, own, 0.0).sum(axis=1)
    students = seen.sum(axis=1)
    return [float(t / n) if n else None for t, n in zip(total, students, strict=True)]


def unscored(facts: Facts) -> list[ScoredLesson]:
    """A problem's lessons as `choose` takes them, each with its samples and its answer, and no score yet.

    In the order of `Facts.scores`; texts are left out, since no rule reads them.
    """
    samples: list[list[int]] = [[] for _ in facts.scores]
    for sample, lesson in enumerate(facts.lesson):
        if lesson >= 0:
            samples[lesson].append(sample)
    found = []
    for own in samples:
        key = facts.keys[own[0]] if own else None
        found.append(ScoredLesson(_BLANK, Grade(GradeState.OK, None, key, key), tuple(own), None, {}))
    return found


def rescored(
    facts: Facts, lessons: Sequence[ScoredLesson], scores: Sequence[float | None], rule: str = "sum"
) -> Facts:
    """The same problem with other LbT scores, decided again by the rule's own code.

    Args:
        facts: the problem.
        lessons: its `unscored` lessons.
        scores: their scores, in the same order.
        rule: a choice rule.
    """
    again = [replace(lesson, score=score) for lesson, score in zip(lessons, scores, strict=True)]
    right = {key for key, good in zip(facts.keys, facts.right, strict=True) if good}
    correct = facts.correct | {rule: choose(rule, again).key in right}
    return replace(facts, scores=list(scores), correct=correct)
