r"""Canonical forms of mathematical answers: what the answer is, apart from how it is written.

Runs in the grader's worker process only. `form` turns an answer into a small tree (a number, a formula, a list, a
tuple, an interval, a matrix, an equation, ...) whose `key` is the same text for equivalent answers. Keys are an
equivalence relation by construction: the key is a function of the answer alone, and two answers are the same when
their keys are equal. What a gold answer accepts beyond that is left to `gold`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath

from docendo.grading import arithmetic, formula
from docendo.grading.arithmetic import TooLarge, Unreadable
from docendo.grading.numbers import NOT_UNITS, decimals, number, without_unit
from docendo.grading.spelling import right_side

MAX_PARTS = 64
"""Elements of a list, tuple or matrix."""
MAX_NESTING = 4

_PIECE = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENERS = frozenset(("(", "[", "{", r"\{", r"\lbrace", r"\langle", r"\lfloor", r"\lceil"))
_CLOSERS = frozenset((")", "]", "}", r"\}", r"\rbrace", r"\rangle", r"\rfloor", r"\rceil"))
_RELATION = re.compile(r"\\(?:le|ge|ne|lt|gt|approx|in)(?:q|slant)?(?![A-Za-z])|[=<>]")
_WORDS_BETWEEN = re.compile(
    r",?\s*\\text\s*\{[\s,]*(?:and|or)[\s,]*\}\s*|(?<![A-Za-z\\]),?\s*\b(?:and|or)\b(?![A-Za-z]|[^{}]*\})",
    re.IGNORECASE,
)
_MATRIX = re.compile(
    r"(.*?)\\begin\{([pbBvV]?(?:small)?matrix|array)\}(?:\{[^{}]*\})?(.*)\\end\{\2\}", re.DOTALL
)
_BASE = re.compile(r"\(?([0-9A-F]+)\)?_\{?([0-9]{1,2})\}?|\(?([0-9A-F]+)\)?_\{?(?:\\text\{)?([a-z]+)\}{0,2}")
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_NAMED = re.compile(r"\s*([A-Za-z](?:_\{?\w{1,3}\}?)?)\s*=\s*([^=]*)")
_SET_NAMES = {
    r"\emptyset": "empty",
    r"\varnothing": "empty",
    r"\mathbb{R}": "R",
    r"\mathbb{Z}": "Z",
    r"\Bbb{R}": "R",
}
_SPACED_UNIT = re.compile(
    r"(?:\s+(?:square|cubic|sq|cu)\.?)?\s+(?!(?:cot|sec|csc|arc[a-z]+)\b)"
    r"(?:[a-z]{3,15}|cm|mm|km|kg|ft|in|lb|oz)\.?(?:\s*\^\s*\{?[23]\}?)?\s*$"
)


@dataclass(frozen=True, slots=True)
class Form:
    """One node: `kind` and `detail` say what it is, `parts` what it is made of, `value` a number's value."""

    kind: str
    detail: str = ""
    parts: tuple[Form, ...] = ()
    value: Any = None
    decimals: int | None = None

    @property
    def key(self) -> str:
        """The text that equivalent answers share."""
        if self.kind in ("n", "v", "e"):
            return f"{self.kind}:{self.detail}"
        return f"t:{self._inner}"

    @property
    def _inner(self) -> str:
        if self.kind in ("n", "v", "e"):
            return self.detail if self.kind == "n" else f"{self.kind}:{self.detail}"
        keys = [part._inner for part in self.parts]
        if self.kind == "set":
            return "{" + ",".join(sorted(set(keys))) + "}"
        if self.kind == "union":
            return "u".join(sorted(set(keys)))
        if self.kind == "tuple":
            return self.detail[0] + ",".join(keys) + self.detail[1]
        if self.kind == "matrix":
            columns = int(self.detail)
            rows = [",".join(keys[i : i + columns]) for i in range(0, len(keys), columns)]
            return "m[" + ";".join(rows) + "]"
        return self.kind + self.detail


def form(answer: str) -> Form:
    """Return an answer's canonical form.

    Args:
        answer: as `spelling.spelled` leaves it.

    Raises:
        Unreadable: it is not of a known form, or too large; such an answer is compared as text.
    """
    return _whole(answer, 0)


def _whole(text: str, depth: int) -> Form:
    text = _trimmed(text)
    if depth > MAX_NESTING:
        raise TooLarge("nested too deep")
    if not text:
        raise Unreadable("nothing")
    if text in _SET_NAMES:
        return Form("set" if _SET_NAMES[text] == "empty" else "name", _SET_NAMES[text])
    united = _split(text, (r"\cup",))
    if len(united) > 1:
        return Form("union", parts=tuple(_whole(part, depth + 1) for part in united))
    text = _WORDS_BETWEEN.sub(",", text)
    listed = [part for part in _split(text, (",", ";")) if part.strip()]
    if len(listed) > 1 and number(text) is None:
        return _list(listed, depth)
    return _single(text, depth)


def _list(listed: Sequence[str], depth: int) -> Form:
    """A list: a set of its elements; where each is a differently named value, a tuple in order of the names."""
    if len(listed) > MAX_PARTS:
        raise TooLarge("too many elements")
    named = [_NAMED.fullmatch(part) for part in listed]
    names = [match.group(1) for match in named if match]
    if len(names) == len(listed) == len(set(names)):
        values = sorted((match.group(1), match.group(2)) for match in named if match)
        return Form("tuple", "()", tuple(_single(value, depth + 1) for _, value in values))
    return _set([_single(right_side(part.strip()), depth + 1) for part in listed])


def _set(parts: Sequence[Form]) -> Form:
    flat = [x for part in parts for x in (part.parts if part.kind == "set" and not part.detail else (part,))]
    return flat[0] if len({x.key for x in flat}) == 1 else Form("set", parts=tuple(flat))


def _single(text: str, depth: int) -> Form:
    text = _trimmed(text)
    if depth > MAX_NESTING:
        raise TooLarge("nested too deep")
    for read in (_number, _infinity, _base, _ratio, _related, _matrix, _bracketed):
        found = read(text, depth)
        if found is not None:
            return found
    return _formula(text)


def _formula(text: str) -> Form:
    if r"\pm" in text or r"\mp" in text:
        return _set([_leaf(formula.values(text, sign)) for sign in (1, -1)])
    return _leaf(formula.values(text))


def _leaf(found: Sequence[Any]) -> Form:
    if len(found) > 1:
        return Form("e", arithmetic.digest(found))
    rational = arithmetic.exact(found[0])
    if rational is not None:
        return Form("n", str(rational), value=rational)
    return Form("v", arithmetic.written(found[0]), value=found[0])


def _number(text: str, depth: int) -> Form | None:
    found = number(text)
    return None if found is None else Form("n", str(found), value=found, decimals=decimals(text))


def _infinity(text: str, depth: int) -> Form | None:
    match = re.fullmatch(r"([-+]?)\s*(?:\\infty|infinity|inf|oo)", text)
    return Form("inf", "-" if match.group(1) == "-" else "+") if match else None


def _base(text: str, depth: int) -> Form | None:
    r"""`52_8`, `52_{8}`, `(52)_8`, `52_{\text{eight}}`."""
    match = _BASE.fullmatch(text)
    if match is None:
        return None
    digits, base = match.group(1) or match.group(3), match.group(2) or _BASES.get(match.group(4))
    return Form("base", f"{digits}_{base}") if base is not None and digits[0].isdigit() else None


def _ratio(text: str, depth: int) -> Form | None:
    sides = text.split(":")
    if not 2 <= len(sides) <= 4 or re.search(r":\s*[0-9]{2}(?![0-9])", text):  # 11:30 is a time
        return None
    values = [x for side in sides if (x := number(side.strip())) is not None and x > 0]
    if len(values) < len(sides):
        return None
    return Form("ratio", ":".join(str(x / values[0]) for x in values))


def _matrix(text: str, depth: int) -> Form | None:
    match = _MATRIX.fullmatch(text)
    if match is None or match.group(2)[0] in "vV":
        return None
    rows = [row.split("&") for row in re.split(r"\\\\|\\cr(?![a-z])", match.group(3)) if row.strip()]
    if not rows or len(rows) * len(rows[0]) > MAX_PARTS or len({len(row) for row in rows}) != 1:
        raise Unreadable("a matrix of uneven rows or too many elements")
    factor = match.group(1).strip()
    parts = []
    for row in rows:
        for cell in row:
            cell = cell.strip()
            parts.append(_formula(f"({factor})({cell})") if factor else _single(cell, depth + 1))
    return Form("matrix", str(len(rows[0])), tuple(parts))


def _bracketed(text: str, depth: int) -> Form | None:
    """A tuple, an interval or a set: one pair of brackets around a list."""
    pieces = _PIECE.findall(text)
    if len(pieces) < 2:
        return None
    pair = (pieces[0], pieces[-1])
    if pair in ((r"\{", r"\}"), (r"\lbrace", r"\rbrace")):
        inside = _inside(pieces)
        if inside is None:
            return None
        parts = [part for part in _split(inside, (",", ";")) if part.strip()]
        if len(parts) > MAX_PARTS:
            raise TooLarge("too many elements")
        return _set([_single(part, depth + 1) for part in parts]) if parts else Form("set", "empty")
    if pair == (r"\langle", r"\rangle"):
        pair = ("(", ")")
    if pair[0] not in ("(", "[") or pair[1] not in (")", "]"):
        return None
    inside = _inside(pieces)
    parts = [] if inside is None else _split(inside, (",", ";"))
    if len(parts) < 2 or len(parts) > MAX_PARTS:
        return None
    return Form("tuple", "".join(pair), tuple(_single(part, depth + 1) for part in parts))


def _inside(pieces: Sequence[str]) -> str | None:
    """What stands between the first and the last piece, if they belong together."""
    level = 0
    for i, piece in enumerate(pieces):
        level += (piece in _OPENERS) - (piece in _CLOSERS)
        if level == 0 and i < len(pieces) - 1:
            return None
    return "".join(pieces[1:-1]) if level == 0 else None


def _related(text: str, depth: int) -> Form | None:
    """An equation, an inequality (as the interval it is, where it is one), or `x ∈ S`."""
    sides, signs = _sides(text)
    if not signs:
        return None
    if signs == [r"\in"]:
        return _whole(sides[1], depth + 1)
    if r"\approx" in signs:  # the exact value stands before it
        return _single(text[: text.index(r"\approx")], depth + 1)
    if set(signs) == {"="}:
        return _equation(sides, depth)
    found = _interval(sides, signs, depth)
    if found is not None:
        return found
    if len(signs) == 1 and signs[0] != r"\ne":
        low, high = sides if signs[0][0] == "<" else sides[::-1]
        strict = "" if len(signs[0]) == 1 else "="
        return Form("ineq", strict + _scaled(f"({high})-({low})", positive=True))
    raise Unreadable("a relation of an unknown form")


def _sides(text: str) -> tuple[list[str], list[str]]:
    """What stands between the signs of relation outside all brackets, and these signs, each in one spelling."""
    sides, signs, last = [], [], 0
    for start, piece in _outside(text):
        if _RELATION.fullmatch(piece):
            sides.append(text[last:start].strip())
            name = piece.removesuffix("slant").removesuffix("q")
            signs.append({r"\le": "<=", r"\ge": ">=", r"\lt": "<", r"\gt": ">"}.get(name, name))
            last = start + len(piece)
    return [*sides, text[last:].strip()], signs


def _equation(sides: Sequence[str], depth: int) -> Form:
    """An equation between different things; a chain of equal ones (`2 + 3 = 5`) is their value."""
    parts = [_single(side, depth + 1) for side in sides]
    if len({part.key for part in parts}) == 1:
        return parts[-1]
    if len(parts) > 2 and len({part.key for part in parts[1:]}) == 1:  # f(7) = |7 - 9| = 2
        return parts[-1]
    if len(parts) != 2:
        raise Unreadable("a chain of equations")
    scaled = _scaled(f"({sides[0]})-({sides[1]})", positive=False)
    return Form("eq", scaled, tuple(parts))


def _scaled(text: str, *, positive: bool) -> str:
    """What stands for a formula up to a factor: any, or any positive one."""
    found = formula.values(text)
    if len(found) == 1:
        raise Unreadable("a relation without letters")
    with mpmath.workdps(arithmetic.DIGITS):
        first = abs(found[0]) if positive else found[0]
        if first == 0:
            raise Unreadable("zero at the first point")
        return arithmetic.digest([x / first for x in map(arithmetic.inexact, found)])


def _interval(sides: Sequence[str], signs: Sequence[str], depth: int) -> Form | None:
    """`2 < x <= 5` as (2, 5] and `x > 3` as (3, oo); None where it bounds no single letter."""
    if len({sign[0] for sign in signs}) != 1 or signs[0][0] not in "<>" or len(signs) > 2:
        return None
    if signs[0][0] == ">":
        sides, signs = sides[::-1], signs[::-1]
    letter = re.compile(r"[A-Za-z]|\\[a-z]+|\|[A-Za-z]\|")
    if len(signs) == 2:
        if not letter.fullmatch(sides[1]):
            return None
        ends = (_end(sides[0], depth), _end(sides[2], depth))
        marks = ("[" if "=" in signs[0] else "(") + ("]" if "=" in signs[1] else ")")
    elif letter.fullmatch(sides[0]):
        ends = (Form("inf", "-"), _end(sides[1], depth))
        marks = "(" + ("]" if "=" in signs[0] else ")")
    elif letter.fullmatch(sides[1]):
        ends = (_end(sides[0], depth), Form("inf", "+"))
        marks = ("[" if "=" in signs[0] else "(") + ")"
    else:
        return None
    if ends[0] is None or ends[1] is None:
        return None
    return Form("tuple", marks, (ends[0], ends[1]))


def _end(text: str, depth: int) -> Form | None:
    found = _single(text, depth + 1)
    return found if found.kind in ("n", "v", "inf") else None


def _split(text: str, at: Sequence[str]) -> list[str]:
    """Split at the given signs where they stand outside all brackets."""
    parts, last = [], 0
    for start, piece in _outside(text):
        if piece in at:
            parts.append(text[last:start])
            last = start + len(piece)
    return [*parts, text[last:]]


def _outside(text: str) -> Iterator[tuple[int, str]]:
    """The pieces outside all brackets, each with its place."""
    level = 0
    for match in _PIECE.finditer(text):
        level += (match.group() in _OPENERS) - (match.group() in _CLOSERS)
        if level == 0:
            yield match.start(), match.group()


def _trimmed(text: str) -> str:
    """Without the marks around an answer and the unit behind it."""
    text = text.strip().strip("$").strip().rstrip(".,;")
    text = without_unit(text)
    unit = _SPACED_UNIT.search(text)
    if unit and not NOT_UNITS.search(unit.group()) and re.search(r"[0-9)}\]]|\\pi", text[: unit.start()]):
        text = text[: unit.start()]
    return re.sub(r"\s*(?:%|\\%)$", "", text).strip()
