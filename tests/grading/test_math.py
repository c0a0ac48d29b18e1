"""Mathematical answers: which are the same, and which one a text gives."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from docendo.grading import answer_key, grade
from docendo.types import GradeState, Problem

SAME = [
    ["16", "16.0", "+16", " 16 ", "$16$", "\\$16", "16.", "x = 5 + 11 = 16", "x=16", "16 apples",
     "16\\text{ cm}",
     "16\\%", "16 %", "16^\\circ", "16°", "€16.00", "1.6e1", "1.6 \\times 10^{1}", "2^4", "2^{4}", "32/2",
     "\\frac{32}{2}", "\\dfrac{32}{2}", "about 16", "\\(16\\)", "**16**", "16th",
     "16 square feet", "16 miles per hour", "16\\mbox{ inches}^2", "Total = $16"],
    ["1000000", "1,000,000", "1{,}000{,}000", "1,\\!000,\\!000", "10^6", "1e6"],
    ["3/4", "0.75", ".75", "\\frac34", "\\frac{3}{4}", "\\tfrac 3 4", "75/100", "¾", "3 / 4", "0.750"],
    ["7/4", "1 3/4", "1\\frac{3}{4}", "1 \\frac34", "1.75", "1¾", "1 and 3/4"],
    ["-1/2", "\u22121/2", "-\\frac{1}{2}", "\\frac{-1}{2}", "\\frac{1}{-2}", "-0.5", "- 0.5", "-.5"],
    ["\\sqrt{2}", "\\sqrt2", "\\sqrt 2", "√2", "$\\sqrt{2}$", "x=\\sqrt{2}"],
    ["3\\pi", "3 \\pi", "3π", "3\\cdot\\pi", "3\\pi\\text{ cm}^2"],
    ["(1, 2)", "(1,2)", "\\left(1, 2\\right)", "\\left( 1,\\,2 \\right)"],
    ["[-2,7]", "x \\in [-2,7]", "[-2, 7]"],
    ["even", "\\text{even}", "Even", "\\text{Even}."],
    ["B", "(B)", "\\text{(B)}", "\\textbf{(B)}"],
    ["x^2+1", "x^{2} + 1", "x² + 1"],
]  # fmt: skip

DIFFERENT = [
    ("16", "-16"), ("16", "61"), ("0.5", "50%"), ("1/3", "0.333"), ("3", "3 million"), ("5", "5 and a half"),
    ("5", "5x"), ("5", "5ab"), ("5", "5i"), ("5", "5\\pi"), ("2", "2^x"), ("1,2", "12"), ("1,2", "1.2"),
    ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"), ("x+1", "x-1"), ("52_8", "52"), ("2x+3=7", "7"), ("4!", "4"),
    ("10", "10(\\sec x + \\csc x)"), ("\\frac{1}{2}^2", "\\frac12"), ("1/2/3", "1/2"), ("3:4", "3/4"),
    ("5", "5/0"),
    ("a", "A"),
]  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_spellings_of_one_answer_share_a_key(spellings: list[str]) -> None:
    keys = {spelling: answer_key("math", spelling) for spelling in spellings}
    assert len(set(keys.values())) == 1, keys


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_answers_have_different_keys(one: str, other: str) -> None:
    assert answer_key("math", one) != answer_key("math", other)


def test_the_groups_of_spellings_are_apart() -> None:
    keys = [answer_key("math", spellings[0]) for spellings in SAME]
    assert len(set(keys)) == len(SAME)


@given(st.fractions(max_denominator=10_000))
def test_every_way_to_write_a_fraction_is_the_same_number(value: Fraction) -> None:
    top, bottom = value.numerator, value.denominator
    key = f"n:{value}"
    assert answer_key("math", f"{top}/{bottom}") == key
    assert answer_key("math", f"\\frac{{{top}}}{{{bottom}}}") == key
    assert answer_key("math", f"x = {top * 6}/{bottom * 6}") == key
    if value > 1 and bottom > 1:
        assert answer_key("math", f"{top // bottom} {top % bottom}/{bottom}") == key


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_decimals_are_exact(value: object) -> None:
    assert answer_key("math", f"{value:,}") == answer_key("math", f"{value}") == f"n:{Fraction(str(value))}"


@given(st.text(alphabet="0123456789+-*/^.,=()$ abpix%\n°", max_size=40) | st.text(max_size=20))
@example("5 (in all) (more or less)")
@example("the sum that it is $x is so$ or $that is 12$")
def test_a_gold_answer_is_always_its_own_answer(answer: str) -> None:
    assume("\\" not in answer and "{" not in answer and "}" not in answer)
    read = grade(Problem("p", "q", answer), f"\\boxed{{{answer}}}")
    if read.state is GradeState.OK:
        assert (read.score, read.key) == (1.0, answer_key("math", answer))
        assert read.answer is not None
        assert answer_key("math", read.answer) == read.key
    else:
        assert answer_key("math", answer) == "s:"


@given(st.text(max_size=60))
def test_any_text_has_a_key_and_a_grade(text: str) -> None:
    assert answer_key("math", text)[:2] in ("n:", "s:", "v:", "e:", "t:")
    for given_text in (text, f"Answer: {text}", f"\\boxed{{{text}"):
        result = grade(Problem("p", "q", "16"), given_text)
        assert (result.key is None) == (result.state is not GradeState.OK)
        assert result.score in (0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("First \\boxed{3}, so \\boxed{\\frac{1}{2}} it is.", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\text{even}} Answer: 4", "\\text{even}"),
        ("\\boxed{7} and then \\boxed{", "7"),
        ("\\boxed{} Answer: 4", "4"),
        ("buns 4 plus burnt 3 = 7\nAnswer: 16", "16"),
        ("**Answer:** 16", "16"),
        ("ANSWER: 3\nThe final answer is 5.\n", "5"),
        ("The answer is 1.5. It is less than 2.", "1.5"),
        ("The answer to the question is 12 dollars.", "12 dollars"),
        ("The answer is that she has 12 dollars left.", "12"),
        ("The answer is 42 because there are 6 rows of 7.", "42"),
        ("The final answer is: 30 - 5 = 25 children.", "30 - 5 = 25 children"),
        ("Final answer:\n\n$$\n42\n$$", "42"),
        ("Final Answer: How many are left?\nThere are 9 eggs left.", "9"),
        ("The answer is approximately 33%", "approximately 33%"),
        ("Final Answer: Mr. Jackson needs 7 packs.", "7"),
        ("5 + 6 = 11\n#### 11", "11"),
        ("so 36 - 27 = 9 eggs are left", "9"),
        ("first 3, then\nhe pays $1,234.50.\n\n", "$1,234.50"),
        ("that is 3 or 1 1/2", "1 1/2"),
        ("so x is \\frac{3}{4}", "\\frac{3}{4}"),
        ("it fell by 3 to -12", "-12"),
        ("it is 10 - 12", "12"),
    ],
)
def test_the_answer_is_read_from_where_it_is_stated(text: str, answer: str) -> None:
    read = grade(Problem("p", "q"), text)
    assert read.state is GradeState.OK
    assert read.answer is not None
    assert answer_key("math", read.answer) == read.key == answer_key("math", answer)


@pytest.mark.parametrize(
    "text", ["", "  \n ", "I do not know.", "Answer:", "\\boxed{}", "3 eggs\nare left", "Answer: $"]
)
def test_a_text_without_an_answer_is_ungradable_and_wrong(text: str) -> None:
    result = grade(Problem("p", "q", "3"), text)
    assert (result.state, result.score, result.answer, result.key) == (GradeState.UNGRADABLE, 0.0, None, None)


HOSTILE = [
    "9^9^9^9", "9^{9^{9^{9}}}", "10^9999", "1e999999999", "-1e-9999", "0^{-1}", "1/0", "\\frac{1}{0}",
    "9" * 3999, "9" * 3999 + "!", "5" + " " * 3900 + "!", "5 " + "a " * 1900, "\\frac{" * 660,
    "\\frac{1}{" * 400, "$x$ is " * 500, "x=" * 1900, "1/" * 1900, "10^" * 1300, "(" * 3999, "\x00" * 3999,
    "\ud800", "\uff15", "__import__('os')", "%" * 3999, "\\text{" * 600, "a-" * 1999, "\\left" * 700,
    "=" * 3999, "x_{" * 1000, "5 (aa) " * 500,
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: repr(answer[:16]))
def test_hostile_answers_are_just_wrong(answer: str) -> None:
    """None of them may hang (a run of minutes here means a pattern that backtracks) or be evaluated."""
    assert answer_key("math", answer) != answer_key("math", "16")
    for text in (answer, f"Answer: {answer}", f"\\boxed{{{answer}}}"):
        assert grade(Problem("p", "q", "16"), text).score == 0.0


@pytest.mark.parametrize(
    "unit",
    [
        "\\boxed{",
        "{",
        "Answer: ",
        "Answer:\n",
        "answer is ?",
        "answer to ",
        "9",
        "####",
        " ",
        "\n",
        "x",
        "()",
    ],
)
def test_megabytes_are_read_in_bounded_time(unit: str) -> None:
    result = grade(Problem("p", "q", "16"), unit * (3_000_000 // len(unit)))
    assert result.score == 0.0
    assert len(result.answer or "") <= 4_000


def test_overlong_answers_are_equal_only_to_themselves() -> None:
    assert answer_key("math", "9" * 10_000) == answer_key("math", "9" * 10_000)
    assert answer_key("math", "9" * 10_000) != answer_key("math", "9" * 10_001)
