"""The door before an endpoint, on a clock that the tests turn: who may leave, when, and when all give up."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from docendo.errors import ModelError
from docendo.models.endpoint.door import Door, Ticket
from docendo.models.endpoint.faults import Fault
from docendo.models.endpoint.rate import Rate

BUSY, RATE = Fault("busy", "overloaded"), Fault("rate", "slow down")
DOWN, FAILED = Fault("down", "no connection"), Fault("passing", "HTTP 500")


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of passing."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def timed(test: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=Clock) as runner:
        return runner.run(test())


def now() -> float:
    return asyncio.get_running_loop().time()


async def many(door: Door, count: int) -> list[Ticket]:
    return [await door.enter() for _ in range(count)]


def test_the_limit_grows_while_all_goes_well_and_never_past_the_most() -> None:
    async def test() -> list[float]:
        door, limits = Door("e", most=40, patience=60), []
        for _ in range(10):
            for ticket in await many(door, int(door.limit)):
                door.leave(ticket, None, 1)
            limits.append(door.limit)
        for _ in range(1000):
            door.leave(await door.enter(), None, 1)
        return [*limits, door.limit]

    limits = timed(test)
    assert all(a < b or a == b == 40 for a, b in itertools.pairwise(limits))
    assert limits[-1] == 40


def test_a_limit_that_is_not_reached_is_not_raised() -> None:
    async def test() -> None:
        door = Door("e", most=40, patience=60)
        for _ in range(1000):
            door.leave(await door.enter(), None, 1)
        assert door.limit == 8

    timed(test)


def test_too_many_requests_halve_the_limit_once_a_round() -> None:
    async def test() -> None:
        door = Door("e", most=8, patience=60)
        tickets = await many(door, 8)
        await asyncio.sleep(1)
        for ticket in tickets:
            door.leave(ticket, RATE, 1)
        assert door.limit == 4, "eight refusals of one round are one sign"
        await asyncio.sleep(1)
        later = await many(door, 4)
        for ticket in later:
            door.leave(ticket, BUSY, 1)
        assert door.limit == 2
        for _ in range(20):
            await asyncio.sleep(1)
            for ticket in await many(door, int(door.limit)):
                door.leave(ticket, RATE, 1)
        assert door.limit == 1, "one call may always try"
        for _ in range(100):
            for ticket in await many(door, int(door.limit)):
                door.leave(ticket, None, 1)
        assert door.limit == 8

    timed(test)


def test_no_more_than_the_limit_are_in_flight_and_who_tries_again_goes_first() -> None:
    async def test() -> None:
        door = Door("e", most=1, patience=60)
        ticket, order = await door.enter(), []

        async def come(name: str, again: bool) -> None:
            mine = await door.enter(again=again)
            order.append(name)
            await asyncio.sleep(1)
            assert door.flying == 1
            door.leave(mine, None, name)

        tasks = [
            asyncio.create_task(come(n, n.startswith("again"))) for n in ("a", "b", "again 1", "again 2")
        ]
        await asyncio.sleep(5)
        assert order == []
        door.leave(ticket, None, 0)
        await asyncio.gather(*tasks)
        assert order == ["again 1", "again 2", "a", "b"]

    timed(test)


def test_a_wait_that_the_server_asks_for_holds_everybody() -> None:
    async def test() -> None:
        door = Door("e", most=8, patience=60)
        first, second = await many(door, 2)
        door.leave(first, Fault("rate", "slow down", wait=20.0), 1)
        door.leave(second, None, 2)
        await door.enter()
        assert 20 <= now() < 20.1

    timed(test)


@pytest.mark.parametrize("fault", [DOWN, FAILED, BUSY])
def test_while_the_endpoint_is_down_one_call_tries_and_its_success_lets_all_in(fault: Fault) -> None:
    async def test() -> None:
        door, back_at, tries, done = Door("e", most=8, patience=900), 120.0, 0, []
        door.leave(await door.enter(), None, "one that was answered")

        async def work(name: int) -> None:
            nonlocal tries
            again = False
            while True:
                ticket = await door.enter(again=again)
                if now() >= back_at:
                    door.leave(ticket, None, name)
                    done.append(name)
                    return
                tries, again = tries + 1, True
                door.leave(ticket, fault, name)
                await asyncio.sleep(0.1)

        await asyncio.gather(*(work(i) for i in range(100)))
        assert len(done) == 100
        assert tries < 60, "a server that is down is left alone"
        assert now() < back_at + 15, "but that it is back is soon noticed"

    timed(test)


def test_an_endpoint_that_stays_down_ends_in_an_error_that_says_so_to_everybody() -> None:
    async def test() -> None:
        door, failures = Door("http://e", most=8, patience=300), []
        door.leave(await door.enter(), None, "one that was answered")

        async def work(name: int) -> None:
            try:
                while True:
                    door.leave(await door.enter(again=True), DOWN, name)
                    await asyncio.sleep(0.1)
            except ModelError as error:
                failures.append(str(error))

        await asyncio.gather(*(work(i) for i in range(20)))
        assert 300 <= now() < 320
        assert len(failures) == 20
        assert "http://e has answered nothing for 3" in failures[0]
        assert "no connection" in failures[0]
        with pytest.raises(ModelError, match="nothing"):
            await door.enter()

    timed(test)


def test_where_nobody_was_ever_reached_patience_is_short() -> None:
    async def test() -> None:
        door = Door("http://e", most=8, patience=900)

        async def work() -> None:
            while True:
                door.leave(await door.enter(again=True), DOWN, 1)

        with pytest.raises(ModelError, match=r"nobody could be reached there .*no connection.*its address"):
            await work()
        assert 120 <= now() < 140

    timed(test)


def test_why_nothing_comes_can_be_asked() -> None:
    async def test() -> None:
        door = Door("http://e", most=8, patience=900)
        assert door.trouble(now()) is None
        door.leave(await door.enter(), DOWN, 1)
        assert door.trouble(now()) is None, "a moment is not worth a word"
        assert door.trouble(now() + 5) == "http://e has answered nothing for 5 s: no connection"
        door.leave(await door.enter(), None, 1)
        assert door.trouble(now() + 5) is None
        door.leave(await door.enter(), Fault("rate", "slow down", wait=30.0), 1)
        door.leave(await door.enter(), None, 1)
        assert door.trouble(now() - 20) == "http://e asks to wait another 20 s"

    timed(test)


def test_one_call_that_always_fails_closes_the_door_for_nobody() -> None:
    async def test() -> None:
        door = Door("e", most=8, patience=60)
        for _ in range(100):
            door.leave(await door.enter(again=True), FAILED, "poison")
            await asyncio.sleep(5)
        assert door.failure is None
        assert now() < 501, "nor does it have to wait"

    timed(test)


def test_limits_that_never_lift_end_in_an_error_too() -> None:
    async def test() -> None:
        door = Door("e", most=8, patience=60)

        async def work() -> None:
            while True:
                door.leave(await door.enter(), Fault("rate", "slow down", wait=5.0), 1)

        with pytest.raises(ModelError, match="slow down"):
            await work()
        assert 60 <= now() < 66

    timed(test)


def test_who_stops_waiting_leaves_no_slot_taken() -> None:
    async def test() -> None:
        door = Door("e", most=1, patience=60)
        ticket = await door.enter()
        waiting = [asyncio.create_task(door.enter()) for _ in range(3)]
        await asyncio.sleep(1)
        waiting[0].cancel()
        door.leave(ticket, None, 1)
        waiting[1].cancel()  # it was given leave just now, and does not take it
        door.leave(await waiting[2], None, 1)
        assert door.flying == 0

    timed(test)


def test_calls_are_spaced_out_to_keep_to_a_rate() -> None:
    async def test() -> None:
        rate = Rate(per_minute=60)
        for _ in range(65):
            await rate.take(1)
        assert 59 <= now() <= 61, "five at once after a rest, then one a second"
        rate.give_back(10)
        before = now()
        await rate.take(10)
        assert now() - before <= 1, "what was not used is free for others"
        await Rate(None).take(1e9)

    timed(test)
