"""Which lessons become pairs, and which do not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tune_world import candidate, problem

import docendo
from docendo.errors import ConfigError, DataError, StoreError
from docendo.store import Store
from docendo.tune.balance import balanced, families_apart, unlike
from docendo.tune.pairs import (
    COPIES,
    LENGTH,
    NO_GOLD,
    OVER_CAP,
    TWICE,
    WITHIN_MARGIN,
    WITHIN_NOISE,
    WRONG,
    pairs_among,
    pairs_from,
)
from docendo.tune.pairset import PairSet, PairSettings, pairs_of
from docendo.tune.read import standard_error, studied
from docendo.types import Example, Problem

WHOLE = PairSettings(validation=0, length_balance=1)


def plan(**values: float | bool) -> PairSettings:
    return PairSettings(**{"validation": 0, "length_balance": 1, **values})  # type: ignore[arg-type]


def who(pairs: PairSet) -> list[tuple[str, str]]:
    return [(pair.chosen.lesson, pair.rejected.lesson) for pair in pairs.train]


# --- the score ----------------------------------------------------------------------------------------------


def test_lambda_says_what_lessons_are_ranked_by() -> None:
    """One lesson is right and teaches badly, the other is wrong and teaches well."""
    one = problem("p", candidate("right", 1.0, 0.2), candidate("clear", 0.0, 0.9))
    assert who(pairs_among([one], plan(lam=0))) == [("right", "clear")]
    assert who(pairs_among([one], plan(lam=1))) == [("clear", "right")]
    with pytest.raises(DataError, match="closer than the margin"):
        pairs_among([one], plan(lam=0.5))  # 0.6 against 0.45


def test_the_score_is_the_weighted_sum_of_both_measures() -> None:
    one = problem("p", candidate("a", 1.0, 0.8), candidate("b", 0.0, 0.3))
    (pair,) = pairs_among([one], plan(lam=0.25)).train
    assert pair.chosen.score == pytest.approx(0.75 * 1.0 + 0.25 * 0.8)
    assert pair.difference == pytest.approx(0.75 + 0.25 * 0.5)


def test_lbt_alone_looks_at_no_gold_and_correctness_alone_at_no_exam() -> None:
    unknown = problem("p", candidate("a", None, 0.9), candidate("b", None, 0.1), gold=None)
    assert who(pairs_among([unknown], plan(lam=1))) == [("a", "b")]
    unexamined = problem("p", candidate("a", 1.0, None), candidate("b", 0.0, None))
    assert who(pairs_among([unexamined], plan(lam=0))) == [("a", "b")]


def test_the_margin_must_be_exceeded() -> None:
    one = problem("p", candidate("a", lbt=0.75), candidate("b", lbt=0.5))
    assert who(pairs_among([one], plan(lam=1, margin=0.2))) == [("a", "b")]
    with pytest.raises(DataError, match=WITHIN_MARGIN):
        pairs_among([one], plan(lam=1, margin=0.25))


def test_a_difference_that_the_luck_of_the_exams_explains_is_none() -> None:
    close = problem("p", candidate("a", lbt=0.8, error=0.3), candidate("b", lbt=0.4, error=0.4))
    with pytest.raises(DataError, match=WITHIN_NOISE):
        pairs_among([close], plan(lam=1, noise=1.0))
    assert who(pairs_among([close], plan(lam=1, noise=0.7))) == [("a", "b")]
    assert pairs_among([close], plan(lam=1, noise=0)).train[0].error == pytest.approx(0.5)


def test_the_luck_of_the_exams_counts_for_as_much_as_the_exams_do() -> None:
    one = problem("p", candidate("a", 1.0, 0.8, error=0.6), candidate("b", 0.0, 0.8, error=0.8))
    assert pairs_among([one], plan(lam=0.5, noise=0)).train[0].error == pytest.approx(0.5)
    assert pairs_among([one], plan(lam=0)).train[0].error == 0.0


def test_the_better_ones_own_answer_may_have_to_be_right() -> None:
    known = problem("p", candidate("a", 0.0, 0.9), candidate("b", 1.0, 0.1))
    assert who(pairs_among([known], plan(lam=1))) == [("a", "b")]
    with pytest.raises(DataError, match=WRONG):
        pairs_among([known], plan(lam=1, chosen_right=True))
    unknown = problem("p", candidate("a", None, 0.9), candidate("b", None, 0.1), gold=None)
    assert pairs_among([unknown], plan(lam=1, chosen_right=True)).train, "there is no gold to hold it against"


@given(right=st.lists(st.integers(0, 6), min_size=1, max_size=3), n=st.integers(1, 6))
def test_the_error_of_a_score_is_positive_and_falls_with_more_answers(right: list[int], n: int) -> None:
    from docendo.store import ExamRow
    from docendo.types import Grade, GradeState

    def rows(times: int) -> list[ExamRow]:
        return [
            ExamRow("p", "l", "e", f"s{s}", i, "r", i, Grade(GradeState.OK, float(i % n < min(k, n))))
            for s, k in enumerate(right)
            for i in range(n * times)
        ]

    assert 0 < standard_error(rows(4)) < standard_error(rows(1)) < 0.5


# --- what is left out ---------------------------------------------------------------------------------------


def test_a_problem_gives_no_more_than_its_cap_and_spreads_it_over_lessons() -> None:
    good = [candidate(f"good{i}", 1.0, 1.0, sample=i) for i in range(3)]
    bad = [candidate(f"bad{i}", 0.0, 0.0, sample=9 + i) for i in range(3)]
    found = pairs_among([problem("p", *good, *bad)], plan(per_problem=3))
    assert len(found.train) == 3
    assert len({name for names in who(found) for name in names}) == 6, (
        "no lesson twice while others are unused"
    )
    assert found.pairs[OVER_CAP] == 6


def test_near_duplicates_are_one_lesson() -> None:
    words = " first add the pies to the trays and then take all of them three times over.\nAnswer: 5"
    twin = candidate("twin", 1.0, 0.9, text=words.replace("first add", "First,  add"), sample=1)
    twin = type(twin)(twin.lesson, 1, twin.text, "5", "k:5", 1.0, 0.9, 0.0)
    base = candidate("base", 1.0, 0.9, text=words)
    base = type(base)(base.lesson, 0, words, "5", "k:5", 1.0, 0.9, 0.0)
    found = pairs_among([problem("p", base, twin, candidate("bad", 0.0, 0.0, sample=2))], plan(per_problem=9))
    assert who(found) == [("base", "bad")]
    assert found.lessons[COPIES] == 1


def test_texts_that_differ_in_their_answer_are_never_near_duplicates() -> None:
    same = "word " * 50
    assert unlike([("a", same), ("b", same), ("a", same)], lambda pair: pair, 0.9) == [
        ("a", same),
        ("b", same),
    ]


def test_the_same_pair_of_two_runs_counts_once() -> None:
    lessons = candidate("a", 1.0, 1.0), candidate("b", 0.0, 0.0)
    found = pairs_among([problem("p", *lessons, run="one"), problem("p", *lessons, run="two")], plan())
    assert len(found.train) == 1
    assert found.pairs[TWICE] == 1


@given(
    lengths=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=60),
    tolerance=st.floats(0.01, 0.5),
)
@settings(max_examples=60)
def test_balancing_brings_the_mean_length_ratio_as_near_to_even_as_half_of_them_allow(
    lengths: list[tuple[int, int]], tolerance: float
) -> None:
    pairs = []
    for i, (a, b) in enumerate(lengths):
        one = problem(f"p{i}", candidate("a", 1.0, 1.0, text="x" * a), candidate("b", 0.0, 0.0, text="y" * b))
        pairs += pairs_among([one], WHOLE).train
    kept = balanced(pairs, tolerance, 0)

    def lean(some: list[object]) -> float:
        return abs(math.fsum(p.log_ratio for p in some) / len(some))  # type: ignore[attr-defined]

    assert kept == [p for p in pairs if p in kept]
    assert 2 * len(kept) >= len(pairs)
    further = [lean([p for p in kept if p is not gone]) for gone in kept] if len(kept) > 1 else []
    nothing_helps = all(left >= lean(list(kept)) - 1e-9 for left in further)
    assert lean(list(kept)) <= tolerance + 1e-9 or 2 * (len(kept) - 1) < len(pairs) or nothing_helps


def test_longer_is_not_better() -> None:
    """All good lessons are long but a few; without balancing, DPO would learn to be long."""
    problems = [
        problem(f"p{i}", candidate("a", 1.0, 1.0, text="a" * a), candidate("b", 0.0, 0.0, text="b" * b))
        for i, (a, b) in enumerate([(400, 100)] * 10 + [(100, 180)] * 14)
    ]
    found = pairs_among(problems, plan(length_balance=0.05))
    assert abs(sum(p.log_ratio for p in found.train) / len(found.train)) <= 0.05
    assert found.pairs[LENGTH] == len(problems) - len(found.train) > 0


# --- the split ----------------------------------------------------------------------------------------------


def test_no_family_is_on_both_sides_and_the_split_is_the_seeds() -> None:
    problems = [
        problem(f"p{i}", candidate("a", 1.0, 1.0), candidate("b", 0.0, 0.0), family=f"f{i % 10}")
        for i in range(40)
    ]

    def split(seed: int) -> tuple[frozenset[str | None], frozenset[str | None]]:
        found = pairs_among(problems, plan(validation=0.3, seed=seed))
        return frozenset(p.family for p in found.train), frozenset(p.family for p in found.validation)

    train, validation = split(0)
    assert len(validation) == 3
    assert not train & validation
    assert split(0) == split(0)
    assert len({split(seed)[1] for seed in range(6)}) > 1


@given(count=st.integers(0, 30), share=st.floats(0, 0.9))
def test_validation_takes_its_share_and_leaves_something_to_train_on(count: int, share: float) -> None:
    held = families_apart([f"f{i}" for i in range(count)], share, 0)
    assert len(held) < max(count, 1)
    assert abs(len(held) - share * count) <= 1 or count < 2


def test_fewer_pairs_are_spread_over_problems_and_leave_validation_alone() -> None:
    good = [candidate(f"good{i}", 1.0, 1.0, sample=i) for i in range(4)]
    bad = [candidate(f"bad{i}", 0.0, 0.0, sample=9 + i) for i in range(4)]
    whole = pairs_among([problem(f"p{i}", *good, *bad) for i in range(6)], plan(validation=0.2))
    some = whole.limited(5)
    assert len({pair.problem for pair in some.train}) == 5
    assert some.validation == whole.validation
    assert some == whole.limited(5)
    assert whole.limited(10**6).train == whole.train


# --- from runs ----------------------------------------------------------------------------------------------


def test_pairs_of_a_run_are_what_the_teacher_was_asked_and_wrote(school_run: Path) -> None:
    found = pairs_from(school_run)
    with Store.read(school_run) as view:
        for pair in found.train:
            record = view.problem_record(pair.problem)
            replies = {
                row.lesson: record.reply(row) for row in reversed(record.samples) if row.arm == "teach"
            }
            assert pair.prompt == f"Question: {record.problem.question}\nWorking:"
            assert pair.family == record.problem.family
            for side in (pair.chosen, pair.rejected):
                reply = replies[side.lesson]
                assert reply is not None
                assert side.text == reply.text
            assert pair.difference > max(0.3, 1.645 * pair.error)


def test_the_same_run_and_seed_give_the_same_pairs_and_they_come_back_from_json(school_run: Path) -> None:
    found = pairs_from(school_run)
    assert found == pairs_from(school_run)
    assert pairs_of(json.loads(json.dumps(found.json()))) == found
    with pytest.raises(DataError, match="not pairs"):
        pairs_of({"train": []})


def test_every_comparison_is_accounted_for(school_run: Path) -> None:
    found = pairs_from(school_run)
    assert found.compared == len(found.train) + len(found.validation) + sum(found.pairs.values())


def test_scores_from_elsewhere_replace_those_of_the_run(school_run: Path) -> None:
    plain = pairs_from(school_run, settings=plan(lam=1))
    turned = {
        (one.problem, side.lesson): 1 - (side.lbt or 0.0) for one in plain.ranking for side in one.sides
    }
    found = pairs_from(school_run, settings=plan(lam=1), scores=turned)
    best = {pair.problem: pair.chosen.lesson for pair in plain.train}
    assert all(best.get(pair.problem) != pair.chosen.lesson for pair in found.train)
    assert all(pair.error == 0 for pair in found.train)


def test_lessons_that_were_given_are_written_out_as_the_teacher_would(tmp_path: Path) -> None:
    problems = docendo.load_problems("school:m1", limit=3)
    lessons = {
        p.id: [
            Example(p.question, p.solution or "", p.answer or ""),
            Example(p.question, "loaves 2 plus loaves 2 = 4.", "4"),
        ]
        for p in problems
    }
    run = docendo.score(lessons, problems=problems, exams="school:m1-exams", out=tmp_path / "run", repeats=1)
    with run.view() as view:
        first = next(iter(studied(view)))
    assert first.prompt == f"Question: {problems[0].question}\nWorking:"
    assert first.candidates[0].text == f" {problems[0].solution}\nAnswer: {problems[0].answer}"
    assert pairs_from(run.folder, settings=plan(lam=0)).train
    with pytest.raises(ConfigError, match="came from a file; name the model to tune"):
        docendo.tune(run.folder, how={"train": False}, out=tmp_path / "t")


# --- bad input ----------------------------------------------------------------------------------------------


def test_without_golds_correctness_cannot_rank() -> None:
    unknown = problem("p", candidate("a", None, 0.9), candidate("b", None, 0.1), gold=None)
    with pytest.raises(DataError, match=r"gold answer.*lambda 1"):
        pairs_among([unknown], plan(lam=0.5))
    mixed = [unknown, problem("q", candidate("a", 1.0, 1.0), candidate("b", 0.0, 0.0))]
    assert pairs_among(mixed, plan()).lessons[NO_GOLD] == 2


def test_all_equal_scores_are_said_to_be_so() -> None:
    same = problem("p", candidate("a", 1.0, 0.5), candidate("b", 1.0, 0.5))
    with pytest.raises(DataError, match=r"all 2 lessons have the same score, 0\.75"):
        pairs_among([same], plan())


@pytest.mark.parametrize(
    ("problems", "says"),
    [
        ([], "no problem of these runs is finished"),
        ([problem("p", candidate("a"))], "no problem has two different lessons"),
        ([problem("p", candidate("a", 1, None), candidate("b", 0, None))], "no lesson has an LbT score"),
    ],
)
def test_an_empty_set_says_why(problems: list[object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        pairs_among(problems, plan())  # type: ignore[arg-type]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run"):
        pairs_from(tmp_path)
    with pytest.raises(ConfigError, match="no run"):
        pairs_from()


@pytest.mark.parametrize("wrong", [{"lam": 1.1}, {"margin": 1.0}, {"per_problem": 0}, {"noise": -1.0}])
def test_senseless_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"pairs: {next(iter(wrong))}"):
        PairSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lam", "margin", "told"),
    [
        (0.5, 0.3, True),
        (0.2, 0.7, True),
        (0.5, 0.5, False),
        (0.5, 0.7, False),
        (0.0, 0.3, False),
        (1.0, 0.0, False),
    ],
)
def test_a_margin_that_right_answers_alone_pass_is_noted(
    school_run: Path, lam: float, margin: float, told: bool
) -> None:
    notes = pairs_from(school_run, settings=PairSettings(lam=lam, margin=margin, noise=0)).notes
    assert any("by accident" in note for note in notes) == told


def test_one_student_and_unfinished_problems_are_noted(school_run: Path) -> None:
    assert any("one student" in note for note in pairs_from(school_run).notes)


def test_a_run_without_exams_can_only_be_ranked_by_correctness(tmp_path: Path) -> None:
    problems = [Problem(p.id, p.question, p.answer) for p in docendo.load_problems("school:m1", limit=6)]
    run = docendo.solve(
        problems[:4], exams=problems[4:5], out=tmp_path / "run", lessons=8, repeats=1, equal_cost=False
    )
    assert pairs_from(run.folder, settings=plan(lam=0)).train
