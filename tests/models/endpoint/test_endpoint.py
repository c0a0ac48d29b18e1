"""A model behind an endpoint, against a server that misbehaves: what is answered, asked again, given up, refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from endpoint_world import ask, call, collect, spec

from docendo.errors import ConfigError, ModelError
from docendo.models.endpoint import EndpointModel, Endpoints
from docendo.models.endpoint.address import address_of, identity
from docendo.models.endpoint.mock import Answer, Handler, MockServer, Request
from docendo.models.endpoint.rate import Rate
from docendo.models.spec import ModelSpec
from docendo.types import Call, Usage

pytestmark = pytest.mark.usefixtures("impatient")

Serve = Callable[[Handler], MockServer]
GOOD = Answer.chat("It is 4.", usage={"prompt_tokens": 5, "completion_tokens": 4})


def first(*answers: Answer) -> Handler:
    """Give each prompt these answers, then good ones."""
    seen: Counter[str] = Counter()

    def handler(request: Request) -> Answer:
        seen[request.text] += 1
        return answers[seen[request.text] - 1] if seen[request.text] <= len(answers) else GOOD

    return handler


# --- where and how ------------------------------------------------------------------------------------------


def test_a_call_is_sent_to_the_address_with_key_headers_and_fields(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[Request] = []

    def handler(request: Request) -> Answer:
        got.append(request)
        return GOOD

    monkeypatch.setenv("MY_KEY", "sk-123456")
    server = serve(handler)
    how = spec(server, key_env="MY_KEY", headers={"X-Title": "docendo"}, body={"provider": "a"})
    (reply,) = ask(how, call(max_tokens=9))
    assert (reply.text, reply.stop, reply.usage) == ("It is 4.", "stop", Usage(5, 0, 4))
    assert reply.seconds > 0
    assert got[0].path == "/v1/chat/completions"
    assert got[0].headers["authorization"] == "Bearer sk-123456"
    assert got[0].headers["x-title"] == "docendo"
    assert {"model": "m", "provider": "a", "max_tokens": 9}.items() <= got[0].json.items()


def test_a_completion_model_completes_texts_and_cannot_chat(serve: Serve) -> None:
    server = serve(lambda request: Answer.completion(f"{request.path} {request.text}"))
    chat = call((("user", "2 + 2?"),))
    replies = ask(spec(server, mode="completion"), call("2 + 2 ="), chat)
    assert replies[0].text == "/v1/completions 2 + 2 ="
    assert (replies[1].stop, replies[1].lasting) == ("error", True)


def test_azure_is_spoken_to_by_deployment_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-1234")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/")
    found = address_of(ModelSpec(model="azure:mine", api_version="2025-01-01"))
    assert found.url("chat/completions") == (
        "https://me.openai.azure.com/openai/deployments/mine/chat/completions?api-version=2025-01-01"
    )
    assert found.headers["api-key"] == "k-1234"
    new = address_of(ModelSpec(model="azure:mine", base_url="https://me.openai.azure.com/openai/v1"))
    assert new.url("chat/completions") == "https://me.openai.azure.com/openai/v1/chat/completions"


@pytest.mark.parametrize(
    ("fields", "environment", "says"),
    [
        ({"model": "openai:m"}, {}, "OPENAI_API_KEY is not set"),
        ({"model": "openai:m", "base_url": "http://h/v1", "key_env": "MY_KEY"}, {}, "MY_KEY is not set"),
        ({"model": "azure:m"}, {}, "AZURE_OPENAI_ENDPOINT"),
        ({"model": "azure:m", "base_url": "https://h"}, {}, "AZURE_OPENAI_API_KEY is not set"),
        ({"model": "openai:m"}, {"OPENAI_BASE_URL": "localhost:8000"}, "begin with http"),
        ({"model": "openai:m", "base_url": "http://h/v1", "body": {"stream": True}}, {}, "'stream'"),
    ],
)
def test_what_is_missing_or_wrong_is_said_before_anything_is_sent(
    fields: Any, environment: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=says):
        EndpointModel.open(ModelSpec.model_validate(fields))


def test_what_decides_a_requests_meaning_is_in_a_models_identity_and_nothing_else() -> None:
    plain = ModelSpec(model="openai:m")
    same = [
        ModelSpec(model="openai:m", key_env="K", headers={"X-A": "b"}, parameters=7),
        ModelSpec.model_validate({"model": "openai:m", "limits": {"concurrency": 3}}),
        ModelSpec(model="openai:m", base_url="http://h/v1"),
    ]
    others = [
        ModelSpec(model="openai:m", body={"provider": "a"}),
        ModelSpec(model="openai:m", mode="completion"),
        ModelSpec(model="openai:n"),
    ]
    assert {identity(one) for one in same} == {identity(plain)}
    assert len({identity(one) for one in (plain, *others)}) == 1 + len(others)


BILLED = ("empty", "half json", "no choices", "reset", "reset at once", "a gateway did not wait")
"""Of what follows, where the server may have worked on a request: it was sent whole, and nobody refused it."""


# --- what can pass is asked again ---------------------------------------------------------------------------


PASSING = {
    "too many": Answer.error(429, "slow down"),
    "too many, come back": Answer.error(429, "slow down", retry_after="0.01"),
    "too many, come back in ms": Answer.error(429, "slow down", retry_after_ms="10"),
    "overloaded": Answer.error(503, "overloaded"),
    "broken": Answer.error(500, "oops"),
    "conflict": Answer.error(409, "conflict"),
    "empty": Answer(body=b""),
    "no json": Answer(body=b"<html>"),
    "half json": Answer(body=GOOD.body[:30]),
    "no choices": Answer(body=b'{"choices": []}'),
    "error inside": Answer(body=b'{"error": {"message": "upstream", "code": 502}}'),
    "reset": replace(GOOD, cut=20),
    "reset at once": replace(GOOD, cut=0),
    "a gateway did not wait": Answer.error(504, "upstream request timeout"),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_can_pass_is_asked_again(name: str, serve: Serve) -> None:
    server = serve(first(PASSING[name], PASSING[name]))
    replies = ask(spec(server), *(call(f"question {i}") for i in range(5)))
    assert [(r.text, r.stop) for r in replies] == [("It is 4.", "stop")] * 5
    assert [r.given_up for r in replies] == [2 * (name in BILLED)] * 5


def test_a_server_that_stalls_is_left_after_the_read_timeout(serve: Serve) -> None:
    for answer in (replace(GOOD, delay=30), replace(GOOD, cut=20, stall=30)):
        server = serve(first(answer))
        (reply,) = ask(spec(server, limits={"read_timeout": 1.0, "attempts": 50}), call())
        assert reply.text == "It is 4."
        assert reply.given_up, "which may be billed"


@pytest.mark.parametrize("packed", [False, True])
def test_a_response_without_end_is_left_unread_and_costs_one_call_alone(packed: bool, serve: Serve) -> None:
    body = b" " * (65 * 2**20)
    endless = (
        Answer(body=gzip.compress(body, 1), headers={"content-encoding": "gzip"})
        if packed
        else Answer(body=body)
    )
    server = serve(lambda request: endless if request.text == "endless" else GOOD)
    replies = ask(spec(server, limits={"attempts": 1}), call("endless"), call("2 + 2?"))
    assert replies[0].stop == "error"
    assert "longer than 64 MiB" in str(replies[0].error)
    assert replies[1].text == "It is 4."


def test_a_call_that_always_fails_is_given_up_and_says_why(serve: Serve) -> None:
    seen: Counter[str] = Counter()

    def handler(request: Request) -> Answer:
        seen[request.text] += 1
        return Answer.error(500, "cannot think of it") if request.text == "poison" else GOOD

    asked = [call("poison"), *(call(f"question {i}") for i in range(20))]
    replies = ask(spec(serve(handler), limits={"attempts": 3}), *asked)
    assert (replies[0].stop, replies[0].lasting) == ("error", False)
    assert "gave up after 3 attempts" in str(replies[0].error)
    assert "HTTP 500 mock: cannot think of it" in str(replies[0].error)
    assert seen["poison"] == 3
    assert all(reply.text == "It is 4." for reply in replies[1:])


def test_calls_that_always_fail_at_the_end_are_given_up_too(serve: Serve) -> None:
    """Nothing is left then that could show that the endpoint is well."""
    server = serve(lambda r: Answer.error(500, "no") if "poison" in r.text else GOOD)
    asked = [*(call(f"question {i}") for i in range(5)), *(call(f"poison {i}") for i in range(5))]
    replies = ask(spec(server, limits={"attempts": 3}), *asked)
    assert [reply.stop for reply in replies] == ["stop"] * 5 + ["error"] * 5


def test_being_asked_to_wait_is_no_failed_attempt(serve: Serve) -> None:
    server = serve(first(*[Answer.error(429, "slow down", retry_after_ms="1")] * 5))
    (reply,) = ask(spec(server, limits={"attempts": 1}), call())
    assert reply.text == "It is 4."


def test_requests_sent_again_count_for_requests_per_minute(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, taken = [], []
    answer = first(Answer.error(500, "x"), Answer.error(429, "x"))
    take = Rate.take

    async def counted(self: Rate, amount: float) -> None:
        if amount == 1:  # tokens are more
            taken.append(amount)
        await take(self, amount)

    monkeypatch.setattr(Rate, "take", counted)
    server = serve(lambda request: (sent.append(request), answer(request))[1])
    replies = ask(spec(server, limits={"requests_per_minute": 60_000}), *(call(f"{i}?") for i in range(5)))
    assert [reply.text for reply in replies] == ["It is 4."] * 5
    assert len(taken) == len(sent) == 15


def test_a_slow_call_holds_no_others_back(serve: Serve) -> None:
    done = threading.Event()

    async def handler(request: Request) -> Answer:
        if request.text == "slow":
            while not done.is_set():
                await asyncio.sleep(0.01)
        return GOOD

    async def main(model: EndpointModel) -> list[Call]:
        async def calls() -> Any:
            yield call("slow")
            for i in range(100):
                yield call(f"question {i}")

        order = []
        async for each, _ in model.run(calls()):
            order.append(each)
            if len(order) == 100:
                done.set()
        await model.aclose()
        return order

    order = asyncio.run(main(EndpointModel.open(spec(serve(handler), limits={"concurrency": 4}))))
    assert len(order) == 101
    assert order[-1].prompt == "slow"


def test_no_more_calls_are_in_flight_than_allowed_however_many_models_there_are(serve: Serve) -> None:
    flying = most = 0
    three = asyncio.Barrier(3)

    async def handler(request: Request) -> Answer:
        """Let them wait for one another: there are three at once, or none ever ends."""
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await three.wait()
        await asyncio.sleep(0.005)  # time for one too many
        flying -= 1
        return GOOD

    server = serve(handler)
    how = spec(server, limits={"concurrency": 3})

    async def main() -> int:
        async with Endpoints() as endpoints:
            models = [EndpointModel.open(how, f"m{i}", endpoints) for i in range(3)]
            found = await asyncio.gather(
                *(collect(m, [call(f"{m.name} {i}") for i in range(20)]) for m in models)
            )
            return sum(map(len, found))

    assert asyncio.run(main()) == 60
    assert most == 3


# --- what lasts is said once --------------------------------------------------------------------------------


def test_an_error_that_lasts_is_reported_once(serve: Serve) -> None:
    seen: Counter[str] = Counter()

    def handler(request: Request) -> Answer:
        seen[request.text] += 1
        return Answer.error(400, "maximum context length is 8") if request.text == "long" else GOOD

    async def main(model: EndpointModel) -> Any:
        return [r for c in ("short", "long") for _, r in await collect(model, [call(c)])]

    _, reply = asyncio.run(main(EndpointModel.open(spec(serve(handler)))))
    assert (reply.stop, reply.lasting) == ("error", True)
    assert "HTTP 400 mock: maximum context length is 8" in str(reply.error)
    assert seen["long"] == 1


@pytest.mark.parametrize(
    ("status", "said", "says"),
    [
        (401, "bad key", "refuses the key in MY_KEY"),
        (402, "no credit", "no credit"),
        (403, "not yours", "does not let the key"),
        (404, "no such model", "has no model 'm'.*base_url"),
        (429, "you have exceeded: insufficient_quota", "no credit left"),
    ],
)
def test_what_no_call_can_survive_stops_the_model_and_says_what_to_do(
    status: int, said: str, says: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    server = serve(lambda request: Answer.error(status, f"{said} (sk-secret)"))
    with pytest.raises(ModelError, match=says) as caught:
        ask(spec(server, key_env="MY_KEY"), *(call(f"question {i}") for i in range(10)))
    assert said in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 200])
def test_what_headers_are_filled_with_is_kept_out_of_messages_like_the_key(
    status: int, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    monkeypatch.setenv("MY_TOKEN", "token-secret")

    def echoing(request: Request) -> Answer:
        shown = f"{request.headers['authorization']} and {request.headers['x-token']}"
        return Answer(status, json.dumps({"error": {"message": f"refused: {shown}", "code": 400}}).encode())

    how = spec(serve(echoing), key_env="MY_KEY", headers={"X-Token": "Token ${MY_TOKEN}"})
    (reply,) = ask(how, call())
    assert "refused" in (reply.error or "")
    assert "secret" not in (reply.error or "")


def test_what_is_on_its_way_when_a_model_stops_still_comes_back(serve: Serve) -> None:
    arrived = threading.Event()

    async def handler(request: Request) -> Answer:
        if request.text == "fatal":
            while not arrived.is_set():
                await asyncio.sleep(0.005)
            return Answer.error(401, "the key was withdrawn")
        arrived.set()
        await asyncio.sleep(0.2)
        return GOOD

    async def main(model: EndpointModel) -> list[str]:
        got = []

        async def take() -> None:
            async for each, _ in model.run(_stream(["fatal", "slow"])):
                got.append(str(each.prompt))

        with pytest.raises(ModelError, match="withdrawn"):
            await take()
        await model.aclose()
        return got

    assert asyncio.run(main(EndpointModel.open(spec(serve(handler))))) == ["slow"]


async def _stream(prompts: list[str]) -> Any:
    for prompt in prompts:
        yield call(prompt)


def test_a_model_that_refuses_everything_in_the_same_words_stops(serve: Serve) -> None:
    server = serve(lambda request: Answer.error(400, "temperature must be below 1"))
    with pytest.raises(ModelError, match="temperature must be below 1"):
        ask(spec(server), *(call(f"question {i}") for i in range(100)))


@pytest.mark.parametrize("param", ["top_k", None])
def test_fields_that_a_server_refuses_are_left_out_and_noted(param: str | None, serve: Serve) -> None:
    refused = 0

    def handler(request: Request) -> Answer:
        nonlocal refused
        for name in ("top_k", "seed"):
            if name in request.json:
                refused += 1
                said = {"message": f"Unknown parameter: '{name}'.", "param": name if param else None}
                return Answer(400, json.dumps({"error": said}).encode())
        return GOOD

    async def main(model: EndpointModel) -> tuple[list[str], list[str]]:
        replies = await collect(model, [call(f"question {i}", top_k=20) for i in range(50)])
        return [reply.text for _, reply in replies], list(model.notes)

    texts, notes = asyncio.run(main(EndpointModel.open(spec(serve(handler)))))
    assert texts == ["It is 4."] * 50
    assert refused < 50
    assert len(notes) == 2
    assert "openai:m is asked without 'top_k'" in notes[0]
    assert "Unknown parameter: 'top_k'" in notes[0]


def test_a_server_that_counts_no_tokens_is_noted_once(serve: Serve) -> None:
    async def main(model: EndpointModel) -> list[str]:
        await collect(model, [call(f"question {i}") for i in range(10)])
        return list(model.notes)

    (note,) = asyncio.run(main(EndpointModel.open(spec(serve(lambda request: Answer.chat("It is 4."))))))
    assert "openai:m: the server counts no tokens" in note
    assert not asyncio.run(main(EndpointModel.open(spec(serve(lambda request: GOOD)))))


def test_the_newer_name_of_max_tokens_is_used_where_the_server_wants_it(serve: Serve) -> None:
    def handler(request: Request) -> Answer:
        if "max_tokens" in request.json:
            said = "Unsupported parameter: 'max_tokens' is not supported with this model. "
            return Answer.error(400, said + "Use 'max_completion_tokens' instead.")
        return Answer.chat(str(request.json["max_completion_tokens"]))

    assert ask(spec(serve(handler)), call(max_tokens=77))[0].text == "77"


# --- an endpoint that is down -------------------------------------------------------------------------------


def test_calls_wait_for_a_server_that_comes_back_and_none_is_failed(serve: Serve) -> None:
    server, seen = serve(lambda request: GOOD), 0
    server.stop()

    async def main(model: EndpointModel) -> list[Any]:
        async def back() -> None:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)

        coming = asyncio.create_task(back())
        found = await collect(model, [call(f"question {i}") for i in range(50)])
        await coming
        return found

    found = asyncio.run(main(EndpointModel.open(spec(server, limits={"attempts": 2}))))
    assert [reply.stop for _, reply in found] == ["stop"] * 50
    assert seen == 0


def test_a_server_that_stays_down_ends_the_run_of_calls_with_an_error(serve: Serve) -> None:
    server = serve(lambda request: GOOD)
    server.stop()
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"nobody could be reached there.*no connection.*go on with the run"):
        ask(
            spec(server, limits={"patience": 0.5, "attempts": 2}),
            *(call(f"question {i}") for i in range(50)),
        )
    assert time.monotonic() - began >= 0.5


def test_web_pages_in_place_of_all_answers_end_the_run_and_name_the_address(serve: Serve) -> None:
    server = serve(lambda request: Answer(body=b"\n<!doctype html><title>Sign in</title>"))
    with pytest.raises(ModelError, match=r"not JSON.*Sign in.*base_url.*/v1"):
        ask(spec(server), *(call(f"question {i}") for i in range(12)))


def test_a_wait_longer_than_patience_ends_the_run_and_not_the_call(serve: Serve) -> None:
    server = serve(lambda request: Answer.error(429, "daily limit", retry_after="40000"))
    with pytest.raises(ModelError, match=r"asks to wait 40,000 s.*daily limit"):
        ask(spec(server), call())
