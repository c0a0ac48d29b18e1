"""What keeps a set of pairs honest: near-duplicates out, lengths balanced, families apart; all by a seed alone."""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from docendo.exams.text import tokens

T = TypeVar("T")
_RUN = 3  # words a run, of which two texts' likeness is made


class Sized(Protocol):
    """What has a length ratio and a name."""

    @property
    def log_ratio(self) -> float:
        """Above 0 where the better one is longer."""

    @property
    def problem(self) -> str:
        """The problem's id."""


S = TypeVar("S", bound=Sized)


def digest(seed: int, *words: str) -> str:
    """A fixed draw for these words under a seed: hexadecimal digits, in no order that anything else has."""
    return hashlib.sha256(
        "\0".join((f"docendo tune {seed}", *words)).encode("utf-8", "surrogatepass")
    ).hexdigest()


def unlike(items: Sequence[T], of: Callable[[T], tuple[str | None, str]], similar: float) -> list[T]:
    """Those of `items` that are no near-duplicate of an earlier one.

    Args:
        items: in order of preference.
        of: an item's answer and text; only items with the same answer can be near-duplicates.
        similar: the likeness of two texts from which on they are: what share of all runs of three words both have.
    """
    kept: list[tuple[T, str | None, frozenset[tuple[str, ...]]]] = []
    for item in items:
        answer, text = of(item)
        runs = _runs(text)
        if not any(answer == other and likeness(runs, known) >= similar for _, other, known in kept):
            kept.append((item, answer, runs))
    return [item for item, *_ in kept]


def likeness(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """What share of the runs of either both have; 1 for two empty ones."""
    either = len(one | other)
    return len(one & other) / either if either else 1.0


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = tokens(text)
    return frozenset(words[i : i + _RUN] for i in range(max(1, len(words) - _RUN + 1)))


def balanced(pairs: Sequence[S], tolerance: float, seed: int) -> list[S]:
    """`pairs` without those few that make the better ones longer, or shorter, on average than the worse ones.

    While the mean of the log ratios is further than `tolerance` from 0, the pair goes whose absence brings it nearest,
    until none brings it nearer; half of all stay at the least.
    """
    total = math.fsum(pair.log_ratio for pair in pairs)
    order = sorted(
        (pair.log_ratio, digest(seed, "length", pair.problem, str(i)), i) for i, pair in enumerate(pairs)
    )
    while order and abs(total / len(order)) > tolerance and 2 * (len(order) - 1) >= len(pairs):
        at = bisect.bisect_left(order, (total,))
        near = min((i for i in (at - 1, at) if 0 <= i < len(order)), key=lambda i: abs(total - order[i][0]))
        if abs(total - order[near][0]) / max(len(order) - 1, 1) >= abs(total) / len(order):
            break
        total -= order.pop(near)[0]
    kept = {i for *_, i in order}
    return [pair for i, pair in enumerate(pairs) if i in kept]


def families_apart(families: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """The families kept for validation: `share` of all, at least one of two or more, drawn by the seed."""
    names = sorted(set(families), key=lambda name: digest(seed, "family", name))
    if share <= 0 or len(names) < 2:
        return frozenset()
    return frozenset(names[: min(len(names) - 1, max(1, round(share * len(names))))])
