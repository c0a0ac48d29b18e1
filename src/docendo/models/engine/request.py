"""What the engine is asked and what it answers, as values, and why it cannot serve some of what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from docendo.models.engine.folder import Config

Why = Literal["eos", "stop", "length", "context", "error"]


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt as token ids and how to go on from it.

    `key` (0 to 2**128 - 1) fixes the request's randomness: requests with equal keys draw equal uniforms.
    `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch those filters off.
    """

    tokens: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    key: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a request gave.

    `tokens` are all that were generated, `text` what they say up to the end token or stop string. `why` it
    ended: "eos" or "stop", cut by "length" (`max_tokens`) or "context" (the model's), or "error", with the
    reason in `error`. `prompt` counts the prompt's tokens, `cached` those of them that an earlier request of
    the batch had needed already, `completion` the generated ones, an end token included.
    """

    tokens: tuple[int, ...] = ()
    text: str = ""
    why: Why = "error"
    error: str | None = None
    prompt: int = 0
    cached: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Summed natural log-probability of a continuation of `tokens` tokens; NaN and why where refused.

    `prompt` counts the prompt's tokens, `cached` those of both that an earlier pair of the batch had needed already.
    """

    total: float
    tokens: int
    error: str | None = None
    prompt: int = 0
    cached: int = 0


def why_not(request: Request, config: Config) -> str | None:
    """Why a request cannot be served, if so."""
    return next(_reasons(request, config), None)


def _reasons(request: Request, config: Config) -> Iterator[str]:
    if reason := _token_reason(request.tokens, config):
        yield reason
    if len(request.tokens) >= config.context:
        yield (
            f"the prompt has {len(request.tokens)} tokens, which leaves no room for an answer "
            f"in the model's context of {config.context}"
        )
    if request.max_tokens < 1:
        yield f"max_tokens is {request.max_tokens}; it must be at least 1"
    if not 0 <= request.temperature < float("inf"):
        yield f"temperature is {request.temperature}; it must be at least 0"
    if request.top_k < 0:
        yield f"top_k is {request.top_k}; it must be at least 0 (0: no limit)"
    if not 0 < request.top_p <= 1:
        yield f"top_p is {request.top_p}; it must be above 0 and at most 1"
    if "" in request.stop:
        yield "a stop string is empty"
    if not 0 <= request.key < 2**128:
        yield "the key does not fit in 128 bits"


def why_not_pair(prompt: Sequence[int], more: Sequence[int], config: Config) -> str | None:
    """Why a pair of prompt and continuation cannot be scored, if so."""
    if reason := _token_reason(prompt, config) or (_token_reason(more, config) if more else None):
        return reason
    if len(prompt) + len(more) > config.context:
        return (
            f"prompt and continuation have {len(prompt) + len(more)} tokens; the context is {config.context}"
        )
    return None


def _token_reason(tokens: Sequence[int], config: Config) -> str | None:
    if not tokens:
        return "the prompt is empty"
    wrong = next((token for token in tokens if not 0 <= token < config.vocab), None)
    if wrong is not None:
        return f"token id {wrong} is out of range: the model has {config.vocab} tokens"
    return None
