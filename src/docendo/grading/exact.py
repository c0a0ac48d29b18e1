"""Exact answers: the same words, whatever their case and spacing."""

from __future__ import annotations

from docendo.grading.extract import Found, explicit_answer, last_line


def read(text: str) -> Found | None:
    """Return the explicit answer or, in a text without one, its last line (never complete if truncated)."""
    found = explicit_answer(text) or Found(last_line(text), complete=False)
    return found if key(found.text) != "s:" else None


def key(answer: str) -> str:
    """Return `s:` and the answer without case, extra white space or a final full stop."""
    return "s:" + " ".join(answer.casefold().split()).removesuffix(".").rstrip()
