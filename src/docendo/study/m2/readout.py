"""What a teacher answers by itself: a greedy answer and some samples of every problem, and how they were got.

One file a teacher, there whole or not at all; what the figures mean is left to `analyse`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from docendo import _loop
from docendo.grading import grade
from docendo.models.gateway import Gateway
from docendo.models.resolve import opened
from docendo.prompts import Prompts, rationale_of
from docendo.solve.plan import Settings
from docendo.study.m2.method import Methods
from docendo.tune.files import read_json, write_json
from docendo.types import Problem, Reply

_BATCH = 48
"""Problems whose answers are asked for together: few enough to be told of, enough to fill the engine."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One problem's answers by one teacher.

    Attributes:
        greedy: whether the greedy answer is right.
        right: samples that are right, of `samples`.
        sound: samples that are right by a method that is right on the family's other numbers too.
    """

    greedy: bool
    right: int
    sound: int
    samples: int


def read_out(
    model: str,
    problems: Sequence[Problem],
    methods: Methods,
    path: Path,
    *,
    samples: int,
    temperature: float,
    seed: int = 0,
) -> Mapping[str, Answered]:
    """Every problem's answers by id, from the file where it is there.

    Args:
        model: the teacher.
        problems: what it is asked.
        methods: tells whether a working is right on other numbers of its family.
        path: the file.
        samples: of each problem.
        temperature: of these.
        seed: of the draws.
    """
    if not path.is_file():
        plan = Settings(teacher=model, lessons=samples, temperature=temperature, seed=seed)
        replies = _loop.run(_asked(plan, problems))
        rows = {p.id: asdict(_answered(p, own, methods)) for p, own in zip(problems, replies, strict=True)}
        write_json(path, rows)
    return {id: Answered(**row) for id, row in read_json(path).items()}


async def _asked(plan: Settings, problems: Sequence[Problem]) -> list[list[Reply]]:
    """The greedy reply and the samples of every problem."""
    style, each = Prompts("school"), plan.lessons + 1
    calls = []
    for start in range(0, len(problems), _BATCH):
        part = problems[start : start + _BATCH]
        for problem in part:
            prompt, name, size = style.teach(problem), f"read-out {start}", len(part) * each
            calls.append(plan.call("greedy", prompt, 0, name, size, stop=style.stop))
            calls += [plan.call("teach", prompt, i, name, size, stop=style.stop) for i in range(plan.lessons)]
    async with opened([plan.teacher]) as models, Gateway(models) as gateway:
        replies = await gateway.ask(calls)
    return [replies[i : i + each] for i in range(0, len(replies), each)]


def _answered(problem: Problem, replies: Sequence[Reply], methods: Methods) -> Answered:
    good = [grade(problem, reply.text, truncated=reply.stop == "length").score == 1.0 for reply in replies]
    sound = [
        right and methods.sound(problem, rationale_of(reply.text))
        for right, reply in zip(good[1:], replies[1:], strict=True)
    ]
    return Answered(good[0], sum(good[1:]), sum(sound), len(replies) - 1)
