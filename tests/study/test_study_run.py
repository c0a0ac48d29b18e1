"""A whole study of a little world, from the outside: what it runs, resumes, computes and says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from study_world import CLUSTERS, EACH, FAMILIES, asked, install, plan

from docendo.cli import main
from docendo.errors import StoreError
from docendo.solve.run import Run
from docendo.stats import paired_difference
from docendo.store import Store
from docendo.study.analyse import Met, Results, analyse, measured
from docendo.study.page import headlines, render, write_page, write_results
from docendo.study.plan import PRIMARY, STUDIES, Expectation, Plan
from docendo.study.run import Study, run_study

PROBLEMS = CLUSTERS * FAMILIES * EACH
RUNS = ("main-a-0", "main-a-1", "main-b-0", "main-b-1", "slips-hot")


class Cut(BaseException):
    """Stands for the machine going down."""


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Results]:
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        study = run_study(plan(folder), folder / "out")
    return study, analyse(study)


def decisions(folder: Path) -> list[Any]:
    with Store.read(folder) as view:
        return list(view.decisions())


class TestRuns:
    def test_every_run_is_an_ordinary_complete_run_folder(self, studied: tuple[Study, Results]) -> None:
        study, _ = studied
        explored = [f"explore-{name}" for name in study.conditions]
        assert len(explored) == 2
        for name in (*RUNS, *explored):
            run = Run(study.folder / name)
            assert run.complete
            assert run.summary().problems == PROBLEMS

    def test_conditions_examine_the_lessons_of_the_first_run(self, studied: tuple[Study, Results]) -> None:
        study, _ = studied

        def votes(name: str) -> list[Any]:
            with Store.read(study.folder / name) as view:
                return [(s.problem, s.grade.key) for s in view.samples() if s.arm in ("teach", "given")]

        assert votes("explore-answer-only") == votes("main-a-0")
        assert votes("main-a-0") != votes("main-a-1")

    @pytest.mark.parametrize("stop", [15, 55])
    def test_a_study_that_was_cut_goes_on_and_ends_the_same(
        self, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, studied: tuple[Study, Results]
    ) -> None:
        finished = 0

        class Cutting:
            def started(self, *_: object) -> None: ...

            def stage(self, *_: object) -> None: ...

            def finished(self, _: object) -> None:
                nonlocal finished
                finished += 1
                if finished == stop:
                    raise Cut

        class Watched:
            def __init__(self, _: str) -> None: ...

            def __enter__(self) -> Cutting:
                return Cutting()

            def __exit__(self, *_: object) -> None: ...

        models = install(monkeypatch)
        # The part of the whole study that matters here: its first run, and a condition on it.
        whole = plan(
            tmp_path, teachers={"a": "school:scripted-a"}, slips=None, seeds=(0,), conditions=("answer-only",)
        )
        with pytest.raises((Cut, BaseExceptionGroup)):
            run_study(whole, tmp_path / "out", Watched)
        before = asked(models)
        again = run_study(whole, tmp_path / "out")
        assert 0 < before < asked(models)
        for name in ("main-a-0", "explore-answer-only"):
            assert decisions(again.folder / name) == decisions(studied[0].folder / name)

    def test_a_complete_study_asks_nothing_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        models = install(monkeypatch)
        small = plan(
            tmp_path, teachers={"a": "school:scripted-a"}, slips=None, seeds=(0,), conditions=("no-lesson",)
        )
        run_study(small, tmp_path / "out")
        first = asked(models)
        assert first > 0
        run_study(small, tmp_path / "out")
        assert asked(models) == first

    def test_a_folder_of_another_plan_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        models = install(monkeypatch)
        small = plan(tmp_path, teachers={"a": "school:scripted-a"}, slips=None, seeds=(0,), conditions=())
        run_study(small, tmp_path / "out")
        first = asked(models)
        other = plan(tmp_path, teachers={"a": "school:scripted-a"}, slips=None, seeds=(1,), conditions=())
        with pytest.raises(StoreError, match=r"another plan.*--out"):
            run_study(other, tmp_path / "out")
        assert asked(models) == first

    def test_a_folder_with_something_else_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "letter.txt").write_text("mine")
        with pytest.raises(StoreError, match="not a study"):
            run_study(plan(tmp_path), tmp_path / "out")
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["letter.txt"]


class TestResults:
    def test_the_primary_pools_all_runs_and_moves_clusters_together(
        self, studied: tuple[Study, Results]
    ) -> None:
        study, results = studied
        ours, theirs, clusters = [], [], []
        for run in study.main.values():
            with run.view() as view:
                cluster = {p.id: p.cluster for p in view.problems()}
                right = {(d.problem, d.choice.rule): bool(d.correct) for d in view.decisions()}
            for id, own in cluster.items():
                ours.append(float(right[id, "sum"]))
                theirs.append(float(right[id, "maj"]))
                clusters.append(own)
        assert len(ours) == 4 * PROBLEMS
        assert results.pooled.table.differences[PRIMARY] == paired_difference(ours, theirs, clusters)
        assert results.pooled.table.differences[PRIMARY].clusters == CLUSTERS

    def test_pooled_is_the_mean_of_the_runs_and_of_the_groups(self, studied: tuple[Study, Results]) -> None:
        _, results = studied
        pooled = results.pooled.table.differences[PRIMARY].mean
        runs = [r.whole.table.differences[PRIMARY].mean for r in results.runs]
        assert pooled == pytest.approx(sum(runs) / len(runs))
        groups = [(g.table.differences[PRIMARY].mean, g.table.problems) for g in results.groups]
        assert sum(n for _, n in groups) == 4 * PROBLEMS
        assert pooled == pytest.approx(sum(mean * n for mean, n in groups) / (4 * PROBLEMS))

    def test_the_largest_exam_is_the_recorded_one(self, studied: tuple[Study, Results]) -> None:
        _, results = studied
        last = results.exam_sizes[-1]
        assert (last.problems, last.repeats, last.exams) == (3, 3, 1)
        assert last.accuracy == results.pooled.table.arms["sum"].accuracy
        assert last.gain == results.pooled.table.differences[PRIMARY]
        assert last.auc == pytest.approx(results.pooled.ranking.within.mean)
        assert [(s.problems, s.repeats, s.exams) for s in results.exam_sizes[:2]] == [(1, 1, 9), (1, 3, 3)]

    def test_what_students_do_after_lessons_is_measured(self, studied: tuple[Study, Results]) -> None:
        _, results = studied
        (pupil,) = results.follow
        assert pupil.right.mean == pytest.approx(0.9, abs=0.02)  # as the script follows a lesson
        assert pupil.wrong.mean == 0.0
        blind = next(c for c in results.conditions if c.name == "answer-only").follow[0]
        assert blind.right.mean == 0.0  # no working, no method

    def test_without_a_lesson_sum_is_sc(self, studied: tuple[Study, Results]) -> None:
        _, results = studied
        found = {c.name: c for c in results.conditions}
        assert (found["no-lesson"].gain.low, found["no-lesson"].gain.high) == (0.0, 0.0)
        assert found["no-lesson"].difference.mean < 0  # and with one it is not, in this world

    def test_doubt_and_calibration_cover_everything_once(self, studied: tuple[Study, Results]) -> None:
        _, results = studied
        assert sum(d.problems for d in results.doubt) == 4 * PROBLEMS
        right, wrong = results.scores
        assert sum(b.right.n for b in results.calibration) == len(right) + len(wrong)
        assert results.calibration[-1].right.mean > results.calibration[0].right.mean

    def test_expectations_are_judged_by_their_figures(self, studied: tuple[Study, Results]) -> None:
        _, results = studied
        assert [m.expectation.measure for m in results.expectations] == [
            "lowest sum-sc",
            "sum-sc",
            "sum-sc_equal_cost",
            "auc",
            "follow",
        ]
        figures = {m.expectation.measure: m.value for m in results.expectations}
        assert figures["lowest sum-sc"] == results.pooled.table.differences[PRIMARY].low
        assert figures["follow"] == results.follow[0].right.mean
        for met in results.expectations:
            assert met.met == (met.value >= met.expectation.at_least)

    def test_what_is_expected_of_a_control_is_judged_by_the_controls_figures(
        self, studied: tuple[Study, Results]
    ) -> None:
        _, results = studied
        found = {c.name: c for c in results.conditions}

        def figure(measure: Any, under: str) -> float | None:
            asked = Expectation(measure, "it", 0.0, above=True, under=under)
            return measured(asked, results.pooled, results.follow, results.conditions)

        assert figure("lowest sum-sc", "no-lesson") == 0.0
        assert figure("lowest main-condition", "no-lesson") == -found["no-lesson"].difference.high
        assert figure("lowest main-condition", "answer-only") == -found["answer-only"].difference.high
        assert figure("auc", "answer-only") == found["answer-only"].auc
        assert figure("lowest sum-sc", "never-run") is None

    def test_where_answers_tell_all_a_lesson_without_rationale_is_no_evidence(
        self, studied: tuple[Study, Results]
    ) -> None:
        study, results = studied
        assert [len(i.evidence) for i in results.insights if i.name == "Rationale matters"] == [2]
        code = replace(study, plan=replace(study.plan, declared=STUDIES["code"]))
        first, *_ = analyse(code).insights
        assert first.name == "The lesson matters"
        assert [e.says for e in first.evidence] == ["whole lesson − no lesson"]


class TestPage:
    def test_a_missed_expectation_of_a_control_is_told_with_its_figures(
        self, studied: tuple[Study, Results]
    ) -> None:
        study, results = studied
        expected = Expectation("lowest sum-sc", "SUM gains unaided", 0.0, above=True, under="no-lesson")
        missed = replace(results, expectations=[Met(expected, 0.0, met=False)])
        text = render(study.plan, missed, {})
        assert re.search(
            r"^\| SUM gains unaided \| \+?0\.0 at its lower end \| \*\*missed\*\* \|", text, re.MULTILINE
        )
        assert "- no-lesson: SUM " in text

    def test_it_says_the_figures_of_the_runs(self, tmp_path: Path, studied: tuple[Study, Results]) -> None:
        study, results = studied
        text = write_page(study.plan, results, tmp_path).read_text(encoding="utf-8")
        found = results.pooled.table.differences[PRIMARY]
        assert f"| Primary: SUM − SC, equal samples | {100 * found.mean:+.1f} (" in text.replace("−0", "-0")
        for letter in "ab":
            for seed in (0, 1):
                assert f"| teacher {letter}, seed {seed} |" in text
        for group in ("head", "middle", "tail", "untaught"):
            assert re.search(rf"^\| {group} \|", text, re.MULTILINE)

    def test_what_should_fail_is_on_it_and_the_rest_is_called_exploratory(
        self, tmp_path: Path, studied: tuple[Study, Results]
    ) -> None:
        study, results = studied
        text = write_page(study.plan, results, tmp_path).read_text(encoding="utf-8")
        heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert heads[:2] == ["Primary and secondary comparison", "Groups"]
        assert all(h.startswith("Exploratory: ") for h in heads[2:-1])
        assert "Exploratory: a teacher that only slips" in heads
        assert "Exploratory: families never taught" in heads
        assert text.count("**missed**") == sum(not m.met for m in results.expectations)

    def test_its_plots_are_beside_it_and_stand_alone(
        self, tmp_path: Path, studied: tuple[Study, Results]
    ) -> None:
        from xml.etree import ElementTree

        study, results = studied
        text = write_page(study.plan, results, tmp_path).read_text(encoding="utf-8")
        named = set(re.findall(r"\]\((study-m1-[\w-]+\.svg)\)", text))
        assert named == {path.name for path in tmp_path.glob("*.svg")}
        assert len(named) >= 6
        for name in named:
            assert ElementTree.parse(tmp_path / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"

    def test_no_place_on_this_machine_is_on_it(self, tmp_path: Path, studied: tuple[Study, Results]) -> None:
        study, results = studied
        whole = results
        text = write_page(study.plan, whole, tmp_path).read_text(encoding="utf-8")
        assert str(study.folder) not in text

    def test_results_are_json(self, tmp_path: Path, studied: tuple[Study, Results]) -> None:
        _, results = studied
        write_results(results, tmp_path / "results.json")
        found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
        mean = found["pooled"]["table"]["differences"][PRIMARY]["mean"]
        assert mean == results.pooled.table.differences[PRIMARY].mean


class TestCommand:
    @pytest.fixture
    def slice_plan(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
        small = plan(
            tmp_path,
            quick=True,
            teachers={"a": "school:scripted-a"},
            slips=None,
            seeds=(0,),
            conditions=("no-lesson",),
        )
        install(monkeypatch)
        monkeypatch.setattr("docendo.cli.study.quick_plan", lambda declared: small)
        monkeypatch.chdir(tmp_path)
        return small

    def test_quick_is_a_slice_that_claims_nothing(
        self, slice_plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["study", "m1", "--quick", "--quiet", "--page", "pages"]) == 0
        assert "slice on tuning numbers" in capsys.readouterr().out
        out = tmp_path / "runs" / "study-m1-quick"
        text = (out / "study-m1.md").read_text(encoding="utf-8")
        assert text == (tmp_path / "pages" / "study-m1.md").read_text(encoding="utf-8")
        assert "A slice on tuning numbers" in text
        assert "Primary" not in text
        assert "| met |" not in text
        assert json.loads((out / "results.json").read_text(encoding="utf-8"))["expectations"] == []

    def test_it_says_which_run_it_is_at(self, slice_plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["study", "m1", "--quick"]) == 0
        said = capsys.readouterr().err
        assert "study 1/2 main-a-0" in said
        assert "study 2/2 explore-no-lesson" in said

    def test_missing_teachers_are_named_with_the_command_that_makes_them(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["study", "m1", "--schooling", str(tmp_path / "none"), "--out", str(tmp_path / "o")]) == 2
        said = capsys.readouterr().err
        assert "study-teacher-a, study-teacher-b, study-teacher-c, study-teacher-slips" in said
        assert f"python -m docendo.schoolhouse.schooling --study --out {tmp_path / 'none'}" in said
        assert not (tmp_path / "o").exists()

    def test_no_other_study_is_known(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(["study", "m9"])
        assert end.value.code == 2
        assert "m1" in capsys.readouterr().err


def test_headlines_never_claim_more_than_the_interval(studied: tuple[Study, Results]) -> None:
    study, results = studied
    lines = headlines(study.plan, results)
    found = results.pooled.table.differences[PRIMARY]
    assert ("ahead of SC at equal samples" in lines[0]) == (found.low > 0)
    assert sum(line.startswith(("met:", "MISSED:")) for line in lines) == len(results.expectations)
