"""Whether a working's method is right: carried out on other numbers of the same family, it gives their answers.

The school's workings are steps over labelled quantities, so a method can be read off a working and tried elsewhere. No
model is asked, and nothing that is learnt from depends on it: it only tells right answers that were reached by a right
way from those that were not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from docendo.types import Problem

_QUANTITY = re.compile(r"(\d+) ([a-z]+)")
_STEP = re.compile(r"(?:([a-z]+) )?(\d+ )?(plus|minus|times) (?:([a-z]+) )?(\d+) = \d+")
_TRIED = 4


class Methods:
    """Tells sound workings from others.

    Args:
        problems: with golds and families; a few of each family are what its workings are tried on.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._tried: dict[str | None, list[Problem]] = {}
        for problem in problems:
            own = self._tried.setdefault(problem.family, [])
            if len(own) < _TRIED:
                own.append(problem)
        self._known: dict[tuple[str | None, tuple[tuple[str, ...], ...]], bool] = {}

    def sound(self, problem: Problem, working: str) -> bool:
        """Whether the method of a working on this problem gives the answers of its family's other problems, too."""
        steps = steps_of(working)
        key = (problem.family, steps)
        if key not in self._known:
            others = self._tried.get(problem.family, [])
            self._known[key] = bool(steps and others) and all(
                carried_out(steps, other.question) == other.answer for other in others
            )
        return self._known[key]


def steps_of(working: str) -> tuple[tuple[str, ...], ...]:
    """The steps of a working, such as (("trays", "times", "buns"), ("", "minus", "2")); none where it has other parts.

    The first operand of a step is a label, or "" for the result so far; the second a label or a number.
    """
    steps: list[tuple[str, str, str]] = []
    for part in working.strip().rstrip(".").split(", "):
        found = _STEP.fullmatch(part)
        if found is None or bool(found[1]) != bool(found[2]) or bool(found[1]) == bool(steps):
            return ()
        steps.append((found[1] or "", found[3], found[4] or found[5]))
    return tuple(steps)


def carried_out(steps: Iterable[tuple[str, ...]], question: str) -> str | None:
    """What the steps come to with a question's quantities; None where it has not all of them."""
    values = {label: int(number) for number, label in _QUANTITY.findall(question)}
    result = 0
    for left, operation, right in steps:
        a = values.get(left) if left else result
        b = values.get(right) if not right.isdigit() else int(right)
        if a is None or b is None:
            return None
        result = a + b if operation == "plus" else a - b if operation == "minus" else a * b
    return str(result)
