"""Asking an endpoint's model, without a gateway in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from docendo.models.endpoint import EndpointModel
from docendo.models.endpoint.mock import MockServer
from docendo.models.spec import ModelSpec
from docendo.types import Call, Reply, Sampling


def call(prompt: Any = "2 + 2?", sample: int = 0, **sampling: Any) -> Call:
    return Call("openai:m", prompt, Sampling(**sampling), sample=sample)


def spec(server: MockServer, **more: Any) -> ModelSpec:
    return ModelSpec.model_validate({"model": "openai:m", "base_url": server.url} | more)


async def stream(calls: Sequence[Call]) -> AsyncIterator[Call]:
    for each in calls:
        yield each


async def collect(model: EndpointModel, calls: Sequence[Call]) -> list[tuple[Call, Reply]]:
    """Calls with their replies, in the order in which these came; closes the model. Whatever hangs fails."""
    try:
        async with asyncio.timeout(300):
            return [pair async for pair in model.run(stream(calls))]
    finally:
        await model.aclose()


def ask(spec: ModelSpec, *calls: Call) -> list[Reply]:
    """The replies to calls, in their order."""

    async def main() -> list[tuple[Call, Reply]]:
        return await collect(EndpointModel.open(spec), calls)

    found = {(c.request, c.sample): r for c, r in asyncio.run(main())}
    return [found[c.request, c.sample] for c in calls]
