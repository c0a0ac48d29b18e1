"""Which questions are worded alike: a lexical index (TF-IDF and cosine), the default behind `nearest`.

It reads words, LaTeX commands and pairs of neighbouring tokens, and not which numbers a question has: an exam problem
should ask for the same steps with other numbers. Memory and time follow the number of different terms, never
documents × documents. Other indexes (embeddings) have the same method.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from docendo.exams.text import is_number, tokens

COMMON = 0.2
"""Share of texts above which a term tells nothing, and is left out."""

Floats = NDArray[np.float64]


class Index(Protocol):
    """Similarity of a question to each of the texts that it was made of."""

    def similar(self, question: str) -> Floats:
        """Return one similarity a text, in their order; larger is more alike."""


class Lexical:
    """TF-IDF vectors of texts, as an inverted index.

    Args:
        texts: what is searched. Similarities depend on the set of texts (through how rare terms are), and not on
            their order.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._size = len(texts)
        counts = [Counter(terms(text)) for text in texts]
        rarity = Counter(term for found in counts for term in found)
        most = max(COMMON * self._size, 10.0)
        self._idf = {
            term: math.log(self._size / count) + 1.0 if count <= most else 0.0
            for term, count in rarity.items()
        }
        postings: dict[str, tuple[list[int], list[float]]] = {}
        for number, found in enumerate(counts):
            for term, weight in self._vector(found):
                where, weights = postings.setdefault(term, ([], []))
                where.append(number)
                weights.append(weight)
        self._postings = {
            term: (np.array(where, dtype=np.intp), np.array(weights))
            for term, (where, weights) in postings.items()
        }

    def similar(self, question: str) -> Floats:
        """Return the cosine, in [0, 1], of a question with each text."""
        known = sorted(  # a fixed order of adding, whatever the order of words
            (term, weight)
            for term, weight in self._vector(Counter(terms(question)))
            if term in self._postings
        )
        if not known:
            return np.zeros(self._size)
        where = np.concatenate([self._postings[term][0] for term, _ in known])
        weights = np.concatenate([weight * self._postings[term][1] for term, weight in known])
        return np.asarray(np.bincount(where, weights, self._size), dtype=np.float64)

    def _vector(self, counts: Counter[str]) -> list[tuple[str, float]]:
        unknown = math.log(max(self._size, 1)) + 1.0
        raw = [(t, (1.0 + math.log(count)) * self._idf.get(t, unknown)) for t, count in counts.items()]
        norm = math.sqrt(math.fsum(weight * weight for _, weight in raw)) or 1.0
        return [(term, weight / norm) for term, weight in raw if weight]


def terms(text: str) -> Iterator[str]:
    """Yield a text's tokens, every number as one and the same, and each two neighbours."""
    found = ["#" if is_number(token) else token for token in tokens(text)]
    yield from found
    for first, second in itertools.pairwise(found):
        yield f"{first} {second}"
