"""The code world's operations: how each is said, how it is written in Python, and what it does.

A method is a chain of steps and an ending. This is the trusted half of the world: it computes what a reference
program gives without running any text.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from docendo.schoolhouse.code.words import BIGGEST, SMALLEST, Sort

# A step names an operation and the constant it uses (None where it uses none); the ending names what is returned.
Step = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Method:
    """What a function does: steps in their order, then what it returns."""

    steps: tuple[Step, ...]
    ending: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing done to a value.

    Attributes:
        says: its place in a strategy; {k} is the constant as "label=number".
        python: its expression; {v} is the variable, {k} the constant.
        does: what it gives for (value, constant).
    """

    says: str
    python: str
    does: Callable[[Any, int], Any]

    @property
    def constant(self) -> bool:
        """Whether it uses a constant."""
        return "{k}" in self.python


_SLICES = {
    "first": Operation("first {k}", "{v}[:{k}]", lambda v, k: v[:k]),
    "skip": Operation("skip {k}", "{v}[{k}:]", lambda v, k: v[k:]),
    "last": Operation("last {k}", "{v}[-{k}:]", lambda v, k: v[-k:]),
    "reverse": Operation("reverse", "{v}[::-1]", lambda v, k: v[::-1]),
}
OPERATIONS: dict[Sort, dict[str, Operation]] = {
    "list": {
        "above": Operation("keep above {k}", "[x for x in {v} if x > {k}]", lambda v, k: [x for x in v if x > k]),
        "below": Operation("keep below {k}", "[x for x in {v} if x < {k}]", lambda v, k: [x for x in v if x < k]),
        "plus": Operation("add {k}", "[x + {k} for x in {v}]", lambda v, k: [x + k for x in v]),
        "times": Operation("multiply by {k}", "[x * {k} for x in {v}]", lambda v, k: [x * k for x in v]),
        **_SLICES,
        "sort": Operation("sort", "sorted({v})", lambda v, k: sorted(v)),
        "evens": Operation("keep even", "[x for x in {v} if x % 2 == 0]", lambda v, k: [x for x in v if x % 2 == 0]),
        "odds": Operation("keep odd", "[x for x in {v} if x % 2 == 1]", lambda v, k: [x for x in v if x % 2 == 1]),
    },
    "string": {
        **_SLICES,
        "repeat": Operation("repeat {k}", "{v} * {k}", lambda v, k: v * k),
        "upper": Operation("capitals", "{v}.upper()", lambda v, k: v.upper()),
        "sort": Operation("sort", '"".join(sorted({v}))', lambda v, k: "".join(sorted(v))),
    },
    "number": {
        "plus": Operation("add {k}", "{v} + {k}", lambda v, k: v + k),
        "minus": Operation("subtract {k}", "{v} - {k}", lambda v, k: v - k),
        "times": Operation("multiply by {k}", "{v} * {k}", lambda v, k: v * k),
        "modulo": Operation("remainder by {k}", "{v} % {k}", lambda v, k: v % k),
        "share": Operation("divide by {k}", "{v} // {k}", lambda v, k: v // k),
        "square": Operation("square", "{v} * {v}", lambda v, k: v * v),
    },
}  # fmt: skip
_WHOLE = Operation("give it", "{v}", lambda v, k: v)
ENDINGS: dict[Sort, dict[str, Operation]] = {
    "list": {
        "whole": _WHOLE,
        "sum": Operation("give the sum", "sum({v})", lambda v, k: sum(v)),
        "count": Operation("give the count", "len({v})", lambda v, k: len(v)),
        "largest": Operation("give the largest", "max({v}, default=0)", lambda v, k: max(v, default=0)),
    },
    "string": {
        "whole": _WHOLE,
        "count": Operation("give the count", "len({v})", lambda v, k: len(v)),
        "twice": Operation("give it twice", "{v} + {v}", lambda v, k: v + v),
    },
    "number": {
        "whole": _WHOLE,
        "text": Operation("give the text", "str({v})", lambda v, k: str(v)),
        "negative": Operation("give the negative", "-{v}", lambda v, k: -v),
    },
}  # fmt: skip

_PROBES = 16
# Of the probes, those that a step must change for the method to need it.
_FELT = 6


def strategy(sort: Sort, method: Method, labels: tuple[str, ...], numbers: tuple[int, ...]) -> str:
    """The method in words, such as "keep above k=5, first m=3, give the sum."."""
    said = []
    for name, index in method.steps:
        constant = "" if index is None else f"{labels[index]}={numbers[index]}"
        said.append(OPERATIONS[sort][name].says.format(k=constant))
    return ", ".join([*said, ENDINGS[sort][method.ending].says]) + "."


def program(sort: Sort, method: Method, name: str, variable: str, numbers: tuple[int, ...]) -> str:
    """The method as a Python function: a line a step, then the return."""
    lines = [f"def {name}({variable}):"]
    for operation, index in method.steps:
        constant = "" if index is None else numbers[index]
        lines.append(f"    {variable} = {OPERATIONS[sort][operation].python.format(v=variable, k=constant)}")
    lines.append(f"    return {ENDINGS[sort][method.ending].python.format(v=variable)}")
    return "\n".join(lines)


def outcome(sort: Sort, method: Method, numbers: tuple[int, ...], value: Any) -> Any:
    """What the method gives for a value."""
    for name, index in method.steps:
        value = OPERATIONS[sort][name].does(value, 0 if index is None else numbers[index])
    return ENDINGS[sort][method.ending].does(value, 0)


def random_input(sort: Sort, rng: random.Random) -> Any:
    """A value for a function of this sort: 8 to 12 numbers under 15, a word of 10 to 14 letters, or 10 to 99."""
    if sort == "list":
        return [rng.randrange(15) for _ in range(rng.randint(8, 12))]
    if sort == "string":
        return "".join(rng.choice("abcdefghijklmnoprstuw") for _ in range(rng.randint(10, 14)))
    return rng.randint(10, 99)


def random_numbers(rng: random.Random, constants: int) -> tuple[int, ...]:
    """One number for each constant, all different so that a program shows which constant each step used."""
    return tuple(rng.sample(range(SMALLEST, BIGGEST + 1), constants))


def random_method(rng: random.Random, sort: Sort, constants: int) -> Method:
    """A method as named rules have: two or three steps, all of which are felt."""
    names, endings = list(OPERATIONS[sort]), list(ENDINGS[sort])
    while True:
        steps: list[Step] = []
        for _ in range(rng.choices((2, 3), (7, 3))[0]):
            name = rng.choice(names)
            steps.append((name, rng.randrange(constants) if OPERATIONS[sort][name].constant else None))
        ending = endings[0] if rng.random() < 0.5 else rng.choice(endings[1:])
        method = Method(tuple(steps), ending)
        if sound(sort, method, constants):
            return method


@lru_cache(maxsize=100_000)
def sound(sort: Sort, method: Method, constants: int) -> bool:
    """Whether a method uses a constant, needs each of its steps, and does not give the same for nearly all values."""
    if all(index is None for _, index in method.steps):
        return False
    own = behaviour(sort, method, constants)
    if len(set(own)) < _FELT:
        return False
    for left_out in range(len(method.steps)):
        less = Method(method.steps[:left_out] + method.steps[left_out + 1 :], method.ending)
        if _apart(own, behaviour(sort, less, constants)) < _FELT:
            return False
    return True


def alike(sort: Sort, one: Method, other: Method, constants: int) -> bool:
    """Whether two methods can hardly be told apart by what they give."""
    return _apart(behaviour(sort, one, constants), behaviour(sort, other, constants)) < _FELT


@lru_cache(maxsize=100_000)
def behaviour(sort: Sort, method: Method, constants: int) -> tuple[str, ...]:
    """What a method gives on a fixed set of constants and values."""
    rng = random.Random(f"docendo code probes {sort} {constants}")
    return tuple(
        repr(outcome(sort, method, random_numbers(rng, constants), random_input(sort, rng)))
        for _ in range(_PROBES)
    )


def _apart(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))
