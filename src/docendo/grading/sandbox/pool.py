"""Workers that judge programs, several at once, for callers on any thread or event loop.

A worker (`worker`) is a process of its own, so that a large program that uses docendo need never fork. It is started
with the first program and ends with this process.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import Any

from docendo.grading.sandbox.base import Limits, SandboxError
from docendo.grading.sandbox.inside import wire

_GRACE = 10.0  # seconds that a worker gets beyond a program's limit before it is taken for dead
_ENDING = 60.0  # seconds that it gets to end its sandboxes: on a busy machine containers take some


class Pool:
    """Up to `size` programs under judgement at once.

    Args:
        sandbox: the name of one that works here; see `sandbox.ready`.
        limits: of each program.
        size: workers; by default one more than there are processors, as starting and ending a sandbox is waiting.
    """

    def __init__(self, sandbox: str, limits: Limits | None = None, size: int | None = None) -> None:
        self.sandbox, self.limits = sandbox, limits or Limits()
        self.size = size or processors() + 1
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="docendo-code")
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()

    async def ajudge(self, job: dict[str, Any]) -> dict[str, Any]:
        """`judge` without blocking the loop; more jobs than workers wait their turn."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.judge, job)

    def judge(self, job: dict[str, Any]) -> dict[str, Any]:
        """Judge one job (see `worker.Judge.judge`); blocks.

        Raises:
            SandboxError: a worker cannot be started, or died twice over the same job.
        """
        for attempt in (1, 2):
            worker = self._worker()
            try:
                assert worker.stdin is not None
                assert worker.stdout is not None
                deadline = time.monotonic() + self.limits.program_seconds + _GRACE
                wire.write_frame(worker.stdin.fileno(), wire.pack(job), deadline)
                frame = wire.read_frame(worker.stdout.fileno(), deadline)
                if frame is None:
                    raise wire.WireError("it ended")
                result: dict[str, Any] = wire.unpack(frame)
            except wire.WireError as error:
                _end(worker)
                if attempt == 2:
                    raise SandboxError(
                        f"the process that runs programs died twice over one program ({error}); see that the "
                        "machine has memory left, and report it otherwise"
                    ) from None
                continue
            except BaseException:
                _end(worker)
                raise
            self._idle.put(worker)
            return result
        raise AssertionError("unreachable")

    def _worker(self) -> subprocess.Popen[bytes]:
        with contextlib.suppress(Empty):
            return self._idle.get_nowait()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        worker = subprocess.Popen(
            [sys.executable, "-m", "docendo.grading.sandbox.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert worker.stdin is not None
        settings = {"sandbox": self.sandbox, "limits": asdict(self.limits)}
        wire.write_frame(worker.stdin.fileno(), wire.pack(settings))
        return worker

    def close(self) -> None:
        """End all workers; safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        with contextlib.suppress(Empty):
            while True:
                _end(self._idle.get_nowait())


def processors() -> int:
    """Those that this process may use; of the whole machine where the system does not say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Close its input, upon which it ends with its sandboxes; kill it where it does not."""
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        worker.wait(timeout=_ENDING)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


_pools: dict[tuple[str, Limits], Pool] = {}
_pools_lock = threading.Lock()


def pool_of(sandbox: str, limits: Limits | None = None) -> Pool:
    """The pool that all of this process share for one sandbox and one set of limits."""
    limits = limits or Limits()
    with _pools_lock:
        if not _pools:
            atexit.register(close_all)
        return _pools.setdefault((sandbox, limits), Pool(sandbox, limits))


def close_all() -> None:
    """End every worker of this process; the next program starts new ones."""
    with _pools_lock:
        pools = list(_pools.values())
        _pools.clear()
    for pool in pools:
        pool.close()
