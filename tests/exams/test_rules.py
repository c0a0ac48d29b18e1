"""Rules over metadata: what they mean, and how a wrong one is explained."""

from __future__ import annotations

import pytest

from docendo.errors import ConfigError, DataError
from docendo.exams.rules import Condition, Rules, parse
from docendo.types import Problem


def problem(id: str, **meta: object) -> Problem:
    return Problem(id, f"q {id}", "1", group=f"g-{id}", meta=meta)


POOL = (
    problem("a", subject="Algebra", level=1, tags=["x", "y"]),
    problem("b", subject="algebra", level="2", tags=["y"]),
    problem("c", subject="Geometry", level=2.0, year={"of": 1999}),
    problem("d", level=5),
    problem("e", subject="Algebra"),
)
TAUGHT = problem("t", subject="Algebra", level=2, tags=["z", "y"], year={"of": 2000})


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        ("subject =", "abe"),
        ("subject = taught", "abe"),
        ("subject = Geometry", "c"),
        ("subject=Geometry|Algebra", "abce"),
        ("subject != taught", "cd"),
        ("level <= taught", "abc"),
        ("level < taught", "a"),
        ("level >= 2, level<5", "bc"),
        ("level > 1 and subject =", "b"),
        ("subject =, level <=", "ab"),
        ("tags =", "ab"),
        ("tags = x", "a"),
        ("year.of < taught", "c"),
        ("id != c, level >= 0", "abd"),
        ("group = 'g-a'", "a"),
        ("kind =", "abcde"),
    ],
)
def test_what_a_rule_allows(rule: str, ids: str) -> None:
    allowed = Rules(rule, POOL).allowed(TAUGHT)
    assert "".join(p.id for p, fits in zip(POOL, allowed, strict=True) if fits) == ids


def test_values_may_hold_commas_and_the_word_and() -> None:
    assert parse("subject = 'Counting, and more', level <= 3") == (
        Condition("subject", "=", ("Counting, and more",)),
        Condition("level", "<=", ("3",)),
    )
    assert parse("subject = Counting & Probability and level =") == (
        Condition("subject", "=", ("Counting & Probability",)),
        Condition("level", "="),
    )


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("", "no condition"),
        ("level", "'level' is no condition"),
        ("level <= 3, and", "'and' is no condition"),
        ("level <= hard", "compares numbers"),
        ("level <= 1|2", "compares numbers"),
        ("subject = a||b", "empty value"),
        ("= 3", "no condition"),
    ],
)
def test_a_wrong_rule_is_explained(rule: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("|", r"\|")):
        parse(rule)


def test_a_field_that_nobody_has() -> None:
    with pytest.raises(ConfigError, match="no exam problem has a field 'levle'"):
        Rules("levle = 3", POOL)


def test_a_taught_problem_without_the_field_it_is_compared_by() -> None:
    with pytest.raises(DataError, match="problem 'u' has no 'level'"):
        Rules("level <=", POOL).allowed(problem("u"))
    with pytest.raises(DataError, match="'level' is 'hard'"):
        Rules("level <=", POOL).allowed(problem("u", level="hard"))
