"""A little world with scripted models for the command line's tests: sums that are easy or hard. As a script
it is the command line itself with these models: `python cli_world.py DELAY ARGUMENT...`.

A lesson that says "add" is right and one that says "multiply" wrong, and a student does as the lesson says.
Of five samples all are right on an easy problem and two on a hard one, so self-consistency is wrong there,
and LbT scores are not.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from docendo.cli import main
from docendo.models.scripted import ScriptedModel
from docendo.types import Call, Reply

LESSONS = 5
_NUMBERS = re.compile(r"has (\d+) and (\d+)")


def rows(count: int = 12, *, gold: bool = True) -> list[dict[str, Any]]:
    """Problems, every other one hard; none has another's numbers."""
    made = []
    for i in range(count):
        group = "hard" if i % 2 else "easy"
        row = {"id": f"{group}-{i:02}", "question": f"A {group} box has {i + 3} and {2 * i + 5}. How many?"}
        row |= {"family": group, "group": group}
        made.append(row | {"answer": 3 * i + 8} if gold else row)
    return made


def write(path: Path, values: Iterable[Mapping[str, Any]]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def reply(call: Call) -> str:
    """What teacher and student say."""
    assert isinstance(call.prompt, str)
    asked = call.prompt.rsplit("Question:", 1)[-1]
    numbers = _NUMBERS.search(asked)
    assert numbers is not None
    a, b = int(numbers[1]), int(numbers[2])
    right = "add" in call.prompt if call.purpose == "exam" else "easy" in asked or call.sample % LESSONS > 2
    word, answer = ("add", a + b) if right else ("multiply", a * b)
    return f" {word} {a} and {b} = {answer}.\nAnswer: {answer}"


def install(
    monkeypatch: Any, say: Callable[[Call], Reply | str] = reply, *, delay: float = 0.0
) -> list[ScriptedModel]:
    """Let runs open scripted models in place of real ones; returns those that were opened."""
    models: list[ScriptedModel] = []

    @asynccontextmanager
    async def opened(names: Iterable[str]) -> AsyncIterator[Mapping[str, ScriptedModel]]:
        made = {name: ScriptedModel(name, say, delay=delay, parameters=1000, batched=True) for name in names}
        models.extend(made.values())
        yield made

    monkeypatch.setattr(import_module("docendo.solve.work"), "opened", opened)
    return models


class _Patch:
    """What `install` needs where there is no pytest."""

    setattr = staticmethod(setattr)


if __name__ == "__main__":
    install(_Patch, delay=float(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
