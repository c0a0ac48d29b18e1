"""Lesson files: examples that exist already."""

from __future__ import annotations

from pathlib import Path

import pytest

from docendo.data import read_lessons
from docendo.errors import DataError
from docendo.types import Example


def test_lessons_come_with_their_lines_and_problems(tmp_path: Path) -> None:
    path = tmp_path / "lessons.jsonl"
    path.write_text(
        '{"problem": "p1", "question": "7 + 9?", "rationale": "7 + 9 = 16", "answer": 16}\n'
        "\n"
        '{"question": "7 + 9?", "rationale": "7 9 = 79", "answer": "79"}\n'
    )
    assert list(read_lessons(path)) == [
        (1, "p1", Example("7 + 9?", "7 + 9 = 16", "16")),
        (3, None, Example("7 + 9?", "7 9 = 79", "79")),
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"question": "q", "answer": 1}', "'rationale' is missing"),
        ('{"question": "q", "rationale": "r"}', "'answer' is missing"),
        ('{"question": "q", "rationale": "r", "answer": 1, "problem": 7.5}', "'problem' should be a string"),
        ('{"question": "q", "rational": "r", "answer": 1}', "'rational"),
        ('{"question": "q", "rationale": "", "answer": 1}', "'rationale' is empty"),
    ],
)
def test_a_bad_lesson_is_named_by_file_line_and_field(tmp_path: Path, row: str, says: str) -> None:
    path = tmp_path / "lessons.jsonl"
    path.write_text('{"question": "q", "rationale": "r", "answer": 1}\n' + row)
    with pytest.raises(DataError) as caught:
        list(read_lessons(path))
    assert str(caught.value).startswith(f"{path}:2: ")
    assert says in str(caught.value)
