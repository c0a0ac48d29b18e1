r"""Mathematical answers: how one is read from a text, and the exact fast path of "these two are the same".

Numbers get an exact key: `n:` and a reduced fraction. It covers integers, decimals, fractions, mixed numbers,
scientific notation and powers of numbers, in plain text or LaTeX, with signs, thousands commas, currency
signs, percent signs, degrees, units and a leading `x =`. Everything else gets `s:` and normalised LaTeX, in
which only spelling is levelled (`\dfrac` and `\frac`, white space, `\left`), never algebra: judging that
`(x+1)^2` equals `x^2+2x+1` is left to a slower judge behind the door.

A percentage is its number (50% and 50 are the same answer, 0.5 is another), because golds leave the sign out
as often as not. Model text is never evaluated: digits and exponents are bounded and counted before use.
"""

from __future__ import annotations

import hashlib
import re
from fractions import Fraction
from functools import lru_cache

from docendo.grading.extract import Found, explicit_answer, last_line

MAX_ANSWER = 4_000
"""Characters; a longer answer gets a key from its hash, equal only to itself."""
MAX_DIGITS = 500
"""Digits of one number, and the largest exponent of ten; keeps exact arithmetic in microseconds."""

_UNICODE = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2013\u2012\ufe63\uff0d", "-"),
        **dict.fromkeys("\u00a0\u2009\u202f\u2002\u2003", " "),
        **dict.fromkeys("\u2044\u2215\u00f7", "/"),
        **dict.fromkeys("°$£€\u200b\u2061", ""),
        "×": r"\times ",
        "·": r"\cdot ",
        "⋅": r"\cdot ",
        "²": "^2",
        "³": "^3",
        "π": r"\pi ",
        "∞": r"\infty ",
        "√": r"\sqrt ",
        "\u222a": r"\cup ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "½": " 1/2",
        "¼": " 1/4",
        "¾": " 3/4",
        "\uff0c": ",",
    }
)
_TEXT = r"\\(?:text|mbox|mathrm|textrm|textbf|textit|textnormal|mathbf|mathit|operatorname)\s*\{([^{}]*)\}"
_SPELLING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(\\\\)|\\[!]\s*|\\[,;:>]|\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])", r"\1"),
        (r"(\\\\)|\\ |~|\\q?quad(?![a-zA-Z])", r"\1 "),
        (r"\{,\}", ","),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degrees?(?![a-zA-Z])", ""),
        (r"\\([#&%])", r"\1"),
    )
)
_FRAME = " \t\r\n*`\"'"
_ABOUT = re.compile(
    r"^(?:about|around|roughly|approximately|exactly|only|just)\s|^(?:\\approx|≈|~)", re.IGNORECASE
)
_NUMBER = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
_VALUE = re.compile(
    rf"""
    (?P<sign>[-+]?)\s*
    (?: (?:(?P<whole>{_NUMBER})\s*)?
        \\frac\s*(?:\{{\s*(?P<top>[-+]?\s*{_NUMBER})\s*\}}|\s*(?P<top1>[0-9]))
              \s*(?:\{{\s*(?P<bottom>[-+]?\s*{_NUMBER})\s*\}}|\s*(?P<bottom1>[0-9]))
      | (?:(?P<units>[0-9]+)\s+(?:and\s+)?)?(?P<over>{_NUMBER})\s*/\s*(?P<under>{_NUMBER})
      | (?P<base>{_NUMBER})\s*\^\s*\{{?\s*(?P<power>[-+]?[0-9]{{1,4}})(?![0-9])\s*\}}?
      | (?P<mantissa>{_NUMBER})
        (?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*\{{?\s*(?P<ten>[-+]?[0-9]{{1,4}})(?![0-9])\s*\}}?
          |[eE](?P<exp>[-+]?[0-9]{{1,4}})(?![0-9a-zA-Z]))?
    )
    """,
    re.VERBOSE,
)
_WORD = r"[A-Za-z][A-Za-z'’]+\.?"
_UNITS = re.compile(  # attached to the number only where it is a known unit: 5ab is algebra
    rf"\s*%?\s*(?:percent\b)?\s*(?:(?:{_TEXT}"
    rf"|(?<=[\s%])(?:/\s?)?{_WORD}(?:(?:\s+|\s?[-/]\s?)(?:a\s|{_WORD})){{0,5}}"
    r"|(?:cm|mm|km|kgs?|ft|in|oz|lbs?|ml|mg|gm|hrs?|mph|sec|mins?|cents?|days?|hours?|minutes?|seconds?|feet"
    r"|inches|miles?|meters?|dollars?|degrees|people|st|nd|rd|th(?: [a-z]+)?))"
    r"\s*(?:\^\s*\{?\s*[23]\s*\}?)?)?"
)
# Words that change the number before them; a number followed by one is not "a number and its unit".
_NOT_UNITS = re.compile(
    r"\b(?:and|or|to|half|halves|thirds?|quarters?|hundred|thousand|million|billion|trillion|times|plus|minus|"
    r"over|mod|pi|sqrt|sin|cos|tan|log|ln|exp|because|since|not|but|if)\b",
    re.IGNORECASE,
)
_NAME = re.compile(rf"(?:[A-Za-z](?:_\{{?\w{{1,9}}\}}?)?(?:\([A-Za-z]\))?|(?:{_TEXT}|[A-Za-z ]{{2,40}}))")
_ARITHMETIC = re.compile(r"(?:[0-9\s.,+\-*/()%]|\\(?:times|cdot|div|frac)(?![a-zA-Z])|[{}]|(?<=\s)x(?=\s))+")
_SEARCH = re.compile(
    rf"(?:(?:(?<=[\s(=:$])|^)[-−](?=[\\$0-9.]))?\\?\$?\s?(?:{_NUMBER}?\\[dt]?frac\{{[^{{}}]{{1,99}}\}}\{{[^{{}}]{{1,99}}\}}"
    rf"|{_NUMBER}(?:\s[0-9]+/[0-9]+|\s?/\s?[0-9]+)?)(?:\s?\\?%)?"
)
_TEXT_GROUP = re.compile(_TEXT)
_LAST_UNIT = re.compile(rf"\s*{_TEXT}\s*(?:\^\s*\{{?\s*[23]\s*\}}?)?$")
_PROSE_WORD = re.compile(
    r"(?<![\\A-Za-z{])(?!(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|exp|mod|ln|sqrt)\b)[A-Za-z][a-z]+"
)
_REMARK = re.compile(r"(?<=\S)\s+\([A-Za-z][A-Za-z ,.'-]{3,99}\)$")
_LAST_WORDS = re.compile(r"(?:\s+[A-Za-z][a-z]+){1,5}$")
_SPAN = re.compile(r"\$([^$\n]{1,999})\$|\\\(([^\n]{1,999}?)\\\)")


def read(text: str) -> Found | None:
    """Return the answer a text gives, as written; None where it holds none.

    In this order: the last box; the rest of the sentence after the last label; in a text with neither, the
    last number in its last line (which a truncated text may not be judged by).
    """
    explicit = explicit_answer(text)
    if explicit is not None and len(explicit.text) <= MAX_ANSWER:
        answer = _core(explicit.text)
        return Found(answer, explicit.complete) if key(answer) != "s:" else None
    if explicit is not None:
        return None
    numbers = list(_SEARCH.finditer(last_line(text)[-MAX_ANSWER:]))
    return Found(numbers[-1].group().strip(" ."), complete=False) if numbers else None


@lru_cache(maxsize=4_096)  # a problem's gold and the students' few different answers come back all the time
def key(answer: str) -> str:
    """Return the key that this answer shares with its equivalents; see the module's docstring."""
    if len(answer) > MAX_ANSWER:
        return "s:#" + hashlib.sha256(answer.encode("utf-8", "surrogatepass")).hexdigest()
    return _plain_key(_core(answer))


def _plain_key(answer: str) -> str:
    text = _right_side(_spell(answer))
    number = _number(text)
    return f"s:{_compact(text)}" if number is None else f"n:{number}"


def _core(answer: str) -> str:
    """The answer within a sentence: "that she has 12 dollars left" gives 12; what is no sentence stays.

    Shortens until nothing more can go, so that the core of a core is itself: a gold answer would else not
    always be equal to its own reading.
    """
    while (shorter := _shorten(answer)) != answer:
        answer = shorter
    return answer


def _shorten(answer: str) -> str:
    answer = _REMARK.sub("", answer.strip(" \t*`"))
    if not _is_prose(answer) or _plain_key(answer).startswith("n:"):
        return answer
    bare = _LAST_WORDS.sub("", answer)  # "2 \\pi square inches" is no sentence without its unit
    if not _is_prose(bare) and re.search(r"[0-9]", bare):
        return bare
    spans = [first or second for first, second in _SPAN.findall(answer)]
    if spans:
        return str(spans[-1]).strip()
    numbers = list(_SEARCH.finditer(answer))
    if not numbers:
        return answer
    if numbers[0].start() > 0 or "=" in answer:
        return numbers[-1].group().strip(" .")
    first = numbers[0]  # "12 boys and 3 girls" is 12, but "10(\\sin x + \\cos y)" is not 10
    return first.group().strip(" .") if re.match(r"\s+[a-z(]|[,;]\s", answer[first.end() :]) else answer


def _is_prose(answer: str) -> bool:
    words = _PROSE_WORD.findall(_TEXT_GROUP.sub("", answer))
    return len(words) >= 2 or re.match(r"(?!sqrt|pi\b)[a-z]{2,}[:,]?\s+[-$]{0,2}[0-9]", answer) is not None


def _spell(answer: str) -> str:
    """One spelling for what LaTeX, Unicode and typing offer many for."""
    # White space first: the patterns below have neighbouring \s* that long runs of it would make cubic.
    text = " ".join(answer.replace("\\$", "").translate(_UNICODE).split())
    text = _ABOUT.sub("", text)
    for pattern, replacement in _SPELLING:
        text = pattern.sub(replacement, text)
    text = re.sub(r"^\\[(\[]|\\[)\]]$", "", text.strip(_FRAME).rstrip(".,;:"))
    return text.strip(_FRAME).rstrip(".,;: ")


def _right_side(text: str) -> str:
    r"""`x = 5` is 5 and `2 + 3 = 5` is 5, but `2x + 3 = 7` is an equation; `x \in S` is S."""
    text = re.sub(r"^[A-Za-z]\s*\\in(?![a-zA-Z])\s*", "", text)
    *left, right = text.split("=")
    named = all(_NAME.fullmatch(x.strip()) or _ARITHMETIC.fullmatch(x.strip()) for x in left)
    return right.strip() if named and right.strip() else text


def _number(text: str) -> Fraction | None:
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


def _is_unit(text: str, start: int) -> bool:
    """Whether all that follows the number at `start` is a percent sign or a unit of measure."""
    rest = text[start:]
    return not rest or (_UNITS.fullmatch(text, start) is not None and _NOT_UNITS.search(rest) is None)


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


def _compact(text: str) -> str:
    """The text without what only looks different: white space, optional braces, names of one operator."""
    unit = _LAST_UNIT.search(text)
    if unit and not _NOT_UNITS.search(unit.group()) and re.search(r"[0-9\\]", text[: unit.start()]):
        text = text[: unit.start()]
    text = _TEXT_GROUP.sub(r"\1", text)
    text = re.sub(r"\\(le|ge|ne)q(?![a-zA-Z])", r"\\\1", text)
    text = re.sub(r"\\sqrt\s*([0-9a-zA-Z])", r"\\sqrt{\1}", text)
    text = re.sub(
        r"\\frac\s*(?:([0-9])|\{([^{}]*)\})\s*(?:([0-9])|\{([^{}]*)\})", r"\\frac{\1\2}{\3\4}", text
    )
    text = re.sub(r"(?<![0-9a-zA-Z.)}])([0-9]+)\s*/\s*([0-9]+)(?![0-9a-zA-Z.(])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"([_^])\s*\{\s*(\w)\s*\}", r"\1\2", text)
    text = re.sub(r"\\(?:cdot|times)(?![a-zA-Z])", "*", text)
    text = re.sub(r"(?<![0-9])\.(?=[0-9])", "0.", text)
    text = re.sub(r"(?<=[0-9])\*(?=[a-zA-Z\\])", "", re.sub(r"\s+", "", text))
    text = re.sub(r"^\(([A-Za-z])\)$", r"\1", text)
    return text.casefold() if re.fullmatch(r"[A-Za-z_]{2,}", text) else text
