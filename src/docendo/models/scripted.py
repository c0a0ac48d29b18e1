"""A model that answers by a function: for tests of the road and of users' own code, without any weights.

It keeps the rules of a real backend (it pulls, answers in any order, computes batches whole); what it says is
left to the function.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from docendo.models.base import Capabilities
from docendo.types import Call, Reply, Usage

Pairs = list[tuple[Call, Reply]]


class ScriptedModel:
    """A `Model` whose reply to a call is `reply(call)`.

    A plain text is a reply that stopped by itself, with a word of prompt or answer counted as a token. A
    function that raises is a backend that breaks. Where `delay` differs from call to call, replies come out
    of order. `seen` has every call that arrived, in order.
    """

    def __init__(
        self,
        name: str,
        reply: Callable[[Call], Reply | str],
        *,
        delay: float | Callable[[Call], float] = 0.0,
        parameters: int | None = None,
        batched: bool = False,
        limit: int = 16,
        loglikelihood: bool = False,
    ) -> None:
        """Answer as `name`.

        Args:
            name: by which calls address this model.
            reply: what it says.
            delay: seconds until it has said it; of a batch, the longest of its calls.
            parameters: its size, for costs.
            batched: answer a batch when all its calls have arrived, and not before.
            loglikelihood: say that it can tell log-likelihoods; `reply` then also gets calls with a `continuation`.
            limit: most calls (or batches) being answered at once; no more are pulled meanwhile.
        """
        self.name = name
        self.capabilities = Capabilities(
            chat=True,
            completion=True,
            continue_partial=True,
            loglikelihood=loglikelihood,
            continuations=loglikelihood,
            batched=batched,
            parameters=parameters,
        )
        self.seen: list[Call] = []
        self._reply = reply
        self._delay = delay
        self._limit = limit

    async def run(self, calls: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        """Pull calls and yield each with its reply; see `Model.run`."""
        batches: dict[str, list[Call]] = {}
        answering: set[asyncio.Task[Pairs]] = set()
        pulling: asyncio.Task[list[Call]] | None = None
        ended = False
        try:
            while answering or not ended:
                if pulling is None and not ended and len(answering) < self._limit:
                    pulling = asyncio.create_task(self._pull(calls, batches))
                tasks: set[asyncio.Task[Any]] = {*answering, pulling} if pulling else {*answering}
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if pulling in done:
                    group = pulling.result()
                    pulling, ended = None, not group
                    if group:
                        answering.add(asyncio.create_task(self._answer(group)))
                for answered in answering & done:
                    answering.remove(answered)
                    for pair in answered.result():
                        yield pair
        finally:
            left: list[asyncio.Task[Any]] = [*answering, pulling] if pulling else [*answering]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def check(self, text: str) -> None:
        """It reads anything."""

    async def aclose(self) -> None:
        """Nothing to release."""

    async def _pull(self, calls: AsyncIterator[Call], batches: dict[str, list[Call]]) -> list[Call]:
        """The next call, or the next batch that is whole; nothing at the end."""
        async for call in calls:
            self.seen.append(call)
            if not self.capabilities.batched:
                return [call]
            batches.setdefault(call.batch, []).append(call)
            if len(batches[call.batch]) == call.batch_size:
                return batches.pop(call.batch)
        return []

    async def _answer(self, group: list[Call]) -> Pairs:
        pairs = [(call, self._say(call)) for call in group]
        await asyncio.sleep(
            max(self._delay(call) if callable(self._delay) else self._delay for call in group)
        )
        return pairs

    def _say(self, call: Call) -> Reply:
        said = self._reply(call)
        if isinstance(said, Reply):
            return said
        prompt = call.prompt if isinstance(call.prompt, str) else " ".join(text for _, text in call.prompt)
        return Reply(said, "stop", Usage(prompt=len(prompt.split()), completion=len(said.split())))
