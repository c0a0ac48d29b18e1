"""The verbal world: tasks whose rule is hidden, so that only worked examples tell it.

Every word is fair or foul, for everyone. A *task* is a way of telling a text of six words and a rule: which one or two
of the six decide, and how: the one is foul; both are; one or both; exactly one. A working names the deciding words and
what they are. The rule's name says nothing of it. Tasks of a *cluster* are told alike and have rules that are easily
taken for one another. A world is made from its seed alone. This module knows nothing of models.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from docendo.errors import DataError
from docendo.schoolhouse.families import SHIPPED_SEED, Group, Split, places, split_of
from docendo.schoolhouse.verbal.words import JOINS, KINDS, LABELS, QUALITIES, Kind, foul
from docendo.schoolhouse.words import rule_names
from docendo.types import Problem

Text = tuple[str, ...]
"""The words of a text, place by place."""

CLUSTERS, TASKS_PER_CLUSTER = 48, 2
# Tasks by schooling frequency: ranks of the long tail, then the tasks that are never taught.
HEAD, MIDDLE, UNTAUGHT = 16, 56, 8
# A task's problems: how many of each part, by the split that their texts are of.
_PARTS: Mapping[Split, Mapping[str, int]] = {
    "exam": {"pool": 24, "exam": 24},
    "dev": {"validation": 24},
    "test": {"test": 40},
}


@dataclass(frozen=True, slots=True)
class Rule:
    """When a text is a yes: the places whose words decide, one or two, and how two are joined ("" for one).

    "and": both are foul; "or": at least one is; "but": exactly one is.
    """

    at: tuple[int, ...]
    join: str = ""

    def holds(self, text: Text) -> bool:
        """Whether a text's words meet it."""
        count = sum(foul(text[at]) for at in self.at)
        return count == 2 if self.join == "and" else count == 1 if self.join == "but" else count >= 1

    def working(self, text: Text) -> str:
        """The deciding words and what they are, such as "old foul or mill fair."."""
        said = [f"{text[at]} {QUALITIES[foul(text[at])]}" for at in self.at]
        return f" {self.join} ".join(said) + "."


@dataclass(frozen=True, slots=True)
class Ruled:
    """A way of telling texts, and the rule over them."""

    kind: Kind
    rule: Rule
    name: str

    @property
    def instruction(self) -> str:
        """What is asked of every text; the rule's name says nothing of the rule."""
        return self.kind.asking.format(rule=self.name)

    def say(self, text: Text) -> str:
        """A text as it is read."""
        return self.kind.telling.format(*text)

    def label(self, text: Text) -> str:
        """`yes` or `no`."""
        return LABELS[self.rule.holds(text)]

    def draw(self, rng: random.Random, label: str, split: Split) -> Text:
        """The words of a text with this label, of a split: among those with the label all are equally likely."""
        while True:
            text = tuple(rng.choice(words) for words in self.kind.words)
            if self.label(text) == label and split_of(self.say(text)) == split:
                return text


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a world. `rank` is its place in the schooling frequency (0 the most frequent), None if untaught."""

    id: str
    cluster: str
    group: Group
    rank: int | None
    ruled: Ruled

    @property
    def instruction(self) -> str:
        """What is asked of every text."""
        return self.ruled.instruction


def random_rule(rng: random.Random, kind: Kind) -> Rule:
    """A rule over one place of a text (one time in five) or two."""
    if rng.random() < 0.2:
        return Rule((rng.randrange(len(kind.words)),))
    return Rule(tuple(sorted(rng.sample(range(len(kind.words)), 2))), rng.choice(JOINS))


def neighbour(rng: random.Random, kind: Kind, rule: Rule) -> Rule:
    """A rule that is easily taken for another: it looks at a place that the other looks at too."""
    while True:
        other = random_rule(rng, kind)
        if other != rule and {*other.at} & {*rule.at}:
            return other


def made_up(rng: random.Random) -> Ruled:
    """A task that belongs to no world."""
    kind = rng.choice(KINDS)
    return Ruled(kind, random_rule(rng, kind), rng.choice(rule_names()))


class VerbalWorld:
    """The tasks of one world: 96 in 48 clusters.

    Args:
        seed: the world seed; the same seed gives the same tasks in the same order on every machine.
    """

    def __init__(self, seed: int = SHIPPED_SEED) -> None:
        self.seed = seed

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, cluster by cluster."""
        rng = random.Random(f"docendo verbal world {self.seed}")
        names = list(rule_names())
        rng.shuffle(names)
        ruled: list[Ruled] = []
        for _ in range(CLUSTERS):
            kind = rng.choice(KINDS)
            rule = random_rule(rng, kind)
            ruled += [Ruled(kind, r, names.pop()) for r in (rule, neighbour(rng, kind, rule))]
        clusters = [f"v{self.seed}-{number + 1:02}" for number in range(CLUSTERS)]
        placed = places(rng, clusters, TASKS_PER_CLUSTER, HEAD, MIDDLE, UNTAUGHT)
        return tuple(
            Task(place.id, place.cluster, place.group, place.rank, one)
            for place, one in zip(placed, ruled, strict=True)
        )

    @cached_property
    def taught(self) -> tuple[Task, ...]:
        """The tasks that schooling may show, most frequent first."""
        return tuple(sorted((t for t in self.tasks if t.rank is not None), key=lambda t: t.rank or 0))

    def problems(self, task: Task) -> list[Problem]:
        """A task's problems, part by part, as `docendo refine` takes them; `meta["split"]` names the part.

        Texts of the pool and the exam, of validation and of the test are of the splits `exam`, `dev` and `test`: none
        of them is in any schooling of any model. Of each part half are a yes.
        """
        found: list[Problem] = []
        for split, parts in _PARTS.items():
            texts = self._drawn(task, split, sum(parts.values()))
            names = [part for part, count in parts.items() for _ in range(count)]
            found += [self._problem(task, text, part) for text, part in zip(texts, names, strict=True)]
        return found

    def _drawn(self, task: Task, split: Split, count: int) -> list[Text]:
        rng = random.Random(f"docendo verbal {task.id} {split}")
        found: list[Text] = []
        for _ in range(200 * count):
            if len(found) == count:
                return found
            text = task.ruled.draw(rng, LABELS[(len(found) + 1) % 2], split)
            if text not in found:
                found.append(text)
        raise DataError(f"task {task.id} has only {len(found)} texts in split {split!r}, {count} asked for")

    def _problem(self, task: Task, text: Text, part: str) -> Problem:
        return Problem(
            id=f"{task.id}/{part}/{'-'.join(text)}",
            question=task.ruled.say(text),
            answer=task.ruled.label(text),
            solution=task.ruled.rule.working(text),
            kind="label",
            group=task.group,
            meta={"labels": list(LABELS), "instruction": task.instruction, "split": part},
        )
