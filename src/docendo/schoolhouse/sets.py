"""The school's problem sets, by name: what `school:NAME` means as a source of problems.

`m1` has one test problem of each family of the arithmetic world; `m1-exams` the problems their exams are made of.
`m1-dev` and `m1-dev-exams` are the same from numbers kept for tuning: settings are chosen on those, never on `m1`.
`m2`, `m2-exams`, `m2-dev` and `m2-test` are M2's, where the teacher is tuned: problems to learn from (several of each
family that its schooling showed), their exams, and numbers of all families to choose settings on and to test by.
`code`, `code-exams`, `code-dev` and `code-dev-exams` are as those of `m1`, of the code world. `verbal/ID` is one task
of the verbal world with all its parts, as `docendo refine` takes it. A name may end in `@SEED` to take another world
than the one the shipped teachers were schooled in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docendo.errors import DataError
from docendo.schoolhouse.code.world import CodeWorld
from docendo.schoolhouse.families import SHIPPED_SEED, FamilyWorld, Split
from docendo.schoolhouse.verbal.world import VerbalWorld
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

# M2's, all of the arithmetic world: split, how many of each family are passed over and how many taken, whether of all
# families or only of those that schooling showed. Problems to learn from and those to choose by are of one draw.
_TUNING: dict[str, tuple[Split, int, int, bool]] = {
    "m2": ("dev", 0, 4, False),
    "m2-dev": ("dev", 4, 4, True),
    "m2-test": ("test", 0, 8, True),
}
_TUNING_SEED, _TUNING_EXAMS = 7, "m1-dev-exams"
NAMES = (*_SETS, *_TUNING, "m2-exams")
_VERBAL = "verbal/"


def problems(name: str) -> list[Problem]:
    """The problems of a set, families in turn so that any first part of it is spread over the clusters.

    Raises:
        DataError: no set of that name.
    """
    stem, at, seed = name.partition("@")
    if stem.startswith(_VERBAL) and (not seed or seed.isdigit()):
        return _verbal(stem.removeprefix(_VERBAL), int(seed) if seed else SHIPPED_SEED)
    if stem not in NAMES or (seed and not seed.isdigit()):
        raise DataError(
            f"school:{name}: no such problem set; there are {', '.join(NAMES)} and {_VERBAL}TASK "
            "(each also as NAME@SEED)"
        )
    if stem == "m2-exams":
        return problems(f"{_TUNING_EXAMS}{at}{seed}")
    number = int(seed) if seed else SHIPPED_SEED
    if stem in _TUNING:
        return _tuning(World(number), *_TUNING[stem])
    world_name, split, each, draw_seed = _SETS[stem]
    world = _WORLDS[world_name](number)
    # Families come cluster by cluster; the stride of 7 (which divides no world's number) visits all in a mixed order.
    count = len(world.families)
    mixed = [world.families[i * 7 % count] for i in range(count)]
    return [problem for family in mixed for problem in world.draw(family, split, each, draw_seed)]


def _tuning(world: World, split: Split, past: int, each: int, untaught: bool) -> list[Problem]:
    """One of M2's sets: the first problem of every family, then the second, and so on."""
    families = [f for f in world.families if untaught or f.rank is not None]
    drawn = [world.draw(family, split, past + each, _TUNING_SEED)[past:] for family in families]
    return [own[i] for i in range(each) for own in drawn]


def _verbal(id: str, seed: int) -> list[Problem]:
    world = VerbalWorld(seed)
    task = next((task for task in world.tasks if task.id == id), None)
    if task is None:
        first, last = world.tasks[0].id, world.tasks[-1].id
        raise DataError(f"school:{_VERBAL}{id}: no such task in world {seed}; there are {first} to {last}")
    return world.problems(task)
