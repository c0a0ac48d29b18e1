"""Asks the grader's worker processes: starts them when first needed, bounds what they cost, and mends what dies.

Safe from any thread and from several at once. Up to `WORKERS` processes are kept; they end with this one, however it
ends. What was asked once is remembered, a failure included, so that a hostile answer costs its time once.

Async callers must not wait here: `nowait` makes a question whose answer is not remembered raise `WouldWait` instead,
and `aside` does the waiting on a thread of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from docendo.errors import ConfigError, GradingError

T = TypeVar("T")

WORKERS = 2
REMEMBERED = 16_384
"""Questions whose answers are kept."""
PATIENCE = 120.0
"""Seconds until a worker that gives no answer is killed; the limit that counts is its processor time (`worker.py`)."""


class WouldWait(Exception):
    """The answer is not remembered, and the caller must not wait for it."""


def key(text: str) -> str | None:
    """Return the canonical key of an answer, None where it is of no known form.

    Raises:
        GradingError: the answer took more time or memory than a question may.
        ConfigError: the worker cannot run here.
    """
    return _ask(("key", text))  # type: ignore[no-any-return]


def same(gold: str, answer: str) -> bool:
    """Whether an answer is as good as the gold one; raises what `key` does."""
    return bool(_ask(("same", gold, answer)))


@contextlib.contextmanager
def nowait() -> Iterator[None]:
    """Within this block nothing waits for a worker: see `WouldWait`."""
    token = _waits.set(False)
    try:
        yield
    finally:
        _waits.reset(token)


async def aside(work: Callable[[], T]) -> T:
    """Run work that may wait for a worker on a thread of the grader's own, as many as there are workers."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)


def pids() -> list[int]:
    """The running workers' process ids."""
    return [worker.pid for worker in _workers if worker.pid is not None]


def close() -> None:
    """End all workers; the next question starts new ones."""
    for worker in _workers:
        worker.close()


_waits: ContextVar[bool] = ContextVar("_waits", default=True)
_remembered: OrderedDict[tuple[str, ...], dict[str, Any]] = OrderedDict()
_lock = threading.Lock()


def _ask(question: tuple[str, ...]) -> Any:
    with _lock:
        reply = _remembered.get(question)
        if reply is not None:
            _remembered.move_to_end(question)
    if reply is None:
        if not _waits.get():
            raise WouldWait
        worker = _idle.get()
        try:
            reply = worker.ask(question)
        finally:
            _idle.put(worker)
        with _lock:
            _remembered[question] = reply
            while len(_remembered) > REMEMBERED:
                _remembered.popitem(last=False)
    if "failed" in reply:
        raise GradingError(f"the answer could not be compared: {reply['failed']}")
    return reply["answer"]


class _Worker:
    """One place for a process, used by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def ask(self, question: tuple[str, ...]) -> dict[str, Any]:
        """Answer one question; a worker that died for another reason than this question is replaced once."""
        for last in (False, True):
            process = self._process = self._process or _start()
            line = self._exchange(process, json.dumps(question).encode() + b"\n")
            if line is None:
                self._kill()
                return {"failed": f"it took more than {PATIENCE:.0f} s"}
            if line.endswith(b"\n"):
                return self._understood(json.loads(line))
            code = process.wait()
            self._kill()
            if code == -signal.SIGXCPU:
                from docendo.grading.worker import SECONDS

                return {"failed": f"it took more than {SECONDS} s of processor time"}
            if last:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                return {"failed": f"its worker process died twice over it ({how})"}
        raise AssertionError

    def _understood(self, reply: dict[str, Any]) -> dict[str, Any]:
        if "broken" in reply:
            self._kill()
            raise ConfigError(
                f"the grader of mathematics cannot run: {reply['broken']}; it needs math-verify, which is "
                "installed with docendo: python -m pip install math-verify"
            )
        if "failed" in reply:  # memory that was once taken may not come back
            self._kill()
        return reply

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes) -> bytes | None:
        """Send a line and return the one that comes back: None after `PATIENCE`, a part of it after a death."""
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line)
            process.stdin.flush()
        received = b""
        deadline = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not received.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    break
                received += part
        return received

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.let_go()
            self._process = None

    def let_go(self) -> None:
        """Close this side of the pipes."""
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()

    close = _kill


def _start() -> subprocess.Popen[bytes]:
    import docendo

    environment = dict(os.environ)
    root = Path(docendo.__file__).parents[1]
    if root.name not in ("site-packages", "dist-packages"):  # a checkout: the child must import the same one
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH")]))
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "docendo.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C then reaches this process alone
        )
    except OSError as error:
        raise ConfigError(f"the grader cannot start {sys.executable}: {error}") from None


_workers: list[_Worker]
_idle: queue.LifoQueue[
    _Worker
]  # the one used last is asked first, so that the second starts only if both are needed
_pool: ThreadPoolExecutor | None


def _start_anew() -> None:
    """In a forked child: leave the workers to the parent, and keep no end of their pipes open."""
    for worker in _workers:
        worker.let_go()
    _abandoned.append(_workers)
    _reset()


_abandoned: list[list[_Worker]] = []


def _reset() -> None:
    global _workers, _idle, _pool, _lock
    _workers = [_Worker() for _ in range(WORKERS)]
    _idle = queue.LifoQueue()
    for worker in _workers:
        _idle.put(worker)
    _pool = None
    _lock = threading.Lock()


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="docendo-grader")
    return _pool


_reset()
atexit.register(close)
os.register_at_fork(after_in_child=_start_anew)  # a forked child must not talk over its parent's pipes
