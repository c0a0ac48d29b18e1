"""The order in which calls leave: like beside like, the first of each kind ahead, and always the same."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.models.gateway import Gateway
from docendo.models.order import common, departure, text_of
from docendo.models.scripted import ScriptedModel
from docendo.types import Call, Reply, Sampling, Usage

LESSON = "To add, count on from the larger number. Worked: {} and {} make {}, as counting shows. "


def exams(lessons: int = 6, problems: int = 3, repeats: int = 3, *, chat: bool = False) -> list[Call]:
    made = []
    for lesson, problem, repeat in itertools.product(range(lessons), range(problems), range(repeats)):
        text = 3 * LESSON.format(lesson, lesson * 7, lesson * 8) + f"Now: {problem} + 2?"
        prompt = (("system", "Be brief."), ("user", text)) if chat else text
        made.append(Call("m", prompt, Sampling(), sample=repeat, purpose="exam"))
    return made


def lesson_of(call: Call) -> str:
    return text_of(call).partition("Now")[0]


@given(st.lists(st.tuples(st.text("ab", max_size=12), st.integers(0, 3)), unique=True), st.randoms())
def test_the_same_calls_leave_in_the_same_order_however_they_came(
    asked: list[tuple[str, int]], rng: random.Random
) -> None:
    calls = [Call("m", prompt, Sampling(), sample=sample) for prompt, sample in asked]
    shuffled = rng.sample(calls, len(calls))
    assert sorted(map(repr, departure(calls))) == sorted(map(repr, calls))
    if len(calls) > 2:
        assert departure(shuffled) == departure(calls)


@pytest.mark.parametrize("chat", [False, True])
def test_one_call_of_each_lesson_leaves_first_and_then_its_siblings_side_by_side(chat: bool) -> None:
    calls = exams(chat=chat)
    random.Random(0).shuffle(calls)
    order = [lesson_of(call) for call in departure(calls)]
    assert len(set(order[:6])) == 6, "the first of every lesson"
    assert len([lesson for lesson, _ in itertools.groupby(order[6:])]) == 6, "then lesson by lesson"


def share(order: Sequence[Call], *, shuffled: bool) -> float:
    """Tokens that a server with a small cache has at hand, of all; 8 calls at once, a beginning is kept once read."""
    kept: dict[str, None] = {}
    cached = total = 0

    def reply(call: Call) -> Reply:
        nonlocal cached, total
        lesson, text = lesson_of(call), text_of(call)
        hit = len(lesson) if lesson in kept else 0
        cached, total = cached + hit, total + len(text)
        kept.pop(lesson, None)
        kept[lesson] = None
        while len(kept) > 8:
            del kept[next(iter(kept))]
        return Reply("4", "stop", Usage(len(text), hit, 1))

    async def main() -> None:
        async with Gateway({"m": ScriptedModel("m", reply, limit=8)}) as gateway:
            # Asked one by one, calls leave in the order in which they are asked.
            await asyncio.gather(*([gateway.ask([c]) for c in order] if shuffled else [gateway.ask(order)]))

    asyncio.run(main())
    return cached / total


def test_a_cache_that_cannot_hold_everything_is_used_to_the_full() -> None:
    calls = exams(lessons=24)
    random.Random(1).shuffle(calls)
    most = 1 - sum(len(text_of(c)) for c in calls if c.sample == 0 and "Now: 0" in text_of(c)) / sum(
        len(text_of(c)) for c in calls
    )
    assert share(calls, shuffled=False) > 0.75 * most
    assert share(calls, shuffled=True) < 0.5 * most


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_the_common_beginning_is_the_longest(a: str, b: str) -> None:
    n = common(a, b)
    assert a[:n] == b[:n]
    assert a[n : n + 1] != b[n : n + 1] or not a[n:] or not b[n:]
