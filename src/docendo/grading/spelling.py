"""One spelling for what LaTeX, Unicode and typing offer many for; never algebra.

What a text in this spelling is, a number or a formula, is left to `numbers` and `forms`.
"""

from __future__ import annotations

import re

from docendo.grading.numbers import TEXT, without_unit
from docendo.grading.unlabelled import SPELT

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
_NAME = re.compile(rf"(?:[A-Za-z](?:_\{{?\w{{1,9}}\}}?)?(?:\([A-Za-z]\))?|(?:{TEXT}|[A-Za-z ]{{2,40}}))")
_ARITHMETIC = re.compile(r"(?:[0-9\s.,+\-*/()%]|\\(?:times|cdot|div|frac)(?![a-zA-Z])|[{}]|(?<=\s)x(?=\s))+")
_MEASURE = re.compile(
    r"\\(?:angle|det|triangle|overline|vec|gcd|text|mathbf|mathrm|operatorname)(?![a-z])|(?<![a-z\\])[A-Z]{2,4}(?![A-Za-z])"
    r"|(?<![A-Za-z\\])(?!sin|cos|tan|cot|sec|csc|log|exp|sqrt|arc)[A-Za-z]{3,}\s*\("
)
_LISTED = re.compile(r"[,;]|\b(?:and|or)\b")
_RELATED = re.compile(r"[<>]|\\(?:le|ge|ne|lt|gt)(?:q|slant)?(?![A-Za-z])")
TEXT_GROUP = re.compile(TEXT)


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


def compact(text: str) -> str:
    """Return the text without what only looks different: white space, optional braces, names of one operator."""
    text = without_unit(text)
    text = TEXT_GROUP.sub(r"\1", text)
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
