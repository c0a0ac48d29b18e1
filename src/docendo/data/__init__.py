"""Readers: each yields problems (or lessons) from one kind of source and names bad rows by file and line.

The documented row format is in `problems.py`; a source of the form `school:NAME` is a problem set of the
built-in world. What is done with problems is left to the rest of the road.
"""

from __future__ import annotations

from pathlib import Path

from docendo.data.lessons import read_lessons
from docendo.data.problems import read_problems
from docendo.types import Problem

__all__ = ["load_problems", "read_lessons", "read_problems"]

SCHOOL = "school:"


def load_problems(source: str | Path) -> list[Problem]:
    """Return all problems of a source.

    Args:
        source: the path of a `.jsonl` or `.jsonl.gz` file in docendo's row format, or `school:NAME` for a
            set of the built-in school.

    Raises:
        DataError: the source is missing, empty or has a row that cannot be used; names file, line and field.
    """
    if isinstance(source, str) and source.startswith(SCHOOL):
        from docendo.schoolhouse.sets import problems

        return list(problems(source.removeprefix(SCHOOL)))
    return list(read_problems(source))
