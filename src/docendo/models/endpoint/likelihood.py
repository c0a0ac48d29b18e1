"""Log-likelihoods from servers that return the log-probabilities of a prompt: what is asked, and how it is read.

A completion with `echo` and `logprobs` comes back with the prompt's own tokens, each with its log-probability: vLLM's
and SGLang's servers do that. Others leave the prompt out or refuse the request.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from docendo.models.endpoint import faults, wire
from docendo.models.endpoint.faults import Fault
from docendo.types import Call, Reply, Sampling

CANNOT = (
    "returns no log-probabilities of a prompt (a completion with echo and logprobs), which likelihood exams need; "
    "vLLM's server does, and so do hf:, vllm: and school: models"
)
FIELDS = {"echo": True, "logprobs": 1}
"""What such a request has beside those of a completion."""

_NAMED = re.compile(r"\b(echo|logprobs?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told(Reply):
    """A reply to a call with a continuation, and the number of the continuation's tokens."""

    tokens: int = 0


def as_sent(call: Call) -> Call:
    """What a completion server is asked for a call with a continuation: to go on after both, and show what it read.

    One token more is drawn, as some servers want. Nothing of the call's own sampling matters to what was read, but some
    servers divide logits by the temperature.
    """
    sampling = Sampling(0.0, max_tokens=1)
    return replace(call, prompt=f"{call.prompt}{call.continuation}", sampling=sampling, continuation=None)


def told(body: bytes, call: Call, seconds: float, able: bool) -> Told | Fault:
    """What the body of a successful response tells, or what is wrong with it.

    Args:
        body: of the response to `as_sent(call)`.
        call: has a continuation, and a prompt that is one text.
        seconds: the response took.
        able: the server told something before, so that what is not told is this one call's fault.

    Returns:
        A reply whose text is the summed natural log-probability, with tokens as the server counts them (the
        continuation's are among the prompt's); or a fault, "fatal" where the server seems to tell nothing at all.
    """
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Fault("passing", "the answer is not JSON")
    if isinstance(value, dict) and value.get("error"):
        fault = faults.in_body(value["error"])
        return fault if able else refused(fault)
    cannot = Fault("lasting" if able else "fatal", f"the server {CANNOT}")
    try:
        found = value["choices"][0]["logprobs"]
        chosen = _chosen(found, str(call.prompt), call.continuation or "")
        total = math.fsum(chosen)
    except (KeyError, IndexError, TypeError, ValueError):
        return cannot
    if not chosen:
        return cannot
    if not math.isfinite(total):
        return Fault("lasting", f"the server tells a log-probability of {total}")
    usage = wire.usage_of(value.get("usage"))
    return Told(repr(total), "stop", usage, seconds, tokens=len(chosen))


def refused(fault: Fault) -> Fault:
    """A refusal, which is no one call's where it is of what makes a request tell log-probabilities."""
    if fault.status in (400, 422, 501) and (fault.field in FIELDS or _NAMED.search(fault.message)):
        return replace(
            fault, kind="fatal", status=None, message=f"the server {CANNOT}. It said: {fault.message}"
        )
    return fault


def _chosen(found: Any, prompt: str, continuation: str) -> list[float]:
    """The log-probabilities of the tokens that begin in the continuation; none where it was not read."""
    logs, whole = found["token_logprobs"], prompt + continuation
    tokens = [str(token) for token in found.get("tokens") or ()]
    text = "".join(tokens)
    at = text.find(whole)
    if at >= 0:  # tokens that are the very text say best where each begins
        offsets = list(accumulate(map(len, tokens[:-1]), initial=0))
    else:
        # Tokens may be parts of characters. Where a server counts the token that begins a text as text, the last, which
        # was drawn, tells by how much.
        offsets = found["text_offset"]
        at = max(0, offsets[-1] - len(whole))
        if offsets[0] != 0:
            raise ValueError("not of the prompt")
    first, last = at + len(prompt), at + len(whole)
    return [
        log for start, log in zip(offsets, logs, strict=True) if first <= start < last and log is not None
    ]
