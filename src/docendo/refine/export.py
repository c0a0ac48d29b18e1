"""The best set for use elsewhere: as JSON, as docendo's own lessons, as a chat prompt, as a DSPy program's state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docendo.errors import StoreError
from docendo.prompts import Prompts
from docendo.refine.summary import STUDENTS, Summary
from docendo.refine.task import Task
from docendo.types import Lesson, Problem

FOLDER = "best"
QUESTION = "{question}"
"""What stands in the prompt for the question that is asked."""

# What DSPy 3.4 wrote when its format was looked at: its loader wants these keys, and warns where versions differ.
_DSPY = {"python": "3.11", "dspy": "3.4.1", "cloudpickle": "3.1"}


def export(summary: Summary, folder: Path) -> list[Path]:
    """Write the best set into a folder, in every form; earlier files of these names are replaced.

    Args:
        summary: of the run.
        folder: where to; made where it is not there.

    Returns:
        The files, none where there is no best set yet.

    Raises:
        StoreError: they cannot be written.
    """
    best = summary.best
    if best is None:
        return []
    files: dict[str, str] = {
        "set.json": _json(as_json(summary, best)),
        "lessons.jsonl": "".join(
            json.dumps(
                {"question": e.question, "rationale": e.rationale, "answer": e.answer}, ensure_ascii=False
            )
            + "\n"
            for e in best.examples
        ),
        "chat.json": _json(as_chat(summary.task, best)),
        "dspy.json": _json(as_dspy(summary.task, best)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise StoreError(
            f"{folder}: the best set cannot be written ({error.strerror}); free some space or choose another place. "
            "The run itself is not touched."
        ) from error
    return [folder / name for name in files]


def as_json(summary: Summary, best: Lesson) -> dict[str, Any]:
    """The set with what it is for and how good it was found to be."""
    last = summary.rounds[-1]
    gain = summary.changes.get(STUDENTS)
    return {
        "task": summary.task.name,
        "instruction": summary.task.instruction,
        "labels": list(summary.task.labels),
        "examples": [
            {"question": e.question, "rationale": e.rationale, "answer": e.answer} for e in best.examples
        ],
        "round": summary.candidates[best.id].round,
        "validation accuracy": last.validation.mean,
        "test accuracy": {r.model: r.accuracy.mean for r in last.readouts},
        "test F1": {r.model: r.f1.mean if r.f1 else None for r in last.readouts},
        "students' test accuracy over the starting set": None
        if gain is None
        else {"mean": gain.accuracy.mean, "low": gain.accuracy.low, "high": gain.accuracy.high},
    }


def as_chat(task: Task, best: Lesson) -> list[dict[str, str]]:
    """The messages that a chat model is sent, `QUESTION` standing for the question."""
    asked = Problem("question", QUESTION, kind=task.kind, meta={"labels": list(task.labels)})
    prompt = Prompts("chat").examine(best, asked, task.said)
    return [{"role": turn[0], "content": turn[1]} for turn in prompt]


def as_dspy(task: Task, best: Lesson) -> dict[str, Any]:
    """The state that `dspy.ChainOfThought("question -> answer")` loads; `dspy.Predict` where not all is explained."""
    explained = all(e.rationale for e in best.examples)
    names = ("question", "reasoning", "answer") if explained else ("question", "answer")
    demos = [
        {"question": e.question, **({"reasoning": e.rationale} if explained else {}), "answer": e.answer}
        for e in best.examples
    ]
    predict: Mapping[str, Any] = {
        "traces": [],
        "train": [],
        "demos": demos,
        "signature": {
            "instructions": task.said or "Given the fields `question`, produce the fields `answer`.",
            "fields": [{"prefix": f"{name.capitalize()}:", "description": f"${{{name}}}"} for name in names],
        },
        "lm": None,
    }
    metadata = {"metadata": {"dependency_versions": _DSPY}}
    return ({"predict": predict} if explained else dict(predict)) | metadata


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
