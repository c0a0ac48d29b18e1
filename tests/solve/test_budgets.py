"""A run under a budget: it stops asking, keeps what was paid for, says so, and can be gone on with."""

from __future__ import annotations

import pytest

import docendo
from docendo.errors import ConfigError
from docendo.models.scripted import ScriptedModel
from docendo.models.spec import ModelSpec, Prices
from docendo.types import Problem

TEACHER, STUDENT = "school:teacher", "school:student"
PLAN = {"lessons": 6, "equal_cost": False, "parallel": 1}


def problems(count=8):
    return [Problem(f"p{i}", f"number {i}?", str(i + 10), family="f") for i in range(count)]


def add(call):
    n = int(call.prompt.removesuffix("Working:").rstrip().rstrip("?").split()[-1])
    step = 10 + call.sample if call.purpose == "teach" else 10
    return f" add {step}.\nAnswer: {n + step}"


def models(batched=False):
    return {name: ScriptedModel(name, add, batched=batched) for name in (TEACHER, STUDENT)}


def asked(opened):
    return sum(len(model.seen) for model in opened.values())


def test_a_budget_ends_a_run_and_what_is_finished_is_kept(tmp_path):
    opened = models()
    run = docendo.solve(problems(), out=tmp_path / "r", models=opened, budget="100 calls", **PLAN)
    assert asked(opened) == 100
    assert not run.complete
    found = run.summary()
    # 7 teacher's calls and 6 x 9 exams a problem: one is whole, the next is cut in its exams.
    assert (found.problems, found.cut_short, found.planned) == (1, 1, 8)
    assert "100 calls" in found.stopped
    assert found.json()["stopped"] == found.stopped
    assert found.judged == 1, "a problem cut short is in no table"
    assert set(run.answers()) == {"p0", "p1"}, "it is answered from what there was"


def test_gone_on_with_a_run_ends_as_if_never_stopped(tmp_path):
    calm = docendo.solve(problems(), out=tmp_path / "calm", models=models(), **PLAN)
    run = docendo.solve(problems(), out=tmp_path / "r", models=models(), budget="100 calls", **PLAN)
    sent = 100
    for budget in ("150 calls", "30k tokens, 251 calls", ""):
        opened = models()
        run = docendo.resume(run.folder, models=opened, budget=budget)
        sent += asked(opened)
    assert run.complete
    assert run.summary().stopped is None
    assert run.summary().cut_short == 0
    assert run.answers() == calm.answers()
    assert run.summary().json() == calm.summary().json()
    with run.view() as view:
        assert sum(row.calls for row in view.totals()) == sent, "nothing was asked twice"


def test_a_resumed_run_keeps_its_budget(tmp_path):
    run = docendo.solve(problems(), out=tmp_path / "r", models=models(), budget="100 calls", **PLAN)
    opened = models()
    docendo.resume(run.folder, models=opened)
    assert asked(opened) == 0


@pytest.mark.parametrize("batched", [False, True])
def test_a_budget_spent_while_teaching_leaves_no_answer(tmp_path, batched):
    run = docendo.solve(
        problems(), out=tmp_path / "r", models=models(batched), stop=lambda spent: "enough", **PLAN
    )
    found = run.summary()
    assert (found.problems, found.cut_short, found.stopped) == (0, 0, "enough")
    assert run.answers() == {}


def test_money_is_counted_and_limited(tmp_path):
    teacher = ModelSpec(model="openai:x", name=TEACHER, prices=Prices(prompt=0, completion=1e6))
    opened = models()
    run = docendo.solve(
        problems(),
        out=tmp_path / "r",
        models=opened,
        teacher=teacher,
        students=[STUDENT],
        budget="60 USD",
        prompts="school",
        **PLAN,
    )
    bill = run.bill()
    assert bill.currency == "USD"
    words = sum(item.usage.completion for item in bill.items if item.model == TEACHER)
    assert bill.money == words
    assert 60 <= words <= 60 + 4, "a reply has four words, and one is in flight at most"
    assert [item.money for item in bill.items if item.model == STUDENT] == [None] * (len(bill.items) - 2)


def test_a_budget_of_money_needs_prices(tmp_path):
    with pytest.raises(ConfigError, match="no model has prices"):
        docendo.solve(problems(), out=tmp_path / "r", models=models(), budget="5 USD", **PLAN)
    assert not (tmp_path / "r").exists(), "nothing is written for a run that cannot be"
