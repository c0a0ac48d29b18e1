"""The school's problem sets, by name: what `school:NAME` means as a source of problems.

`m1` has one test problem of each family of the arithmetic world; `m1-exams` the problems their exams are made of.
`m1-dev` and `m1-dev-exams` are the same from numbers kept for tuning: settings are chosen on those, never on
`m1`. `code`, `code-exams`, `code-dev` and `code-dev-exams` are the same of the code world. A name may end in
`@SEED` to take another world than the one the shipped teachers were schooled in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docendo.errors import DataError
from docendo.schoolhouse.code.world import CodeWorld
from docendo.schoolhouse.families import SHIPPED_SEED, FamilyWorld, Split
from docendo.schoolhouse.world import World
from docendo.types import Problem

# How many variants of each family stand ready for exams.
POOL = 8
_WORLDS: dict[str, Callable[[int], FamilyWorld[Any]]] = {"m1": World, "code": CodeWorld}
_PARTS: dict[str, tuple[Split, int, int]] = {
    "": ("test", 1, 0),
    "-exams": ("exam", POOL, 0),
    "-dev": ("dev", 1, 1),
    "-dev-exams": ("exam", POOL, 1),
}
_SETS = {world + part: (world, *what) for world in _WORLDS for part, what in _PARTS.items()}
NAMES = tuple(_SETS)


def problems(name: str) -> list[Problem]:
    """The problems of a set, families in turn so that any first part of it is spread over the clusters.

    Raises:
        DataError: no set of that name.
    """
    stem, _, seed = name.partition("@")
    if stem not in _SETS or (seed and not seed.isdigit()):
        raise DataError(
            f"school:{name}: no such problem set; there are {', '.join(NAMES)} (each also as NAME@SEED)"
        )
    world_name, split, each, draw_seed = _SETS[stem]
    world = _WORLDS[world_name](int(seed) if seed else SHIPPED_SEED)
    # Families come cluster by cluster; the stride of 7 (which divides no world's number) visits all in a mixed order.
    count = len(world.families)
    mixed = [world.families[i * 7 % count] for i in range(count)]
    return [problem for family in mixed for problem in world.draw(family, split, each, draw_seed)]
