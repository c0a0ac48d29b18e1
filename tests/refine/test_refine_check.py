"""What makes a set that may be used, case by case."""

from __future__ import annotations

import json

import pytest
from colours import task

from docendo.errors import UnspeakableError
from docendo.refine.check import Checker, fewest
from docendo.types import Lesson, Reply, Usage

GOOD = [
    {"question": f"A {colour} thing in box {i}.", "reasoning": "Look.", "answer": answer}
    for i, (colour, answer) in enumerate([("red", "yes"), ("green", "no"), ("blue", "yes"), ("white", "no")])
]


def lesson(rows: list[dict], checker: Checker | None = None, **more: object) -> object:
    text = json.dumps(rows)
    return (checker or Checker(task(), 4)).lesson(Reply(text, "stop", **more))


def changed(number: int, **fields: str) -> list[dict]:
    return [row | fields if i == number else row for i, row in enumerate(GOOD)]


def test_a_good_set_is_a_lesson() -> None:
    found = lesson(GOOD)
    assert isinstance(found, Lesson)
    assert [e.answer for e in found.examples] == ["yes", "no", "yes", "no"]


@pytest.mark.parametrize("said", ["YES", "Yes.", "**yes**", "yes, because it glows", True])
def test_labels_are_written_as_the_task_writes_them(said: object) -> None:
    found = lesson(changed(0, answer=said))
    assert isinstance(found, Lesson)
    assert found.examples[0].answer == "yes"


def test_of_too_many_the_first_are_taken() -> None:
    found = lesson([*GOOD, GOOD[0] | {"question": "One more."}])
    assert isinstance(found, Lesson)
    assert len(found.examples) == 4


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (GOOD[:3], "too few examples"),
        (changed(1, answer="maybe"), "label out of range"),
        (changed(1, answer=""), "label out of range"),
        ([row | {"answer": "yes"} for row in GOOD], "unbalanced"),
        (changed(2, question=GOOD[0]["question"].upper()), "an example twice"),
        (changed(1, question=task().test[0].question), "copied"),
        (changed(1, question=task().exam[0].question), "copied"),
        (changed(1, reasoning=task().validation[0].question), "copied"),
    ],
)
def test_what_is_wrong_is_said(rows: list[dict], reason: str) -> None:
    found = lesson(rows)
    assert isinstance(found, tuple)
    assert found[0] == reason


def test_training_examples_may_stand_in_a_set() -> None:
    assert isinstance(lesson(changed(1, question=task().pool[0].question)), Lesson)


def test_balance_can_be_left_out() -> None:
    found = lesson([row | {"answer": "yes"} for row in GOOD], Checker(task(), 4, balanced=False))
    assert isinstance(found, Lesson)


@pytest.mark.parametrize(
    ("count", "labels", "least"), [(8, 2, 3), (4, 2, 1), (6, 3, 1), (2, 3, 0), (12, 3, 3)]
)
def test_balance_leaves_some_room(count: int, labels: int, least: int) -> None:
    assert fewest(count, labels) == least


def test_a_set_that_was_cut_is_no_set_even_where_it_could_be_read() -> None:
    found = Checker(task(), 4).lesson(Reply(json.dumps(GOOD), "length", Usage(1, 0, 99)))
    assert found == ("cut off", "after 99 tokens")


def test_words_that_a_model_cannot_read() -> None:
    def check(lesson: Lesson) -> None:
        if any("blue" in example.question for example in lesson.examples):
            raise UnspeakableError("the word 'blue'")

    found = lesson(GOOD, Checker(task(), 4, speakable=check))
    assert found == ("unspeakable", "the word 'blue'")
