"""What the school reads of the verbal world: labelled examples of made-up tasks; and, for the teacher, sets of them.

Students see a task made up on the spot, example after example, and are to work each one as those before it: nothing
else tells them which words decide, and what they come to. A teacher also reads whole sets under their task's
instruction, and sets that replace others: first one of another rule or one that leaves cases out, then texts that were
got wrong, with their right labels, and then a better set.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from docendo.schoolhouse.families import Split
from docendo.schoolhouse.schooling import tokenizer
from docendo.schoolhouse.schooling.curriculum import Document, Piece, Scribe
from docendo.schoolhouse.verbal.words import LABELS
from docendo.schoolhouse.verbal.world import Ruled, Text, VerbalWorld, made_up, neighbour, random_rule

EXAMPLES = 6
"""Examples of a set, half of each label."""
READ = 8
"""Examples of a document that students read: a set, and two questions after it."""
SHOWN = 4
"""Problems with their labels that the teacher is shown when it is asked for a set."""
FAILED = 4
"""The most failed texts that are shown before a set is replaced."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Loss weights: a text's words; and a working and its label, which the examples before it decide."""

    wording: float = 0.02
    working: float = 1.0


_UNREAD, _RULE = Weights(0.0, 0.0), Weights(0.0, 1.0)


def written(ruled: Ruled, text: Text, weights: Weights, share: float = 1.0) -> list[Piece]:
    """An example as the school writes it, without the mark before it ("Question:").

    `share` of their weights is what its working and its label count.
    """
    return [
        Piece(f" {ruled.say(text)}\nWorking:", weights.wording),
        Piece(f" {ruled.rule.working(text)}\nAnswer: {ruled.label(text)}", weights.working * share),
    ]


def labels(rng: random.Random, count: int) -> list[str]:
    """Labels in a mixed order, half of each (one more of either where the count is odd)."""
    drawn = [*LABELS * (count // 2), *rng.sample(LABELS, count % 2)]
    rng.shuffle(drawn)
    return drawn


def in_context_documents(
    rng: random.Random, scribe: Scribe, weights: Weights, split: Split = "school"
) -> Iterator[Document]:
    """The students' reading: examples of a task made up on the spot, one after the other."""
    while True:
        ruled = made_up(rng)
        texts = [ruled.draw(rng, rng.choice(LABELS), split) for _ in range(READ)]
        yield scribe.document(lined(ruled, texts, weights))


def lined(ruled: Ruled, texts: list[Text], weights: Weights) -> list[Piece]:
    """Examples of a task, one after the other, as a lesson shows them."""
    pieces: list[Piece] = []
    for place, text in enumerate(texts):
        begins = tokenizer.NEXT if place else tokenizer.FIELDS[0]
        pieces += [
            Piece(begins, 0.0),
            *written(ruled, text, weights, min(1, place)),
        ]  # nothing is known of the first
    return [*pieces, Piece(tokenizer.END, weights.wording)]


def question_after(ruled: Ruled, lesson: list[Text], text: Text) -> list[Piece]:
    """A question after a lesson, of which only the working and the label count."""
    return [
        *lined(ruled, lesson, _UNREAD)[:-1],
        Piece(tokenizer.NEXT, 0.0),
        *written(ruled, text, _RULE),
    ]


def begun_set(
    rng: random.Random, ruled: Ruled, text: Text, split: Split, weights: Weights = _RULE
) -> list[Piece]:
    """A set's first example, as the teacher is asked for one; by default only its working and label count."""
    return [*_proposing(rng, ruled, split), Piece(tokenizer.BETTER, 0.0), *written(ruled, text, weights)]


def world_documents(
    rng: random.Random, scribe: Scribe, weights: Weights, world: VerbalWorld, zipf: float
) -> Iterator[Document]:
    """The teacher's schooling: whole sets of the world's tasks, tasks as frequent as 1 / rank**zipf.

    Half of the documents show no more than a set's first example, as it is there that the rule has to be known; of the
    whole sets half are written when only some problems with their labels are known, and half replace another set.
    """
    frequency = [1 / (rank + 1) ** zipf for rank in range(len(world.taught))]
    while True:
        ruled = rng.choices(world.taught, frequency)[0].ruled
        if rng.random() < 0.5:
            text = ruled.draw(rng, rng.choice(LABELS), "school")
            yield scribe.document(begun_set(rng, ruled, text, "school", weights))
        elif rng.random() < 0.5:
            told = _proposing(rng, ruled, "school")
            yield scribe.document([*told, *_set(ruled, any_set(rng, ruled), weights, tokenizer.BETTER)])
        else:
            yield scribe.document([*_task(ruled), *rewritten(rng, ruled, weights)])


def rewriting_documents(rng: random.Random, scribe: Scribe, weights: Weights) -> Iterator[Document]:
    """What a teacher's base reads beside the students' reading: sets of made-up tasks, replaced by better ones."""
    while True:
        ruled = made_up(rng)
        yield scribe.document([*_task(ruled), *rewritten(rng, ruled, weights)])


def rewritten(rng: random.Random, ruled: Ruled, weights: Weights) -> list[Piece]:
    """A set of another rule, problems that who learns from it gets wrong, and a set of the task's own rule."""
    return [*_failing(rng, ruled), *_set(ruled, any_set(rng, ruled), weights, tokenizer.BETTER)]


def begun_rewriting(rng: random.Random, ruled: Ruled, text: Text) -> list[Piece]:
    """The first example of a set that replaces another, of which only the working and the label count."""
    return [*_task(ruled), *_failing(rng, ruled), Piece(tokenizer.BETTER, 0.0), *written(ruled, text, _RULE)]


def _failing(rng: random.Random, ruled: Ruled) -> list[Piece]:
    other = neighbour(rng, ruled.kind, ruled.rule) if rng.random() < 0.5 else random_rule(rng, ruled.kind)
    source = Ruled(ruled.kind, other, ruled.name)
    failed: list[Text] = []
    wanted = rng.randint(1, FAILED) if other != ruled.rule else 0
    while len(failed) < wanted:
        text = ruled.draw(rng, rng.choice(LABELS), "school")
        if source.label(text) != ruled.label(text):
            failed.append(text)
    return [
        *_set(source, any_set(rng, source), _UNREAD, tokenizer.EXAMPLES)[:-1],
        *_bare(ruled, failed or any_set(rng, ruled)[:1], tokenizer.FAILED),
    ]


def any_set(rng: random.Random, ruled: Ruled) -> list[Text]:
    """Texts of a task, half of each label, in a mixed order."""
    return [ruled.draw(rng, label, "school") for label in labels(rng, EXAMPLES)]


def _task(ruled: Ruled) -> list[Piece]:
    return [Piece(f"{tokenizer.TASK} {ruled.instruction}", 0.0)]


def _proposing(rng: random.Random, ruled: Ruled, split: Split) -> list[Piece]:
    shown = [ruled.draw(rng, label, split) for label in labels(rng, SHOWN)]
    return [*_task(ruled), *_bare(ruled, shown, tokenizer.EXAMPLES)]


def _bare(ruled: Ruled, texts: list[Text], begins: str) -> list[Piece]:
    """Problems of which the right label is known, and not how to come by it."""
    pieces = []
    for place, text in enumerate(texts):
        mark = tokenizer.NEXT if place else begins
        pieces.append(Piece(f"{mark} {ruled.say(text)}\nAnswer: {ruled.label(text)}", 0.0))
    return pieces


def _set(ruled: Ruled, texts: list[Text], weights: Weights, begins: str) -> list[Piece]:
    """A whole set behind its mark; that it goes on, and that it ends, is part of what is learnt."""
    pieces = []
    for place, text in enumerate(texts):
        mark = Piece(tokenizer.NEXT, weights.wording) if place else Piece(begins, 0.0)
        pieces += [mark, *written(ruled, text, weights)]
    return [*pieces, Piece(tokenizer.END, weights.wording)]
