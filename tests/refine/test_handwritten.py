"""The reflecting path end to end, on replies written by hand as a capable teacher would give them."""

from __future__ import annotations

import pytest
from handwritten import HALF, PROPOSED, REFLECTION, REFUSED, REWRITTEN, models, task

from docendo.refine.run import Refinement, refine
from docendo.report import write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Refinement:
    return refine(
        task(),
        out=tmp_path_factory.mktemp("runs") / "council",
        models=models(),
        teacher="teacher",
        students=["trusting", "sceptic"],
        examples=4,
        rounds=2,
        beam=2,
        starts=1,
        minibatch=8,
        reflections=1,
        rewrites=3,
    )


def test_the_set_after_the_reflection_wins_and_its_students_learn(run: Refinement) -> None:
    summary = run.summary()
    best = summary.candidates[summary.rounds[-1].best]
    assert best.round == 1
    assert [e.answer for e in best.lesson.examples] == ["yes", "no", "yes", "no"]
    assert (
        best.lesson.examples[0].question
        == "Statement: Exactly 7,311 raindrops fell on the stage.\nOffice: clerk"
    )
    assert "False precision" in best.lesson.examples[0].rationale
    for each in summary.rounds[-1].readouts:
        assert each.accuracy.mean == 1.0
    before = {r.model: r.accuracy.mean for r in summary.rounds[0].readouts}
    assert before["trusting"] < before["sceptic"] < 1.0
    assert summary.changes["teacher"].accuracy.mean > 0


def test_the_teacher_read_what_both_students_got_wrong_and_why(run: Refinement) -> None:
    with run.view() as view:
        (reflection,) = (r for r in view.reflections() if r.round == 1)
        prompt = view.prompt(reflection.call)
        assert view.recorded([reflection.call])[reflection.call].text == REFLECTION
        asked = prompt[1][1]
        rewriting = view.prompt(next(s for s in view.sets() if s.how == "rewritten").call)[1][1]
    assert {f[0] for f in reflection.failures} == {"trusting", "sceptic"}
    for failure in reflection.failures:
        assert failure[2] == "no"
    assert "The student's reasoning: The speaker holds an office and sounds sure of it." in asked
    assert "The minutes show that this member missed two." in asked
    assert "**False precision.**" in rewriting


def test_what_was_of_no_use_is_counted(run: Refinement) -> None:
    summary = run.summary()
    rejected = [dict(r.rejected) for r in summary.rounds]
    assert rejected[0] == {}
    assert rejected[1] == {"refused": 1}
    assert set(rejected[2]) <= {"unreadable", "seen before"}
    texts = {PROPOSED, REWRITTEN, HALF, REFUSED}
    with run.view() as view:
        recorded = {r.text for r in view.recorded([c.call for c in view.calls()]).values()}
    assert texts <= recorded


def test_the_page_tells_the_story(run: Refinement) -> None:
    text = write_report(run.folder).read_text(encoding="utf-8")
    assert "None of the examples shows either" in text
    assert "right with this set" in text
    assert "refused" in text
