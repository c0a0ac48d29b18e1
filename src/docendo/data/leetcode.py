"""Problems in LeetCode's style, one a line, that a user may bring: `leetcode:PATH`.

| field | |
|---|---|
| `task_id`, `id` or `question_id` | required; the id, the first of them that is there |
| `question`, `problem_description`, `statement` or `content` | required: the statement |
| `starter_code` | the class and method to be filled in |
| `entry_point` | by default the first method of the starter's class `Solution` |
| `tests` | a list of tests in docendo's forms; or |
| `test` | source with `check(candidate)`; where its body is assertions alone, each is a test |
| `setup` or `prompt` | code before the program and the tests: imports, `class TreeNode`, helpers |
| `tags` or `topics`, `difficulty` | a list of texts, or a text with commas; a word or a number |
| `solution` or `completion` | a reference |

Other fields are left alone: files of this kind carry many. `visible=N` makes the first N tests visible (default: 3,
and never all of several), the others hidden. `family=tag` (default) makes families of problems with the same first tag,
`family=difficulty` of the same difficulty, `family=none` none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from docendo.data.files import Raw, called
from docendo.data.mbpp import count_of
from docendo.data.python import parsed, renamed
from docendo.errors import DataError
from docendo.grading.code.spec import CodeSpec
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {
    "visible": "how many tests are visible, from the first (default: 3)",
    "family": "what makes problems exams of each other: tag (default), difficulty or none",
}
_FAMILIES = ("tag", "difficulty", "none")
_METHOD = re.compile(r"^\s+def\s+(?!__)(\w+)\s*\(\s*self", re.MULTILINE)


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row.

    Raises:
        DataError: an option's value is none of those it may have.
    """
    count, by = count_of(options, "leetcode", 3), options.get("family", "tag")
    if by not in _FAMILIES:
        raise DataError(f"leetcode: option family={by!r} should be one of {', '.join(_FAMILIES)}")

    def make(raw: Raw) -> Problem:
        if raw.fault is not None:
            raise DataError(f"{raw.where}: {raw.fault}")
        id = first(raw, "task_id", "id", "question_id")
        question = first(raw, "question", "problem_description", "statement", "content")
        starter = text_of(raw, "starter_code")
        entry_point = text_of(raw, "entry_point") or _entry_point(starter)
        tests = _tests(raw, entry_point)
        tags, difficulty = _tags(raw), raw.values.get("difficulty")
        shown = min(count, max(1, len(tests) - 1))
        meta: dict[str, Any] = {"language": "python", "entry_point": entry_point, "starter": starter}
        meta |= {"setup": text_of(raw, "setup") or text_of(raw, "prompt")}
        meta |= {"visible": tests[:shown], "hidden": tests[shown:], "tags": tags, "difficulty": difficulty}
        try:
            CodeSpec.read(meta)
        except ValueError as error:
            raise DataError(f"{raw.where}: {error}") from None
        family = (tags[0] if tags else None) if by == "tag" else difficulty if by == "difficulty" else None
        return Problem(
            id,
            question,
            solution=text_of(raw, "solution") or text_of(raw, "completion") or None,
            kind="code",
            family=None if family is None else str(family),
            group=None if difficulty is None else f"difficulty {difficulty}",
            meta=meta,
        )

    return make


def first(raw: Raw, *names: str) -> str:
    """The first of some fields that is there, as text.

    Raises:
        DataError: none is there, or it is neither a text nor a number.
    """
    for name in names:
        value = raw.values.get(name)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
                raise DataError(f"{raw.where}: field {name!r} should be a string, not {called(value)}")
            return str(value)
    raise DataError(f"{raw.where}: field {names[0]!r} is missing (or one of {', '.join(names[1:])})")


def text_of(raw: Raw, name: str) -> str:
    """A field that may be missing, as text.

    Raises:
        DataError: it is there and no text.
    """
    value = raw.values.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{raw.where}: field {name!r} should be a string, not {called(value)}")
    return value or ""


def _entry_point(starter: str) -> str | None:
    method = _METHOD.search(starter)
    if "class Solution" in starter and method is not None:
        return f"Solution().{method.group(1)}"
    function = re.search(r"^def\s+(\w+)", starter, re.MULTILINE)
    return function.group(1) if function else None


def _tags(raw: Raw) -> list[str]:
    value = raw.values.get("tags") or raw.values.get("topics") or []
    tags = value.split(",") if isinstance(value, str) else value
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DataError(f"{raw.where}: field 'tags' should be a list of strings, not {called(value)}")
    return [tag.strip() for tag in tags if tag.strip()]


def _tests(raw: Raw, entry_point: str | None) -> list[Any]:
    tests = raw.values.get("tests")
    if isinstance(tests, list):
        return tests
    check = text_of(raw, "test")
    if not check:
        raise DataError(f"{raw.where}: field 'tests' is missing (or 'test', with a function check)")
    name = (entry_point or "").removeprefix("Solution().")
    return assertions(check, name) or [{"check": check}]


def assertions(check: str, name: str) -> list[Any]:
    """The assertions of a `check` whose body has nothing else, in the function's own name; else nothing."""
    tree = parsed(check)
    if tree is None:
        return []
    bodies = [s.body for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == "check"]
    if len(tree.body) != 1 or not bodies or not name:
        return []
    return [renamed(s, name) for s in bodies[0]] if all(isinstance(s, ast.Assert) for s in bodies[0]) else []
