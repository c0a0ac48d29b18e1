"""Self-debug: programs that fail a visible test go back to their writer, once, and come back revised.

Only what an exam may know goes into the question: the statement, the program, the first visible test that it fails
and what happened there. A revision takes its draft's place unless it passes fewer visible tests; hidden tests have no
say in that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from docendo.errors import ConfigError
from docendo.models.base import Ask
from docendo.prompts import PromptBook
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings
from docendo.solve.teach import Sample, Taught, samples_of
from docendo.types import Call, Grade, Problem

MOST_SAID = 2000
"""Characters of what happened that are shown: an exception's message can be as long as its program likes."""


def check_debuggable(plan: Settings, prompts: PromptBook, problems: Iterable[Problem]) -> None:
    """Whether programs can be shown back to the teacher: before anything is asked.

    Raises:
        ConfigError: the teacher's prompt style has no template for it, or there is no program to debug.
    """
    if not plan.self_debug:
        return
    prompts.of(plan.teacher).check_debug()
    if all(problem.kind != "code" for problem in problems):
        raise ConfigError(
            "setting self_debug: none of the problems is of kind code, and only programs are debugged; leave it out"
        )


async def debug(taught: Taught, settings: Settings, prompts: PromptBook, ask: Ask, judge: Judge) -> Taught:
    """Show each distinct program that fails a visible test to the teacher, once, and take what is no worse.

    Samples with the same program share its revision, as they share an exam.
    """
    first: dict[str, Sample] = {}
    for sample in taught.samples:
        if sample.grade.answer is not None and _fault(sample.grade) is not None:
            first.setdefault(sample.grade.answer, sample)
    if taught.problem.kind != "code" or not first:
        return taught
    problem, style, batch = taught.problem, prompts.of(settings.teacher), f"debug {taught.problem.id}"

    def call(program: str, sample: Sample) -> Call:
        prompt = style.debug(problem, program, *(_fault(sample.grade) or (0, "")))
        return settings.call("debug", prompt, sample.index, batch, len(first), stop=style.stop)

    calls = [call(program, sample) for program, sample in first.items()]
    found = await samples_of(problem, calls, await ask(calls), settings, judge)
    revision = dict(zip(first, found, strict=True))

    def final(sample: Sample) -> Sample:
        revised = revision.get(sample.grade.answer or "")
        if revised is None or revised.lesson is None or _passed(revised.grade) < _passed(sample.grade):
            return sample
        return replace(revised, arm="teach", index=sample.index, draft=sample)

    return replace(taught, samples=tuple(map(final, taught.samples)), revisions=tuple(found))


def _fault(grade: Grade) -> tuple[int, str] | None:
    """Which visible test a program fails first, and what happened; None where it passes them or there are none."""
    detail = _detail(grade)
    if "failed" not in detail:
        return None
    return detail["failed"], detail.get("fault", "")[:MOST_SAID]


def _passed(grade: Grade) -> int:
    """How many visible tests a program passes."""
    passed: int = _detail(grade).get("visible", [0])[0]
    return passed


def _detail(grade: Grade) -> dict[str, Any]:
    """What came of the tests."""
    return dict(json.loads(grade.detail)) if grade.detail else {}
