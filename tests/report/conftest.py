"""The runs that several tests here report on, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from report_runs import HOSTILE, make, problem, student, teacher

from docendo.types import Call, Problem


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("runs") / "plain")


@pytest.fixture(scope="package")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which whatever a model or a user may write is meant to break the page."""

    def nasty(write: Callable[[Call], str]) -> Callable[[Call], str]:
        return lambda call: f" {HOSTILE}{write(call)}"

    def renamed(p: Problem) -> Problem:
        return Problem(
            f"{HOSTILE} {p.id}",
            f"{p.question} {HOSTILE}",
            p.answer,
            family=p.family,
            cluster=HOSTILE,
            group=HOSTILE,
        )

    taught = [renamed(problem("test", f, 0)) for f in range(3)]
    folder = tmp_path_factory.mktemp("runs") / "<b>run & 'co'"
    return make(folder, taught, teaching=nasty(teacher), studying=nasty(student), equal_cost=False)
