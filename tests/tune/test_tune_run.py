"""A whole tuning: stages that are there are kept, and what came of it is compared before and after."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import docendo
from docendo.errors import ConfigError, DataError, StoreError
from docendo.models.resolve import SHIPPED
from docendo.solve.config import configured
from docendo.solve.plan import Settings
from docendo.solve.work import Around
from docendo.store import Store
from docendo.tune.evaluate import compare, evaluate, right
from docendo.tune.page import write_pages
from docendo.tune.plan import Plan, TuneSettings, recast
from docendo.tune.run import go_on, tune
from docendo.tune.train import Step, Trained

TRAINING = {"steps": 2, "batch": 8, "rate": 1e-4, "evaluate_every": 0, "threads": 1, "device": "cpu"}


def few(path: Path, count: int, skip: int = 0) -> str:
    """A file with some problems of the school."""
    rows = [
        {"id": p.id, "question": p.question, "answer": p.answer, "family": p.family, "cluster": p.cluster}
        for p in docendo.load_problems("school:m1-dev", limit=skip + count)[skip:]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


# --- without training ---------------------------------------------------------------------------------------


def test_pairs_and_sets_of_a_run_without_any_extra(school_run: Path, tmp_path: Path) -> None:
    found = tune(school_run, how={"train": False, "export": ["preference", "grpo"]}, out=tmp_path / "t")
    (done,) = found.rounds
    assert [path.name for path in done.exports] == [
        f"{form}.{part}.jsonl" for form in ("preference", "grpo") for part in ("train", "validation")
    ]
    assert found.teacher is None
    assert found.best is None
    assert json.loads((tmp_path / "t" / "result.json").read_text()) == found.json()
    assert go_on(tmp_path / "t") == found, "what is there is read and not made again"


def test_parquet_that_cannot_be_written_is_told_before_anything_is(
    school_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    how = {"train": False, "export": ["kto"], "export_file": "parquet"}
    with pytest.raises(ConfigError, match="hub"):
        tune(school_run, how=how, out=tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_the_page_shows_what_was_kept_and_why_the_rest_was_not(school_run: Path, tmp_path: Path) -> None:
    found = tune(school_run, how={"train": False}, out=tmp_path / "t")
    page = write_pages(found).read_text(encoding="utf-8")
    pairs = found.rounds[0].pairs
    assert f"{len(pairs.train)} pairs to train on" in page
    for reason, count in pairs.pairs.items():
        assert reason in page
        assert f"{count:,}" in page
    assert pairs.train[0].chosen.text.splitlines()[0].strip() in page
    assert "<script" not in page
    assert "http" not in page.split("<style>")[0].replace("http-equiv", "")
    assert write_pages(found).read_text(encoding="utf-8") == page


def test_texts_of_models_are_not_markup(tmp_path: Path, school_run: Path) -> None:
    found = tune(school_run, how={"train": False}, out=tmp_path / "t")
    pairs = json.loads((tmp_path / "t" / "pairs.json").read_text())
    for pair in pairs["train"]:
        pair["chosen"]["text"] = "<script>alert(1)</script>\ud800"
    (tmp_path / "t" / "pairs.json").write_text(json.dumps(pairs))
    page = write_pages(go_on(found.folder)).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_folder_with_another_tuning_or_anything_else_is_left_alone(
    school_run: Path, tmp_path: Path
) -> None:
    tune(school_run, how={"train": False}, out=tmp_path / "t")
    with pytest.raises(StoreError, match="another tuning in this folder"):
        tune(school_run, how={"train": False, "pairs": {"lam": 1.0}}, out=tmp_path / "t")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"not empty .it holds 'thesis\.tex'"):
        tune(school_run, how={"train": False}, out=tmp_path / "mine")
    with pytest.raises(StoreError, match="not a tuning"):
        go_on(tmp_path / "mine")


def test_an_empty_set_of_pairs_leaves_nothing_behind(school_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="closer than the luck of the exams explains"):
        tune(school_run, how={"train": False, "pairs": {"noise": 100.0}}, out=tmp_path / "t")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"export": ["dpo"]}, "there is none named 'dpo'"),
        ({"pairs": {"margn": 1}}, "unknown setting 'margn'; did you mean margin"),
        ({"training": {"rate": "fast"}}, "rate: 'fast' is not of type float"),
        ({"training": {"steps": True}}, "steps: True is not of type"),
        ({"rounds": 0}, "rounds: 0 is too small"),
        ({"train": False, "held_out": "school:m1"}, "without training there is nothing to compare"),
        ({"test_m1": True}, "name the problems to compare on"),
    ],
)
def test_senseless_plans_are_refused(how: dict[str, object], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        tune(how=how, out=tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_runs_and_problems_are_two_ways_to_say_what_is_learnt_from(school_run: Path) -> None:
    with pytest.raises(ConfigError, match="one or the other"):
        tune(school_run, problems="school:m1")


def test_a_plan_comes_back_from_its_folder(tmp_path: Path) -> None:
    how = TuneSettings.of(
        {"rounds": 3, "export": "kto", "pairs": {"lam": 1}, "training": {"lora": 8, "steps": None}}
    )
    plan = Plan((), Settings(lessons=5), how, "school:m1", None, 7)
    plan.write(tmp_path / "t")
    assert Plan.read(tmp_path / "t") == plan
    plan.write(tmp_path / "t")


def test_a_configuration_file_may_say_how_to_tune(tmp_path: Path) -> None:
    file = tmp_path / "m2.toml"
    held = few(tmp_path / "held.jsonl", 3)
    file.write_text(
        'problems = "school:m1"\nlessons = 5\n[tune]\nheld_out = "./held.jsonl"\nrounds = 2\n'
        "[tune.pairs]\nlam = 1.0\n[tune.training]\nlora = 8\nbatch = 4\n"
    )
    from docendo.tune.run import plan_of

    plan = plan_of((), {"training": {"batch": 32}}, None, None, None, file, {})
    assert (plan.how.rounds, plan.how.pairs.lam, plan.how.training.lora, plan.how.training.batch) == (
        2,
        1.0,
        8,
        32,
    )
    assert Path(plan.how.held_out).samefile(held)
    assert plan.teach.lessons == 5
    file.write_text("[tune]\nround = 2\n")
    with pytest.raises(ConfigError, match="unknown setting 'round'; did you mean rounds"):
        plan_of((), None, None, None, None, file, {})


def test_before_and_after_are_compared_over_the_same_problems(school_run: Path, tmp_path: Path) -> None:
    run = docendo.solve(
        "school:m1", limit=6, out=tmp_path / "r", lessons=8, repeats=1, equal_cost=False, seed=5
    )
    changes = compare(right(school_run), right(run.folder))
    assert [change.rule for change in changes] == ["greedy", "mean", "sc"]
    for change in changes:
        assert change.difference.n == 6
        assert change.before.mean is not None
        assert change.after.mean is not None
        assert change.difference.mean == pytest.approx(change.after.mean - change.before.mean)
    assert changes[0].difference.mean == 0, "greedy decoding is the same, whatever the seed"


def test_settings_are_recast_with_their_models() -> None:
    plan = Settings(lessons=5, seed=3)
    tuned = docendo.ModelSpec(model="school:student-2", temperature=0.3)
    found = recast(plan, teacher=tuned, students=[tuned, plan.spec("school:student")])
    assert (found.lessons, found.seed) == (5, 3)
    assert found.spec(found.teacher).temperature == 0.3
    assert [found.spec(name).model for name in found.students] == ["school:student-2", "school:student"]


def test_settings_that_are_recast_keep_the_models_that_write_exams(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    models = {name: f'model = "openai:{name}"\nbase_url = "http://127.0.0.1:1/v1"\n' for name in "tsw"}
    file.write_text(
        'exam_select = "written"\nexam_writer = "w"\ngold_by = "w, t"\n'
        f'[teacher]\nname = "t"\n{models["t"]}[[students]]\nname = "s"\n{models["s"]}'
        f'[[others]]\nname = "w"\n{models["w"]}'
    )
    plan = configured(file, {}).settings
    found = recast(plan, teacher=docendo.ModelSpec(model="school:student-2"))
    assert found.spec(found.teacher).model == "school:student-2"
    assert [found.spec(name) for name in (found.writer, *found.gold_models)] == [
        plan.spec(name) for name in ("w", "w", "t")
    ]
    assert found.spec(found.students[0]) == plan.spec("s")


# --- whole --------------------------------------------------------------------------------------------------


class Cut(Exception):
    pass


class CutTeaching:
    """Cuts a run when its third problem is finished."""

    def __init__(self) -> None:
        self.done = 0

    def started(self, folder: Path, total: int, done: int, *rest: object) -> None:
        self.before = done

    def stage(self, problem: object, stage: object) -> None:
        pass

    def finished(self, solved: object) -> None:
        self.done += 1
        if self.done == 3:
            raise Cut


class Cutting:
    """Cuts a tuning in the training of its second round, or while it teaches."""

    def __init__(self, teaching: CutTeaching | None = None) -> None:
        self.steps: list[Step] = []
        self.teaching = teaching

    def stage(self, title: str) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext(self.teaching)

    def paired(self, pairs: object) -> None:
        pass

    def trained(self, step: Step) -> None:
        self.steps.append(step)
        if len(self.steps) == 4:
            raise Cut


def test_a_cut_while_it_teaches_costs_what_was_not_recorded(tmp_path: Path) -> None:
    said = {"problems": "school:m1-dev", "limit": 8, "lessons": 6, "repeats": 1, "parallel": 2}
    whole = tune(how={"train": False}, out=tmp_path / "whole", **said)
    with pytest.raises(Cut):
        tune(how={"train": False}, out=tmp_path / "cut", watch=Cutting(CutTeaching()), **said)
    with Store.read(tmp_path / "cut" / "run") as view:
        assert 3 <= len(view.done_ids()) < 8
        recorded = {row.call for row in view.calls()}
    found = go_on(tmp_path / "cut")
    with Store.read(tmp_path / "cut" / "run") as view:
        calls = [row.call for row in view.calls()]
        again = {row.call for row in view.calls() if row.session == 1}
    assert len(calls) == len(set(calls))
    assert recorded == again, "what was recorded before the cut was not asked again"
    kept, uncut = found.rounds[0].pairs, whole.rounds[0].pairs
    assert [replace(pair, run="") for pair in kept.train] == [replace(pair, run="") for pair in uncut.train]


def test_rounds_go_on_from_the_best_and_a_cut_changes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="the extra train is not installed")
    held, test = few(tmp_path / "held.jsonl", 6), few(tmp_path / "test.jsonl", 6, skip=6)
    how = {
        "rounds": 2,
        "earlier_students": True,
        "held_out": held,
        "test": test,
        "test_samples": 2,
        "training": TRAINING,
    }
    said = {"problems": "school:m1-dev", "limit": 10, "lessons": 8, "repeats": 1, "exam_problems": 2}
    watch = Cutting()
    with pytest.raises(Cut):
        tune(how=how, out=tmp_path / "t", watch=watch, **said)
    assert not (tmp_path / "t" / "result.json").exists()
    again = Cutting()
    found = go_on(tmp_path / "t", again)
    assert [step.step for step in again.steps] == [2], "of the second training the second step was cut"
    first, second = found.rounds
    assert first.trained is not None
    assert second.trained is not None
    with Store.read(second.runs[0]) as view:
        assert view.info.parent == first.runs[0]
        settings = view.config["settings"]
    # The second round teaches with the first one's teacher, if that was better on the held-out problems.
    mean = next(change for change in first.held_out if change.rule == "mean")
    assert mean.difference.mean is not None
    better = mean.difference.mean > 0
    assert settings["teacher"] == (first.trained.spec if better else "school:teacher")
    assert settings["students"] == ["school:student", first.trained.spec]
    assert settings["seed"] == 1
    if found.best:
        assert found.teacher == found.rounds[found.best - 1].trained.spec  # type: ignore[union-attr]
        (tested,) = found.tests
        assert {change.rule for change in tested.alone} == {"greedy", "mean", "sc"}
        assert {change.difference.n for change in tested.alone} == {6}
    else:
        assert any("no round was better" in note for note in found.notes)
    assert "Round 2" in write_pages(found).read_text(encoding="utf-8")
    assert go_on(tmp_path / "t").json() == found.json()


def test_a_tuned_teacher_is_compared_alone_and_in_m1(school_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="the extra train is not installed")
    test = few(tmp_path / "test.jsonl", 4)
    how = {"test": test, "test_samples": 2, "test_m1": True, "training": TRAINING | {"steps": 1}}
    found = tune(school_run, how=how, exams="school:m1-dev-exams", out=tmp_path / "t", lessons=2, repeats=1)
    (tested,) = found.tests
    assert found.best == 1
    assert {change.rule for change in tested.m1} >= {"greedy", "mean", "sc", "sum"}
    assert found.teacher == f"school:{tmp_path / 't' / 'training' / 'model'}"


def test_a_set_to_compare_on_that_was_taught_is_told(
    school_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained here: another model of the school stands in for the tuned one."""
    made = Trained(tmp_path, SHIPPED / "student-2", "school", 1, 1, 1, 0, 0, 1, 1.0)
    here = sys.modules[tune.__module__]  # by name `docendo.tune` is the function
    monkeypatch.setattr(here, "train", lambda *arguments: made)
    monkeypatch.setattr(here, "check_extra", lambda: None)
    with Store.read(school_run) as view:
        taught = list(view.problems())[:2]
    new = docendo.load_problems("school:m2-dev", limit=3)
    mixed, apart = tmp_path / "mixed.jsonl", tmp_path / "apart.jsonl"
    for path, own in ((mixed, [*taught, *new]), (apart, new)):
        rows = [{"id": f"x{i}", "question": f" {p.question}", "answer": p.answer} for i, p in enumerate(own)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    how = {"test": [str(mixed), str(apart)], "test_samples": 1}
    found = tune(school_run, how=how, out=tmp_path / "t")
    said = [note for note in found.notes if "also taught" in note]
    assert len(said) == 1
    assert said[0].startswith(f"2 of the 5 problems of {mixed} ")


def test_a_teacher_alone_is_a_run_like_any_other_that_says_so(school_run: Path, tmp_path: Path) -> None:
    problems = docendo.load_problems("school:m1-dev", limit=3)
    with Store.read(school_run) as view:
        plan = Settings.of(view.config["settings"])
    run = evaluate(plan, plan.spec("school:student-2"), problems, tmp_path / "e", Around(), 2)
    assert run.complete
    assert run.summary().exams_said() == [
        "No exams: the teacher was asked alone, so that MAX, SUM and AVG are the vote."
    ]
    with run.view() as view:
        assert {total.purpose for total in view.totals()} == {"greedy", "teach"}
    unknown = [replace(problem, answer=None) for problem in problems]
    with pytest.raises(DataError, match="no problem to compare on has a gold answer"):
        evaluate(plan, plan.spec("school:student-2"), unknown, tmp_path / "u", Around(), 2)
    assert not (tmp_path / "u").exists()
