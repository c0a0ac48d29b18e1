"""Curves: what each choice rule would reach with fewer lessons, and self-consistency with more, at what cost.

Nothing is asked of a model: the recorded samples are thinned out at random, many times, and decided again by
the rules and ties of `choose` (written here over whole arrays, since a run needs them a million times). With
all samples they are the recorded decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from docendo.solve.choose import _SAME
from docendo.solve.facts import LESSON_ARMS, Cost, Facts
from docendo.stats import Interval, mean_ci

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SUBSETS = 20
"""Random subsets of a problem's samples that a point is the mean of."""

MOST_SHORT = 0.1
"""Share of the problems that may have too few extra samples before self-consistency's curve ends."""


@dataclass(frozen=True, slots=True)
class Point:
    """One arm with `lessons` samples a problem: its accuracy, and its mean cost a problem.

    `cost` is tokens computed times parameters, as in `facts`: the teacher's prompt and samples and, for the
    arms that examine lessons, the exams of the distinct lessons among those samples.
    """

    arm: str
    lessons: int
    accuracy: Interval
    cost: float


@dataclass(frozen=True, slots=True)
class _Rows:
    """One problem over draws (rows of the first axis): was the arm right, and what did it cost."""

    right: dict[str, Floats]
    cost: dict[str, Floats]


def curves(
    facts: Sequence[Facts], *, subsets: int = SUBSETS, draws: int = 1000, seed: int = 0
) -> list[Point]:
    """Accuracy and cost of `sc`, `max`, `sum` and `avg` over the number of lessons.

    Args:
        facts: finished problems; those without a gold answer are left out.
        subsets: random subsets of a problem's samples for each number of lessons; a subset of fewer lessons
            is part of one of more, so that a curve does not tremble.
        draws: bootstrap draws of the bands, which resample clusters of problems.
        seed: of the subsets.

    Returns:
        The points of each arm in the order of the number of lessons, none where no problem can be judged. A
        problem with fewer samples than a point asks for is there with all it has.
    """
    judged = [f for f in facts if f.problem.judgeable and f.keys]
    if not judged:
        return []
    taught = max(len(f.keys) for f in judged)
    pools = sorted(len(f.keys) + len(f.extra) for f in judged)
    most = pools[int(MOST_SHORT * len(pools))]
    numbers, more = _numbers(taught), [n for n in _numbers(most) if n > taught]
    if any("sc_undebugged" in f.correct for f in judged):
        more = []  # further samples were not debugged: SC's line over those that were does not go on with them
    rng = np.random.default_rng(seed)
    rows = [_one(f, numbers, more, subsets, rng) for f in judged]
    clusters = [f.problem.cluster or f.problem.id for f in judged]
    points = []
    for arm in ("sc", *LESSON_ARMS):
        for i, n in enumerate([*numbers, *more] if arm == "sc" else numbers):
            accuracy = mean_ci([float(r.right[arm][i]) for r in rows], clusters, draws=draws)
            points.append(Point(arm, n, accuracy, float(np.mean([r.cost[arm][i] for r in rows]))))
    return points


def thinned(
    facts: Sequence[Facts], numbers: Sequence[int], *, subsets: int = SUBSETS, seed: int = 0
) -> list[dict[str, Floats]]:
    """How often each arm is right with fewer lessons, problem by problem.

    Args:
        facts: finished problems that can be judged and have samples.
        numbers: of lessons, ascending; a problem with fewer counts with all it has.
        subsets: as for `curves`.
        seed: of the subsets.

    Returns:
        For each problem, by arm (`sc`, `max`, `sum`, `avg`), the share of subsets in which it is right (numbers,).
    """
    rng = np.random.default_rng(seed)
    return [_one(f, list(numbers), [], subsets, rng).right for f in facts]


def _numbers(most: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24, ... below `most`, and `most`."""
    doubling = [n << k for k in range(most.bit_length()) for n in (2, 3)]
    return sorted({1, most, *(n for n in doubling if n < most)})


def _one(f: Facts, numbers: list[int], more: list[int], subsets: int, rng: np.random.Generator) -> _Rows:
    """One problem at each of `numbers`, and self-consistency at each of `more`: means over the subsets."""
    taught, extra = len(f.keys), len(f.extra)
    masks = _nested(taught, numbers, subsets, rng)
    index, key_right = _index(f.keys, f.right)
    scores = np.array([np.nan if i < 0 or (s := f.scores[i]) is None else s for i in f.lesson])
    chosen = _decide(masks, index, scores)
    right = {arm: _mean(np.append(key_right, False)[won], len(numbers)) for arm, won in chosen.items()}
    size = np.minimum(numbers, taught)
    sampled = _between(f.alone, f.costs.get("sc", Cost()), 1, taught, size)
    cost = {"sc": sampled} | dict.fromkeys(
        LESSON_ARMS, sampled + f.writing.cost + _exams(f, masks, len(numbers))
    )
    if more:
        masks = _nested(taught + extra, more, subsets, rng)
        index, key_right = _index([*f.keys, *(k for k, _ in f.extra)], [*f.right, *(r for _, r in f.extra)])
        won = _decide(masks, index, None)["sc"]
        right["sc"] = np.append(right["sc"], _mean(np.append(key_right, False)[won], len(more)))
        size = np.minimum(more, taught + extra)
        total = f.costs.get("sc_equal_cost", f.costs.get("sc", Cost()))
        beyond = _between(f.costs.get("sc", Cost()), total, taught, taught + extra, size)
        cost["sc"] = np.append(cost["sc"], beyond)
    return _Rows(right, cost)


def _nested(samples: int, numbers: Sequence[int], subsets: int, rng: np.random.Generator) -> Floats:
    """Masks (numbers x subsets, samples) of 0 and 1: `subsets` choices of each number of samples."""
    ranks = rng.permuted(np.tile(np.arange(samples), (subsets, 1)), axis=1)
    masks = ranks[None, :, :] < np.asarray(numbers)[:, None, None]
    return masks.reshape(-1, samples).astype(np.float64)


def _index(keys: Sequence[str | None], right: Sequence[bool]) -> tuple[Ints, NDArray[np.bool_]]:
    """Each sample's answer as a number (-1: none), and whether each answer is right."""
    number: dict[str, int] = {}
    index = np.array([-1 if k is None else number.setdefault(k, len(number)) for k in keys], np.int64)
    key_right = np.zeros(len(number), bool)
    key_right[index[(index >= 0) & np.asarray(right, bool)]] = True
    return index, key_right


def _decide(masks: Floats, index: Ints, scores: Floats | None) -> dict[str, Ints]:
    """The answer that each rule chooses from each mask's samples, -1 where none of them has one.

    `scores` are the samples' LbT scores, NaN where there is none; without them only SC decides.
    """
    has = (index[:, None] == np.arange(int(index.max(initial=-1)) + 1)).astype(np.float64)
    if not has.shape[1]:
        return dict.fromkeys(("sc", *LESSON_ARMS), np.full(len(masks), -1))
    count = masks @ has
    weights = {"sc": count}
    if scores is not None:
        counted = np.isfinite(scores)
        score = np.where(counted, scores, 0.0)
        total, scored = masks @ (has * score[:, None]), masks @ (has * counted[:, None])
        weights["sum"] = total
        weights["avg"] = total / np.maximum(scored, 1)
        # Only the answers that the best score stands behind can win under MAX: the others weigh nothing.
        usable = masks * (index >= 0)
        best = (usable * score).max(axis=1, keepdims=True)
        weights["max"] = ((usable * (score >= best * (1 - _SAME))) @ has > 0) * 1.0
    return {arm: _winner(weight, count, masks, index) for arm, weight in weights.items()}


def _winner(weight: Floats, count: Floats, masks: Floats, index: Ints) -> Ints:
    """The largest weight; of equal ones the most samples; of those the first sample."""
    there = count > 0
    weight = np.where(there, weight, -1.0)
    tied = there & (weight >= weight.max(axis=1, keepdims=True) * (1 - _SAME))
    most = np.where(tied, count, 0.0)
    tied &= most == most.max(axis=1, keepdims=True)
    candidate = (masks > 0) & (index >= 0) & tied[:, index]
    first = candidate.argmax(axis=1)
    return np.where(candidate.any(axis=1), index[first], -1)


def _exams(f: Facts, masks: Floats, numbers: int) -> Floats:
    """Mean cost of the exams of the distinct lessons among each number of samples."""
    owner = np.asarray(f.lesson, np.int64)
    of = (owner[:, None] == np.arange(len(f.scores))).astype(np.float64)
    price = np.array([c.cost for c in f.lesson_costs], np.float64)
    return _mean(((masks @ of) > 0) @ price, numbers)


def _between(low: Cost, high: Cost, few: int, many: int, at: Ints) -> Floats:
    """Cost of `at` samples where `few` cost `low` and `many` cost `high`, each more the same."""
    step = (high.cost - low.cost) / max(many - few, 1)
    return low.cost + step * (np.asarray(at, np.float64) - few) if many > few else np.full(len(at), high.cost)


def _mean(values: NDArray[np.generic], numbers: int) -> Floats:
    """Mean over the subsets of each number."""
    mean: Floats = values.astype(np.float64).reshape(numbers, -1).mean(axis=1)
    return mean
