"""Canonical forms: what counts as the same answer when votes are counted, and what else a gold answer accepts."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docendo.grading import answer_key, grade
from docendo.types import GradeState, Problem

SAME = [
    ["x+1", "1+x", "1 + x", "(x+1)", "2x+1-x", "\\frac{x^2-1}{x-1}", "$x + 1$", "f(x) = x+1"],
    ["x^2+2x+1", "(x+1)^2", "(1+x)(x+1)", "x**2 + 2*x + 1", "x^{2}+2x+1", "x² + 2x + 1"],
    ["13z^{85}(20z+1)", "260z^86+13z^85", "13z^85(20z + 1)"],
    ["\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}", "1/√3", "sqrt(3)/3", "3^{-1/2}", "\\tan 30^\\circ"],
    ["3\\sqrt{13}", "\\sqrt{117}", "3 \\cdot \\sqrt{13}", "3*sqrt(13)", "3√13 units", "\\sqrt{117}\\text{ cm}"],
    ["12\\pi", "12π", "12*pi", "12 pi square inches", "\\frac{24\\pi}{2}\\text{ cm}^2"],
    ["8-i", "-i+8", "8 - i", "(3-2i)(2+i)"],
    ["\\sin 2x", "2\\sin x\\cos x", "\\sin(2x)", "2 sin(x) cos(x)"],
    ["\\sin^2 x", "\\sin(x)^2", "sin(x)^2", "(\\sin x)^2", "1 - \\cos\\left(x\\right)^2"],
    ["2|x-3|", "2\\lvert x-3 \\rvert", "|3-x| \\cdot 2", "2\\vert x-3\\vert", "\\left|2x-6\\right|", "2 |x-3|"],
    ["\\frac{97h^2}{m}", "97h^2/m", "97h \\cdot \\frac{h}{m}"],
    ["1,2", "2,1", "\\{1, 2\\}", "1 and 2", "x=1 or x=2", "x = 2, x = 1", "1 \\text{ and } 2", "1,2,1"],
    ["3 \\pm \\sqrt{2}", "3+\\sqrt{2}, 3-\\sqrt{2}", "3 - \\sqrt2 \\text{ or } 3 + \\sqrt2"],
    ["(3,\\frac{\\pi}{2})", "(3, pi/2)", "\\left(3, \\frac12 \\pi\\right)", "\\langle 3, \\pi/2 \\rangle"],
    ["(1,-16,4)", "(1, -16, 4)", "a=1, b=-16, c=4", "b=-16, c=4, a=1"],
    ["(5,\\infty)", "x > 5", "5 < x", "(5, +\\infty)", "(5, ∞)", "x \\in (5, \\infty)"],
    ["[-2,7]", "-2 \\le x \\le 7", "7 \\geq x \\geq -2", "x \\in [-2, 7]"],
    ["(-\\infty,2)\\cup(3,\\infty)", "(3, \\infty) \\cup (-\\infty, 2)", "(-∞, 2) \u222a (3, ∞)"],
    [
        "\\begin{pmatrix} 1 & 2 \\\\ 3 & \\sqrt4+2 \\end{pmatrix}",
        "\\begin{bmatrix} 1&2\\\\3&4 \\end{bmatrix}",
        "\\frac{1}{2}\\begin{pmatrix}2&4\\\\6&8\\end{pmatrix}",
    ],
    ["x^2+y^2=4", "2x^2 + 2y^2 = 8", "4 - x^2 = y^2", "x^2+y^2-4=0"],
    ["52_8", "52_{8}", "52_{\\text{eight}}", "(52)_8"],
    ["3:4", "6:8", "3 : 4", "1.5:2"],
    ["1/3", "0.\\overline{3}", "\\frac{3}{9}", "3^{-1}", "1 - \\frac{2}{3}"],
    ["120", "5!", "\\binom{10}{3}", "2 \\cdot 60", "\\lfloor 120.5 \\rfloor"],
    ["5", "five", "Five", "\\sqrt{25}", "\\log_2 32", "|-5|", "x = 5", "A = \\sqrt{25} = 5", "\\angle B = 5^\\circ"],
    ["C", "(C)", "\\text{(C)}", "(C) Plane", "C. Plane"],
    ["\\emptyset", "\\{\\}", "\\varnothing"],
]  # fmt: skip

APART = [
    ("x", "|x|"), ("x", "\\sqrt{x^2}"), ("x", "y"), ("x", "X"), ("x_1", "x_2"), ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"),
    ("(1,2)", "1,2"), ("[1,2)", "(1,2]"), ("x>5", "x\\ge5"), ("x>5", "x<5"), ("52_8", "52_9"), ("52_8", "52"),
    ("3:4", "4:3"), ("11:30", "22:60"), ("y=2x+3", "y=2x+1"), ("x^2+y^2=4", "x^2+y^2=5"), ("\\sqrt2", "1.4142"),
    ("1/3", "0.333333"), ("\\pi", "3.14159"), ("1,2", "1,2,3"), ("1,2", "12"), ("3+2i", "3-2i"), ("e", "2.71828"),
    ("2|x|", "|2x|+1"), ("2\\lvert x\\rvert", "2x"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"), ("2^x", "x^2"), ("12\\pi", "12"),
    ("3 million", "3"), ("10\\text{ or more}", "10"), ("(5,\\infty)", "5"), ("ab", "a+b"), ("-x", "x"),
    ("\\sin x", "\\cos x"), ("\\sin(x)^2", "\\sin(x^2)"), ("\\frac{1}{x}", "x"), ("16!", "17!"), ("\\log x", "\\ln x"),
]  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_forms_of_one_answer_share_a_key(spellings: list[str]) -> None:
    keys = {spelling: answer_key("math", spelling) for spelling in spellings}
    assert len(set(keys.values())) == 1, keys


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_answers_do_not(one: str, other: str) -> None:
    assert answer_key("math", one) != answer_key("math", other)


def test_the_groups_are_apart() -> None:
    keys = [answer_key("math", spellings[0]) for spellings in SAME]
    assert len(set(keys)) == len(SAME)


def right(gold: str, answer: str) -> bool:
    result = grade(Problem("p", "q", gold), f"\\boxed{{{answer}}}")
    assert result.state is GradeState.OK, result
    return result.score == 1.0


@pytest.mark.parametrize(
    ("gold", "answer", "accepted"),
    [
        ("22.627416997969522", "16\\sqrt{2}", True),  # MATH() rounds what it computed
        ("22.627416997969522", "22.63", True),
        ("22.627416997969522", "22.627417", True),
        ("22.627416997969522", "22.64", False),
        ("22.627416997969522", "23", False),
        ("1.0333333333333334", "\\frac{31}{30}", True),
        ("\\frac{6419836956521739}{781250000000000}", "189/23", True),
        ("0.28", "0.3", False),  # an exact decimal is not a rounded one
        (".8165625", "0.8166", False),
        ("\\frac{1}{3}", "0.333333", True),
        ("\\frac{1}{3}", "0.33", False),
        ("\\frac{11}{3}", "3.6666666666666665", True),
        ("\\sqrt{109}", "10.44", False),
        ("(4,\\pi)", "(4, 3.141592653589793)", True),
        ("204_5", "204", True),
        ("204", "204_5", False),
        ("\\begin{pmatrix} -6 \\\\ 6 \\end{pmatrix}", "(-6, 6)", True),
        ("\\begin{pmatrix} 1&2\\\\3&4 \\end{pmatrix}", "(1,2,3,4)", False),
        ("(1,2)", "1, 2", True),
        ("(2,1)", "1, 2", False),
        ("2k", "a+b+c = 2k", True),
        ("y = 2x + 3", "2x - y + 3 = 0", True),
        ("y = 2x + 3", "2x + 3", True),
        ("y = 2x + 3", "y = 3x - 1", False),
        ("5x - 7y + 4 = 0", "16x + 16y = 0", False),
        ("\\text{Navin}", "Navin would earn the most", True),
        ("\\text{even}", "even or odd", False),
        ("\\text{odd}", "not odd", False),
        ("118000", "$118 000", True),
        ("72", "72Mb/hour", True),
        ("96\\%", "96", True),
        ("2", "2 and 4", False),
        ("\\frac{59280}{761}", "59280/761 divided by 39", False),
        ("90^\\circ", "NO_SOLUTION", False),
    ],
)
def test_a_gold_answer_accepts_what_was_meant(gold: str, answer: str, accepted: bool) -> None:
    assert right(gold, answer) == accepted


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_equal_keys_are_right_both_ways(spellings: list[str]) -> None:
    for gold, answer in combinations(spellings, 2):
        assert right(gold, answer)
        assert right(answer, gold)


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_terms_never_matters(coefficients: list[int], random: object) -> None:
    terms = [f"{c}x^{{{power}}}" for power, c in enumerate(coefficients) if c]
    shuffled = list(terms)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    written = " + ".join(terms) or "0"
    assert answer_key("math", written) == answer_key("math", " + ".join(shuffled) or "0")
    horner = "0"
    for c in reversed(coefficients):
        horner = f"({horner})x + {c}"
    assert answer_key("math", written) == answer_key("math", horner)


@given(st.lists(st.fractions(max_denominator=50), min_size=2, max_size=6, unique=True), st.integers(0, 5))
@settings(max_examples=40)
def test_a_list_is_a_set_and_a_tuple_is_not(values: list[object], turn: int) -> None:
    written = [f"\\frac{{{v.numerator}}}{{{v.denominator}}}" for v in values]  # type: ignore[attr-defined]
    turned = written[turn % len(written) :] + written[: turn % len(written)]
    assert answer_key("math", ", ".join(written)) == answer_key("math", "\\{" + ",".join(turned) + "\\}")
    same = answer_key("math", f"({', '.join(written)})") == answer_key("math", f"({','.join(turned)})")
    assert same == (turned == written)


def test_no_element_of_a_long_set_is_forgotten() -> None:
    numbers = [str(10 + n) for n in range(70)]
    long, longer = ("\\{" + ",".join(some) + "\\}" for some in (numbers[:-1], numbers))
    assert answer_key("math", long) != answer_key("math", longer)
    assert not right(long, longer)
    assert right(longer, longer)
