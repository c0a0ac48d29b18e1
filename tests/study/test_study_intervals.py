"""Intervals of ratios and AUCs: the same bootstrap as the tables', over clusters."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.stats import Interval, auc, mean_ci
from docendo.study.intervals import auc_ci, negated, ratio_ci


def lessons(seed: int, problems: int = 30) -> tuple[list[list[float]], list[list[bool]], list[str]]:
    rng = random.Random(seed)
    labels = [[rng.random() < 0.4 for _ in range(rng.randint(0, 6))] for _ in range(problems)]
    scores = [[min(9, rng.randint(0, 6) + 3 * right) / 9 for right in own] for own in labels]
    return scores, labels, [f"c{i % 12}" for i in range(problems)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_ratio_out_of_one_each_is_a_mean(seed: int) -> None:
    rng = random.Random(seed)
    values = [float(rng.random() < 0.3) for _ in range(60)]
    clusters = [i // 5 for i in range(60)]
    found, known = ratio_ci(values, [1.0] * 60, clusters), mean_ci(values, clusters)
    assert found.mean == pytest.approx(known.mean)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_problems_weigh_by_what_they_hold() -> None:
    found = ratio_ci([0.0, 9.0], [1.0, 9.0], ["a", "b"])
    assert found.mean == pytest.approx(0.9)
    assert (found.low, found.high) == pytest.approx((0.0, 1.0))
    assert "only 2 clusters" in found.note


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_copies_inside_a_cluster_do_not_narrow_an_interval(seed: int) -> None:
    rng = random.Random(seed)
    values = [float(rng.random() < 0.5) for _ in range(40)]
    clusters = list(range(40))
    once = ratio_ci(values, [1.0] * 40, clusters)
    thrice = ratio_ci(values * 3, [1.0] * 120, clusters * 3)
    assert (once.mean, once.low, once.high) == (thrice.mean, thrice.low, thrice.high)


@given(st.integers(0, 500))
def test_the_pooled_auc_is_that_of_all_lessons_together(seed: int) -> None:
    scores, labels, clusters = lessons(seed)
    found = auc_ci(scores, labels, clusters, draws=50)
    known = auc([s for own in scores for s in own], [r for own in labels for r in own])
    assert found.mean == pytest.approx(known)
    assert found.low <= found.high


@pytest.mark.parametrize("seed", [3, 4])
def test_the_pooled_auc_interval_is_that_of_resampled_clusters(seed: int) -> None:
    scores, labels, clusters = lessons(seed, problems=48)
    found = auc_ci(scores, labels, clusters)
    rng, names = random.Random(seed), sorted(set(clusters))
    drawn = []
    for _ in range(600):
        picked = [c for c in rng.choices(names, k=len(names))]
        rows = [i for c in picked for i, own in enumerate(clusters) if own == c]
        drawn.append(auc([s for i in rows for s in scores[i]], [r for i in rows for r in labels[i]]))
    drawn.sort()
    assert found.low == pytest.approx(drawn[15], abs=0.02)
    assert found.high == pytest.approx(drawn[585], abs=0.02)


def test_nothing_to_compare_is_no_interval() -> None:
    assert ratio_ci([], [], []).mean is None
    assert ratio_ci([0.0], [0.0], ["a"]).mean is None
    assert auc_ci([[0.5], [0.1]], [[True], [True]], ["a", "b"]).mean is None
    assert auc_ci([], [], []).mean is None


def test_the_opposite_difference() -> None:
    turned = negated(Interval(0.2, 0.1, 0.4, 9, 3, "few"))
    assert turned == Interval(-0.2, -0.4, -0.1, 9, 3, "few")
    assert negated(Interval(None, None, None, 0, 0)).mean is None
