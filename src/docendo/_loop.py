"""Async inside, plain outside: one private event loop on a thread of its own.

`run` works in scripts, notebooks (which have a loop of their own already) and trainers' callbacks alike.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and give its result.

    An interrupt (Ctrl-C) cancels the coroutine, waits until it has put its things away, and is raised again.
    """
    future = asyncio.run_coroutine_threadsafe(work, _running_loop())
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        _settle(future)
        raise


def _settle(future: Any) -> None:
    # run_coroutine_threadsafe's future is done as soon as it is cancelled, the task behind it is not: without
    # this wait the process could end while a store is still open.
    async def others() -> None:
        waiting = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        if waiting:
            await asyncio.wait(waiting, timeout=10)

    asyncio.run_coroutine_threadsafe(others(), _running_loop()).result()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="docendo", daemon=True).start()
            _loop = loop
    return _loop
