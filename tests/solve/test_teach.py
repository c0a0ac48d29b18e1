"""What becomes of a teacher's reply: a graded sample and, where it may be taught, a lesson."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import docendo
from docendo.models.scripted import ScriptedModel
from docendo.models.spec import ModelSpec
from docendo.solve.road import Solved
from docendo.types import Call, GradeState, Problem, Reply

PROBLEMS = [Problem(f"p{i}", f"{i} and 1?", str(i + 1), family="f") for i in range(4)]


def solved(
    say: Callable[[Call], Reply | str], *, teacher: ModelSpec | None = None, prompts: str = "school"
) -> tuple[Solved, dict[str, ScriptedModel]]:
    spec = teacher or ModelSpec(model="openai:t")
    models = {"openai:t": ScriptedModel("openai:t", say), "school:student": ScriptedModel("s", say)}
    work = docendo.asolve(
        PROBLEMS[0], PROBLEMS, models=models, teacher=spec, students=["school:student"], lessons=2,
        prompts=prompts, repeats=1,
    )  # fmt: skip
    return asyncio.run(work), models


WHOLE = " one more.\nAnswer: 1"


@pytest.mark.parametrize("text", [" one more is", " one more.\nAnswer: 1.\n\nAnd so", " \\boxed{1} or may"])
def test_a_cut_reply_is_neither_taught_nor_a_vote(text: str) -> None:
    """Whatever it had said before the cut."""

    def say(call: Call) -> Reply | str:
        return Reply(text, "length") if call.purpose == "teach" and call.sample == 1 else WHOLE

    found, _ = solved(say)
    assert [s.grade.state for s in found.samples] == [GradeState.OK, GradeState.TRUNCATED]
    assert found.samples[1].grade.score is None
    assert found.samples[1].lesson is None
    assert [lesson.samples for lesson in found.lessons] == [(0,)]
    assert found.choices["maj"].weight == 1


def test_a_cut_exam_answer_is_not_wrong() -> None:
    def say(call: Call) -> Reply | str:
        return Reply(" one", "length") if call.purpose == "exam" else WHOLE

    found, _ = solved(say)
    (lesson,) = found.lessons
    assert {a.grade.state for a in lesson.answers} == {GradeState.TRUNCATED}
    assert lesson.score is None


@pytest.mark.parametrize(
    ("shown", "rationale"), [("visible", "one more."), ("all", "Let me see: one.\n\none more.")]
)
def test_a_lesson_shows_hidden_reasoning_where_asked(shown: str, rationale: str) -> None:
    def say(call: Call) -> Reply | str:
        return Reply(WHOLE, "stop", reasoning="Let me see: one.\n") if call.purpose == "teach" else WHOLE

    spec = ModelSpec.model_validate({"model": "openai:t", "reasoning": shown})
    found, _ = solved(say, teacher=spec)
    assert found.lessons[0].lesson.examples[0].rationale == rationale


def test_a_chat_teacher_may_teach_a_student_that_completes() -> None:
    found, models = solved(lambda call: WHOLE, prompts="auto")
    assert all(isinstance(call.prompt, tuple) for call in models["openai:t"].seen)
    assert all(isinstance(call.prompt, str) for call in models["school:student"].seen)
    asked = models["school:student"].seen[0].prompt
    assert isinstance(asked, str)
    assert "Working: one more.\nAnswer: 1\n\nQuestion: " in asked
    assert found.lessons


def test_a_styles_stop_strings_are_sent_unless_the_model_has_its_own() -> None:
    _, models = solved(lambda call: WHOLE, prompts="completion")
    assert {call.sampling.stop for call in models["openai:t"].seen} == {("\nProblem:",)}
    _, models = solved(
        lambda call: WHOLE, prompts="completion", teacher=ModelSpec(model="openai:t", stop=("END",))
    )
    assert {call.sampling.stop for call in models["openai:t"].seen} == {("END",)}
