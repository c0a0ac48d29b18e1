"""Writes what models are asked and answer into the store, together with what else there is to write just then.

A transaction costs as much as many rows. So what comes up within one turn of the event loop is written as one,
and whoever waits for it is told afterwards; the more there is to do, the more is written at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from docendo.errors import StoreError
from docendo.store import Store
from docendo.types import Call, Reply

Told = Callable[[StoreError | None], None]
"""Is told that something was written (None), or why it could not be."""


@dataclass(frozen=True, slots=True)
class _Entry:
    sent: Sequence[Call]
    replies: Sequence[tuple[Call, Reply]]
    told: Told


class Writer:
    """One store's writer on one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: list[_Entry] = []

    def sent(self, calls: Iterable[Call], told: Told) -> None:
        """Calls leave for a backend."""
        self._add(_Entry(tuple(calls), (), told))

    def replies(self, replies: Sequence[tuple[Call, Reply]], told: Told) -> None:
        """Calls that belong together were answered."""
        self._add(_Entry((), replies, told))

    def flush(self) -> None:
        """Write now what there is to write, and tell everybody; raises nothing."""
        entries, self._entries = self._entries, []
        if not entries:
            return
        error: StoreError | None = None
        try:
            self._store.record(
                [call for entry in entries for call in entry.sent],
                [pair for entry in entries for pair in entry.replies],
            )
        except StoreError as fault:
            error = fault
        for entry in entries:
            entry.told(error)

    def _add(self, entry: _Entry) -> None:
        if not self._entries:
            asyncio.get_running_loop().call_soon(self.flush)
        self._entries.append(entry)
