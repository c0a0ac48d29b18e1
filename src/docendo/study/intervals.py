"""Intervals of ratios and AUCs by the same bootstrap of clusters as every table, over arrays.

`docendo.stats` has means, where each problem weighs the same; here a problem weighs as much as it has lessons,
exam answers or pairs.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from docendo.stats import FEW, Interval
from docendo.study.plan import BOOTSTRAP_DRAWS

Floats = NDArray[np.float64]


def ratio_ci(
    top: Sequence[float],
    bottom: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = 0,
) -> Interval:
    """Sum of `top` by sum of `bottom`, with a percentile interval that resamples whole clusters.

    Args:
        top: what is counted, one number a problem.
        bottom: out of how many, none negative.
        clusters: what each problem is resampled with.
        draws: bootstrap resamples.
        seed: of the resampling.
    """
    sums, weights = _by_cluster(np.column_stack([top, bottom]).astype(float), clusters, draws, seed)
    total = sums.sum(axis=0)
    if not len(sums) or total[1] <= 0:
        return Interval(None, None, None, 0, 0, "no values")
    drawn = weights @ sums
    return _interval(float(total[0] / total[1]), drawn[:, 0], drawn[:, 1], round(total[1]), len(sums))


def auc_ci(
    scores: Sequence[Sequence[float]],
    labels: Sequence[Sequence[bool]],
    clusters: Sequence[Hashable],
    *,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = 0,
) -> Interval:
    """Chance that a right lesson scores above a wrong one of any problem, ties counting half, with its interval.

    Args:
        scores: of each problem's lessons.
        labels: whether each is right.
        clusters: what each problem is resampled with.
        draws: bootstrap resamples.
        seed: of the resampling.
    """
    levels = sorted({s for own in scores for s in own})
    place = {level: i for i, level in enumerate(levels)}
    counts = np.zeros((len(scores), 2 * len(levels)))
    for row, (own, right) in enumerate(zip(scores, labels, strict=True)):
        for s, r in zip(own, right, strict=True):
            counts[row, place[s] + (0 if r else len(levels))] += 1
    sums, weights = _by_cluster(counts, clusters, draws, seed)
    total = sums.sum(axis=0, keepdims=True)
    won, pairs = _pairs(total, len(levels))
    if not len(sums) or pairs[0] <= 0:
        return Interval(None, None, None, 0, 0, "no pair of a right and a wrong lesson")
    return _interval(
        float(won[0] / pairs[0]), *_pairs(weights @ sums, len(levels)), int(total.sum()), len(sums)
    )


def negated(interval: Interval) -> Interval:
    """The interval of the opposite difference."""
    if interval.mean is None:
        return interval
    low = None if interval.high is None else -interval.high
    high = None if interval.low is None else -interval.low
    return Interval(-interval.mean, low, high, interval.n, interval.clusters, interval.note)


def _pairs(counts: Floats, levels: int) -> tuple[Floats, Floats]:
    """Pairs in order and all pairs, of each row of (right by level, wrong by level)."""
    right, wrong = counts[:, :levels], counts[:, levels:]
    below = np.cumsum(wrong, axis=1) - wrong / 2
    return (right * below).sum(axis=1), right.sum(axis=1) * wrong.sum(axis=1)


def _by_cluster(values: Floats, clusters: Sequence[Hashable], draws: int, seed: int) -> tuple[Floats, Floats]:
    """Each cluster's sums (clusters, columns), and how often each draw has each cluster (draws, clusters)."""
    number: dict[Hashable, int] = {}
    owner = np.array([number.setdefault(c, len(number)) for c in clusters], dtype=np.int64)
    count = len(number)
    sums = np.zeros((count, values.shape[1] if values.ndim == 2 else 0))
    if count:
        np.add.at(sums, owner, values)
    drawn = np.random.default_rng(seed).integers(0, max(count, 1), size=(draws, count))
    offset = drawn + np.arange(draws)[:, None] * count
    weights = np.bincount(offset.ravel(), minlength=draws * count).reshape(draws, count)
    return sums, weights.astype(np.float64)


def _interval(value: float, tops: Floats, bottoms: Floats, n: int, clusters: int) -> Interval:
    if clusters == 1:
        return Interval(value, None, None, n, 1, "one cluster: no interval can be given")
    there = bottoms > 0
    low, high = np.quantile(tops[there] / bottoms[there], [0.025, 0.975])
    note = f"only {clusters} clusters: the interval is too narrow" if clusters < FEW else ""
    return Interval(value, float(low), float(high), n, clusters, note)
