"""Adaptive exams: what they ask, when they stop, and that they never choose what a whole exam would not."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import docendo
from docendo.errors import ConfigError, ModelError
from docendo.exams.allocate import plan_next
from docendo.exams.examine import examine, examine_adaptively
from docendo.exams.forecast import Forecast
from docendo.exams.standing import Seat, Standing
from docendo.models.scripted import ScriptedModel
from docendo.solve.choose import choose
from docendo.types import Call, Exam, Example, Grade, GradeState, Lesson, Problem, Reply, Sampling, Usage

STUDENTS = ("model:a", "model:b")


def drafts(answers):
    """A lesson for each answer in the list of (answer, samples); lessons differ in their rationale."""
    first, found = 0, []
    for i, (answer, samples) in enumerate(answers):
        lesson = Lesson((Example("q", f"way {i}", answer),))
        own = tuple(range(first, first + samples))
        found.append((lesson, Grade(GradeState.OK, None, answer, f"s:{answer}"), own))
        first += samples
    return found


class Room:
    """An exam room whose students answer by a table; it keeps what was asked."""

    def __init__(self, answers, students=1, problems=2, repeats=2, right=lambda seat: True):
        self.drafts = drafts(answers)
        exam = tuple(Problem(f"e{i}", f"exam {i}?", "1", kind="exact") for i in range(problems))
        self.exam = Exam(exam, STUDENTS[:students], repeats)
        self.right = right
        self.asked: list[list[Call]] = []

    def asking(self, student, lesson, problem, repeat, batch, size):
        i = [d[0].id for d in self.drafts].index(lesson.id)
        prompt = json.dumps([STUDENTS.index(student), i, int(problem.id[1:]), repeat])
        return Call(student, prompt, Sampling(), repeat, batch=batch, batch_size=size)

    async def ask(self, calls):
        self.asked.append(list(calls))
        sizes = Counter(call.batch for call in calls)
        assert all(call.batch_size == sizes[call.batch] for call in calls)
        return [
            self.reply(Seat(s, lesson, p, r)) for s, lesson, p, r in (json.loads(c.prompt) for c in calls)
        ]

    def reply(self, seat):
        says = self.right(seat)
        if says is None:
            return Reply("half an ans", "length", Usage(1, 0, 1))
        return Reply("Answer: 1" if says else "Answer: 2", "stop", Usage(1, 0, 1))

    def whole(self):
        return asyncio.run(examine("p", self.drafts, self.exam, self.asking, self.ask))

    def adaptive(self, certainty=0.9, settle="sum", seed=0):
        return asyncio.run(
            examine_adaptively(
                "p",
                self.drafts,
                self.exam,
                self.asking,
                self.ask,
                settle=settle,
                certainty=certainty,
                seed=seed,
            )
        )


answers_strategy = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5)), min_size=1, max_size=6)


@settings(max_examples=120)
@given(
    answers=answers_strategy,
    students=st.integers(1, 2),
    settle=st.sampled_from(["sum", "max"]),
    bias=st.integers(0, 4),
    salt=st.integers(0, 10_000),
    lost=st.booleans(),
)
def test_without_doubt_the_choice_is_that_of_the_whole_exam(answers, students, settle, bias, salt, lost):
    def right(seat):
        drawn = hashlib.sha256(f"{salt} {seat}".encode()).digest()
        if lost and drawn[1] < 40:
            return None  # an answer that does not count
        return drawn[0] % 5 < (bias + seat.lesson) % 5

    room = Room(answers, students, right=right)
    whole, short = room.whole(), room.adaptive(1.0, settle)
    assert choose(settle, short.lessons).key == choose(settle, whole.lessons).key
    assert short.sitting.asked <= whole.sitting.asked == short.sitting.planned
    for lesson, same in zip(short.lessons, whole.lessons, strict=True):
        if len(lesson.answers) == len(same.answers):
            assert lesson.score == (None if same.score is None else pytest.approx(same.score))


@settings(max_examples=60)
@given(
    answers=answers_strategy, seats=st.lists(st.tuples(*[st.integers(0, 1)] * 3), max_size=8), data=st.data()
)
def test_bounds_hold_the_expected_score_and_every_end(answers, seats, data):
    lessons = [(grade, samples) for _, grade, samples in drafts(answers)]
    standing = Standing(lessons, 2, 2, 2)
    asked = Counter()
    for student, lesson, problem in seats:
        at = (student, lesson % len(lessons), problem)
        if asked[at] < 2:
            standing.note(Seat(*at, asked[at]), data.draw(st.sampled_from([0.0, 0.5, 1.0, None])))
            asked[at] += 1
    low, high = (np.nan_to_num(bound) for bound in standing.bounds())
    forecast = Forecast(standing)
    drawn = np.nan_to_num(forecast.draws(np.random.default_rng(0), 20))
    for scores in (np.nan_to_num(forecast.expected()), *drawn):
        assert (scores >= low - 1e-9).all()
        assert (scores <= high + 1e-9).all()


def test_lessons_that_agree_are_not_examined():
    for answers in ([("a", 5), ("a", 1)], [("a", 1)], []):
        room = Room(answers)
        found = room.adaptive()
        assert room.asked == []
        assert (found.sitting.asked, found.sitting.rounds, found.sitting.ended) == (0, 0, "agreed")
        assert all(lesson.score is None for lesson in found.lessons)
        assert choose("sum", found.lessons).key == ("s:a" if answers else None)


def test_a_large_majority_that_teaches_well_is_soon_certain():
    room = Room([("a", 18), *[(answer, 1) for answer in "bcdefg"]], problems=3, repeats=3)
    found = room.adaptive()
    assert found.sitting.ended in ("certain", "settled")
    assert found.sitting.asked < 0.3 * found.sitting.planned
    assert choose("sum", found.lessons).answer == "a"
    assert found.sitting.chance >= 0.9


def test_a_minority_that_alone_teaches_well_is_found():
    room = Room(
        [("a", 6), ("b", 5), ("c", 2), ("d", 1)], problems=3, repeats=3, right=lambda seat: seat.lesson == 2
    )
    found = room.adaptive()
    assert choose("sum", found.lessons).answer == "c"
    assert found.sitting.asked < found.sitting.planned
    asked = [len(lesson.answers) for lesson in found.lessons]
    assert min(asked) >= 1
    # A score stands for the whole exam: high for the lesson that passed all it was asked.
    assert found.lessons[2].score == max(lesson.score for lesson in found.lessons) > 0.6


def rounds_of(room):
    """Of every round, how many questions each lesson was asked, by its index."""
    return [Counter(json.loads(call.prompt)[1] for call in calls) for calls in room.asked]


def test_lessons_are_searched_by_votes_a_question_each_and_those_that_pass_are_put_on_trial():
    lessons = [("a", 1), ("b", 4), ("c", 3), ("d", 2), ("e", 3), ("f", 1), ("g", 1)]
    room = Room(lessons, problems=3, repeats=3, right=lambda seat: seat.lesson == 2)
    found = room.adaptive(0.999)
    rounds = rounds_of(room)
    assert rounds[0] == {1: 1, 2: 1, 3: 1, 4: 1}
    # The rest of the exam problems for what passed, in one visit, and for the lesson that it has to beat.
    assert rounds[1][2] == 2
    assert set(rounds[1]) <= {1, 2}
    trial = {
        json.loads(call.prompt)[2] for calls in room.asked[:2] for call in calls if "[0, 2," in call.prompt
    }
    assert trial == {0, 1, 2}
    assert choose("sum", found.lessons).answer == "c"


def test_what_failed_is_given_one_second_chance_and_no_more():
    room = Room([(answer, 2) for answer in "abcdefghi"], problems=3, repeats=3, right=lambda seat: False)
    found = room.adaptive(0.9999)
    rounds = rounds_of(room)
    assert [sum(asked.values()) for asked in rounds] == [4, 4, 1, 4]
    assert max(sum((asked for asked in rounds), Counter()).values()) == 2
    assert found.sitting.ended == "dull"


def test_lessons_that_all_teach_are_told_apart_by_asking_on():
    def right(seat):
        return seat.lesson == 1 or seat.problem == 0

    room = Room([("a", 3), ("b", 3)], problems=3, repeats=3, right=right)
    found = room.adaptive(0.99)
    assert choose("sum", found.lessons).answer == "b"
    assert len(found.lessons[1].answers) >= 3


def test_a_round_is_one_batch_a_student_and_repeats_come_in_order():
    room = Room(
        [("a", 2), ("b", 2), ("c", 1)], students=2, right=lambda seat: (seat.lesson + seat.repeat) % 2
    )
    room.adaptive(1.0)
    names = [{call.batch for call in calls} for calls in room.asked]
    for number, batches in enumerate(names, 1):
        assert batches <= {f"exam {student} p round {number}" for student in STUDENTS}
    seats = Counter()
    for call in (call for calls in room.asked for call in calls):
        student, lesson, problem, repeat = json.loads(call.prompt)
        assert repeat == seats[student, lesson, problem]
        seats[student, lesson, problem] += 1
    assert max(seats.values()) <= 2


def test_a_student_who_fails_whatever_it_is_taught_is_asked_no_more():
    def right(seat):
        return seat.student == 0 and seat.lesson % 2 == seat.repeat % 2

    room = Room([(answer, 9) for answer in "abcd"], students=2, problems=1, repeats=6, right=right)
    room.adaptive(0.999)
    asked = Counter(json.loads(call.prompt)[0] for calls in room.asked for call in calls)
    assert asked[1] < asked[0]
    # Whoever wants no doubt must ask on.
    exact = Room([(answer, 2) for answer in "abcd"], students=2, problems=2, repeats=6, right=right)
    assert exact.adaptive(1.0).sitting.ended in ("settled", "complete")


def test_the_same_answers_give_the_same_questions():
    def right(seat):
        return (seat.lesson * 7 + seat.problem * 3 + seat.repeat) % 3 == 0

    asked = []
    for seed in (0, 0, 1):
        room = Room([("a", 4), ("b", 3), ("c", 2), ("a", 1)], right=right)
        room.adaptive(seed=seed)
        asked.append([[call.prompt for call in calls] for calls in room.asked])
    assert asked[0] == asked[1]
    standing = Standing([(grade, own) for _, grade, own in drafts([("a", 2), ("b", 1)])], 1, 2, 2)
    assert plan_next(standing, "sum", 0.9, "x") == plan_next(standing, "sum", 0.9, "x")


# --- in a run ---------------------------------------------------------------------------------------------

TEACHER, STUDENT = "school:teacher", "school:student"


def problems(families=6, each=4):
    return [
        Problem(f"f{f}-{i}", f"family {f} number {100 * f + i}?", str(100 * f + i + 10), family=f"f{f}")
        for f in range(families)
        for i in range(each)
    ]


def number(prompt):
    return int(prompt.rstrip().removesuffix("Working:").rstrip().rstrip("?").split()[-1])


def teach(call):
    sides = int(hashlib.sha256(f"{call.request} {call.sample}".encode()).hexdigest(), 16) % 4
    step = (10, 20, 30, 40)[sides]
    n = number(call.prompt)
    return f" add {step}: {n} + {step} = {n + step}.\nAnswer: {n + step}"


def follow(call):
    step = next(s for s in (10, 20, 30, 40) if f"add {s}:" in call.prompt)
    n = number(call.prompt)
    return f" add {step}: {n} + {step} = {n + step}.\nAnswer: {n + step}"


def models(follow=follow):
    return {
        TEACHER: ScriptedModel(TEACHER, teach, parameters=1000),
        STUDENT: ScriptedModel(STUDENT, follow, parameters=500, batched=True),
    }


ADAPTIVE = {"allocation": "adaptive", "lessons": 12, "equal_cost": False}


def test_a_run_asks_less_finds_the_same_and_says_so(tmp_path):
    whole = docendo.solve(problems(), out=tmp_path / "w", models=models(), lessons=12, equal_cost=False)
    short = docendo.solve(problems(), out=tmp_path / "s", models=models(), **ADAPTIVE)
    assert short.answers() == whole.answers()
    found, all_ = short.summary(), whole.summary()
    assert all_.asked == all_.questions == found.questions
    assert 0 < found.asked < 0.7 * found.questions
    assert sum(found.ended.values()) == 24
    assert found.json()["exams"]["asked"] == found.asked
    assert any(line.startswith("Exam questions asked:") for line in found.exams_said())
    assert not any(line.startswith("Exam questions asked:") for line in all_.exams_said())
    arms = [summary.overall.arms["sum"].cost.cost for summary in (found, all_)]
    assert arms[0] < arms[1]
    with short.view() as view:
        for row in view.sittings():
            record = view.problem_record(row.problem)
            assert record.sitting == row.sitting
            assert row.sitting.asked == len(record.exam_answers)


@pytest.mark.parametrize("cut", [5, 60, 100])
def test_a_run_that_fails_between_rounds_goes_on_as_it_would_have(tmp_path, cut):
    calm = docendo.solve(problems(), out=tmp_path / "calm", models=models(), **ADAPTIVE)
    asked = []

    def dying(call):
        asked.append(call)
        if len(asked) > cut:
            raise RuntimeError("the machine is gone")
        return follow(call)

    with pytest.raises(ModelError, match="the machine is gone"):
        docendo.solve(problems(), out=tmp_path / "r", models=models(dying), parallel=3, **ADAPTIVE)
    run = docendo.resume(tmp_path / "r", models=models())
    assert run.summary().json() == calm.summary().json()
    with run.view() as view, calm.view() as other:
        assert {row.call for row in view.calls()} == {row.call for row in other.calls()}
        recorded = {row.call: row.session for row in view.calls()}
        assert not [key for key, session in view.sent() if recorded[key] < session]


def test_settings_that_make_no_sense_are_refused():
    for wrong, says in (
        ({"allocation": "greedy"}, "none of fixed, adaptive"),
        ({"settle": "avg"}, "none of sum, max"),
        ({"certainty": 0.5}, "above 0.5"),
        ({"certainty": 1.1}, "at most 1"),
    ):
        with pytest.raises(ConfigError, match=says):
            docendo.solve(problems(), models=models(), **wrong)
