"""What models answered after which set: asked once, kept, and added up.

A model is asked one problem after one set `repeats` times at most, however often the answer is needed. What several
questions have in common is left to the gateway and the models behind it: the calls of one stage are one batch a model.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from docendo.grading import agrade
from docendo.models.base import Ask
from docendo.models.budget import not_asked
from docendo.prompts import PromptBook, rationale_of
from docendo.refine.nouns import Asked, Failure
from docendo.refine.task import Task
from docendo.solve.plan import Settings
from docendo.types import Call, ExamAnswer, Lesson, Problem, Purpose, Reply

Seat = tuple[str, str, str, int]
"""A set, a problem, a model, a repeat."""


class OutOfBudget(Exception):
    """A stop condition was met: what was being asked for was not asked, or not all of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer: where it belongs, and what came back."""

    asked: Asked
    answer: ExamAnswer


class Book:
    """All answers of a run so far.

    Args:
        task: whose problems are asked.
        plan: how models are asked.
        styles: how they are spoken to; None for a book that is only read.
        ask: the gateway; None likewise.
        name: distinguishes the batches of several runs behind one gateway.
        repeats: times each model is asked each problem.
    """

    def __init__(
        self,
        task: Task,
        plan: Settings,
        styles: PromptBook | None,
        ask: Ask | None,
        name: str = "",
        repeats: int = 1,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self._task = task
        self._plan = plan
        self._styles = styles
        self._ask = ask
        self._name = name
        self._repeats = repeats
        self._entries: dict[Seat, Entry] = {}
        self._new: list[Entry] = []

    # --- asking -------------------------------------------------------------------------------------------

    async def ask(self, calls: Sequence[Call]) -> list[Reply]:
        """Replies to calls; counted by purpose.

        Raises:
            OutOfBudget: one of them was not asked.
        """
        assert self._ask is not None
        replies = await self._ask(calls)
        if any(map(not_asked, replies)):
            raise OutOfBudget
        self.calls.update(call.purpose for call in calls)
        return replies

    def batch(self, round: int, stage: str, model: str) -> str:
        """The name of a batch: of this run, round, stage and model."""
        return f"{self._name} round {round} {stage} {model}".strip()

    async def examine(
        self,
        round: int,
        stage: str,
        lessons: Sequence[Lesson],
        problems: Sequence[Problem],
        part: str,
        models: Sequence[str],
        purpose: Purpose = "exam",
    ) -> None:
        """Have each model answer each problem after each set, where it has not yet.

        Raises:
            OutOfBudget: not all could be asked; those that were are not in the book, but their replies are recorded.
        """
        wanted = [
            (lesson, problem, model, repeat)
            for model in dict.fromkeys(models)
            for lesson in lessons
            for problem in problems
            for repeat in range(self._repeats)
            if (lesson.id, problem.id, model, repeat) not in self._entries
        ]
        sizes = Counter(model for _, _, model, _ in wanted)
        calls = [
            self._call(lesson, problem, model, repeat, purpose, self.batch(round, stage, model), sizes[model])
            for lesson, problem, model, repeat in wanted
        ]
        if not calls:
            return
        replies = await self.ask(calls)
        grades = await asyncio.gather(
            *(
                agrade(problem, reply.text, truncated=reply.stop == "length", failed=reply.stop == "error")
                for (_, problem, _, _), reply in zip(wanted, replies, strict=True)
            )
        )
        for (lesson, problem, model, repeat), call, reply, grade in zip(
            wanted, calls, replies, grades, strict=True
        ):
            answer = ExamAnswer(
                lesson.id, problem.id, model, repeat, reply.text, grade, reply.usage, call.request
            )
            self.add(Entry(Asked(lesson.id, problem.id, part, model, repeat, round), answer))

    def _call(
        self,
        lesson: Lesson,
        problem: Problem,
        model: str,
        repeat: int,
        purpose: Purpose,
        batch: str,
        size: int,
    ) -> Call:
        assert self._styles is not None
        style = self._styles.of(model)
        prompt = style.examine(lesson, problem, self._task.said)
        sampling = self._plan.sampling("exam", model, style.stop)
        return Call(model, prompt, sampling, repeat, self._plan.seed, purpose, batch, size)

    # --- keeping ------------------------------------------------------------------------------------------

    def add(self, entry: Entry, *, new: bool = True) -> None:
        """Keep an answer; `new` ones are handed out once by `fresh`."""
        at = entry.asked
        self._entries[at.lesson, at.problem, at.model, at.repeat] = entry
        if new:
            self._new.append(entry)

    def fresh(self) -> list[Entry]:
        """The answers that came since this was last asked."""
        new, self._new = self._new, []
        return new

    def entries(self, lesson: str, model: str, problems: Iterable[Problem]) -> list[Entry]:
        """A model's answers after a set, problem by problem."""
        seats = ((lesson, p.id, model, repeat) for p in problems for repeat in range(self._repeats))
        return [self._entries[seat] for seat in seats if seat in self._entries]

    # --- adding up ----------------------------------------------------------------------------------------

    def score(self, lesson: str, problems: Sequence[Problem], model: str) -> float | None:
        """The share that a model got right after a set; None where no answer counted."""
        scores = [e.answer.grade.score for e in self.entries(lesson, model, problems)]
        counted = [score for score in scores if score is not None]
        return sum(counted) / len(counted) if counted else None

    def scores(self, lesson: str, problems: Sequence[Problem], models: Sequence[str]) -> tuple[float, ...]:
        """`score` of each model; one with no counted answer has 0, as nothing speaks for the set there."""
        return tuple(self.score(lesson, problems, model) or 0.0 for model in models)

    def by_problem(
        self, lesson: str, problems: Sequence[Problem], models: Sequence[str]
    ) -> list[float | None]:
        """For each problem the mean over models and repeats of what counted; None where nothing did."""
        found: list[float | None] = []
        for problem in problems:
            scores = [e.answer.grade.score for m in models for e in self.entries(lesson, m, [problem])]
            counted = [score for score in scores if score is not None]
            found.append(sum(counted) / len(counted) if counted else None)
        return found

    def failures(self, lesson: str, problems: Sequence[Problem], models: Sequence[str]) -> list[Failure]:
        """What models got wrong after a set: answers that count as wrong, not calls that failed."""
        found = []
        by_id = {problem.id: problem for problem in problems}
        for model in models:
            for entry in self.entries(lesson, model, problems):
                answer = entry.answer
                if answer.grade.score is not None and answer.grade.score < 1.0:
                    said = answer.grade.answer if answer.grade.answer is not None else "no readable answer"
                    call = (answer.request, answer.repeat)
                    found.append(Failure(model, by_id[answer.problem], said, rationale_of(answer.text), call))
        return found


def mean(scores: Sequence[float]) -> float:
    """The mean of several judges' scores; each counts alike."""
    return sum(scores) / len(scores)


def chosen(scores: Mapping[str, tuple[float, ...]], count: int, order: Sequence[str]) -> list[str]:
    """The `count` best sets, so that no judge's gain is another's loss.

    The best mean comes first. Then whole fronts: sets that no other beats with one judge without losing with another;
    within a front by mean, and where means are the same by `order` (so that nothing changes without a reason).

    Args:
        scores: a score for each judge, by set.
        count: how many.
        order: all sets, the preferred ones first.
    """
    rank = {id: number for number, id in enumerate(order)}
    left = sorted(scores, key=lambda id: (-mean(scores[id]), rank[id]))
    taken = left[:1]
    left = left[1:]
    while left and len(taken) < count:
        front = [id for id in left if not any(_beats(scores[other], scores[id]) for other in left)]
        taken += front
        left = [id for id in left if id not in front]
    return taken[:count]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)
