"""The school's problem sets, by name: what `school:NAME` means as a source of problems.

`m1` has one test problem of each of the world's families; `m1-exams` the problems their exams are made of.
`m1-dev` and `m1-dev-exams` are the same from numbers kept for tuning: settings are chosen on those, never on
`m1`. A name may end in `@SEED` to take another world than the one the shipped teacher was schooled in.
"""

from __future__ import annotations

from docendo.errors import DataError
from docendo.schoolhouse.world import SHIPPED_SEED, Split, World
from docendo.types import Problem

# How many variants of each family stand ready for exams.
POOL = 8
_SETS: dict[str, tuple[Split, int, int]] = {
    "m1": ("test", 1, 0),
    "m1-exams": ("exam", POOL, 0),
    "m1-dev": ("dev", 1, 1),
    "m1-dev-exams": ("exam", POOL, 1),
}
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
    split, each, draw_seed = _SETS[stem]
    world = World(int(seed) if seed else SHIPPED_SEED)
    # Families come cluster by cluster; the stride of 7 (288 has no such divisor) visits all in a mixed order.
    mixed = [world.families[i * 7 % len(world.families)] for i in range(len(world.families))]
    return [problem for family in mixed for problem in world.draw(family, split, each, draw_seed)]
