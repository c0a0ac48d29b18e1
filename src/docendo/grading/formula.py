r"""Reads a formula in LaTeX or plain typing and says what number it is: by a parser of our own, never by `eval`.

Runs in the grader's worker process only. A formula without letters has one value; a formula with letters has one
at each of a few fixed points, which depend on nothing but the letters' names. Two formulas that agree at all
points are the same function, but for a chance far below that of a wrong gold answer (Schwartz-Zippel). So equality
needs no algebra, costs microseconds, and is an equivalence relation.

Sizes are bounded before anything is computed: a tower of exponents, a factorial of a large number or a formula of
many thousand characters is not read at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NoReturn

import mpmath

from docendo.grading import arithmetic
from docendo.grading.arithmetic import DIGITS, MAX_BITS, TooLarge, Unreadable, Value

MAX_TOKENS = 600
MAX_DEPTH = 40

_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "cot": mpmath.cot,
    "sec": mpmath.sec,
    "csc": mpmath.csc,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "ln": mpmath.log,
    "log": mpmath.log,
    "exp": mpmath.exp,
}
_INVERSES = {"sin": mpmath.asin, "cos": mpmath.acos, "tan": mpmath.atan}
_NAMES = sorted([*_FUNCTIONS, "sqrt", "pi", "infty"], key=len, reverse=True)
_GREEK_NAMES = """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon
    phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell
"""
_GREEK = frozenset(_GREEK_NAMES.split())
_TIMES = frozenset(("*", r"\cdot", r"\times", r"\*"))
_OVER = frozenset(("/", r"\div"))
_OPEN_TO_CLOSE = {
    "(": ")",
    "[": "]",
    "{": "}",
    r"\{": r"\}",
    r"\lfloor": r"\rfloor",
    r"\lceil": r"\rceil",
    r"\lvert": r"\rvert",
}
_NO_FACTOR = frozenset((*_OPEN_TO_CLOSE.values(), r"\pm", r"\mp"))
_ALIASES = {"**": "^", r"\vert": "|"}
_TOKEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+|\\[A-Za-z]+|\\.|[A-Za-z]+'*|\*\*|\S)")
_NUMBER = re.compile(r"[0-9.]")
_INTEGER = re.compile(r"[0-9]+\Z")


def tokens(text: str) -> list[str]:
    """Split a formula into numbers, names, commands and signs.

    Raises:
        Unreadable: there are more than `MAX_TOKENS` of them.
    """
    found = [_ALIASES.get(x, x) for x in _TOKEN.findall(text)]
    if len(found) > MAX_TOKENS:
        raise TooLarge(f"a formula of more than {MAX_TOKENS} signs")
    return found


def values(text: str, sign: int = 1) -> list[Value]:
    r"""Return the value of a formula: one, or one a point where it depends on letters.

    Args:
        text: the formula; at most `MAX_TOKENS` tokens are read.
        sign: what `\pm` stands for, 1 or -1; `\mp` is its opposite.

    Raises:
        Unreadable: it is no formula, has no finite value, or is too large.
    """
    parts = tokens(text)
    with mpmath.workdps(DIGITS):
        try:
            found = [_Parser(parts, point, sign).value() for point in range(3)]
        except (ArithmeticError, ValueError, TypeError) as error:
            raise Unreadable(f"no value: {error}") from None
        same = all(arithmetic.close(found[0], other) for other in found[1:])
        return found[:1] if same else found


class _Parser:
    """One pass over the tokens by recursive descent, computing as it goes."""

    def __init__(self, parts: Sequence[str], point: int, sign: int) -> None:
        self._parts = list(parts)
        self._at = 0
        self._depth = 0
        self._bars = 0
        self._point = point
        self._sign = sign

    def value(self) -> Value:
        if not self._parts:
            raise Unreadable("nothing")
        found = self._sum()
        if self._at < len(self._parts):
            self._stop()
        return found

    def _stop(self) -> NoReturn:
        raise Unreadable(f"unexpected {' '.join(self._parts[self._at : self._at + 3])[:40]!r}")

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._parts[at] if at < len(self._parts) else ""

    def _take(self, *wanted: str) -> str:
        part = self._peek()
        if not part or (wanted and part not in wanted):
            self._stop()
        self._at += 1
        return part

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooLarge("nested too deep")

    def _sum(self) -> Value:
        total = self._product()
        while self._peek() in ("+", "-", r"\pm", r"\mp"):
            sign = self._signed()
            part = self._product()
            total = arithmetic.add(total, part if sign > 0 else -part)
        return total

    def _signed(self) -> int:
        return {"+": 1, "-": -1, r"\pm": self._sign, r"\mp": -self._sign}[self._take()]

    def _product(self) -> Value:
        sign = 1
        while self._peek() in ("+", "-", r"\pm", r"\mp"):
            sign *= self._signed()
        total = self._mixed()
        while part := self._peek():
            if part in _TIMES:
                self._take()
                total = arithmetic.multiply(total, self._factor())
            elif part in _OVER:
                self._take()
                total = arithmetic.divide(total, self._factor())
            elif self._starts_factor(part):
                total = arithmetic.multiply(total, self._power())
            else:
                break
        return total if sign > 0 else -total

    def _starts_factor(self, part: str) -> bool:
        if part in _NO_FACTOR:
            return False
        if part == "|":  # within bars it ends them
            return not self._bars
        return part[0].isalnum() or part in ("(", "[", "{", r"\{") or (part[0] == "\\" and len(part) > 2)

    def _factor(self) -> Value:
        sign = 1
        while self._peek() in ("+", "-"):
            sign *= self._signed()
        found = self._power()
        return found if sign > 0 else -found

    def _mixed(self) -> Value:
        r"""`3\frac{1}{2}` and `3 1/2` are three and a half where the parts are plain integers."""
        ahead = [self._peek(i) for i in range(8)]
        if not _INTEGER.match(ahead[0]):
            return self._power()
        if ahead[1] == r"\frac" and (ahead[2] + ahead[4] + ahead[5] + ahead[7]) == "{}{}":
            top, bottom = ahead[3], ahead[6]
            length = 8
        elif _INTEGER.match(ahead[1]) and ahead[2] == "/":
            top, bottom, length = ahead[1], ahead[3], 4
        else:
            return self._power()
        if not (_INTEGER.match(top) and _INTEGER.match(bottom)) or not 0 < int(top) < int(bottom):
            return self._power()
        self._at += length
        return arithmetic.checked(Fraction(int(ahead[0])) + Fraction(int(top), int(bottom)))

    def _power(self) -> Value:
        base = self._postfix()
        if self._peek() == "^":
            self._take()
            return arithmetic.power(base, self._exponent())
        return base

    def _exponent(self) -> Value:
        self._deeper()
        sign = 1
        while self._peek() in ("+", "-"):
            sign *= self._signed()
        base = self._postfix()
        if self._peek() == "^":
            self._take()
            base = arithmetic.power(base, self._exponent())
        self._depth -= 1
        return base if sign > 0 else -base

    def _postfix(self) -> Value:
        found = self._atom()
        while self._peek() == "!":
            self._take()
            found = arithmetic.factorial(found)
        return found

    def _atom(self) -> Value:
        self._deeper()
        found = self._atom_at(self._take())
        self._depth -= 1
        return found

    def _atom_at(self, part: str) -> Value:
        if _NUMBER.match(part):
            return self._number(part)
        if part in _OPEN_TO_CLOSE:
            return self._group(part)
        if part == "|":
            return self._absolute()
        if part[0] == "\\":
            return self._command(part[1:])
        if part[0].isalpha():
            return self._word(part)
        self._at -= 1
        self._stop()

    def _number(self, part: str) -> Value:
        if len(part) > MAX_BITS // 4:
            raise TooLarge("a number of too many digits")
        number = Fraction(part)
        if self._peek() in (r"\overline", r"\bar") and "." in part:
            return self._repeating(number, part)
        if self._peek() == "." and self._peek(1) in (r"\overline", r"\bar"):
            self._take()
            return self._repeating(number, part + ".")
        return number

    def _repeating(self, start: Fraction, part: str) -> Value:
        r"""`0.1\overline{6}` is 1/6."""
        self._take()
        self._take("{")
        digits = self._take()
        self._take("}")
        if not _INTEGER.match(digits) or len(digits) > 100:
            raise Unreadable("a repeating decimal of no digits")
        places = len(part) - part.index(".") - 1
        return start + Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)

    def _group(self, opened: str) -> Value:
        found = self._sum()
        self._take(_OPEN_TO_CLOSE[opened])
        if opened == r"\lfloor":
            return arithmetic.floor(found)
        if opened == r"\lceil":
            return arithmetic.ceiling(found)
        return abs(found) if opened == r"\lvert" else found

    def _absolute(self) -> Value:
        self._bars += 1
        found = self._sum()
        self._bars -= 1
        self._take("|")
        return abs(found)

    def _braced(self) -> Value:
        r"""An argument of `\frac` and the like: a group in braces, or one digit or letter."""
        part = self._peek()
        if part == "{":
            self._take()
            return self._group("{")
        if _INTEGER.match(part) or re.fullmatch(r"[A-Za-z]+", part):
            first, rest = part[0], part[1:]
            self._parts[self._at : self._at + 1] = [first, *([rest] if rest else [])]
        return self._atom()

    def _command(self, name: str) -> Value:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            top = self._braced()
            return arithmetic.divide(top, self._braced())
        if name in ("binom", "dbinom", "tbinom"):
            top = self._braced()
            return arithmetic.binomial(top, self._braced())
        if name == "sqrt":
            return self._root()
        if name in ("mathrm", "mathit", "operatorname", "rm", "mathbf") and self._peek() == "{":
            self._take()
            word = self._take()
            self._take("}")
            if not word.isalpha():
                raise Unreadable("a name with more than letters")
            return self._word(word)
        if name in _GREEK:
            return self._letter(name)
        if name in _NAMES:
            return self._named(name)
        raise Unreadable(f"the command \\{name[:20]}")

    def _word(self, word: str) -> Value:
        """A run of letters: a function's name, or a product of letters; a long one is no formula."""
        if word.endswith("'"):
            raise Unreadable("a derivative")
        for name in _NAMES:
            if word.startswith(name):
                rest = word[len(name) :]
                if rest:
                    self._parts.insert(self._at, rest)
                return self._named(name)
        if len(word) > 3:
            raise Unreadable(f"the word {word[:20]!r}")
        if len(word) > 1:
            self._parts.insert(self._at, word[1:])
        return self._letter(word[0])

    def _letter(self, name: str) -> Value:
        if self._peek() == "_":
            self._take()
            name += "_" + self._index()
        elif name == "e":
            return mpmath.e + 0
        elif name == "i":
            return mpmath.mpc(0, 1)
        return _at_point(name, self._point)

    def _index(self) -> str:
        part = self._take()
        if part != "{":
            return part
        inside = []
        while (part := self._take()) != "}":
            inside.append(part)
        return "".join(inside)

    def _named(self, name: str) -> Value:
        if name == "pi":
            return mpmath.pi + 0
        if name == "infty":
            raise Unreadable("an infinite value")
        if name == "sqrt":
            return self._root()
        base: Value = Fraction(10)
        if name == "log" and self._peek() == "_":
            self._take()
            base = self._braced()
        function, power = self._function(name)
        found = function(arithmetic.inexact(self._argument()))
        if name == "log":
            found /= mpmath.log(arithmetic.inexact(base))
        found = arithmetic.checked(found)
        return found if power is None else arithmetic.power(found, power)

    def _function(self, name: str) -> tuple[Callable[[Any], Any], Value]:
        r"""The function and the power that its value is raised to: `\sin^2 x`, `\tan^{-1} x`."""
        function = _FUNCTIONS[name]
        if self._peek() != "^":
            return function, None
        self._take()
        power = self._exponent()
        if power == -1 and name in _INVERSES:
            return _INVERSES[name], None
        return function, power

    def _argument(self) -> Value:
        r"""What a function is applied to: a group, or the product that follows (`\sin 2x`).

        A power behind round or square brackets is the function's (`\sin(x)^2`, as models write for `\sin^2 x`); one
        behind braces, which nobody sees, is the argument's.
        """
        if self._peek() in ("(", "["):
            return self._group(self._take())
        if self._peek() == "{":
            found = self._group(self._take())
            if self._peek() == "^":
                self._take()
                found = arithmetic.power(found, self._exponent())
            return found
        found = self._factor()
        while (part := self._peek()) and self._starts_factor(part) and part not in ("(", "[", r"\{"):
            if part.lstrip("\\") in _NAMES and part.lstrip("\\") != "pi" and part.lstrip("\\") != "sqrt":
                break
            found = arithmetic.multiply(found, self._power())
        return found

    def _root(self) -> Value:
        order: Value = Fraction(2)
        if self._peek() == "[":
            order = self._group(self._take())
        if self._peek() == "(":
            argument = self._group(self._take())
        elif _INTEGER.match(self._peek()):  # TeX would take one digit of it, but that is not what is meant
            argument = self._number(self._take())
        else:
            argument = self._braced()
        return arithmetic.power(argument, arithmetic.divide(Fraction(1), order))


def _at_point(name: str, point: int) -> Fraction:
    """The value that stands for a letter: positive at the first point, of both signs at the others."""
    drawn = hashlib.sha256(f"{name}/{point}".encode()).digest()
    size = Fraction(int.from_bytes(drawn[:4], "big") % 1800 + 200, (97, 101, 103)[point] * 7)
    first_is_negative = hashlib.sha256(name.encode()).digest()[0] % 2
    return -size if point == 2 - first_is_negative else size
