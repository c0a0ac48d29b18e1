"""Log-likelihoods from servers that return the log-probabilities of a prompt: what is asked, and how it is read.

A completion with `echo` and `logprobs` comes back with the prompt's own tokens, each with its log-probability and where
it begins in the text: vLLM's and SGLang's servers do that. Others leave the prompt out or refuse the request.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from docendo.models.endpoint import faults
from docendo.models.endpoint.faults import Fault
from docendo.types import Call, Reply, Sampling

CANNOT = (
    "returns no log-probabilities of a prompt (a completion with echo and logprobs), which likelihood exams need; "
    "vLLM's server does, and so do hf:, vllm: and school: models"
)
FIELDS = {"echo": True, "logprobs": 1}
"""What such a request has beside those of a completion; one token more is drawn, as some servers want."""


@dataclass(frozen=True, slots=True)
class EchoCall(Call):
    """A call whose prompt is a prompt with its continuation, which begins after so many characters."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Told(Reply):
    """The summed natural log-probability of the continuation's tokens, and their number."""

    total: float = 0.0
    tokens: int = 0


def call_of(model: str, prompt: str, continuation: str) -> EchoCall:
    """The call that asks how likely a continuation is."""
    return EchoCall(
        model, prompt + continuation, Sampling(0.0, max_tokens=1), purpose="exam", after=len(prompt)
    )


def told(body: bytes, call: EchoCall, seconds: float) -> Told | Fault:
    """What the body of a successful response tells, or what is wrong with it."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Fault("passing", "the answer is not JSON")
    if isinstance(value, dict) and value.get("error"):
        return faults.in_body(value["error"])
    try:
        found = value["choices"][0]["logprobs"]
        offsets, logs = found["text_offset"], found["token_logprobs"]
        # The last is the drawn token: where a server counts the token that begins a text as text, it tells by how much.
        shift = max(0, offsets[-1] - len(call.prompt))
        chosen = [
            log
            for at, log in zip(offsets, logs, strict=True)
            if call.after <= at - shift < len(call.prompt) and log is not None
        ]
        total = math.fsum(chosen)
    except (KeyError, IndexError, TypeError, ValueError):
        return Fault("lasting", f"the server {CANNOT}")
    if not chosen or not math.isfinite(total) or offsets[0] != 0:
        return Fault("lasting", f"the server {CANNOT}")
    return Told("", "stop", seconds=seconds, total=total, tokens=len(chosen))
