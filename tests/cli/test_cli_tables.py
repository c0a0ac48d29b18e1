"""The tables, and what they say in words, of summaries with known figures."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from docendo.cli.tables import show_bill, show_summary, verdicts
from docendo.solve.arms import ARMS, Arm, Table
from docendo.solve.facts import Cost
from docendo.solve.spent import Bill, Item
from docendo.solve.summary import Summary
from docendo.stats import Interval
from docendo.types import Usage

AHEAD = Interval(0.04, 0.01, 0.07, 96, 48)
BEHIND = Interval(-0.04, -0.07, -0.01, 96, 48)
UNCLEAR = Interval(0.02, -0.01, 0.05, 96, 48)
EDGE = Interval(0.02, 0.0, 0.05, 96, 48)
EQUAL = Interval(0.0, 0.0, 0.0, 96, 48, "all values are equal: the interval has no width")
LONE = Interval(0.5, None, None, 2, 1, "one cluster: no interval can be given")


def table(difference: Interval | None, at_equal_cost: Interval | None = None) -> Table:
    arms = {name: Arm(name, Interval(0.9, 0.85, 0.95, 96, 48), Cost(1e6, 5e5, 1e12)) for name in ARMS}
    found = {"sum-sc": difference, "sum-sc_equal_cost": at_equal_cost}
    return Table(96, arms, {name: each for name, each in found.items() if each is not None})


def summary(overall: Table, **groups: Table) -> Summary:
    states = {"ok": 9, "ungradable": 0, "truncated": 0, "failed": 0}
    return Summary(96, 96, overall, groups, 0.8, 0.7, [], [], states, states, 9, 9, [])


def words(overall: Table, **groups: Table) -> str:
    return " ".join(line.plain for line in verdicts(summary(overall, **groups)))


def drawn(what: Summary, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, color_system=None)
    show_summary(console, what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_why_calls_failed_is_told() -> None:
    why = [("openai:m: HTTP 400: 620 tokens are too many", 4), ("b", 2), ("c", 2), ("d", 1), ("e", 1)]
    said = drawn(replace(summary(table(AHEAD)), failures=why), 200)
    assert "4 failed: openai:m: HTTP 400: 620 tokens are too many" in said
    assert "2 failed for other reasons" in said
    assert "failed" not in drawn(summary(table(AHEAD)), 200)


class TestVerdict:
    def test_is_a_win_only_where_the_whole_interval_is_above_zero(self) -> None:
        assert "SUM beat SC overall (+4.0 points, 95 % interval +1.0 to +7.0)" in words(table(AHEAD))
        for other in (UNCLEAR, EDGE, EQUAL, BEHIND, LONE):
            assert "beat" not in words(table(other))

    def test_says_what_else_it_is(self) -> None:
        assert "SUM lost to SC overall (−4.0 points" in words(table(BEHIND))
        assert "SUM cannot be told from SC overall (+2.0 points" in words(table(UNCLEAR))
        assert "SUM cannot be told from SC overall (+2.0 points" in words(table(EDGE))
        assert "SUM did the same as SC overall (0.0 points" in words(table(EQUAL))
        assert "SUM cannot be compared with SC overall (+50.0 points, one cluster" in words(table(LONE))

    def test_is_given_for_each_group_under_its_own_word(self) -> None:
        groups = {"head": EQUAL, "middle": AHEAD, "tail": AHEAD, "untaught": BEHIND, "odd": UNCLEAR}
        said = words(table(AHEAD), **{name: table(each) for name, each in groups.items()})
        assert (
            "; it beat SC on middle and tail; it lost to SC on untaught; it did the same as SC on head; "
            "it cannot be told from SC on odd." in said
        )

    def test_at_equal_cost_stands_beside_it(self) -> None:
        assert "At equal cost, SUM lost to SC (−4.0" in words(table(AHEAD, BEHIND))
        assert "equal cost" not in words(table(AHEAD))

    def test_auc(self) -> None:
        assert "the right one has the higher LbT score with chance 0.80" in words(table(AHEAD))

    @given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
    def test_never_claims_more_than_the_interval(self, a: float, b: float, c: float) -> None:
        low, mean, high = sorted((a, b, c))
        said = words(table(Interval(mean, low, high, 96, 48)))
        assert ("SUM beat SC" in said) == (low > 0)
        assert ("SUM lost to SC" in said) == (high < 0)


class TestTables:
    FULL = summary(table(AHEAD, UNCLEAR), head=table(EQUAL), untaught=table(BEHIND, LONE))

    @pytest.mark.parametrize("width", [60, 71, 72, 80, 120])
    def test_fit_the_width_with_no_figure_cut(self, width: int) -> None:
        text = drawn(self.FULL, width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        assert all(name in text for name in (*ARMS, "untaught", "−7.0 to −1.0"))

    def test_long_names_give_way_and_not_the_figures(self) -> None:
        wide = Interval(1.0, -1.0, 1.0, 96, 48)
        groups = {"Counting & Probability": table(wide), "Intermediate Algebra": table(wide)}
        for width in (60, 80):
            text = drawn(summary(table(AHEAD), **groups), width)
            assert "…" not in text
            assert max(map(len, text.splitlines())) <= width
            assert text.count("+100.0  −100.0 to +100.0") == 2

    def test_a_bill_has_its_money_whole_in_any_window(self) -> None:
        usage = Usage(prompt=123_456, cached=65_432, completion=34_567, reasoning=12_345)
        item = Item("openai:an/organisation/with-a-long-name:7b", "exam", 12_345, 17, usage, 1234.56)
        for width in (30, 60, 80):
            console = Console(file=io.StringIO(), width=width, markup=False, color_system=None)
            show_bill(console, Bill((item,), "USD"))
            assert isinstance(console.file, io.StringIO)
            assert console.file.getvalue().count("1234.56") == 2

    def test_few_clusters_are_warned_of_in_one_line(self) -> None:
        few = [
            Interval(0.1, 0.0, 0.2, n, n, f"only {n} clusters: the interval is too narrow") for n in (8, 3, 6)
        ]
        text = drawn(summary(table(AHEAD), **{str(i): table(each) for i, each in enumerate(few)}), 80)
        assert text.count("too narrow") == text.count("* only 3 to 8 clusters") == 1

    def test_programs_have_their_two_scores(self) -> None:
        v, s = Interval(0.75, 0.7, 0.8, 96, 48), Interval(0.625, 0.6, 0.65, 96, 48)
        arms = {name: replace(arm, v_score=v, s_score=s) for name, arm in table(AHEAD).arms.items()}
        text = drawn(summary(Table(96, arms, {})), 60)
        assert max(map(len, text.splitlines()[:20])) <= 60
        row = next(line for line in text.split("V-score", 1)[1].splitlines() if line.startswith("sum "))
        assert re.split(r"\s{2,}", row.strip()) == ["sum", "75.0 %", "62.5 %", "60.0 – 65.0", "90.0 %"]
        assert "V-score" not in drawn(self.FULL, 60)

    def test_a_warning_of_an_interval_is_starred_and_said_once(self) -> None:
        text = drawn(self.FULL, 80)
        assert "0.0 to 0.0*" in text
        assert text.count("* all values are equal: the interval has no width") == 1

    def test_cost_is_relative_to_self_consistency(self) -> None:
        arms = dict(table(AHEAD).arms)
        arms["sum"] = Arm("sum", arms["sum"].accuracy, Cost(2e6, 1e6, 7.5e12))
        text = drawn(summary(Table(96, arms, {})), 80)
        assert "7.50 ×" in text

    def test_unfinished_problems_are_mentioned(self) -> None:
        part = summary(table(AHEAD))
        states = part.states
        whole = Summary(96, 288, part.overall, {}, None, None, [], [], states, states, 9, 9, [])
        assert "192 not finished yet" in drawn(whole, 100)
