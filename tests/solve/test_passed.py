"""V-scores and S-scores of what arms submit, from recorded verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.solve.passed import Passed, Programs
from docendo.store import SampleRow
from docendo.types import Grade, GradeState, Problem

TESTED = Problem("p", "Write f.", kind="code", meta={"visible": ["v"] * 4, "hidden": ["h"] * 8})


def sample(
    program: str | None, passed: tuple[int, int] = (0, 0), arm: str = "teach", at: int = 0
) -> SampleRow:
    if program is None:
        return SampleRow("p", arm, at, None, None, Grade(GradeState.UNGRADABLE, 0.0))  # type: ignore[arg-type]
    detail = json.dumps({"visible": [passed[0], 4], "hidden": [passed[1], 8]})
    grade = Grade(GradeState.OK, passed[1] / 8, program, f"c:{program}", detail)
    return SampleRow("p", arm, at, None, None, grade)  # type: ignore[arg-type]


def programs(samples: Sequence[SampleRow], **chosen: str | None) -> dict[str, Passed]:
    own = Programs(TESTED, dict(chosen))
    for one in samples:
        own.add(one)
    return own.by_arm()


def test_an_arm_has_the_scores_of_the_very_program_it_submits() -> None:
    found = programs([sample("a", (4, 2)), sample("b", (2, 8), at=1)], sc="a", sum="b")
    assert found["sc"] == Passed(1.0, 0.25)
    assert found["sum"] == Passed(0.5, 1.0)
    assert found["oracle"] == found["sum"]


def test_no_program_passes_nothing() -> None:
    found = programs([sample(None)], sc=None)
    assert found == {"sc": Passed(0.0, 0.0), "oracle": Passed(0.0, 0.0)}


def test_a_problem_without_hidden_tests_has_no_s_score() -> None:
    own = Programs(Problem("p", "?", kind="code", meta={"visible": ["v"]}), {"sc": "a", "sum": None})
    own.add(
        SampleRow("p", "teach", 0, None, None, Grade(GradeState.OK, 1.0, "a", "c", '{"visible": [1, 1]}'))
    )
    assert own.by_arm() == {"sc": Passed(1.0, None), "sum": Passed(0.0, None), "oracle": Passed(1.0, None)}


def test_with_self_debug_one_sample_is_the_mean_before_and_after() -> None:
    rows = [sample("a", (4, 8), at=0), sample("draft", (0, 0), "draft", 0), sample("b", (2, 4), at=1)]
    found = programs(rows, sc="a", sc_undebugged="b")
    assert found["sample"] == Passed(0.75, 0.75)
    assert found["sample_undebugged"] == Passed(0.25, 0.25)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), min_size=1, max_size=6))
def test_no_arm_passes_more_hidden_tests_than_the_oracle(passed: list[tuple[int, int]]) -> None:
    rows = [sample(f"p{i}", each, at=i) for i, each in enumerate(passed)]
    for i in range(len(rows)):
        found = programs(rows, sc=f"p{i}")
        assert found["oracle"].hidden == pytest.approx(max(h for _, h in passed) / 8)
        assert (found["sc"].hidden or 0.0) <= (found["oracle"].hidden or 0.0)
