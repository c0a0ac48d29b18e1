"""The report as its reader gets it: one HTML file, whatever the run and whatever the models wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from report_runs import HOSTILE, Page, fit, make, page_of, problem, rows_of, summary_of, teacher, working

from docendo.errors import ModelError, StoreError
from docendo.report import write_report
from docendo.report.stories import MARKS, collect
from docendo.solve.plan import Settings
from docendo.solve.summary import summarise
from docendo.store import Store
from docendo.types import Call, Example, Reply

# --- the file ---------------------------------------------------------------------------------------------


class TestFile:
    def test_is_written_into_the_run_folder_or_where_one_says(self, run: Path, tmp_path: Path) -> None:
        assert write_report(run) == run / "report.html"
        there = tmp_path / "new" / "page.html"
        assert write_report(str(run), there) == there
        assert there.read_bytes() == (run / "report.html").read_bytes()

    def test_is_the_same_when_it_is_made_again(self, run: Path, tmp_path: Path) -> None:
        first = write_report(run).read_bytes()
        copied = shutil.copytree(run, tmp_path / run.name)
        assert write_report(copied).read_bytes() == first

    @pytest.mark.parametrize("name", ["run", "hostile"])
    def test_needs_nothing_else(self, name: str, request: pytest.FixtureRequest) -> None:
        page = page_of(request.getfixturevalue(name))
        tags = {tag for tag, _, _ in page.elements}
        assert tags.isdisjoint(
            {"link", "img", "iframe", "object", "embed", "base", "video", "audio", "image", "use"}
        )
        for _, has, _ in page.elements:
            assert "src" not in has
            assert (has.get("href") or "#").startswith("#")
            assert not [key for key in has if key.startswith("on") or key == "style"]
        own = [
            inside
            for tag, has, inside in page.elements
            if tag in ("style", "script") and has.get("id") != "data"
        ]
        assert len(own) == 2
        assert not re.search(
            r"https?:|url\(|@import|\bfetch\b|XMLHttp|WebSocket|innerHTML", "".join(map("".join, own))
        )

    def test_allows_only_its_own_script_and_style(self, run: Path) -> None:
        page = page_of(run)
        ((policy, _),) = page.all("meta", http_equiv="Content-Security-Policy")
        for tag in ("script", "style"):
            (text,) = [
                "".join(i) for name, has, i in page.elements if name == tag and has.get("id") != "data"
            ]
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in (policy["content"] or "")

    def test_a_place_that_cannot_be_written_is_an_error_and_leaves_no_rest(
        self, run: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StoreError, match="cannot be written"):
            write_report(run, tmp_path / "file" / "page.html")
        (tmp_path / "folder").mkdir()
        with pytest.raises(StoreError, match="cannot be written"):
            write_report(run, tmp_path / "folder")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]

    def test_a_folder_that_is_no_run_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="not a run"):
            write_report(tmp_path)


# --- the figures ------------------------------------------------------------------------------------------


class TestFigures:
    def test_arms_and_differences_are_those_of_the_summary(self, run: Path) -> None:
        summary, text = summary_of(run), write_report(run).read_text(encoding="utf-8")
        arms = rows_of(text, "arms-table", "data-arm")
        assert list(arms) == list(summary.overall.arms)
        for name, arm in summary.overall.arms.items():
            a, c = arm.accuracy, arm.cost
            assert arms[name] == [a.mean, a.low, a.high, c.tokens, c.computed, c.cost]
        differences = rows_of(text, "differences-table", "data-difference")
        assert differences == {n: [d.mean, d.low, d.high] for n, d in summary.overall.differences.items()}
        assert next(iter(differences)) == "sum-sc"

    def test_groups_are_those_of_the_summary(self, run: Path) -> None:
        summary, text = summary_of(run), write_report(run).read_text(encoding="utf-8")
        groups = rows_of(text, "groups-table", "data-group")
        assert set(groups) == {"odd", "even"}
        for name, table in summary.groups.items():
            figures = [
                v for a in table.arms.values() for v in (a.accuracy.mean, a.accuracy.low, a.accuracy.high)
            ]
            assert groups[name] == figures

    def test_costs_are_written_relative_to_self_consistency(self, run: Path) -> None:
        summary, page = summary_of(run), page_of(run)
        arms = summary.overall.arms
        factor = arms["sum"].cost.cost / arms["sc"].cost.cost
        (_, row), *_ = page.all("tr", data_arm="sum")
        assert f"{factor:.2f}×" in row or f"{factor:.1f}×" in row
        (_, row), *_ = page.all("tr", data_arm="sc")
        assert "1.00×" in row

    def test_denominators_and_states_are_said(self, run: Path) -> None:
        summary, page = summary_of(run), page_of(run)
        said = " ".join(text for _, text in page.all("li"))
        assert "over the 12 finished problems with a gold answer, in 6 clusters" in said
        assert f"Of the {summary.samples} teacher’s samples, {summary.states['ok']} gave an answer" in said
        assert f"{summary.states['ungradable']} gave none that could be read" in said
        assert summary.states["ungradable"] > 0

    @pytest.mark.parametrize("seed", [0, 1, 2, 3])
    def test_headline_claims_no_more_than_the_interval(self, seed: int, tmp_path: Path) -> None:
        folder = make(tmp_path / "run", seed=seed, lessons=4, equal_cost=False)
        difference, headline = summary_of(folder).overall.differences["sum-sc"], page_of(folder).text("h1")
        assert difference.mean is not None
        assert difference.low is not None
        assert difference.high is not None
        assert ("no difference" in headline.lower()) == (difference.low <= 0 <= difference.high)
        assert ("more right" in headline) == (difference.low > 0)
        for figure in (difference.low, difference.high):
            assert f"{100 * abs(figure):.1f}" in headline

    def test_lost_replies_are_said_before_any_figure(self, tmp_path: Path) -> None:
        def half(call: Call) -> Any:
            return Reply("on and on", "length") if call.sample % 2 else teacher(call)

        text = " ".join(t for _, t in page_of(make(tmp_path / "run", teaching=half)).all("p"))
        assert "50.0% of the teacher’s samples were cut off by the token limit" in text

    def test_plots_show_every_curve_with_its_name(self, run: Path) -> None:
        page = page_of(run)
        names = {text for has, text in page.all("text") if (has.get("class") or "").startswith("name ")}
        assert {"SC", "MAX", "SUM", "AVG", "greedy", "oracle"} <= names
        assert [has["id"] for has, _ in page.all("figure")] == ["by-lessons", "by-cost", "scores"]
        auc = summary_of(run).auc
        assert auc is not None
        assert f"{auc:.2f} (AUC within a problem" in page.all("figure")[2][1]
        assert "SUM with 8 samples" in page.all("figure")[0][1]


# --- the problems' stories --------------------------------------------------------------------------------


class TestStories:
    @pytest.mark.parametrize("name", ["run", "hostile"])
    def test_tell_what_the_store_holds(self, name: str, request: pytest.FixtureRequest) -> None:
        folder = request.getfixturevalue(name)
        data = page_of(folder).data()

        def text(i: int) -> str | None:
            return None if i < 0 else data["strings"][i]

        with Store.read(folder) as view:
            taught = list(view.problems())
            assert [story["id"] for story in data["problems"]] == [fit(p.id) for p in taught]
            for story, asked in zip(data["problems"], taught, strict=True):
                record = view.problem_record(asked.id)
                assert text(story["q"]) == fit(asked.question)
                assert text(story["a"]) == asked.answer
                assert data["groups"][story["g"]] == fit(asked.group or "")
                for d in record.decisions:
                    assert text(story["r"][d.choice.rule][0]) == d.choice.answer
                    assert MARKS[story["r"][d.choice.rule][1]] == ("right" if d.correct else "wrong")
                samples = [s for s in record.samples if s.arm == "teach"]
                assert sum(g["c"] for g in story["k"]) + len(story["u"]) == len(samples) == story["n"]
                assert [g["a"] for g in story["k"]][:1] == [a for a in story["r"]["sum"][:1] if a >= 0]
                lessons = [lesson for g in story["k"] for lesson in g["l"]]
                assert sorted(text(lesson["w"]) or "" for lesson in lessons) == sorted(
                    fit(row.lesson.examples[0].rationale) for row in record.lessons
                )
                told = sorted(
                    (text(story["x"][x][0]), data["students"][student], repeat, MARKS[mark], text(said))
                    for lesson in lessons
                    for x, student, repeat, mark, said, _ in lesson["e"]
                )
                assert told == sorted(
                    (
                        record.exam[row.exam_problem].question,
                        row.student,
                        row.repeat,
                        "right" if row.grade.score == 1 else "wrong",
                        fit(record.replies[row.call].text),
                    )
                    for row in record.exam_answers
                )

    def test_texts_stand_once(self, run: Path) -> None:
        strings = page_of(run).data()["strings"]
        assert len(strings) == len(set(strings))

    def test_a_page_too_large_leaves_out_workings_where_sum_and_sc_agree_first(self, run: Path) -> None:
        with Store.read(run) as view:
            summary = summarise(view, draws=10)
            whole = len(json.dumps(collect(view, summary, ["odd", "even"])))
            limits = (whole, whole // 2, whole // 4, whole // 8, 0)
            kept = [collect(view, summary, ["odd", "even"], limit)["problems"] for limit in limits]
        told = [sum(p["text"] for p in problems) for problems in kept]
        assert told[0] == 12 > told[1] > told[2] > told[3] > told[4] == 0
        for problems in kept:
            differ = [p["text"] for p in problems if p["r"]["sum"][0] != p["r"]["maj"][0]]
            agree = [p["text"] for p in problems if p["r"]["sum"][0] == p["r"]["maj"][0]]
            assert all(differ) or not any(agree)
            for p in problems:
                lessons = [lesson for g in p["k"] for lesson in g["l"]]
                assert lessons
                assert any(lesson["e"] for lesson in lessons) == p["text"]
                assert all((lesson["w"] >= 0) == p["text"] for lesson in lessons)


class TestHostileTexts:
    def test_stay_texts(self, hostile: Path) -> None:
        raw = write_report(hostile).read_bytes()
        page = Page(raw.decode("utf-8"))
        assert page.faults == []
        assert b"\0" not in raw
        assert [has.get("id") for tag, has, _ in page.elements if tag == "script"] == [None, "data"]
        assert not page.all("img")
        assert any(fit(HOSTILE) in text for text in page.data()["strings"])
        assert page.text("b") == "<b>run & 'co'"


# --- other runs -------------------------------------------------------------------------------------------


class TestOtherRuns:
    def test_nothing_finished_yet(self, tmp_path: Path) -> None:
        config = {"settings": Settings().stored()}
        with Store.create(tmp_path / "run", kind="solve", config=config, seed=0, taught=[problem("t", 0, 0)]):
            page = page_of(tmp_path / "run")  # while it is being written
        assert page.text("h1") == "No problem is finished yet, of 1 planned."
        assert not page.all("table", id="arms-table")
        assert not page.all("script", id="data")
        assert page.faults == []

    def test_cut_half_way(self, tmp_path: Path) -> None:
        def breaks(call: Call) -> str:
            if "holds 6" in str(call.prompt) and call.purpose == "teach":
                raise ValueError("the plug was pulled")
            return teacher(call)

        with pytest.raises(ModelError):
            make(tmp_path / "run", teaching=breaks, parallel=1)
        summary, page = summary_of(tmp_path / "run"), page_of(tmp_path / "run")
        assert 0 < summary.problems < summary.planned
        assert page.text("h1").startswith("So far, ")
        said = " ".join(t for _, t in page.all("p"))
        assert f"This run is not finished: {summary.problems} of 12 problems are." in said
        assert len(page.data()["problems"]) == summary.problems

    def test_without_gold_answers(self, tmp_path: Path) -> None:
        taught = [problem("test", f, n, answer=None) for f in range(3) for n in range(2)]
        page = page_of(make(tmp_path / "run", taught))
        assert "6 problems whose answers are not known" in page.text("h1")
        assert not page.all("table", id="arms-table")
        text = page.text("section", id="arms")
        data = page.data()
        differ = sum(p["r"]["sum"][0] != p["r"]["maj"][0] for p in data["problems"])
        assert f"SUM chose another answer than SC for {differ} of 6 problems" in text
        marks = {MARKS[chosen[1]] for p in data["problems"] for chosen in p["r"].values()}
        assert marks == {"none"}

    def test_some_gold_answers(self, tmp_path: Path) -> None:
        taught = [problem("test", f, 0, answer=None if f else "5") for f in range(3)]
        page = page_of(make(tmp_path / "run", taught))
        said = " ".join(t for _, t in page.all("p"))
        assert "2 finished problems without a gold answer" in said
        assert "over 1 problem" in page.text("h1")

    def test_given_lessons(self, tmp_path: Path) -> None:
        taught = [problem("test", f, 0) for f in range(4)]
        signs = ("plus", "minus", "times", "plus")
        given = {
            p.id: [
                Example(p.question, *working(sign, p.question).split("\nAnswer: ")) for sign in signs[: 1 + i]
            ]
            for i, p in enumerate(taught)
        }
        page = page_of(make(tmp_path / "run", taught, given=given))
        arms = [has["data-arm"] for has, _ in page.all("tr") if "data-arm" in has]
        assert arms[:5] == ["sc", "max", "sum", "avg", "oracle"]
        assert "with the same given lessons" in page.text("h1")
        assert [p["n"] for p in page.data()["problems"]] == [1, 2, 3, 4]
        assert {has["id"] for has, _ in page.all("figure")} == {"by-lessons", "scores"}

    def test_one_problem_of_no_group(self, tmp_path: Path) -> None:
        page = page_of(make(tmp_path / "run", [problem("test", 0, 0, group=None, cluster=None)]))
        assert "no interval can be given" in page.text("h1")
        assert not page.all("section", id="groups")
        assert page.data()["groups"] == []

    def test_several_students_are_told_apart(self, tmp_path: Path) -> None:
        page = page_of(make(tmp_path / "run", [problem("test", 0, 0)], students=("ann", "bob")))
        data = page.data()
        assert data["students"] == ["ann", "bob"]
        (story,) = data["problems"]
        for lesson in (lesson for g in story["k"] for lesson in g["l"]):
            right = MARKS.index("right")
            own = [[row[3] == right for row in lesson["e"] if row[1] == i] for i in (0, 1)]
            assert lesson["b"] == pytest.approx([sum(rows) / len(rows) for rows in own], abs=1e-4)
