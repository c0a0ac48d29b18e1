r"""What of a question's text counts when questions are compared.

Layout counts for nothing: case, white space, dollar signs, `\left`, `\dfrac` for `\frac`, punctuation. A number
written as a word is that number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_LAYOUT = re.compile(
    r"\\(?:left|right|displaystyle|limits|quad|qquad|[bB]igg?[lrm]?|text(?:bf|it|rm|normal)?|mbox|mathrm|mathbf)"
    r"(?![a-zA-Z])|\\[,;:!> ()\[\]]|[$~]"
)
_SMALL_FRACTION = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_TOKEN = re.compile(r"\\[a-z]+|[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:,\d{3})*(?:\.\d+)?|\.\d+|[^\s\w]|_")
_SENTENCE_END = re.compile(r"[.?!](?=\s|$)")
END = "¶"
_PUNCTUATION = frozenset(".,?!;:'\"`’“”{}¶")
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_NUMBER_WORDS: Mapping[str, str] = {word: str(number) for number, word in enumerate(_NUMBERS.split())}

# How an answer is to be written, which changes no answer.
_FORM = re.compile(
    r"(?:please )?(?:express|write|give|enter|leave|state) (?:your|the|all) (?:final )?answers?\b[^.]*(?:\.|$)"
    r"|\(?answer in terms of [^.)]*[.)]*",
    re.IGNORECASE,
)
# Words by which the same thing is asked in different ways. Not: "and", "or", "not", "same", "in".
_ASKING_WORDS = (
    "an the of for is are was were be been it its that this these those there then what which who how many much "
    "number find compute calculate determine evaluate simplify solve give state value values we you your let if "
    "suppose assume given consider such where with has have had does do did can could will would please "
    "following exact exactly so also shown below above figure"
)
_ASKING = frozenset(_ASKING_WORDS.split())
_SAME: Mapping[str, str] = {
    "least": "smallest",
    "minimum": "smallest",
    "minimal": "smallest",
    "greatest": "largest",
    "maximum": "largest",
    "maximal": "largest",
    "factors": "divisors",
    "factor": "divisor",
    "\\le": "\\leq",
    "\\ge": "\\geq",
    "\\ne": "\\neq",
    "\\cdot": "\\times",
    "*": "\\times",
}


@lru_cache(maxsize=1 << 15)
def tokens(text: str) -> tuple[str, ...]:
    """Return words in lower case, LaTeX commands, numbers and operators; no punctuation, no braces."""
    return _tokens(_plain(text))


def sentences(text: str) -> str:
    """Return the tokens with spaces between and around them, and END after every sentence."""
    parts = (_tokens(part) for part in _SENTENCE_END.split(_plain(text)))
    return "".join(f" {' '.join(part)} {END}" for part in parts if part) + " "


def _plain(text: str) -> str:
    return _SMALL_FRACTION.sub(r"\\frac", _LAYOUT.sub(" ", text.casefold()))


def _tokens(plain: str) -> tuple[str, ...]:
    found = (_NUMBER_WORDS.get(t, t.replace(",", "") if t[0].isdigit() else t) for t in _TOKEN.findall(plain))
    return tuple(token for token in found if token not in _PUNCTUATION)


def is_number(token: str) -> bool:
    """Whether a token is a number in digits."""
    return token[0].isdigit() or (token[0] == "." and len(token) > 1)


def gist(text: str) -> tuple[str, ...]:
    """Return what is asked, whatever the words that ask it: two questions with one gist are the same question.

    Left out are the words of asking ("find the value of", "what is"), articles, and how the answer is to be written;
    some synonyms are one word, and variables of one letter are named by their order. Numbers, operators, all other
    words and the order of everything stay, so that variants with other numbers, or with "sum" for "product", differ.
    """
    found = tokens(_FORM.sub(" ", text))
    names: dict[str, str] = {}
    kept = []
    for token, after in zip(found, (*found[1:], ""), strict=False):
        if token in _ASKING or (token == "a" and len(after) > 1 and after.isalpha()):
            continue
        if len(token) == 1 and token.isalpha():
            token = names.setdefault(token, f"v{len(names)}")
        kept.append(_SAME.get(token, token))
    return tuple(kept)
