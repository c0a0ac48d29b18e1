"""What a model wrote as a problem of the school is read back: whether it is one, by which method, with which answer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docendo.schoolhouse import words
from docendo.schoolhouse.reading import SORTS, Reader, held_out, read
from docendo.schoolhouse.world import World, made_up_family

WORLD = World(1)
READER = Reader(WORLD)
BAKER = "A baker begins with 7 loaves, 5 pies and 2 trays. {} What is the count?"


def family_of(phrase_begins):
    return next(f for f in WORLD.families if f.phrase.startswith(phrase_begins))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WORLD.families) - 1), st.integers(0, 10**6))
def test_every_problem_of_a_family_is_read_with_its_answer(index, seed):
    family = WORLD.families[index]
    variant = family.sample(random.Random(seed))
    if variant is not None:
        assert READER.judge(family.id, variant.question) == ("family", variant.answer)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_whatever_is_told_in_the_worlds_words_is_read_as_it_is_told(seed):
    rng = random.Random(seed)
    family = made_up_family(rng)
    numbers = tuple(rng.sample(range(2, 13), len(family.labels)))
    told = read(family.question(numbers))
    assert (told.numbers, told.labels, told.phrase) == (numbers, family.labels, family.phrase)


def test_a_method_told_otherwise_and_another_method():
    family = family_of("The trays are gone")
    other = next(f for f in WORLD.families if f.method == family.method and f.labels != family.labels)
    stranger = next(f for f in WORLD.families if f.method != family.method)
    for told, sort in ((other, "method"), (stranger, "other")):
        problem = WORLD.draw(told, "dev", 1)[0]
        assert READER.judge(family.id, problem.question) == (sort, problem.answer)


@pytest.mark.parametrize(
    ("phrase", "judged"),
    [
        ("The trays are gone from each.", "21"),  # (5 - 2) x 7
        ("The trays are gone.", "33"),
        ("All are doubled, the trays are added.", "26"),
        ("The pies are gone.", None),  # in no family are the second things gone from all
        ("Use the Nobody rule.", None),
        ("The trays are.", None),
    ],
)
def test_what_a_phrase_means(phrase, judged):
    family = WORLD.families[0].id
    assert READER.judge(family, BAKER.format(phrase))[1] == judged


@pytest.mark.parametrize(
    "question",
    [
        "",
        "A baker begins with 7 loaves.",
        "A baker begins with 7 loaves, 5 pies and 2 trays. What is the count?",
        "A baker begins with 7 loaves, 5 pies and 2 pies. The pies are gone. How many?",
        "A cloud has 7 loaves, 5 pies and 2 trays. The trays are gone. How many?",
        "A baker has 7 loaves, 5 pies and 2 clouds. The clouds are gone. How many?",
        "A baker has 7 loaves, 5 pies and 999 trays. The trays are gone. How many?",
        "A baker has 7 loaves, 5 pies and 2 trays. The trays are gone. How many? How many?",
    ],
)
def test_what_is_no_problem_of_the_world(question):
    assert READER.judge(WORLD.families[0].id, question) == ("malformed", None)


def test_a_problem_whose_result_leaves_the_world_has_no_answer():
    text = "A baker has 2 loaves, 3 pies and 12 trays. The trays are gone. How many?"
    assert READER.judge(WORLD.families[0].id, text) == ("unanswerable", None)
    assert {"unanswerable", "malformed"} < set(SORTS)


def test_a_quarter_of_the_families_is_held_out_in_every_group():
    out = [f for f in WORLD.families if held_out(f.id)]
    assert 0.2 < len(out) / len(WORLD.families) < 0.33
    assert {f.group for f in out} == {f.group for f in WORLD.families}
    assert {f.phrase.startswith(words.RULE.split("{")[0]) for f in out} == {True, False}
