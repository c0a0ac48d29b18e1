r"""MATH() (Srivastava et al. 2024): functional variants of MATH's problems, in snapshots: `math-functional:PATH`.

PATH is a folder with one folder a snapshot (`Oct-2023/test/algebra/6.json`), or a file of rows as `math.py` has them,
each with a `snapshot` such as `2023-10`. A variant's id is `test/algebra/6.json@2023-10`; its family, by which it
is the exam of the problem and of its other variants, is `test/algebra/6.json`.

Some questions are the same in several snapshots. The first is kept; the others are dropped and counted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from docendo.data import math
from docendo.data.files import Raw
from docendo.data.math import MathRow, problem_of
from docendo.data.rows import fields
from docendo.data.source import Dropped
from docendo.errors import DataError
from docendo.types import Problem

ROW = MathRow
OPTIONS: Mapping[str, str] = {"snapshot": "only these, such as 2023-10; several with commas"}

DUPLICATE = "the same question as in an earlier snapshot"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FOLDER = re.compile(r"([A-Za-z]{3})-(\d{4})")


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem | Dropped | None]:
    """Return the function that makes a problem of one row."""
    wanted = frozenset(filter(None, options.get("snapshot", "").split(",")))
    seen: set[bytes] = set()

    def make(raw: Raw) -> Problem | Dropped | None:
        row = fields(raw, MathRow)
        snapshot = row.snapshot or _snapshot(raw.where)
        if snapshot is None:
            raise DataError(f"{raw.where}: field 'snapshot' is missing; it should be such as 2023-10")
        if wanted and snapshot not in wanted:
            return None
        family = row.id or raw.name
        if family is None:
            raise DataError(f"{raw.where}: field 'id' is missing; it names the problem varied")
        digest = hashlib.sha256(f"{family}\n{' '.join(row.question.split())}".encode()).digest()
        made = problem_of(row, f"{family}@{snapshot}", family)
        made = replace(made, meta={**made.meta, "snapshot": snapshot})
        if digest in seen:
            return Dropped(made, DUPLICATE)
        seen.add(digest)
        return made

    return make


def rows(path: str, options: Mapping[str, str]) -> Iterator[Raw]:
    """Yield the rows of a file or of a folder of snapshots, in the order of time."""
    top = Path(path)
    snapshots = {found: folder for folder in top.glob("*/") if (found := _snapshot(folder.name)) is not None}
    if not snapshots:
        yield from math.rows(path, options)
    for _, folder in sorted(snapshots.items()):
        yield from math.rows(str(folder), options)


def _snapshot(place: str) -> str | None:
    """The snapshot that a path names, "Oct-2023" being 2023-10."""
    for month, year in reversed(_FOLDER.findall(place)):
        if month.lower() in _MONTHS:
            return f"{year}-{_MONTHS.index(month.lower()) + 1:02}"
    return None
