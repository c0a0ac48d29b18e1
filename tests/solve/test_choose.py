"""The choice rules and their ties."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.errors import ConfigError
from docendo.solve.choose import RULES, answer_groups, choose, majority
from docendo.types import Choice, Example, Grade, GradeState, Lesson, ScoredLesson


def lesson(answer: str | None, samples: tuple[int, ...], score: float | None) -> ScoredLesson:
    """A lesson whose answer's key is its lower case, so that one key has several spellings."""
    state = GradeState.UNGRADABLE if answer is None else GradeState.OK
    grade = Grade(state, None, answer, answer and answer.lower())
    return ScoredLesson(
        Lesson((Example("q", str(samples), str(answer)),)), grade, samples, score, {"s": score}
    )


def chosen(lessons: list[ScoredLesson]) -> dict[str, str | None]:
    return {rule: choose(rule, lessons).key for rule in RULES}


def test_the_four_rules_can_all_differ() -> None:
    lessons = [
        *[lesson("often", (i,), 0.0) for i in range(5)],
        lesson("best", (5,), 1.0),
        lesson("best", (6,), 0.1),
        *[lesson("much", (i,), 0.5) for i in (7, 8, 9)],
        *[lesson("steady", (i,), 0.6) for i in (10, 11)],
    ]
    assert chosen(lessons) == {"maj": "often", "max": "best", "sum": "much", "avg": "steady"}
    weights = {rule: choose(rule, lessons).weight for rule in RULES}
    assert weights == {"maj": 5, "max": 1.0, "sum": 1.5, "avg": pytest.approx(0.6)}


def test_every_sample_of_a_lesson_counts() -> None:
    """One lesson written three times weighs three times, and pulls the mean three times as much."""
    lessons = [lesson("a", (0, 2, 4), 0.4), lesson("a", (6,), 0.8), lesson("b", (1,), 1.0)]
    groups = answer_groups(lessons)
    assert [(g.key, g.count, g.first) for g in groups] == [("a", 4, 0), ("b", 1, 1)]
    assert groups[0].total == pytest.approx(2.0)
    assert groups[0].mean == pytest.approx(0.5)
    assert groups[0].max == 0.8
    assert choose("maj", lessons) == Choice("maj", "a", "a", 4.0)
    assert choose("sum", lessons).key == "a"
    assert choose("avg", lessons).key == "b"


@pytest.mark.parametrize("rule", ["max", "sum", "avg"])
def test_ties_go_to_the_larger_group_and_then_to_the_first_sample(rule: str) -> None:
    first = [lesson("b", (1,), 0.5), lesson("a", (0,), 0.5)]
    assert choose(rule, first).key == "a"
    shares = {"max": 0.5, "sum": 0.25, "avg": 0.5}[rule]
    larger = [lesson("a", (0,), 0.5), lesson("b", (1,), shares), lesson("b", (2,), shares)]
    assert choose(rule, larger).key == "b"


def test_maj_does_not_see_scores() -> None:
    assert choose("maj", [lesson("b", (1,), 1.0), lesson("a", (0,), 0.0)]).key == "a"


def test_rounding_does_not_decide() -> None:
    """1/9 + 1/9 + 4/9 and 1/9 + 5/9 are worth the same to SUM, if not to floats; the larger group wins."""
    pair = [lesson("pair", (0,), 1 / 9), lesson("pair", (1,), 5 / 9)]
    three = [lesson("three", (i,), ninths / 9) for i, ninths in ((2, 1), (3, 1), (4, 4))]
    assert choose("sum", pair).weight > choose("sum", three).weight
    assert choose("sum", pair + three).key == "three"


def test_the_answer_is_as_its_first_sample_wrote_it() -> None:
    lessons = [lesson("SIX", (3,), 0.1), lesson("Six", (1, 2), 0.9), lesson("two", (0,), 0.2)]
    assert choose("sum", lessons) == Choice("sum", "Six", "six", pytest.approx(1.9))


def test_lessons_without_an_answer_have_no_vote() -> None:
    lessons = [lesson(None, (0, 1, 2), 1.0), lesson("a", (3,), 0.0)]
    assert set(chosen(lessons).values()) == {"a"}
    for nothing in ([], [lesson(None, (0,), 1.0)]):
        assert {choose(rule, nothing) for rule in RULES} == {Choice(rule, None, None, 0.0) for rule in RULES}


def test_unscored_lessons_weigh_nothing_but_still_break_ties() -> None:
    unscored = [lesson("a", (0,), None), lesson("b", (1,), None), lesson("b", (2,), None)]
    assert set(chosen(unscored).values()) == {"b"}
    mixed = [
        lesson("a", (0,), 0.2),
        *[lesson("b", (i,), None) for i in (1, 2)],
        lesson("c", (3,), 0.4),
        lesson("c", (4,), None),
    ]
    assert chosen(mixed) == {"maj": "b", "max": "c", "sum": "c", "avg": "c"}
    assert choose("avg", mixed).weight == pytest.approx(0.4)


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'most'.*maj, max, sum, avg"):
        choose("most", [])


def test_majority_over_plain_samples() -> None:
    assert majority([None, ("b", "B"), ("a", "A"), None, ("a", "a"), ("b", "b")]) == Choice(
        "maj", "B", "b", 2.0
    )
    assert majority([("a", "a"), ("b", "x"), ("b", "y")]) == Choice("maj", "x", "b", 2.0)
    assert majority([None, None]) == majority([]) == Choice("maj", None, None, 0.0)


@st.composite
def scored(draw: st.DrawFn) -> list[ScoredLesson]:
    """Lessons over shuffled sample indices with the scores a 3 x 3 exam gives."""
    answers = draw(st.lists(st.sampled_from(["a", "A", "b", "c", None]), min_size=1, max_size=8))
    samples = draw(st.permutations(range(2 * len(answers))))
    ninths = st.none() | st.integers(0, 9).map(lambda right: right / 9)
    return [
        lesson(a, tuple(sorted(samples[2 * i : 2 * i + 1 + i % 2])), draw(ninths))
        for i, a in enumerate(answers)
    ]


@given(scored(), st.floats(1e-6, 1.0))
def test_scaling_all_scores_changes_no_choice(lessons: list[ScoredLesson], factor: float) -> None:
    scaled = [replace(x, score=None if x.score is None else x.score * factor) for x in lessons]
    assert chosen(scaled) == chosen(lessons)


@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_lessons_changes_no_choice(lessons: list[ScoredLesson], rng: object) -> None:
    before = {rule: choose(rule, lessons) for rule in RULES}
    rng.shuffle(lessons)  # type: ignore[attr-defined]
    assert {rule: choose(rule, lessons) for rule in RULES} == before


@given(scored())
def test_maj_is_self_consistency_over_the_samples(lessons: list[ScoredLesson]) -> None:
    by_sample = sorted((i, x.grade) for x in lessons for i in x.samples)
    votes = [(g.key, g.answer) if g.key else None for _, g in sorted(by_sample, key=lambda pair: pair[0])]
    assert choose("maj", lessons) == majority(votes)
    counts = Counter(vote[0] for vote in votes if vote)
    assert choose("maj", lessons).weight == max(counts.values(), default=0)


@given(scored())
def test_no_group_beats_the_chosen_one(lessons: list[ScoredLesson]) -> None:
    for group in answer_groups(lessons):
        for rule, weight in {
            "maj": group.count,
            "max": group.max,
            "sum": group.total,
            "avg": group.mean,
        }.items():
            assert weight <= choose(rule, lessons).weight + 1e-9


@given(scored(), st.sampled_from(["max", "sum", "avg"]))
def test_equal_scores_make_sum_the_majority(lessons: list[ScoredLesson], rule: str) -> None:
    even = [replace(x, score=0.5) for x in lessons]
    assert choose(rule, even).key == choose("maj", even).key
