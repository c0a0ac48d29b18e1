"""The schoolhouse's world: procedural families of worded arithmetic problems in clusters easily confused.

A *family* is a way of telling some quantities, a phrase, and the method that phrase stands for; its variants
are draws of the numbers. A *cluster* is six families told alike, where one small phrase changes the method.
A world is made from its seed alone: a fresh seed gives fresh families of the same kinds. This module knows
nothing of models; `schooling` decides what is taught from it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from docendo.schoolhouse import words
from docendo.schoolhouse.families import FamilyWorld, Group, Place, Split, Variant, places
from docendo.types import Problem

FAMILIES_PER_CLUSTER = 6
# Families by schooling frequency: ranks of the long tail, then the families that are never taught.
HEAD, MIDDLE, UNTAUGHT = 40, 150, 24
SMALLEST, BIGGEST = 2, 12

# A step: operation, left operand (None in later steps: the result so far), right operand. An operand is the
# index of a thing, or a constant written ("const", value).
Operand = int | tuple[Literal["const"], int]
Step = tuple[str, int | None, Operand]
Method = tuple[Step, ...]

X, Y, Z = 0, 1, 2
TWO: Operand = ("const", 2)
PHRASE_METHODS: tuple[Method, ...] = (
    (("times", X, Y), ("minus", None, Z)),
    (("minus", Y, Z), ("times", None, X)),
    (("times", X, Y), ("plus", None, Z)),
    (("plus", Y, Z), ("times", None, X)),
    (("minus", X, Z), ("times", None, Y)),
    (("plus", X, Z), ("times", None, Y)),
    (("times", X, Y), ("minus", None, Z), ("minus", None, Z)),
    (("times", X, Y), ("plus", None, Z), ("plus", None, Z)),
    (("minus", X, Y), ("times", None, Z)),
    (("plus", X, Y), ("times", None, Z)),
    (("plus", X, Y), ("times", None, TWO), ("minus", None, Z)),
    (("plus", X, Y), ("times", None, TWO), ("plus", None, Z)),
)


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of problem. `rank` is its place in the schooling frequency (0 the most frequent), None if untaught."""

    id: str
    cluster: str
    group: Group
    telling: str
    actor: str
    labels: tuple[str, ...]
    phrase: str
    asking: str
    method: Method
    rank: int | None = None

    def question(self, numbers: tuple[int, ...]) -> str:
        """The question's text for these numbers."""
        things = [f"{n} {label}" for n, label in zip(numbers, self.labels, strict=True)]
        return f"{self.telling.format(*things, actor=self.actor)} {self.phrase} {self.asking}"

    def work(self, numbers: tuple[int, ...]) -> tuple[str, int] | None:
        """The reference working and its result; None where the numbers leave the world (below 0, above LARGEST)."""
        return work(self.method, self.labels, numbers)

    def sample(self, rng: random.Random) -> Variant | None:
        """A draw of the numbers; None where they leave the world."""
        numbers = random_numbers(rng, len(self.labels))
        worked = self.work(numbers)
        if worked is None:
            return None
        working, result = worked
        mark = "-".join(map(str, numbers))
        return Variant(self.question(numbers), working, str(result), mark, {"numbers": list(numbers)})


def work(method: Method, labels: tuple[str, ...], numbers: tuple[int, ...]) -> tuple[str, int] | None:
    """Carry a method out: steps written with their labels, such as "buns 7 minus rolls 3 = 4, times trays 4 = 16."."""
    written: list[str] = []
    result = 0
    for operation, left, right in method:
        a = result if left is None else numbers[left]
        b = right[1] if isinstance(right, tuple) else numbers[right]
        result = a + b if operation == "plus" else a - b if operation == "minus" else a * b
        if not 0 <= result <= words.LARGEST:
            return None
        start = "" if left is None else f"{labels[left]} {a} "
        end = f"{b}" if isinstance(right, tuple) else f"{labels[right]} {b}"
        written.append(f"{start}{operation} {end} = {result}")
    return ", ".join(written) + ".", result


def random_method(rng: random.Random, things: int) -> Method:
    """A method as named rules have: a chain of two to four steps over the things."""
    while True:
        length = rng.choices((2, 3, 4), (6, 3, 1))[0]
        left, right = rng.sample(range(things), 2)
        steps: list[Step] = [(rng.choice(words.OPERATIONS), left, right)]
        for _ in range(length - 1):
            operand: Operand = TWO if rng.random() < 0.15 else rng.randrange(things)
            steps.append((rng.choice(words.OPERATIONS), None, operand))
        method = tuple(steps)
        if _roomy(method, things):
            return method


def random_numbers(rng: random.Random, things: int) -> tuple[int, ...]:
    """One number for each thing, all different so that a working shows which thing each step used."""
    return tuple(rng.sample(range(SMALLEST, BIGGEST + 1), things))


def _roomy(method: Method, things: int) -> bool:
    """Whether enough draws stay inside the world's numbers for the family to have plenty of variants."""
    rng = random.Random(0)
    labels = ("",) * things
    inside = sum(work(method, labels, random_numbers(rng, things)) is not None for _ in range(40))
    return inside >= 12


class World(FamilyWorld[Family]):
    """The worlds of worded arithmetic: 288 families in 48 clusters."""

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """288 families, cluster by cluster."""
        rng = random.Random(f"docendo world {self.seed}")
        names = list(words.rule_names())
        rng.shuffle(names)
        drafts = [
            draft for theme in words.THEMES for draft in _cluster(rng, theme, [names.pop() for _ in range(3)])
        ]
        clusters = [f"w{self.seed}-{actor.split()[-1]}" for actor, _ in words.THEMES]
        placed = places(rng, clusters, FAMILIES_PER_CLUSTER, HEAD, MIDDLE, UNTAUGHT)
        return tuple(_placed(draft, place) for draft, place in zip(drafts, placed, strict=True))

    def problem(self, family: Family, variant: Variant, split: Split) -> Problem:
        """A variant as the road knows it."""
        return Problem(
            id=f"{family.id}/{split}/{variant.mark}",
            question=variant.question,
            answer=variant.answer,
            solution=variant.working,
            kind="math",
            family=family.id,
            cluster=family.cluster,
            group=family.group,
            meta=variant.meta,
        )


def made_up_family(rng: random.Random) -> Family:
    """A family that belongs to no world: any words in any role, any method under any phrase."""
    things = rng.choice((3, 3, 4))
    if rng.random() < 0.5:
        actor, nouns = rng.choice(words.THEMES)
        labels = tuple(rng.sample(nouns, things))
    else:
        actor = rng.choice(words.THEMES)[0]
        labels = tuple(rng.sample([n for _, ns in words.THEMES for n in ns], things))
    x, y, z = labels[:3]
    named = rng.random() < 0.5
    phrase = (
        words.RULE.format(rule=rng.choice(words.rule_names()))
        if named
        else rng.choice(words.PHRASES).format(x=x, y=y, z=z)
    )
    telling, asking = rng.choice(words.TELLINGS[things]), rng.choice(words.ASKINGS)
    return Family("", "", "untaught", telling, actor, labels, phrase, asking, random_method(rng, things))


@dataclass(frozen=True, slots=True)
class _Draft:
    telling: str
    actor: str
    labels: tuple[str, ...]
    phrase: str
    asking: str
    method: Method


def _cluster(rng: random.Random, theme: tuple[str, tuple[str, ...]], names: list[str]) -> list[_Draft]:
    """Six families told alike: three everyday phrases and three named rules, all with different methods."""
    actor, nouns = theme
    things = rng.choice((3, 3, 4))
    labels = tuple(rng.sample(nouns, things))
    telling, asking = rng.choice(words.TELLINGS[things]), rng.choice(words.ASKINGS)
    x, y, z = labels[:3]
    meanings: list[tuple[str, Method]] = [
        (words.PHRASES[i].format(x=x, y=y, z=z), PHRASE_METHODS[i])
        for i in rng.sample(range(len(words.PHRASES)), 3)
    ]
    while names:
        method = random_method(rng, things)
        if all(method != other for _, other in meanings):
            meanings.append((words.RULE.format(rule=names.pop()), method))
    return [_Draft(telling, actor, labels, phrase, asking, method) for phrase, method in meanings]


def _placed(draft: _Draft, place: Place) -> Family:
    return Family(
        place.id, place.cluster, place.group, draft.telling, draft.actor, draft.labels, draft.phrase, draft.asking,
        draft.method, place.rank,
    )  # fmt: skip
