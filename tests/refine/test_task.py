"""Tasks: parts that are kept apart, and copies that no set may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.errors import DataError
from docendo.refine.config import planned
from docendo.refine.similar import Guard, alike
from docendo.refine.task import PARTS, Shares, task_of
from docendo.types import Problem

LONG = "the old mayor of the small town said in a speech that the new bridge was built in one year without any debt"
WORDS = "amber birch cedar daisy ember flint grove heron ivory joust knoll larch maple north otter pearl quill raven"


def problem(name: str, text: str, **more: object) -> Problem:
    fields: dict = {"answer": "yes", "kind": "label", "meta": {"labels": ["no", "yes"]}} | more
    return Problem(name, text, **fields)


def unlike(count: int) -> list[Problem]:
    words = WORDS.split()
    return [
        problem(str(i), " ".join(words[(i * k + k) % len(words)] for k in range(1, 13)) + f" {i}")
        for i in range(count)
    ]


@given(st.integers(20, 60), st.integers(0, 5))
def test_parts_are_all_there_and_apart(count: int, seed: int) -> None:
    problems = unlike(count)
    task = task_of(problems, seed=seed)
    ids = [p.id for part in PARTS for p in task.part(part)]
    assert sorted(ids) == sorted(p.id for p in problems)
    assert 0.2 * count <= len(task.test) <= 0.5 * count
    assert task_of(problems, seed=seed) == task


def test_families_and_near_copies_stay_together() -> None:
    copies = [problem(f"copy{i}", f"{LONG} and number {i} of them") for i in range(6)]
    family = [problem(f"kin{i}", text.question, family="kin") for i, text in enumerate(unlike(30)[24:])]
    for seed in range(5):
        task = task_of([*unlike(24), *copies, *family], seed=seed)
        for stem in ("copy", "kin"):
            holding = {part for part in PARTS for p in task.part(part) if p.id.startswith(stem)}
            assert len(holding) == 1


def test_a_source_of_its_own_for_tests_throws_out_what_is_like_it() -> None:
    test = [problem("t", LONG)]
    train = [*unlike(20), problem("leak", LONG.replace("one year", "two years"))]
    task = task_of(train, test=test, seed=1)
    assert "leak" not in {p.id for part in ("pool", "exam", "validation") for p in task.part(part)}
    assert sum(task.dropped.values()) == 1


def test_problems_may_name_their_part() -> None:
    named = [
        problem(
            part, p.question, meta={"labels": ["no", "yes"], "split": part, "instruction": "Does it glow?"}
        )
        for part, p in zip(PARTS, unlike(4), strict=True)
    ]
    task = task_of(named)
    assert [[p.id for p in task.part(part)] for part in PARTS] == [[part] for part in PARTS]
    assert task.instruction == "Does it glow?"
    assert task.said == "Does it glow? The answer is one of: no, yes."
    with pytest.raises(DataError, match=r"meta.split is 'exams'"):
        task_of([*named, problem("x", "y", meta={"split": "exams"})])


def test_sizes_are_limits() -> None:
    task = task_of(unlike(60), shares=Shares(validation_size=5, test_size=7))
    assert (len(task.validation), len(task.test)) == (5, 7)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"answer": None}, "has no answer"),
        ({"meta": {"labels": ["valid", "invalid"]}}, "is answered otherwise"),
        ({"kind": "exact"}, "is answered otherwise"),
    ],
)
def test_what_is_no_one_task_is_refused(changed: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        task_of([*unlike(20), problem("odd", "one out", **changed)])


def test_copies_are_found_in_whole_in_part_and_reworded() -> None:
    guard = Guard([("a", LONG), ("b", "short text")])
    assert guard.copied(LONG.upper() + "!") == "a"
    assert guard.copied("Short text.") == "b"
    assert guard.copied(f"Yesterday {LONG[:80]} said nobody") == "a"
    assert guard.copied(LONG.replace("small", "big")) == "a"
    assert (
        guard.copied("the old mayor of the small town went fishing with his two sons on a cold day") is None
    )
    assert guard.copied("") is None


def test_the_form_of_a_task_is_nobodys_text() -> None:
    form = "job title state senator state texas party none context a mailer sent to every house"
    texts = [(str(i), f"statement {i} {word} {form}") for i, word in enumerate(WORDS.split())]
    assert Guard(texts).copied(f"statement another thing {form}") is None
    assert len(set(alike([text for _, text in texts]))) == len(texts)


def test_sets_of_the_users_own_take_their_problems_out_of_the_task(tmp_path: Path) -> None:
    problems = unlike(18)
    whole = task_of(problems)
    own = [
        whole.test[0],
        whole.exam[0],
        problem("m", "A fine day at sea."),
        problem("n", "No boat has left."),
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text(
        "".join(json.dumps({"question": p.question, "rationale": "So.", "answer": "YES"}) + "\n" for p in own)
    )
    plan = planned(problems, None, None, None, None, {"start": str(path), "examples": 2})
    assert len(plan.given) == 2
    assert {e.answer for lesson in plan.given for e in lesson.examples} == {"yes"}
    assert plan.task.test == whole.test[1:]
    assert plan.task.exam == whole.exam[1:]
    assert plan.task.dropped == {"problems that are in the starting sets": 2}
    with pytest.raises(DataError, match="4 examples make no whole number of sets of 3"):
        planned(problems, None, None, None, None, {"start": str(path), "examples": 3})
    path.write_text('{"question": "q", "rationale": "r", "answer": "perhaps"}\n')
    with pytest.raises(DataError, match="set 1: label out of range"):
        planned(problems, None, None, None, None, {"start": str(path), "examples": 1})
