r"""What a code problem holds beside its statement, read out of `Problem.meta` and checked.

| field of `meta` | | |
|---|---|---|
| `visible` | list of tests | what models, exams and choices may know; the V-score is the share of them passed |
| `hidden` | list of tests | known to reports only; the S-score is the share of them passed |
| `language` | `python` (default) | the language of programs |
| `entry_point` | string | the function under test (`f`), or a method (`Solution().f`); stdin tests need none |
| `starter` | string | what the solver is given to go on from: a signature, a class with a stub, or nothing |
| `setup` | string | trusted code run before the program and before the tests: imports, `class ListNode`, helpers |
| `tags` | list of strings | what the problem is about; exams are made of problems that share some |
| `difficulty` | string or number | for the rules of exam selection |

A test is one of

- a string, or `{"assert": "assert f(2) == 4"}`: statements of which none may raise;
- `{"check": "def check(candidate): ..."}`: source that defines `check`, which is called with the function;
- `{"args": [2], "expected": 4}`, with `"kwargs"` where needed: a call and what it returns. Lists and tuples compare
  as equal, floats within one part in a billion; `"unordered": true` compares lists as bags, and `"expected_args"`
  instead of `expected` says what the arguments should be after the call (for programs that work in place);
- `{"stdin": "2\n", "stdout": "4\n"}`: what the whole program prints. White space at line ends and at the end is
  ignored, and numbers that differ in writing only (`4` and `4.0`) are equal.

Nothing here runs anything; what the tests say of a program is found in the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from docendo.errors import DataError
from docendo.types import Problem

LANGUAGES = ("python",)

Test = Mapping[str, Any]
"""One test in its long form; `FORMS` has the keys of each form."""

FORMS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "assert": (frozenset({"assert"}), frozenset()),
    "check": (frozenset({"check"}), frozenset()),
    "args": (frozenset({"args"}), frozenset({"kwargs", "expected", "expected_args", "unordered"})),
    "stdin": (frozenset({"stdin", "stdout"}), frozenset()),
}
"""By form: the keys it must have, and those it may have."""

Which = Literal["visible", "hidden"]


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """The checked fields of a code problem's `meta`; see the module's docstring."""

    language: str
    entry_point: str | None
    starter: str
    setup: str
    visible: tuple[Test, ...]
    hidden: tuple[Test, ...]
    tags: tuple[str, ...]
    difficulty: str | float | None

    @classmethod
    def of(cls, problem: Problem) -> CodeSpec:
        """Read a problem's `meta`.

        Raises:
            DataError: a field is missing, of the wrong type or contradicts another; names problem and field.
        """
        try:
            return cls.read(problem.meta)
        except ValueError as error:
            raise DataError(f"problem {problem.id!r}: {error}") from None

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> CodeSpec:
        """Read the fields of `meta`.

        Raises:
            ValueError: as `of`, naming the field alone.
        """
        visible, hidden = (_tests(name, meta.get(name)) for name in ("visible", "hidden"))
        if not visible and not hidden:
            raise ValueError(
                "fields 'meta.visible' and 'meta.hidden': a code problem needs at least one test"
            )
        language = meta.get("language", "python")
        if language not in LANGUAGES:
            raise ValueError(
                f"field 'meta.language' is {language!r}; docendo can run {', '.join(LANGUAGES)} only"
            )
        entry_point = _text(meta, "entry_point") or None
        called = next((t for t in (*visible, *hidden) if "args" in t or "check" in t), None)
        if entry_point is None and called is not None:
            raise ValueError(
                "field 'meta.entry_point' is missing: tests that call a function must say which, as in "
                "'entry_point': 'f'"
            )
        tags = meta.get("tags") or ()
        if not isinstance(tags, list | tuple) or not all(isinstance(x, str) and x.strip() for x in tags):
            raise ValueError("field 'meta.tags' should be a list of strings")
        difficulty = meta.get("difficulty")
        if isinstance(difficulty, bool) or not isinstance(difficulty, str | int | float | None):
            raise ValueError("field 'meta.difficulty' should be a string or a number")
        return cls(
            language,
            entry_point,
            _text(meta, "starter"),
            _text(meta, "setup"),
            visible,
            hidden,
            tuple(tags),
            difficulty,
        )

    def tests(self, which: Which) -> tuple[Test, ...]:
        """The visible tests; or the hidden ones, in whose absence the visible ones must do."""
        return self.visible if which == "visible" or not self.hidden else self.hidden


def _text(meta: Mapping[str, Any], name: str) -> str:
    value = meta.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"field 'meta.{name}' should be a string")
    return value or ""


def _tests(name: str, value: Any) -> tuple[Test, ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"field 'meta.{name}' should be a list of tests")
    return tuple(_test(f"meta.{name}.{i}", test) for i, test in enumerate(value))


def _test(where: str, test: Any) -> Test:
    if isinstance(test, str):
        test = {"assert": test}
    if not isinstance(test, Mapping):
        raise ValueError(f"field '{where}' should be a string or an object, not {test!r}")
    form = next((form for form in FORMS if form in test), None)
    if form is None:
        raise ValueError(f"field '{where}' has none of the keys {', '.join(FORMS)}, so it is no test")
    must, may = FORMS[form]
    missing, strange = must - test.keys(), test.keys() - must - may
    if missing or strange:
        fault = f"lacks {min(missing)!r}" if missing else f"has {min(strange)!r}, which does not belong to it"
        raise ValueError(f"field '{where}' ({form!r} test) {fault}")
    _values(where, form, test)
    return dict(test)


def _values(where: str, form: str, test: Test) -> None:
    if form == "args":
        if not isinstance(test["args"], list | tuple):
            raise ValueError(f"field '{where}.args' should be a list of arguments")
        if not isinstance(test.get("kwargs", {}), Mapping):
            raise ValueError(f"field '{where}.kwargs' should be an object")
        if ("expected" in test) == ("expected_args" in test):
            raise ValueError(f"field '{where}' should have either 'expected' or 'expected_args'")
        return
    for key in FORMS[form][0]:
        if not isinstance(test[key], str) or (key != "stdin" and key != "stdout" and not test[key].strip()):
            raise ValueError(f"field '{where}.{key}' should be a string with something in it")
