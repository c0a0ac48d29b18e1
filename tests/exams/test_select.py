"""Which problems make a lesson's exam."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.data import load_problems
from docendo.errors import ConfigError, DataError
from docendo.exams.guard import COPY, ITSELF, NO_GOLD, TWICE
from docendo.exams.select import ProblemPool, Selection, Selector, select_variants
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


TOPICS = {
    "trains": "A train leaves at {} and runs {} miles an hour. How far does it run by noon?",
    "circles": "A circle has radius {}. What is the area of the ring of width {} around it?",
    "cards": "From a deck one draws {} cards. In how many ways are {} of them kings?",
}
MIXED = [
    Problem(f"{topic}-{i}", text.format(i + 1, i + 2), str(i), meta={"topic": topic, "level": i})
    for topic, text in TOPICS.items()
    for i in range(6)
]


def ids(selection: Selection) -> list[str]:
    return [problem.id for problem in selection.problems]


@given(st.permutations(MIXED), st.sampled_from(MIXED), st.integers(1, 6))
def test_nearest_are_worded_alike_whatever_the_pools_order(
    pool: list[Problem], taught: Problem, count: int
) -> None:
    found = Selector(ProblemPool(pool), count, how="nearest").select(taught)
    assert found == Selector(ProblemPool(MIXED), count, how="nearest").select(taught)
    assert found.how == "nearest"
    assert len(found.problems) == count
    assert taught not in found.problems
    assert [p.meta["topic"] for p in found.problems][:5] == [taught.meta["topic"]] * min(count, 5)
    assert set(found.excluded) <= {ITSELF}  # met among its equals, or not at all


@given(st.permutations(MIXED), st.sampled_from(MIXED), st.integers(0, 2**31))
def test_metadata_draws_among_those_that_meet_the_rule(
    pool: list[Problem], taught: Problem, seed: int
) -> None:
    rule = "topic = taught, level != taught"
    found = Selector(ProblemPool(pool), 3, seed, "metadata", rule).select(taught)
    assert found == Selector(ProblemPool(MIXED), 3, seed, "metadata", rule).select(taught)
    assert all(p.meta["topic"] == taught.meta["topic"] for p in found.problems)
    assert len(found.problems) == 3


def test_metadata_draws_evenly() -> None:
    pool = ProblemPool(MIXED)
    drawn = Counter(
        id
        for seed in range(1500)
        for id in ids(Selector(pool, 2, seed, "metadata", "topic =").select(MIXED[0]))
    )
    assert set(drawn) == {f"trains-{i}" for i in range(1, 6)}
    assert all(abs(count - 600) < 5 * 600**0.5 for count in drawn.values())  # five sigma


def test_a_rule_narrows_nearest_and_variants() -> None:
    pool = ProblemPool([*MIXED, *POOL])
    found = Selector(pool, 6, how="nearest", rule="topic = cards|circles").select(MIXED[0])
    assert {p.meta["topic"] for p in found.problems} <= {"cards", "circles"}
    found = Selector(ProblemPool(POOL), 9, how="variants", rule="id = buns-3|buns-4").select(POOL[0])
    assert sorted(ids(found)) == ["buns-3", "buns-4"]


def test_fixed_exams_are_the_named_problems_in_order() -> None:
    selector = Selector(ProblemPool(MIXED), 2, how="fixed", ids=("cards-1", "trains-0", "circles-2"))
    assert ids(selector.select(MIXED[5])) == ["cards-1", "trains-0"]
    assert ids(selector.select(MIXED[0])) == ["cards-1", "circles-2"]
    with pytest.raises(ConfigError, match="no exam problem has the id 'cards-9'; the nearest are 'cards-"):
        Selector(ProblemPool(MIXED), 2, how="fixed", ids=("cards-9",)).select(MIXED[0])


def test_auto_takes_variants_where_there_are_some_and_else_the_nearest() -> None:
    selector = Selector(ProblemPool([*MIXED, *POOL]), 3)
    assert selector.select(POOL[0]).how == "variants"
    found = selector.select(replace(MIXED[0], family="alone"))
    assert found.how == "nearest"
    assert all(p.meta["topic"] == "trains" for p in found.problems)


def test_exams_are_of_the_taught_problems_kind() -> None:
    pool = ProblemPool([replace(p, kind="exact") for p in MIXED[:6]] + MIXED[6:])
    assert all(p.kind == "math" for p in Selector(pool, 3, how="nearest").select(MIXED[7]).problems)
    with pytest.raises(
        DataError, match=r"'x': no other problem of kind label.*--exams.*--exam-select written"
    ):
        Selector(pool, 3, how="nearest").select(Problem("x", "A train?", "yes", kind="label"))


def test_what_the_guard_leaves_out_is_counted() -> None:
    copies = [
        Problem(f"copy-{i}", MIXED[0].question.replace("How far", "What distance"), "0") for i in range(2)
    ]
    same = Problem("same", f" {MIXED[0].question} ", "0")
    blank = replace(MIXED[1], id="blank", answer=None)
    found = Selector(ProblemPool([*MIXED, *copies, same, blank]), 7, how="nearest").select(MIXED[0])
    assert found.excluded == {ITSELF: 1, COPY: 1, TWICE: 1, NO_GOLD: 1}
    assert sum(p in copies for p in found.problems) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"how": "closest"}, "none of auto, variants"),
        ({"how": "metadata"}, "need a rule"),
        ({"how": "fixed"}, "need the ids"),
        ({"ids": ("a",)}, "only they do"),
        ({"how": "fixed", "ids": ("a",), "rule": "level ="}, "has no use"),
        ({"rule": "level"}, "no condition"),
        ({"index": "bm25"}, "lexical or embed:MODEL"),
        ({"index": "embed:"}, "lexical or embed:MODEL"),
    ],
)
def test_settings_that_no_exam_can_be_made_by(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Selector(ProblemPool(MIXED), 3, **settings)


def test_nearest_finds_functional_variants_in_the_whole_of_math(shared_data: Path) -> None:
    """A check of the index on problems where what is alike is known: the same question with other numbers."""
    variants = load_problems(f"math-functional:{shared_data}/math_functional.jsonl?snapshot=2023-10")
    static = load_problems(f"math:{shared_data}/math_test.jsonl.gz", limit=1000)
    selector = Selector(ProblemPool([*variants, *static]), 1, how="nearest")
    families = {p.family for p in variants}
    taught = [p for p in static if p.family in families][:100]
    found = [selector.select(p).problems[0].family == p.family for p in taught]
    assert sum(found) >= 90
