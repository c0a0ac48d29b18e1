"""Runs with a folder: everything is stored, a run goes on after any cut, and is shown from its store."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from colours import models, task, teaching

from docendo.errors import ConfigError, StoreError
from docendo.models.budget import Budget
from docendo.refine.record import state_of, task_of
from docendo.refine.run import Refinement, refine, resume
from docendo.refine.walk import BARE
from docendo.store import Store
from docendo.types import Call

SMALL = {"examples": 6, "rounds": 3, "beam": 2, "minibatch": 16, "reflections": 2, "failures": 3}


def begin(folder: Path, **more: object) -> Refinement:
    made = more.pop("models", None) or models()
    students = [name for name in made if name != "teacher"]
    return refine(task(), out=folder, models=made, teacher="teacher", students=students, **(SMALL | more))


def figures(run: Refinement) -> dict:
    """All of a summary that does not tell the time."""
    found = run.summary().json()
    for each in found["rounds"]:
        each.pop("seconds")
    return found


def test_everything_is_in_the_folder(tmp_path: Path) -> None:
    made = models()
    run = begin(tmp_path / "run", models=made)
    with run.view() as view:
        assert view.info.kind == "refine"
        assert task_of(view) == task()
        asked = {(c.request, c.sample) for model in made.values() for c in model.seen}
        assert {c.call for c in view.calls()} == asked
        for row in (*view.reflections(), *view.rejections()):
            assert row.call in asked
        for answer in view.round_answers():
            assert (answer.request, answer.repeat) in asked
        state = state_of(view, task(), texts=True)
    rewritten = [c for r in state.rounds for c in r.candidates if c.how == "rewritten"]
    assert rewritten
    assert all(c.call in asked for c in rewritten)
    for each in state.rounds:
        for reflection in each.reflections:
            assert reflection.text.startswith("The students have not seen")
            assert all(f.rationale.startswith("The colour is") for f in reflection.failures)


def test_a_summary_says_what_was_gained_on_problems_that_nothing_was_chosen_on(tmp_path: Path) -> None:
    summary = begin(tmp_path / "run").summary()
    assert summary.complete
    assert [r.number for r in summary.rounds] == [0, 1, 2, 3]
    assert [r.model for r in summary.rounds[-1].readouts] == ["student1", "teacher"]
    gain = summary.changes["students"]
    assert gain.accuracy.low is not None
    assert gain.f1 is not None
    first, last = (summary.rounds[i].readouts[0].accuracy.mean for i in (0, -1))
    assert gain.accuracy.mean == pytest.approx(last - first)
    assert {r.model for r in summary.bare} == {"student1", "teacher"}
    assert summary.bare[0].accuracy.n == len(summary.task.test)
    assert summary.best == summary.candidates[summary.rounds[-1].best].lesson
    assert BARE.id in summary.candidates


def test_every_interval_resamples_clusters(tmp_path: Path) -> None:
    whole = task()
    halves = {p.id: i % 8 for part in ("validation", "test") for i, p in enumerate(whole.part(part))}
    clustered = replace(
        whole,
        **{
            part: tuple(replace(p, cluster=f"{part} {halves[p.id]}") for p in whole.part(part))
            for part in ("validation", "test")
        },
    )
    summary = refine(
        clustered,
        out=tmp_path / "run",
        models=models(),
        teacher="teacher",
        students=["student1"],
        **(SMALL | {"rounds": 1}),
    ).summary()
    assert {r.validation.clusters for r in summary.rounds} == {8}
    assert {r.accuracy.clusters for each in summary.rounds for r in each.readouts} == {8}


@pytest.mark.parametrize("search", ["reflect", "sample"])
def test_rounds_tell_of_every_call(tmp_path: Path, search: str) -> None:
    """Those by which the teacher works the training problems, too; and a run that goes on tells the same."""
    how = {"rounds": 2, "search": search, "rationales": "teacher"}
    run = begin(tmp_path / "run", **how)
    counted = [r.calls for r in run.summary().rounds]
    assert sum(counted) == sum(item.calls for item in run.bill().items)
    begin(tmp_path / "cut", **how, budget=f"{counted[0] + counted[1]} calls")
    again = resume(tmp_path / "cut", models=models(), budget="")
    assert [r.calls for r in again.summary().rounds] == counted


class Cut(Exception):
    """Stands for a kill: nothing after it is done."""


@pytest.mark.parametrize("batched", [False, True])
def test_a_run_that_breaks_at_any_call_goes_on_and_ends_the_same(tmp_path: Path, batched: bool) -> None:
    whole = begin(tmp_path / "whole", models=models(batched=batched), rounds=2)
    with whole.view() as view:
        total = sum(1 for _ in view.calls())
    expected = figures(whole)
    for number, at in enumerate((1, total - 150)):
        folder = tmp_path / f"cut{number}"
        count = Counter()

        def breaking(call: Call, at: int = at, count: Counter = count) -> str:
            count["calls"] += 1
            if count["calls"] > at:
                raise Cut
            return teaching(call)

        with pytest.raises(Exception, match="stopped working"):
            begin(folder, models=models(breaking, breaking, batched=batched), rounds=2)
        with Store.read(folder) as view:
            before = {c.call for c in view.calls()}
        made = models(batched=batched)
        again = resume(folder, models=made)
        seen = [(c.request, c.sample) for model in made.values() for c in model.seen]
        assert not before & set(seen)
        assert figures(again) == expected
        with again.view() as view:
            assert sum(1 for _ in view.calls()) == total


def test_a_budget_ends_a_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    whole = figures(begin(tmp_path / "whole"))
    run = begin(tmp_path / "run", budget="700 calls")
    summary = run.summary()
    assert 0 < len(summary.rounds) < 4
    assert not summary.complete
    assert summary.stopped == "the budget of 700 calls is used up"
    assert run.best() is not None
    assert figures(resume(tmp_path / "run", models=models(), budget="")) == whole


def test_a_stop_condition_may_leave_nothing(tmp_path: Path) -> None:
    run = refine(
        task(),
        out=tmp_path / "run",
        models=models(),
        teacher="teacher",
        students=["student1"],
        stop=Budget(calls=3),
        **SMALL,
    )
    assert run.best() is None
    assert not run.summary().rounds


def test_what_cannot_be_done_is_said_before_there_is_a_folder(tmp_path: Path) -> None:
    for settings, said in (
        ({"search": "guess"}, "there is no 'guess'"),
        ({"mix": 9}, "cannot be mixed"),
        ({"prompts": "school", "search": "reflect"}, "has no reflect.j2"),
        ({"examples": 60, "start": "train"}, "too few for sets of 60"),
        ({"lessons": 3}, "unknown setting 'lessons'"),
    ):
        with pytest.raises(ConfigError, match=said):
            refine(
                task(),
                out=tmp_path / "run",
                models=models(),
                teacher="teacher",
                students=["student1"],
                **(SMALL | settings),
            )
        assert not (tmp_path / "run").exists()


def test_other_runs_are_not_gone_on_with(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    from docendo.solve.run import resume as resume_solve

    with pytest.raises(ConfigError, match="docendo refine --resume"):
        resume_solve(tmp_path / "run")
    with pytest.raises(StoreError):
        resume(tmp_path / "nothing")
