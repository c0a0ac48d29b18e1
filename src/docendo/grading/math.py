r"""Mathematical answers: how one is read from a text, and the exact fast path of "these two are the same".

Numbers get an exact key: `n:` and a reduced fraction. It covers integers, decimals, fractions, mixed numbers,
scientific notation and powers of numbers, in plain text or LaTeX, with signs, thousands commas, currency
signs, percent signs, degrees, units and a leading `x =`. Words get `s:` and the words. Everything that looks like a
formula is handed to the worker process behind `judge.py`, which gives it the key of its canonical form (`forms.py`);
what has none there, too, keeps `s:` and normalised LaTeX, in which only spelling is levelled (`\dfrac` and `\frac`,
white space, `\left`), never algebra.

A percentage is its number (50% and 50 are the same answer, 0.5 is another), because golds leave the sign out
as often as not. Model text is never evaluated: digits and exponents are bounded and counted before use.
"""

from __future__ import annotations

import hashlib
import re
from fractions import Fraction
from functools import lru_cache

from docendo.grading import judge, unlabelled
from docendo.grading.extract import Found, explicit_answer
from docendo.grading.unlabelled import NUMBER, SPELT

MAX_ANSWER = 4_000
"""Characters; a longer answer gets a key from its hash, equal only to itself."""
MAX_FORMULA = 1_000
"""Characters of what is handed to the worker process; a longer formula is compared as text."""
MAX_COMPARED = 400
"""Characters of a formula that is compared with a gold answer by more than its key."""
MAX_DIGITS = 500
"""Digits of one number, and the largest exponent of ten; keeps exact arithmetic in microseconds."""
ROUNDED = 10
"""Decimals from which on a gold answer is taken for a rounded number, as MATH() has many."""

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
        (r"(\\\\)|\\[!]\s*|\\[,;:>]|\\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![a-zA-Z])", r"\1"),
        (r"(\\\\)|\\ |~|\\q?quad(?![a-zA-Z])", r"\1 "),
        (r"\{,\}", ","),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degrees?(?![a-zA-Z])", ""),
        (r"\\([#&%])", r"\1"),
    )
)
# The sine of 30 degrees, before the marks go: elsewhere a number of degrees is that number.
_IN_DEGREES = re.compile(
    r"(\\?\b(?:sin|cos|tan|cot|sec|csc)(?:\^\{?-?[0-9]\}?)?) ?[({]?([0-9]{1,9}(?:\.[0-9]{1,9})?)"
    r" ?(?:\^ ?\{?\\circ\}?|°) ?[)}]?"
)
_FRAME = " \t\r\n*`\"'"
_ABOUT = re.compile(
    r"^(?:about|around|roughly|approximately|exactly|only|just)\s|^(?:\\approx|≈|~)", re.IGNORECASE
)
_SPACED_THOUSANDS = re.compile(r"^\s*[0-9]{1,3}(?: [0-9]{3})+(?=$|\.[0-9]| [A-Za-z])")
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
    r"|inches|miles?|meters?|dollars?|degrees|people|st|nd|rd|th(?: [a-z]+)?|(?:[A-Za-z]{2,4}|m)/(?:s|h|[a-z]{3,9})))"
    r"\s*(?:\^\s*\{?\s*[23]\s*\}?)?)?"
)
# Words that change the number before them; a number followed by one is not "a number and its unit".
NOT_UNITS = re.compile(
    r"\b(?:and|or|to|half|halves|thirds?|quarters?|hundred|thousand|million|billion|trillion|times|plus|minus|"
    r"divided|multiplied|squared|cubed|over|mod|pi|sqrt|sin|cos|tan|log|ln|exp|because|since|not|but|if)\b",
    re.IGNORECASE,
)
_NAME = re.compile(rf"(?:[A-Za-z](?:_\{{?\w{{1,9}}\}}?)?(?:\([A-Za-z]\))?|(?:{_TEXT}|[A-Za-z ]{{2,40}}))")
_ARITHMETIC = re.compile(r"(?:[0-9\s.,+\-*/()%]|\\(?:times|cdot|div|frac)(?![a-zA-Z])|[{}]|(?<=\s)x(?=\s))+")
_MEASURE = re.compile(
    r"\\(?:angle|det|triangle|overline|vec|gcd|text|mathbf|mathrm|operatorname)(?![a-z])|(?<![a-z\\])[A-Z]{2,4}(?![A-Za-z])"
    r"|(?<![A-Za-z\\])(?!sin|cos|tan|cot|sec|csc|log|exp|sqrt|arc)[A-Za-z]{3,}\s*\("
)
# Powers and factorials of large numbers, sums and limits, a run of signs.
_MONSTROUS = re.compile(
    r"\^[{( ]{0,3}-?[0-9]{4}|\^[^+\-*/=,&^]{1,12}\^|!|\\(?:sum|prod|i*int|lim|binom|choose)(?![a-z])|[-+|_]{12}"
)
_NUMBER_WORD = re.compile(
    r"\b(?:pi|sqrt|halves|half|thirds?|quarters?|and|or|hundred|thousand|million|billion|trillion)\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(r"\b(?:or|and|not|nor|neither|but|if|unless|cannot)\b", re.IGNORECASE)
_LISTED = re.compile(r"[,;]|\b(?:and|or)\b")
_RELATED = re.compile(r"[<>]|\\(?:le|ge|ne|lt|gt)(?:q|slant)?(?![A-Za-z])")
_TEXT_GROUP = re.compile(_TEXT)
_LAST_UNIT = re.compile(rf"\s*{_TEXT}\s*(?:\^\s*\{{?\s*[23]\s*\}}?)?$")
_PROSE_WORD = re.compile(
    r"(?<![\\A-Za-z{])(?!(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|exp|mod|ln|sqrt)\b)[A-Za-z][a-z]+"
)
_REMARK = re.compile(r"(?<=\S)\s+\([A-Za-z][A-Za-z ,.'-]{3,99}\)$")
_CHOICE = re.compile(r"\(([A-J])\)\s+\S|([A-J])[.)]\s+[A-Za-z]{2}")
_LAST_WORDS = re.compile(r"(?:\s+[A-Za-z][a-z]+){1,5}$")
_SPAN = re.compile(r"\$([^$\n]{1,999})\$|\\\(([^\n]{1,999}?)\\\)")


def read(text: str) -> Found | None:
    """Return the answer a text gives, as written; None where it holds none.

    In this order: the last box; the rest of the sentence after the last label; in a text with neither, what
    its last statement comes to (which a truncated text may not be judged by).
    """
    explicit = explicit_answer(text)
    if explicit is not None and len(explicit.text) <= MAX_ANSWER:
        answer = _core(explicit.text)
        return Found(answer, explicit.complete) if _plain_key(answer) != "s:" else None
    if explicit is not None:
        return None
    concluded = unlabelled.answer(text)
    return None if concluded is None else Found(concluded, complete=False)


@lru_cache(maxsize=4_096)  # a problem's gold and the students' few different answers come back all the time
def key(answer: str) -> str:
    """Return the key that this answer shares with its equivalents; see the module's docstring.

    Raises:
        GradingError: the worker process needed more time or memory for it than it may take.
        WouldWait: within `judge.nowait`, the worker would have to be asked.
    """
    if len(answer) > MAX_ANSWER:
        return "s:#" + hashlib.sha256(answer.encode("utf-8", "surrogatepass")).hexdigest()
    core = _core(answer)
    plain = _plain_key(core)
    if not _is_formula(plain):
        return plain
    return judge.key(right_side(spelled(core))) or plain


def same(gold: str, answer: str) -> bool:
    """Whether an answer counts as right; more generous than equal keys, as `forms.same` and `near` say.

    Raises:
        GradingError, WouldWait: as in `key`.
    """
    if key(gold) == key(answer):
        return True
    if max(len(gold), len(answer)) > MAX_ANSWER:
        return False
    pair = [spelled(_core(x)) for x in (gold, answer)]
    if _says(pair[1], pair[0]):
        return True
    numbers = [number(right_side(x)) for x in pair]
    if numbers[0] is not None and numbers[1] is not None:
        return near(numbers[0], numbers[1], decimals(right_side(pair[1])), rounded=is_rounded(numbers[0]))
    known = [x is not None or _is_formula(f"s:{_compact(y)}") for x, y in zip(numbers, pair, strict=True)]
    return all(known) and all(map(_is_bearable, pair)) and judge.same(*pair)


def _says(answer: str, gold: str) -> bool:
    """Whether an answer is a short sentence that begins with the gold word: "Navin would earn the most"."""
    words = answer.split()
    gold = _TEXT_GROUP.sub(r"\1", gold).strip()
    if not gold.isalpha() or len(gold) < 3 or not 1 < len(words) <= 12 or re.search(r"[0-9\\,;]", answer):
        return False
    return words[0].casefold() == gold.casefold() and not _HEDGE.search(answer)


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


def _is_formula(plain: str) -> bool:
    """Whether a key of the fast path may be that of a formula: not a number, not words, not too long."""
    text = plain[2:]
    if (
        plain.startswith("n:")
        or not 1 < len(text) <= MAX_FORMULA
        or not re.search(r"[0-9\\]|\w[-+*/^=<>|]", text)
    ):
        return False
    return not re.search(r"(?<![\\A-Za-z])[A-Za-z]{16}", text)


def _is_bearable(text: str) -> bool:
    """Whether a formula is small and flat enough for a parser that knows no bounds of its own."""
    level = deepest = 0
    for sign in text:
        level += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, level)
    return (
        len(text) <= MAX_COMPARED and deepest <= 12 and text.count("=") <= 6 and not _MONSTROUS.search(text)
    )


def decimals(text: str) -> int | None:
    """How many decimals a number is written with; None where it is no decimal number."""
    match = re.match(r"[-+]?\s*[0-9,]*\.([0-9]+)(?![0-9])", text)
    return len(match.group(1)) if match else None


def _plain_key(answer: str) -> str:
    text = right_side(spelled(answer))
    found = number(text)
    return f"s:{_compact(text)}" if found is None else f"n:{found}"


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
    choice = _CHOICE.match(answer)
    if choice is not None:
        return str(choice.group(1) or choice.group(2))
    if not _is_prose(answer) or _plain_key(answer).startswith("n:"):
        return answer
    bare = _LAST_WORDS.sub("", answer)  # "2 \\pi square inches" is no sentence without its unit
    unit = answer[len(bare) :]
    if not _is_prose(bare) and re.search(r"[0-9]", bare) and not _NUMBER_WORD.search(unit):
        return bare
    spans = [first or second for first, second in _SPAN.findall(answer)]
    if spans:
        return str(spans[-1]).strip()
    numbers = list(NUMBER.finditer(answer))
    if not numbers:
        return answer
    if numbers[0].start() > 0 or "=" in answer:
        return unlabelled.main_number(answer) or answer
    if re.match(
        r"\s*(?:divided|times|multiplied|plus|minus|over|squared|cubed|pi|sqrt|and\s+(?:a|one)|hundred|thousand"
        r"|[mb]illion)\b",
        answer[numbers[0].end() :],
    ):
        return answer  # the words behind the number change it
    first = numbers[0]  # "12 boys and 3 girls" is 12, but "10(\\sin x + \\cos y)" is not 10
    return first.group().strip(" .") if re.match(r"\s+[a-z(]|[,;]\s", answer[first.end() :]) else answer


def _is_prose(answer: str) -> bool:
    words = _PROSE_WORD.findall(_TEXT_GROUP.sub("", answer))
    return len(words) >= 2 or re.match(r"(?!sqrt|pi\b)[a-z]{2,}[:,]?\s+[-$]{0,2}[0-9]", answer) is not None


def spelled(answer: str) -> str:
    """Return an answer in one spelling for what LaTeX, Unicode and typing offer many for."""
    # White space first: the patterns below have neighbouring \s* that long runs of it would make cubic.
    text = _IN_DEGREES.sub(r"\1(\2\\pi/180)", answer.replace("\\$", ""))
    text = " ".join(text.translate(_UNICODE).split())
    text = _ABOUT.sub("", text)
    if text.casefold() in SPELT:
        return str(SPELT.index(text.casefold()))
    text = _SPACED_THOUSANDS.sub(lambda match: match.group().replace(" ", ""), text)
    for pattern, replacement in _SPELLING:
        text = pattern.sub(replacement, text)
    text = re.sub(r"^\\[(\[]|\\[)\]]$", "", text.strip(_FRAME).rstrip(".,;:"))
    return text.strip(_FRAME).rstrip(".,;: ")


def right_side(text: str) -> str:
    r"""Return what an answer comes to: `x = 5`, `2 + 3 = 5`, `A = s^2 = 5` and `\angle B = 5` are 5.

    But `2x + 3 = 7` is an equation and stays one; `x \in S` is S.
    """
    text = re.sub(r"^[A-Za-z]\s*\\in(?![a-zA-Z])\s*", "", text)
    *left, right = text.split("=")
    if not right.strip() or not left or _RELATED.search(text):
        return text
    if len(left) > 1 and not _LISTED.search(text):
        return right.strip()
    named = all(_NAME.fullmatch(x.strip()) or _ARITHMETIC.fullmatch(x.strip()) for x in left)
    measured = len(left) == 1 and _MEASURE.search(left[0]) is not None and not _LISTED.search(right)
    return right.strip() if named or measured else text


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


def without_unit(text: str) -> str:
    r"""Return a text in our spelling without the `\text{...}` behind it, if what is left is no mere word."""
    unit = _LAST_UNIT.search(text)
    if unit and not NOT_UNITS.search(unit.group()) and re.search(r"[0-9\\]", text[: unit.start()]):
        return text[: unit.start()]
    return text


def _compact(text: str) -> str:
    """The text without what only looks different: white space, optional braces, names of one operator."""
    text = without_unit(text)
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
