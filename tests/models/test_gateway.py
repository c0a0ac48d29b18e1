"""The gateway, from the outside: who asks gets the right reply, once recorded, and nothing is asked twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docendo.errors import ModelError, StoreError
from docendo.models.base import Capabilities, Model
from docendo.models.desk import ROOM
from docendo.models.gateway import Gateway
from docendo.models.scripted import ScriptedModel
from docendo.store import Store
from docendo.types import Call, Purpose, Reply, Sampling, Usage


def calls(
    *prompts: str, samples: int = 1, batch: str = "", model: str = "m", purpose: Purpose = "teach"
) -> list[Call]:
    asked = [
        Call(model, prompt, Sampling(), sample=i, purpose=purpose, batch=batch)
        for prompt in prompts
        for i in range(samples)
    ]
    return [replace(call, batch_size=len(asked)) for call in asked] if batch else asked


def say(call: Call) -> str:
    return f"{call.prompt}/{call.sample}"


def texts(replies: list[Reply]) -> list[str]:
    return [reply.text for reply in replies]


class Backend:
    """A model whose `run` is the given function."""

    def __init__(
        self,
        run: Callable[[AsyncIterator[Call]], AsyncIterator[tuple[Call, Reply]]],
        *,
        batched: bool = False,
    ) -> None:
        self.name = "m"
        self.capabilities = Capabilities(batched=batched)
        self.closed = 0
        self.run = run

    def check(self, text: str) -> None: ...

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Store.create(tmp_path / "run", kind="solve", config={}, seed=0).close()
    return tmp_path / "run"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder) as store:
        yield store


def using(
    test: Callable[[Gateway], Coroutine[Any, Any, Any]], *models: Model, store: Store | None = None
) -> Any:
    """Run `test` with a gateway to `models`; whatever hangs fails."""

    async def main() -> Any:
        async with Gateway({model.name: model for model in models}, store) as gateway:
            return await asyncio.wait_for(test(gateway), 300)

    return asyncio.run(main())


def keys(asked: list[Call]) -> list[tuple[str, int]]:
    return [(call.request, call.sample) for call in asked]


def times_sent(store: Store) -> Counter[tuple[str, int]]:
    return Counter(key for key, _ in store.sent())


# --- the right reply ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batched", [False, True])
def test_replies_come_in_the_order_of_the_calls_whatever_the_backend_did(batched: bool, store: Store) -> None:
    rng = random.Random(1)

    async def backwards(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        got = [await anext(stream) for _ in asked]
        for call in reversed(got):
            yield call, Reply(say(call), "stop")
        await anext(stream)  # there is no more to come, and a backend does not end by itself

    model = Backend(backwards, batched=batched)
    asked = [*calls(*"abc", samples=3, batch="one"), *calls(*"def", samples=3, batch="two")]
    rng.shuffle(asked)
    arrived: list[str] = []

    async def test(gateway: Gateway) -> None:
        assert texts(await gateway.ask(asked)) == [say(call) for call in asked]
        arrived.extend(f"{row.request}/{row.sample}" for row in store.calls())
        assert await gateway.ask([]) == []

    using(test, model, store=store)
    assert len(arrived) == 18
    if not batched:
        assert arrived != [f"{call.request}/{call.sample}" for call in asked], "nothing came out of order"


def test_a_reply_comes_back_as_the_backend_gave_it_and_again_from_the_store(folder: Path) -> None:
    given = Reply("cut off", "length", Usage(7, 3, 2, 1), 1.5, reasoning="first, I thought")

    async def ask(gateway: Gateway) -> list[Reply]:
        return await gateway.ask(calls("a"))

    assert using(ask, ScriptedModel("m", lambda call: given)) == [given], "without a store"
    for _ in range(2):
        with Store.open(folder) as store:
            assert using(ask, ScriptedModel("m", lambda call: given), store=store) == [given]


def test_a_model_that_is_not_there_is_named(store: Store) -> None:
    model = ScriptedModel("m", say)

    async def test(gateway: Gateway) -> None:
        with pytest.raises(ModelError, match="no model 'x' here; there are 'm'"):
            await gateway.ask([*calls("a"), *calls("a", model="x")])

    using(test, model, store=store)
    assert not model.seen


@settings(max_examples=40)
@given(
    asks=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=8), max_size=6),
    seed=st.integers(0, 99),
)
def test_however_asks_overlap_each_gets_its_replies_and_each_call_leaves_once(asks: Any, seed: int) -> None:
    rng = random.Random(seed)
    model = ScriptedModel("m", say, delay=lambda call: rng.choice([0, 0.001]), limit=rng.randint(1, 4))

    async def test(gateway: Gateway) -> None:
        wanted = [[Call("m", prompt, Sampling(), sample=i) for prompt, i in ask] for ask in asks]
        got = await asyncio.gather(*map(gateway.ask, wanted))
        assert [texts(replies) for replies in got] == [[say(call) for call in ask] for ask in wanted]

    using(test, model)
    # Without a store nothing is replayed: what overlaps in time is shared, and no call flies twice at once.
    assert {say(call) for call in model.seen} == {f"{prompt}/{i}" for ask in asks for prompt, i in ask}


# --- nothing is asked twice ---------------------------------------------------------------------------------


def test_recorded_replies_are_not_asked_for_again(folder: Path) -> None:
    first, second = ScriptedModel("m", say), ScriptedModel("m", lambda call: "asked again")
    with Store.open(folder) as store:
        using(lambda gateway: gateway.ask(calls("a", "b")), first, store=store)
    with Store.open(folder) as store:

        async def test(gateway: Gateway) -> None:
            assert texts(await gateway.ask(calls("b", "c", "a"))) == ["b/0", "asked again", "a/0"]
            count = gateway.meter.total()
            assert (count.sent, count.replayed, count.replied) == (1, 2, 1)

        using(test, second, store=store)
        assert set(times_sent(store).values()) == {1}
    assert second.seen == calls("c")


@pytest.mark.parametrize("batch", ["", "b"])
def test_a_call_that_is_asked_twice_at_once_is_sent_once(batch: str, store: Store) -> None:
    model = ScriptedModel("m", say, delay=0.01, batched=bool(batch))
    asked = calls("a", "b", "a", "b", batch=batch)

    async def test(gateway: Gateway) -> None:
        both = await asyncio.gather(gateway.ask(asked), gateway.ask(asked))
        assert [texts(replies) for replies in both] == [["a/0", "b/0"] * 2] * 2
        assert gateway.meter.total().sent == 2

    using(test, model, store=store)
    assert [say(call) for call in model.seen] == ["a/0", "b/0"]


def test_an_error_is_handed_out_and_asked_again_later(folder: Path) -> None:
    answers = iter([Reply("", "error", error="timeout"), Reply("fine", "stop")])
    model = ScriptedModel("m", lambda call: next(answers))

    async def test(gateway: Gateway) -> Any:
        replies = await gateway.ask(calls("a"))
        return replies[0].error, replies[0].text, gateway.meter.total().errors

    with Store.open(folder) as store:
        assert using(test, model, store=store) == ("timeout", "", 1)
        assert [row.error for row in store.errors()] == ["timeout"]
    with Store.open(folder) as store:
        assert using(test, model, store=store) == (None, "fine", 0)
        assert using(test, model, store=store) == (None, "fine", 0), "the second time it is recorded"


def test_an_error_that_lasts_is_not_asked_again(folder: Path) -> None:
    model = ScriptedModel("m", lambda call: Reply("", "error", error="too long", lasting=True))
    for replayed in (0, 1):
        with Store.open(folder) as store:

            async def test(gateway: Gateway) -> Any:
                replies = await gateway.ask(calls("a"))
                return replies[0].error, replies[0].lasting, gateway.meter.total().replayed

            assert using(test, model, store=store) == ("too long", True, replayed)
    assert len(model.seen) == 1


def test_who_has_a_reply_finds_it_in_the_store(store: Store, folder: Path) -> None:
    async def test(gateway: Gateway) -> None:
        async def one(call: Call) -> None:
            (reply,) = await gateway.ask([call])
            assert view.reply(call) == reply

        await asyncio.gather(*map(one, calls(*"abcdef", samples=4)))

    with Store.read(folder) as view:
        using(test, ScriptedModel("m", say, delay=lambda call: 0.001 * call.sample), store=store)


# --- batches ------------------------------------------------------------------------------------------------


def test_a_batch_is_recorded_and_handed_out_whole(store: Store) -> None:
    recorded: list[int] = []

    async def dribble(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        async for call in stream:
            recorded.append(len(list(store.calls())))
            await asyncio.sleep(0)
            yield call, Reply(say(call), "stop")

    asked = [*calls(*"ab", samples=3, batch="one"), *calls(*"cd", samples=2, batch="two")]
    using(lambda gateway: gateway.ask(asked), Backend(dribble, batched=True), store=store)
    assert set(recorded) == {0, 6}, "the first batch appears whole, while the second is being answered"
    assert len(list(store.calls())) == 10
    assert {row.batch for row in store.calls()} == {"one", "two"}


def test_a_backend_gets_batches_side_by_side_with_the_size_that_is_sent(store: Store) -> None:
    model = ScriptedModel("m", say, batched=True)

    async def test(gateway: Gateway) -> None:
        mixed = [*calls("a", "b", "a", batch="one"), *calls("c", "d", batch="two")]
        mixed = [mixed[i] for i in (3, 0, 4, 1, 2)]
        assert texts(await gateway.ask(mixed)) == ["c/0", "a/0", "d/0", "b/0", "a/0"]
        # Two of these are recorded with other batches already, and computed there.
        assert texts(await gateway.ask(calls("a", "c", "e", batch="three"))) == ["a/0", "c/0", "e/0"]

    using(test, model, store=store)
    assert [(c.batch, c.batch_size, c.prompt) for c in model.seen] == [
        ("two", 2, "c"), ("two", 2, "d"), ("one", 2, "a"), ("one", 2, "b"), ("three", 1, "e"),
    ]  # fmt: skip


def test_a_batch_larger_than_the_queue_and_many_batches_at_once_get_through(store: Store) -> None:
    model = ScriptedModel("m", say, batched=True, limit=2, delay=0.0001)
    large = calls(*"abcdefgh", samples=ROOM, batch="large")
    many = [calls(f"p{i}", samples=5, batch=f"b{i}") for i in range(3 * ROOM)]

    async def test(gateway: Gateway) -> None:
        got = await asyncio.gather(gateway.ask(large), *map(gateway.ask, many))
        assert [texts(replies) for replies in got] == [[say(call) for call in ask] for ask in (large, *many)]

    using(test, model, store=store)
    assert set(times_sent(store).values()) == {1}


def test_batches_that_share_calls_in_flight_both_come_whole(store: Store) -> None:
    model = ScriptedModel("m", say, batched=True, delay=lambda call: 0.02 if call.batch == "one" else 0)
    one, two = calls("a", "b", batch="one"), calls("b", "c", batch="two")

    async def test(gateway: Gateway) -> None:
        both = await asyncio.gather(gateway.ask(one), gateway.ask(two))
        assert [texts(replies) for replies in both] == [["a/0", "b/0"], ["b/0", "c/0"]]

    using(test, model, store=store)
    assert [row.batch for row in store.calls()] == ["one", "one", "two"], "two began before one was recorded"
    assert set(times_sent(store).values()) == {1}


def test_a_batch_that_is_recorded_in_part_is_a_fault(store: Store) -> None:
    asked = calls("a", "b", "c", batch="torn")
    store.record_replies([(asked[0], Reply("a", "stop"))])

    async def test(gateway: Gateway) -> None:
        for _ in range(ROOM + 1):  # it must not use up the room either
            with pytest.raises(StoreError, match="batch 'torn' of m 1 replies are recorded and 2 are not"):
                await gateway.ask(asked)
        assert texts(await gateway.ask(calls("z"))) == ["z/0"], "others are not affected"

    using(test, ScriptedModel("m", say, batched=True), store=store)


def test_of_a_batch_with_errors_only_those_are_asked_again(store: Store) -> None:
    asked = calls("a", "b", "c", batch="one")
    fails = ScriptedModel(
        "m", lambda c: Reply("", "error", error="no") if c.prompt == "b" else say(c), batched=True
    )
    works = ScriptedModel("m", say, batched=True)
    assert [r.stop for r in using(lambda g: g.ask(asked), fails, store=store)] == ["stop", "error", "stop"]
    assert texts(using(lambda g: g.ask(asked), works, store=store)) == ["a/0", "b/0", "c/0"]
    assert [(call.prompt, call.batch_size) for call in works.seen] == [("b", 1)]


def test_a_batch_that_is_not_asked_whole_is_refused(store: Store) -> None:
    model = ScriptedModel("m", say, batched=True)

    async def test(gateway: Gateway) -> None:
        with pytest.raises(
            ValueError, match="batch 'b' of m says that it has 3 calls, but 2 were asked together"
        ):
            await gateway.ask(calls("a", "b", "c", batch="b")[:2])

    using(test, model, store=store)
    assert not model.seen


# --- backends that fail -------------------------------------------------------------------------------------


async def ends(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
    call = await anext(stream)
    yield call, Reply("only this", "stop")


async def raises(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
    call = await anext(stream)
    yield call, Reply("only this", "stop")
    raise OSError("the cable is out")


async def repeats(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
    call = await anext(stream)
    for _ in range(2):
        yield call, Reply("only this", "stop")


def at_once(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
    raise ModelError("weights are missing")


@pytest.mark.parametrize(
    ("run", "message", "answered"),
    [
        (ends, "m stopped answering", 1),
        (raises, "m stopped working: OSError: the cable is out", 1),
        (repeats, "m answered a call that was not asked, or answered it twice", 1),
        (at_once, "weights are missing", 0),
    ],
)
def test_a_backend_that_breaks_fails_all_its_calls_and_no_others(
    run: Any, message: str, answered: int, store: Store
) -> None:
    async def test(gateway: Gateway) -> None:
        asks = [gateway.ask(calls(f"p{i}", samples=ROOM)) for i in range(5)]  # more than there is room for
        single = asyncio.ensure_future(gateway.ask(calls("first")))
        await asyncio.sleep(0)
        outcomes = await asyncio.gather(single, *asks, return_exceptions=True)
        failures = outcomes[answered:]
        assert len(failures) == 6 - answered
        assert all(isinstance(f, ModelError) and message in str(f) for f in failures), failures
        with pytest.raises(ModelError, match=message):
            await gateway.ask(calls("later"))
        assert texts(await gateway.ask(calls("a", model="sound"))) == ["a/0"]

    using(test, Backend(run), ScriptedModel("sound", say), store=store)
    assert [row.call for row in store.calls() if row.model == "m"] == keys(calls("first"))[:answered]


def test_a_reply_that_comes_twice_is_a_fault_within_a_batch_too(store: Store) -> None:
    async def test(gateway: Gateway) -> None:
        with pytest.raises(ModelError, match="answered it twice"):
            await gateway.ask(calls("a", "b", batch="one"))

    using(test, Backend(repeats, batched=True), store=store)
    assert not list(store.calls())


def test_a_store_that_cannot_record_what_leaves_is_told_as_such(store: Store) -> None:
    async def dresses_up(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        try:
            async for call in stream:
                yield call, Reply(say(call), "stop")
        except StoreError as error:
            raise OSError("my stream broke") from error

    async def test(gateway: Gateway) -> None:
        with pytest.raises(StoreError, match="disk is full; nothing that was recorded is lost"):
            await gateway.ask(calls("a", samples=5000))

    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    record = store.record
    store.record = lambda sent, replies: record(sent, ())  # type: ignore[method-assign]
    using(test, Backend(dresses_up), store=store)


def test_a_failing_script_is_a_broken_backend(store: Store) -> None:
    def script(call: Call) -> str:
        raise KeyError(call.prompt)

    async def test(gateway: Gateway) -> None:
        with pytest.raises(ModelError, match="m stopped working: KeyError: 'a'"):
            await gateway.ask(calls("a", "b"))

    using(test, ScriptedModel("m", script), store=store)


@pytest.mark.parametrize("batched", [False, True])
def test_a_full_disk_reaches_whoever_asks_and_the_run_goes_on_later(batched: bool, folder: Path) -> None:
    asked = [calls(f"p{i}", samples=4, batch=f"b{i}") for i in range(40)]

    async def test(gateway: Gateway) -> list[Any]:
        return await asyncio.gather(*map(gateway.ask, asked), return_exceptions=True)

    def script(call: Call) -> str:
        return say(call) + " " * 2000

    with Store.open(folder) as store:
        (pages,) = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages + 40}")
        got = using(test, ScriptedModel("m", script, batched=batched), store=store)
        failed = [outcome for outcome in got if isinstance(outcome, Exception)]
        assert failed
        assert all(isinstance(f, StoreError) and "disk is full; nothing" in str(f) for f in failed)
    with Store.open(folder) as store:
        kept = {row.call for row in store.calls()}
        assert kept
        got = using(test, ScriptedModel("m", script, batched=batched), store=store)
        assert [texts(replies) for replies in got] == [[script(call) for call in ask] for ask in asked]
        again = {key for key, session in store.sent() if session == store.session}
        assert again == {key for ask in asked for key in keys(ask)} - kept


# --- waiting, cancelling, closing ---------------------------------------------------------------------------


def test_who_brings_more_than_there_is_room_for_waits_and_may_leave(store: Store) -> None:
    model = ScriptedModel("m", say, limit=3)
    gate = asyncio.Event()

    async def gated(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        await gate.wait()
        async for pair in model.run(stream):
            yield pair

    async def test(gateway: Gateway) -> None:
        big = asyncio.ensure_future(gateway.ask(calls("big", samples=5 * ROOM)))
        while not gateway._desks["m"]._room.locked():
            await asyncio.sleep(0)
        waiting = asyncio.ensure_future(gateway.ask(calls("other")))
        await asyncio.sleep(0.01)
        big.cancel()
        await asyncio.gather(big, return_exceptions=True)
        assert big.cancelled()
        gate.set()
        assert texts(await waiting) == ["other/0"]
        assert texts(await gateway.ask(calls("big", samples=2))) == ["big/0", "big/1"]

    using(test, Backend(gated), store=store)
    assert len(model.seen) == ROOM + 1, "what had no room when its ask was cancelled is not sent"
    assert len(list(store.calls())) == ROOM + 1, "what had left is recorded"


def test_cancelling_one_ask_leaves_others_of_the_same_calls_alone(store: Store) -> None:
    model = ScriptedModel("m", say, batched=True)
    gate = asyncio.Event()
    asked = calls("a", "b", batch="one")

    async def gated(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        async for pair in model.run(stream):
            await gate.wait()
            yield pair

    async def test(gateway: Gateway) -> None:
        asks = [asyncio.ensure_future(gateway.ask(asked)) for _ in range(3)]
        while len(model.seen) < 2:
            await asyncio.sleep(0)
        asks[0].cancel()
        asks[2].cancel()
        gate.set()
        got = await asyncio.gather(*asks, return_exceptions=True)
        assert texts(got[1]) == ["a/0", "b/0"]  # type: ignore[arg-type]
        assert [ask.cancelled() for ask in asks] == [True, False, True]

    using(test, Backend(gated, batched=True), store=store)
    assert len(model.seen) == 2


def test_a_busy_model_does_not_keep_another_from_its_work(store: Store) -> None:
    gate = asyncio.Event()

    async def stuck(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        await gate.wait()
        async for call in stream:
            yield call, Reply(say(call), "stop")

    other = ScriptedModel("other", say)

    async def test(gateway: Gateway) -> None:
        asked = [*calls("a", samples=2 * ROOM), *calls("b", model="other")]
        both = asyncio.ensure_future(gateway.ask(asked))
        while not list(store.calls()):
            await asyncio.sleep(0.001)
        gate.set()
        assert texts(await both) == [say(call) for call in asked]

    using(test, Backend(stuck), other, store=store)


def test_closing_fails_who_still_waits_and_closes_the_models(store: Store) -> None:
    async def never(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        async for _ in stream:
            await asyncio.sleep(3600)
        yield calls("x")[0], Reply("", "stop")

    model = Backend(never)

    async def main() -> None:
        async with Gateway({"m": model}, store) as gateway:
            waiting = [asyncio.ensure_future(gateway.ask(calls("a", samples=n))) for n in (1, 3 * ROOM)]
            await asyncio.sleep(0.01)
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, ModelError)
            assert "closed" in str(outcome)
        with pytest.raises(ModelError, match="closed"):
            await gateway.ask(calls("b"))
        await gateway.aclose()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert model.closed >= 1


def test_several_workers_may_pull_from_one_stream(store: Store) -> None:
    async def workers(stream: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        out: asyncio.Queue[Call] = asyncio.Queue()

        async def work() -> None:
            async for call in stream:
                await out.put(call)

        tasks = [asyncio.create_task(work()) for _ in range(4)]
        try:
            while True:
                call = await out.get()
                yield call, Reply(say(call), "stop")
        finally:
            for task in tasks:
                task.cancel()

    asked = calls(*"abcdefgh", samples=3)
    got = using(lambda gateway: gateway.ask(asked), Backend(workers), store=store)
    assert texts(got) == [say(call) for call in asked]


def test_the_meter_counts_by_model_and_purpose(store: Store) -> None:
    def script(call: Call) -> Reply | str:
        return (
            Reply("", "error", Usage(2, 0, 0), error="no") if call.prompt == "bad" else "four words of answer"
        )

    async def test(gateway: Gateway) -> None:
        asked = [*calls("two words"), *calls("bad", "one", purpose="exam"), *calls("a b c", model="n")]
        await gateway.ask(asked)
        await gateway.ask(asked)
        meter = gateway.meter
        assert {
            key: (c.sent, c.replied, c.errors, c.replayed, c.usage) for key, c in meter.counts().items()
        } == {
            ("m", "teach"): (1, 1, 0, 1, Usage(2, 0, 4)),
            ("m", "exam"): (3, 1, 2, 1, Usage(5, 0, 4)),
            ("n", "teach"): (1, 1, 0, 1, Usage(3, 0, 4)),
        }
        assert meter.total(purpose="teach").usage == Usage(5, 0, 8)
        assert meter.total(model="m").sent == 4
        assert meter.total().in_flight == 0

    using(test, ScriptedModel("m", script), ScriptedModel("n", script), store=store)


# --- kill -9 ------------------------------------------------------------------------------------------------

ROAD = """
import asyncio, random, sys
from docendo.models.gateway import Gateway
from docendo.models.scripted import ScriptedModel
from docendo.store import Store
from docendo.types import *
folder, batched, count, held = sys.argv[1], sys.argv[2] == "batched", int(sys.argv[3]), sys.argv[4] == "held"
say = lambda call: f"{call.prompt}/{call.sample} " * 20
delay = lambda call: random.uniform(0, 0.002)

async def problem(i, gateway, store):
    for step in ("teach", "exam"):
        calls = [Call("m", f"{step} {i // 2}", Sampling(), sample=k, batch=f"{step} {i // 2}", batch_size=7)
                 for k in range(7)]
        replies = await gateway.ask(calls)
        assert [r.text for r in replies] == [say(c) for c in calls]
    store.finish_problem(f"p{i}")
    print(i, flush=True)

async def main():
    with Store.open(folder) as store:
        models = {"m": ScriptedModel("m", say, delay=delay, batched=batched)}
        async with Gateway(models, store) as gateway:
            done, gone = store.done_ids(), asyncio.Semaphore(8)
            async def one(i):
                async with gone:
                    if held and i == count - 1:  # it must not come to its end before it is killed
                        await asyncio.Event().wait()
                    await problem(i, gateway, store)
            print("begun", flush=True)
            await asyncio.gather(*(one(i) for i in range(count) if f"p{i}" not in done))

asyncio.run(main())
"""


@pytest.mark.parametrize(("kind", "seed"), [("batched", 1), ("batched", 2), ("single", 3)])
def test_a_run_that_is_killed_again_and_again_asks_no_recorded_reply_twice(
    kind: str, seed: int, tmp_path: Path
) -> None:
    from docendo.types import Problem

    count, rng, kills = 120, random.Random(seed), 0
    problems = [Problem(f"p{i}", "?") for i in range(count)]
    Store.create(tmp_path / "run", kind="solve", config={}, seed=0, taught=problems).close()
    while True:
        held = "held" if kills < 4 else "free"
        command = [sys.executable, "-c", ROAD, str(tmp_path / "run"), kind, str(count), held]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            if kills < 4:
                time.sleep(rng.uniform(0, 0.1))
                child.kill()
                kills += 1
            said = child.stdout.read()
        with Store.read(tmp_path / "run") as view:
            assert {f"p{i}" for i in said.split()} <= view.done_ids()
            sizes = Counter(row.batch for row in view.calls())
            assert kind == "single" or set(sizes.values()) <= {7}, "half a batch was recorded"
        if child.returncode == 0:
            break
    with Store.read(tmp_path / "run") as view:
        assert view.done_ids() == {problem.id for problem in problems}
        recorded = {row.call: row.session for row in view.calls()}
        assert len(recorded) == count * 7
        assert len(view.sessions()) > kills
        assert all(session <= recorded[key] for key, session in view.sent()), (
            "asked again after it was recorded"
        )
