"""The backend for `hf:PATH`: gathers calls into planned batches, and has transformers compute them on one thread.

What is computed together is what the plan says (`Call.batch`), as in the built-in engine. Computing is left to
`compute`, texts and chats to `words`.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from docendo.errors import ConfigError, ModelError
from docendo.models.base import Capabilities
from docendo.models.endpoint.reasoning import split
from docendo.models.engine.sample import Streams
from docendo.models.engine.text import cut
from docendo.models.spec import ModelSpec
from docendo.models.weights import digest_of
from docendo.models.words import Words
from docendo.types import Call, Prompt, Reply, Usage

T = TypeVar("T")


class HFModel:
    """A causal language model of transformers behind a model name. Make one with `open`."""

    def __init__(self, spec: ModelSpec, name: str, model: Any, words: Words, digest: str | None) -> None:
        from docendo.models.hf.compute import Computer

        config = model.config.get_text_config()
        self._name, self._words = name, words
        self._context: int = spec.context or getattr(config, "max_position_embeddings", None) or 1 << 30
        self._stop = threading.Event()
        self._computer = Computer(model, _ends(model, words), self._stop)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"docendo {name}")
        chats = words.chats if spec.mode == "auto" else spec.mode == "chat"
        self._capabilities = Capabilities(
            chat=chats,
            completion=spec.mode != "chat",
            continue_partial=True,
            loglikelihood=True,
            continuations=True,
            token_ids=True,
            batched=True,
            parameters=spec.parameters or model.num_parameters(),
            context=self._context,
            digest=digest,
        )

    @classmethod
    def open(cls, spec: ModelSpec, name: str | None = None) -> HFModel:
        """Load a model and stand it behind a name.

        Args:
            spec: an `hf:` model; its `options` go to `from_pretrained` of the model, but for `device` (by default a
                GPU where there is one).
            name: by which calls address it; the specification's label where None.

        Raises:
            ConfigError: the extra is not installed, or an option is refused.
            ModelError: the model cannot be loaded, or is of a kind whose state is more than keys and values.
        """
        name = name or spec.label
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise ConfigError(
                f"model {name!r}: transformers and torch are not installed ({error}); "
                "pip install 'docendo[hf]'"
            ) from error
        options = {"dtype": "auto", **spec.options}
        device = options.pop("device", "cuda" if torch.cuda.is_available() else "cpu")
        logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
        try:
            tokenizer = AutoTokenizer.from_pretrained(spec.target)
            model: Any = AutoModelForCausalLM.from_pretrained(spec.target, **options)
            model = model.to(device).eval()
        except TypeError as error:
            raise ConfigError(f"model {name!r}: options: {error}") from error
        except Exception as error:  # of any library in between: what is wrong is in its message
            raise ModelError(f"model {name!r}: cannot be loaded: {type(error).__name__}: {error}") from error
        kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ())
        if strange := sorted(kind for kind in kinds if "attention" not in kind or "linear" in kind):
            raise ModelError(
                f"model {name!r}: has layers of kind {strange[0]}, whose prefixes hf: cannot share; use vllm: "
                "or a server"
            )
        if spec.mode == "chat" and not tokenizer.chat_template:
            raise ConfigError(f"model {name!r}: has no chat template, so its mode cannot be chat")
        return cls(spec, name, model, Words(tokenizer, name), digest_of(Path(spec.target)))

    @property
    def name(self) -> str:
        """The name by which calls address this model."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        return self._capabilities

    def check(self, text: str) -> None:
        """A tokenizer with a token for everything reads any text, and what others miss they read as unknown."""

    async def aclose(self) -> None:
        """Stop what is being computed, and let the thread end; safe to call twice."""
        self._stop.set()
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    async def run(self, calls: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        """Pull calls, batch by batch, and yield each with its reply, batch by batch; one is computed at a time.

        Raises:
            ModelError: a batch cannot be computed, for want of memory say.
        """
        waiting: dict[str, list[Call]] = {}
        async for call in calls:
            batch = waiting.setdefault(call.batch, [])
            batch.append(call)
            if len(batch) >= call.batch_size:
                for pair in await self._do(self._answer, waiting.pop(call.batch)):
                    yield pair
        for batch in waiting.values():
            for pair in await self._do(self._answer, batch):
                yield pair

    async def loglikelihood(self, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[float, int]]:
        """How likely each continuation is after its prompt; see `TellsLikelihood`."""
        if not pairs:
            return []
        judged = await self._do(self._likelihoods, list(pairs))
        return [(total, usage.completion) for total, usage in judged]

    async def _do(self, work: Callable[[Any], T], what: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, what)
        except RuntimeError as error:  # torch's, such as a lack of memory
            raise ModelError(f"{self._name}: {error}") from error

    # --- on the thread ------------------------------------------------------------------------------------

    def _answer(self, batch: Sequence[Call]) -> list[tuple[Call, Reply]]:
        from docendo.models.hf.compute import Row

        began = time.perf_counter()
        batch = sorted(batch, key=lambda call: (call.request, call.sample))
        told = [call for call in batch if call.continuation is not None]
        batch = [call for call in batch if call.continuation is None]
        judged = self._judge(told) if told else []
        if not batch:
            return judged
        replies: dict[int, Reply] = {}
        rows: dict[int, Row] = {}
        read: dict[Prompt, tuple[int, ...] | Reply] = {}
        for i, call in enumerate(batch):
            if call.prompt not in read:
                read[call.prompt] = self._ids(call.prompt)
            ids = read[call.prompt]
            if isinstance(ids, Reply):
                replies[i] = ids
            else:
                rows[i] = self._row(call, ids)
        computed = self._computer.generate(list(rows.values())) if rows else {}
        seconds = (time.perf_counter() - began) / len(batch)
        for i, row in rows.items():
            replies[i] = self._reply(batch[i], row, computed.pop(row.prompt, 0), seconds)
        return judged + [(call, replies[i]) for i, call in enumerate(batch)]

    def _ids(self, prompt: Prompt) -> tuple[int, ...] | Reply:
        try:
            ids = tuple(self._words.ids_of(prompt))
        except ModelError as error:
            return Reply("", "error", error=str(error), lasting=True)
        if not ids or len(ids) >= self._context:
            why = f"{self._name}: the prompt has {len(ids)} tokens, and the context is {self._context}"
            return Reply("", "error", error=why, lasting=True)
        return ids

    def _row(self, call: Call, ids: tuple[int, ...]) -> Any:
        from docendo.models.hf.compute import Row

        drawn = call.sampling
        key = int(hashlib.sha256(f"{call.request} {call.sample}".encode()).hexdigest()[:32], 16)
        stream = Streams([key])
        tail = (
            max(map(len, drawn.stop), default=0) + 8
        )  # tokens that may hold a stop string, with some to spare

        def ended(tokens: list[int]) -> bool:
            return bool(drawn.stop) and cut(self._said(tokens[-tail:]), drawn.stop) is not None

        most = min(drawn.max_tokens, self._context - len(ids))
        return Row(
            ids, most, drawn.temperature, drawn.top_p, drawn.top_k, lambda: float(stream.take()[0]), ended
        )

    def _said(self, tokens: list[int]) -> str:
        text: str = self._words.tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def _reply(self, call: Call, row: Any, computed: int, seconds: float) -> Reply:
        text = self._said(row.drawn)
        before = cut(text, call.sampling.stop)
        reasoning, text = split(self._words.thinking(call.prompt) + (text if before is None else before))
        return Reply(
            text,
            "length" if row.why == "length" and before is None else "stop",
            Usage(len(row.prompt), len(row.prompt) - computed, len(row.drawn) + (row.why == "eos")),
            seconds,
            reasoning=reasoning,
        )

    def _judge(self, batch: Sequence[Call]) -> list[tuple[Call, Reply]]:
        """How likely each call's continuation is; one that cannot be read does not hold up the others."""
        began = time.perf_counter()
        replies: dict[int, Reply] = {}
        good = []
        for i, call in enumerate(batch):
            try:
                first, rest = self._words.pair_of(call.prompt, call.continuation or "")
            except ModelError as error:  # a chat, and no template for it
                replies[i] = Reply("", "error", error=str(error), lasting=True)
                continue
            if first and rest and len(first) + len(rest) <= self._context:
                good.append(i)
            else:
                why = f"{self._name}: {len(first)} + {len(rest)} tokens; the context is {self._context}"
                replies[i] = Reply("", "error", error=why, lasting=True)
        judged = self._likelihoods([(batch[i].prompt, batch[i].continuation or "") for i in good])
        seconds = (time.perf_counter() - began) / len(batch)
        for i, (total, usage) in zip(good, judged, strict=True):
            replies[i] = Reply(repr(total), "stop", usage, seconds)
        return [(call, replies[i]) for i, call in enumerate(batch)]

    def _likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[float, Usage]]:
        if not pairs:
            return []
        ids = []
        for i, (prompt, text) in enumerate(pairs):
            first, rest = (tuple(part) for part in self._words.pair_of(prompt, text))
            if not first or not rest or len(first) + len(rest) > self._context:
                raise ModelError(
                    f"{self._name}: pair {i}: a prompt of {len(first)} tokens and a continuation of {len(rest)}; "
                    f"neither may be empty, and the context is {self._context}"
                )
            ids.append((first, rest))
        totals, computed = self._computer.loglikelihood(ids)
        return [
            (total, Usage(len(first), len(first) - computed.pop(first, 0), len(rest)))
            for total, (first, rest) in zip(totals, ids, strict=True)
        ]


def _ends(model: Any, words: Words) -> frozenset[int]:
    """The tokens that end a reply."""
    named = getattr(model.generation_config, "eos_token_id", None)
    ends = [named] if isinstance(named, int) else list(named or ())
    own = words.tokenizer.eos_token_id
    return frozenset(ends or ([own] if own is not None else []))
