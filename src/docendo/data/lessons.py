"""Lessons that exist already: JSONL, one example a line, to be examined and chosen from.

| field | | |
|---|---|---|
| `question` | string, required | the problem's question |
| `rationale` | string, required | how somebody worked towards an answer |
| `answer` | string or number, required | the answer they came to |
| `problem` | string | the problem's id in the problem set; without it the question's text identifies it |

Which problem a lesson belongs to is settled by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docendo.data.rows import Answer, Name, Row, Text, read_rows
from docendo.types import Example


class LessonRow(Row):
    """One line of a lesson file; the module's docstring says what each field is for."""

    question: Text
    rationale: Text
    answer: Answer
    problem: Name | None = None


def read_lessons(path: str | Path) -> Iterator[tuple[int, str | None, Example]]:
    """Yield (line number from 1, problem id or None, example) in the order of the lines.

    Raises:
        DataError: see `read_rows`.
    """
    for number, row in read_rows(path, LessonRow):
        yield number, row.problem, Example(row.question, row.rationale, row.answer)
