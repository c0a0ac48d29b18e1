"""The door before an endpoint: how many calls are in flight, and when none may leave.

Three things close it: as many calls in flight as it bears, found by additive increase and multiplicative
decrease (a call more a round while all goes well, half as many after a 429 or a 503); a pause that the server
asked for; and a breaker, which lets one call try every now and then while the endpoint is down. All models of an
endpoint share its door. What a failure means is `faults`', what becomes of a call `model`'s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from docendo.errors import ModelError
from docendo.models.endpoint.faults import Fault

FIRST = 8
"""Calls in flight to begin with."""

_DOWN = 3  # refused connections in a row that open the breaker
_FAILED = 8  # other failures in a row that do, if they are of
_CULPRITS = 3  # so many different calls: one call that always fails is that call's fault
_REST = (0.5, 10.0)  # seconds until the first try while the breaker is open, and at most between two
_UNMET = 120.0  # seconds that nobody at all is waited for: the address is likelier wrong by then
_WORTH_SAYING = 2.0  # seconds of trouble, or of a pause to come, from which on a user may want to know


class Ticket(NamedTuple):
    """Leave to send one request: when it was given, and whether it is the one that tries a broken endpoint."""

    at: float
    probe: bool


@dataclass(slots=True)
class _Trouble:
    """Failures since the last answer: since when, how many in a row, of which calls, and what the last one said."""

    since: float
    count: int = 0
    down: int = 0
    rate: int = 0
    culprits: set[object] | None = None
    last: str = ""


class Door:
    """Slots for requests to one endpoint; every `enter` is followed by one `leave` or `give_back`.

    `limit` calls may be in flight, at most `most`. After `patience` seconds without any answer from an endpoint
    that is down, or answers with nothing but refusals for being asked too much, whoever waits (and whoever comes)
    gets a `ModelError`: the calls are not to blame and must not be recorded as failed. So it is after two minutes, or
    `patience` where that is less, while no connection was ever made.
    """

    def __init__(self, name: str, most: int, patience: float) -> None:
        """`name` is how messages call the endpoint."""
        self.name = name
        self.most = most
        self.patience = patience
        self.limit = float(min(FIRST, most))
        self.flying = 0
        self.failure: ModelError | None = None
        self._doubling = True  # until the first sign of too much, as nothing is known yet
        self._halved_at = float("-inf")
        self._paused_until = float("-inf")
        self._trouble: _Trouble | None = None
        self._met = False  # a connection was made, whatever came of it
        self._open_until: float | None = None  # of the breaker; None while it is closed
        self._rest = _REST[0]
        self._probing = False
        self._first: deque[asyncio.Future[Ticket]] = deque()
        self._then: deque[asyncio.Future[Ticket]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, *, again: bool = False) -> Ticket:
        """Wait for leave to send a request; those who try again go before those who come first.

        Raises:
            ModelError: the endpoint has been down, or refusing, for longer than `patience`.
        """
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        loop = asyncio.get_running_loop()
        if not (self._first or self._then) and (ticket := self._ticket(loop.time())) is not None:
            return ticket
        future: asyncio.Future[Ticket] = loop.create_future()
        queue = self._first if again else self._then
        queue.append(future)
        self._let_in()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result())
            elif future in queue:
                queue.remove(future)
            raise

    def leave(self, ticket: Ticket, fault: Fault | None, call: object) -> None:
        """Say how the request went: `fault` None for an answer; `call` names it among others."""
        now = asyncio.get_running_loop().time()
        if fault is None or fault.kind in ("lasting", "fatal"):  # either way the endpoint is there
            self._went_well(now)
        else:
            self._went_wrong(now, ticket, fault, call)
        self.give_back(ticket)

    def give_back(self, ticket: Ticket) -> None:
        """Leave was given and not used, or it is not known how the request went."""
        self.flying -= 1
        if ticket.probe:
            self._probing = False
        self._let_in()

    def trouble(self, now: float) -> str | None:
        """Why nothing comes `now`, on the loop's clock, in words; None where all is well. Any thread may ask."""
        trouble = self._trouble
        if trouble is not None and now - trouble.since >= _WORTH_SAYING:
            return f"{self.name} has answered nothing for {now - trouble.since:.0f} s: {trouble.last}"
        if self._paused_until - now >= _WORTH_SAYING:
            return f"{self.name} asks to wait another {self._paused_until - now:.0f} s"
        return None

    def pause(self, seconds: float) -> None:
        """Let nothing leave for so long, or longer where that was said already."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until = max(self._paused_until, until)
        self._set_timer()

    def fail(self, failure: ModelError) -> None:
        """Turn everybody away from now on; the first failure is the one that counts."""
        if self.failure is None:
            self.failure = failure
        for queue in (self._first, self._then):
            while queue:
                future = queue.popleft()
                if not future.done():
                    future.set_exception(self.failure)

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- who may leave ------------------------------------------------------------------------------------

    def _ticket(self, now: float) -> Ticket | None:
        if self.flying >= int(self.limit) or now < self._paused_until:
            return None
        probe = False
        if self._open_until is not None:
            if self._probing or now < self._open_until:
                return None
            self._probing = probe = True
        self.flying += 1
        return Ticket(now, probe)

    def _let_in(self) -> None:
        now = asyncio.get_running_loop().time()
        self._give_up(now)
        while (queue := self._first or self._then) and (ticket := self._ticket(now)) is not None:
            future = queue.popleft()
            if future.done():  # cancelled meanwhile
                self.flying -= 1
                self._probing = self._probing and not ticket.probe
            else:
                future.set_result(ticket)
        self._set_timer()

    def _set_timer(self) -> None:
        """Look again when a pause or the breaker's rest is over, or patience: nobody may come by till then."""
        if not (self._first or self._then):
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        ends = [self._paused_until, self._open_until or 0.0]
        ends += [self._trouble.since + self._most_patience] if self._trouble is not None else []
        later = [end for end in ends if end > now]
        if later and (self._timer is None or self._timer.when() > min(later) + 0.001):
            self.close()
            self._timer = loop.call_at(min(later) + 0.001, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._let_in()

    # --- how it went --------------------------------------------------------------------------------------

    @property
    def _most_patience(self) -> float:
        return self.patience if self._met else min(self.patience, _UNMET)

    def _went_well(self, now: float) -> None:
        self._trouble, self._met = None, True
        if self._open_until is not None:
            self._open_until, self._rest = None, _REST[0]
            self.limit, self._doubling = float(min(FIRST, self.most)), True
        elif self.flying >= self.limit / 2:  # a limit that is not reached was not tried out
            self.limit = min(self.limit + (1.0 if self._doubling else 1.0 / self.limit), float(self.most))

    def _went_wrong(self, now: float, ticket: Ticket, fault: Fault, call: object) -> None:
        trouble = self._trouble = self._trouble or _Trouble(ticket.at, culprits=set())
        self._met = self._met or fault.kind != "down"
        trouble.count += 1
        trouble.down += fault.kind == "down"
        trouble.rate += fault.kind == "rate"
        trouble.last = fault.message
        if trouble.culprits is not None and len(trouble.culprits) < _CULPRITS:
            trouble.culprits.add(call)
        if fault.kind in ("rate", "busy"):
            if ticket.at > self._halved_at:  # once a round: those that left before tell nothing new
                self.limit, self._doubling, self._halved_at = max(1.0, self.limit / 2), False, now
            if fault.wait is not None:
                self._paused_until = max(self._paused_until, now + fault.wait)
        if ticket.probe:
            self._rest = min(self._rest * 2, _REST[1])
            self._open_until = now + self._rest
        elif self._open_until is None and self._is_broken(trouble, fault):
            self._open_until = now + self._rest

    def _is_broken(self, trouble: _Trouble, fault: Fault) -> bool:
        if fault.kind == "rate":
            return False  # it answers, and says when to come back
        return trouble.down >= _DOWN or (trouble.count >= _FAILED and self._many(trouble))

    def _many(self, trouble: _Trouble) -> bool:
        return trouble.culprits is not None and len(trouble.culprits) >= _CULPRITS

    def _give_up(self, now: float) -> None:
        trouble = self._trouble
        if trouble is None or self.failure is not None or now - trouble.since < self._most_patience:
            return
        if not self._met:
            self.fail(
                ModelError(
                    f"{self.name}: nobody could be reached there for {now - trouble.since:.0f} s; the last of "
                    f"{trouble.count} tries: {trouble.last}. No call was recorded as failed for it: see that the "
                    "server is up and that this is its address (host, port, http or https), then go on with the run; "
                    "--resume with --base-url (or --config) says where it is now"
                )
            )
            return
        if trouble.down or trouble.rate or self._many(trouble):
            self.fail(
                ModelError(
                    f"{self.name} has answered nothing for {now - trouble.since:.0f} s, over {trouble.count} "
                    f"requests; the last one: {trouble.last}. No call was recorded as failed for it: see that the "
                    "endpoint is up (or wait until its limits allow more), then go on with the run, "
                    "at another address where it has moved (--resume with --base-url or --config); "
                    "limits.patience says how long to wait"
                )
            )
