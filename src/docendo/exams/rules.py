"""Rules over what is known of problems: `subject =, level <=` is "the same subject, no harder than the taught one".

A rule is conditions joined by commas or `and`, each FIELD OPERATOR VALUE:

- FIELD is `group`, `family`, `cluster`, `kind`, `id` or an entry of `meta`, such as `level` or `source.year`;
- OPERATOR is `=`, `!=`, `<`, `<=`, `>` or `>=`; the last four compare numbers;
- VALUE is a word or number, several with `|` for any of them, in quotes where it holds a comma; nothing, or
  `taught`, is the taught problem's own value.

A field with a list (tags) is equal to a value that is in it, and to a list that shares one with it. A problem that
lacks a field meets no condition on it but `!=`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docendo.errors import ConfigError, DataError
from docendo.types import Problem

Mask = NDArray[np.bool_]
_CONDITION = re.compile(
    r"\s*(?P<field>[A-Za-z_][\w.-]*)\s*(?P<op><=|>=|!=|=|<|>)\s*(?P<value>\"[^\"]*\"|'[^']*'|(?:(?!\sand\s)[^,])*)"
    r"(?:,|\sand\s|$)"
)
_OWN = ("family", "cluster", "group", "kind", "id")
TAUGHT = "taught"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `values` is empty where the taught problem's own value is meant."""

    field: str
    operator: str
    values: tuple[str, ...] = ()


def parse(rule: str) -> tuple[Condition, ...]:
    """Read a rule.

    Raises:
        ConfigError: it is none; says where.
    """
    found, at = [], 0
    while rule[at:].strip():
        match = _CONDITION.match(rule, at)
        if match is None:
            raise ConfigError(
                f"rule {rule!r}: {rule[at:].strip()!r} is no condition; one is such as 'level <= 3' or "
                "'subject = taught'"
            )
        at = match.end()
        text = match["value"].strip()
        values = (text[1:-1],) if text[:1] in ("'", '"') else tuple(v.strip() for v in text.split("|"))
        own = values in (("",), (TAUGHT,))
        if "" in values and not own:
            raise ConfigError(f"rule {rule!r}: an empty value in {text!r}")
        if match["op"] not in ("=", "!=") and not own and (len(values) > 1 or _number(values[0]) is None):
            raise ConfigError(f"rule {rule!r}: {match['op']} compares numbers, and {text!r} is not one")
        found.append(Condition(match["field"], match["op"], () if own else values))
    if not found:
        raise ConfigError(f"rule {rule!r} has no condition; one is such as 'subject = taught'")
    return tuple(found)


class Rules:
    """A rule over a fixed sequence of problems, answered for one taught problem after another.

    Args:
        rule: see `parse`.
        problems: which are asked about.

    Raises:
        ConfigError: the rule is none, or names a field that none of the problems has.
    """

    def __init__(self, rule: str, problems: Sequence[Problem]) -> None:
        self.rule, self._conditions = rule, parse(rule)
        self._columns = {c.field: _Column(c.field, problems) for c in self._conditions}
        for name, column in self._columns.items():
            if column.empty and problems:
                raise ConfigError(f"rule {rule!r}: no exam problem has a field {name!r} in its meta")

    def allowed(self, taught: Problem) -> Mask:
        """Return which problems meet the rule for this taught problem, shape (problems,).

        Raises:
            DataError: the taught problem lacks a field that is compared with its own, or it is no number.
        """
        allowed = self._mask(self._conditions[0], taught)
        for condition in self._conditions[1:]:
            allowed = allowed & self._mask(condition, taught)
        return allowed

    def _mask(self, condition: Condition, taught: Problem) -> Mask:
        column = self._columns[condition.field]
        value = list(condition.values) or value_of(taught, condition.field)
        if value is None:
            raise DataError(
                f"problem {taught.id!r} has no {condition.field!r}, which the rule {self.rule!r} compares with"
            )
        if condition.operator == "=":
            return column.equal(value)
        if condition.operator == "!=":
            return ~column.equal(value)
        number = _number(value[0] if isinstance(value, list) and len(value) == 1 else value)
        if number is None:
            raise DataError(
                f"problem {taught.id!r}: {condition.field!r} is {value!r}, and the rule {self.rule!r} "
                "compares numbers"
            )
        compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
        found: Mask = compare[condition.operator](column.numbers, number)  # NaN, the missing, is in no order
        return found


class _Column:
    """One field of all problems: where each value is, and the numbers (NaN where there is none)."""

    def __init__(self, field: str, problems: Sequence[Problem]) -> None:
        places: dict[str, list[int]] = {}
        self.numbers = np.full(len(problems), np.nan)
        for place, problem in enumerate(problems):
            value = value_of(problem, field)
            for key in _keys(value):
                places.setdefault(key, []).append(place)
            number = _number(value)
            if number is not None:
                self.numbers[place] = number
        self.empty = not places
        self._size = len(problems)
        self._places = {key: np.array(where, dtype=np.int64) for key, where in places.items()}

    def equal(self, value: Any) -> Mask:
        mask = np.zeros(self._size, dtype=np.bool_)
        for key in _keys(value):
            if key in self._places:
                mask[self._places[key]] = True
        return mask


def value_of(problem: Problem, field: str) -> Any:
    """Return a field of a problem, or the entry of its meta; None where there is none."""
    if field in _OWN:
        return getattr(problem, field)
    value: Any = problem.meta
    if field in problem.meta:  # an entry may have a point in its name
        return problem.meta[field]
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _keys(value: Any) -> list[str]:
    """What values are compared by: 5, 5.0 and "5" are one, and so are words in any case."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [key for item in value for key in _keys(item)]
    number = _number(value)
    return [f"n:{number!r}" if number is not None else f"s:{str(value).casefold().strip()}"]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number and abs(number) != float("inf") else None
