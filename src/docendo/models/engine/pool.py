"""Worker processes for the engine: starts them, hands each batch to the least busy one, and mends what dies.

A pool belongs to one event loop and is shared by all models of a run, so that together they keep every core
busy and no more. Which worker computes a batch, and how many there are, changes nothing in its result.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docendo
from docendo.errors import ConfigError, ModelError

# One batch computed and one waiting, so that a worker has no idle moment while the parent reads its answer.
_BATCHES_EACH = 2
_STDERR_LINES = 20
WORKERS = "DOCENDO_ENGINE_WORKERS"
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
# The longest answer line that is taken; a stream's own default of 64 KB is less than one batch may fill.
_LINE = 1 << 28


class WorkerPool:
    """Worker processes, started when there is work for them.

    Args:
        n: How many at most; by default what `DOCENDO_ENGINE_WORKERS` says, or one for each usable core.

    Raises:
        ConfigError: the variable is no positive number.
    """

    def __init__(self, n: int | None = None) -> None:
        self.size = n or _stated() or _cores()
        self.room = self.size * _BATCHES_EACH
        self._workers = [_Worker() for _ in range(self.size)]
        self._slots = asyncio.Semaphore(self.room)
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The running workers' process ids."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    async def ask(
        self, message: Mapping[str, Any], tell: Callable[[int], None] | None = None
    ) -> dict[str, Any]:
        """Have one batch computed.

        Args:
            message: For `worker.py`: `op`, `folder` and `batch`.
            tell: Is told now and then of so many more tokens computed.

        Returns:
            The worker's answer, with `results` and `seconds`.

        Raises:
            ModelError: The batch cannot be computed, or its worker died over it twice.
        """
        deaths: list[str] = []
        async with self._slots:
            while not self._closed:
                worker = min(self._workers, key=lambda worker: worker.load)
                try:
                    answer = await worker.ask(message, tell)
                except _WorkerDied as death:
                    if death.over_this:
                        deaths.append(death.what)
                    if len(deaths) == 2:
                        raise ModelError(
                            f"a worker process died twice over one batch of {message['folder']}: {death.what}"
                        ) from None
                    continue
                if "error" in answer:
                    raise ModelError(answer["error"])
                return answer
        raise ModelError("the engine's worker pool is closed")

    async def aclose(self) -> None:
        """End all workers, finished or not; safe to call twice."""
        self._closed = True
        await asyncio.gather(*(worker.aclose() for worker in self._workers))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _WorkerDied(Exception):
    """`over_this` says whether the batch is the one that was being computed; others only stood in line."""

    def __init__(self, what: str, over_this: bool) -> None:
        super().__init__(what)
        self.what, self.over_this = what, over_this


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A batch of so many calls that was sent: who waits for its answer, and who looks on."""

    future: asyncio.Future[dict[str, Any]]
    calls: int
    tell: Callable[[int], None] | None


class _Worker:
    """One place in the pool: a process, started again when it died."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()
        self._ids = itertools.count()
        # Batches sent and not answered, in the order of sending.
        self._waiting: dict[int, _Waiting] = {}
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def load(self) -> int:
        return sum(waiting.calls for waiting in self._waiting.values())

    async def ask(self, message: Mapping[str, Any], tell: Callable[[int], None] | None) -> dict[str, Any]:
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = _Waiting(future, len(message["batch"]), tell)
        async with self._starting:
            if self._process is None and not future.done():
                self._process = await self._start()
        if not future.done():
            assert self._process is not None
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"id": number, **message}).encode() + b"\n")
            with contextlib.suppress(ConnectionError):  # it died; who reads its answers will say so
                await self._process.stdin.drain()
        return await future

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a file called numpy.py in the working directory is none of ours
                "-m",
                "docendo.models.engine.worker",
                str(os.getpid()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=worker_environment(),
                limit=_LINE,
                start_new_session=True,  # a terminal's Ctrl-C then reaches the parent alone
            )
        except OSError as error:
            self._fail(f"it cannot be started ({error})")
            raise ModelError(f"cannot start {sys.executable} for the built-in engine: {error}") from None
        self._stderr.clear()
        assert process.stderr is not None
        errors = asyncio.create_task(self._keep_stderr(process.stderr))
        self._tasks = [errors, asyncio.create_task(self._read(process, errors))]
        return process

    async def _read(self, process: asyncio.subprocess.Process, errors: asyncio.Task[None]) -> None:
        assert process.stdout is not None
        while (line := await process.stdout.readline()).endswith(b"\n"):  # else the end, or a death mid-line
            answer = json.loads(line)
            if "computed" in answer:  # a word on the way; the answer is still to come
                waiting = self._waiting[answer["id"]]
                if waiting.tell is not None and not waiting.future.done():
                    waiting.tell(answer["computed"])
                continue
            future = self._waiting.pop(answer["id"]).future
            if not future.done():  # it is, where the asker was cancelled
                future.set_result(answer)
        await errors
        code = await process.wait()
        self._process = None
        said = "; its last words:\n" + "\n".join(self._stderr) if self._stderr else ", without a word"
        self._fail((f"exit code {code}" if code >= 0 else f"killed by signal {-code}") + said)

    async def _keep_stderr(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self._stderr.append(line.decode("utf-8", "replace").rstrip())

    def _fail(self, what: str) -> None:
        for i, waiting in enumerate(self._waiting.values()):
            if not (future := waiting.future).done():
                future.set_exception(_WorkerDied(what, over_this=i == 0))
                future.exception()  # seen: the asker may be waiting for the process to start instead
        self._waiting.clear()

    async def aclose(self) -> None:
        async with self._starting:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            await asyncio.gather(*self._tasks)


def _stated() -> int | None:
    """How many workers the user wants, for a machine that has other work to do as well."""
    said = os.environ.get(WORKERS, "").strip()
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and int(said)):
        raise ConfigError(f"{WORKERS}={said!r} is no number of processes; write it like 2")
    return int(said)


def _cores() -> int:
    """Cores this process may use, which under a scheduler or in a container is often fewer than there are."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = _CPU_MAX.read_text().split()  # microseconds of processor time in so many of time
        cores = min(cores, max(1, round(int(quota) / int(period))))  # "max" is no number: no limit
    return cores


def worker_environment() -> dict[str, str]:
    """The parent's environment, with single-threaded linear algebra and the way to this very package."""
    env = dict(os.environ)
    threads = ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM", "NUMEXPR", "BLIS")
    env |= {f"{library}_NUM_THREADS": "1" for library in threads}
    env["TOKENIZERS_PARALLELISM"] = "false"
    root = Path(docendo.__file__).parents[1]
    if root.name not in ("site-packages", "dist-packages"):  # a checkout: the child must import the same one
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), env.get("PYTHONPATH")]))
    if _amd_with_avx512():
        env.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
    return env


def _amd_with_avx512() -> bool:
    """Whether OpenBLAS should be told to use AVX-512.

    It does so by itself on Intel's processors, but takes AMD's newest for ones without it, at about half the
    speed. It ignores a name that it does not know.
    """
    with contextlib.suppress(OSError):
        info = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        flags = next((line.split() for line in info.splitlines() if line.startswith("flags")), [])
        wanted = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
        return "AuthenticAMD" in info and wanted.issubset(flags)
    return False
