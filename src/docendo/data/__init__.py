"""Readers: each yields problems (or lessons) from one kind of source and names bad rows by file, line and field.

How sources are named is in `source.py`; docendo's own row format in `problems.py`. What is done with problems is
left to the rest of the road.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from docendo.data.lessons import read_lessons
from docendo.data.source import Notes, Source, parse, stream
from docendo.types import Problem

__all__ = ["Notes", "Source", "load_problems", "parse", "read_lessons", "stream"]


def load_problems(
    source: str | Path, *, limit: int | None = None, notes: Notes | None = None
) -> list[Problem]:
    """Return the problems of a source.

    Args:
        source: a file in docendo's row format (.jsonl, .csv, .tsv or .json, also .gz), `school:NAME`, or a
            reader and where it reads, such as `math:MATH/train` (docs/data.md has them all).
        limit: only the first so many; the others are not read.
        notes: is told what was left out.

    Raises:
        DataError: the source is missing, empty or has a row that cannot be used; names file, line and field.
    """
    return list(islice(stream(source, notes), limit))
