"""Numbers as they are written: which number a text is, apart from its unit, and whether two are one but for rounding.

Integers, decimals, fractions, mixed numbers, scientific notation and powers of numbers, in plain text or LaTeX, with
signs, thousands commas, percent signs and units, all exact. Texts come as `spelling.spelled` leaves them. Digits and
exponents are bounded and counted before use; what is no plain number is left to `forms`.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_DIGITS = 500
"""Digits of one number, and the largest exponent of ten; keeps exact arithmetic in microseconds."""
ROUNDED = 10
"""Decimals from which on a gold answer is taken for a rounded number, as MATH() has many."""

TEXT = r"\\(?:text|mbox|mathrm|textrm|textbf|textit|textnormal|mathbf|mathit|operatorname)\s*\{([^{}]*)\}"
"""A word among the mathematics, as LaTeX writes it; its group is the word."""
DECIMAL = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
"""A number in digits, with or without thousands commas and decimals."""
_VALUE = re.compile(
    rf"""
    (?P<sign>[-+]?)\s*
    (?: (?:(?P<whole>{DECIMAL})\s*)?
        \\frac\s*(?:\{{\s*(?P<top>[-+]?\s*{DECIMAL})\s*\}}|\s*(?P<top1>[0-9]))
              \s*(?:\{{\s*(?P<bottom>[-+]?\s*{DECIMAL})\s*\}}|\s*(?P<bottom1>[0-9]))
      | (?:(?P<units>[0-9]+)\s+(?:and\s+)?)?(?P<over>{DECIMAL})\s*/\s*(?P<under>{DECIMAL})
      | (?P<base>{DECIMAL})\s*\^\s*\{{?\s*(?P<power>[-+]?[0-9]{{1,4}})(?![0-9])\s*\}}?
      | (?P<mantissa>{DECIMAL})
        (?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*\{{?\s*(?P<ten>[-+]?[0-9]{{1,4}})(?![0-9])\s*\}}?
          |[eE](?P<exp>[-+]?[0-9]{{1,4}})(?![0-9a-zA-Z]))?
    )
    """,
    re.VERBOSE,
)
_WORD = r"[A-Za-z][A-Za-z'’]+\.?"
_UNITS = re.compile(  # attached to the number only where it is a known unit: 5ab is algebra
    rf"\s*%?\s*(?:percent\b)?\s*(?:(?:{TEXT}"
    rf"|(?<=[\s%])(?:/\s?)?{_WORD}(?:(?:\s+|\s?[-/]\s?)(?:a\s|{_WORD})){{0,5}}"
    r"|(?:cm|mm|km|kgs?|ft|in|oz|lbs?|ml|mg|gm|hrs?|mph|sec|mins?|cents?|days?|hours?|minutes?|seconds?|feet"
    r"|inches|miles?|meters?|dollars?|degrees|people|st|nd|rd|th(?: [a-z]+)?|(?:[A-Za-z]{2,4}|m)/(?:s|h|[a-z]{3,9})))"
    r"\s*(?:\^\s*\{?\s*[23]\s*\}?)?)?"
)
# Words that change the number before them; a number followed by one is not "a number and its unit".
NOT_UNITS = re.compile(
    r"\b(?:and|or|to|half|halves|thirds?|quarters?|hundred|thousand|million|billion|trillion|times|plus|minus|"
    r"divided|multiplied|squared|cubed|over|mod|pi|sqrt|sin|cos|tan|log|ln|exp|because|since|not|but|if)\b",
    re.IGNORECASE,
)
_LAST_UNIT = re.compile(rf"\s*{TEXT}\s*(?:\^\s*\{{?\s*[23]\s*\}}?)?$")


def number(text: str) -> Fraction | None:
    """Return the number that a text in our spelling is, with its unit; None where it is something else."""
    match = _VALUE.match(text)
    if match is None or not _is_unit(text, match.end()):
        return None
    part = match.groupdict()
    if any(value and len(value) > MAX_DIGITS for value in part.values()):
        return None
    if part["over"]:
        value = _ratio(part["over"], part["under"], part["units"])
    elif part["base"]:
        value = _power(_decimal(part["base"]), int(part["power"]))
    elif part["mantissa"]:
        ten = _power(Fraction(10), int(part["ten"] or part["exp"] or 0))
        value = None if ten is None else _decimal(part["mantissa"]) * ten
    else:
        value = _ratio(part["top"] or part["top1"], part["bottom"] or part["bottom1"], part["whole"])
    return -value if value is not None and part["sign"] == "-" else value


def decimals(text: str) -> int | None:
    """How many decimals a number is written with; None where it is no decimal number."""
    match = re.match(r"[-+]?\s*[0-9,]*\.([0-9]+)(?![0-9])", text)
    return len(match.group(1)) if match else None


def without_unit(text: str) -> str:
    r"""Return a text in our spelling without the `\text{...}` behind it, if what is left is no mere word."""
    unit = _LAST_UNIT.search(text)
    if unit and not NOT_UNITS.search(unit.group()) and re.search(r"[0-9\\]", text[: unit.start()]):
        return text[: unit.start()]
    return text


def near(gold: Fraction, answer: Fraction, places: int | None, *, rounded: bool) -> bool:
    """Whether two different numbers are one but for rounding. Not transitive, so never used for votes.

    A gold answer of `ROUNDED` or more decimals and about as many digits is a rounded number, as MATH() has many: an
    answer is near it to one in a million, or where it is the gold rounded to its own two or more decimals and three
    or more digits. Any other gold is exact: an answer is near it only with six or more decimals, to a unit in the
    last of them or, where there are ten, to one in a billion.

    Args:
        gold: the gold answer.
        answer: the other one.
        places: the decimals that the other is written with; None where it is no decimal number.
        rounded: the gold answer is a rounded number.
    """
    difference = abs(gold - answer)
    if rounded:
        if difference <= abs(gold) / 10**6:
            return True
        return (
            places is not None
            and places >= 2
            and abs(answer) * 10**places >= 100
            and difference <= Fraction(1, 2 * 10**places)
        )
    if places is None or places < 6:
        return False
    return difference <= max(Fraction(1, 10**places), abs(gold) / 10**9 if places >= 10 else Fraction(0))


def is_rounded(gold: Fraction) -> bool:
    """Return whether a number is a decimal too long to be meant exactly, also where it is written as a fraction."""
    below = gold.denominator
    twos = (below & -below).bit_length() - 1
    below >>= twos
    fives = 0
    while below % 5 == 0:
        below //= 5
        fives += 1
    return below == 1 and max(twos, fives) >= ROUNDED and abs(gold.numerator) >= 10**ROUNDED


def _is_unit(text: str, start: int) -> bool:
    """Whether all that follows the number at `start` is a percent sign or a unit of measure."""
    rest = text[start:]
    return not rest or (_UNITS.fullmatch(text, start) is not None and NOT_UNITS.search(rest) is None)


def _decimal(written: str) -> Fraction:
    return Fraction(re.sub(r"[\s,]", "", written).rstrip(".") or "0")


def _ratio(top: str, bottom: str, whole: str | None) -> Fraction | None:
    divisor = _decimal(bottom)
    if divisor == 0:
        return None
    return (_decimal(whole) if whole else 0) + _decimal(top) / divisor


def _power(base: Fraction, exponent: int) -> Fraction | None:
    size = max(len(str(abs(base.numerator))), len(str(base.denominator)))
    if abs(exponent) * size > 2 * MAX_DIGITS or (base == 0 and exponent < 0):
        return None
    return base**exponent
