r"""MATH (Hendrycks et al. 2021) and its parts, such as MATH500: `math:PATH`.

PATH is the original folder of JSON files (`MATH`, `MATH/train` or `MATH/train/algebra`), or a file of rows.

| field | or | |
|---|---|---|
| `question` | `problem` | required |
| `solution` | | the worked solution |
| `answer` | | by default the content of the solution's last `\boxed{}`; an empty one is not known |
| `subject` | `type` | the group of the tables; also in `meta` |
| `level` | | 1 to 5 or "Level 5", in `meta`; "Level ?" is not known |
| `id` | `unique_id` | by default the file's place in the folder (`train/algebra/1.json`), or FILE/NUMBER from 0 |
| `snapshot` | | in `meta`; used by `math-functional:` |

A problem's family and cluster are its id, which its functional variants share (`functional.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from docendo.data.files import Raw, called, read_object, read_raw
from docendo.data.rows import Name, Row, Text, fields
from docendo.errors import DataError
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {}

_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_PARTS = ("train", "test")


def _level(value: Any) -> Any:
    """The number of a level such as "Level 5" or "5"; None of "Level ?"."""
    if isinstance(value, str):
        word = value.removeprefix("Level").strip()
        value = None if word == "?" else int(word) if word in "12345" and word else word
    if value is not None and value not in (1, 2, 3, 4, 5):
        raise ValueError(f"is {called(value)}; it should be 1 to 5, or such as 'Level 5'")
    return value


def _or(*names: str) -> Any:
    return AliasChoices(*names)


class MathRow(Row):
    """One problem of MATH; the module's docstring says what each field is for."""

    question: Text = Field(validation_alias=_or("question", "problem"))
    solution: str | None = None
    answer: str | None = None
    subject: Text | None = Field(default=None, validation_alias=_or("subject", "type"))
    level: Annotated[int | None, BeforeValidator(_level)] = None
    id: Name | None = Field(default=None, validation_alias=_or("id", "unique_id"))
    snapshot: Text | None = None
    is_static: bool | None = None


ROW = MathRow


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row."""

    def make(raw: Raw) -> Problem:
        row = fields(raw, MathRow)
        id = row.id or raw.name or f"{raw.file}/{raw.number}"
        return problem_of(row, id, id)

    return make


def problem_of(row: MathRow, id: str, family: str) -> Problem:
    """Return a row's problem."""
    answer = row.answer if row.answer is not None else last_boxed(row.solution or "")
    meta = {"subject": row.subject, "level": row.level, "snapshot": row.snapshot}
    return Problem(
        id,
        row.question,
        answer=answer if answer and answer.strip() else None,
        solution=row.solution if row.solution and row.solution.strip() else None,
        family=family,
        cluster=family,
        group=row.subject,
        meta={name: value for name, value in meta.items() if value is not None},
    )


def rows(path: str, options: Mapping[str, str]) -> Iterator[Raw]:
    """Yield the rows of a file, or those of the original folder of one-problem files, folder by folder."""
    top = Path(path)
    if not top.is_dir():
        yield from read_raw(top)
        return
    files = sorted(top.rglob("*.json"), key=lambda file: (file.parent.as_posix(), _number(file), file.name))
    if not files:
        raise DataError(f"{path}: a folder without any .json file; give MATH, MATH/train or a file of rows")
    for number, file in enumerate(files):
        values, fault = read_object(file)
        yield Raw(str(file), 1, number, values, fault, _place(file))


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last `\boxed{...}` (or `\boxed 5`), None where there is none that closes."""
    for box in reversed(list(_BOX.finditer(text))):
        start = box.end()
        if start < len(text) and text[start] != "{":
            return re.split(r"[\s$]", text[start:], maxsplit=1)[0]
        depth = 0
        for brace in _BRACES.finditer(text, start):
            depth += {"{": 1, "}": -1}.get(brace.group(), 0)
            if depth == 0:
                return text[start + 1 : brace.start()]
    return None


def _number(file: Path) -> int:
    return int(file.stem) if file.stem.isdecimal() else -1


def _place(file: Path) -> str:
    """A file's path from its `train` or `test` folder on, by which MATH's problems are known."""
    parts = file.parts
    at = max((i for i, part in enumerate(parts[:-1]) if part in _PARTS), default=len(parts) - 2)
    return "/".join(parts[max(at, 0) :])
