"""Finds the answer that a text states explicitly: in a box or after a label such as "Answer:".

What the answer means, and what to do with a text that states none, is left to the kinds. All patterns here
have bounded look-ahead and only the end of a long text is read, so that a hostile text costs bounded time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TAIL = 200_000
"""Characters at a text's end that are read: far more than any answer needs, and a bound on the cost."""

LABELS = 20
"""Labels, from the last, that are tried; one is enough unless what follows it is blank or a question."""

_BOX = re.compile(r"(\\(?:boxed|fbox)\s{0,9}\{)|\\.|[{}]", re.DOTALL)
# "The answer is obtained by ..." and "to arrive at this answer:" speak of an answer and do not give it.
_LABEL = re.compile(
    r"(?<!\bthis )\banswers?\b[*_]{0,3}(?:[ \t]{1,4}(?:to|for|of)\b[^.:\n]{0,80}?)?[ \t]{0,4}"
    r"(?::|=|\b(?:is|are)\b(?!\s+(?:obtained|found|valid|wrong|incorrect|correct|derived|calculated|reached|(?:negative|positive)\s+(?:because|since))\b))|####",
    re.IGNORECASE,
)
_PADDING = " \t\r*:`"
# Not "!", which is a factorial; not the full stops of "4 sq. in" and "Mr. Jackson".
_SENTENCE_END = re.compile(r"(?<!\bM[rs])(?<!\bMrs)(?<!\bDr)(?<!\bNo)\.(?=\s(?![a-z]))|\?(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as written, and whether more text could no longer have changed it.

    `complete` is what makes an answer in a truncated text usable: "Answer: 16" at a cut may have been going
    to be 160, "Answer: 16." followed by a new line may not.
    """

    text: str
    complete: bool


def explicit_answer(text: str) -> Found | None:
    """Return the last boxed answer or, in a text without one, the last labelled one; None without either."""
    text = text[-TAIL:]
    return _boxed(text) or _labelled(text)


def last_line(text: str) -> str:
    """Return the last line that is not blank, or an empty string."""
    return text[-TAIL:].rstrip().rpartition("\n")[2].strip()


def _boxed(text: str) -> Found | None:
    """The content of the last box whose braces balance, in one pass (escaped braces are not braces)."""
    opened: list[int] = []  # where the content of each open brace starts; -1 for braces that are no box
    last: tuple[int, int] | None = None
    for match in _BOX.finditer(text):
        token = match.group()
        if match.group(1):
            opened.append(match.end())
        elif token == "{":
            opened.append(-1)
        elif token == "}" and opened:
            start = opened.pop()
            if start > (last[0] if last else -1) and text[start : match.start()].strip():
                last = (start, match.start())
    if last is None:
        return None
    cut_off = any(start > last[0] for start in opened)  # a later box was begun and never closed
    return Found(text[last[0] : last[1]].strip(), complete=not cut_off)


def _labelled(text: str) -> Found | None:
    """What follows the last label: the rest of its sentence, or the next line where the label ends its own.

    A question after the label ("Final answer: how many are left?") is a heading, not an answer.
    """
    for match in reversed(list(_LABEL.finditer(text))[-LABELS:]):
        start = match.end()
        while start < len(text):
            newline = text.find("\n", start)
            end = len(text) if newline < 0 else newline
            sentence = _SENTENCE_END.search(text, start, min(end + 1, len(text)))
            complete = newline >= 0 or sentence is not None
            if sentence and sentence.group() == "?":
                break
            region = text[start : sentence.start() if sentence else end].strip(_PADDING)
            if region.strip("$\\[]() .?"):
                return Found(region.removesuffix(".").rstrip(_PADDING), complete)
            start = end + 1
    return None
