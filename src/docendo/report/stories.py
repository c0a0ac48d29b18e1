"""The problems' stories: what the explorer shows of each, as compact data for report.js.

Texts go into one table of strings, each once; a problem refers to them by number. Groups of answers are
those of `solve.choose`, so that what is shown is what the rules saw. The shape (a `#` is a string's number):

    strings, students, groups
    problems: [{
      id, g: index in groups or -1, q: # question, a: # gold answer or -1,
      n: taught samples, e: extra samples, text: whether the workings are here,
      r: {rule: [# answer or -1, mark, weight]},
      k: [{a: # answer, m: mark, c: samples, t: sum of scores, v: mean, h: highest, l: [
          {w: # working, s: # answer as written, c: samples, p: score, b: [score by student],
           e: [[index in x, student, repeat, mark, # text, # answer read or -1]]}]}],
      x: [[# question, # gold answer]] of the exam,
      u: [[mark, # text]] samples that became no lesson, y: [mark, # text] the greedy sample or null}]

Marks are "right", "wrong", "none" (no gold answer to compare with), "ungradable", "truncated" and "failed",
as their index in `MARKS`. Scores are null where there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from docendo.solve.choose import AnswerGroup, answer_groups
from docendo.solve.summary import Summary
from docendo.store import ExamRow, ProblemRecord, RunView, SampleRow
from docendo.types import Grade, GradeState, ScoredLesson

MARKS = ("right", "wrong", "none", "ungradable", "truncated", "failed")

MOST = 12_000_000
"""Bytes of stories on the page. Beyond it, problems come without their workings, those on which SUM and SC
agree first: a page that cannot be opened or sent shows nothing at all."""

ROW = 32
"""Bytes of an exam answer beside its texts, at most."""


# Not allowed in HTML, or not in UTF-8; models and users may have written them all the same.
_UNFIT = re.compile("[\0\ud800-\udfff]")


def fit(text: str) -> str:
    """The text with characters that no page can hold replaced by the replacement character."""
    return _UNFIT.sub("\ufffd", text)


class Strings:
    """A table in which each text stands once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.size = 0
        self._numbers: dict[str, int] = {}

    def add(self, text: str | None) -> int:
        """The text's number; -1 for none."""
        if text is None:
            return -1
        text = fit(text)
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
            self.size += len(text.encode("utf-8")) + 3
        return self._numbers[text]


def collect(view: RunView, summary: Summary, groups: Sequence[str], most: int = MOST) -> dict[str, Any]:
    """Everything the explorer shows, of the finished problems in the order of the plan.

    Args:
        view: the run.
        summary: what was said of it; problems that were finished since are not shown.
        groups: the groups' names, in the order in which to offer them.
        most: bytes of stories.
    """
    strings, students = Strings(), view.config["settings"]["students"]
    teller = _Teller(strings, students, groups)
    ids = [f.problem.id for f in summary.facts]
    chosen: dict[str, dict[str, str | None]] = {}
    for d in view.decisions():
        chosen.setdefault(d.problem, {})[d.choice.rule] = d.choice.key
    agree = {id: chosen.get(id, {}).get("sum") == chosen.get(id, {}).get("maj") for id in ids}
    made: dict[str, dict[str, Any]] = {}
    rows = 0
    for id in sorted(ids, key=agree.__getitem__):
        record = view.problem_record(id)
        texts = strings.size + ROW * rows < most
        made[id] = teller.story(record, texts=texts)
        rows += len(record.exam_answers) if texts else 0
    return {
        "strings": strings.texts,
        "students": students,
        "groups": [fit(name) for name in groups],
        "problems": [made[id] for id in ids],
    }


@dataclass(frozen=True, slots=True)
class _Teller:
    """What all stories share."""

    strings: Strings
    students: Sequence[str]
    groups: Sequence[str]

    def story(self, record: ProblemRecord, *, texts: bool) -> dict[str, Any]:
        """One problem's entry, with its workings or without."""
        add, problem = self.strings.add, record.problem
        taught = [s for s in record.samples if s.arm in ("teach", "given")]
        greedy = next((s for s in record.samples if s.arm == "greedy"), None)
        rows: dict[str, list[ExamRow]] = {}
        for row in record.exam_answers if texts else ():
            rows.setdefault(row.lesson, []).append(row)

        def sample(row: SampleRow) -> list[int]:
            return [_mark(row.grade), self._written(record, row) if texts else -1]

        return {
            "id": fit(problem.id),
            "g": self.groups.index(problem.group) if problem.group is not None else -1,
            "q": add(problem.question),
            "a": add(problem.answer),
            "n": len(taught),
            "e": sum(s.arm == "sc" for s in record.samples),
            "text": texts,
            "r": {
                d.choice.rule: [add(d.choice.answer), _judged(d.correct), _short(d.choice.weight)]
                for d in record.decisions
            },
            "k": [
                self._group(g) | {"l": [self._lesson(record, own, rows, texts=texts) for own in g.lessons]}
                for g in _groups(record, taught)
            ],
            "x": [[add(p.question), add(p.answer)] for p in record.exam.values()] if texts else [],
            "u": [sample(s) for s in taught if s.lesson is None],
            "y": None if greedy is None else sample(greedy),
        }

    def _group(self, group: AnswerGroup) -> dict[str, Any]:
        return {
            "a": self.strings.add(group.answer),
            "m": _mark(group.lessons[0].grade),
            "c": group.count,
            "t": _short(group.total),
            "v": _short(group.mean),
            "h": _short(group.max),
        }

    def _lesson(
        self, record: ProblemRecord, own: ScoredLesson, rows: Mapping[str, Sequence[ExamRow]], *, texts: bool
    ) -> dict[str, Any]:
        example = own.lesson.examples[-1]
        exam = list(record.exam)
        return {
            "w": self.strings.add(example.rationale) if texts else -1,
            "s": self.strings.add(example.answer),
            "c": len(own.samples),
            "p": _short(own.score),
            "b": [_short(own.by_student.get(name)) for name in self.students],
            "e": [
                [
                    exam.index(row.exam_problem),
                    self.students.index(row.student),
                    row.repeat,
                    _mark(row.grade),
                    self._written(record, row),
                    self.strings.add(row.grade.answer),
                ]
                for row in rows.get(own.lesson.id, ())
            ],
        }

    def _written(self, record: ProblemRecord, row: SampleRow | ExamRow) -> int:
        """What the model wrote; of a call or a grading that failed, why."""
        reply = record.reply(row)
        if reply is None:
            return -1
        if reply.stop == "error":
            return self.strings.add(f"the call failed: {reply.error}")
        if row.grade.state is GradeState.FAILED and row.grade.detail:
            why = json.loads(row.grade.detail).get("failed", "the grader failed")
            return self.strings.add(f"{reply.text}\n\n(Not graded: {why}.)")
        return self.strings.add(reply.text)


def _groups(record: ProblemRecord, taught: Sequence[SampleRow]) -> list[AnswerGroup]:
    """The answers with their lessons, in the order in which SUM prefers them."""
    samples: dict[str, list[SampleRow]] = {}
    for s in taught:
        if s.lesson is not None:
            samples.setdefault(s.lesson, []).append(s)
    lessons = [
        ScoredLesson(
            lesson=row.lesson,
            grade=samples[row.lesson.id][0].grade,
            samples=tuple(s.sample for s in samples[row.lesson.id]),
            score=row.score,
            by_student=row.by_student,
        )
        for row in record.lessons
        if row.lesson.id in samples
    ]
    return sorted(answer_groups(lessons), key=lambda g: (-g.total, -g.count, g.first))


def _mark(grade: Grade) -> int:
    if grade.state is not GradeState.OK:
        return MARKS.index(grade.state.value)
    return _judged(None if grade.score is None else grade.score == 1.0)


def _judged(right: bool | None) -> int:
    return MARKS.index("none" if right is None else "right" if right else "wrong")


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
