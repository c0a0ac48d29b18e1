"""The grading door: states, golds, labels and exact answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.errors import ConfigError, DataError
from docendo.grading import answer_key, grade
from docendo.types import Grade, GradeState, Kind, Problem

SUM = Problem("p", "What is 7 + 9?", "16")


def test_right_and_wrong() -> None:
    assert grade(SUM, "Answer: 16") == Grade(GradeState.OK, 1.0, "16", "n:16")
    assert grade(SUM, "Answer: 17") == Grade(GradeState.OK, 0.0, "17", "n:17")


@pytest.mark.parametrize("kind", ["math", "label", "exact"])
def test_without_a_gold_answer_there_is_a_vote_but_no_score(kind: Kind) -> None:
    problem = Problem("p", "q", None, kind=kind, meta={"labels": ["yes", "no"]} if kind == "label" else {})
    read = grade(problem, "Answer: yes")
    assert (read.state, read.score, read.key) == (GradeState.OK, None, answer_key(kind, "yes"))
    assert grade(problem, "") == Grade(GradeState.UNGRADABLE)


@pytest.mark.parametrize("kind", ["math", "label", "exact"])
def test_a_failed_call_is_not_judged(kind: Kind) -> None:
    assert grade(Problem("p", "q", "16", kind=kind), "Answer: 16", failed=True) == Grade(GradeState.FAILED)


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("Answer: 16", False),  # may have been going to be 160
        ("Answer: 16.", False),  # or 16.5
        ("Answer: 16\n", True),
        ("Answer: 16. Now", True),
        ("\\boxed{16}", True),
        ("\\boxed{16", False),
        ("\\boxed{16} or rather \\boxed{1", False),
        ("7 + 9 = 16\n", False),  # no explicit answer
        ("Answer:", False),
        ("", False),
    ],
)
def test_a_truncated_text_counts_only_if_its_answer_is_whole(text: str, usable: bool) -> None:
    result = grade(SUM, text, truncated=True)
    assert result == (Grade(GradeState.OK, 1.0, "16", "n:16") if usable else Grade(GradeState.TRUNCATED))


@given(st.integers(0, 10**6), st.integers(0, 30))
def test_a_cut_never_turns_an_answer_into_another(value: int, kept: int) -> None:
    """However a text is cut, it is either not judged or judged by the answer it was going to give."""
    for whole in (
        f"So it is so.\nAnswer: {value}.5\n",
        f"So\n\\boxed{{{value}.5}}\n",
        f"The answer is {value}.5. Done",
    ):
        result = grade(Problem("p", "q", f"{value}.5"), whole[:kept], truncated=True)
        assert result.state is GradeState.TRUNCATED or result.score == 1.0


def test_kinds_that_cannot_be_graded_say_so() -> None:
    with pytest.raises(ConfigError, match="poetry"):
        grade(Problem("p", "q", "a", kind="poetry"), "Answer: a")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="poetry"):
        answer_key("poetry", "a")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="how they act"):
        answer_key("code", "a")


def label(answer: str, *labels: str) -> Problem:
    return Problem("p", "q", answer, kind="label", meta={"labels": list(labels)})


@pytest.mark.parametrize(
    ("text", "labels", "answer"),
    [
        ("Answer: Yes", ("yes", "no"), "yes"),
        ("No bird is a fish.\nAnswer: yes, for no bird is one.", ("yes", "no"), "yes"),
        ("The answer is not yes but no.", ("yes", "no"), "no"),
        ("answer: yes\nOn reflection, answer: no", ("yes", "no"), "no"),
        ("\\boxed{\\text{No}}", ("yes", "no"), "no"),
        ("Answer: (B) because A is too small", ("A", "B", "C", "D"), "B"),
        ("**Answer:** not entailed", ("entailed", "not entailed"), "not entailed"),
        ("Nothing is known.\nSo yes.", ("yes", "no"), "yes"),
        ("the answer is: Not\n Entailed", ("entailed", "not"), "not"),
        ("Answer: uncertain", ("true", "false", "uncertain"), "uncertain"),
    ],
)
def test_labels(text: str, labels: tuple[str, ...], answer: str) -> None:
    result = grade(label(answer, *labels), text)
    assert (result.state, result.score) == (GradeState.OK, 1.0)


@pytest.mark.parametrize("text", ["Answer: nobody knows", "Answer: eyes", "I yes-no\ncannot say", ""])
def test_labels_are_whole_words(text: str) -> None:
    assert grade(label("no", "yes", "no"), text).state is GradeState.UNGRADABLE


def test_labels_must_be_texts() -> None:
    problem = Problem("p7", "q", "1", kind="label", meta={"labels": [1, 2]})
    with pytest.raises(DataError, match=r"p7.*meta\.labels"):
        grade(problem, "Answer: 1")


@given(
    st.lists(st.sampled_from(["yes", "no", "maybe so", "not maybe"]), min_size=1, max_size=4, unique=True),
    st.integers(0, 3),
)
def test_every_label_is_its_own_answer(labels: list[str], index: int) -> None:
    answer = labels[index % len(labels)]
    for text in (f"Answer: {answer}.", f"\\boxed{{{answer.upper()}}}", f"So the answer is {answer}\n"):
        assert grade(label(answer, *labels), text).score == 1.0


@pytest.mark.parametrize(
    ("gold", "text", "score"),
    [
        ("New York", "Answer: new  york.", 1.0),
        ("New York", "It is there.\nNew York", 1.0),
        ("New York", "Answer: York", 0.0),
        ("1.0", "Answer: 1", 0.0),
        ("16", "\\boxed{16}", 1.0),
    ],
)
def test_exact_answers(gold: str, text: str, score: float) -> None:
    assert grade(Problem("p", "q", gold, kind="exact"), text).score == score
