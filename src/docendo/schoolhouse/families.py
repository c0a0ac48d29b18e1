"""What the school's worlds have in common: families, their variants, groups by schooling frequency, and the split.

A *family* is a kind of problem, a *cluster* some families told alike; a world is made from its seed alone. What
its problems are about is left to each domain's own world.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, Protocol, TypeVar

from docendo.errors import DataError
from docendo.types import Problem

Split = Literal["school", "dev", "exam", "test"]
Group = Literal["head", "middle", "tail", "untaught"]
GROUPS: tuple[Group, ...] = ("head", "middle", "tail", "untaught")

# The world that the shipped teachers were schooled in.
SHIPPED_SEED = 1


@dataclass(frozen=True, slots=True)
class Variant:
    """One draw of a family: its question, the reference working and answer.

    `mark` tells it from the family's other variants, as part of the problem's id.
    """

    question: str
    working: str
    answer: str
    mark: str
    meta: Mapping[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """One kind of problem. `rank` is its place in the schooling frequency (0 the most frequent), None if untaught."""

    @property
    def id(self) -> str:
        """Names it among all worlds."""

    @property
    def cluster(self) -> str:
        """Names the families told alike."""

    @property
    def group(self) -> Group:
        """How often schooling shows it."""

    @property
    def rank(self) -> int | None:
        """Its place in the schooling frequency."""

    def sample(self, rng: random.Random) -> Variant | None:
        """A variant; None where the draw left the world."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a family stands in its world."""

    id: str
    cluster: str
    group: Group
    rank: int | None


def split_of(question: str) -> Split:
    """Which split a question's text belongs to: by hash, so that no test question is in any schooling of any world."""
    bucket = int.from_bytes(hashlib.sha256(question.encode()).digest()[:4], "big") % 20
    return "school" if bucket < 12 else "dev" if bucket < 14 else "exam" if bucket < 17 else "test"


def places(
    rng: random.Random, clusters: Sequence[str], each: int, head: int, middle: int, untaught: int
) -> list[Place]:
    """A place for each of a world's families, cluster by cluster, frequencies dealt out by `rng`.

    Args:
        rng: decides which family is frequent.
        clusters: the clusters' names.
        each: families of a cluster.
        head: the first rank that is no longer head.
        middle: the first rank that is no longer middle.
        untaught: families that schooling never shows.
    """
    total = len(clusters) * each
    order = list(range(total))
    rng.shuffle(order)
    ranks = {place: (rank if rank < total - untaught else None) for rank, place in enumerate(order)}
    found = []
    for index in range(total):
        rank, cluster = ranks[index], clusters[index // each]
        group: Group = (
            "untaught" if rank is None else "head" if rank < head else "middle" if rank < middle else "tail"
        )
        found.append(Place(f"{cluster}-{index % each + 1}", cluster, group, rank))
    return found


F = TypeVar("F", bound=Family)


class FamilyWorld(Generic[F]):
    """All families of one world seed, and draws of their variants.

    Args:
        seed: the world seed; the same seed gives the same families in the same order on every machine.
    """

    def __init__(self, seed: int = SHIPPED_SEED) -> None:
        self.seed = seed

    @cached_property
    def families(self) -> tuple[F, ...]:
        """The families, cluster by cluster."""
        raise NotImplementedError

    def problem(self, family: F, variant: Variant, split: Split) -> Problem:
        """A variant as the road knows it."""
        raise NotImplementedError

    @cached_property
    def taught(self) -> tuple[F, ...]:
        """The families that schooling may show, most frequent first."""
        ranked = [f for f in self.families if f.rank is not None]
        return tuple(sorted(ranked, key=lambda f: f.rank or 0))

    def variants(self, family: F, split: Split, seed: int = 0) -> Iterator[Problem]:
        """Draw variants of a family that belong to a split, without repeats, until the draws run dry."""
        rng = random.Random(f"docendo variants {family.id} {split} {seed}")
        seen: set[str] = set()
        for _ in range(4000):
            variant = family.sample(rng)
            if variant is None or variant.question in seen or split_of(variant.question) != split:
                continue
            seen.add(variant.question)
            yield self.problem(family, variant, split)

    def draw(self, family: F, split: Split, count: int, seed: int = 0) -> list[Problem]:
        """`count` different variants of a family from a split.

        Raises:
            DataError: the family has not that many.
        """
        found = [p for p, _ in zip(self.variants(family, split, seed), range(count), strict=False)]
        if len(found) < count:
            raise DataError(
                f"family {family.id} has only {len(found)} variants in split {split!r}, {count} asked for"
            )
        return found
