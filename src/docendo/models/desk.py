"""One model's desk at the gateway: the queue in front of it, its calls in flight, and what is done with its replies.

Calls that are sent, recorded and handed out together make a `_Unit`: a plan's whole batch where the model is
`batched` (a part of one would be computed differently when asked again), a single call everywhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from docendo.errors import DocendoError, ModelError, StoreError
from docendo.models.base import Hindered, Model, Watchable
from docendo.models.budget import NOT_ASKED, Ledger
from docendo.models.meter import Meter
from docendo.models.order import departure
from docendo.models.writer import Writer
from docendo.store import Key, Store
from docendo.types import Call, Reply

ROOM = 64
"""Units that may wait in front of one backend; whoever brings more waits too."""


@dataclass(slots=True, eq=False)
class _Unit:
    """Calls that travel together.

    `left` once the backend has pulled the first of them, `dropped` where none may leave any more.
    """

    calls: dict[Key, Call]
    futures: dict[Key, asyncio.Future[Reply]]
    replies: dict[Key, Reply] = field(default_factory=dict)
    left: bool = False
    dropped: bool = False


@dataclass(slots=True, eq=False)
class _Known:
    """What one `ask` knows to be recorded of its calls: what was when it came, and what was since then.

    Looking in the store before each call leaves would cost more than all else that is done for it.
    """

    keys: Collection[Key]
    replies: dict[Key, Reply]


class Desk:
    """One model: the queue in front of it, the calls in flight, and the task that reads its replies."""

    def __init__(
        self,
        name: str,
        model: Model,
        store: Store | None,
        writer: Writer | None,
        meter: Meter,
        ledger: Ledger,
    ) -> None:
        self.batched = model.capabilities.batched
        self._name = name
        self._model = model
        self._store = store
        self._writer = writer
        self._notes: deque[str] | None = getattr(model, "notes", None)
        self._meter = meter
        self._ledger = ledger
        # The bound counts units, not calls: a batch that is larger than the bound must still fit in whole.
        self._room = asyncio.Semaphore(ROOM)
        self._queue: asyncio.Queue[tuple[Call, _Unit]] = asyncio.Queue()
        self._flying: dict[Key, _Unit] = {}
        self._asks: set[_Known] = set()
        self._task: asyncio.Task[None] | None = None
        self._failure: DocendoError | None = None
        if isinstance(model, Watchable):
            model.watch(partial(meter.tell, name))
        if isinstance(model, Hindered):
            meter.watch(model.trouble)

    async def ask(self, calls: Mapping[Key, Call]) -> dict[Key, Reply]:
        """The replies to calls of this model, recorded or new."""
        known = _Known(calls.keys(), self._recorded(list(calls)))
        replies: dict[Key, Reply] = {}
        futures: dict[Key, asyncio.Future[Reply]] = {}
        self._asks.add(known)
        try:
            for group in self._groups(calls):
                recorded, waiting = await self._send(group, known)
                replies |= recorded
                futures |= waiting
                for key in recorded:
                    self._meter.count(self._name, calls[key].purpose).replayed += 1
        finally:
            self._asks.discard(known)
        if futures:
            await asyncio.wait(futures.values())  # unlike gather: cancelling this leaves the futures alone
        return replies | {key: future.result() for key, future in futures.items()}

    def _groups(self, calls: Mapping[Key, Call]) -> list[dict[Key, Call]]:
        """What leaves together, in the order in which it should leave; a batch is ordered by who computes it."""
        if not self.batched:
            ordered = departure(list(calls.values()))
            return [{(call.request, call.sample): call} for call in ordered]
        groups: dict[str | Key, dict[Key, Call]] = {}
        for key, call in calls.items():
            groups.setdefault(call.batch or key, {})[key] = call
        return list(groups.values())

    async def _send(
        self, group: Mapping[Key, Call], known: _Known
    ) -> tuple[dict[Key, Reply], dict[Key, asyncio.Future[Reply]]]:
        """The recorded replies to the calls that leave or fly together, and futures of the others.

        A batch that shares some calls with another one in flight waits until those are recorded. So
        whenever a reply is recorded as part of a batch, each call of that batch was answered, by a reply or
        an error, and a batch found in part in the store is a fault.
        """
        room = False
        try:
            while True:
                if self._failure is not None:
                    raise self._failure.with_traceback(None)  # or it grows with each who is told
                recorded = {key: known.replies[key] for key in group if key in known.replies}
                open_ = {key: call for key, call in group.items() if key not in recorded}
                flying = {key: self._flying[key].futures[key] for key in open_ if key in self._flying}
                if len(flying) == len(open_):
                    return recorded, flying
                if flying:
                    await asyncio.wait(flying.values())
                elif not room:
                    room = await self._room.acquire()  # others may have asked the same meanwhile: look again
                else:
                    self._check_part(open_, recorded)
                    room = False  # it is the unit's now, until that leaves
                    return recorded, self._queue_up(open_)
        finally:
            if room:
                self._room.release()

    def _recorded(self, keys: list[Key]) -> dict[Key, Reply]:
        """What needs not be asked: recorded replies and, but for batches (they are whole or not), lasting errors."""
        if self._store is None:
            return {}
        found = self._store.recorded(keys)
        if not self.batched and len(found) < len(keys):
            found |= self._store.lasting([key for key in keys if key not in found])
        return found

    def _check_part(self, open_: Mapping[Key, Call], recorded: Mapping[Key, Reply]) -> None:
        if not (recorded and self._store):
            return
        batch = next(iter(open_.values())).batch
        if batch not in self._store.batch_of(list(recorded)).values():
            return  # those came with other batches that ask the same
        if missing := open_.keys() - self._store.failed(list(open_)).keys():
            raise StoreError(
                f"{self._store.folder}: of batch {batch!r} of {self._name} {len(recorded)} replies are "
                f"recorded and {len(missing)} are not, so it cannot be computed as before. Start a new run, "
                "and please report this: it is a fault in docendo"
            )

    def _queue_up(self, calls: Mapping[Key, Call]) -> dict[Key, asyncio.Future[Reply]]:
        if self.batched:
            calls = {key: replace(call, batch_size=len(calls)) for key, call in calls.items()}
        loop = asyncio.get_running_loop()
        unit = _Unit(dict(calls), {key: loop.create_future() for key in calls})
        for key, call in calls.items():
            self._flying[key] = unit
            self._queue.put_nowait((call, unit))  # side by side: a backend never holds halves of two batches
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name=f"gateway to {self._name}")
        return unit.futures

    async def next_call(self) -> Call:
        """The call that the backend gets next."""
        while True:
            call, unit = await self._queue.get()
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if not (unit.left or unit.dropped or self._ledger.may_leave()):
                self._drop(unit)
            if not unit.dropped:
                break
        if not unit.left:
            unit.left = True
            self._room.release()
            if self._writer is not None:
                self._writer.sent(unit.calls.values(), self._told)
            for each in unit.calls.values():
                self._meter.count(self._name, each.purpose).sent += 1
                self._ledger.left(self._name)
        return call

    def _drop(self, unit: _Unit) -> None:
        """Answer a unit that may not leave; nothing of it is recorded."""
        unit.dropped = True
        self._room.release()
        reply = Reply("", "error", error=f"{NOT_ASKED}{self._ledger.why}")
        for key, future in unit.futures.items():
            del self._flying[key]
            future.set_result(reply)

    async def _serve(self) -> None:
        replies: AsyncIterator[tuple[Call, Reply]] | None = None
        try:
            replies = self._model.run(_Stream(self))
            async for call, reply in replies:
                self._receive((call.request, call.sample), reply)
                if self._notes:
                    self._write_notes()
                if self._failure is not None:
                    return
            self._fail(ModelError(f"{self._name} stopped answering while it was still needed"))
        except DocendoError as error:
            self._fail(error)
        except Exception as error:
            failure = ModelError(f"{self._name} stopped working: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            close = getattr(replies, "aclose", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await close()

    def _receive(self, key: Key, reply: Reply) -> None:
        unit = self._flying.get(key)
        if unit is None or key in unit.replies:
            raise ModelError(f"{self._name} answered a call that was not asked, or answered it twice")
        unit.replies[key] = reply
        count = self._meter.count(self._name, unit.calls[key].purpose)
        count.usage += reply.usage
        self._ledger.came(self._name, reply.usage)
        if reply.stop == "error":
            count.errors += 1
        else:
            count.replied += 1
            count.cut += reply.stop == "length"
        if len(unit.replies) < len(unit.calls):
            return
        if self._writer is None:
            self._hand_out(unit, None)
        else:
            pairs = [(call, unit.replies[k]) for k, call in unit.calls.items()]
            self._writer.replies(pairs, partial(self._hand_out, unit))

    def _hand_out(self, unit: _Unit, error: StoreError | None) -> None:
        """Give a unit's replies to whoever waits for them, now that they are recorded, or the reason why not."""
        self._told(error)
        if self._failure is not None:
            return
        for key, future in unit.futures.items():
            reply = unit.replies[key]
            del self._flying[key]
            future.set_result(reply)
            if self._store is not None and (reply.stop != "error" or (reply.lasting and not self.batched)):
                for known in self._asks:
                    if key in known.keys:
                        known.replies[key] = reply

    def _told(self, error: StoreError | None) -> None:
        if error is not None:
            self._fail(error)

    def _write_notes(self) -> None:
        """Record what the backend has to say of how it asks."""
        while self._notes:
            text = self._notes.popleft()
            if self._store is not None:
                self._store.record_note(self._name, text)

    def _fail(self, failure: DocendoError) -> None:
        """Fail every waiting and every later call; the first failure is the one that counts."""
        if self._failure is not None:
            return
        self._failure = failure
        for unit in set(self._flying.values()):
            if not unit.left:
                self._room.release()  # who waits for room comes in, and learns of the failure
            for future in unit.futures.values():
                future.set_exception(failure)
                future.exception()  # read: nobody may be waiting for it any more
        self._flying.clear()

    async def settle(self, seconds: float) -> None:
        """Let nothing more leave, and wait for what has; not for batches, which nobody is paid for."""
        if self.batched or self._failure is not None:
            return
        units = set(self._flying.values())
        for unit in units:
            if not unit.left:
                self._drop(unit)
        left = [future for unit in units if unit.left for future in unit.futures.values()]
        if left:
            await asyncio.wait(left, timeout=seconds)

    async def aclose(self) -> None:
        """Stop the backend's stream; its model is not this one's to close."""
        self._fail(ModelError(f"the gateway to {self._name} is closed"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class _Stream(AsyncIterator[Call]):
    """A desk's calls for its backend; no generator, so that several workers may pull at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __anext__(self) -> Call:
        return await self._desk.next_call()
