"""Curves over the number of lessons: they end in the recorded decisions, and before it the rules decide."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from statistics import mean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from docendo.solve.choose import choose
from docendo.solve.curves import Point, curves
from docendo.solve.facts import Cost, Facts
from docendo.types import Example, Grade, GradeState, Lesson, Problem, ScoredLesson

RULES = {"sc": "maj", "max": "max", "sum": "sum", "avg": "avg"}
GOLD = "n:1"

# A sample: its answer's key (None: no answer), and which of several lessons with that answer it wrote.
Drawn = tuple[str | None, int]
samples = st.lists(
    st.tuples(st.sampled_from([None, "n:1", "n:2", "n:3"]), st.integers(0, 1)), min_size=1, max_size=9
)
# Ninths, as an exam of nine gives: their sums tie, but for rounding.
scores = st.lists(st.one_of(st.none(), st.integers(0, 9).map(lambda k: k / 9)), min_size=8, max_size=8)


# A lesson without a score must not lower its answer's mean, nor rounding decide between equal sums.
UNSCORED: tuple[list[Drawn], list[float | None]] = (
    [("n:2", 0), ("n:1", 0), ("n:1", 1)],
    [None, None, 8 / 9, None, 5 / 9, None, None, None],
)
ROUNDED: tuple[list[Drawn], list[float | None]] = (
    [("n:1", 0), ("n:1", 1), ("n:2", 0), ("n:2", 1)],
    [None, None, 3 / 9, 3 / 9, 1 / 9, 5 / 9, None, None],
)


def score_of(drawn: Drawn, scored: Sequence[float | None]) -> float | None:
    key, lesson = drawn
    return scored[2 * int((key or "n:0")[2:]) + lesson]


def facts_of(
    drawn: Sequence[Drawn],
    scored: Sequence[float | None],
    *,
    id: str = "p",
    cluster: str | None = None,
    extra: Sequence[str] = (),
) -> Facts:
    """A finished problem whose samples were `drawn`; a sample costs 10 + 1, the prompt once, an exam 5."""
    facts = Facts(Problem(id, "?", "1", cluster=cluster))
    known = list(dict.fromkeys(d for d in drawn if d[0] is not None))
    facts.keys = [key for key, _ in drawn]
    facts.right = [key == GOLD for key, _ in drawn]
    facts.lesson = [known.index(d) if d[0] is not None else -1 for d in drawn]
    facts.scores = [score_of(d, scored) for d in known]
    facts.lesson_right = [key == GOLD for key, _ in known]
    facts.extra = [(key, key == GOLD) for key in extra]
    facts.alone = Cost(11, 11, 11)
    facts.lesson_costs = [Cost(5, 5, 5)] * len(known)
    facts.costs = {
        "sc": Cost(0, 0, 10 + len(drawn)),
        "sc_equal_cost": Cost(0, 0, 10 + len(drawn) + len(extra)),
    }
    return facts


def chosen_right(drawn: Sequence[Drawn], scored: Sequence[float | None], rule: str) -> bool:
    """What `choose`, the rules' own definition, makes of some samples."""
    written: dict[Drawn, list[int]] = {}
    for i, sample in enumerate(drawn):
        if sample[0] is not None:
            written.setdefault(sample, []).append(i)
    lessons = [
        ScoredLesson(
            Lesson((Example("?", f"{d}", d[0] or ""),)),
            Grade(GradeState.OK, float(d[0] == GOLD), d[0], d[0]),
            tuple(indices),
            score_of(d, scored),
            {},
        )
        for d, indices in written.items()
    ]
    return choose(rule, lessons).key == GOLD


def at(points: Sequence[Point], arm: str, lessons: int) -> Point:
    (found,) = [p for p in points if p.arm == arm and p.lessons == lessons]
    return found


class TestAllLessons:
    @given(st.lists(st.tuples(samples, scores), min_size=1, max_size=5))
    @example([UNSCORED])
    @example([ROUNDED])
    def test_curves_end_in_what_the_rules_decide(
        self, problems: list[tuple[list[Drawn], list[float | None]]]
    ) -> None:
        facts = [facts_of(drawn, scored, id=f"p{i}") for i, (drawn, scored) in enumerate(problems)]
        most = max(len(drawn) for drawn, _ in problems)
        points = curves(facts, subsets=2, draws=10)
        for arm, rule in RULES.items():
            decided = [chosen_right(drawn, scored, rule) for drawn, scored in problems]
            assert at(points, arm, most).accuracy.mean == pytest.approx(mean(decided))

    def test_costs_end_in_those_of_the_arms(self) -> None:
        facts = [
            facts_of([("n:1", 0), ("n:1", 0), ("n:2", 1), (None, 0)], [0.5] * 8, id="p"),
            facts_of([("n:2", 0), ("n:2", 1), ("n:3", 0), ("n:1", 0)], [0.5] * 8, id="q"),
        ]
        points = curves(facts, draws=10)
        assert at(points, "sc", 4).cost == pytest.approx(14)
        assert at(points, "sum", 4).cost == pytest.approx(14 + 5 * (2 + 4) / 2)
        assert at(points, "sc", 1).cost == pytest.approx(11)


class TestFewerLessons:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("lessons", [1, 2, 3, 4])
    def test_thinned_out_samples_are_decided_by_the_same_rules(self, lessons: int, seed: int) -> None:
        rng = random.Random(seed)
        drawn = [(rng.choice([None, "n:1", "n:2", "n:3"]), rng.randrange(2)) for _ in range(7)]
        scored = [rng.choice([None, *(k / 9 for k in range(10))]) for _ in range(8)]
        points = curves([facts_of(drawn, scored)], subsets=4000, draws=10, seed=seed)
        for arm, rule in RULES.items():
            every = [chosen_right(part, scored, rule) for part in itertools.combinations(drawn, lessons)]
            assert at(points, arm, lessons).accuracy.mean == pytest.approx(mean(every), abs=0.03)

    def test_one_lesson_is_the_same_for_every_rule(self) -> None:
        facts = [facts_of([("n:1", 0), ("n:2", 0), ("n:2", 1), (None, 0)], [k / 9 for k in range(8)])]
        points = curves(facts, draws=10)
        assert len({at(points, arm, 1).accuracy.mean for arm in RULES}) == 1

    def test_exams_of_a_lesson_written_twice_are_paid_once(self) -> None:
        points = curves([facts_of([("n:1", 0)] * 4, [1.0] * 8)], draws=10)
        assert [at(points, "sum", n).cost for n in (1, 2, 3, 4)] == pytest.approx([16, 17, 18, 19])


class TestMoreSamples:
    def test_only_self_consistency_goes_on(self) -> None:
        facts = [
            facts_of([("n:2", 0)] * 2 + [("n:1", 0)], [0.0] * 8, id=f"p{i}", extra=["n:1"] * 9)
            for i in range(3)
        ]
        points = curves(facts, draws=10)
        assert {p.lessons for p in points if p.arm == "sum"} == {1, 2, 3}
        assert [p.lessons for p in points if p.arm == "sc"] == [1, 2, 3, 4, 6, 8, 12]
        assert at(points, "sc", 3).accuracy.mean == 0.0
        assert at(points, "sc", 12).accuracy.mean == 1.0
        assert [at(points, "sc", n).cost for n in (3, 6, 12)] == pytest.approx([13, 16, 22])

    def test_it_ends_where_fewer_than_nine_in_ten_problems_have_more(self) -> None:
        facts = [facts_of([("n:1", 0)] * 2, [1.0] * 8, id=f"p{i}", extra=["n:1"] * i) for i in range(20)]
        assert max(p.lessons for p in curves(facts, draws=10) if p.arm == "sc") == 4


class TestBands:
    def test_clusters_are_resampled_whole(self) -> None:
        def points(clusters: int) -> list[Point]:
            return curves(
                [
                    facts_of(
                        [(f"n:{1 + i % clusters % 2}", 0)], [1.0] * 8, id=f"p{i}", cluster=f"c{i % clusters}"
                    )
                    for i in range(240)
                ]
            )

        few, many = points(12)[0].accuracy, points(240)[0].accuracy
        assert few.clusters == 12
        assert many.clusters == 240
        assert few.low is not None
        assert few.high is not None
        assert many.low is not None
        assert many.high is not None
        assert few.high - few.low > 2 * (many.high - many.low)

    def test_the_same_seed_gives_the_same_curves_and_another_does_not(self) -> None:
        rng = random.Random(5)
        facts = [
            facts_of(
                [(f"n:{rng.randrange(1, 4)}", rng.randrange(2)) for _ in range(12)], [0.5] * 8, id=f"p{i}"
            )
            for i in range(10)
        ]
        assert curves(facts, draws=10, seed=1) == curves(facts, draws=10, seed=1)
        assert curves(facts, draws=10, seed=1) != curves(facts, draws=10, seed=2)


class TestNothingToJudge:
    def test_no_problems_give_no_points(self) -> None:
        assert curves([]) == []

    def test_problems_without_gold_answers_give_no_points(self) -> None:
        facts = facts_of([("n:1", 0)], [1.0] * 8)
        facts.problem = Problem("p", "?")
        assert curves([facts]) == []
