"""What keeps a problem out of an exam: that it is the taught one, a near-copy of it, or shows it whole.

An exam on a copy would be marked by the taught problem's own answer, and the LbT score would be that answer in
disguise. So two questions with one gist (`text.gist`: the same numbers, operators and words in the same order,
whatever words ask it and however variables are called) are copies; and a question, or a solution that may be shown,
which contains the taught question to the end of its last sentence gives it away. Variants with other numbers pass,
and so do questions that ask another thing of the same situation. The taught problem's gold answer is never looked
at: what an exam is made of must not depend on what one is out to find.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from docendo.exams.text import gist, sentences
from docendo.types import Problem

ITSELF = "the taught problem"
COPY = "near-copies of it"
SHOWS = "containing it"
NO_GOLD = "without a known answer"
TWICE = "near-copies of another in the exam"
REASONS = (ITSELF, COPY, SHOWS, NO_GOLD, TWICE)
"""Why a problem was left out, as the run records and shows it."""

SHORTEST = 8
"""Tokens below which a question is too short for its text to be recognised inside another."""


def kept_out(taught: Problem, other: Problem) -> str | None:
    """Return why `other` may not be in the exams of `taught`'s lessons, one of `REASONS`, or None where it may."""
    if other.id == taught.id:
        return ITSELF
    if not other.examinable:
        return NO_GOLD
    if same_question(taught, other):
        return COPY
    if _shows(other.question, taught.question) or _shows(other.solution or "", taught.question):
        return SHOWS
    return None


def same_question(one: Problem, other: Problem) -> bool:
    """Whether two problems ask the same, layout, trivial wording and names of variables apart."""
    return _gist(one.question) == _gist(other.question)


def counted(excluded: Mapping[str, int]) -> str:
    """Counts by reason in words: "12 near-copies of it, 3 without a known answer"."""
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(excluded.items()))


def _shows(text: str, question: str) -> bool:
    if len(text) < len(question) // 2:  # cannot hold it; and most solutions are never read
        return False
    needle = _sentences(question)
    return needle.count(" ") > SHORTEST + 2 and needle in _sentences(text)


@lru_cache(maxsize=1 << 14)
def _gist(question: str) -> tuple[str, ...]:
    return gist(question) or (question,)


@lru_cache(maxsize=1 << 12)
def _sentences(text: str) -> str:
    return sentences(text)
