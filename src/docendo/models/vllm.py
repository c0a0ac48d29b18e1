"""The backend for `vllm:PATH`: vLLM's own asynchronous engine in this process, with its prefix cache on.

vLLM schedules and batches by itself, so calls are handed to it one by one, many at a time. Its sampling is seeded by
call; but how it batches depends on what else is under way, and may change the last bits of the logits, so that a
repeated run need not give the same replies. (The recorded ones are never asked again.)
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from docendo.errors import ConfigError, ModelError
from docendo.models.base import Capabilities
from docendo.models.endpoint.reasoning import split
from docendo.models.spec import ModelSpec
from docendo.models.weights import digest_of, parameters_of
from docendo.models.words import Words
from docendo.types import Call, Prompt, Reply, Stop, Usage

IN_FLIGHT = 512
"""Calls handed to the engine at once: more than it computes together, so that it never waits."""


class VLLMModel:
    """A model in vLLM's engine behind a model name. Make one with `open`."""

    def __init__(self, spec: ModelSpec, name: str, engine: Any, words: Words) -> None:
        self._name, self._engine, self._words = name, engine, words
        self._ids = itertools.count()
        context: int = engine.vllm_config.model_config.max_model_len
        self._context = min(spec.context or context, context)
        self._capabilities = Capabilities(
            chat=words.chats if spec.mode == "auto" else spec.mode == "chat",
            completion=spec.mode != "chat",
            continue_partial=True,
            loglikelihood=True,
            continuations=True,
            token_ids=True,
            parameters=spec.parameters or parameters_of(Path(spec.target)),
            context=self._context,
            digest=digest_of(Path(spec.target)),
        )

    @classmethod
    def open(cls, spec: ModelSpec, name: str | None = None) -> VLLMModel:
        """Start an engine with a model and stand it behind a name.

        Args:
            spec: a `vllm:` model; its `options` are arguments of the engine (`max_model_len`, `dtype`,
                `tensor_parallel_size`, …).
            name: by which calls address it; the specification's label where None.

        Raises:
            ConfigError: the extra is not installed, an option is refused, or the model cannot chat and should.
            ModelError: the engine does not start.
        """
        name = name or spec.label
        try:
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise ConfigError(
                f"model {name!r}: vllm is not installed ({error}); pip install 'docendo[vllm]'"
            ) from error
        options: dict[str, Any] = {"model": spec.target, "enable_prefix_caching": True}
        if current_platform.is_cpu():
            # Where a seeded request's prompt is read in parts, vLLM (0.32) takes a step back in a random stream that
            # has none on a CPU, and dies.
            options["enable_chunked_prefill"] = False
        try:
            arguments = AsyncEngineArgs(**options | spec.options)
        except TypeError as error:
            raise ConfigError(f"model {name!r}: options: {error}") from error
        try:
            engine = AsyncLLM.from_engine_args(arguments)
        except Exception as error:  # whatever is wrong is in its message
            raise ModelError(f"model {name!r}: vLLM does not start: {error}") from error
        words = Words(engine.get_tokenizer(), name)
        if spec.mode == "chat" and not words.chats:
            engine.shutdown()
            raise ConfigError(f"model {name!r}: has no chat template, so its mode cannot be chat")
        return cls(spec, name, engine, words)

    @property
    def name(self) -> str:
        """The name by which calls address this model."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        return self._capabilities

    def check(self, text: str) -> None:
        """Any text can be read."""

    async def aclose(self) -> None:
        """End the engine and its processes; safe to call twice."""
        engine, self._engine = (
            self._engine,
            None,
        )  # or its own destructor does it again when Python ends, and complains
        if engine is not None:
            await asyncio.to_thread(engine.shutdown)

    async def run(self, calls: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        """Pull calls and yield each with its reply as it finishes.

        Raises:
            ModelError: the engine died.
        """
        finished: asyncio.Queue[tuple[Call, Reply] | Exception | None] = asyncio.Queue()
        room = asyncio.Semaphore(IN_FLIGHT)
        flying: set[asyncio.Task[None]] = set()

        async def answer(call: Call) -> None:
            try:
                finished.put_nowait((call, await self._answer(call)))
            except Exception as error:
                finished.put_nowait(error)

        async def pull() -> None:
            try:
                async for call in calls:
                    await room.acquire()
                    task = asyncio.create_task(answer(call))
                    flying.add(task)
                    task.add_done_callback(flying.discard)
                await asyncio.gather(*flying)
                finished.put_nowait(None)
            except Exception as error:
                finished.put_nowait(error)

        pulling = asyncio.create_task(pull(), name=f"calls for {self._name}")
        try:
            while (found := await finished.get()) is not None:
                if isinstance(found, Exception):
                    raise found
                yield found
                room.release()  # not before: replies that nobody takes must not pile up
        finally:
            left = [pulling, *flying]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def loglikelihood(self, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[float, int]]:
        """How likely each continuation is after its prompt; see `TellsLikelihood`."""
        ids = [self._pair(f"pair {i}: ", *pair) for i, pair in enumerate(pairs)]
        told = await asyncio.gather(*(self._tell(*pair) for pair in ids))
        return [(total, used.completion) for total, used in told]

    async def _answer(self, call: Call) -> Reply:
        if call.continuation is not None:
            return await self._judge(call.prompt, call.continuation)
        began = time.perf_counter()
        try:
            ids = self._words.ids_of(call.prompt)
        except ModelError as error:
            return Reply("", "error", error=str(error), lasting=True)
        if not ids or len(ids) >= self._context:
            why = f"{self._name}: the prompt has {len(ids)} tokens, and the context is {self._context}"
            return Reply("", "error", error=why, lasting=True)
        drawn = call.sampling
        seed = int(hashlib.sha256(f"{call.request} {call.sample}".encode()).hexdigest()[:15], 16)
        found = await self._ask(
            ids,
            temperature=drawn.temperature,
            top_p=drawn.top_p,
            top_k=drawn.top_k,
            max_tokens=min(drawn.max_tokens, self._context - len(ids)),
            stop=list(drawn.stop),
            seed=seed,
        )
        (said,) = found.outputs
        seconds = time.perf_counter() - began
        used = Usage(len(ids), min(found.num_cached_tokens or 0, len(ids)), len(said.token_ids))
        if said.finish_reason not in ("stop", "length"):
            why = f"{self._name}: vLLM ended the reply with {said.finish_reason!r}"
            return Reply("", "error", used, seconds, why)
        thinks = self._words.thinking(call.prompt)
        reasoning, text = split(thinks + said.text)
        stop: Stop = "length" if said.finish_reason == "length" else "stop"
        return Reply(text, stop, used, seconds, reasoning=reasoning)

    async def _judge(self, prompt: Prompt, text: str) -> Reply:
        """The reply to a call with a continuation."""
        began = time.perf_counter()
        try:
            first, rest = self._pair("", prompt, text)
        except ModelError as error:
            return Reply("", "error", error=str(error), lasting=True)
        total, used = await self._tell(first, rest)
        return Reply(repr(total), "stop", used, time.perf_counter() - began)

    def _pair(self, which: str, prompt: Prompt, text: str) -> tuple[list[int], list[int]]:
        first, rest = self._words.pair_of(prompt, text)
        if not first or not rest or len(first) + len(rest) >= self._context:
            raise ModelError(
                f"{self._name}: {which}a prompt of {len(first)} tokens and a continuation of {len(rest)}; neither "
                f"may be empty, and together they must be below the context of {self._context}"
            )
        return first, rest

    async def _tell(self, first: list[int], rest: list[int]) -> tuple[float, Usage]:
        """How likely `rest` is after `first`. The one token that vLLM draws besides is not counted."""
        found = await self._ask([*first, *rest], temperature=0.0, max_tokens=1, prompt_logprobs=0)
        told = found.prompt_logprobs[len(first) :]
        total = sum(float(one[token].logprob) for one, token in zip(told, rest, strict=True))
        return total, Usage(len(first), min(found.num_cached_tokens or 0, len(first)), len(rest))

    async def _ask(self, ids: list[int], **parameters: Any) -> Any:
        """VLLM's whole output for one prompt."""
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        asked = SamplingParams(**parameters, output_kind=RequestOutputKind.FINAL_ONLY)
        name = f"{self._name} {next(self._ids)}"
        try:
            # There is one output, the whole one.
            found = [out async for out in self._engine.generate({"prompt_token_ids": ids}, asked, name)]
        except Exception as error:  # of the engine as a whole: what is wrong with one request was looked at
            raise ModelError(f"{self._name}: {type(error).__name__}: {error}") from error
        return found[-1]
