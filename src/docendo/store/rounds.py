"""Rounds of refining in the store: their rows, and how they are read; written by `Store.finish_round`.

As everywhere in the store texts of models are not in the rows: they are replies, found by a row's request and sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from docendo.store.file import RunFile
from docendo.store.rows import Key
from docendo.store.schema import grade_of, graded, utf8
from docendo.types import Example, Grade, Lesson


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round: `data` has what stands in no table (beam, minibatch, ...) as JSON; `time` is UTC (ISO 8601)."""

    round: int
    best: str
    data: Mapping[str, Any]
    seconds: float = 0.0
    time: str = ""


@dataclass(frozen=True, slots=True)
class SetRow:
    """A set of examples: from where it comes, the sets and reflections it was made from, the reply it was read from."""

    lesson: Lesson
    round: int
    how: str
    parents: tuple[str, ...] = ()
    reflections: tuple[str, ...] = ()
    call: Key | None = None


@dataclass(frozen=True, slots=True)
class ReflectionRow:
    """What the teacher made of failures with the set `parent`, each (student, problem, answer, request, sample)."""

    id: str
    round: int
    parent: str
    failures: tuple[tuple[str, str, str, str, int], ...]
    call: Key


@dataclass(frozen=True, slots=True)
class RejectionRow:
    """A reply that nothing was made of, and why."""

    round: int
    how: str
    reason: str
    detail: str
    parents: tuple[str, ...]
    call: Key


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A model's answer to a problem of one part of the task after a set; `repeat` is the reply's sample."""

    lesson: str
    problem: str
    part: str
    model: str
    repeat: int
    round: int
    request: str
    grade: Grade


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """All facts of one round."""

    row: RoundRow
    sets: Sequence[SetRow] = ()
    reflections: Sequence[ReflectionRow] = ()
    rejections: Sequence[RejectionRow] = ()
    answers: Sequence[AnswerRow] = field(default=())


# The columns of each table as `insert` of the store takes them: "t" for text given as UTF-8, "." for anything else.
SHAPES = {
    "refine_rounds": ".....",
    "refine_sets": "...t....",
    "refine_reflections": "...t..",
    "refine_rejections": "...t...",
    "refine_answers": ".t.......ttt",
}


def tuples(facts: RoundFacts, time: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table, in the order in which they must be inserted."""
    row = facts.row
    return {
        "refine_rounds": [(row.round, row.best, json.dumps(dict(row.data)), row.seconds, time)],
        "refine_sets": [
            (
                s.lesson.id,
                s.round,
                s.how,
                utf8(json.dumps([[e.question, e.rationale, e.answer] for e in s.lesson.examples])),
                json.dumps(s.parents),
                json.dumps(s.reflections),
                *(s.call or (None, None)),
            )
            for s in facts.sets
        ],
        "refine_reflections": [
            (r.id, r.round, r.parent, utf8(json.dumps(r.failures)), *r.call) for r in facts.reflections
        ],
        "refine_rejections": [
            (r.round, r.how, r.reason, utf8(r.detail), json.dumps(r.parents), *r.call)
            for r in facts.rejections
        ],
        "refine_answers": [
            (a.lesson, utf8(a.problem), a.part, a.model, a.repeat, a.round, a.request, *graded(a.grade))
            for a in facts.answers
        ],
    }


class RoundsView(RunFile):
    """What can be read of the rounds of a run; a part of `RunView`."""

    def rounds(self) -> Iterator[RoundRow]:
        """The whole rounds, in order."""
        for row in self._rows("SELECT round, best, data, seconds, time FROM refine_rounds ORDER BY round"):
            yield RoundRow(row[0], row[1], json.loads(row[2]), *row[3:])

    def sets(self) -> Iterator[SetRow]:
        """Every set that was examined, oldest first."""
        sql = "SELECT round, how, examples, parents, reflections, request, sample FROM refine_sets ORDER BY rowid"
        for round, how, examples, parents, reflections, request, sample in self._rows(sql):
            lesson = Lesson(tuple(Example(*example) for example in json.loads(examples)))
            call = None if request is None else (request, sample)
            yield SetRow(lesson, round, how, tuple(json.loads(parents)), tuple(json.loads(reflections)), call)

    def reflections(self) -> Iterator[ReflectionRow]:
        """Every reflection, oldest first."""
        sql = "SELECT id, round, parent, failures, request, sample FROM refine_reflections ORDER BY rowid"
        for id, round, parent, failures, *call in self._rows(sql):
            told = tuple((f[0], f[1], f[2], f[3], f[4]) for f in json.loads(failures))
            yield ReflectionRow(id, round, parent, told, (call[0], call[1]))

    def rejections(self) -> Iterator[RejectionRow]:
        """Every reply that nothing was made of, oldest first."""
        sql = "SELECT round, how, reason, detail, parents, request, sample FROM refine_rejections ORDER BY rowid"
        for round, how, reason, detail, parents, *call in self._rows(sql):
            yield RejectionRow(round, how, reason, detail, tuple(json.loads(parents)), (call[0], call[1]))

    def round_answers(self) -> Iterator[AnswerRow]:
        """Every answer after a set, oldest first."""
        columns = "lesson, problem, part, model, repeat, round, request, state, score, answer, key, detail"
        for row in self._rows(f"SELECT {columns} FROM refine_answers ORDER BY rowid"):
            yield AnswerRow(*(*row[:7], grade_of(row[7:])))
