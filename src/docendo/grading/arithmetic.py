"""Arithmetic on the values of formulas: exact where it can be, else with fifty digits, and bounded in either case.

Runs in the grader's worker process only. A value is a `Fraction` until something irrational or too long touches it;
then it is a number of mpmath's. Sizes are looked at before anything is computed. What a formula means is left to
`formula`, whose errors these are: they say that a text has no value worth computing. All of it but `exact`, `written`
and `digest` belongs inside `mpmath.workdps(DIGITS)`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath

from docendo.errors import DocendoError

DIGITS = 50
"""Decimal digits of the arithmetic, where it is not exact."""
MAX_BITS = 20_000
"""Of an exact number; what would be larger is computed with `DIGITS` digits."""
MAX_POWER = 100_000
"""The largest exponent, and the largest power of e that a result may have."""
MAX_FACTORIAL = 500

Value = Any
"""A `Fraction` where arithmetic is exact, else mpmath's `mpf` or `mpc`."""


class Unreadable(DocendoError):
    """A text that is no formula; its answer is compared as text, or by math-verify."""


class TooLarge(Unreadable):
    """A formula that is too large to read or compute; its answer is compared as text only."""


def exact(value: Value) -> Fraction | None:
    """Return the rational number that a value is, also where it was computed through irrational ones."""
    if isinstance(value, Fraction):
        return value
    with mpmath.workdps(DIGITS):
        real, imaginary = mpmath.re(value), mpmath.im(value)
        size = abs(value)
        if size < mpmath.mpf(10) ** (8 - DIGITS):
            return Fraction(0)
        if abs(imaginary) > size * mpmath.mpf(10) ** (10 - DIGITS) or not 1e-15 < size < 1e15:
            return None
        near = Fraction(mpmath.nstr(real, DIGITS, strip_zeros=False)).limit_denominator(10**6)
        return near if abs(inexact(near) - real) < size * mpmath.mpf(10) ** (10 - DIGITS) else None


def written(value: Value) -> str:
    """Return a value's first twelve digits, the same for equal values however they were computed."""
    with mpmath.workdps(DIGITS):
        number = inexact(value)
        size = abs(number)
        parts = []
        for part in (mpmath.re(number), mpmath.im(number)):
            tiny = abs(part) <= size * mpmath.mpf(10) ** (12 - DIGITS)
            parts.append("0" if tiny else mpmath.nstr(part, 12, min_fixed=-4, max_fixed=13))
        return parts[0] if parts[1] == "0" else f"{parts[0]}{'' if parts[1][0] == '-' else '+'}{parts[1]}i"


def digest(found: Sequence[Value]) -> str:
    """Return sixteen hexadecimal digits that stand for the values of a formula with letters."""
    return hashlib.sha256(";".join(map(written, found)).encode()).hexdigest()[:16]


def close(one: Value, other: Value) -> bool:
    """Whether two values are one but for how they were computed."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    a, b = inexact(one), inexact(other)
    return bool(abs(a - b) <= max(abs(a), abs(b)) * mpmath.mpf(10) ** (12 - DIGITS))


def inexact(value: Value) -> Any:
    """The value as a number of mpmath's."""
    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return value


def checked(value: Value) -> Value:
    """The value if it is finite and of bearable size, rounded where its exact form would grow too long."""
    if isinstance(value, Fraction):
        bits = max(value.numerator.bit_length(), value.denominator.bit_length())
        return value if bits <= MAX_BITS else inexact(value)
    if not mpmath.isfinite(value):
        raise Unreadable("an infinite value")
    return value


def add(one: Value, other: Value) -> Value:
    """The sum, exact where both are."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return checked(one + other)
    return checked(inexact(one) + inexact(other))


def multiply(one: Value, other: Value) -> Value:
    """The product, exact where both are."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return checked(one * other)
    return checked(inexact(one) * inexact(other))


def divide(one: Value, other: Value) -> Value:
    """The quotient, exact where both are."""
    if other == 0:
        raise Unreadable("a division by zero")
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return checked(one / other)
    return checked(inexact(one) / inexact(other))


def power(base: Value, exponent: Value) -> Value:
    """The power; of several roots the real one, as school has it, else the principal one."""
    if isinstance(exponent, Fraction) and exponent.denominator == 1 and isinstance(base, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if base == 0 and exponent <= 0:
            raise Unreadable("zero to a power that is not positive")
        if abs(exponent) * bits <= MAX_BITS:
            return base**exponent.numerator
    if base == 0:
        return Fraction(0)
    number, degree = inexact(base), inexact(exponent)
    if abs(degree) > MAX_POWER or abs(degree * mpmath.log(abs(number))) > MAX_POWER:
        raise TooLarge("a power that is too large")
    root = exponent.denominator if isinstance(exponent, Fraction) else 0
    if root % 2 == 1 and root > 1 and mpmath.im(number) == 0 and mpmath.re(number) < 0:
        # The real root, as school has it: the cube root of -8 is -2.
        sign = -1 if exponent.numerator % 2 else 1
        return checked(sign * mpmath.power(-mpmath.re(number), degree))
    found = checked(mpmath.power(number, degree))
    if root == 2 and isinstance(base, Fraction) and base > 0:
        rational = exact(found)
        return found if rational is None or rational**2 != base**exponent.numerator else rational
    return found


def factorial(number: Value) -> Fraction:
    """The factorial of an integer up to `MAX_FACTORIAL`."""
    if not isinstance(number, Fraction) or number.denominator != 1 or not 0 <= number <= MAX_FACTORIAL:
        raise TooLarge("a factorial that is too large or not of an integer")
    return Fraction(math.factorial(int(number)))


def binomial(top: Value, bottom: Value) -> Value:
    """The binomial coefficient of two integers; the lower one is at most `MAX_FACTORIAL`."""
    whole = isinstance(top, Fraction) and isinstance(bottom, Fraction)
    if not whole or top.denominator != 1 or bottom.denominator != 1 or not 0 <= bottom <= MAX_FACTORIAL:
        raise TooLarge("a binomial coefficient that is too large or not of integers")
    found = Fraction(1)
    for i in range(int(bottom)):
        found = checked(found * (top - i) / (i + 1))
    return found


def floor(value: Value) -> Fraction:
    """The largest integer that is not above a real value."""
    return Fraction(int(mpmath.floor(_real(value))))


def ceiling(value: Value) -> Fraction:
    """The smallest integer that is not below a real value."""
    return Fraction(int(mpmath.ceil(_real(value))))


def _real(value: Value) -> Any:
    number = inexact(value)
    if mpmath.im(number) != 0 or abs(number) > 1e30:
        raise TooLarge("rounding what is too large or not real")
    # A value that was computed may miss an integer by its last digits.
    nearest = mpmath.nint(mpmath.re(number))
    return nearest if abs(nearest - number) < mpmath.mpf(10) ** (15 - DIGITS) else mpmath.re(number)
