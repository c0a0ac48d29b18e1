"""Whether an answer is as good as a gold one: more generous than equal keys, and used for nothing but that.

Runs in the grader's worker process only. Forgives rounding where the gold is a rounded number, and a missing base, name
or bracket where the gold shows what was meant. So it is no equivalence relation, and must not count votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import mpmath

from docendo.grading.arithmetic import DIGITS, TooLarge, Unreadable
from docendo.grading.forms import Form, form
from docendo.grading.numbers import is_rounded, near
from docendo.grading.spelling import right_side


def same(gold: str, answer: str) -> bool | None:
    """Whether an answer is as good as the gold one; None where one of the two is not of a known form."""
    try:
        golds, answers = _readings(gold), _readings(answer)
    except TooLarge:
        return False
    if not golds or not answers:
        return None
    if golds[0].kind != "eq":  # a + b = 2k says what a + b is; `2k` is then what was asked for
        answers += [x.parts[-1] for x in answers if x.kind == "eq"]
    return any(_alike(a, b) for a in golds for b in answers)


def _readings(answer: str) -> list[Form]:
    """The forms that an answer may be meant as: as it stands, and without the name that it is given."""
    found = []
    for text in dict.fromkeys((answer, right_side(answer))):
        try:
            found.append(form(text))
        except TooLarge:
            raise
        except Unreadable:
            continue
    return found


def _alike(gold: Form, answer: Form) -> bool:
    if gold.key == answer.key:
        return True
    if gold.value is not None and answer.value is not None:
        return _near(gold, answer)
    if gold.kind == "base" and answer.kind == "n":
        return gold.detail.partition("_")[0] == answer.detail
    if {gold.kind, answer.kind} <= {"tuple", "matrix", "set"} and len(gold.parts) == len(answer.parts):
        if gold.kind == answer.kind == "set":
            return _paired(gold.parts, answer.parts)
        if gold.kind == answer.kind and gold.detail != answer.detail:
            return False
        if gold.kind == "matrix" and answer.kind == "tuple" and answer.detail == "()":
            return "1" in (gold.detail, str(len(gold.parts) // int(gold.detail))) and _in_order(gold, answer)
        if gold.kind == "tuple" and answer.kind in ("matrix", "set"):
            return gold.detail == "()" and _in_order(gold, answer)
        return gold.kind == answer.kind and _in_order(gold, answer)
    return False


def _in_order(gold: Form, answer: Form) -> bool:
    return all(_alike(a, b) for a, b in zip(gold.parts, answer.parts, strict=True))


def _paired(gold: Sequence[Form], answer: Sequence[Form]) -> bool:
    """Whether every element of one set has its own like in the other."""
    left = list(answer)
    for part in gold:
        match = next((x for x in left if _alike(part, x)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _near(gold: Form, answer: Form) -> bool:
    """Rounding, forgiven as `near` says; an exact gold must be met exactly or to six decimals."""
    with mpmath.workdps(DIGITS):
        if mpmath.im(gold.value) != 0 or mpmath.im(answer.value) != 0:
            return False
        pair = [_fraction(x) for x in (gold, answer)]
    if pair[0] is None or pair[1] is None:
        return False
    return near(pair[0], pair[1], answer.decimals, rounded=gold.kind == "n" and is_rounded(pair[0]))


def _fraction(node: Form) -> Fraction | None:
    if isinstance(node.value, Fraction):
        return node.value
    number = mpmath.re(node.value)
    return Fraction(mpmath.nstr(number, 30)) if 1e-30 < abs(number) < 1e30 else None
