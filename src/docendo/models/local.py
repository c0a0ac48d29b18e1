"""The backend for model folders on this machine: gathers calls into planned batches for the engine's workers.

What is computed together is what the plan says (`Call.batch`), never what happens to be waiting, so that the
same plan gives the same replies however it was interrupted. A large batch is cut into shares, which workers
compute side by side; where it is cut follows from the batch alone. The computing is left to `engine`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os.path
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from docendo.errors import ModelError
from docendo.models.base import Capabilities
from docendo.models.engine.budget import check_weights, stated
from docendo.models.engine.folder import (
    CONFIG,
    TOKENIZER,
    Config,
    read_config,
    read_weights,
    verify,
    weight_files,
)
from docendo.models.engine.pool import WorkerPool
from docendo.models.engine.text import Text
from docendo.types import Call, Prompt, Reply, Stop, Usage

__all__ = ["LocalModel", "WorkerPool"]

# The most calls that one worker computes together. More gain little; fewer would leave matrix products small.
SHARE = 288

_STOPS: dict[str, Stop] = {
    "eos": "stop",
    "stop": "stop",
    "length": "length",
    "context": "length",
    "error": "error",
}

_NO_CHAT = "this model completes text and cannot chat; give it a prompt that is one text"


class LocalModel:
    """A Llama-format folder behind a model name; a completion model. Make one with `open`."""

    def __init__(
        self, folder: Path, name: str, pool: WorkerPool, config: Config, text: Text, digest: str
    ) -> None:
        self._folder, self._name, self._pool, self._text = folder, name, pool, text
        self._tell: Callable[[int], None] | None = None
        self._capabilities = Capabilities(
            completion=True,
            loglikelihood=True,
            continuations=True,
            token_ids=True,
            batched=True,
            parameters=config.parameters,
            context=config.context,
            digest=digest,
        )

    @classmethod
    def open(cls, path: str | Path, name: str, pool: WorkerPool) -> LocalModel:
        """Check the folder at `path` and stand it behind `name`; the weights themselves are read by workers.

        Args:
            path: A folder with `config.json`, `tokenizer.json` and `model.safetensors`, whole or sharded.
            name: By which calls address the model.
            pool: Shared with the run's other models; closing it is its owner's business.

        Raises:
            ModelError: Something is missing, corrupt or not supported; the message names the file and what in
                it.
        """
        folder = Path(path).resolve()
        if not folder.is_dir():
            raise ModelError(f"{path}: no such model folder")
        verify(folder)
        config = read_config(folder)
        read_weights(folder, config)
        check_weights(folder, config, stated())
        digest = hashlib.sha256()
        for path in (folder / CONFIG, folder / TOKENIZER, *weight_files(folder)):
            with path.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return cls(folder, name, pool, config, Text(folder, config.bos), digest.hexdigest())

    @property
    def name(self) -> str:
        """The name by which calls address this model."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        return self._capabilities

    def check(self, text: str) -> None:
        """Raise `UnspeakableError`, naming the words, where the model cannot read `text`."""
        self._text.encode(text)

    def watch(self, tell: Callable[[int], None]) -> None:
        """Have `tell` told of tokens as they are computed, long before a large batch is done."""
        self._tell = tell

    async def run(self, calls: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        """Pull calls, batch by batch, and yield each with its reply, batch by batch.

        A batch is computed when `batch_size` of its calls have come; what is incomplete when `calls` ends is
        computed as it is. While as many batches are in flight as the pool has room for, none is pulled.

        Raises:
            ModelError: The folder cannot be loaded, or a worker process died twice over one batch.
        """
        finished: asyncio.Queue[list[tuple[Call, Reply]] | None] = asyncio.Queue()
        room = asyncio.Semaphore(self._pool.room)
        puller = asyncio.create_task(self._pull(calls, finished, room), name=f"batches for {self._name}")
        try:
            while (replies := await finished.get()) is not None:
                for call, reply in replies:
                    yield call, reply
                room.release()  # not before: replies that nobody takes must not pile up
            await puller
        finally:
            puller.cancel()
            with contextlib.suppress(asyncio.CancelledError, ModelError):
                await puller

    async def _pull(
        self,
        calls: AsyncIterator[Call],
        finished: asyncio.Queue[list[tuple[Call, Reply]] | None],
        room: asyncio.Semaphore,
    ) -> None:
        """Put every batch's replies on `finished`, and None at the end, whatever the end is."""
        flying: set[asyncio.Task[None]] = set()
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def answer(batch: list[Call]) -> None:
            try:
                finished.put_nowait(await self._answer(batch))
            except Exception as error:
                if not failed.done():
                    failed.set_exception(error)

        async def send(batch: list[Call]) -> None:
            await room.acquire()
            task = asyncio.create_task(answer(batch))
            flying.add(task)
            task.add_done_callback(flying.discard)

        async def pull() -> None:
            waiting: dict[str, list[Call]] = {}
            async for call in calls:
                batch = waiting.setdefault(call.batch, [])
                batch.append(call)
                if len(batch) >= call.batch_size:
                    await send(waiting.pop(call.batch))
            for batch in waiting.values():
                await send(batch)
            await asyncio.gather(*flying)

        pulling = asyncio.create_task(pull())
        try:
            await asyncio.wait([pulling, failed], return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            pulling.result()
        finally:
            for task in [pulling, *flying]:
                task.cancel()
            await asyncio.gather(pulling, *flying, return_exceptions=True)
            failed.cancel()
            finished.put_nowait(None)

    async def _answer(self, batch: Sequence[Call]) -> list[tuple[Call, Reply]]:
        """The replies to one batch. Its order is made the same however the calls came: sums depend on it."""
        batch = sorted(batch, key=lambda call: (call.request, call.sample))
        asked = [call for call in batch if isinstance(call.prompt, str)]
        replies = [
            (call, Reply("", "error", error=f"{self._name}: {_NO_CHAT}"))
            for call in batch
            if not isinstance(call.prompt, str)
        ]
        told = [call for call in asked if call.continuation is not None]
        written = [call for call in asked if call.continuation is None]
        for some in await asyncio.gather(
            *(self._generate(part) for part in _shares(written)), *([self._judge(told)] if told else [])
        ):
            replies += some
        return replies

    async def _judge(self, calls: Sequence[Call]) -> list[tuple[Call, Reply]]:
        """How likely each call's continuation is."""
        answer = await self._ask("loglikelihood", [[call.prompt, call.continuation] for call in calls])
        seconds = answer["seconds"] / len(calls)
        return [(call, _judged(r, seconds)) for call, r in zip(calls, answer["results"], strict=True)]

    async def _generate(self, calls: Sequence[Call]) -> list[tuple[Call, Reply]]:
        answer = await self._ask("generate", [_request(call) for call in calls])
        seconds = answer["seconds"] / len(calls)
        return [(call, _reply(r, seconds)) for call, r in zip(calls, answer["results"], strict=True)]

    async def loglikelihood(self, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[float, int]]:
        """How likely each continuation is after its prompt, all computed as one batch.

        Args:
            pairs: Of (prompt, continuation).

        Returns:
            For each the summed natural log-probability of the continuation and its number of tokens.

        Raises:
            ModelError: A pair cannot be read or is longer than the context; the message says which.
        """
        if not pairs:
            return []
        if not all(isinstance(prompt, str) for prompt, _ in pairs):
            raise ModelError(f"{self._name}: {_NO_CHAT}")
        results = (await self._ask("loglikelihood", [list(pair) for pair in pairs]))["results"]
        for i, result in enumerate(results):
            if result["error"]:
                raise ModelError(f"{self._name}: pair {i}: {result['error']}")
        return [(result["total"], result["tokens"]) for result in results]

    async def _ask(self, op: str, batch: list[Any]) -> dict[str, Any]:
        return await self._pool.ask({"op": op, "folder": str(self._folder), "batch": batch}, self._tell)

    async def aclose(self) -> None:
        """Nothing to release: the processes are the pool's."""


def _shares(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    """Cut a batch into as few shares of about the same size as `SHARE` allows, where prompts have least in common."""
    count = math.ceil(len(calls) / SHARE)
    if count < 2:
        yield from [calls] if calls else []
        return
    calls = sorted(calls, key=lambda call: (str(call.prompt), call.request, call.sample))
    prompts = [str(call.prompt) for call in calls]
    start, leeway = 0, SHARE // 16
    for number in range(1, count):
        middle = len(calls) * number // count
        near = range(max(start + 1, middle - leeway), min(len(calls), middle + leeway + 1))
        stop = min(near, key=lambda at: (_common(prompts[at - 1], prompts[at]), abs(at - middle)))
        yield calls[start:stop]
        start = stop
    yield calls[start:]


def _common(one: str, other: str) -> int:
    """How many leading characters two texts share."""
    return len(os.path.commonprefix([one, other]))  # noqa: RUF071 (character by character is what is wanted)


def _request(call: Call) -> dict[str, Any]:
    s = call.sampling
    return {
        "prompt": call.prompt,
        "max_tokens": s.max_tokens,
        "temperature": s.temperature,
        "top_k": s.top_k,
        "top_p": s.top_p,
        "stop": s.stop,
        "key": hashlib.sha256(f"{call.request} {call.sample}".encode()).hexdigest()[:32],
    }


def _judged(result: dict[str, Any], seconds: float) -> Reply:
    if result["error"]:
        return Reply("", "error", seconds=seconds, error=result["error"])
    usage = Usage(result["prompt"], result["cached"], result["tokens"])
    return Reply(repr(float(result["total"])), "stop", usage, seconds)


def _reply(result: dict[str, Any], seconds: float) -> Reply:
    """`seconds` is the call's share of its batch's time: summed over calls it is the time of the workers."""
    return Reply(
        text=result["text"],
        stop=_STOPS[result["why"]],
        usage=Usage(result["prompt"], result["cached"], result["completion"]),
        seconds=seconds,
        error=result["error"],
    )
