"""Exams by likelihood: worked solutions after each lesson, with real and scripted students."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import docendo
from docendo import Problem
from docendo.errors import ConfigError, DataError, ModelError
from docendo.exams.likelihood import weights, worked
from docendo.models.gateway import Gateway
from docendo.models.resolve import opened
from docendo.models.scripted import ScriptedModel
from docendo.types import Call, Reply, Sampling, Usage

TEACHER, STUDENT = "school:teacher", "school:student"


def test_problems_that_agree_make_a_posterior() -> None:
    logs = np.array([[-1.0, -5.0], [-3.0, -7.0], [-11.0, -15.0]])
    assert weights(logs) == pytest.approx([1, math.exp(-2), math.exp(-10)])


def test_problems_that_disagree_make_it_flat() -> None:
    agree = weights(np.array([[-1.0, -1.0], [-6.0, -6.0]]))
    disagree = weights(np.array([[-1.0, -21.0], [-26.0, -6.0]]))
    assert agree[1] == pytest.approx(math.exp(-5))
    assert disagree[1] > 0.5


def test_a_lesson_that_missed_a_hard_problem_is_not_favoured() -> None:
    logs = np.array([[-1.0, -50.0], [-2.0, np.nan], [np.nan, np.nan]])
    assert weights(logs)[0] == 1
    assert np.isnan(weights(logs)[2])
    assert np.isnan(weights(np.full((2, 2), np.nan))).all()


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(st.floats(-1e4, 0), min_size=3, max_size=3), min_size=n, max_size=n)
    )
)
def test_scores_are_in_range_and_follow_the_means(rows: list[list[float]]) -> None:
    logs = np.array(rows)
    found = weights(logs)
    assert found.max() == pytest.approx(1)
    assert (found >= 0).all()
    best, worst = logs.mean(axis=1).argmax(), logs.mean(axis=1).argmin()
    assert found[best] >= found[worst]


def problems(count=6, solution="double it."):
    return [Problem(f"p{n}", f"number {n}?", str(2 * n), solution, family="f") for n in range(3, 3 + count)]


def teach(call):
    n = int(call.prompt.rstrip().removesuffix("Working:").rstrip().rstrip("?").split()[-1])
    right = (call.sample + n) % 3 == 0
    return f" {'double it' if right else 'add one'}.\nAnswer: {2 * n if right else n + 1}"


def tell(call):
    assert call.purpose == "likelihood"
    assert call.continuation.startswith(" double it.\nAnswer: ")
    return Reply(repr(-1.5 if "Working: double it" in call.prompt else -9.5), "stop", Usage(20, 0, 6))


def models(**changes):
    able = {"loglikelihood": True} | changes
    return {
        TEACHER: ScriptedModel(TEACHER, teach),
        STUDENT: ScriptedModel(STUDENT, tell, batched=True, **able),
    }


LIKELIHOOD = {"exam_score": "likelihood", "lessons": 6, "equal_cost": False}


def test_a_run_chooses_by_likelihood_and_goes_on_after_a_cut(tmp_path) -> None:
    run = docendo.solve(problems(), out=tmp_path / "r", models=models(), **LIKELIHOOD)
    assert [run.answers()[p.id] for p in problems()] == [p.answer for p in problems()]
    with run.view() as view:
        for lesson in view.lessons():
            right = "double" in lesson.lesson.examples[0].rationale
            assert lesson.score == pytest.approx(1 if right else math.exp(-8))
        answers = list(view.exam_answers())
        assert len(answers) == 6 * 2 * 3
        assert all(a.grade.score is None and a.repeat == 0 for a in answers)
        assert {c.purpose for c in view.calls() if c.model == STUDENT} == {"likelihood"}
    assert run.summary().json()["exams"]["asked"] == 36

    left = iter(range(20))

    def dying(call):
        if next(left, None) is None:
            raise RuntimeError("the machine is gone")
        return tell(call)

    broken = models() | {STUDENT: ScriptedModel(STUDENT, dying, batched=True, loglikelihood=True)}
    with pytest.raises(ModelError, match="the machine is gone"):
        docendo.solve(problems(), out=tmp_path / "s", models=broken, **LIKELIHOOD)
    assert docendo.resume(tmp_path / "s", models=models()).summary().json() == run.summary().json()


def test_what_cannot_be_told_is_refused_before_anything_is_asked(tmp_path) -> None:
    out = tmp_path / "r"
    with pytest.raises(ModelError, match="cannot take exams by likelihood"):
        docendo.solve(problems(), out=out, models=models(loglikelihood=False), **LIKELIHOOD)
    with pytest.raises(DataError, match=r"'p\d' has no worked solution"):
        docendo.solve(problems(solution=None), out=out, models=models(), **LIKELIHOOD)
    for more in ({"allocation": "adaptive"}, {"pooling": "weighed"}):
        with pytest.raises(ConfigError, match="ask each question once"):
            docendo.solve(problems(), out=out, models=models(), **LIKELIHOOD, **more)
    assert not out.exists()


def test_the_built_in_engine_tells_what_it_computes() -> None:
    problem = Problem("x", "number", "36", "pies 6 minus trays 2 = 4, times loaves 9 = 36.")
    prompt = "Question: A baker begins with 9 loaves, 6 pies and 2 trays. What is the count?\nWorking:"

    async def ask():
        async with opened([STUDENT]) as models, Gateway(models) as gateway:
            calls = [
                Call(STUDENT, prompt, Sampling(), batch="b", batch_size=3, continuation=said)
                for said in (worked(problem), worked(problem).replace("36.", "30."), " \ud800")
            ]
            direct = await models[STUDENT].loglikelihood([(prompt, call.continuation) for call in calls[:2]])
            return await gateway.ask(calls), direct

    replies, direct = asyncio.run(ask())
    assert [float(reply.text) for reply in replies[:2]] == pytest.approx([total for total, _ in direct])
    assert [reply.usage.completion for reply in replies[:2]] == [tokens for _, tokens in direct]
    # One is computed first; the other shares its prompt and the beginning of its working.
    second, first = sorted(reply.usage.computed for reply in replies[:2])
    assert first == replies[0].usage.prompt + replies[0].usage.completion
    assert second < first / 2
    assert replies[2].stop == "error"


def test_what_is_asked_is_part_of_the_request() -> None:
    plain = Call("m", "p", Sampling())
    one, other = (Call("m", "p", Sampling(), continuation=text) for text in (" a", " b"))
    assert len({plain.request, one.request, other.request}) == 3
