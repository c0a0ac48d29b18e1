"""Without a task, `docendo refine` improves examples for one of the school's, with what ships."""

from __future__ import annotations

from docendo.models.resolve import shipped
from docendo.refine.config import SCHOOL, planned
from docendo.refine.run import refine, resume
from docendo.store import Store


def test_the_school_is_the_default_and_every_setting_can_be_said_otherwise():
    plan = planned(None, None, None, None, None, {})
    assert {plan.settings.teacher, *plan.settings.students} <= {f"school:{name}" for name in shipped()}
    assert plan.how.search == "propose"
    assert len(plan.task.labels) == 2
    mine = planned(None, None, None, None, None, {"students": ("school:verbal-student-2",), "rounds": 2})
    assert mine.settings.students == ("school:verbal-student-2",)
    assert mine.how.rounds == 2
    assert mine.settings.teacher == SCHOOL["teacher"]
    other = planned("school:verbal/v1-01-1", None, None, None, None, {})
    assert (other.how.search, other.settings.teacher) == ("propose", SCHOOL["teacher"])
    assert other.task.name != plan.task.name


def test_a_short_run_of_the_school_ends_with_a_set_that_its_students_were_examined_on(tmp_path):
    run = refine(
        out=tmp_path / "run", rounds=1, minibatch=4, starts=2, validation_size=8, test_size=8, bare=False
    )
    summary = run.summary()
    assert summary.complete
    best = run.best()
    assert best is not None
    assert len(best.examples) == 6
    assert {e.answer for e in best.examples} == {"yes", "no"}
    assert all(e.rationale.endswith(".") for e in best.examples)


def test_a_run_of_models_that_compute_batches_goes_on_where_it_was_cut(tmp_path):
    small = {"rounds": 2, "validation_size": 8, "test_size": 8, "seed": 1}
    whole = refine(out=tmp_path / "whole", **small).summary()
    with Store.read(tmp_path / "whole") as view:
        calls = sum(1 for _ in view.calls())
    cut = refine(out=tmp_path / "cut", budget=f"{calls // 2} calls", **small)
    assert not cut.summary().complete
    again = resume(cut.folder, budget="").summary()
    assert again.state.rounds == whole.state.rounds
    assert again.rounds[-1].readouts == whole.rounds[-1].readouts
