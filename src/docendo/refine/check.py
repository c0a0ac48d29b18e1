"""Whether a reply of the teacher makes a set of examples that may be used, and the reason where it does not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from docendo.errors import UnspeakableError
from docendo.exams.text import tokens
from docendo.grading import exact, label
from docendo.refine.nouns import Reason
from docendo.refine.parse import read_examples, refuses
from docendo.refine.similar import Guard
from docendo.refine.task import Task
from docendo.types import Example, Lesson, Reply

SHOWN = 120
"""Characters of a text that a detail quotes."""

Fault = tuple[Reason, str]


class Checker:
    """Makes lessons of replies.

    Args:
        task: what they are for.
        count: examples a set.
        balanced: whether labels must be about as frequent as one another.
        speakable: raises `UnspeakableError` for a set that one of the models cannot read.
    """

    def __init__(
        self,
        task: Task,
        count: int,
        *,
        balanced: bool = True,
        speakable: Callable[[Lesson], None] | None = None,
    ) -> None:
        self._labels = task.labels
        self._count = count
        self._balanced = balanced and len(self._labels) > 1
        self._speakable = speakable
        kept_away = [
            (f"{part} problem {problem.id}", problem.question)
            for part in ("exam", "validation", "test")
            for problem in task.part(part)
        ]
        self._guard = Guard(kept_away)

    def lesson(self, reply: Reply) -> Lesson | Fault:
        """The set that a reply gives, its first `count` examples where it gives more; or why it gives none."""
        fault = unusable(reply)
        if fault is not None:
            return fault
        examples = read_examples(reply.text)
        if not examples:
            return ("refused" if refuses(reply.text) else "unreadable"), _quoted(reply.text)
        if len(examples) < self._count:
            return "too few examples", f"{len(examples)} of {self._count}"
        return self.checked(examples[: self._count])

    def checked(self, examples: Sequence[Example]) -> Lesson | Fault:
        """The set of these examples, labels written as the task writes them; or what is wrong with them."""
        known: list[Example] = []
        for number, example in enumerate(examples, 1):
            answer = self._answer(example.answer)
            if answer is None:
                return "label out of range", f"example {number} has {_quoted(example.answer) or 'no answer'}"
            known.append(replace(example, answer=answer))
        for check in (self._twice, self._lopsided, self._copied, self._unreadable):
            fault = check(known)
            if fault is not None:
                return fault
        return Lesson(tuple(known))

    def checked_alone(self, example: Example) -> Example | None:
        """A training example that may stand in a set.

        None where it may not: it is like a problem that is kept away, its answer is none of the task's, or it has words
        that a model cannot read.
        """
        answer = self._answer(example.answer)
        if answer is None:
            return None
        known = replace(example, answer=answer)
        return None if self._copied([known]) or self._unreadable([known]) else known

    def _answer(self, said: str) -> str | None:
        """An answer as the task writes it; None where it is none."""
        if not self._labels:
            return said.strip() or None
        same = [word for word in self._labels if exact.key(word) == exact.key(said)]
        if not same and exact.key(said) in ("s:true", "s:false") and {"yes", "no"} == set(self._labels):
            same = ["yes" if exact.key(said) == "s:true" else "no"]  # what JSON makes of yes and no
        if not same:
            found = label.read(f"Answer: {said}", self._labels) if said.strip() else None
            same = [w for w in self._labels if found is not None and exact.key(w) == exact.key(found.text)]
        return same[0] if same else None

    def _twice(self, examples: Sequence[Example]) -> Fault | None:
        counts = Counter(tokens(example.question) for example in examples)
        twice = next((e for e in examples if counts[tokens(e.question)] > 1), None)
        return None if twice is None else ("an example twice", _quoted(twice.question))

    def _lopsided(self, examples: Sequence[Example]) -> Fault | None:
        if not self._balanced:
            return None
        counts = Counter(example.answer for example in examples)
        if min(counts[word] for word in self._labels) >= fewest(self._count, len(self._labels)):
            return None
        return "unbalanced", ", ".join(f"{counts[word]} {word}" for word in self._labels)

    def _copied(self, examples: Sequence[Example]) -> Fault | None:
        for number, example in enumerate(examples, 1):
            for text in (example.question, example.rationale):
                name = self._guard.copied(text) if text else None
                if name is not None:
                    return "copied", f"example {number} is a copy of {name}"
        return None

    def _unreadable(self, examples: Sequence[Example]) -> Fault | None:
        if self._speakable is None:
            return None
        try:
            self._speakable(Lesson(tuple(examples)))
        except UnspeakableError as error:
            return "unspeakable", str(error)
        return None


def unusable(reply: Reply) -> Fault | None:
    """Why nothing can be made of a reply, whatever was asked for; None where something may be."""
    if reply.stop == "error":
        return "failed", reply.error or "no reason given"
    if reply.stop == "length":
        return "cut off", f"after {reply.usage.completion:,} tokens"
    if not reply.text.strip():
        return "empty", ""
    return None


def fewest(count: int, labels: int) -> int:
    """How often each label must be in a balanced set of `count`: about as often as the others."""
    return max(1, math.floor(count / labels * 0.75)) if count >= labels else 0


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f"{line[:SHOWN]}…" if len(line) > SHOWN else line
