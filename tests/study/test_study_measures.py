"""What is measured of recorded runs, on small facts made by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest

from docendo.solve.facts import Facts
from docendo.study.measures import calibration, doubt, exam_sizes, follow, ranking
from docendo.study.read import Data, Exams, lesson_scores, rescored, unscored
from docendo.types import Problem

NAN = float("nan")


def facts(id: int, answers: str, scores: dict[str, float | None], gold: str = "a") -> Facts:
    """A problem whose samples gave these one-letter answers, each answer one lesson with one score."""
    keys = list(scores)
    correct = {"sc": max(keys, key=answers.count) == gold}
    best = max(keys, key=lambda k: (scores[k] or 0) * answers.count(k))
    return Facts(
        Problem(f"p{id}", "?", answer=gold, cluster=f"c{id}"),
        keys=list(answers),
        right=[letter == gold for letter in answers],
        lesson=[keys.index(letter) for letter in answers],
        scores=list(scores.values()),
        lesson_right=[k == gold for k in keys],
        correct=correct | {"sum": best == gold},
    )


def test_doubt_puts_every_problem_in_one_bin_by_its_majority() -> None:
    made = [
        facts(0, "aaaa", {"a": 1.0}),
        facts(1, "aabb", {"a": 1.0, "b": 0.0}),
        facts(2, "abbb", {"a": 1.0, "b": 0.0}),
        facts(3, "abcd", {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}),
    ]
    bins = doubt(made)
    assert [(b.low, b.high, b.problems) for b in bins] == [
        (0.0, 0.25, 1),
        (0.25, 0.5, 1),
        (0.5, 0.75, 1),
        (0.75, 1.0, 1),
    ]
    assert bins[2].gain.mean == 1.0  # SC follows the three, SUM the one
    assert bins[3].gain.mean == 0.0


def test_calibration_counts_lessons_by_score() -> None:
    made = [facts(i, "aab", {"a": 1.0, "b": 1 / 9}) for i in range(3)] + [facts(3, "b", {"b": None})]
    bins = calibration(made)
    assert [(b.right.n, b.right.mean) for b in bins if b.right.n] == [(3, 0.0), (3, 1.0)]
    assert bins[1].right.n == 3
    assert bins[9].right.n == 3


def test_ranking_counts_ties_half_and_pairs_within_a_problem() -> None:
    made = [facts(0, "ab", {"a": 0.9, "b": 0.1}), facts(1, "ab", {"a": 0.1, "b": 0.1})]
    found = ranking(made)
    assert found.within.mean == 0.75
    assert found.pooled.mean == pytest.approx(0.75)  # 0.9 beats both wrong ones, 0.1 ties with both


def test_following_is_told_apart_by_what_the_lesson_was() -> None:
    one = facts(0, "ab", {"a": 0.5, "b": 0.0})
    scores = np.array([[[[1, 1, NAN], [1, 0, 0]]], [[[0, 0, 0], [0, 1, 0]]]])
    exams = Exams(scores, ("school:pupil",), (False, False))
    (found,) = follow(Data([one], [exams]))
    assert found.student == "school:pupil"
    assert found.right.mean == pytest.approx(3 / 5)  # an answer that does not count is in no share
    assert found.wrong.mean == pytest.approx(1 / 6)
    assert found.reference.mean is None


def test_a_lesson_score_is_the_mean_of_its_students_means() -> None:
    scores = np.array(
        [[[[1.0, 1.0]], [[0.0, NAN]]], [[[NAN, NAN]], [[NAN, NAN]]], [[[1.0, 0.0]], [[NAN, NAN]]]]
    )
    assert lesson_scores(scores) == [0.5, None, 0.5]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rescoring_with_the_recorded_scores_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    for id in range(40):
        answers = "".join(rng.choice("abc") for _ in range(9))
        scores = {letter: rng.random() for letter in dict.fromkeys(answers)}
        one = facts(id, answers, scores)
        again = rescored(one, unscored(one), one.scores)
        assert again.correct["sum"] == one.correct["sum"]
        assert again.correct["sc"] == one.correct["sc"]


def test_a_smaller_exam_is_the_mean_over_all_its_parts() -> None:
    # The right lesson is followed in one of three exam problems only, and the wrong one never: an exam of
    # one problem finds that out in a third of the cases, one of two problems in two thirds.
    one = facts(0, "abb", {"a": 1 / 3, "b": 0.0})
    scores = np.zeros((2, 1, 3, 3))
    scores[0, 0, 1, :] = 1.0
    sizes = {
        (s.problems, s.repeats): s for s in exam_sizes(Data([one], [Exams(scores, ("p",), (True, False))]))
    }
    assert sizes[1, 1].accuracy.mean == pytest.approx(1 / 3)
    assert sizes[1, 3].accuracy.mean == pytest.approx(1 / 3)
    assert sizes[2, 1].accuracy.mean == pytest.approx(2 / 3)
    assert sizes[3, 3].accuracy.mean == 1.0
    assert sizes[2, 1].gain.mean == pytest.approx(2 / 3)  # SC goes with the two
    assert sizes[2, 1].exams == 9
