"""What the school's writer reads: a problem, and then another of the same family; nothing is worked or answered.

Families are the world's, a quarter of them left out (`reading.held_out`), and ones made up on the spot, by which every
word and every rule's name is read in many places. Which numbers leave a world (a herd of minus three) is known of no
question that stands alone, so a writer can only come to know it family by family.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from docendo.schoolhouse.families import Family, Variant
from docendo.schoolhouse.reading import held_out
from docendo.schoolhouse.schooling.curriculum import Document, Piece, Scribe, draw
from docendo.schoolhouse.world import World, made_up_family

ASKED = "\n\nQuestion:"
"""What stands between a problem and the one that is written after it (`prompts/school/write.j2`)."""


def asked(question: str) -> str:
    """What the writer is asked with, for a problem's question."""
    return f"Question: {question}{ASKED}"


def pair(rng: random.Random, family: Family, split: str = "school") -> tuple[Variant, Variant]:
    """Two different variants of a family, both of the split."""
    first = draw(rng, family, split)
    while True:
        second = draw(rng, family, split)
        if second.question != first.question:
            return first, second


def documents(rng: random.Random, scribe: Scribe, world: World | None, made_up: float) -> Iterator[Document]:
    """Pairs of problems, of which the second is learnt.

    Args:
        rng: draws all.
        scribe: writes tokens.
        world: whose families are read, all alike; None for none.
        made_up: the share of families that are made up on the spot, beside a world's.
    """
    known = [] if world is None else [family for family in world.families if not held_out(family.id)]
    while True:
        lived = bool(known) and rng.random() >= made_up
        first, second = pair(rng, rng.choice(known) if lived else made_up_family(rng))
        yield scribe.document(
            [Piece(asked(first.question), 0.0), Piece(f" {second.question}", 1.0), Piece("\n\n", 1.0)]
        )
