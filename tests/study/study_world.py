"""A little world with scripted models, and a study of it: what the tests here share.

A problem's method is to add; a teacher adds or multiplies, and how often it adds depends on its name and the
problem's group. A student does as the lesson says; without a working to read it multiplies.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from docendo.models.scripted import ScriptedModel
from docendo.study.plan import Plan
from docendo.types import Call

CLUSTERS, FAMILIES, EACH = 10, 1, 4
# The chance that a teacher adds, by the problem's group; SC is right where it is well above a half.
ADDS = {"head": 0.8, "middle": 0.4, "tail": 0.2, "untaught": 0.0}


def problems() -> list[dict[str, Any]]:
    """Rows of a problem file: families of four variants, a cluster and a group each."""
    rows = []
    for cluster in range(CLUSTERS):
        for family in range(FAMILIES):
            group = list(ADDS)[(cluster + family) % len(ADDS)]
            for variant in range(EACH):
                a, b = 3 + cluster + variant, 4 + 2 * variant + family
                rows.append(
                    {
                        "id": f"{cluster}-{family}-{variant}",
                        "question": f"A {group} box {cluster} {family} holds {a} and then {b}. How many?",
                        "answer": a + b,
                        "solution": f"{a} plus {b} = {a + b}.",
                        "family": f"f{cluster}-{family}",
                        "cluster": f"c{cluster}",
                        "group": group,
                    }
                )
    return rows


def say(call: Call) -> str:
    """What a model says; the same call says the same, as a seeded model does."""
    assert isinstance(call.prompt, str)
    rng = random.Random(f"{call.request} {call.sample}")
    asked = call.prompt.rsplit("Question:", 1)[-1]
    found = re.search(r"A (\w+) box .* holds (\d+) and then (\d+)", asked)
    assert found is not None
    group, a, b = found[1], int(found[2]), int(found[3])
    if call.purpose == "exam":
        shown = re.search(r"plus|times", call.prompt)
        sign = shown[0] if shown and rng.random() < 0.9 else "times"
    elif "slips" in call.model:
        # Knows every method and errs in the sum, so that no exam can tell.
        return f" {a} plus {b} = {a + b + rng.choice((0, 0, 1, 2))}.\nAnswer: {a + b + rng.choice((0, 0, 1))}"
    else:
        sign = "plus" if rng.random() < ADDS[group] else rng.choice(("times", "minus"))
    value = {"plus": a + b, "times": a * b, "minus": abs(a - b)}[sign]
    return f" {a} {sign} {b} = {value}.\nAnswer: {value}"


def install(monkeypatch: Any) -> list[ScriptedModel]:
    """Let runs open scripted models in place of real ones; returns those that were opened."""
    models: list[ScriptedModel] = []

    @asynccontextmanager
    async def opened(names: Iterable[str]) -> AsyncIterator[Mapping[str, ScriptedModel]]:
        made = {name: ScriptedModel(name, say, parameters=1000, batched=True) for name in names}
        models.extend(made.values())
        yield made

    monkeypatch.setattr(import_module("docendo.solve.work"), "opened", opened)
    return models


def asked(models: Iterable[ScriptedModel]) -> int:
    """Calls that reached any of the models."""
    return sum(len(model.seen) for model in models)


def plan(folder: Path, **changed: Any) -> Plan:
    """A study of two teachers and two seeds, with the slipping teacher and some conditions."""
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in problems()), encoding="utf-8")
    values: dict[str, Any] = {
        "title": "A little study",
        "quick": False,
        "problems": str(path),
        "limit": None,
        "teachers": {"a": "school:scripted-a", "b": "school:scripted-b"},
        "slips": "school:scripted-slips",
        "students": ("school:pupil",),
        "seeds": (0, 1),
        "conditions": ("answer-only", "no-lesson"),
        "rivals": False,
    }
    return Plan(**values | changed)
