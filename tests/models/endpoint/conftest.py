"""Mock servers, and an environment in which endpoints are tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from docendo.models.endpoint import door, model
from docendo.models.endpoint.mock import Handler, MockServer


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside, and waits that a test can afford."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(model, "_BACKOFF", (0.002, 0.02))
    monkeypatch.setattr(door, "_REST", (0.002, 0.02))


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], MockServer]]:
    """Start servers; they are gone after the test."""
    with ExitStack() as stack:
        yield lambda handler: stack.enter_context(MockServer(handler))
