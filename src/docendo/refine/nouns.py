"""The nouns of refining: a candidate set, what failed with it, what the teacher said, what was thrown away.

Small frozen values; `Lesson`, `Example` and `ExamAnswer` are the road's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from docendo.types import Lesson, Problem

How = Literal["none", "given", "train", "proposed", "rewritten"]
"""Where a set comes from: no examples at all, the user, training problems, the teacher, the teacher after failures."""

Key = tuple[str, int]
"""A recorded reply: request and sample."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of examples and where it comes from.

    `parents` are the ids of the sets that it was made from, `reflections` those of the reflections that its writer
    was given, `call` the reply that it was read from.
    """

    lesson: Lesson
    round: int
    how: How
    parents: tuple[str, ...] = ()
    reflections: tuple[str, ...] = ()
    call: Key | None = None

    @property
    def id(self) -> str:
        """The lesson's."""
        return self.lesson.id


@dataclass(frozen=True, slots=True)
class Failure:
    """One wrong answer: by whom, to what, and the reasoning that led there; `call` finds the reply."""

    student: str
    problem: Problem
    answer: str
    rationale: str
    call: Key

    @property
    def gold(self) -> str:
        """The right answer."""
        return self.problem.answer or ""


@dataclass(frozen=True, slots=True)
class Reflection:
    """What the teacher made of some failures with one set; `id` is "ROUND-SET-NUMBER"."""

    id: str
    round: int
    parent: str
    failures: tuple[Failure, ...]
    text: str
    call: Key


Reason = Literal[
    "failed",
    "cut off",
    "refused",
    "empty",
    "unreadable",
    "too few examples",
    "label out of range",
    "unbalanced",
    "copied",
    "an example twice",
    "seen before",
    "unspeakable",
]
"""Why a reply made no set: the call failed; it was cut by the token limit; the teacher refused; no text; no examples
could be read; fewer than asked for; a label that the task has not; too much of one label; text of problems that no set
may show; one example twice; a set that is there already; words that a model cannot read."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A reply that made no set, or no reflection, and why; `detail` says more."""

    round: int
    how: How | Literal["reflection"]
    reason: Reason
    detail: str
    parents: tuple[str, ...]
    call: Key


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer that the road's `ExamAnswer` is too poor for: which part of the task, in which round first asked."""

    lesson: str
    problem: str
    part: str
    model: str
    repeat: int
    round: int


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the choice among new sets: the problems asked so far, who was in it, who went on."""

    problems: int
    sets: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to.

    `minibatch` are ids of exam problems; `beam` the sets that go on, best first; `best` the best so far on validation.
    `unfailing` are sets of the beam with which nobody failed, so that there was nothing to reflect on. `ended` says why
    it was the last, if it was: "" where the run goes on or was cut.
    """

    number: int
    candidates: tuple[Candidate, ...]
    rejections: tuple[Rejection, ...]
    reflections: tuple[Reflection, ...]
    minibatch: tuple[str, ...]
    rungs: tuple[Rung, ...]
    validated: tuple[str, ...]
    beam: tuple[str, ...]
    best: str
    unfailing: tuple[str, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict)
    ended: str = ""
