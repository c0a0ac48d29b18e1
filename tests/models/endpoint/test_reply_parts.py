"""What is sent for a call and what is made of an answer: every usual shape, and shapes nobody should send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.models.endpoint import reasoning, wire
from docendo.models.endpoint.faults import Fault
from docendo.types import Call, Reply, Sampling, Usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def call(prompt: Any = "2 + 2?", sample: int = 0, seed: int = 0, **sampling: Any) -> Call:
    return Call("m", prompt, Sampling(**sampling), sample=sample, seed=seed)


def sent(asked: Call, **more: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(wire.request(asked, "gpt", **({"chat": True} | more)))
    return value


def read(message: Any, finish: Any = "stop", usage: Any = None, asked: Call | None = None) -> Reply:
    value = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
    found = wire.reply(json.dumps(value).encode(), asked or call(), 0.5)
    assert isinstance(found, Reply)
    return found


# --- what is sent -------------------------------------------------------------------------------------------


def test_a_text_is_the_users_message_in_a_chat_and_the_prompt_of_a_completion() -> None:
    chat = sent(call(temperature=0.5, max_tokens=9))
    assert chat.pop("seed") >= 0
    assert chat == {
        "model": "gpt",
        "messages": [{"role": "user", "content": "2 + 2?"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }
    assert sent(call(), chat=False)["prompt"] == "2 + 2?"


def test_a_chat_is_sent_as_it_is_and_its_unfinished_answer_is_gone_on_with() -> None:
    turns = (("system", "Be brief."), ("user", "2 + 2?"))
    assert sent(call(turns))["messages"] == [{"role": r, "content": c} for r, c in turns]
    assert "continue_final_message" not in sent(call(turns))
    partial = sent(call((*turns, ("assistant", "It is"))))
    assert (partial["continue_final_message"], partial["add_generation_prompt"]) == (True, False)
    text = {"content": "It is 4."}
    assert read(text, asked=call((*turns, ("assistant", "It is")))).text == " 4."


def test_filters_that_are_off_and_fields_that_are_refused_are_not_sent() -> None:
    full = call(top_p=0.9, top_k=20, stop=("\n\n",))
    assert {"top_p": 0.9, "top_k": 20, "stop": ["\n\n"]}.items() <= sent(full).items()
    assert not {"top_p", "top_k", "stop"} & sent(call()).keys()
    spare = sent(full, dropped=("top_k", "seed", "max_tokens"))
    assert not {"top_k", "seed", "max_tokens"} & spare.keys()
    assert spare["max_completion_tokens"] == full.sampling.max_tokens


def test_the_users_own_fields_come_last() -> None:
    assert sent(call(), extra={"max_tokens": 3, "provider": {"order": ["a"]}})["max_tokens"] == 3


def test_every_sample_of_every_request_has_a_seed_of_its_own_and_always_the_same() -> None:
    seeds = [
        wire.seed_of(call(prompt, sample, seed))
        for prompt in ("a", "b")
        for sample in range(50)
        for seed in (0, 1)
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert wire.seed_of(call("a", 3)) == wire.seed_of(call("a", 3))


@given(st.text(st.characters() | st.sampled_from("\ud800\udfff\0")))
def test_any_prompt_can_be_sent(prompt: str) -> None:
    assert sent(call(prompt))["messages"][0]["content"] == prompt


# --- what is made of the answer -----------------------------------------------------------------------------


def test_text_stop_and_usage_are_read() -> None:
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read({"content": "It is 4."}, usage=usage) == Reply("It is 4.", "stop", Usage(12, 4, 7, 3), 0.5)


def test_the_cache_hits_of_other_servers_are_read_too() -> None:
    assert wire.usage_of({"prompt_tokens": 9, "prompt_cache_hit_tokens": 6}) == Usage(9, 6)


@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({"content": "<think>\n2 and 2\n</think>\n\nIt is 4."}, "It is 4.", "2 and 2"),
        ({"content": "2 and 2\n</think>\nIt is 4."}, "It is 4.", "2 and 2"),
        ({"content": "<think>2 and 2 and"}, "", "2 and 2 and"),
        ({"content": "<think></think>It is 4."}, "It is 4.", ""),
        ({"content": "\n\nIt is 4.", "reasoning_content": "2 and 2"}, "It is 4.", "2 and 2"),
        ({"content": "It is 4.", "reasoning": "2 and 2"}, "It is 4.", "2 and 2"),
        ({"content": None, "reasoning_content": "2 and 2 and"}, "", "2 and 2 and"),
        ({"content": " I <think> so."}, " I <think> so.", ""),
        ({"content": None}, "", ""),
        ({}, "", ""),
        ({"content": [{"type": "text", "text": "It is "}, {"text": "4."}, {"image": 1}]}, "It is 4.", ""),
        ({"content": None, "refusal": "I would rather not."}, "I would rather not.", ""),
    ],
)
def test_the_visible_answer_and_the_reasoning_are_kept_apart(message: Any, text: str, thought: str) -> None:
    found = read(message)
    assert (found.text, found.reasoning, found.stop) == (text, thought, "stop")


@given(st.text(), st.text())
def test_what_a_model_says_after_thinking_is_all_that_is_visible(thought: str, said: str) -> None:
    tags = ("<think>", "</think>", "<thinking>", "</thinking>")
    if any(tag in (thought + said).lower() for tag in tags):
        return
    assert reasoning.split(f"<think>{thought}</think>{said}") == (thought.strip(), said.strip())
    assert reasoning.split(f"{thought}</think>{said}") == (thought.strip(), said.strip())
    assert reasoning.split(said) == ("", said)


def test_a_reply_that_was_cut_is_marked_whatever_the_server_calls_it() -> None:
    asked = call(max_tokens=5)
    assert read({"content": "It"}, "length").stop == "length"
    for finish in ("stop", None, "eos"):
        assert read({"content": "It"}, finish, {"completion_tokens": 5}, asked).stop == "length"
        assert read({"content": "It"}, finish, {"completion_tokens": 4}, asked).stop == "stop"


def test_stop_strings_end_a_reply_even_where_the_server_does_not_know_them() -> None:
    asked = call(stop=("END", "\n\n"), max_tokens=5)
    found = read({"content": "It is 4.\n\nNext END"}, "stop", {"completion_tokens": 5}, asked)
    assert (found.text, found.stop) == ("It is 4.", "stop")


def test_what_a_filter_cut_is_an_error_that_lasts() -> None:
    found = read({"content": "It"}, "content_filter")
    assert (found.stop, found.text, found.lasting) == ("error", "", True)


def test_of_several_choices_the_first_counts() -> None:
    value = {"choices": [{"text": "a", "finish_reason": "stop"}, {"text": "b", "finish_reason": "stop"}]}
    found = wire.reply(json.dumps(value).encode(), call(), 0.0)
    assert isinstance(found, Reply)
    assert found.text == "a"


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"", "passing", "empty"),
        (b"<html>Bad gateway</html>", "passing", "not JSON, it begins '<html>"),
        (b'{"choices": [{"message": {"con', "passing", "not JSON"),
        (b"[" * 100_000, "passing", "not JSON"),
        (b"[1]", "passing", "list"),
        (b"{}", "passing", "no choices"),
        (b'{"choices": []}', "passing", "no choices"),
        (b'{"error": {"message": "over capacity", "code": 503}}', "busy", "over capacity"),
        (b'{"choices": [{"error": {"message": "slow down", "code": 429}}]}', "rate", "slow down"),
        (b'{"error": "broken"}', "passing", "broken"),
    ],
)
def test_a_response_without_a_reply_in_it_is_a_fault(body: bytes, kind: str, says: str) -> None:
    found = wire.reply(body, call(), 0.0)
    assert isinstance(found, Fault)
    assert found.kind == kind
    assert says in found.message


@given(JSON, JSON, JSON, JSON)
def test_no_answer_is_too_strange_to_be_read(message: Any, finish: Any, usage: Any, whole: Any) -> None:
    value = {"choices": [{"message": message, "text": message, "finish_reason": finish}], "usage": usage}
    for body in (value, whole, {"choices": whole}, {"error": whole}, {"choices": [{"message": whole}]}):
        found = wire.reply(json.dumps(body).encode(), call(), 0.0)
        assert isinstance(found, (Reply, Fault))
        if isinstance(found, Reply):
            assert found.usage.cached <= found.usage.prompt
            assert found.usage.reasoning <= found.usage.completion


@given(st.binary())
def test_no_bytes_are_too_strange_either(body: bytes) -> None:
    assert isinstance(wire.reply(body, call(), 0.0), (Reply, Fault))
