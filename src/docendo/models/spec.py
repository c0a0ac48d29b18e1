"""What a user says of a model: where it is, how it is spoken to, what it may be asked, what it costs.

Values only, checked; reading them from flags or TOML is `solve.config`'s business, opening a model `resolve`'s.
Secrets never stand here: a key is named by the environment variable that holds it, so that a specification
can be kept in a run folder and shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from docendo.errors import ConfigError

KINDS = ("school", "openai", "azure", "vllm", "hf")
ENDPOINTS = ("openai", "azure")
IN_PROCESS = ("vllm", "hf")

REACH = ("base_url", "api_version", "key_env", "headers", "limits", "prices")
"""How a model is reached and what that costs, which no recorded reply depends on: it may change between two sessions of
a run."""

# What only some kinds of model can make use of. A setting that would do nothing is an error, not a silence.
_ONLY = {
    "base_url": ENDPOINTS,
    "key_env": ENDPOINTS,
    "headers": ENDPOINTS,
    "body": ENDPOINTS,
    "limits": ENDPOINTS,
    "api_version": ("azure",),
    "options": IN_PROCESS,
    "mode": (*ENDPOINTS, *IN_PROCESS),
    "reasoning": (*ENDPOINTS, *IN_PROCESS),
}
_SECRET = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


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
        name: how calls, tables and the report name it; None is `model` itself.
        base_url: of an OpenAI-compatible endpoint, with its `/v1`; None is the provider's own.
        key_env: the environment variable that holds the key.
        api_version: Azure's.
        headers, body: extra HTTP headers, extra fields of each request's JSON. `${NAME}` in a header is the
            value of an environment variable, taken when a request is made (`sent_headers`).
        options: of in-process models: arguments of vLLM's engine, or of transformers' `from_pretrained`.
        mode: how it is spoken to; "auto" is chat where the model can.
        prompts: a prompt style, or a folder of templates, for this model; None is the run's own.
        reasoning: what of a reasoning model's reply a lesson shows: the visible answer, or with the hidden
            reasoning before it.
        parameters: the model's size, its weight in costs; None where it is not known.
        context: longest prompt plus completion in tokens; None where it is not known.
        temperature, top_p, top_k, max_tokens, stop: replace the run's own for this model.
        limits, prices: see there.
    """

    model: str
    name: str | None = Field(default=None, min_length=1)
    base_url: str | None = None
    key_env: str | None = None
    api_version: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, object] = Field(default_factory=dict)
    options: dict[str, object] = Field(default_factory=dict)
    mode: Literal["auto", "chat", "completion"] = "auto"
    prompts: str | None = None
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

    @classmethod
    def named(cls, name: str) -> Self:
        """A model of which nothing is said but its name.

        Raises:
            ConfigError: the name is of no known form.
        """
        try:
            return cls(model=name)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise ConfigError(f"model {name!r}: {said.removeprefix('Value error, ')}") from None

    @property
    def label(self) -> str:
        """The name by which calls address the model."""
        return self.name or self.model

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return self.model.partition(":")[0]

    @property
    def target(self) -> str:
        """What stands after the kind: a name, a deployment or a path."""
        return self.model.partition(":")[2]

    def sent_headers(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The extra headers with their variables filled in; for a request, never for a message or a file.

        Raises:
            ConfigError: a variable is not set; the message names it and the header.
        """
        sent = {}
        for header, text in self.headers.items():
            for variable in _VARIABLE.findall(text):
                if not environ.get(variable):
                    raise ConfigError(
                        f"model {self.label!r}: header {header} needs the environment variable {variable}, "
                        "which is not set"
                    )
            sent[header] = _VARIABLE.sub(lambda found: environ[found[1]], text)
        return sent

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the extra headers are filled with: what they hold may be secret."""
        return tuple(name for text in self.headers.values() for name in _VARIABLE.findall(text))

    @field_validator("model")
    @classmethod
    def _known_kind(cls, model: str) -> str:
        kind, _, target = model.partition(":")
        if kind not in KINDS or not target:
            kinds = ", ".join(f"{kind}:" for kind in KINDS)
            guess = f"; for a model behind an endpoint write openai:{model}" if ":" not in model else ""
            raise ValueError(f"models are named KIND:NAME, where KIND: is {kinds}{guess}")
        return model

    @field_validator("key_env")
    @classmethod
    def _name_of_a_variable(cls, key_env: str | None) -> str | None:
        if key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key_env):
            raise ValueError("must be the name of an environment variable that holds the key, not the key")
        return key_env

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, base_url: str | None) -> str | None:
        if base_url is None:
            return None
        if not re.match(r"https?://[^/]", base_url):
            raise ValueError("must begin with http:// or https:// and a host")
        if "@" in base_url.split("/")[2] or "?" in base_url or "#" in base_url:
            raise ValueError("may hold no user, password or query; use key_env, headers or body for those")
        return base_url

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for header, text in headers.items():
            if _SECRET.search(header) and not _VARIABLE.search(text):
                raise ValueError(
                    f"{header} looks like a secret, and what stands here is kept in the run folder: put it "
                    "into an environment variable and write ${NAME}"
                )
        return headers

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        for field, kinds in _ONLY.items():
            if self.kind not in kinds and getattr(self, field) != type(self).model_fields[field].get_default(
                call_default_factory=True
            ):
                models = " and ".join(f"{kind}:" for kind in kinds)
                raise ValueError(f"{field} is for {models} models, not for {self.kind}:")
        return self
