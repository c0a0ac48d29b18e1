"""LbT as a reward, from the outside: scripted students who follow good lessons, and the school's own."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest

from docendo.errors import ConfigError, DataError, ModelError
from docendo.models.scripted import ScriptedModel
from docendo.tune.reward import LbTReward
from docendo.types import Call, Problem, Reply

# A family "double": question N, answer 2 N.
PROBLEMS = [Problem(f"p{n}", f"Double {n}, please.", str(2 * n), family="double") for n in (3, 4)]
EXAMS = [
    Problem(f"e{n}", f"Double {n}, please.", str(2 * n), f"{n} twice.", family="double") for n in range(5, 10)
]


def student(name: str = "pupil", **more: object) -> ScriptedModel:
    """Doubles after a lesson that says "twice", after others does not."""

    def reply(call: Call) -> str:
        assert isinstance(call.prompt, str)
        *_, asked = re.findall(r"Double (\d+)", call.prompt)
        if call.continuation is not None:
            return repr(-1.0 if "twice" in call.prompt else -10.0)
        return f" said.\nAnswer: {int(asked) * (2 if 'twice' in call.prompt else 3)}"

    return ScriptedModel(name, reply, loglikelihood=True, **more)  # type: ignore[arg-type]


def reward(model: ScriptedModel | None = None, **more: object) -> LbTReward:
    model = model or student()
    settings = {"students": [model.name], "prompts": "school", "exam_problems": 3, "repeats": 2}
    return LbTReward(PROBLEMS, exams=EXAMS, models={model.name: model}, **(settings | more))  # type: ignore[arg-type]


GOOD, SLIP, BAD, MUTE = " twice.\nAnswer: 6", " twice.\nAnswer: 7", " thrice.\nAnswer: 6", " I do not know."


def test_a_completion_is_worth_what_students_do_after_it() -> None:
    with reward() as own:
        given = own(
            prompts=["Question: Double 3, please.\nWorking:"] * 4,
            completions=[GOOD, SLIP, BAD, MUTE],
            completion_ids=[[1]] * 4,
            trainer_state=None,
        )
    # LbT alone neither asks whether the answer is right nor knows it.
    assert given == [1.0, 1.0, 0.0, 0.0]


def test_correctness_is_mixed_in_where_it_is_wanted() -> None:
    with reward(lam=0.5, floor=-0.25) as own:
        assert own(problem=["p3"] * 4, prompts=[""] * 4, completions=[GOOD, SLIP, BAD, MUTE]) == [
            1.0,
            0.5,
            0.5,
            -0.25,
        ]
    model = student()
    with reward(model, lam=0.0) as own:
        assert own(problem=["p3"] * 3, prompts=[""] * 3, completions=[GOOD, SLIP, BAD]) == [1.0, 0.0, 1.0]
    assert not model.seen, "correctness alone examines nobody"


def test_golds_of_the_trained_problems_are_needed_only_for_correctness() -> None:
    bare = [Problem("p3", "Double 3, please.", family="double")]
    model = student()
    with LbTReward(bare, exams=EXAMS, models={"pupil": model}, students=["pupil"], prompts="school") as own:
        (found,) = own.judge(["p3"], [SLIP])
    assert (found.value, found.lbt, found.correct, found.answer, found.fate) == (
        1.0,
        1.0,
        None,
        "7",
        "examined",
    )
    with pytest.raises(DataError, match=r"'p3' has no gold answer.*lam=1"):
        LbTReward(bare, exams=EXAMS, lam=0.5, students=["pupil"])


def test_a_lesson_is_examined_once() -> None:
    model = student()
    with reward(model) as own:
        first = own(problem=["p3", "p3", "p4"], prompts=[""] * 3, completions=[GOOD, GOOD, GOOD])
        asked = len(model.seen)
        assert asked == 2 * 3 * 2  # two lessons, three exam problems, twice each
        assert own(problem=["p4", "p3"], prompts=[""] * 2, completions=[GOOD, GOOD]) == first[:2]
        assert len(model.seen) == asked
        own(problem=["p3"], prompts=[""], completions=[BAD])
        assert len(model.seen) == asked + 6
        assert own.meter.total().sent == asked + 6


def test_what_is_remembered_has_a_bound() -> None:
    model = student()
    with reward(model, remember=1) as own:
        for text in (GOOD, BAD, GOOD):
            own(problem=["p3"], prompts=[""], completions=[text])
    assert len(model.seen) == 18


def test_chat_turns_are_read_and_the_problem_found_by_its_question() -> None:
    asked = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Double  4, please."}]
    with reward() as own:
        assert own([asked], [[{"role": "assistant", "content": " twice.\nAnswer: 8"}]]) == [1.0]
        with pytest.raises(DataError, match=r"'Halve 4' contains no problem's question.*column 'problem'"):
            own(["Halve 4"], [GOOD])
        with pytest.raises(DataError, match="no problem has the id 'p9'"):
            own(["x"], [GOOD], problem=["p9"])
        with pytest.raises(ValueError, match="every completion has a problem"):
            own.judge(["p3"], [GOOD, BAD])


def test_by_likelihood_a_lesson_has_the_same_reward_whatever_is_beside_it() -> None:
    with reward(exam_score="likelihood") as own:
        good, bad = own(problem=["p3", "p3"], prompts=["", ""], completions=[GOOD, BAD])
    with reward(exam_score="likelihood") as own:
        assert own(problem=["p3"], prompts=[""], completions=[BAD]) == [bad]
    assert 0 < bad < good < 1


def test_what_fails_is_raised_and_not_rewarded() -> None:
    broken = ScriptedModel("pupil", lambda call: Reply("", "error", error="no such model"))
    with reward(broken) as own, pytest.raises(ModelError, match="calls to pupil fail"):
        own(problem=["p3"], prompts=[""], completions=[GOOD])
    with reward(budget="4 calls") as own, pytest.raises(ModelError, match="budget of 4 calls is used up"):
        own(problem=["p3"], prompts=[""], completions=[GOOD])


def test_a_lesson_after_which_nobody_comes_to_an_end_has_the_floor() -> None:
    rambling = ScriptedModel("pupil", lambda call: Reply(" on and on", "length"))
    with reward(rambling, floor=-1.0) as own:
        (found,) = own.judge(["p3"], [GOOD])
    assert (found.value, found.fate) == (-1.0, "unheard")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lam": 1.5}, "lam: 1.5 is out of range"),
        ({"floor": 0.1}, "floor: 0.1 must be .* at most 0"),
        ({"floor": float("nan")}, "floor"),
        ({"remember": 0}, "remember: 0 is too small"),
        ({"exam_select": "written"}, "written exams"),
        ({"lessns": 3}, "unknown setting .lessns.; did you mean lessons"),
    ],
)
def test_settings_that_make_no_reward_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        reward(**settings)


def test_it_may_be_called_from_a_running_loop_and_from_several_threads() -> None:
    with reward() as own:

        async def notebook() -> list[float]:
            return own(problem=["p3"], prompts=[""], completions=[GOOD])

        assert asyncio.run(notebook()) == [1.0]
        found: dict[int, list[float]] = {}

        def call(i: int) -> None:
            found[i] = own(problem=["p3", "p4"], prompts=["", ""], completions=[f"{i}{GOOD}", f"{i}{BAD}"])

        threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {i: [1.0, 0.0] for i in range(4)}


def test_logs_are_told_what_rewards_are_made_of() -> None:
    told = {}
    with reward(lam=0.5) as own:
        own(
            problem=["p3"] * 4,
            prompts=[""] * 4,
            completions=[GOOD, SLIP, BAD, MUTE],
            log_metric=lambda name, value: told.update({name: value}),
        )
    assert told == {"docendo/readable": 0.75, "docendo/lbt": pytest.approx(2 / 3), "docendo/correct": 0.5}


def test_the_schools_own_students_tell_right_methods_from_wrong_ones() -> None:
    import docendo

    problem = docendo.load_problems("school:m1-dev", limit=1)[0]
    first = problem.meta["numbers"]
    assert problem.solution is not None
    wrong = f" {problem.solution.replace('times', 'plus').replace('minus', 'plus')}"
    with LbTReward([problem], exams="school:m1-dev-exams") as own:
        right, other = own(
            [f"Question: {problem.question}\nWorking:"] * 2,
            [f" {problem.solution}\nAnswer: {problem.answer}", f"{wrong}\nAnswer: {sum(first)}"],
        )
        assert own.__name__ == "lbt_reward"
        own.close()
        assert own.judge([problem.id], [f" {problem.solution}\nAnswer: {problem.answer}"])[0].value == right
    assert right > other
