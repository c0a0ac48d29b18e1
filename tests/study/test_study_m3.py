"""The study of M3: every walk is recorded and gone on with, figures are what the walks say, and the page tells them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from docendo.errors import StoreError
from docendo.study.m3 import analyse, page, run
from docendo.study.m3.plan import FULL, QUICK, REFINING, STUDENTS, TEACHER
from docendo.study.words import verdict
from docendo.types import Example, Lesson

GOLDS = ["yes", "no"] * 4


def walk(arm, task, seed, wrong_by_round):
    """A walk whose every reader is wrong on the first so many problems of each round."""
    readers = (*arm.students, *(() if TEACHER in arm.students else (TEACHER,)))

    def said(wrong):
        turned = ["no" if gold == "yes" else "yes" for gold in GOLDS[:wrong]]
        return {reader: [*turned, *GOLDS[wrong:]] for reader in readers}

    return run.Walk(
        arm=arm.name,
        task=task,
        seed=seed,
        golds=GOLDS,
        rounds=[said(wrong) for wrong in wrong_by_round],
        controls={"none": said(4), "turned": said(8), "told": said(0)},
        best=[f"set {wrong}" for wrong in wrong_by_round],
        found=["proposed"] * len(wrong_by_round),
        calls={"exam": 10, "propose": 2},
        rejected={"unbalanced": 1},
    )


def done(wrong_by_round):
    plan = replace(
        FULL, tasks=FULL.tasks[:12], seeds=(0, 1), settings={**REFINING, "rounds": len(wrong_by_round) - 1}
    )
    walks = [
        walk(
            arm,
            task,
            seed,
            wrong_by_round if arm.name == "several" else wrong_by_round[:1] * len(wrong_by_round),
        )
        for arm in plan.arms
        for task in plan.tasks
        for seed in plan.seeds
    ]
    return run.Done(plan, walks)


def test_figures_are_those_of_the_answers():
    results = analyse.analyse(done([4, 2, 1]))
    main = next(line for line in results.lines if (line.arm, line.reader) == ("several", "students"))
    assert [i.mean for i in main.rounds["accuracy"]] == [4 / 8, 6 / 8, 7 / 8]
    # One wrong answer of eight, to a problem whose answer is yes: of four, three are found, and none too many.
    assert main.rounds["F1"][-1].mean == pytest.approx(2 * 3 / (2 * 3 + 1))
    assert main.change["F1"] == results.primary
    assert results.primary.mean == pytest.approx(6 / 7 - 1 / 2)
    assert verdict(results.primary) == "shown"
    assert main.controls["turned"]["accuracy"].mean == 0
    assert {d.other for d in results.differences} == {"one", "teacher", "random"}
    assert all(d.by["accuracy"].mean == pytest.approx(3 / 8) for d in results.differences)
    # Random search asks as much every round, 12 calls over three rounds, and the first arm 12 in all.
    assert results.equal is not None
    assert (results.equal.round, results.equal.calls, results.equal.first) == (2, 12, 12)


def test_a_null_is_told_as_one(tmp_path):
    found = done([3, 3])
    results = analyse.analyse(found)
    text = page.write_page(found.plan, results, str(tmp_path)).read_text()
    assert verdict(results.primary) == "not shown"
    assert "Verdict: not shown." in text
    assert text.count("| not met |") == 4
    assert "several, read by students" in text
    assert (tmp_path / "study-m3-rounds.svg").read_text().startswith("<svg ")
    assert "\\" not in "".join(page.headlines(found.plan, results))
    page.write_results(results, tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text())["primary"]["mean"] == 0


def test_exchanged_labels():
    lesson = Lesson((Example("a", "x", "yes"), Example("b", "y", "no")))
    assert [e.answer for e in run.flipped(lesson, ("no", "yes")).examples] == ["no", "yes"]


def test_the_study_is_over_tasks_that_nothing_was_chosen_on_and_every_task_has_a_cluster_of_its_own():
    assert not {*FULL.tasks} & {*QUICK.tasks}
    clusters = [id.rpartition("-")[0] for id in FULL.tasks]
    assert len(set(clusters)) == len(FULL.tasks) >= 20
    assert len(FULL.seeds) >= 5
    assert FULL.rounds >= 5
    assert {len(arm.students) for arm in FULL.arms if arm.name != "random"} == {1, 2}


def test_a_small_study_runs_on_what_ships_and_goes_on_where_it_was_cut(tmp_path):
    arms = tuple(arm for arm in QUICK.arms if arm.name in ("several", "random"))
    settings = {**REFINING, "rounds": 1, "minibatch": 4, "starts": 2}
    plan = replace(QUICK, tasks=QUICK.tasks[:1], arms=arms, settings=settings, validation=4, test=6)
    whole = run.run_study(plan, tmp_path)
    assert [w.arm for w in whole.walks] == ["several", "random"]
    for walked in whole.walks:
        assert len(walked.rounds) == 2
        assert set(walked.rounds[0]) == {*STUDENTS, TEACHER}
        assert all(len(said) == 6 for said in walked.rounds[0].values())
    assert whole.walks[1].calls["worked"] > 0
    told = whole.walks[0].controls["told"][STUDENTS[0]]
    assert sum(a == b for a, b in zip(told, whole.walks[0].golds, strict=True)) >= 5
    lines = (tmp_path / run.FILE).read_text().splitlines(keepends=True)
    (tmp_path / run.FILE).write_text(lines[0] + lines[1][:30])  # a kill in the middle of a line
    again = run.run_study(plan, tmp_path)
    assert again.walks == whole.walks
    assert analyse.analyse(again).walks == 2
    with pytest.raises(StoreError, match="another plan"):
        run.run_study(replace(plan, test=5), tmp_path)
