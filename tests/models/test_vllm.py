"""`vllm:` models: what docendo asks of the engine and makes of it, by a stand-in and, where it is, by vLLM itself."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from docendo.errors import ConfigError, ModelError
from docendo.models.base import telling
from docendo.models.gateway import Gateway
from docendo.models.resolve import SHIPPED, opened
from docendo.models.spec import ModelSpec
from docendo.types import Call, Reply, Sampling


class Tokenizer:
    """Words are tokens, by their length."""

    chat_template: str | None = None
    fails_at_system = False

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [0] * add_special_tokens + [len(word) for word in text.split()]}

    def apply_chat_template(self, turns: list[dict[str, str]], **_: Any) -> str:
        if self.fails_at_system and turns[0]["role"] == "system":
            raise ValueError("no place for a system's turn")
        return " ".join(f"{turn['role']}: {turn['content']}" for turn in turns) + " <think>"


class StandIn:
    """An engine that says how many tokens it read."""

    made: list[StandIn] = []  # noqa: RUF012
    fails = ""

    def __init__(self, arguments: Any) -> None:
        self.arguments, self.asked, self.down = arguments, [], False
        self.vllm_config = SimpleNamespace(model_config=SimpleNamespace(max_model_len=30))
        self.tokenizer = Tokenizer()
        self.made.append(self)

    @classmethod
    def from_engine_args(cls, arguments: Any) -> StandIn:
        if cls.fails:
            raise RuntimeError(cls.fails)
        return cls(arguments)

    def get_tokenizer(self) -> Tokenizer:
        return self.tokenizer

    def shutdown(self) -> None:
        self.down = True

    async def generate(self, prompt: Any, asked: Any, name: str) -> AsyncIterator[Any]:
        ids = prompt["prompt_token_ids"]
        self.asked.append((ids, asked))
        await asyncio.sleep(0.01 if len(self.asked) % 2 else 0)
        text = f"hm</think> read {len(ids)}"
        said = SimpleNamespace(
            text=text, token_ids=[1, 2], finish_reason="length" if len(ids) > 6 else "stop"
        )
        told = [None, *({i: SimpleNamespace(logprob=-i / 10)} for i in ids[1:])]
        yield SimpleNamespace(outputs=[said], num_cached_tokens=2, prompt_logprobs=told)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    """Takes vLLM's place."""

    def arguments(model: str, enable_prefix_caching: bool, max_model_len: int | None = None) -> Any:
        return SimpleNamespace(model=model, caches=enable_prefix_caching, max_model_len=max_model_len)

    parts = {
        "vllm": {},
        "vllm.engine": {},
        "vllm.platforms": {"current_platform": SimpleNamespace(is_cpu=lambda: False)},
        "vllm.engine.arg_utils": {"AsyncEngineArgs": arguments},
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.async_llm": {"AsyncLLM": StandIn},
        "vllm.sampling_params": {
            "SamplingParams": SimpleNamespace,
            "RequestOutputKind": SimpleNamespace(FINAL_ONLY="final"),
        },
    }
    for name, values in parts.items():
        module = ModuleType(name)
        module.__dict__.update(values)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(StandIn, "made", [])
    return StandIn


def ask(spec: ModelSpec, *calls: Call) -> list[Reply]:
    async def work() -> list[Reply]:
        async with opened({"m": spec}) as models, Gateway(models) as gateway:
            return await gateway.ask(calls)

    return asyncio.run(work())


SPEC = ModelSpec(model="vllm:there", options={"max_model_len": 30})


@pytest.mark.usefixtures("engine")
class TestEngine:
    def test_every_call_is_asked_with_its_own_seed_and_comes_back_to_it(self) -> None:
        drawn = Sampling(0.5, 0.9, 7, 20, ("END",))
        calls = [Call("m", "a " * n, drawn, sample) for n in (3, 5) for sample in range(3)]
        replies = ask(SPEC, *calls)
        assert [r.text for r in replies] == ["read 4"] * 3 + ["read 6"] * 3
        assert {(r.usage.prompt, r.usage.cached, r.usage.completion) for r in replies[:3]} == {(4, 2, 2)}
        assert {r.reasoning for r in replies} == {"hm"}
        (engine,) = StandIn.made
        assert (engine.arguments.caches, engine.arguments.max_model_len) == (True, 30)
        asked = [parameters for _, parameters in engine.asked]
        assert len({parameters.seed for parameters in asked}) == len(calls)
        first = asked[0]
        assert (first.temperature, first.top_p, first.top_k, first.stop) == (0.5, 0.9, 7, ["END"])
        assert engine.down

    def test_a_reply_has_no_more_room_than_the_context(self) -> None:
        cut, refused = ask(SPEC, Call("m", "a " * 25, Sampling()), Call("m", "a " * 40, Sampling()))
        assert cut.stop == "length"
        (engine,) = StandIn.made
        assert [parameters.max_tokens for _, parameters in engine.asked] == [30 - 26]
        assert (refused.stop, refused.lasting) == ("error", True)

    def test_log_likelihoods_are_of_the_continuation_only(self) -> None:
        async def work() -> list[tuple[float, int]]:
            async with opened({"m": SPEC}) as models:
                return await telling(models["m"]).loglikelihood([("a bb", " ccc dddd"), ("a", "bb")])

        assert asyncio.run(work()) == [(pytest.approx(-0.7), 2), (pytest.approx(-0.2), 1)]

    def test_a_call_with_a_continuation_is_told_how_likely_it_is(self) -> None:
        told, long, said = ask(
            SPEC,
            Call("m", "a bb", Sampling(0.7), continuation=" ccc dddd"),
            Call("m", "a", Sampling(), continuation=" b" * 40),
            Call("m", "a bb", Sampling(0.7)),
        )
        assert float(told.text) == pytest.approx(-0.7)
        assert (told.usage.prompt, told.usage.cached, told.usage.completion) == (3, 2, 2)
        assert (long.stop, long.lasting) == ("error", True)
        assert "below the context of 30" in (long.error or "")
        assert said.text == "read 3"
        (engine,) = StandIn.made
        asked = next(parameters for ids, parameters in engine.asked if len(ids) == 5)
        assert (asked.prompt_logprobs, asked.max_tokens) == (0, 1)

    def test_a_chat_goes_through_the_template(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Tokenizer, "chat_template", "yes")
        turns = (("system", "be brief"), ("user", "how many"))
        (reply,) = ask(SPEC, Call("m", turns, Sampling()))
        (engine,) = StandIn.made
        assert engine.asked[0][0] == [
            len(w) for w in ["system:", "be", "brief", "user:", "how", "many", "<think>"]
        ]
        assert (reply.text, reply.reasoning) == ("read 7", "hm")
        monkeypatch.setattr(Tokenizer, "fails_at_system", True)
        ask(SPEC, Call("m", turns, Sampling()))
        folded = "user: be brief how many <think>"
        assert StandIn.made[-1].asked[0][0] == [len(w) for w in folded.split()]

    def test_what_is_wrong_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigError, match=r"options: .*unexpected keyword argument 'lengths'"):
            ask(ModelSpec(model="vllm:x", options={"lengths": 1}))
        with pytest.raises(ConfigError, match="no chat template"):
            ask(ModelSpec(model="vllm:x", mode="chat"))
        assert StandIn.made[-1].down
        monkeypatch.setattr(StandIn, "fails", "no GPU")
        with pytest.raises(ModelError, match="vLLM does not start: no GPU"):
            ask(SPEC)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ConfigError, match=r"pip install 'docendo\[vllm\]'"):
        ask(SPEC)


@pytest.mark.vllm
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
def test_greedy_replies_and_likelihoods_are_those_of_the_built_in_engine(tmp_path: Path) -> None:
    folder = tmp_path / "student"
    shutil.copytree(SHIPPED / "student", folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    begin, whole = {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, whole],
        "pair": [begin, whole, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    prompts = [
        f"Question: A baker begins with {n} loaves, 5 pies and 2 trays. The trays are gone from each. What is the "
        "count?\nWorking:"
        for n in range(3, 9)
    ]
    specs = {
        "a": ModelSpec(model="school:student"),
        "b": ModelSpec(model=f"vllm:{folder}", options={"max_model_len": 512, "dtype": "float32"}),
    }

    async def work() -> tuple[list[str], list[str], Any, Any]:
        async with opened(specs) as models, Gateway(models) as gateway:
            drawn = Sampling(0.0, max_tokens=60)
            said = [
                [
                    r.text
                    for r in await gateway.ask([Call(m, p, drawn, batch=m, batch_size=6) for p in prompts])
                ]
                for m in specs
            ]
            pairs = [(p, " loaves 7 times pies 5 = 35.\nAnswer: 35") for p in prompts]
            told = [await telling(models[m]).loglikelihood(pairs) for m in specs]
            calls = [Call("b", p, Sampling(0.7), continuation=text) for p, text in pairs]
            assert [float(r.text) for r in await gateway.ask(calls)] == pytest.approx(
                [t for t, _ in told[1]], abs=1e-2
            )
            return said[0], said[1], told[0], told[1]

    ours, theirs, likely, alike = asyncio.run(work())
    assert theirs == ours
    assert [tokens for _, tokens in alike] == [tokens for _, tokens in likely]
    assert [total for total, _ in alike] == pytest.approx([total for total, _ in likely], abs=1e-2)
