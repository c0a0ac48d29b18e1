"""What the study's page says of an interval: never more than it allows."""

from __future__ import annotations

import pytest

from docendo.stats import Interval
from docendo.study.analyse import Evidence, Insight
from docendo.study.plan import EXPECTATIONS, STUDIES, Expectation, full_plan, quick_plan
from docendo.study.words import compared, concluded, gain, insight_sentence, model, share, table, verdict

ABOVE = Interval(0.2, 0.1, 0.3, 100, 48)
BELOW = Interval(-0.2, -0.3, -0.1, 100, 48)
ACROSS = Interval(0.05, -0.02, 0.1, 100, 48)
TOUCHING = Interval(0.05, 0.0, 0.1, 100, 48)
ALONE = Interval(0.3, None, None, 4, 1, "one cluster: no interval can be given")


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (ABOVE, "shown"),
        (BELOW, "reversed"),
        (ACROSS, "not shown"),
        (TOUCHING, "not shown"),
        (ALONE, "not shown"),
    ],
)
def test_a_verdict_is_its_interval(interval: Interval, said: str) -> None:
    assert verdict(interval) == said


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ([ABOVE, ABOVE], "shown"),
        ([ABOVE, ACROSS], "not shown"),
        ([ABOVE, ACROSS, BELOW], "reversed"),
        ([], "not measured here"),
    ],
)
def test_an_insight_is_as_strong_as_its_weakest_evidence(intervals: list[Interval], said: str) -> None:
    insight = Insight("it", "it holds", [Evidence(f"part {i}", own) for i, own in enumerate(intervals)])
    assert concluded(insight) == said
    sentence = insight_sentence(insight)
    assert sentence.endswith(".")
    assert all(f"part {i} {gain(own)}" in sentence for i, own in enumerate(intervals))
    assert sentence.startswith("In this world") == (said == "shown")


def test_a_comparison_is_only_claimed_where_the_interval_allows_it() -> None:
    assert "20.0 points ahead of SC" in compared(ABOVE, "SUM", "SC")
    assert "20.0 points behind SC" in compared(BELOW, "SUM", "SC")
    assert "cannot be told from SC" in compared(TOUCHING, "SUM", "SC")
    assert "no interval" in compared(ALONE, "SUM", "SC")


def test_cells_mark_intervals_that_are_not_to_be_trusted() -> None:
    assert gain(ABOVE) == "+20.0 (+10.0 to +30.0)"
    assert gain(BELOW) == "−20.0 (−30.0 to −10.0)"
    assert share(ABOVE) == "20.0% (10.0–30.0)"
    assert share(Interval(0.5, 0.2, 0.8, 6, 6, "only 6 clusters")).endswith("\\*")
    assert share(ALONE) == "30.0%"
    assert share(None) == gain(Interval(None, None, None, 0, 0)) == "–"


def test_a_cell_cannot_break_its_table() -> None:
    assert table(("a", "b"), [("x|y", "1")]).splitlines()[2] == "| x\\|y | 1 |"


def test_models_are_named_without_their_place() -> None:
    assert model("school:student-2") == "student-2"
    assert model("school:/home/me/schooling/study-teacher-a/model") == "study-teacher-a"


class TestPlan:
    def test_an_expectation_is_met_at_its_bar_and_not_below(self) -> None:
        bar = Expectation("auc", "it", 0.9)
        assert bar.met(0.9)
        assert not bar.met(0.8999)
        assert not bar.met(None)

    def test_what_is_expected_of_a_condition_is_of_one_that_the_study_runs(self) -> None:
        for declared in STUDIES.values():
            named = {e.under for e in declared.expectations} - {None}
            assert declared.conditions is None or named <= set(declared.conditions)

    def test_an_interval_above_zero_does_not_touch_it(self) -> None:
        primary = next(e for e in EXPECTATIONS if e.measure == "lowest sum-sc")
        assert primary.met(0.001)
        assert not primary.met(0.0)

    def test_the_slice_needs_only_what_ships_and_other_numbers_than_the_test(self) -> None:
        slice_ = quick_plan()
        assert slice_.quick
        assert slice_.problems == "school:m1-dev"
        assert all("/" not in name for name in slice_.teachers.values())

    def test_the_whole_names_every_teacher_by_its_folder(self, tmp_path, monkeypatch) -> None:
        for name in ("a", "b", "c", "slips"):
            folder = tmp_path / f"study-teacher-{name}" / "model"
            folder.mkdir(parents=True)
            (folder / "config.json").write_text("{}")
        monkeypatch.setattr("docendo.study.plan.shipped", lambda: ["student-2"])
        plan = full_plan(tmp_path)
        assert list(plan.teachers) == ["a", "b", "c"]
        assert len(set(plan.teachers.values())) == 3
        assert plan.teachers["b"] == f"school:{(tmp_path / 'study-teacher-b' / 'model').as_posix()}"
        assert len(plan.seeds) >= 3
        assert plan.conditions is None
        assert plan.problems.startswith("school:m1@")
