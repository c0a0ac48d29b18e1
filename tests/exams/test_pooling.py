"""Several students in one score: weighed by what their answers tell, one who learns nothing does not drown the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import docendo
from docendo import Problem
from docendo.errors import ConfigError
from docendo.exams.score import pooled, student_weights
from docendo.models.scripted import ScriptedModel

ASKED = np.full((12, 1), 9.0)


def follower(seed: int) -> np.ndarray:
    """Right after every third lesson, mostly; of 9 answers."""
    rng = np.random.default_rng(seed)
    chance = np.where(np.arange(12) % 3 == 0, 0.9, 0.05)
    return rng.binomial(9, chance)[:, None].astype(float)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_student_who_does_not_listen_weighs_little_at_any_level(level: float, seed: int) -> None:
    deaf = np.random.default_rng(100 + seed).binomial(9, level, (12, 1)).astype(float)
    right, counted = np.hstack([follower(seed), deaf]), np.hstack([ASKED, ASKED])
    weights = student_weights(right, counted)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] < 0.25
    scores = pooled(right, counted, weights)
    good = np.arange(12) % 3 == 0
    assert scores[good].min() > scores[~good].max()


def test_two_who_can_be_taught_weigh_about_the_same() -> None:
    right = np.hstack([follower(0), follower(1)])
    assert student_weights(right, np.hstack([ASKED, ASKED])) == pytest.approx([0.5, 0.5], abs=0.2)


def test_with_one_lesson_or_none_asked_all_weigh_the_same() -> None:
    assert student_weights(np.array([[9.0, 0.0]]), np.array([[9.0, 9.0]])) == pytest.approx([0.5, 0.5])
    assert student_weights(np.zeros((3, 2)), np.zeros((3, 2))) == pytest.approx([0.5, 0.5])


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=1, max_size=6))
def test_scores_are_shares_and_uncounted_students_are_left_out(rows: list[tuple[int, ...]]) -> None:
    counted = np.array([[a, b] for a, b, _, _ in rows], float)
    right = np.minimum(counted, [[c, d] for _, _, c, d in rows])
    weights = student_weights(right, counted)
    scores = pooled(right, counted, weights)
    plain = pooled(right, counted)
    for i, (a, b) in enumerate(counted):
        if a == b == 0:
            assert np.isnan(scores[i])
            continue
        assert -1e-9 <= scores[i] <= 1 + 1e-9
        if not (a and b):
            assert scores[i] == pytest.approx(plain[i])


TEACHER, GOOD, DEAF = "school:teacher", "school:student", "school:student-2"


def teach(call):
    """A third of the lessons double (right), two thirds add one."""
    n = int(call.prompt.rstrip().removesuffix("Working:").rstrip().rstrip("?").split()[-1])
    right = (call.sample + n) % 3 == 0
    said = f"double {n}" if right else f"{n} and one"
    return f" {said}.\nAnswer: {2 * n if right else n + 1}"


def follow(call):
    n = int(call.prompt.rstrip().removesuffix("Working:").rstrip().rstrip("?").split()[-1])
    return f" done.\nAnswer: {2 * n if 'double' in call.prompt else n + 1}"


def know(call):
    """Knows without any lesson."""
    n = int(call.prompt.rstrip().removesuffix("Working:").rstrip().rstrip("?").split()[-1])
    return f" known.\nAnswer: {2 * n}"


@pytest.mark.parametrize("allocation", ["fixed", "adaptive"])
def test_a_student_who_knows_already_does_not_hand_the_choice_to_the_majority(tmp_path, allocation) -> None:
    taught = [Problem(f"p{n}", f"number {n}?", str(2 * n), family="f") for n in range(3, 9)]
    answers = {}
    for pooling in ("mean", "weighed"):
        models = {
            TEACHER: ScriptedModel(TEACHER, teach),
            GOOD: ScriptedModel(GOOD, follow),
            DEAF: ScriptedModel(DEAF, know),
        }
        run = docendo.solve(
            taught,
            out=tmp_path / pooling,
            models=models,
            students=[GOOD, DEAF],
            pooling=pooling,
            allocation=allocation,
            lessons=12,
            equal_cost=False,
        )
        answers[pooling] = sum(run.answers()[p.id] == p.answer for p in taught)
    assert answers["weighed"] == len(taught)
    with pytest.raises(ConfigError, match="none of mean, weighed"):
        docendo.solve(taught, models=models, pooling="median")
