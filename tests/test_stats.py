"""Intervals, paired differences and AUCs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.stats import Interval, auc, function_ci, mean_ci, paired_difference, within_auc

values = st.lists(st.floats(-1, 1), min_size=1, max_size=40)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_interval_agrees_with_the_normal_one_where_that_holds(seed: int) -> None:
    data = np.random.default_rng(seed).normal(3.0, 2.0, size=400)
    interval = mean_ci(data.tolist())
    half = 1.96 * data.std(ddof=1) / math.sqrt(len(data))
    assert interval.mean == pytest.approx(data.mean())
    assert interval.low == pytest.approx(data.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(data.mean() + half, abs=0.1 * half)


def simulated(rng: np.random.Generator, clusters: int) -> tuple[list[float], list[int]]:
    """Right or wrong answers whose chance is their cluster's own, in clusters of 1 to 9 (true mean 0.5)."""
    sizes = rng.integers(1, 10, size=clusters)
    chances = rng.beta(0.7, 0.7, size=clusters)
    owner = np.repeat(np.arange(clusters), sizes)
    return (rng.random(len(owner)) < chances[owner]).astype(float).tolist(), owner.tolist()


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_clustered_intervals_cover_the_truth_as_often_as_they_say(seed: int) -> None:
    """300 experiments: 95 % less the bootstrap's shortfall at 40 clusters, give or take three sigma."""
    rng = np.random.default_rng(seed)
    covered = naive = 0
    for trial in range(300):
        data, owner = simulated(rng, clusters=40)
        with_clusters = mean_ci(data, owner, draws=400, seed=trial)
        without = mean_ci(data, draws=400, seed=trial)
        covered += with_clusters.low <= 0.5 <= with_clusters.high  # type: ignore[operator]
        naive += without.low <= 0.5 <= without.high  # type: ignore[operator]
    assert 0.89 <= covered / 300 <= 0.98
    assert naive / 300 < 0.80  # what ignoring the clusters would have cost


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99])
def test_other_levels_cover_as_often_as_they_say(level: float) -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(300):
        interval = mean_ci(rng.normal(size=60).tolist(), level=level, draws=1000, seed=trial)
        covered += interval.low <= 0 <= interval.high  # type: ignore[operator]
    assert covered / 300 == pytest.approx(level, abs=0.085)


def test_uneven_clusters_are_weighed_by_their_size() -> None:
    data = [1.0] * 90 + [0.0] * 10
    interval = mean_ci(data, ["big"] * 90 + [f"small-{i}" for i in range(10)])
    assert interval.mean == pytest.approx(0.9)
    assert (interval.n, interval.clusters) == (100, 11)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low == 0.0  # a resample without the big cluster has no right answer at all
    assert 0.9 < interval.high < 1.0


def test_pairs_are_paired() -> None:
    """Two arms that rise and fall together differ more surely than their own intervals tell."""
    rng = np.random.default_rng(0)
    hard = rng.normal(size=200)
    a, b = (hard + 0.1 + 0.05 * rng.normal(size=200)).tolist(), hard.tolist()
    paired = paired_difference(a, b)
    assert paired.low is not None
    assert paired.low > 0
    assert paired.mean == pytest.approx(np.mean(a) - np.mean(b))
    assert mean_ci(a).low < mean_ci(b).high  # type: ignore[operator]


@given(values, values, st.integers(0, 3))
def test_swapping_the_arms_mirrors_the_difference(a: list[float], b: list[float], seed: int) -> None:
    a, b = a[: len(b)], b[: len(a)]
    one, other = paired_difference(a, b, draws=200, seed=seed), paired_difference(b, a, draws=200, seed=seed)
    assert one.mean == pytest.approx(-other.mean)  # type: ignore[operator]
    if one.low is not None:
        assert one.low == pytest.approx(-other.high)  # type: ignore[operator]
        assert one.high == pytest.approx(-other.low)  # type: ignore[operator]


@given(values, st.integers(0, 3))
def test_the_interval_lies_within_the_values_and_repeats(data: list[float], seed: int) -> None:
    clusters = [i // 3 for i in range(len(data))]
    interval = mean_ci(data, clusters, draws=200, seed=seed)
    assert interval == mean_ci(data, [f"c{c}" for c in clusters], draws=200, seed=seed)
    if interval.low is not None and interval.high is not None:
        assert min(data) - 1e-9 <= interval.low <= interval.high <= max(data) + 1e-9


def test_seeds_differ() -> None:
    data = np.random.default_rng(0).random(50).tolist()
    assert mean_ci(data, seed=0) != mean_ci(data, seed=1)


def test_values_without_a_cluster_are_clusters_of_their_own() -> None:
    data = [0.0, 1.0, 1.0, 0.0, 1.0]
    assert mean_ci(data, [None] * 5) == mean_ci(data)
    assert mean_ci(data, ["x", "x", None, None, ""]).clusters == 4


def test_what_has_no_interval_says_so() -> None:
    assert mean_ci([]) == Interval(None, None, None, 0, 0, "no values")
    one = mean_ci([1.0, 0.0], ["c", "c"])
    assert (one.mean, one.low, one.high, one.clusters) == (0.5, None, None, 1)
    assert "one cluster" in one.note
    constant = mean_ci([0.1] * 30)
    assert (constant.mean, constant.low, constant.high) == (0.1, 0.1, 0.1)
    assert "equal" in constant.note
    assert "only 4 clusters" in mean_ci([0.0, 1.0, 0.0, 1.0]).note
    assert mean_ci([0.0, 1.0] * 10).note == ""


def test_a_function_of_one_mean_has_the_means_own_interval() -> None:
    rng = np.random.default_rng(5)
    data, clusters = rng.normal(size=60).tolist(), [i // 3 for i in range(60)]
    plain = mean_ci(data, clusters)
    found = function_ci(lambda means: 2 * means[:, 0], [[x, 7.0] for x in data], clusters)
    ends = (found.mean, found.low, found.high)
    assert ends == pytest.approx(tuple(2 * x for x in (plain.mean, plain.low, plain.high) if x is not None))
    assert (found.n, found.clusters) == (plain.n, plain.clusters)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_ratio_of_means_covers_the_truth_as_often_as_it_says(seed: int) -> None:
    rng, held = np.random.default_rng(seed), 0
    for draw in range(200):
        size = rng.uniform(1, 9, 50)  # what is common to both leaves their ratio alone
        rows = np.column_stack([size * rng.normal(2.0, 0.5, 50), size])
        found = function_ci(lambda means: means[:, 0] / means[:, 1], rows.tolist(), draws=300, seed=draw)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 2.0 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_a_function_without_an_interval_says_so() -> None:
    nothing = function_ci(lambda means: means[:, 0], [])
    assert (nothing.mean, nothing.note) == (None, "no values")
    one = function_ci(lambda means: means[:, 0], [[1.0], [3.0]], ["a", "a"])
    assert (one.mean, one.low, one.high) == (2.0, None, None)
    assert function_ci(lambda means: means[:, 0], [[1.0], [3.0]]).note.startswith("only 2 clusters")
    with pytest.raises(ValueError, match="finite"):
        function_ci(lambda means: means[:, 0], [[math.nan]])


def test_many_clusters_are_drawn_in_parts() -> None:
    """More draws than fit in one part of memory give the interval that theory expects."""
    data = np.random.default_rng(1).random(6_000).tolist()
    interval = mean_ci(data, draws=500)
    half = 1.96 * math.sqrt(1 / 12 / 6_000)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.15)  # type: ignore[operator]


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_ci([1.0, 2.0], ["c"]),
        lambda: mean_ci([1.0, math.nan]),
        lambda: mean_ci([1.0, math.inf]),
        lambda: mean_ci([1.0, 2.0], level=1.0),
        lambda: mean_ci([1.0, 2.0], draws=0),
        lambda: paired_difference([1.0], [1.0, 2.0]),
        lambda: auc([1.0], [True, False]),
        lambda: auc([1.0, math.nan], [True, False]),
        lambda: auc([1.0, 0.0], [True, False], [1.0]),
        lambda: auc([1.0, 0.0], [True, False], [1.0, -1.0]),
        lambda: within_auc([([1.0], [True])], []),
    ],
)
def test_misuse_is_refused(call: object) -> None:
    with pytest.raises(ValueError, match=r"length|finite|level|pair|cluster|weight"):
        call()  # type: ignore[operator]


def brute(scores: list[float], labels: list[bool], weights: list[float]) -> tuple[float, float]:
    won = pairs = 0.0
    for s, right, w in zip(scores, labels, weights, strict=True):
        for t, other, v in zip(scores, labels, weights, strict=True):
            if right and not other:
                pairs += w * v
                won += w * v * (1.0 if s > t else 0.5 if s == t else 0.0)
    return won, pairs


groups = st.lists(
    st.lists(st.tuples(st.integers(0, 4).map(lambda n: n / 4), st.booleans(), st.integers(1, 3)), max_size=8),
    max_size=5,
)


@given(groups)
def test_auc_counts_pairs(drawn: list[list[tuple[float, bool, int]]]) -> None:
    columns = [([s for s, _, _ in g], [r for _, r, _ in g], [float(w) for _, _, w in g]) for g in drawn]
    expected = [brute(*group) for group in columns]
    for (scores, labels, weights), (won, pairs) in zip(columns, expected, strict=True):
        assert auc(scores, labels, weights) == (pytest.approx(won / pairs) if pairs else None)
        repeated = [(s, r) for s, r, w in zip(scores, labels, weights, strict=True) for _ in range(int(w))]
        assert auc([s for s, _ in repeated], [r for _, r in repeated]) == (
            pytest.approx(won / pairs) if pairs else None
        )
    won, pairs = sum(w for w, _ in expected), sum(p for _, p in expected)
    within = within_auc([(s, r) for s, r, _ in columns], [w for _, _, w in columns])
    assert within == (pytest.approx(won / pairs) if pairs else None)


def test_auc_by_hand() -> None:
    assert auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]) == 0.75
    assert auc([0.5, 0.5], [True, False]) == 0.5
    assert auc([0.5, 0.7], [True, True]) is None
    assert auc([], []) is None
    assert within_auc([]) is None


def test_within_a_problem_easy_and_hard_problems_do_not_matter() -> None:
    """Scores that only tell easy problems from hard ones rank well overall and say nothing within."""
    easy = ([0.9, 0.9, 0.9, 0.9], [True, True, True, False])
    hard = ([0.1, 0.1, 0.1, 0.1], [True, False, False, False])
    overall = auc(easy[0] + hard[0], easy[1] + hard[1])
    assert overall is not None
    assert overall > 0.7
    assert within_auc([easy, hard]) == 0.5
