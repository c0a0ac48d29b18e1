"""Studied problems made by hand, for what no small run shows."""

from __future__ import annotations

from collections import Counter

from docendo.tune.read import Candidate, Studied
from docendo.types import Problem, Prompt


def candidate(
    name: str,
    correct: float | None = 1.0,
    lbt: float | None = 0.5,
    *,
    error: float = 0.0,
    text: str | None = None,
    sample: int = 0,
) -> Candidate:
    """A lesson with a text that no other name has."""
    words = text if text is not None else f" {name} is how {name} is done by {name}.\nAnswer: {name}"
    return Candidate(name, sample, words, name, f"k:{name}", correct, lbt, error)


def problem(
    id: str,
    *candidates: Candidate,
    family: str | None = None,
    gold: str | None = "1",
    run: str = "run",
    prompt: Prompt | None = None,
) -> Studied:
    """A studied problem with these lessons."""
    made = Problem(id, f"What is {id}?", gold, family=family)
    return Studied(run, made, prompt or f"Question: What is {id}?\nWorking:", candidates, Counter())
