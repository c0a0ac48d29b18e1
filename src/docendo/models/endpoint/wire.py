"""What is sent for a call, and what is made of the answer; JSON in and out, no network.

Nothing in a response is trusted to be there or to be of its type: a reply is made of what can be read, and a
response that has none in it is a `Fault`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from docendo.models.endpoint import faults, reasoning
from docendo.models.endpoint.faults import Fault
from docendo.types import Call, Reply, Usage

SPARE = ("seed", "top_k", "top_p", "temperature", "stop", "continue_final_message", "add_generation_prompt")
"""Fields that a request can do without, should a server refuse them."""

TOKENS = "max_tokens"
TOKENS_NOW = "max_completion_tokens"  # its name at OpenAI since reasoning tokens count in it


def request(
    call: Call,
    model: str,
    *,
    chat: bool,
    dropped: Collection[str] = (),
    extra: Mapping[str, object] | None = None,
) -> bytes:
    """The JSON of a request for one call.

    Args:
        call: what is asked. A chat that ends with the assistant's words is asked to go on with them.
        model: the endpoint's name of the model.
        chat: ask for a chat, in which a prompt that is one text is the user's only message; else for the
            completion of a text.
        dropped: fields to leave out; `max_tokens` among them goes by its newer name.
        extra: fields of the user's own, which replace ours.
    """
    sampling, fields = call.sampling, dict[str, object](model=model)
    if chat:
        turns = (("user", call.prompt),) if isinstance(call.prompt, str) else call.prompt
        fields["messages"] = [{"role": role, "content": content} for role, content in turns]
        if turns[-1][0] == "assistant":
            fields |= {"continue_final_message": True, "add_generation_prompt": False}
    else:
        fields["prompt"] = call.prompt
    fields["temperature"] = sampling.temperature
    fields[TOKENS_NOW if TOKENS in dropped else TOKENS] = sampling.max_tokens
    if sampling.top_p < 1:
        fields["top_p"] = sampling.top_p
    if sampling.top_k:
        fields["top_k"] = sampling.top_k
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    fields["seed"] = seed_of(call)
    for name in dropped:
        fields.pop(name, None)
    if extra:
        fields |= extra
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def seed_of(call: Call) -> int:
    """The seed of one call, below 2**31: the run's seed is in the hash of the request, and samples differ."""
    return seed_of_key((call.request, call.sample))


def seed_of_key(key: tuple[str, int]) -> int:
    """`seed_of` the call with this request and sample."""
    digest = hashlib.sha256(f"{key[0]} {key[1]}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def reply(body: bytes, call: Call, seconds: float) -> Reply | Fault:
    """The reply in the body of a successful response, or what is wrong with it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        start = body[:80].decode("utf-8", "replace")
        return Fault(
            "passing", f"the answer is not JSON, it begins {start!r}" if start else "an empty answer"
        )
    if not isinstance(value, dict):
        return Fault("passing", f"the answer is a JSON {type(value).__name__} and no object")
    if value.get("error"):
        return faults.in_body(value["error"])
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return Fault("passing", "the answer has no choices")
    if choice.get("error"):
        return faults.in_body(choice["error"])
    why = choice.get("finish_reason")
    usage = usage_of(value.get("usage"))
    text, thought = _texts(choice)
    if why == "content_filter":
        return Reply("", "error", usage, seconds, "the provider's content filter cut the reply", lasting=True)
    if isinstance(call.prompt, tuple) and call.prompt[-1][0] == "assistant":
        # A server that does not go on with the words begins with them, or with the answer as a whole.
        text = text.removeprefix(call.prompt[-1][1])
    text, stopped = _cut(text, call.sampling.stop)
    # Some servers say "stop" (or nothing) however a reply ended: one that is as long as allowed was cut.
    spent = usage.completion >= call.sampling.max_tokens
    cut = why in ("length", "max_tokens", "model_length") or (spent and not stopped)
    return Reply(text, "length" if cut else "stop", usage, seconds, reasoning=thought)


def _texts(choice: Mapping[str, Any]) -> tuple[str, str]:
    """The visible text and the reasoning of a choice, of a chat or of a completion."""
    message = choice.get("message")
    if not isinstance(message, dict):
        text = choice.get("text")
        thought, text = reasoning.split(text if isinstance(text, str) else "")
        return text, thought
    text = _flat(message.get("content"))
    if not text and isinstance(message.get("refusal"), str):
        text = message["refusal"]
    thought = next((t for k in ("reasoning_content", "reasoning") if (t := _flat(message.get(k)))), "")
    if thought:
        return text.lstrip("\n"), thought
    thought, text = reasoning.split(text)
    return text, thought


def _flat(content: Any) -> str:
    """Content that is a text, or a list of parts with texts, or anything else, as a text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _cut(text: str, stops: Collection[str]) -> tuple[str, bool]:
    """The text before the first stop string: some servers do not know these, or leave them in."""
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def usage_of(value: Any) -> Usage:
    """Tokens as a server counts them; what it leaves out or states wrongly is 0."""
    if not isinstance(value, dict):
        return Usage()
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    cached = _count(_in(value, "prompt_tokens_details", "cached_tokens")) or _count(
        value.get("prompt_cache_hit_tokens")
    )
    thought = _count(_in(value, "completion_tokens_details", "reasoning_tokens")) or _count(
        value.get("reasoning_tokens")
    )
    return Usage(prompt, min(cached, prompt), completion, min(thought, completion))


def _in(value: Mapping[str, Any], *names: str) -> Any:
    found: Any = value
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
