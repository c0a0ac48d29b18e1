"""What the tests of the command line share: a server that says what the scripted models say, and a task in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from colours import speak, task

from docendo.models.endpoint.mock import MockServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with MockServer(speak) as started:
        yield started


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "glow.jsonl"
    named = [
        {"text": p.question, "label": p.answer, "split": part}
        for part in ("pool", "exam", "validation", "test")
        for p in task().part(part)[:40]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in named))
    return path
