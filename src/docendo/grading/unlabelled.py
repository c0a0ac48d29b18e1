"""The answer of a text that states none explicitly: what its last statement comes to.

A heuristic for models that were not asked for a form, or forgot it; a text that runs in a loop or breaks off within
a formula gives no answer. All patterns are bounded and only the end of a text is read.
"""

from __future__ import annotations

import re

from docendo.grading.numbers import DECIMAL

END = 4_000
"""Characters at a text's end that are looked at."""

NUMBER = re.compile(
    rf"(?:(?:(?<=[\s(=:$])|^)[-−](?=[\\$0-9.]))?\\?\$?\s?(?:{DECIMAL}?\\[dt]?frac\{{[^{{}}]{{1,99}}\}}\{{[^{{}}]{{1,99}}\}}"
    rf"|{DECIMAL}(?:\s[0-9]+/[0-9]+|\s?/\s?[0-9]+)?)(?:\s?\\?%)?"
)
"""A number within prose, with its sign, currency and percent sign."""
_CLOSING = re.compile(r"\s*(?:\\\]|\\\)|\$\$|`{3}\w*|[*_]{1,3}|-{3,}|\\end\{\w{1,20}\*?\}|\s)\s*")
_UNFINISHED = re.compile(r"(?:[-+*/=<>^_(\[{,]|\\[A-Za-z]*)\s*$")
SPAN = re.compile(r"\$([^$\n]{1,999})\$|\\\(([^\n]{1,999}?)\\\)")
"""Mathematics within prose, between dollar signs or escaped brackets."""
"""Mathematics within prose, between dollar signs or `\\(` and `\\)`."""
_FORMULA = re.compile(r"\\[A-Za-z]|[=^_]|^\s*[-(\[]{0,2}[0-9A-Za-z.]{1,9}\s*(?:[-+*/,)]|$)")
_WORDS = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}")
# "in 4 hours", "for the first 2 months", "horse #12": a circumstance, where another number is the answer.
_CIRCUMSTANCE = re.compile(
    r"(?:\b(?:in|for|after|during|within|with|from|out of|at|per|than|every|each|all|the|his|her|their|these|those"
    r"|both)\s+(?:(?:the|a|his|her|their|these)\s+)?(?:(?:first|last|next|past|other|remaining)\s+)?|#\s)$",
    re.IGNORECASE,
)
_PURPOSE = re.compile(r"\bto\s+[a-z]{2,}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")
_SO = re.compile(r"\b(?:so|therefore|thus|hence)\b,?\s", re.IGNORECASE)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b|-[a-z]")
_IS_NUMBER = re.compile(
    rf"\b(?:is|are|was|were|be|equals)\s+(?:(?:about|approximately|only|just|now|therefore)\s+)?"
    rf"({NUMBER.pattern})[^0-9]{{0,80}}$"
)
_CONCLUDES = re.compile(
    r"\b(?:is|are|was|were|so|therefore|thus|makes?|gives?|has|have|will)\b", re.IGNORECASE
)
SPELT = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_SPELT_WORD = re.compile(rf"\b(?:{'|'.join(SPELT[2:])})\b", re.IGNORECASE)
LOOP = 40
"""Characters; a text whose last ones stood four times near its end runs in a loop."""


def answer(text: str) -> str | None:
    """Return the answer as written, or None."""
    end = text[-END:]
    if _loops(end):
        return None
    line = _last_statement(end)
    if _UNFINISHED.search(line):
        return None
    if NUMBER.search(line) is None:
        spelt = _SPELT_WORD.findall(line)
        return str(SPELT.index(spelt[0].lower())) if len(spelt) == 1 else None
    return _span(line) or main_number(line)


def main_number(statement: str) -> str | None:
    """Return the number that a statement in words comes to: the one behind its last sign of equality, or its last.

    Numbers that only name a circumstance ("in 4 hours", "the 5 people", "to last for 2 months") come after all others.
    """
    statement = _conclusion(statement)
    if (behind := _after_equals(statement)) is not None:
        return behind
    spelt = _SPELT_WORD.match(statement)
    if spelt is not None:  # "Three trucks are needed for 80 stones"
        return str(SPELT.index(spelt.group().lower()))
    last = _IS_NUMBER.search(statement)
    if last is not None:
        return _clean(last.group(1))
    numbers = [
        x for x in NUMBER.finditer(statement) if statement[: x.start()].rstrip()[-1:] not in ("^", "_")
    ]
    if not numbers:
        return None
    return _main(statement, numbers)


def _loops(end: str) -> bool:
    tail = end[-LOOP:]
    return len(tail) == LOOP and len(set(tail)) > 3 and end.count(tail) >= 4


def _last_statement(end: str) -> str:
    """The last line that is not blank and not just the end of a formula or a block."""
    for line in reversed(end.splitlines()):
        if line.strip() and not _CLOSING.fullmatch(line):
            return line.strip()
    return ""


def _span(line: str) -> str | None:
    """A formula between dollar signs that ends the statement; not what merely stands between two prices."""
    spans = list(SPAN.finditer(line))
    if not spans or NUMBER.search(line, spans[-1].end()):
        return None
    inside = str(spans[-1].group(1) or spans[-1].group(2))
    return inside.strip() if _FORMULA.search(inside) and not _WORDS.search(inside) else None


def _after_equals(line: str) -> str | None:
    """`which is 40 - 24 = 16 people, on horse #12`: the number behind the last sign of equality."""
    before, sign, after = line.rpartition("=")
    number = NUMBER.match(after.lstrip()) if sign and before else None
    if number is None or _CONCLUDES.search(after.lstrip(), number.end()):
        return None
    return _clean(number.group())


def _conclusion(statement: str) -> str:
    """The last sentence with a number in it, from its last "so" on where a number follows that."""
    for sentence in reversed(_SENTENCE.split(statement)):
        if NUMBER.search(sentence):
            starts = [x.end() for x in _SO.finditer(sentence) if NUMBER.search(sentence, x.end())]
            return sentence[starts[-1] :].strip() if starts else sentence.strip()
    return statement


def _main(line: str, numbers: list[re.Match[str]]) -> str:
    """The last sum of money, or else the last number, that is no mere circumstance; where all are, the last."""
    free = [
        number
        for number in numbers
        if not _CIRCUMSTANCE.search(line[max(0, number.start() - 40) : number.start()].rstrip() + " ")
        and not _ORDINAL.match(line, number.end())
    ]
    purpose = _PURPOSE.search(line, free[0].end()) if free else None
    free = [number for number in free if purpose is None or number.start() < purpose.start()]
    money = (
        [number for number in free if "$" in number.group()] if line.count("$") < 2 or not _span(line) else []
    )
    return _clean((money or free or numbers)[-1].group())


def _clean(number: str) -> str:
    return number.strip(" .")
