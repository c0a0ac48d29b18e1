"""Log-likelihoods over HTTP: asked by echo and logprobs, read by where tokens begin, and refused in plain words."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint_world import ask as reply_to
from endpoint_world import spec

import docendo
from docendo import Problem
from docendo.errors import ModelError
from docendo.models.base import telling
from docendo.models.endpoint.mock import Answer, Handler, MockServer, Request
from docendo.models.resolve import opened
from docendo.models.spec import Limits, ModelSpec
from docendo.types import Call, Sampling

pytestmark = pytest.mark.usefixtures("impatient")

Serve = Callable[[Handler], MockServer]
USAGE = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}


def echo(request: Request) -> Answer:
    """Words with the blank before them are tokens; their log-probability is their length, negative."""
    asked = request.json
    assert asked["echo"] is True
    assert asked["logprobs"] is not None
    words = re.findall(r"\s*\S+", asked["prompt"] + " more")
    return Answer.echo(words, [None, *(-float(len(word)) for word in words[1:])], usage=USAGE)


def answer(text: str, told: Any) -> Answer:
    return Answer.completion(text, finish="length", logprobs=told)


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
        pytest.raises(ModelError, match=r"m: http.*no log-probabilities of a prompt"),
    ):
        ask(server, [("a", " b")])


def test_a_server_that_refuses_is_quoted() -> None:
    with (
        MockServer(lambda request: Answer.error(400, "echo is not supported")) as server,
        pytest.raises(ModelError, match=r"m: http.*no log-probabilities of a prompt.*echo is not supported"),
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
        with pytest.raises(ModelError, match=r"pair 0: .*cannot chat"):
            ask(server, [((("user", "a"),), " b")])


def test_a_token_that_begins_the_text_moves_nothing() -> None:
    """vLLM counts "<s>" as three characters of it."""
    logs, offsets = [None, -1.0, -2.0, -3.0, -9.0], [0, 3, 4, 6, 8]
    told = {"tokens": ["<s>", "a", " b", " c", " d"], "token_logprobs": logs, "text_offset": offsets}
    with MockServer(lambda request: answer("a b c d", told)) as server:
        assert ask(server, [("a", " b c")]) == [(-5.0, 2)]


@pytest.mark.parametrize(
    ("tokens", "offsets"),
    [
        (["<s>", "a", " b", "b", " c", " d", "!"], None),
        (["a", " b", "b", " c", " d", "!"], [-1] * 6),  # a server that knows no offsets
        (["<s>", "\ufffd", " b", "b", " c", " d", "!"], None),
        (["\ufffd", " b", "b", " c", " d", "!"], None),
    ],
)
def test_tokens_that_are_not_of_the_text_move_nothing(tokens: list[str], offsets: list[int] | None) -> None:
    """Servers count a <s> that they put there, and a token may be a part of a character, or a strange one."""
    logs = [None, *(-(2.0**n) for n in range(1, len(tokens)))]
    told = json.loads(Answer.echo(tokens, logs).body)["choices"][0]["logprobs"]
    told["text_offset"] = offsets or told["text_offset"]
    prompt = f"{'a' if 'a' in tokens else chr(233)} bb"
    with MockServer(lambda request: answer("", told)) as server:
        found = ask(server, [(prompt, " c d")])
    first = tokens.index(" c")
    assert found == [(-(2.0**first) - 2.0 ** (first + 1), 2)]


def telling_call(prompt: Any, continuation: str, **sampling: Any) -> Call:
    return Call("openai:m", prompt, Sampling(**sampling), purpose="likelihood", continuation=continuation)


def test_a_call_with_a_continuation_is_answered_among_others(serve: Serve) -> None:
    seen: list[Any] = []

    def handler(request: Request) -> Answer:
        seen.append(request.json)
        return echo(request) if "echo" in request.json else Answer.completion(" four", usage=USAGE)

    model = spec(serve(handler), mode="completion")
    told, said = reply_to(
        model,
        telling_call("a bb", " ccc dddd", temperature=0.7, top_p=0.5, stop=("c",)),
        Call("openai:m", "2 + 2?", Sampling()),
    )
    assert (told.text, told.stop, said.text) == ("-9.0", "stop", " four")
    assert (told.usage.prompt, told.usage.cached, told.usage.completion) == (9, 4, 1)
    (asked,) = (fields for fields in seen if "echo" in fields)
    assert (asked["prompt"], asked["max_tokens"], asked["temperature"]) == ("a bb ccc dddd", 1, 0)
    assert not asked.keys() & {"stop", "top_p"}


def test_one_call_that_tells_nothing_is_no_reason_to_stop(serve: Serve) -> None:
    def handler(request: Request) -> Answer:
        if "odd" in request.text:
            return answer("", None)
        return Answer.error(400, "logprobs: not of this") if "bad" in request.text else echo(request)

    model = spec(serve(handler), mode="completion", limits={"concurrency": 1})
    first, odd, bad, last = reply_to(model, *(telling_call(p, " b") for p in ("a", "odd", "bad", "c")))
    assert (first.text, last.text) == ("-2.0", "-2.0")
    assert "no log-probabilities of a prompt" in (odd.error or "")
    assert "not of this" in (bad.error or "")
    assert (odd.lasting, bad.lasting) == (True, True)


def test_chats_tell_nothing(serve: Serve) -> None:
    (reply,) = reply_to(spec(serve(echo), mode="chat"), telling_call("a", " b"))
    assert (reply.stop, reply.lasting) == ("error", True)
    assert "set its mode to completion" in (reply.error or "")


class School:
    """Teaches to double numbers, two times of three, or to add one; finds a solution likelier after the former."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()
        self.asked = 0
        self.left: int | None = None
        self.stumbles = False

    def __call__(self, request: Request) -> Answer:
        asked, text = request.json, request.text
        if "echo" not in asked:
            number = int(re.findall(r"number (\d+)", text)[-1])
            if asked["seed"] % 3:
                return Answer.completion(f" double it.\nAnswer: {2 * number}")
            return Answer.completion(f" add one.\nAnswer: {number + 1}")
        self.asked += 1
        if self.left == 0:
            return Answer.error(402, "no credit left")
        self.tried[text] += 1
        if self.stumbles and self.tried[text] == 1 and len(self.tried) % 3 == 0:
            return Answer.error(
                500, "not now"
            )  # once: by a count of all requests a call might never be answered
        if self.left is not None:
            self.left -= 1
        self.told[text] += 1
        words = re.findall(r"\s*\S+", text + " more")
        each = -0.25 if text.count("double it") == 2 else -2.0
        return Answer.echo(words, [None, *[each] * (len(words) - 1)], usage=USAGE)


PROBLEMS = [Problem(f"p{n}", f"number {n}?", str(2 * n), "double it.", family="f") for n in range(3, 9)]


def solve(server: MockServer, out: Path) -> docendo.Run:
    model = spec(server, mode="completion", limits={"concurrency": 2})
    return docendo.solve(
        PROBLEMS, out=out, teacher=model, students=[model], lessons=8, exam_problems=3, equal_cost=False,
        exam_score="likelihood",
    )  # fmt: skip


def test_a_run_is_examined_by_likelihood_and_goes_on_after_a_cut(serve: Serve, tmp_path: Path) -> None:
    calm, cut = School(), School()
    run = solve(serve(calm), tmp_path / "calm")
    assert run.summary().problems == len(PROBLEMS)
    with run.view() as view:
        scores = {
            "double" in lesson.lesson.examples[0].rationale: lesson.score
            for lesson in view.lessons()
            if lesson.score is not None
        }
        used = [call for call in view.calls() if call.purpose == "likelihood"]
    assert scores[True] == 1
    assert scores[False] == pytest.approx(math.exp(-4 * 1.75))  # a continuation has four words
    assert len(used) == calm.asked == sum(calm.told.values())

    cut.left, cut.stumbles = 15, True
    server = serve(cut)
    with pytest.raises(ModelError, match="no credit left"):
        solve(server, tmp_path / "cut")
    cut.left = None
    again = docendo.resume(tmp_path / "cut")
    assert again.summary().json() == run.summary().json()
    assert cut.told == calm.told


@pytest.mark.parametrize(
    "said", [Answer.completion(" hm"), Answer.error(400, "'echo' and 'logprobs' do not go together")]
)
def test_a_run_against_a_server_that_tells_nothing_ends_at_once(
    serve: Serve, tmp_path: Path, said: Answer
) -> None:
    school, asked = School(), Counter[str]()

    def handler(request: Request) -> Answer:
        if "echo" not in request.json:
            return school(request)
        asked[request.text] += 1
        return said

    with pytest.raises(ModelError, match="returns no log-probabilities of a prompt"):
        solve(serve(handler), tmp_path / "r")
    assert 0 < sum(asked.values()) < 8  # of 36
