"""What is drawn by lot, by seed and round: sets of training examples, minibatches, samples of failures."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from docendo.refine.nouns import Failure
from docendo.types import Example, Lesson, Problem

T = TypeVar("T")


def minibatch(problems: Sequence[Problem], size: int, key: str) -> list[Problem]:
    """Problems of one round, labels about as frequent as one another in every first part of it."""
    rng = random.Random(key)
    by_label: dict[str | None, list[Problem]] = {}
    for problem in problems:
        label = problem.answer if problem.kind == "label" else None
        by_label.setdefault(label, []).append(problem)
    for own in by_label.values():
        rng.shuffle(own)
    return _in_turns(list(by_label.values()), rng)[:size]


def training_set(pool: Sequence[Example], labels: Sequence[str], count: int, key: str) -> Lesson:
    """A set of examples drawn from training problems, balanced where there are labels."""
    rng = random.Random(key)
    groups = [[e for e in pool if e.answer == label] for label in labels] if labels else [list(pool)]
    for own in groups:
        rng.shuffle(own)
    drawn = _in_turns([own for own in groups if own], rng)[:count]
    rng.shuffle(drawn)
    return Lesson(tuple(drawn))


def samples_of_failures(
    failures: Sequence[Failure], count: int, size: int, key: str
) -> list[tuple[Failure, ...]]:
    """`count` samples of `size` failures, students in turn; with few failures the same ones in another order."""
    found = []
    for number in range(count):
        rng = random.Random(f"{key} {number}")
        by_student: dict[str, list[Failure]] = {}
        for failure in failures:
            by_student.setdefault(failure.student, []).append(failure)
        for own in by_student.values():
            rng.shuffle(own)
        found.append(tuple(_in_turns(list(by_student.values()), rng)[:size]))
    return found


def _in_turns(groups: list[list[T]], rng: random.Random) -> list[T]:
    """One of each group in turn, until all are out; who comes first in a turn is drawn."""
    longest = max((len(own) for own in groups), default=0)
    found: list[T] = []
    for turn in range(longest):
        members = [own[turn] for own in groups if turn < len(own)]
        rng.shuffle(members)
        found += members
    return found
