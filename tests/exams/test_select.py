"""Which problems make a lesson's exam."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.errors import ConfigError, DataError
from docendo.exams.select import ProblemPool, select_variants
from docendo.types import Problem


def variants(count: int, family: str = "buns") -> list[Problem]:
    return [
        Problem(f"{family}-{i}", f"{family}: what is {i} + 9?", str(i + 9), family=family)
        for i in range(count)
    ]


POOL = [*variants(12), *variants(12, "cakes")]


@given(st.permutations(POOL), st.integers(0, 11), st.integers(1, 14), st.integers(0, 2**31))
def test_the_choice_does_not_depend_on_the_pools_order(
    pool: list[Problem], taught: int, count: int, seed: int
) -> None:
    chosen = select_variants(POOL[taught], ProblemPool(pool), count, seed)
    assert chosen == select_variants(POOL[taught], ProblemPool(POOL), count, seed)
    assert len(chosen) == len({p.id for p in chosen}) == min(count, 11)
    assert POOL[taught] not in chosen
    assert {p.family for p in chosen} == {"buns"}


@given(st.integers(0, 2**31), st.integers(1, 11))
def test_a_longer_exam_begins_with_the_shorter_one(seed: int, count: int) -> None:
    pool = ProblemPool(POOL)
    assert select_variants(POOL[0], pool, 12, seed)[:count] == select_variants(POOL[0], pool, count, seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_adding_problems_of_other_families_changes_no_exam(seed: int) -> None:
    assert select_variants(POOL[0], ProblemPool(POOL), 3, seed) == select_variants(
        POOL[0], ProblemPool(variants(12)), 3, seed
    )


def test_seeds_and_taught_problems_draw_differently_and_evenly() -> None:
    pool = ProblemPool(POOL)

    def ids(taught: Problem, seed: int) -> tuple[str, ...]:
        return tuple(p.id for p in select_variants(taught, pool, 3, seed))

    by_seed = {ids(POOL[0], seed) for seed in range(50)}
    by_problem = {ids(problem, 0) for problem in variants(12)}
    assert len(by_seed) > 40
    assert len(by_problem) > 8
    drawn = Counter(id for seed in range(2000) for id in ids(POOL[0], seed))
    expected = 2000 * 3 / 11
    assert len(drawn) == 11
    assert all(abs(count - expected) < 5 * expected**0.5 for count in drawn.values())  # five sigma


def test_what_may_not_be_in_an_exam() -> None:
    taught = Problem("t", "What is  7 + 9?", "16", family="buns")
    pool = [
        taught,
        Problem("same-text", " What is 7\n+ 9? ", "16", family="buns"),
        Problem("no-gold", "What is 1 + 1?", None, family="buns"),
        Problem("other-family", "What is 2 + 2?", "4", family="cakes"),
        Problem("no-family", "What is 3 + 3?", "6"),
        Problem("good", "What is 4 + 4?", "8", family="buns"),
        Problem("good-again", "What is 4 +  4?", "8", family="buns"),
    ]
    random.Random(0).shuffle(pool)
    chosen = select_variants(taught, ProblemPool(pool), 5, seed=0)
    assert len(chosen) == 1
    assert chosen[0].id in ("good", "good-again")


def test_no_exam_problem_is_an_error_that_names_problem_and_family() -> None:
    with pytest.raises(DataError, match=r"'buns-0'.*'buns'.*exam pool"):
        select_variants(POOL[0], ProblemPool(POOL[:1]), 3, seed=0)
    with pytest.raises(DataError, match=r"'x'.*'family'.*exam pool"):
        select_variants(Problem("x", "q", "1"), ProblemPool(POOL), 3, seed=0)


def test_an_exam_without_problems_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        select_variants(POOL[0], ProblemPool(POOL), 0, seed=0)


def test_a_pool_may_repeat_a_problem_but_not_an_id() -> None:
    assert len(select_variants(POOL[0], ProblemPool([*POOL, *POOL]), 99, seed=0)) == 11
    with pytest.raises(DataError, match="buns-0"):
        ProblemPool([*POOL, Problem("buns-0", "another question", "1", family="buns")])
