"""What the guard keeps out of exams, on made-up questions and on MATH's."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.data import load_problems
from docendo.exams.guard import COPY, ITSELF, NO_GOLD, SHOWS, kept_out, same_question
from docendo.grading import answer_key
from docendo.types import Problem

TAUGHT = Problem("t", "What is the sum of the roots of $x^2 - 7x + 10 = 0$?", "7")


@pytest.mark.parametrize(
    "question",
    [
        "What is  the sum of the roots of $x^2-7x+10=0$ ?",
        "Find the sum of the roots of \\[x^2 - 7x + 10 = 0.\\]",
        "Compute the sum of the roots of $t^2 - 7t + 10 = 0.$ Express your answer as an integer.",
        "Determine the value of the sum of the roots of $ x ^ 2 - 7 x + ten = 0 $.",
    ],
)
def test_the_same_question_in_other_words_is_a_copy(question: str) -> None:
    assert kept_out(TAUGHT, Problem("o", question, "7")) == COPY


@pytest.mark.parametrize(
    "question",
    [
        "What is the sum of the roots of $x^2 - 8x + 10 = 0$?",  # another number
        "What is the sum of the roots of $x^2 - 10x + 7 = 0$?",  # the same numbers elsewhere
        "What is the product of the roots of $x^2 - 7x + 10 = 0$?",  # another thing of the same
        "What is the sum of the roots of $x^2 + 7x + 10 = 0$?",
        "What is the sum of the squares of the roots of $x^2 - 7x + 10 = 0$?",
        "What is the sum of the roots of $x^2 - 7x + 10 = 0 + 3$?",
    ],
)
def test_variants_are_not_copies(question: str) -> None:
    assert kept_out(TAUGHT, Problem("o", question, "1")) is None


def test_letters_may_be_renamed_but_not_exchanged() -> None:
    y = Problem("a", "If $x - y = 6$ and $x + y = 12$, what is the value of $y$?", "3")
    x = Problem("b", "If $x - y = 6$ and $x + y = 12$, what is the value of $x$?", "9")
    q = Problem("c", "Suppose $p - q = 6$ and $p + q = 12$. Find $q$.", "3")
    assert not same_question(x, y)
    assert same_question(y, q)


def test_itself_and_problems_without_an_answer() -> None:
    assert kept_out(TAUGHT, Problem("t", "anything", "1")) == ITSELF
    assert kept_out(TAUGHT, Problem("o", "What is $2 + 2$?")) == NO_GOLD


def test_what_shows_the_taught_question_is_kept_out() -> None:
    longer = f"{TAUGHT.question} It is 7. Now what is the product of the roots?"
    assert kept_out(TAUGHT, Problem("o", longer, "10")) == SHOWS
    solved = Problem(
        "o", "Factor $x^2 - 7x + 10$.", "(x-2)(x-5)", solution=f"Recall: {TAUGHT.question} It is 7."
    )
    assert kept_out(TAUGHT, solved) == SHOWS
    short = Problem("s", "Is it?", "yes")  # too short to be recognised in another
    assert kept_out(short, Problem("o", "Look at this. Is it? Or is it not so?", "no")) is None


def test_the_taught_answer_is_never_looked_at() -> None:
    for question in ("What is the sum of the roots of $x^2-7x+10=0$?", "What is $3 + 4$?"):
        reasons = {
            kept_out(Problem("t", TAUGHT.question, gold), Problem("o", question, "7"))
            for gold in (None, "7", "8")
        }
        assert len(reasons) == 1


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_texts_can_be_compared(one: str, other: str) -> None:
    a, b = Problem("a", one or "?", "1"), Problem("b", other or "?", "1")
    assert same_question(a, a)
    assert same_question(a, b) == same_question(b, a)


class TestRealData:
    def test_no_functional_variant_is_thrown_out(self, shared_data: Path) -> None:
        """Copies between snapshots are dropped when read; what is left differs in its numbers, and stays."""
        taught = load_problems(f"math:{shared_data}/math_test.jsonl.gz")
        variants = defaultdict(list)
        for problem in load_problems(f"math-functional:{shared_data}/math_functional.jsonl"):
            variants[problem.family].append(problem)
        out = [
            (problem.id, other.id)
            for problem in taught
            for other in variants[problem.id]
            if kept_out(problem, other) is not None
        ]
        assert not out

    def test_copies_in_math_train_have_one_answer(self, shared_data: Path) -> None:
        """Found without looking at answers, which therefore say whether they are copies."""
        from docendo.exams.text import gist

        groups = defaultdict(list)
        for problem in load_problems(f"math:{shared_data}/math_train.jsonl.gz"):
            groups[gist(problem.question)].append(problem)
        copies = [group for group in groups.values() if len(group) > 1]
        golds = [{(p.answer or "").replace("\\mathbf{2340}", "2340") for p in group} for group in copies]
        keys = [{answer_key("math", gold) for gold in found} for found in golds]
        assert len(copies) == 11
        assert all(len(found) == 1 for found in keys)
