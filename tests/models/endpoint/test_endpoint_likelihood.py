"""Log-likelihoods over HTTP: asked by echo and logprobs, read by where tokens begin, and refused in plain words."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from docendo.errors import ModelError
from docendo.models.base import telling
from docendo.models.endpoint.mock import Answer, MockServer, Request
from docendo.models.resolve import opened
from docendo.models.spec import Limits, ModelSpec


def echo(request: Request) -> Answer:
    """Words with the blank before them are tokens; their log-probability is their length, negative."""
    asked = request.json
    assert asked["echo"] is True
    assert asked["logprobs"] is not None
    text = asked["prompt"] + " more"
    words = list(re.finditer(r"\s*\S+", text))
    logs: list[float | None] = [None, *(-float(len(word[0])) for word in words[1:])]
    told = {
        "tokens": [w[0] for w in words],
        "token_logprobs": logs,
        "text_offset": [w.start() for w in words],
    }
    return answer(text, told)


def answer(text: str, told: Any) -> Answer:
    choice = {"index": 0, "text": text, "logprobs": told, "finish_reason": "length"}
    return Answer(body=json.dumps({"choices": [choice], "usage": {"prompt_tokens": 4}}).encode())


def ask(server: MockServer, pairs: list[Any], mode: str = "completion") -> list[tuple[float, int]]:
    spec = ModelSpec.model_validate(
        {"model": "openai:x", "base_url": server.url, "mode": mode, "limits": Limits(attempts=2)}
    )

    async def work() -> list[tuple[float, int]]:
        async with opened({"m": spec}) as models:
            return await telling(models["m"]).loglikelihood(pairs)

    return asyncio.run(work())


def test_only_the_continuation_counts() -> None:
    with MockServer(echo) as server:
        told = ask(server, [("a bb", " ccc dddd"), ("aa", " b")])
    assert told == [(-9.0, 2), (-2.0, 1)]


@pytest.mark.parametrize(
    "told",
    [
        None,
        {"tokens": ["more"], "token_logprobs": [-1.0], "text_offset": [0]},
        {"tokens": ["more"], "token_logprobs": [-1.0], "text_offset": [9]},
        {"tokens": ["a", "b"], "token_logprobs": [None, "-1"], "text_offset": [0, 2]},
        {"token_logprobs": [-1.0]},
    ],
)
def test_a_server_that_does_not_tell_is_named(told: Any) -> None:
    with (
        MockServer(lambda request: answer("more", told)) as server,
        pytest.raises(ModelError, match=r"m: pair 0: .*no log-probabilities of a prompt"),
    ):
        ask(server, [("a", " b")])


def test_a_server_that_refuses_is_quoted() -> None:
    with (
        MockServer(lambda request: Answer.error(400, "echo is not supported")) as server,
        pytest.raises(ModelError, match=r"m: pair 0: .*echo is not supported"),
    ):
        ask(server, [("a", " b")])


def test_what_may_pass_is_asked_again() -> None:
    seen: list[Request] = []

    def once(request: Request) -> Answer:
        seen.append(request)
        return Answer.error(500, "not now") if len(seen) == 1 else echo(request)

    with MockServer(once) as server:
        assert ask(server, [("a", " b")]) == [(-2.0, 1)]
    assert len(seen) == 2


def test_chats_are_not_asked() -> None:
    with MockServer(echo) as server:
        with pytest.raises(ModelError, match="m: tells no log-likelihoods"):
            ask(server, [("a", " b")], mode="chat")
        with pytest.raises(ModelError, match="cannot chat"):
            ask(server, [((("user", "a"),), " b")])


def test_a_token_that_begins_the_text_moves_nothing() -> None:
    """vLLM counts "<s>" as three characters of it."""
    logs, offsets = [None, -1.0, -2.0, -3.0, -9.0], [0, 3, 4, 6, 8]
    told = {"tokens": ["<s>", "a", " b", " c", " d"], "token_logprobs": logs, "text_offset": offsets}
    with MockServer(lambda request: answer("a b c d", told)) as server:
        assert ask(server, [("a", " b c")]) == [(-5.0, 2)]
