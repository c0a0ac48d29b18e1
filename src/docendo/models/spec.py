"""What a user says of a model: where it is, how it is spoken to, what it may be asked, what it costs.

Values only, checked; reading them from flags or TOML is `config`'s business, opening a model `resolve`'s.
Secrets never stand here: a key is named by the environment variable that holds it, so that a specification
can be kept in a run folder and shown.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Frozen):
    """What an endpoint is asked at most, and how long docendo waits for it.

    Attributes:
        concurrency: most calls in flight; how many there really are adapts below it.
        requests_per_minute, tokens_per_minute: as the provider states them; None where it states none.
        connect_timeout, read_timeout: seconds; the latter between two bytes, or until the first one.
        attempts: most times one call is sent.
        patience: most seconds one call is tried for, waits included.
    """

    concurrency: int = Field(default=64, ge=1)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    connect_timeout: float = Field(default=10.0, gt=0)
    read_timeout: float = Field(default=300.0, gt=0)
    attempts: int = Field(default=8, ge=1)
    patience: float = Field(default=900.0, gt=0)


class Prices(_Frozen):
    """Money a million tokens, in `currency`; `cached` is for prompt tokens that the server had cached."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    currency: str = "USD"


class ModelSpec(_Frozen):
    """One model as the user configured it.

    Attributes:
        model: `openai:NAME`, `azure:DEPLOYMENT`, `vllm:PATH`, `hf:PATH`, `school:NAME` or `school:PATH`.
        base_url: of an OpenAI-compatible endpoint, with its `/v1`; None is the provider's own.
        key_env: the environment variable that holds the key.
        api_version: Azure's.
        headers, body: extra HTTP headers, extra fields of each request's JSON.
        mode: how it is spoken to; "auto" is chat where the model can.
        reasoning: what of a reasoning model's reply a lesson shows: the visible answer, or with the hidden
            reasoning before it.
        parameters: the model's size, its weight in costs; None where it is not known.
        context: longest prompt plus completion in tokens; None where it is not known.
        temperature, top_p, top_k, max_tokens, stop: replace the run's own for this model.
        limits, prices: see there.
    """

    model: str
    base_url: str | None = None
    key_env: str | None = None
    api_version: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, object] = Field(default_factory=dict)
    mode: Literal["auto", "chat", "completion"] = "auto"
    reasoning: Literal["visible", "all"] = "visible"
    parameters: int | None = Field(default=None, ge=1)
    context: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=10)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: tuple[str, ...] | None = None
    limits: Limits = Limits()
    prices: Prices | None = None
