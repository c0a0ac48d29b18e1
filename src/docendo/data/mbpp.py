"""MBPP, plain or sanitised (Austin et al. 2021): `mbpp:PATH`.

| field | |
|---|---|
| `task_id` | required; the id becomes `mbpp/2` |
| `prompt` or `text` | required: the statement |
| `test_list` | required: assertions; the first is visible, as it tells the function's name, the others are hidden |
| `test_imports` or `test_setup_code` | what the tests need before them |
| `challenge_test_list` | more hidden tests |
| `code` | the reference |

`visible=N` makes the first N tests visible (1 to all but one).
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from docendo.data.files import Raw
from docendo.data.python import parsed
from docendo.data.rows import Row, Text, fields
from docendo.errors import DataError
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {"visible": "how many tests are visible, from the first (default: 1)"}


class MbppRow(Row):
    """One problem of MBPP; the module's docstring says what each field is for."""

    task_id: int | Text
    test_list: list[Text]
    prompt: Text | None = None
    text: Text | None = None
    code: Text | None = None
    test_imports: tuple[str, ...] | list[str] = ()
    test_setup_code: str = ""
    challenge_test_list: tuple[Text, ...] | list[Text] = ()
    source_file: Any = None


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row."""
    count = count_of(options, "mbpp", 1)

    def make(raw: Raw) -> Problem:
        row = fields(raw, MbppRow)
        question = row.prompt or row.text
        if question is None or len(row.test_list) < 2:
            lacks = "'prompt' is missing" if question is None else "'test_list' should list two tests or more"
            raise DataError(f"{raw.where}: field {lacks}")
        shown = min(count, len(row.test_list) - 1)
        meta: dict[str, Any] = {
            "language": "python",
            "entry_point": _entry_point(row.test_list, row.code or ""),
            "setup": "\n".join([*row.test_imports, *([row.test_setup_code] if row.test_setup_code else [])]),
            "visible": row.test_list[:shown],
            "hidden": [*row.test_list[shown:], *row.challenge_test_list],
        }
        return Problem(f"mbpp/{row.task_id}", question, solution=row.code, kind="code", meta=meta)

    return make


def count_of(options: Mapping[str, str], reader: str, default: int) -> int:
    """The option `visible`.

    Raises:
        DataError: not a whole number from 1.
    """
    text = options.get("visible", str(default))
    if not text.isdigit() or int(text) < 1:
        raise DataError(f"{reader}: option visible={text!r} should be a whole number from 1")
    return int(text)


def _entry_point(tests: list[str], reference: str) -> str | None:
    """The one function that every test calls and that the reference defines or, without one, Python does not have."""
    called: set[str] | None = None
    for test in tests:
        names = {n.func.id for n in _walk(test) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        called = names if called is None else called & names
    defined = {n.name for n in _walk(reference) if isinstance(n, ast.FunctionDef)}
    own = sorted(called & defined if called and defined else (called or set()) - set(dir(builtins)))
    return own[0] if len(own) == 1 else None


def _walk(source: str) -> Iterator[ast.AST]:
    tree = parsed(source)
    return ast.walk(tree) if tree else iter(())
