"""Teach: the teacher's samples for one problem become lessons (paper, section 3.1, step 1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from docendo.grading.code import fenced
from docendo.models.base import Ask
from docendo.prompts import PromptBook, rationale_of, strategy_of
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings
from docendo.types import Call, Example, Grade, GradeState, Lesson, Problem, Purpose, Reply


@dataclass(frozen=True, slots=True)
class Sample:
    """One reply of the teacher, graded; `lesson` is None where no answer could be read, since it teaches nothing.

    `call` and `reply` are None for an example that was given and not sampled. `draft` is what the sample was before a
    revision took its place (see `debug`).
    """

    arm: Purpose
    index: int
    grade: Grade
    lesson: Lesson | None
    call: Call | None = None
    reply: Reply | None = None
    draft: Sample | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A distinct lesson before its exam: its grade, and which samples wrote it."""

    lesson: Lesson
    grade: Grade
    samples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of teaching one problem; `revisions` are all replies to a program that was shown back, taken or not."""

    problem: Problem
    samples: tuple[Sample, ...]
    greedy: Sample | None = None
    revisions: tuple[Sample, ...] = ()

    @property
    def drafts(self) -> tuple[Draft, ...]:
        """The distinct lessons in order of first appearance: identical ones are examined once."""
        found: dict[str, Draft] = {}
        for sample in self.samples:
            if sample.lesson is None:
                continue
            known = found.get(sample.lesson.id)
            indices = (*known.samples, sample.index) if known else (sample.index,)
            found[sample.lesson.id] = Draft(sample.lesson, sample.grade, indices)
        return tuple(found.values())


async def teach(problem: Problem, settings: Settings, prompts: PromptBook, ask: Ask, judge: Judge) -> Taught:
    """Sample the teacher `settings.lessons` times, and once greedily, as one batch."""
    style, count = prompts.of(settings.teacher), settings.lessons
    prompt, batch = style.teach(problem), f"teach {problem.id}"
    calls = [settings.call("teach", prompt, i, batch, count + 1, stop=style.stop) for i in range(count)]
    calls.append(settings.call("greedy", prompt, 0, batch, count + 1, stop=style.stop))
    samples = await samples_of(problem, calls, await ask(calls), settings, judge)
    return Taught(problem, tuple(samples[:-1]), samples[-1])


async def more_samples(
    problem: Problem, settings: Settings, prompts: PromptBook, ask: Ask, judge: Judge, count: int
) -> tuple[Sample, ...]:
    """`count` further samples after the taught ones: votes for self-consistency at equal cost, never examined."""
    if not count:
        return ()
    style, first = prompts.of(settings.teacher), settings.lessons
    prompt, batch = style.teach(problem), f"sc {problem.id}"
    calls = [settings.call("sc", prompt, first + i, batch, count, stop=style.stop) for i in range(count)]
    return tuple(await samples_of(problem, calls, await ask(calls), settings, judge))


async def given(problem: Problem, examples: Sequence[Example], judge: Judge) -> Taught:
    """Lessons that already exist, joining the road half-way (`docendo score`)."""
    texts = [fenced(e.answer) if problem.kind == "code" else f"Answer: {e.answer}" for e in examples]
    grades = await asyncio.gather(*(judge(problem, text) for text in texts))
    return Taught(
        problem,
        tuple(
            Sample("teach", i, judged, Lesson((example,)) if judged.key else None)
            for i, (example, judged) in enumerate(zip(examples, grades, strict=True))
        ),
    )


async def samples_of(
    problem: Problem, calls: Sequence[Call], replies: Sequence[Reply], settings: Settings, judge: Judge
) -> list[Sample]:
    """Each reply of the teacher as a sample, graded."""
    spec = settings.models.get(settings.teacher)
    hidden = spec is not None and spec.reasoning == "all"
    pairs = zip(calls, replies, strict=True)
    return await asyncio.gather(*(sample_of(problem, c, r, judge, hidden=hidden) for c, r in pairs))


async def sample_of(
    problem: Problem, call: Call, reply: Reply, judge: Judge, *, hidden: bool = False
) -> Sample:
    """Grade a reply and, where it is whole and an answer could be read, make a lesson of it.

    A reply that was cut may state its answer before the cut, and what follows belongs to no lesson and says
    nothing: it is truncated and neither taught nor counted as a vote. Only the greedy answer, which is not
    taught, is then taken at its word.

    Args:
        problem: what was asked.
        call: how.
        reply: what came back.
        judge: grades it.
        hidden: show in the lesson what a reasoning model thought before its visible answer, too.
    """
    cut = reply.stop == "length"
    if cut and call.purpose != "greedy":
        return Sample(call.purpose, call.sample, Grade(GradeState.TRUNCATED), None, call, reply)
    judged = await judge(problem, reply.text, truncated=cut, failed=reply.stop == "error")
    lesson = None
    if judged.state is GradeState.OK and judged.answer is not None and not cut:
        rationale = strategy_of(reply.text) if problem.kind == "code" else rationale_of(reply.text)
        if hidden and reply.reasoning:
            rationale = f"{reply.reasoning.strip()}\n\n{rationale}"
        lesson = Lesson((Example(problem.question, rationale, judged.answer),))
    return Sample(call.purpose, call.sample, judged, lesson, call, reply)
