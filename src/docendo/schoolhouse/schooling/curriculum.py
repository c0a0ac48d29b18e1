"""What the school reads: an endless, seeded stream of documents as token ids with a loss weight each.

Students (and the base a teacher grows from) see families made up on the spot, right and wrong methods alike,
so that a worked example in context is the only way to know what to do: they learn to do what the lesson shows.
A small share of documents has each form that the controls use (no lesson, answer only, working only, an
unrelated lesson, several lessons), so that a control measures information and not surprise.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from docendo.schoolhouse.families import Family, FamilyWorld, Variant, split_of
from docendo.schoolhouse.schooling.domains import FamilyDomain

# A constant behind its label in a strategy ("k=5").
_VALUE = re.compile(r"(?<==)(\d+)")

Document = tuple[list[int], list[float]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text and the weight of its tokens in the loss."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Weights:
    """Loss weights: wording is worth little, a working that the context determines is what counts.

    `eased` is the share of documents that are easier to learn from (see the function).
    """

    wording: float = 0.1
    lesson: float = 0.3
    exam: float = 1.0
    eased: float = 0.3


class Scribe:
    """Turns pieces of text into token ids, remembering the pieces already seen (most recur)."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        bos = tokenizer.token_to_id("<s>")
        assert bos is not None
        self.bos: int = bos

    def document(self, pieces: list[Piece]) -> Document:
        """Ids with BOS, and the weight of predicting each id (BOS weighs nothing)."""
        ids, weights = [self.bos], [0.0]
        for piece in pieces:
            tokens = self._tokenizer.encode(piece.text).ids
            ids += tokens
            weights += [piece.weight] * len(tokens)
        return ids, weights


def draw(rng: random.Random, family: Family, split: str = "school") -> Variant:
    """One variant of a family from a split."""
    while True:
        variant = family.sample(rng)
        if variant is not None and split_of(variant.question) == split:
            return variant


def written(
    domain: FamilyDomain, variant: Variant, wording: float, working: float, form: str = "full"
) -> list[Piece]:
    """A problem as the school writes it. `form`: full, answer (no working) or working (no answer)."""
    pieces = [Piece(f"Question: {variant.question}", wording)]
    if form != "answer":
        pieces.append(Piece(f"\nWorking: {variant.working}", working))
    if form != "working":
        pieces.append(Piece(domain.answer.format(variant.answer), working))
    return [*pieces, Piece("\n\n", working)]


def eased(
    domain: FamilyDomain, rng: random.Random, pieces: list[Piece], first: Variant, weights: Weights
) -> list[Piece]:
    """A document as it is easier to learn from: what it takes to follow comes late and suddenly without such ones.

    Finding a value by the label it stands *before* comes very late for some seeds; finding it behind the label
    comes at once and brings the other with it. So every quantity stands after its label ("pies 5") in questions
    too, as workings have it. Where they stand so anyway, what comes late is copying at all, and then finding the
    value in this question and not in the lesson. The document is then one problem written again and again, so that
    each word is found by what came before it; or one alone, where a label stands once and only what the question
    settles is counted.
    """
    if domain.listed is not None:
        return [
            Piece(domain.listed(p.text), p.weight) if p.text.startswith("Question:") else p for p in pieces
        ]
    if rng.random() < 0.4:
        again = written(domain, first, weights.exam, weights.exam)
        return [*written(domain, first, weights.wording, weights.lesson), *again, *again]
    question, working, *answer = written(domain, first, 0.0, weights.exam)
    values = [
        Piece(text, weights.exam if text.isdigit() else 0.0) for text in _VALUE.split(working.text) if text
    ]
    return [question, *values, *answer]


def in_context_documents(
    domain: FamilyDomain, rng: random.Random, scribe: Scribe, weights: Weights, split: str = "school"
) -> Iterator[Document]:
    """The students' reading: lessons and exams on made-up families, in all the forms a student may be shown."""
    while True:
        family = domain.made_up(rng)
        form = rng.choices(
            ("full", "answer", "working", "none", "unrelated", "several"), (78, 4, 4, 4, 3, 7)
        )[0]
        first = draw(rng, family, split)
        wording, lesson, exam = weights.wording, weights.lesson, weights.exam
        if form == "full":
            pieces = written(domain, first, wording, lesson)
            for _ in range(2):
                pieces += written(domain, draw(rng, family, split), wording, exam)
        elif form == "none":
            pieces = written(domain, first, wording, lesson)
        elif form in ("answer", "working"):
            pieces = written(domain, first, wording, wording, form)
            # A program alone says what to do; the result of a sum does not.
            told = form == "working" or domain.answers_tell
            pieces += written(domain, draw(rng, family, split), wording, exam if told else lesson)
        elif form == "unrelated":
            pieces = written(domain, first, wording, lesson)
            pieces += written(domain, draw(rng, domain.made_up(rng), split), wording, lesson)
        else:
            others = [family, domain.made_up(rng)]
            rng.shuffle(others)
            pieces = [p for f in others for p in written(domain, draw(rng, f, split), wording, lesson)]
            pieces += written(domain, first, wording, exam)
        if rng.random() < weights.eased:
            pieces = eased(domain, rng, pieces, first, weights)
        yield scribe.document(pieces)


def world_documents(
    domain: FamilyDomain,
    rng: random.Random,
    scribe: Scribe,
    weights: Weights,
    world: FamilyWorld[Any],
    zipf: float,
) -> Iterator[Document]:
    """The teacher's schooling: single solved problems of the world, families as frequent as 1 / rank**zipf."""
    frequency = [1 / (rank + 1) ** zipf for rank in range(len(world.taught))]
    while True:
        family = rng.choices(world.taught, frequency)[0]
        yield scribe.document(written(domain, draw(rng, family), weights.wording, weights.exam))


def mixed(
    rng: random.Random, first: Iterator[Document], second: Iterator[Document], share: float
) -> Iterator[Document]:
    """Documents of the first stream, with this share of the second among them."""
    while True:
        yield next(second if rng.random() < share else first)


def rows(documents: Iterator[Document], length: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pack documents whole into `count` rows of `length`: ids, weights and document numbers, each (count, length).

    A document that does not fit the rest of its row starts the next one; padding has weight 0 and number -1.
    """
    ids = np.zeros((count, length), np.int64)
    weights = np.zeros((count, length), np.float32)
    owner = np.full((count, length), -1, np.int64)
    row = place = number = 0
    while True:
        tokens, worth = next(documents)
        if len(tokens) > length:
            continue
        if place + len(tokens) > length:
            row, place = row + 1, 0
        if row == count:
            return ids, weights, owner
        span = slice(place, place + len(tokens))
        ids[row, span], weights[row, span], owner[row, span] = tokens, worth, number
        place, number = place + len(tokens), number + 1
