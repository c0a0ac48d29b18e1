"""APPS (Hendrycks et al. 2021) and sets in its form: programs that read standard input and print: `apps:PATH`.

| field | |
|---|---|
| `id`, `problem_id` or `task_id` | required; the id becomes `apps/7` |
| `question` | required: the statement |
| `input_output` | required: an object, or JSON text of one, with `inputs` and `outputs`, lists of the same length; where it has `fn_name`, inputs are lists of arguments of that function |
| `starter_code` | what to go on from |
| `solutions` | references: a list, or JSON text of one; the first is kept |
| `difficulty`, `tags` | a word or number; a list of texts |

Other fields are left alone. `visible=N` makes the first N tests visible (default: 1, and never all of several), the others hidden.
Problems of one difficulty are a family.
"""  # noqa: E501

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from docendo.data.files import Raw
from docendo.data.leetcode import first, text_of
from docendo.data.mbpp import count_of
from docendo.errors import DataError
from docendo.grading.code.spec import CodeSpec
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {"visible": "how many tests are visible, from the first (default: 1)"}


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row."""
    count = count_of(options, "apps", 1)

    def make(raw: Raw) -> Problem:
        if raw.fault is not None:
            raise DataError(f"{raw.where}: {raw.fault}")
        id, question = first(raw, "id", "problem_id", "task_id"), first(raw, "question")
        name, tests = _tests(raw)
        solutions = _loaded(raw, "solutions") or []
        difficulty = raw.values.get("difficulty")
        shown = min(count, max(1, len(tests) - 1))
        meta: dict[str, Any] = {"language": "python", "entry_point": name}
        meta |= {"starter": text_of(raw, "starter_code"), "difficulty": difficulty}
        meta |= {"tags": raw.values.get("tags"), "visible": tests[:shown], "hidden": tests[shown:]}
        try:
            CodeSpec.read(meta)
        except ValueError as error:
            raise DataError(f"{raw.where}: {error}") from None
        return Problem(
            f"apps/{id}",
            question,
            solution=solutions[0] if isinstance(solutions, list) and solutions else None,
            kind="code",
            family=None if difficulty is None else str(difficulty),
            group=None if difficulty is None else f"difficulty {difficulty}",
            meta=meta,
        )

    return make


def _tests(raw: Raw) -> tuple[str | None, list[dict[str, Any]]]:
    given = _loaded(raw, "input_output")
    if not isinstance(given, dict):
        raise DataError(f"{raw.where}: field 'input_output' should be an object with 'inputs' and 'outputs'")
    inputs, outputs, name = given.get("inputs"), given.get("outputs"), given.get("fn_name")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise DataError(f"{raw.where}: 'inputs' and 'outputs' should be lists of the same length")
    pairs = zip(inputs, outputs, strict=True)
    if isinstance(name, str) and name:
        if not all(isinstance(one, list) for one in inputs):
            raise DataError(f"{raw.where}: with 'fn_name' each of 'inputs' should be a list of arguments")
        return name, [{"args": args, "expected": _single(output)} for args, output in pairs]
    return None, [{"stdin": _lines(text), "stdout": _lines(output)} for text, output in pairs]


def _single(output: Any) -> Any:
    """What a function returns is written as a list of one."""
    return output[0] if isinstance(output, list) and len(output) == 1 else output


def _lines(value: Any) -> str:
    """Some rows list lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _loaded(raw: Raw, name: str) -> Any:
    value = raw.values.get(name)
    if not isinstance(value, str) or not value.strip():
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{raw.where}: field {name!r} is not JSON: {error}") from None
