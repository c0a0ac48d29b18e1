"""What a pilot asks beside the road: the exam without any lesson, and after the reference solution.

Without them a high LbT score could be a student that needed no lesson, and a low one a student that follows
none. What a reply was to stands in its batch's name, so that whoever reads a pilot's store finds them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from docendo.models.base import Ask
from docendo.prompts import PromptBook
from docendo.solve.plan import Settings
from docendo.solve.road import Solved
from docendo.store import Key, RunView
from docendo.types import Call, Example, Lesson, Problem

Condition = Literal["alone", "reference"]

APART = 1_000_000
"""Sample index of the first repeat of a control, which may ask the very request of a lesson's exam."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One recorded control: "alone" without a lesson, "reference" after the taught problem's own solution."""

    condition: Condition
    student: str
    taught: str
    exam: str
    call: Key


async def ask_controls(solved: Solved, settings: Settings, prompts: PromptBook, ask: Ask) -> None:
    """Have a solved problem's exam asked again under each condition, of every student; the gateway records it."""
    await ask(list(_calls(solved, settings, prompts)))


def recorded(view: RunView) -> Iterator[Asked]:
    """The controls in a pilot's store."""
    for row in view.calls():
        if row.purpose == "control":
            condition, student, taught, exam = json.loads(row.batch)
            yield Asked(condition, student, taught, exam, row.call)


def _calls(solved: Solved, settings: Settings, prompts: PromptBook) -> Iterator[Call]:
    problem, exam = solved.problem, solved.exam
    conditions: list[Condition] = ["alone"]
    if problem.solution and problem.answer is not None:
        conditions.append("reference")
    for student in exam.students:
        style = prompts.of(student)
        for condition in conditions:
            for other in exam.problems:
                prompt = (
                    style.teach(other) if condition == "alone" else style.examine(_reference(problem), other)
                )
                batch = json.dumps([condition, student, problem.id, other.id])
                for repeat in range(APART, APART + exam.repeats):
                    yield settings.call(
                        "control", prompt, repeat, batch, exam.repeats, model=student, stop=style.stop
                    )


def _reference(problem: Problem) -> Lesson:
    return Lesson((Example(problem.question, problem.solution or "", problem.answer or ""),))
