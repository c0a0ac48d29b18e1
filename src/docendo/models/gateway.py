"""The one place where models are called: it looks in the store, asks, records, and only then answers.

How a model is driven is left to its backend, what waits and flies in front of each to its `desk`, and what is asked to
the methods; it knows no lesson.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from docendo.errors import ModelError
from docendo.models.base import Model
from docendo.models.budget import Ledger
from docendo.models.desk import Desk
from docendo.models.meter import Meter
from docendo.models.writer import Writer
from docendo.store import Key, Store
from docendo.types import Call, Reply

LAST = 60.0
"""Seconds that replies on their way are waited for where something else ends the asking: they are paid for."""


class Gateway:
    """The models of a run behind one door, with its store; an async context manager.

    A recorded reply is never asked for again; a call that is in flight is not sent a second time. A reply is
    handed out after it was recorded, so whatever was built on it can be built again after a kill.
    """

    def __init__(
        self, models: Mapping[str, Model], store: Store | None = None, ledger: Ledger | None = None
    ) -> None:
        """Answer calls by `call.model`; without a store nothing is recorded or replayed.

        Once the ledger's stop condition is met no further call leaves: a call that is not recorded is then
        answered by an error (`budget.not_asked`), which is not recorded, so that it can be asked another day.
        """
        self.meter = Meter()
        self.models = models
        self.ledger = ledger or Ledger()
        self._writer = Writer(store) if store is not None else None
        self._desks = {
            name: Desk(name, model, store, self._writer, self.meter, self.ledger)
            for name, model in models.items()
        }

    async def ask(self, calls: Sequence[Call]) -> list[Reply]:
        """The replies to `calls`, in their order.

        A call that fails comes back as a reply with `stop` "error"; it is asked again when it is asked for
        again, unless its error is `lasting`: that is recorded and replayed like a reply. For a batched model
        the calls of one batch must come in one `ask`, `batch_size` of them; the size is put right for what the
        store and duplicates leave to be sent. Cancelling an `ask` holds back what has not left for its
        backend's queue; what has is still recorded.

        Raises:
            ModelError: a model is unknown, or its backend cannot work any more.
            StoreError: replies cannot be recorded, or the store holds a part of a batch.
            ValueError: a batch that is not whole.
        """
        asked: dict[str, dict[Key, Call]] = {}
        keys = [(call.model, (call.request, call.sample)) for call in calls]
        for call, (model, key) in zip(calls, keys, strict=True):
            asked.setdefault(model, {}).setdefault(key, call)
        for model in asked.keys() - self._desks.keys():
            known = ", ".join(map(repr, self._desks)) or "none"
            raise ModelError(f"no model {model!r} here; there are {known}")
        _check_batches([call for call in calls if self._desks[call.model].batched])
        # One task a model: a full queue in front of one must not keep the others from their work.
        tasks = {model: asyncio.create_task(self._desks[model].ask(mine)) for model, mine in asked.items()}
        try:
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
        replies = {model: task.result() for model, task in tasks.items()}
        return [replies[model][key] for model, key in keys]

    async def aclose(self) -> None:
        """Stop asking, fail whoever still waits, and release the models; safe to call twice."""
        if self._writer is not None:
            self._writer.flush()
        await asyncio.gather(*(desk.aclose() for desk in self._desks.values()))
        closed = await asyncio.gather(
            *(model.aclose() for model in self.models.values()), return_exceptions=True
        )
        for outcome in closed:
            if isinstance(outcome, BaseException):
                raise outcome

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an error, but for an interrupt, not before what is on its way is recorded."""
        try:
            if kind is not None and issubclass(kind, Exception):
                await asyncio.gather(*(desk.settle(LAST) for desk in self._desks.values()))
        finally:
            await self.aclose()


def _check_batches(calls: Sequence[Call]) -> None:
    batches: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        if call.batch:
            batches.setdefault((call.model, call.batch), []).append(call)
    for (model, batch), members in batches.items():
        # Whether a plan counts the same call twice or once, the batch is whole.
        sizes = {len(members), len({(call.request, call.sample) for call in members})}
        for call in members:
            if call.batch_size not in sizes:
                raise ValueError(
                    f"batch {batch!r} of {model} says that it has {call.batch_size} calls, "
                    f"but {len(members)} were asked together"
                )
