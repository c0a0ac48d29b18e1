"""A program that this process has judged is not run again, and each run's store still has its verdict."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from docendo.solve.judge import Judge
from docendo.types import Grade, GradeState, Problem


class Kept:
    """Verdicts of one run."""

    def __init__(self) -> None:
        self.grades: dict[str, Grade] = {}

    def verdict(self, key: str) -> Grade | None:
        return self.grades.get(key)

    def record_verdict(self, key: str, problem: str, exam: bool, grade: Grade) -> None:
        self.grades[key] = grade


def test_two_runs_of_a_process_run_a_program_once_and_both_keep_its_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[str] = []

    async def agrade(problem: Problem, text: str, **_: Any) -> Grade:
        judged.append(text)
        return Grade(GradeState.OK, 1.0, text, "k")

    monkeypatch.setattr(importlib.import_module("docendo.solve.judge"), "agrade", agrade)
    problem = Problem("judged once", "?", kind="code", meta={"entry_point": "f", "visible": []})
    first, second = Kept(), Kept()
    for kept in (first, second):
        found = asyncio.run(Judge(kept=kept)(problem, "def f(): pass"))
        assert found.score == 1.0
    assert judged == ["def f(): pass"]
    assert first.grades == second.grades != {}
    asyncio.run(Judge(kept=second)(problem, "def f(): pass", exam=True))  # other tests: another verdict
    assert len(judged) == 2
