"""The rivals: what the same models do with the same information when nobody teaches.

Exam problems come with answers (regime A) or worked solutions (regime B); whoever has them can also show them to
the teacher, or to a student, as examples of how to solve the taught problem. Beside them stand the students
without any: a weak-to-strong claim needs a teacher that beats each of them. What the figures mean is left to the
analysis.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from docendo import _loop
from docendo.errors import DataError, StoreError
from docendo.models.gateway import Gateway
from docendo.models.resolve import opened, shipped
from docendo.prompts import AUTO, Prompts
from docendo.solve.choose import majority
from docendo.solve.facts import Cost
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings
from docendo.solve.run import Run
from docendo.solve.teach import Sample, sample_of
from docendo.store import ModelRow, Store
from docendo.store.schema import FILE
from docendo.study.conditions import PROMPTS
from docendo.types import Example, Lesson, Problem, Prompt, Purpose

FOLDER = "rivals"
"""The store of the rivals' calls, in the study's folder; the results stand beside it."""

MOST_SOLUTIONS, MOST_ANSWERS = 2, 1
"""Shots in one prompt. All models were schooled on no longer documents than these make (see the school's
curriculum); with three solutions a student follows far less well, and the rival would be weaker than it is."""

Regime = Literal["A", "B"]


@dataclass(frozen=True, slots=True)
class Rival:
    """A way of answering with the information that exams use, or a part of it.

    `correct` is 1 or 0 by problem id, over the problems with a gold answer; `cost` is summed over these. `regime`
    is the information it needs. `auc`, for those that rank lessons, is that within a problem.
    """

    name: str
    asks: str
    correct: Mapping[str, float]
    cost: Cost
    regime: Regime
    auc: float | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One model with one kind of shots, `most` of them at once."""

    who: str
    model: str
    shots: str
    prompts: Prompts
    regime: Regime
    most: int

    def prompt(self, problem: Problem, exam: Sequence[Problem], sample: int) -> Prompt:
        """What the model is asked; samples see the exam problems in turn, so that together they see all."""
        first = sample % len(exam)
        shown = [*exam[first:], *exam[:first]][: self.most]
        examples = [Example(e.question, e.solution or "", e.answer or "") for e in shown]
        return self.prompts.examine(Lesson(tuple(examples)), problem)


_SHOWN = {
    "zero-shot": "nothing",
    "answers": "exam problems with their bare answers",
    "solutions": "exam problems with their worked solutions",
}


def rivals(main: Run, out: Path) -> dict[str, Rival]:
    """Ask the rivals about the problems of a finished main run, with its sampling settings and exam problems.

    Args:
        main: the run they are the rivals of.
        out: the study's folder. `rivals.json` in it keeps the results, which are then not made again; the
            calls are in a store of their own, so that a kill loses none that was recorded.

    Returns:
        By name: "WHO SHOTS greedy" and "WHO SHOTS sc", the latter over as many samples as a problem had lessons.

    Raises:
        DataError: the main run is not finished, or an exam problem has no worked solution.
        StoreError, ModelError: the folder or a model cannot be used.
    """
    return kept(out / "rivals.json", main, lambda: _loop.run(_all(main, out / FOLDER)))


def kept(path: Path, main: Run, make: Callable[[], dict[str, Rival]]) -> dict[str, Rival]:
    """The rivals in the file, or those that `make` gives, written there.

    Raises:
        DataError: the main run is not finished.
        StoreError: the file is of another main run or cannot be read or written.
    """
    if not main.complete:
        raise DataError(f"{main.folder}: this run is not finished; resume it before its rivals are asked")
    with main.view() as view:
        created = view.info.created
    # Outside of the `try`: what goes wrong in the making is no fault of the file.
    made = None if path.is_file() else make()
    try:
        if made is not None:
            data = {"main": created, "rivals": [asdict(rival) for rival in made.values()]}
            part = path.with_name(f".{path.name}.part")
            part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
            part.replace(path)
            return made
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["main"] != created:
            raise StoreError(
                f"{path}: is of another main run than {main.folder}; remove it and what is beside it"
            )
        return {row["name"]: Rival(**(row | {"cost": Cost(**row["cost"])})) for row in data["rivals"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: cannot be used ({error}); remove it and run the study again") from error


async def _all(main: Run, folder: Path) -> dict[str, Rival]:
    with main.view() as view:
        settings = Settings.of(view.config["settings"])
        problems = [p for p in view.problems() if p.answer is not None]
        exams = {p.id: view.exam_of(p.id) for p in problems}
    for exam in (e for own in exams.values() for e in own if e.solution is None):
        raise DataError(f"exam problem {exam.id!r} has no worked solution, which the rivals of regime B need")
    entries = _entries(settings)
    found: dict[str, Rival] = {}
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(opened(e.model for e in entries))
        rows = [ModelRow(n, m.capabilities.parameters, m.capabilities.context) for n, m in models.items()]
        with _store(folder, settings, rows, problems) as store:
            gateway = await stack.enter_async_context(Gateway(models, store))
            for entry in entries:
                size = models[entry.model].capabilities.parameters or 1
                answered = await asyncio.gather(
                    *(_ask(gateway, settings, entry, p, exams[p.id]) for p in problems)
                )
                found |= {rival.name: rival for rival in _judged(entry, answered, size)}
    return found


def _entries(settings: Settings) -> list[_Entry]:
    """Every model with every kind of shots; the teacher without any is in the main run."""
    own = settings.prompts if settings.prompts != AUTO else "school"  # whose models all of these are
    answers, nothing = str(PROMPTS / "answer-only"), str(PROMPTS / "none")
    who = {"teacher": settings.teacher}
    who |= {name: f"school:{name}" for name in ("student", "student-2") if name in shipped()}
    entries = []
    for name, model in who.items():
        if name != "teacher":
            entries.append(_Entry(name, model, "zero-shot", Prompts(nothing), "A", 0))
        entries.append(_Entry(name, model, "answers", Prompts(answers), "A", MOST_ANSWERS))
        entries.append(_Entry(name, model, "solutions", Prompts(own), "B", MOST_SOLUTIONS))
    return entries


def _store(
    folder: Path, settings: Settings, models: Sequence[ModelRow], problems: Sequence[Problem]
) -> Store:
    if (folder / FILE).is_file():
        return Store.open(folder)
    config = {"settings": settings.stored()}
    return Store.create(
        folder, kind="rivals", config=config, seed=settings.seed, models=models, taught=problems
    )


async def _ask(
    gateway: Gateway, settings: Settings, entry: _Entry, problem: Problem, exam: Sequence[Problem]
) -> tuple[Problem, list[Sample]]:
    """A problem with the greedy sample, then the others, asked as one batch."""
    size, batch = settings.lessons + 1, f"{entry.who} {entry.shots} {problem.id}"
    asked: list[tuple[Purpose, int]] = [("greedy", 0), *(("sc", i) for i in range(settings.lessons))]
    calls = [
        settings.call(what, entry.prompt(problem, exam, i), i, batch, size, entry.model) for what, i in asked
    ]
    replies = await gateway.ask(calls)
    judge = Judge(settings.sandbox)
    return problem, [await sample_of(problem, c, r, judge) for c, r in zip(calls, replies, strict=True)]


def _judged(entry: _Entry, answered: Sequence[tuple[Problem, list[Sample]]], size: int) -> list[Rival]:
    """The greedy answer, and the vote of the others."""
    found = []
    for way in ("greedy", "sc"):
        correct, cost = {}, Cost()
        for problem, samples in answered:
            own = samples[:1] if way == "greedy" else samples[1:]
            votes = [(s.grade.key, s.grade.answer) if s.grade.key else None for s in own]
            chosen = majority(votes).key
            correct[problem.id] = float(any(s.grade.score == 1.0 and s.grade.key == chosen for s in own))
            cost += _cost(own, size)
        count = "greedily" if way == "greedy" else f"by the majority of {len(own)} samples"
        asks = f"What does the {entry.who} answer {count}, shown {_SHOWN[entry.shots]}?"
        found.append(Rival(f"{entry.who} {entry.shots} {way}", asks, correct, cost, entry.regime))
    return found


def _cost(samples: Sequence[Sample], size: int) -> Cost:
    """What the samples would cost alone: a prompt that several share is computed once."""
    used = [(s.call.prompt, s.reply.usage) for s in samples if s.call is not None and s.reply is not None]
    written = sum(u.completion for _, u in used)
    computed = sum({prompt: u.prompt for prompt, u in used}.values()) + written
    return Cost(sum(u.prompt for _, u in used) + written, computed, computed * size)
