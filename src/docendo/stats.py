"""Intervals, paired differences and AUCs: the statistics under every table, whatever they are of.

Intervals are percentile bootstraps which resample whole clusters, because problems that are alike are right
or wrong together; treating them as independent would make every interval too narrow. Each resample's mean is
a ratio (sum over the drawn clusters by their size), which stays right where clusters differ in size. The
same values and seed give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1_000_000
"""Cluster draws held at once; bounds memory at tens of megabytes whatever the number of clusters."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its bootstrap interval over `n` values in `clusters` clusters.

    `mean` is None without values. `low` and `high` are None where no interval can be given, and `note` then
    says why; it also warns of clusters too few to trust, and is empty where there is nothing to say.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    note: str = ""


FEW = 10
"""Clusters below which a bootstrap interval is noticeably too narrow."""


def mean_ci(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of `values` with a percentile bootstrap interval.

    Args:
        values: finite numbers, one a problem.
        clusters: what each value is resampled with; a value whose cluster is None is a cluster of its own,
            and so is every value where this is left out.
        level: the interval's coverage, between 0 and 1.
        draws: bootstrap resamples, at least 1.
        seed: of the resampling.

    Raises:
        ValueError: lengths differ, a value is not finite, or `level` or `draws` is out of range.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or not np.isfinite(data).all():
        raise ValueError("values must be a flat sequence of finite numbers")
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"level must be between 0 and 1 and draws at least 1, not {level} and {draws}")
    owner = _owners(clusters, len(data))
    count = int(owner.max()) + 1 if len(data) else 0
    if count == 0:
        return Interval(None, None, None, 0, 0, "no values")
    mean = float(data.mean())
    if count == 1:
        return Interval(mean, None, None, len(data), 1, "one cluster: no interval can be given")
    if data.min() == data.max():  # exactly: resampled means of 0.1 would differ by rounding
        value = float(data[0])
        return Interval(
            value, value, value, len(data), count, "all values are equal: the interval has no width"
        )
    sums = np.bincount(owner, weights=data, minlength=count).astype(np.float64)
    sizes = np.bincount(owner, minlength=count).astype(np.float64)
    means = _resampled_means(sums, sizes, draws, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    note = f"only {count} clusters: the interval is too narrow" if count < FEW else ""
    return Interval(mean, float(low), float(high), len(data), count, note)


def function_ci(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    values: Sequence[Sequence[float]],
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """A function of several means over the same problems, such as their ratio, with its interval as `mean_ci`'s.

    Args:
        function: from means (rows, columns) to a finite number for each row.
        values: finite numbers, one row a problem, one column a quantity.
        clusters: as for `mean_ci`, and so the others.
        level: of the interval.
        draws: bootstrap resamples.
        seed: of the resampling.

    Raises:
        ValueError: as for `mean_ci`.
    """
    data = np.asarray(values, dtype=np.float64)
    if not len(data):
        return Interval(None, None, None, 0, 0, "no values")
    if data.ndim != 2 or not np.isfinite(data).all():
        raise ValueError("values must be rows of finite numbers, as many in each")
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"level must be between 0 and 1 and draws at least 1, not {level} and {draws}")
    owner = _owners(clusters, len(data))
    count = int(owner.max()) + 1
    found = float(function(data.mean(axis=0)[None, :])[0])
    if count == 1:
        return Interval(found, None, None, len(data), 1, "one cluster: no interval can be given")
    sums = np.zeros((count, data.shape[1]))
    np.add.at(sums, owner, data)
    sizes = np.bincount(owner, minlength=count).astype(np.float64)
    means = _resampled_means(sums, sizes[:, None], draws, np.random.default_rng(seed))
    low, high = np.quantile(function(means), [(1 - level) / 2, (1 + level) / 2])
    note = f"only {count} clusters: the interval is too narrow" if count < FEW else ""
    return Interval(found, float(low), float(high), len(data), count, note)


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of `a - b` over the same problems, with its interval; arguments and errors as for `mean_ci`."""
    if len(a) != len(b):
        raise ValueError(f"a pair needs both values: {len(a)} and {len(b)} were given")
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return mean_ci(difference.tolist(), clusters, level=level, draws=draws, seed=seed)


def auc(
    scores: Sequence[float], labels: Sequence[bool], weights: Sequence[float] | None = None
) -> float | None:
    """Chance that a right one scores above a wrong one, ties counting half; None where a class is missing.

    Args:
        scores: finite numbers.
        labels: whether each is right.
        weights: how often each counts (for a lesson, its samples); once each where left out.

    Raises:
        ValueError: lengths differ, a score is not finite or a weight is negative.
    """
    won, pairs = _pairs(scores, labels, weights)
    return won / pairs if pairs > 0 else None


def within_auc(
    groups: Sequence[tuple[Sequence[float], Sequence[bool]]],
    weights: Sequence[Sequence[float]] | None = None,
) -> float | None:
    """AUC over pairs within a group, all groups' pairs pooled; None where no group has both classes.

    Over all problems together an AUC also rewards knowing which problems are easy; within problems it asks
    only what choosing needs: are this problem's right lessons above its wrong ones?

    Args:
        groups: (scores, labels) of each group, as for `auc`.
        weights: how often each score of each group counts; once each where left out.

    Raises:
        ValueError: as for `auc`; also where there are not as many weights as groups.
    """
    if weights is not None and len(weights) != len(groups):
        raise ValueError(f"lengths differ: {len(groups)} groups, {len(weights)} weights")
    results = [
        _pairs(scores, labels, None if weights is None else weights[i])
        for i, (scores, labels) in enumerate(groups)
    ]
    pairs = sum(count for _, count in results)
    return sum(won for won, _ in results) / pairs if pairs > 0 else None


def _owners(clusters: Sequence[Hashable] | None, length: int) -> NDArray[np.int64]:
    if clusters is None:
        return np.arange(length, dtype=np.int64)
    if len(clusters) != length:
        raise ValueError(f"every value needs a cluster: {length} values, {len(clusters)} clusters")
    numbers: dict[Hashable, int] = {}
    keys = (("", i) if cluster is None else (cluster,) for i, cluster in enumerate(clusters))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    count = len(sums)
    step = max(1, _CHUNK // sums.size)
    means = np.empty((draws, *sums.shape[1:]))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = rng.integers(0, count, size=(rows, count), dtype=np.int32)
        means[start : start + rows] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def _pairs(
    scores: Sequence[float], labels: Sequence[bool], weights: Sequence[float] | None
) -> tuple[float, float]:
    """Weight of the (right, wrong) pairs that are in order, and of all."""
    values = np.asarray(scores, dtype=np.float64)
    right = np.asarray(labels, dtype=bool)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(values) == len(right) == len(weight):
        raise ValueError(f"lengths differ: {len(values)} scores, {len(right)} labels, {len(weight)} weights")
    if not np.isfinite(values).all() or not (weight >= 0).all():
        raise ValueError("scores must be finite and weights not negative")
    order = np.argsort(values[~right], kind="stable")
    wrong, wrong_weight = values[~right][order], weight[~right][order]
    below = np.concatenate([[0.0], np.cumsum(wrong_weight)])
    under = below[np.searchsorted(wrong, values[right], side="left")]
    up_to = below[np.searchsorted(wrong, values[right], side="right")]
    won = float((weight[right] * (under + up_to) / 2).sum())
    return won, float(weight[right].sum() * wrong_weight.sum())
