"""HumanEval (Chen et al. 2021): `humaneval:PATH`.

| field | |
|---|---|
| `task_id` | required; the id |
| `prompt` | required: imports, helpers, and a function with a docstring to be written; the statement and the starter |
| `entry_point` | required: the function's name |
| `test` | required: source that defines `check(candidate)`: the hidden test |
| `canonical_solution` | the reference: what follows the prompt |

Visible tests are the docstring's `>>>` examples; a problem without any has the first assertion of its check instead,
which is then known to whoever solves it (two problems have neither, and are in no exam). What stands before the
function is the setup.
"""

from __future__ import annotations

import ast
import doctest
from collections.abc import Callable, Mapping
from typing import Any

from docendo.data.files import Raw
from docendo.data.python import parsed, renamed
from docendo.data.rows import Row, Text, fields
from docendo.errors import DataError
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {}


class HumanEvalRow(Row):
    """One problem of HumanEval; the module's docstring says what each field is for."""

    task_id: Text
    prompt: Text
    entry_point: Text
    test: Text
    canonical_solution: str | None = None


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row."""

    def make(raw: Raw) -> Problem:
        row = fields(raw, HumanEvalRow)
        setup, found, _ = row.prompt.rpartition(f"def {row.entry_point}(")
        if not found:
            raise DataError(f"{raw.where}: field 'prompt' does not begin the function {row.entry_point!r}")
        visible = _examples(row) or first_assertion(row.test, row.entry_point)
        solution = row.prompt + row.canonical_solution if row.canonical_solution else None
        meta: dict[str, Any] = {"language": "python", "entry_point": row.entry_point, "starter": row.prompt}
        meta |= {"setup": setup, "visible": visible, "hidden": [{"check": row.test}]}
        return Problem(row.task_id, row.prompt.strip(), solution=solution, kind="code", meta=meta)

    return make


def _examples(row: HumanEvalRow) -> list[str]:
    """The docstring's examples that call the function and give a value, as assertions."""
    try:
        examples = doctest.DocTestParser().get_examples(row.prompt)
    except ValueError:
        return []
    found = []
    for example in examples:
        call, want = example.source.strip(), example.want.strip()
        if is_literal(want) and f"{row.entry_point}(" in call and "\n" not in call:
            found.append(f"assert {call} == {want}")
    return found


def is_literal(text: str) -> bool:
    """Whether a text is a Python literal and nothing else."""
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def first_assertion(check: str, entry_point: str) -> list[str]:
    """The first assertion of a check that needs nothing but the function, in the function's own name."""
    tree = parsed(check)
    for statement in ast.walk(tree) if tree else ():
        if isinstance(statement, ast.FunctionDef) and statement.name == "check":
            for test in statement.body:
                if not isinstance(test, ast.Assert):
                    continue
                test.msg = None  # often calls the function once more
                names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
                if "candidate" in names and names <= _PLAIN:
                    return [renamed(test, entry_point)]
    return []


_PLAIN = {
    "candidate",
    "abs",
    "all",
    "any",
    "len",
    "list",
    "max",
    "min",
    "round",
    "set",
    "sorted",
    "sum",
    "tuple",
}
