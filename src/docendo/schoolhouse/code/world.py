"""The code world: procedural families of tiny programming tasks in clusters easily confused.

A *family* is a way of telling some constants, a phrase, and the method that phrase stands for; its variants
are draws of the function's name and of the constants. A *cluster* is six families told alike, where one small
phrase changes what the function must do. A world is made from its seed alone: a fresh seed gives fresh families of
the same kinds. This module knows nothing of models, and runs no program.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from docendo.schoolhouse.code import words
from docendo.schoolhouse.code.operations import (
    Method,
    alike,
    outcome,
    program,
    random_input,
    random_method,
    random_numbers,
    strategy,
)
from docendo.schoolhouse.code.words import Sort
from docendo.schoolhouse.families import FamilyWorld, Group, Place, Split, Variant, places
from docendo.schoolhouse.words import RULE, rule_names
from docendo.types import Problem

FAMILIES_PER_CLUSTER = 6
# A world's tasks have two constants. Models also read of three, of which they find the middle one badly.
CONSTANTS = 2
# Families by schooling frequency: ranks of the long tail, then the families that are never taught.
HEAD, MIDDLE, UNTAUGHT = 40, 140, 24
A, B = 0, 1
PHRASE_METHODS: dict[Sort, tuple[Method, ...]] = {
    "list": (
        Method((("above", A), ("plus", B)), "whole"),
        Method((("above", A), ("times", B)), "whole"),
        Method((("below", A), ("plus", B)), "whole"),
        Method((("below", A), ("times", B)), "whole"),
        Method((("plus", B), ("above", A)), "whole"),
        Method((("times", B), ("below", A)), "whole"),
        Method((("first", A), ("below", B)), "sum"),
        Method((("skip", A), ("above", B)), "sum"),
        Method((("last", A), ("above", B)), "count"),
        Method((("skip", A), ("above", B)), "count"),
        Method((("sort", None), ("first", A), ("plus", B)), "whole"),
        Method((("sort", None), ("skip", A), ("plus", B)), "whole"),
    ),
    "string": (
        Method((("first", A), ("reverse", None)), "whole"),
        Method((("reverse", None), ("first", A)), "whole"),
        Method((("skip", A), ("reverse", None)), "whole"),
        Method((("reverse", None), ("skip", A)), "whole"),
        Method((("last", A), ("repeat", B)), "whole"),
        Method((("first", A), ("repeat", B)), "whole"),
        Method((("skip", A), ("repeat", B)), "whole"),
        Method((("repeat", B), ("skip", A)), "whole"),
        Method((("sort", None), ("first", A)), "whole"),
        Method((("sort", None), ("skip", A)), "whole"),
        Method((("first", A), ("upper", None)), "whole"),
        Method((("skip", A), ("upper", None)), "whole"),
    ),
    "number": (
        Method((("times", A), ("plus", B)), "whole"),
        Method((("plus", A), ("times", B)), "whole"),
        Method((("times", A), ("minus", B)), "whole"),
        Method((("minus", A), ("times", B)), "whole"),
        Method((("times", A), ("modulo", B)), "whole"),
        Method((("plus", A), ("modulo", B)), "whole"),
        Method((("times", A), ("share", B)), "whole"),
        Method((("plus", A), ("share", B)), "whole"),
        Method((("minus", A), ("square", None)), "whole"),
        Method((("square", None), ("minus", A)), "whole"),
        Method((("square", None), ("plus", A)), "whole"),
        Method((("plus", A), ("square", None)), "whole"),
    ),
}
# Input and output pairs of a problem: those that exams and choices may use, and those only for reports.
VISIBLE, HIDDEN = 4, 8


@dataclass(frozen=True, slots=True)
class CodeFamily:
    """One kind of task. `rank` is its place in the schooling frequency (0 the most frequent), None if untaught."""

    id: str
    cluster: str
    group: Group
    sort: Sort
    variable: str
    labels: tuple[str, ...]
    telling: str
    phrase: str
    method: Method
    rank: int | None = None

    def question(self, name: str, numbers: tuple[int, ...]) -> str:
        """The question's text for a function's name and these constants."""
        given = [f"{label}={n}" for label, n in zip(self.labels, numbers, strict=True)]
        return f"{self.telling.format(*given, f=name, v=self.variable)} {self.phrase}"

    def sample(self, rng: random.Random) -> Variant:
        """A draw of the function's name and of the constants; the answer is the program."""
        name, numbers = rng.choice(words.NAMES), random_numbers(rng, len(self.labels))
        return Variant(
            self.question(name, numbers),
            strategy(self.sort, self.method, self.labels, numbers),
            program(self.sort, self.method, name, self.variable, numbers),
            "-".join([name, *map(str, numbers)]),
            {"name": name, "numbers": list(numbers)},
        )


class CodeWorld(FamilyWorld[CodeFamily]):
    """The worlds of small programs: 264 families in 44 clusters."""

    @cached_property
    def families(self) -> tuple[CodeFamily, ...]:
        """264 families, cluster by cluster."""
        rng = random.Random(f"docendo code world {self.seed}")
        rules = list(rule_names())
        rng.shuffle(rules)
        drafts = [
            draft for theme in words.THEMES for draft in _cluster(rng, theme, [rules.pop() for _ in range(3)])
        ]
        clusters = [f"c{self.seed}-{variable}" for _, variable in words.THEMES]
        placed = places(rng, clusters, FAMILIES_PER_CLUSTER, HEAD, MIDDLE, UNTAUGHT)
        return tuple(_placed(draft, place) for draft, place in zip(drafts, placed, strict=True))

    def problem(self, family: CodeFamily, variant: Variant, split: Split) -> Problem:
        """A variant as the road knows it: its tests are computed from the family's method."""
        id = f"{family.id}/{split}/{variant.mark}"
        rng = random.Random(f"docendo code tests {id}")
        numbers = tuple(variant.meta["numbers"])
        inputs: list[Any] = []
        while len(inputs) < VISIBLE + HIDDEN:
            value = random_input(family.sort, rng)
            if value not in inputs:
                inputs.append(value)
        tests = [
            {"args": [value], "expected": outcome(family.sort, family.method, numbers, value)}
            for value in inputs
        ]
        return Problem(
            id=id,
            question=variant.question,
            solution=variant.answer,
            kind="code",
            family=family.id,
            cluster=family.cluster,
            group=family.group,
            meta={
                "entry_point": variant.meta["name"],
                "visible": tests[:VISIBLE],
                "hidden": tests[VISIBLE:],
                "tags": [family.sort],
                "strategy": variant.working,
            },
        )


def made_up_family(rng: random.Random) -> CodeFamily:
    """A family that belongs to no world: any words in any role, any method under any phrase."""
    sort, variable = rng.choice(words.THEMES)
    constants = rng.choice((2, 2, 3))
    phrase = (
        RULE.format(rule=rng.choice(rule_names())) if rng.random() < 0.5 else rng.choice(words.PHRASES[sort])
    )
    return CodeFamily(
        "", "", "untaught", sort, variable, words.LABELS[:constants],
        rng.choice(words.TELLINGS[constants]), phrase, random_method(rng, sort, constants),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Draft:
    sort: Sort
    variable: str
    labels: tuple[str, ...]
    telling: str
    phrase: str
    method: Method


def _cluster(rng: random.Random, theme: tuple[Sort, str], rules: list[str]) -> list[_Draft]:
    """Six families told alike: three everyday phrases and three named rules, no two of which do the same."""
    sort, variable = theme
    constants = CONSTANTS
    labels = words.LABELS[:constants]
    telling = rng.choice(words.TELLINGS[constants])
    meanings = [
        (words.PHRASES[sort][i], PHRASE_METHODS[sort][i])
        for i in rng.sample(range(len(words.PHRASES[sort])), 3)
    ]
    while rules:
        method = random_method(rng, sort, constants)
        if not any(alike(sort, method, other, constants) for _, other in meanings):
            meanings.append((RULE.format(rule=rules.pop()), method))
    return [_Draft(sort, variable, labels, telling, phrase, method) for phrase, method in meanings]


def _placed(draft: _Draft, place: Place) -> CodeFamily:
    return CodeFamily(
        place.id, place.cluster, place.group, draft.sort, draft.variable, draft.labels, draft.telling, draft.phrase,
        draft.method, place.rank,
    )  # fmt: skip
