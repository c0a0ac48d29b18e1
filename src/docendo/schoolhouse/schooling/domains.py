"""What can be schooled: each domain's world, families made up on the spot, tokens, and how its problems are written."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from docendo.schoolhouse import world as arithmetic
from docendo.schoolhouse.code import world as code
from docendo.schoolhouse.families import Family, FamilyWorld
from docendo.schoolhouse.schooling import tokenizer

_QUANTITY = re.compile(r"\b(\d+) ([a-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One domain of the school.

    Attributes:
        name: names it in courses.
        about: its problems, for the model cards.
        tokenizer: makes the tokenizer.
        row: tokens a row of reading, where a course says no other: room for a lesson and two exams.
    """

    name: str
    about: str
    tokenizer: Callable[[], Tokenizer]
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyDomain(Domain):
    """A domain whose problems are variants of families, each with a working.

    Attributes:
        world: makes the world of a seed.
        made_up: makes a family that belongs to no world.
        answer: how an answer is written; {} is the answer.
        answers_tell: whether an answer alone shows how it was come by.
        listed: a question's text with every quantity behind its label; None where it is told so already.
    """

    world: Callable[[int], FamilyWorld[Any]]
    made_up: Callable[[random.Random], Family]
    answer: str
    answers_tell: bool
    listed: Callable[[str], str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingDomain(Domain):
    """A domain of which problems are written and not solved.

    Attributes:
        world: makes the world of a seed.
    """

    world: Callable[[int], arithmetic.World]


DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        FamilyDomain(
            name="arithmetic",
            about="worded arithmetic",
            world=arithmetic.World,
            made_up=arithmetic.made_up_family,
            tokenizer=tokenizer.build,
            row=160,
            answer="\nAnswer: {}",
            answers_tell=False,
            listed=lambda question: _QUANTITY.sub(r"\2 \1", question),
        ),
        FamilyDomain(
            name="code",
            about="small Python functions",
            world=code.CodeWorld,
            made_up=code.made_up_family,
            tokenizer=tokenizer.build_code,
            row=240,
            answer=tokenizer.OPENED + "{}" + tokenizer.CLOSED,
            answers_tell=True,
            listed=None,
        ),
        Domain(
            name="verbal",
            about="texts that a hidden rule calls yes or no",
            tokenizer=tokenizer.build_verbal,
            # Eight examples of rules with two words, and the document's beginning and end.
            row=146,
        ),
        WritingDomain(
            name="writing",
            about="problems of worded arithmetic, each after another of its family",
            world=arithmetic.World,
            tokenizer=tokenizer.build,
            row=120,
        ),
    )
}
