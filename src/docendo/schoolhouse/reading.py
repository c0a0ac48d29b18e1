"""Reads back what a model wrote as a problem of the arithmetic world: whether it is one, by which method, its answer.

A model that writes exams is judged by it (`docs/exams.md`); no run asks it anything. It also says which families the
writer's schooling leaves out, so that it can be judged on families that it never saw.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from docendo.schoolhouse import words
from docendo.schoolhouse.world import PHRASE_METHODS, Family, Method, World, work

Sort = Literal["family", "method", "other", "unanswerable", "malformed"]
SORTS: tuple[Sort, ...] = ("family", "method", "other", "unanswerable", "malformed")
"""What a written problem is to the one it was written after: of its family; of its method, told otherwise; of another
method; without an answer in this world (below 0 or above its largest number); or no problem of this world."""

GOOD: tuple[Sort, ...] = ("family", "method")

_QUANTITY = r"(\d{1,3}) ([a-z]+)"
_ACTORS = {actor for actor, _ in words.THEMES}
_NOUNS = {noun for _, nouns in words.THEMES for noun in nouns}
_RULE = re.compile(re.escape(words.RULE).replace(r"\{rule\}", r"([A-Z][a-z]+)"))


def _pattern(telling: str) -> re.Pattern[str]:
    told = re.escape(telling).replace(r"\{actor\}", r"(?P<actor>A [a-z]+)")
    askings = "|".join(map(re.escape, words.ASKINGS))
    return re.compile(re.sub(r"\\\{\d\\\}", lambda _: _QUANTITY, told) + rf" (?P<phrase>.+\.) (?:{askings})")


_TELLINGS = [_pattern(telling) for tellings in words.TELLINGS.values() for telling in tellings]


def held_out(family: str) -> bool:
    """Whether a writer's schooling leaves out the family of this id: a quarter of them, by hash."""
    return hashlib.sha256(f"docendo writing {family}".encode()).digest()[0] % 4 == 0


@dataclass(frozen=True, slots=True)
class Told:
    """A problem of the world as its text tells it."""

    numbers: tuple[int, ...]
    labels: tuple[str, ...]
    phrase: str


def read(question: str) -> Told | None:
    """A question's quantities and its phrase; None where it is not told as the world tells its problems."""
    for pattern in _TELLINGS:
        found = pattern.fullmatch(question)
        if found is None:
            continue
        groups = list(found.groups()[:-1])
        actor = found.groupdict().get("actor")
        if actor is not None:
            groups.remove(actor)
        numbers, labels = tuple(map(int, groups[::2])), tuple(groups[1::2])
        known = _NOUNS.issuperset(labels) and (actor is None or actor in _ACTORS)
        if not known or len(set(labels)) < len(labels) or max(numbers) > words.LARGEST:
            return None
        return Told(numbers, labels, found["phrase"])
    return None


class Reader:
    """Reads written problems by one world's rules.

    Args:
        world: whose named rules count; everyday phrases mean the same in all.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def families(self) -> dict[str, Family]:
        """The world's families by id."""
        return {family.id: family for family in self._world.families}

    @cached_property
    def _named(self) -> dict[str, Method]:
        return {found[1]: f.method for f in self._world.families if (found := _RULE.fullmatch(f.phrase))}

    def method(self, told: Told) -> Method | None:
        """What a problem's phrase asks for; None for a phrase that means nothing of its things.

        An everyday phrase speaks of the second and third things, as the world's families do; a rule's things are
        those of its family, in their order.
        """
        named = _RULE.fullmatch(told.phrase)
        if named is not None:
            found = self._named.get(named[1])
            return found if found is not None and _things(found) <= len(told.labels) else None
        x, y, z = told.labels[:3]
        spoken = [phrase.format(x=x, y=y, z=z) for phrase in words.PHRASES]
        return PHRASE_METHODS[spoken.index(told.phrase)] if told.phrase in spoken else None

    def judge(self, family: str, question: str) -> tuple[Sort, str | None]:
        """What a written question is to a problem of the family of this id, and its true answer where it has one."""
        told = read(question)
        method = None if told is None else self.method(told)
        if told is None or method is None:
            return "malformed", None
        worked = work(method, told.labels, told.numbers)
        if worked is None:
            return "unanswerable", None
        own = self.families[family]
        if len(told.numbers) == len(own.labels) and own.question(told.numbers) == question:
            return "family", str(worked[1])
        return "method" if method == own.method else "other", str(worked[1])


def _things(method: Method) -> int:
    """How many things a method speaks of, counted up to the last."""
    used = [operand for _, left, right in method for operand in (left, right) if isinstance(operand, int)]
    return max(used) + 1
