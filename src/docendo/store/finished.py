"""What finished problems came to: samples, lessons, exam answers, decisions, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from docendo.store.calls import TOKENS
from docendo.store.file import RunFile
from docendo.store.rows import DecisionRow, DoneRow, ExamRow, LessonRow, SampleRow, SittingRow
from docendo.store.schema import grade_of, utf8
from docendo.types import Choice, Example, GradeState, Lesson, Sitting, Usage

_SUMS = ", ".join(f"SUM({column})" for column in TOKENS.split(", "))


class FinishedView(RunFile):
    """What can be read of finished problems; a part of `RunView`."""

    def done_ids(self) -> set[str]:
        """The ids of the problems whose facts are all here."""
        return {problem for (problem,) in self._rows("SELECT problem FROM done")}

    def done(self, problem: str | None = None) -> Iterator[DoneRow]:
        """When and how fast problems (or one) were finished."""
        for row in self._facts("problem, seconds, time", "done", problem):
            yield DoneRow(*row)

    def samples(self, problem: str | None = None) -> Iterator[SampleRow]:
        """The teacher's graded samples of the finished problems (or of one)."""
        columns = "problem, arm, sample, request, lesson, state, score, answer, key, detail"
        for row in self._facts(columns, "samples", problem):
            yield SampleRow(*(*row[:5], grade_of(row[5:])))

    def lessons(self, problem: str | None = None) -> Iterator[LessonRow]:
        """The distinct lessons of the finished problems (or of one), with their LbT scores."""
        for id, examples, score, by_student in self._facts(
            "problem, examples, score, by_student", "lessons", problem
        ):
            lesson = Lesson(tuple(Example(*example) for example in json.loads(examples)))
            yield LessonRow(id, lesson, score, json.loads(by_student))

    def exam_answers(self, problem: str | None = None) -> Iterator[ExamRow]:
        """The students' graded exam answers of the finished problems (or of one)."""
        columns = "problem, lesson, exam_problem, student, repeat, request, sample, state, score, answer, key, detail"
        for row in self._facts(columns, "exam_answers", problem):
            yield ExamRow(*(*row[:7], grade_of(row[7:])))

    def samples_spent(self) -> Iterator[tuple[SampleRow, str | None, Usage]]:
        """`samples` of all finished problems, each with the model that answered and what it cost."""
        columns = "problem, arm, fact.sample, fact.request, lesson, state, score, answer, key, detail, model"
        join = "LEFT JOIN replies ON (replies.request, replies.sample) = (fact.request, fact.sample)"
        for row in self._facts(f"{columns}, {TOKENS}", "samples", None, join):
            usage = Usage() if row[10] is None else Usage(*row[11:])
            yield SampleRow(*(*row[:5], grade_of(row[5:10]))), row[10], usage

    def exams_spent(self) -> Iterator[tuple[str, str, str, Usage]]:
        """What the exams after each lesson cost, by model: (problem, lesson, model, usage)."""
        for row in self._rows(
            f"SELECT problem, lesson, model, {_SUMS} FROM exam_answers AS fact "
            "JOIN replies ON (replies.request, replies.sample) = (fact.request, fact.sample) "
            "GROUP BY problem, lesson, model"
        ):
            yield row[0], row[1], row[2], Usage(*row[3:])

    def writing_spent(self) -> Iterator[tuple[str, str, Usage]]:
        """What it cost to write the finished problems' exams and to answer them for golds: (problem, model, usage)."""
        done = self.done_ids()
        for batch, purpose, model, *tokens in self._rows(
            f"SELECT batch, purpose, model, {_SUMS} FROM replies WHERE purpose IN ('write', 'gold') "
            "GROUP BY batch, purpose, model"
        ):
            problem = batch.removeprefix(f"{purpose} {model} ")
            if problem in done:
                yield problem, model, Usage(*tokens)

    def exam_states(self) -> Iterator[tuple[str, GradeState, int]]:
        """How the exam answers of each finished problem were graded: (problem, state, how many)."""
        sql = "SELECT problem, state, COUNT(*) FROM exam_answers GROUP BY problem, state"
        for problem, state, count in self._rows(sql):
            yield problem, GradeState(state), count

    def uncounted(self) -> tuple[int, int, int]:
        """How many lessons have exam answers that count neither way, being cut or failed.

        Of these, how many have none that counts of one student or more, but of others; and how many have none at all.
        """
        sql = (
            "SELECT COUNT(*), SUM(total > 0 AND least = 0), SUM(total = 0) FROM "
            "(SELECT SUM(counted) AS total, MIN(counted) AS least FROM "
            "(SELECT problem, lesson, SUM(state IN ('ok', 'ungradable')) AS counted FROM exam_answers "
            "WHERE (problem, lesson) IN "
            "(SELECT problem, lesson FROM exam_answers WHERE state IN ('truncated', 'failed')) "
            "GROUP BY problem, lesson, student) GROUP BY problem, lesson)"
        )
        lessons, without, none = next(iter(self._rows(sql)))
        return lessons, without or 0, none or 0

    def decisions(self, problem: str | None = None) -> Iterator[DecisionRow]:
        """What each choice rule picked for the finished problems (or for one)."""
        yield from self._chosen("decisions", problem)

    def provisional(self) -> Iterator[DecisionRow]:
        """What each choice rule picked, from what there was, for problems that a budget cut short."""
        yield from self._chosen("provisional", None)

    def _chosen(self, table: str, problem: str | None) -> Iterator[DecisionRow]:
        columns = "problem, rule, answer, key, weight, correct"
        for id, rule, answer, key, weight, correct in self._facts(columns, table, problem):
            right = None if correct is None else bool(correct)
            yield DecisionRow(id, Choice(rule, answer, key, weight), right)

    def sittings(self, problem: str | None = None) -> Iterator[SittingRow]:
        """How much was asked in the exams of the finished problems (or of one)."""
        for id, *said in self._facts("problem, planned, asked, rounds, ended, chance", "sittings", problem):
            yield SittingRow(id, Sitting(*said))

    def _facts(self, columns: str, table: str, problem: str | None, join: str = "") -> Iterator[Any]:
        """Rows of one of the tables that hold a problem's facts, in the order of the plan."""
        if problem is not None:
            sql = f"SELECT {columns} FROM {table} WHERE problem = CAST(? AS TEXT) ORDER BY rowid"
            return self._rows(sql, (utf8(problem),))
        return self._rows(
            f"SELECT {columns} FROM problems JOIN {table} AS fact ON problem = problems.id {join} "
            "WHERE role = 'taught' ORDER BY position, fact.rowid"
        )
