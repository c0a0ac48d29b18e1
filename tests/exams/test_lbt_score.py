"""The LbT score of one lesson."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.exams.score import lbt_scores
from docendo.types import ExamAnswer, Grade, GradeState


def answers(student: str, scores: list[float | None]) -> list[ExamAnswer]:
    states = {None: GradeState.TRUNCATED}
    return [
        ExamAnswer("lesson", "p", student, i, "text", Grade(states.get(score, GradeState.OK), score))
        for i, score in enumerate(scores)
    ]


def test_each_student_weighs_the_same_however_many_answers_count() -> None:
    given_answers = [*answers("a", [1.0, 0.0, 0.0, 0.0]), *answers("b", [1.0, None, None, None])]
    assert lbt_scores(given_answers, ["a", "b"]) == (0.625, {"a": 0.25, "b": 1.0})


def test_students_without_a_counted_answer_are_left_out() -> None:
    assert lbt_scores(answers("a", [1.0, 0.0]), ["a", "b"]) == (0.5, {"a": 0.5, "b": None})
    assert lbt_scores(answers("a", [None]), ["a", "b"]) == (None, {"a": None, "b": None})
    assert lbt_scores([], ["a"]) == (None, {"a": None})


def test_a_wrong_answer_is_not_an_uncounted_one() -> None:
    assert lbt_scores(answers("a", [0.0]), ["a"]) == (0.0, {"a": 0.0})


def test_answers_by_strangers_are_refused() -> None:
    with pytest.raises(ValueError, match="'b'"):
        lbt_scores(answers("b", [1.0]), ["a"])


@given(
    st.dictionaries(
        st.sampled_from("abc"), st.lists(st.sampled_from([0.0, 1.0, None]), max_size=9), min_size=1
    ),
    st.randoms(use_true_random=False),
)
def test_scores_are_shares_and_order_does_not_matter(
    scores: dict[str, list[float | None]], rng: object
) -> None:
    everything = [answer for student, own in scores.items() for answer in answers(student, own)]
    pooled, by_student = lbt_scores(everything, list(scores))
    rng.shuffle(everything)  # type: ignore[attr-defined]
    assert lbt_scores(everything, list(scores)) == (pooled, by_student)
    own = [score for score in by_student.values() if score is not None]
    assert all(0 <= score <= 1 for score in own)
    assert (pooled is None) == (not own)
    if pooled is not None:
        assert min(own) - 1e-12 <= pooled <= max(own) + 1e-12
