"""Which texts are alike: copies of problems in what a teacher wrote, and near-copies of problems among one another.

Words are what `exams.text.tokens` gives, so layout, case and punctuation count for nothing. A run is `RUN` words in
a row. Runs that stand in several problems are the form of the task ("tells the truth. Michaela says") and say nothing
of any one problem, so they count for nothing either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from docendo.exams.text import tokens

RUN = 8
"""Words in a row that two texts share by more than chance."""

FORM = 4
"""Problems from which on a run is the form of the task."""

SHARE = 0.5
"""Of the shorter of two texts, the share inside of common runs that makes one a copy of the other."""

Run = tuple[str, ...]


class Guard:
    """Finds copies of problems that no lesson may show.

    Args:
        texts: of the problems, each with the name by which a copy is reported.
    """

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self._whole: dict[Run, str] = {}
        self._words: dict[str, int] = {}
        self._runs: dict[Run, list[str]] = defaultdict(list)
        for name, text in texts:
            words = tokens(text)
            self._whole.setdefault(words, name)
            self._words[name] = len(words)
            for run in set(_runs(words)):
                self._runs[run].append(name)

    def copied(self, text: str) -> str | None:
        """The name of a problem that `text` is a copy of, or holds, or is a part of; None where there is none."""
        words = tokens(text)
        if not words:
            return None
        if words in self._whole:
            return self._whole[words]
        covered: dict[str, set[int]] = defaultdict(set)
        for start, run in enumerate(_runs(words)):
            found = self._runs.get(run, ())
            if len(found) < FORM:
                for name in found:
                    covered[name].update(range(start, start + RUN))
        for name, places in covered.items():
            if len(places) >= SHARE * min(len(words), self._words[name]):
                return name
        return None


def alike(texts: Sequence[str]) -> list[int]:
    """Which texts are near-copies of one another: for each the number of its group, groups in order of appearance.

    Texts are alike where they are the same words, or where half of the shorter one stands in the other, in runs that
    few texts have; what is alike to a third text is in one group with it.
    """
    words = [tokens(text) for text in texts]
    holders: dict[Run, list[int]] = defaultdict(list)
    same: dict[Run, int] = {}
    groups = list(range(len(texts)))
    for number, own in enumerate(words):
        _join(groups, same.setdefault(own, number), number)
        for run in set(_runs(own)):
            holders[run].append(number)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for holding in holders.values():
        for i, one in enumerate(holding if len(holding) < FORM * 4 else ()):
            for other in holding[i + 1 :]:
                shared[one, other] += 1
    for (one, other), runs in shared.items():
        # `runs` overlapping runs cover at most so many words: enough to tell near-copies from chance.
        if runs + RUN - 1 >= SHARE * min(len(words[one]), len(words[other])):
            _join(groups, one, other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(_root(groups, i), len(numbers)) for i in range(len(texts))]


def _runs(words: Run) -> list[Run]:
    return [words[i : i + RUN] for i in range(len(words) - RUN + 1)]


def _root(groups: list[int], number: int) -> int:
    while groups[number] != number:
        groups[number] = groups[groups[number]]
        number = groups[number]
    return number


def _join(groups: list[int], one: int, other: int) -> None:
    one, other = _root(groups, one), _root(groups, other)
    groups[max(one, other)] = min(one, other)
