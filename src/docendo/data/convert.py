"""Writing problems as docendo's own rows, whatever they were read from."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from docendo.errors import DataError
from docendo.types import Problem

_FIELDS = ("id", "question", "answer", "solution", "kind", "family", "cluster", "group")


def row_of(problem: Problem) -> dict[str, object]:
    """Return a problem as a row; what is not known is left out."""
    values = {name: getattr(problem, name) for name in _FIELDS}
    known = {name: value for name, value in values.items() if value is not None}
    return known | ({"meta": dict(problem.meta)} if problem.meta else {})


def convert(problems: Iterable[Problem], out: str | Path) -> int:
    """Write problems to a new `.jsonl` or `.jsonl.gz` file and return how many.

    They are written as they come, beside the file's name; it has that name when all are there.

    Raises:
        DataError: the file is there already, has another ending, or cannot be written.
    """
    out = Path(out)
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise DataError(f"{out}: problems are written as .jsonl or .jsonl.gz; end the name so")
    if out.exists():
        raise DataError(f"{out}: is there already; choose another name")
    part = out.with_name(f".{out.name}.part")
    count = 0
    try:
        with gzip.open(part, "wb") if out.suffix == ".gz" else part.open("wb") as file:
            for problem in problems:
                row = json.dumps(row_of(problem), ensure_ascii=False)
                file.write(row.encode("utf-8", "surrogatepass") + b"\n")
                count += 1
        part.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return count
