"""Reading a run: everything shown later comes from here, also while another process is writing the run.

Here are the plan and one problem's whole record; calls, finished problems and rounds have files of their own. Writing
is left to `run`, and what the figures mean to the reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from docendo.errors import StoreError
from docendo.store.calls import CallsView
from docendo.store.finished import FinishedView
from docendo.store.rounds import RoundsView
from docendo.store.rows import ModelRow, ProblemRecord, Role, SelectionRow
from docendo.store.schema import utf8
from docendo.types import Problem


class RunView(CallsView, FinishedView, RoundsView):
    """A run, opened for reading; a context manager.

    Rows of all problems come in the order of the plan, not in that of finishing, so that whatever is
    computed from them is the same however the work was interleaved or interrupted. Every iterator reads as it
    goes; several reads that must agree while the run is being written belong inside `with view.snapshot()`.
    """

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run was made with, its models as they were reached last; a resume goes by it.

        What else may be said of a model is as it was; `info` has the configuration as it was in all.
        """
        config = dict(self.info.config)
        moved = {
            model: json.loads(spec)
            for model, spec in self._rows(
                "SELECT model, spec FROM places WHERE spec IS NOT NULL "
                "AND (session, model) IN (SELECT MAX(session), model FROM places GROUP BY model)"
            )
        }
        if moved:
            settings = config["settings"]
            config["settings"] = {**settings, "models": {**settings["models"], **moved}}
        return config

    def models(self) -> list[ModelRow]:
        """The models of the run, in the order in which they were added."""
        sql = "SELECT name, parameters, context, digest, roles FROM models ORDER BY rowid"
        return [ModelRow(*(*row[:4], json.loads(row[4]))) for row in self._rows(sql)]

    def problems(self, role: Role = "taught") -> Iterator[Problem]:
        """The problems that are taught, or those that exams are made of, in the order of the plan."""
        for (data,) in self._rows("SELECT data FROM problems WHERE role = ? ORDER BY position", (role,)):
            yield Problem(**json.loads(data))

    def problem(self, id: str, role: Role = "taught") -> Problem:
        """One problem.

        Raises:
            StoreError: there is none of that id.
        """
        sql = "SELECT data FROM problems WHERE id = CAST(? AS TEXT) AND role = ?"
        row = self._row(sql, (utf8(id), role))
        if row is None:
            first = self._rows("SELECT id FROM problems WHERE role = ? ORDER BY position LIMIT 3", (role,))
            some = ", ".join(repr(known) for (known,) in first) or "none"
            raise StoreError(f"{self.folder}: no {role} problem has the id {id!r}; the first ids are {some}")
        return Problem(**json.loads(row[0]))

    def selections(self) -> Iterator[SelectionRow]:
        """How the exam of each taught problem was selected, in the order of the plan."""
        sql = (
            "SELECT problem, how, exams.problems, excluded FROM exams JOIN problems AS p ON p.id = problem "
            "WHERE role = 'taught' ORDER BY position"
        )
        for row in self._rows(sql):
            yield SelectionRow(row[0], row[1], tuple(json.loads(row[2])), json.loads(row[3]))

    def exam_of(self, id: str) -> tuple[Problem, ...]:
        """The exam problems of one taught problem, in order.

        Raises:
            StoreError: none were planned for it.
        """
        row = self._row("SELECT problems FROM exams WHERE problem = CAST(? AS TEXT)", (utf8(id),))
        if row is None:
            raise StoreError(f"{self.folder}: no exam was planned for problem {id!r}")
        return tuple(self.problem(name, "exam") for name in json.loads(row[0]))

    def problem_record(self, id: str) -> ProblemRecord:
        """Everything of one finished problem; nothing else of the run is loaded.

        Raises:
            StoreError: the run has no such problem, or it is not finished.
        """
        problem = self.problem(id)
        done = next(self.done(id), None)
        if done is None:
            raise StoreError(
                f"{self.folder}: problem {id!r} is not finished; "
                f"`docendo solve --resume {self.folder}` goes on"
            )
        samples, exam_answers = tuple(self.samples(id)), tuple(self.exam_answers(id))
        calls = [*(row.call for row in samples), *(row.call for row in exam_answers)]
        keys = list(dict.fromkeys(call for call in calls if call is not None))
        replies = self.recorded(keys)
        replies |= self.failed([key for key in keys if key not in replies])
        exam = {
            name: self.problem(name, "exam") for name in dict.fromkeys(a.exam_problem for a in exam_answers)
        }
        return ProblemRecord(
            problem=problem,
            done=done,
            samples=samples,
            lessons=tuple(self.lessons(id)),
            exam_answers=exam_answers,
            decisions=tuple(self.decisions(id)),
            sitting=next((row.sitting for row in self.sittings(id)), None),
            exam=exam,
            replies=replies,
        )
