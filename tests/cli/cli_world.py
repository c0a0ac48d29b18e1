"""A little world with scripted models for the command line's tests: sums that are easy or hard. As a script
it is the command line itself with these models: `python cli_world.py HELD ARGUMENT...`, where HELD is one of `HELDS`.

A lesson that says "add" is right and one that says "multiply" wrong, and a student does as the lesson says.
Of five samples all are right on an easy problem and two on a hard one, so self-consistency is wrong there,
and LbT scores are not.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from docendo.cli import main
from docendo.cli.figures import Figures
from docendo.cli.live import LiveFace
from docendo.cli.progress import PlainFace
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


class HeldModel(ScriptedModel):
    """Says nothing to a call for as long as that is held."""

    held: Callable[[Call], bool] = staticmethod(lambda call: False)

    async def _answer(self, group: list[Call]) -> list[tuple[Call, Reply]]:
        while any(self.held(call) for call in group):
            await asyncio.sleep(0.01)
        return await super()._answer(group)


def until_shown(monkeypatch: Any) -> Callable[[Call], bool]:
    """Hold every call until the progress display has looked at the run: a run may be over before it does."""
    shown = threading.Event()
    for face in (LiveFace, PlainFace):

        def look(self: Any, figures: Figures, look: Callable[[Any, Figures], None] = face.look) -> None:
            begun = (
                figures.folder is not None and figures.meter is not None
            )  # or it looked at less than a run
            look(self, figures)
            if begun:
                shown.set()

        monkeypatch.setattr(face, "look", look)
    return lambda call: not shown.is_set()


def after_the_first(monkeypatch: Any) -> Callable[[Call], bool]:
    """Hold for ever what is asked to solve any problem but the first; lines of progress come at once."""
    monkeypatch.setattr(import_module("docendo.cli.progress"), "_PLAIN_SECONDS", 0.1)
    numbers = "has 3 and 5"
    return lambda call: call.purpose != "exam" and numbers not in str(call.prompt).rsplit("Question:", 1)[-1]


HELDS = {"none": lambda patch: HeldModel.held, "until-shown": until_shown, "after-the-first": after_the_first}


def install(
    monkeypatch: Any, say: Callable[[Call], Reply | str] = reply, *, held: str = "none"
) -> list[ScriptedModel]:
    """Let runs open scripted models in place of real ones; returns those that were opened."""
    models: list[ScriptedModel] = []
    holding = HELDS[held](monkeypatch)

    @asynccontextmanager
    async def opened(names: Iterable[str]) -> AsyncIterator[Mapping[str, ScriptedModel]]:
        made = {name: HeldModel(name, say, parameters=1000, batched=True) for name in names}
        for model in made.values():
            model.held = holding
        models.extend(made.values())
        yield made

    monkeypatch.setattr(import_module("docendo.solve.work"), "opened", opened)
    return models


class _Patch:
    """What `install` needs where there is no pytest."""

    setattr = staticmethod(setattr)


if __name__ == "__main__":
    install(_Patch, held=sys.argv[1])
    sys.exit(main(sys.argv[2:]))
