"""Code problems in files: what is accepted as a test, and how a fault is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docendo.data import load_problems
from docendo.errors import DataError
from docendo.exams.select import ProblemPool, select_variants
from docendo.grading.code.spec import CodeSpec
from docendo.types import Problem

ASSERT = "assert double(2) == 4"
CALL = {"args": [3], "expected": 6}
CHECK = {"check": "def check(candidate):\n    assert candidate(0) == 0"}


def write(folder: Path, **meta: Any) -> Path:
    path = folder / "code.jsonl"
    row = {"id": "double", "question": "Write double(n).", "kind": "code", "meta": meta}
    path.write_text(json.dumps(row) + "\n")
    return path


def test_a_code_problem_is_read_with_its_tests(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        entry_point="double",
        visible=[ASSERT],
        hidden=[CALL, CHECK, {"stdin": "2", "stdout": "4"}],
        tags=["numbers"],
        difficulty="easy",
    )
    [problem] = load_problems(path)
    spec = CodeSpec.of(problem)
    assert spec.visible == ({"assert": ASSERT},)
    assert spec.hidden == (CALL, CHECK, {"stdin": "2", "stdout": "4"})
    assert (spec.language, spec.entry_point, spec.tags) == ("python", "double", ("numbers",))
    assert problem.judgeable
    assert problem.examinable


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({}, "at least one test"),
        ({"visible": "assert True"}, "meta.visible' should be a list"),
        ({"visible": [7]}, "meta.visible.0' should be a string or an object"),
        ({"visible": [{"input": 1}]}, "meta.visible.0' has none of the keys"),
        ({"visible": [{"stdin": "2"}]}, "lacks 'stdout'"),
        ({"visible": [{"stdin": 2, "stdout": "4"}]}, "meta.visible.0.stdin"),
        ({"visible": [{"assert": " "}]}, "meta.visible.0.assert"),
        ({"visible": [CALL]}, "entry_point"),
        ({"visible": [{"args": 3, "expected": 6}], "entry_point": "double"}, "meta.visible.0.args"),
        ({"visible": [{"args": [3]}], "entry_point": "double"}, "either 'expected' or 'expected_args'"),
        ({"visible": [CALL | {"expects": 6}], "entry_point": "double"}, "has 'expects'"),
        ({"visible": [ASSERT], "language": "cobol"}, "meta.language"),
        ({"visible": [ASSERT], "tags": "numbers"}, "meta.tags"),
        ({"visible": [ASSERT], "difficulty": True}, "meta.difficulty"),
    ],
)
def test_a_code_problem_that_could_judge_nothing_is_refused(
    tmp_path: Path, meta: dict[str, Any], words: str
) -> None:
    path = write(tmp_path, **meta)
    with pytest.raises(DataError) as error:
        load_problems(path)
    assert f"{path}:1" in str(error.value)
    assert words in str(error.value)


def test_a_gold_answer_beside_tests_is_refused(tmp_path: Path) -> None:
    row = {"id": "a", "question": "q", "kind": "code", "answer": "4", "meta": {"visible": [ASSERT]}}
    (tmp_path / "code.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match="'answer' has no use in a code problem"):
        load_problems(tmp_path / "code.jsonl")


def test_no_exam_is_made_of_problems_whose_tests_are_all_hidden() -> None:
    problems = [
        Problem(id, f"Write {id}.", kind="code", family="f", meta=meta)
        for id, meta in {
            "taught": {"visible": [ASSERT]},
            "open": {"visible": [ASSERT], "hidden": [ASSERT]},
            "closed": {"hidden": [ASSERT]},
        }.items()
    ]
    chosen = select_variants(problems[0], ProblemPool(problems), 2, seed=0)
    assert [p.id for p in chosen] == ["open"]
