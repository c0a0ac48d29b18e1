"""Likelihood exams (regime B): how likely the exam problems' worked solutions are to a student after each lesson.

The lessons are a finished main run's. Nothing is sampled: a lesson's score is read off the student's
probabilities, which needs worked solutions and a model that gives log-likelihoods. What the figures mean is left
to the analysis.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from docendo import _loop
from docendo.errors import DataError
from docendo.models.base import TellsLikelihood, telling
from docendo.models.resolve import opened
from docendo.prompts import Prompts, styles_for
from docendo.solve.choose import choose
from docendo.solve.facts import Cost, gather
from docendo.solve.plan import Settings
from docendo.solve.run import Run
from docendo.stats import within_auc
from docendo.store import ProblemRecord
from docendo.study.rivals import Rival, kept
from docendo.types import ScoredLesson, Usage

RULES = {
    "max": "the answer of the lesson after which they are likeliest",
    "sum": "the answer with the largest sum of softmax weights over its lessons",
}


def likelihood(main: Run, out: Path) -> dict[str, Rival]:
    """Score the lessons of a finished main run by likelihood, each of its students alone, and choose again.

    A lesson's score is the probability of an exam problem's worked solution and answer after it, the geometric
    mean over the exam, in (0, 1]. Within a problem this is, but for a common factor, the softmax of the mean
    log-likelihoods; so MAX and SUM over these scores choose by the likeliest lesson and by softmax weights. (Per
    token the lessons would rank alike, their exam being the same, but the softmax would be nearly flat.)

    Args:
        main: the run whose lessons are scored.
        out: the study's folder; `likelihood.json` in it keeps the results, which are then not made again.

    Returns:
        By name: "likelihood STUDENT max" and "likelihood STUDENT sum".

    Raises:
        DataError: the main run is not finished, or an exam problem has no worked solution.
        ConfigError: a student cannot give log-likelihoods.
        StoreError, ModelError: the folder or a model cannot be used.
    """
    return kept(out / "likelihood.json", main, lambda: _loop.run(_all(main)))


async def _all(main: Run) -> dict[str, Rival]:
    with main.view() as view:
        settings = Settings.of(view.config["settings"])
        facts = [f for f in gather(view) if f.problem.answer is not None]
        records = [view.problem_record(f.problem.id) for f in facts]
        # The same lessons and exam problems were read in the main run, so reading them costs what it did there.
        read = {student: Usage() for student in settings.students}
        for call in view.calls():
            if call.purpose == "exam":
                first = call.usage.prompt if call.sample == 0 else 0
                computed = call.usage.prompt - call.usage.cached
                read[call.model] += Usage(first, first - computed)
    for problem in (e for record in records for e in record.exam.values() if e.solution is None):
        raise DataError(f"exam problem {problem.id!r} has no worked solution, which likelihood exams need")
    sampled = sum((f.costs["sc"] for f in facts), Cost())
    found: dict[str, Rival] = {}
    async with opened(settings.students) as models:
        for student in settings.students:
            model = models[student]
            able = {student: (settings.models.get(student), model.capabilities)}
            prompts = styles_for(able, settings.prompts).of(student)
            results = await asyncio.gather(
                *(_examined(telling(model), prompts, record) for record in records)
            )
            used = read[student] + Usage(completion=sum(tokens for _, tokens in results))
            size = model.capabilities.parameters or 1
            cost = Cost(used.prompt + used.completion, used.computed, used.computed * size)
            scored = {
                record.problem.id: lessons for record, (lessons, _) in zip(records, results, strict=True)
            }
            found |= _judged(student, scored, sampled + cost)
    return found


async def _examined(
    model: TellsLikelihood, prompts: Prompts, record: ProblemRecord
) -> tuple[list[ScoredLesson], int]:
    """One problem's lessons with their scores, and the number of tokens whose likelihood was asked."""
    exam = list(record.exam.values())
    pairs = [
        (prompts.examine(row.lesson, problem), f" {problem.solution}\nAnswer: {problem.answer}")
        for row in record.lessons
        for problem in exam
    ]
    found = iter(await model.loglikelihood(pairs))
    lessons, asked = [], 0
    for row in record.lessons:
        own = list(islice(found, len(exam)))
        asked += sum(tokens for _, tokens in own)
        wrote = [s for s in record.samples if s.lesson == row.lesson.id]
        score = math.exp(sum(total for total, _ in own) / len(own))
        lessons.append(ScoredLesson(row.lesson, wrote[0].grade, tuple(s.sample for s in wrote), score, {}))
    return lessons, asked


def _judged(student: str, scored: Mapping[str, Sequence[ScoredLesson]], cost: Cost) -> dict[str, Rival]:
    ranked = [([x.score or 0.0 for x in own], [x.grade.score == 1.0 for x in own]) for own in scored.values()]
    auc = within_auc(ranked)
    found = {}
    for rule, says in RULES.items():
        correct = {}
        for id, lessons in scored.items():
            key = choose(rule, lessons).key
            correct[id] = float(any(x.grade.score == 1.0 and x.grade.key == key for x in lessons))
        name = f"likelihood {student.partition(':')[2]} {rule}"
        asks = (
            f"How likely are the exam problems' worked solutions to {student} after a lesson? Chosen: {says}."
        )
        found[name] = Rival(name, asks, correct, cost, "B", auc)
    return found
