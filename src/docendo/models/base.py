"""The shape of a model backend, and nothing else.

A backend *pulls*: it is handed a stream of calls and yields replies as they finish, in any order, each with
its call; it alone decides how many to have in flight. That one shape fits an HTTP endpoint, an in-process
batch engine and a cluster, and keeps memory flat however long the stream. A backend knows nothing of lessons.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from docendo.errors import ModelError
from docendo.types import Call, Prompt, Reply

# How the road asks: the gateway's `ask`, or whatever stands in for it. Replies come in the order of the calls.
Ask = Callable[[Sequence[Call]], Awaitable[list[Reply]]]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do.

    `parameters` is the model's size (its weight in "cost = tokens computed x parameters"), None where it is
    not known. `continuations` says that it answers calls with a `continuation`, as exams by likelihood ask.
    `digest` identifies the weights, where they are at hand, else what decides the meaning of a
    request (the model's name, extra fields): a run is not gone on with by others.
    `context` is the longest prompt plus completion in tokens. `batched` says that replies are
    only reproducible when a call's whole `batch` is computed together; the gateway then records a batch's
    replies all at once, so that an interrupted batch is asked again whole.
    """

    chat: bool = False
    completion: bool = False
    continue_partial: bool = False
    loglikelihood: bool = False
    continuations: bool = False
    token_ids: bool = False
    batched: bool = False
    parameters: int | None = None
    context: int | None = None
    digest: str | None = None


class Model(Protocol):
    """A backend behind one model name."""

    @property
    def name(self) -> str:
        """The name by which calls address this model, for example `school:teacher`."""

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""

    def run(self, calls: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        """Pull calls and yield each with its reply as it finishes, in any order.

        Call-level faults come back as replies with `stop="error"`; only a backend that can no longer work
        at all raises (`ModelError`). Ends when `calls` has ended and every reply was yielded.
        """

    def check(self, text: str) -> None:
        """Raise `UnspeakableError` where the model cannot read `text`; a model that reads anything returns."""

    async def aclose(self) -> None:
        """Release processes, sockets and memory; safe to call twice."""


@runtime_checkable
class TellsLikelihood(Protocol):
    """What a backend with the capability `loglikelihood` can do besides."""

    async def loglikelihood(self, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[float, int]]:
        """How likely each continuation is after its prompt.

        Args:
            pairs: of a prompt and what could be the reply to it, computed together.

        Returns:
            For each the summed natural log-probability of the continuation's tokens, and their number.

        Raises:
            ModelError: a pair cannot be read or is longer than the context; the message says which.
        """


def telling(model: Model) -> TellsLikelihood:
    """The model, as one that tells log-likelihoods.

    Raises:
        ModelError: it cannot; the message says what can.
    """
    if model.capabilities.loglikelihood and isinstance(model, TellsLikelihood):
        return model
    raise ModelError(
        f"{model.name}: tells no log-likelihoods. Models that do: school:, hf:, vllm:, and those in completion mode on "
        "servers that return the log-probabilities of a prompt (vLLM's do); for others choose exams that are answered"
    )


@runtime_checkable
class Watchable(Protocol):
    """A backend that says how far it is while it computes, for a progress display."""

    def watch(self, tell: Callable[[int], None]) -> None:
        """Have `tell` told now and then of so many more tokens computed (`Usage.computed`'s unit)."""


@runtime_checkable
class Hindered(Protocol):
    """A backend that can say why no replies come, for a progress display: a server that is down, say."""

    def trouble(self) -> str | None:
        """The reason, in words; None where all is well. Asked from any thread."""


@runtime_checkable
class Placed(Protocol):
    """A backend that is somewhere else, and can say where."""

    @property
    def place(self) -> str:
        """Its address as it may be shown and kept: no user, password, key or query is in it."""
