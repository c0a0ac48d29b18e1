"""Written exams from the outside: scripted models write them and agree on golds, or do not, and a run goes by it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

import docendo
from docendo.cli import main
from docendo.errors import ConfigError, DataError, ModelError
from docendo.exams.guard import COPY, SHOWS, TWICE
from docendo.exams.write import CUT, DISAGREED, FAILED, TELLS, UNREAD, question_of
from docendo.models.scripted import ScriptedModel
from docendo.prompts import copy_style
from docendo.solve.forecast import forecast
from docendo.solve.run import planned
from docendo.types import Problem, Reply

TEACHER, STUDENT = "openai:teacher", "openai:student"
PLAN = {
    "teacher": TEACHER,
    "students": (STUDENT,),
    "exam_select": "written",
    "prompts": "chat",
    "lessons": 6,
    "repeats": 2,
    "gold_samples": 4,
    "equal_cost": False,
}
SECRET = "a secret word of the solution"


def problems(count=4):
    """The right answer is 10 more than the number; nothing says so but the gold."""
    return [
        Problem(f"p{i}", question(100 * i + 7, "apples"), str(100 * i + 17), solution=SECRET)
        for i in range(count)
    ]


def question(n, things):
    return f"A box of {things} has {n} in it and ten more are put in; how many {things} are there?"


def last(call):
    return call.prompt[-1][1]


def number(text):
    return int(re.findall(r"\d+", text)[-1])


def writes(call):
    """One new problem for each candidate."""
    return f"Here is one.\n\n**Problem:** {question(number(last(call)) + call.sample + 1, 'pears')}\n\nAnswer: hidden"


def teaches(call, write=writes, gold=lambda call: 10):
    """Two lessons of six are right; the majority adds 20. Golds are right."""
    if call.purpose == "write":
        return write(call)
    step = gold(call) if call.purpose == "gold" else (10 if call.sample in (1, 4) else 20)
    if call.purpose == "greedy":
        step = 20
    n = number(last(call))
    return f"add {step} to it.\nFinal answer: \\boxed{{{n + step}}}"


def follows(call):
    """Does what the lesson did."""
    lesson = next(text for role, text in call.prompt if role == "assistant")
    n, step = number(last(call)), number(lesson.partition(" to it")[0])
    return f"add {step} to it.\nFinal answer: \\boxed{{{n + step}}}"


def models(teacher=teaches, student=follows):
    return {
        TEACHER: ScriptedModel(TEACHER, teacher, parameters=1000),
        STUDENT: ScriptedModel(STUDENT, student, parameters=500),
    }


def asked(opened, purpose):
    return [call for model in opened.values() for call in model.seen if call.purpose == purpose]


def test_a_good_writer_gives_exams_by_which_a_wrong_majority_is_overturned(tmp_path):
    opened = models()
    run = docendo.solve(problems(), out=tmp_path / "r", models=opened, **PLAN)
    found = run.summary()
    assert found.overall.arms["sc"].accuracy.mean == 0
    assert found.overall.arms["sum"].accuracy.mean == 1
    assert (found.exams, found.abstained) == ({"written": 4}, 0)
    with run.view() as view:
        exam = view.exam_of("p2")
        assert [p.id for p in exam] == [f"p2~written-{i}" for i in range(3)]
        assert [p.answer for p in exam] == [str(number(p.question) + 10) for p in exam]
        assert {p.family for p in exam} == {None}
        assert exam[0].meta == {"written": True, "agreement": 1.0}
        assert view.problem_record("p2").exam.keys() == {p.id for p in exam}
    assert len(asked(opened, "write")) == 4 * 6
    assert len(asked(opened, "gold")) == 4 * 6 * 4
    # What it costs to have an exam is part of what SUM costs, and SC's does not know of it.
    usage = {item.purpose: item.usage.computed for item in run.bill().items}
    whole = 1000 * (usage["teach"] + usage["write"] + usage["gold"]) + 500 * usage["exam"]
    assert found.overall.arms["sum"].cost.cost == whole
    assert found.overall.arms["sc"].cost.cost == 1000 * usage["teach"]


def test_nobody_is_shown_the_answer_or_the_solution(tmp_path):
    opened = models()
    docendo.solve(problems(), out=tmp_path / "r", models=opened, **PLAN)
    for call in (*asked(opened, "write"), *asked(opened, "gold")):
        assert SECRET not in str(call.prompt)
    for call in asked(opened, "write"):
        assert not {p.answer for p in problems()} & set(re.findall(r"\d+", str(call.prompt)))
    # Without any gold the very same is asked, and the same is chosen.
    bare = [replace(p, answer=None, solution=None) for p in problems()]
    blind = models()
    run = docendo.solve(bare, out=tmp_path / "b", models=blind, **PLAN)
    keys = [{(c.request, c.sample) for m in each.values() for c in m.seen} for each in (opened, blind)]
    assert keys[0] == keys[1]
    assert run.answers() == {p.id: p.answer for p in problems()}


def awkward(call):
    """Of six candidates two are good; the others are each bad in another way."""
    n = number(last(call))
    return [
        f"Problem: {question(n, 'apples')}",
        f"Problem: Ann thought. {question(n, 'apples')} She wrote it down; what is twice that?",
        "I am sorry, but I cannot help with that.",
        f"Problem: {question(n + 1, 'pears')} The answer is {n + 11}.",
        Reply(f"Problem: {question(n + 2, 'pe')}", "length"),
        Reply("", "error", error="the server is at lunch", lasting=True),
        f"Problem: {question(n + 3, 'pears')}",
        f"Problem: {question(n + 3, 'pears')}",
        f"Problem: {question(n + 4, 'pears')}",
        "Problem:",
    ][call.sample]


def test_what_cannot_be_used_is_counted_and_survived(tmp_path):
    plan = PLAN | {"exam_problems": 5}
    run = docendo.solve(problems(2), out=tmp_path / "r", models=models(lambda c: teaches(c, awkward)), **plan)
    found = run.summary()
    assert run.complete
    assert found.excluded == {COPY: 2, SHOWS: 2, UNREAD: 4, TELLS: 2, CUT: 2, FAILED: 2, TWICE: 2}
    assert found.abstained == 2, "two of five are fewer than half"
    run = docendo.solve(
        problems(2),
        out=tmp_path / "s",
        models=models(lambda c: teaches(c, lambda c: awkward(replace(c, sample=c.sample + 4)))),
        **PLAN,
    )
    assert run.summary().abstained == 0, "two of three are enough"
    assert run.answers() == {p.id: p.answer for p in problems(2)}


@pytest.mark.parametrize("allocation", ["fixed", "adaptive"])
def test_without_agreement_there_is_no_exam_and_the_vote_decides(tmp_path, capsys, allocation):
    def torn(call):
        """For p0 and p1 three of four golds are the same; for the others two."""
        return 10 if call.sample < (3 if number(last(call)) < 200 else 2) else 11 + call.sample

    run = docendo.solve(
        problems(),
        out=tmp_path / "r",
        models=models(lambda c: teaches(c, gold=torn)),
        allocation=allocation,
        **PLAN,
    )
    answers = run.answers()
    assert [answers[f"p{i}"] for i in range(4)] == ["17", "117", "227", "327"]
    found = run.summary()
    assert found.abstained == found.json()["exams"]["abstained"] == 2
    assert found.excluded == {DISAGREED: 12}
    assert any("No exam for 2 of 4 problems" in line for line in found.exams_said())
    with run.view() as view:
        record = view.problem_record("p3")
        assert all(lesson.score is None for lesson in record.lessons)
        assert {row.choice.key for row in record.decisions} == {"n:327"}, "all rules go by the vote"
        assert view.exam_of("p0")[0].meta["agreement"] == 0.75
    main(["show", str(run.folder), "p3"])
    assert "no exam could be written" in capsys.readouterr().out
    main(["report", str(run.folder)])


def test_students_have_a_say_in_golds_where_they_are_asked(tmp_path):
    def doubts(call):
        return follows(call) if call.purpose == "exam" else "Final answer: \\boxed{1}"

    for by, abstained in (("teacher", 0), ("students", 0), ("all", 2)):
        opened = models(student=doubts)
        run = docendo.solve(problems(2), out=tmp_path / by, models=opened, gold_by=by, **PLAN)
        assert run.summary().abstained == abstained
        assert {c.model for c in asked(opened, "gold")} == {
            "teacher": {TEACHER},
            "students": {STUDENT},
            "all": {TEACHER, STUDENT},
        }[by]
    opened = models(student=lambda c: writes(c) if c.purpose == "write" else follows(c))
    docendo.solve(problems(2), out=tmp_path / "w", models=opened, exam_writer=STUDENT, **PLAN)
    assert {c.model for c in asked(opened, "write")} == {STUDENT}


def test_models_that_neither_teach_nor_learn_write_and_answer(tmp_path):
    writer, first, second = "openai:writer", "openai:first", "openai:second"
    others = {
        writer: ScriptedModel(writer, writes, parameters=10),
        first: ScriptedModel(first, teaches, parameters=20),
        second: ScriptedModel(second, teaches, parameters=30),
    }
    opened = models() | others
    plan = PLAN | {"exam_writer": writer, "gold_by": f"{first}, teacher,{second}"}
    run = docendo.solve(problems(2), out=tmp_path / "r", models=opened, **plan)
    assert run.answers() == {p.id: p.answer for p in problems(2)}
    assert {c.model for c in asked(opened, "write")} == {writer}
    assert {c.model for c in asked(opened, "gold")} == {first, TEACHER, second}
    usage = {(item.model, item.purpose): item.usage.computed for item in run.bill().items}
    whole = 1000 * (usage[TEACHER, "teach"] + usage[TEACHER, "gold"]) + 500 * usage[STUDENT, "exam"]
    whole += 10 * usage[writer, "write"] + 20 * usage[first, "gold"] + 30 * usage[second, "gold"]
    assert run.summary().overall.arms["sum"].cost.cost == whole
    again = docendo.resume(run.folder, models=opened)
    assert again.summary().json() == run.summary().json()
    settings, taught, pool, _ = planned(problems(2), None, None, None, plan)
    rows = {(row.model, row.purpose) for row in forecast(taught, pool, settings).rows}
    assert {(writer, "write"), (first, "gold"), (second, "gold")} <= rows


@pytest.mark.parametrize("cut", [9, 20, 45, 70])
def test_a_run_that_was_cut_asks_nothing_twice_and_ends_the_same(tmp_path, cut):
    calm = docendo.solve(problems(), out=tmp_path / "calm", models=models(), **PLAN)
    left = [cut]

    def dying(call):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("the machine is gone")
        return teaches(call)

    with pytest.raises(ModelError, match="the machine is gone"):
        docendo.solve(problems(), out=tmp_path / "r", models=models(dying), parallel=1, **PLAN)
    run = docendo.resume(tmp_path / "r", models=models())
    assert run.summary().json() == calm.summary().json()
    with run.view() as view, calm.view() as other:
        assert {row.call for row in view.calls()} == {row.call for row in other.calls()}
        recorded = {row.call: row.session for row in view.calls()}
        assert not [key for key, session in view.sent() if recorded[key] < session]
        assert list(view.selections()) == list(other.selections())
        assert {p.id: p for p in view.problems("exam")} == {p.id: p for p in other.problems("exam")}


@pytest.mark.parametrize("calls", [10, 25, 60])
def test_a_budget_that_ends_in_the_middle(tmp_path, calls):
    calm = docendo.solve(problems(), out=tmp_path / "calm", models=models(), **PLAN)
    opened = models()
    plan = PLAN | {"parallel": 1, "budget": f"{calls} calls"}
    run = docendo.solve(problems(), out=tmp_path / "r", models=opened, **plan)
    assert sum(len(model.seen) for model in opened.values()) == calls
    assert run.summary().abstained == 0, "what was cut short has abstained from nothing"
    with run.view() as view:
        assert len(list(view.selections())) == run.summary().problems
    if calls < 60:
        assert run.answers() == {"p0": "27"}, "provisionally, the vote's"
    run = docendo.resume(run.folder, models=models(), budget="")
    assert run.summary().json() == calm.summary().json()


def test_score_has_exams_written_for_lessons_that_exist(tmp_path):
    lessons = {
        p.id: [docendo.Example(p.question, f"add {s} to it.", str(number(p.question) + s)) for s in (20, 10)]
        for p in problems(2)
    }
    plan = {name: value for name, value in PLAN.items() if name != "lessons"}
    run = docendo.score(lessons, problems=problems(2), out=tmp_path / "r", models=models(), **plan)
    assert run.answers() == {p.id: p.answer for p in problems(2)}


def test_a_base_model_goes_on_with_the_problem(tmp_path):
    def goes_on(call):
        if call.purpose == "write":
            assert call.prompt.rstrip().endswith("Second problem:")
            n = number(call.prompt) + call.sample + 1
            return f" {question(n, 'pears')}\n\nFirst problem: {question(5, 'figs')}"
        n = number(call.prompt.rpartition("Problem:")[2])
        return f" add 10 to it.\nAnswer: {n + 10}"

    plan = PLAN | {"prompts": "completion"}
    run = docendo.solve(problems(1), out=tmp_path / "r", models=models(goes_on, goes_on), **plan)
    with run.view() as view:
        assert [p.question for p in view.exam_of("p0")] == [question(7 + i + 1, "pears") for i in range(3)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Problem: What is 2 + 3?", "What is 2 + 3?"),
        ("### New problem:\n\nWhat is\n2 + 3?\n\n**Solution:** 5", "What is\n2 + 3?"),
        ("The problem: 1 + 1?\nSo I take\n**Problem:** What is 2 + 3?\n---\nbye", "What is 2 + 3?"),
        ("Problem: What is 2 + 3?\nAnswer: 5", "What is 2 + 3?"),
        ("What is 2 + 3?", None),
        ("Problem:   \n", None),
        ("Problem: " + "x" * 5000, None),
        ("The hard problem of this: none", None),
        ("", None),
    ],
)
def test_a_question_is_read(text, found):
    assert question_of(text) == found


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"exam_writer": "other"}, "no model of this run"),
        ({"gold_by": "me"}, "none of teacher, students, all, and no model of this run"),
        ({"gold_by": "teacher, me"}, "'me' is none of"),
        ({"gold_agreement": 0.5}, "above 0.5"),
        ({"gold_samples": 1}, "at least 2"),
        ({"exam_score": "likelihood"}, "no worked solutions"),
        ({"exam_rule": "subject ="}, "come from no pool"),
        ({"students": ("school:student",), "prompts": "auto"}, "only the school's words"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(tmp_path, wrong, says):
    opened = models() | {"school:student": ScriptedModel("school:student", follows)}
    with pytest.raises(ConfigError, match=says):
        docendo.solve(problems(), out=tmp_path / "r", models=opened, **(PLAN | wrong))
    assert not (tmp_path / "r").exists()


def test_a_style_that_cannot_ask_for_problems_is_refused(tmp_path):
    copy_style("chat", tmp_path / "style")
    (tmp_path / "style" / "write.j2").unlink()
    plan = PLAN | {"prompts": str(tmp_path / "style")}
    with pytest.raises(ConfigError, match=r"has no write\.j2"):
        docendo.solve(problems(), out=tmp_path / "r", models=models(), **plan)
    assert not (tmp_path / "r").exists()


def test_programming_problems_are_refused(tmp_path):
    code = Problem("c", "Write f.", kind="code", meta={"visible": [{"assert": "f()"}]})
    with pytest.raises(DataError, match="programming"):
        docendo.solve([code], out=tmp_path / "r", models=models(), **PLAN)
    assert not (tmp_path / "r").exists()


def test_a_dry_run_counts_what_is_then_asked(tmp_path):
    plan, taught, pool, _ = planned(problems(), None, None, None, PLAN)
    said = {row.purpose: row for row in forecast(taught, pool, plan).rows}
    opened = models()
    docendo.solve(problems(), out=tmp_path / "r", models=opened, **PLAN)
    for purpose in ("write", "gold"):
        assert said[purpose].calls.likely == said[purpose].calls.high == len(asked(opened, purpose))
    assert json.dumps(forecast(taught, pool, plan).json())
