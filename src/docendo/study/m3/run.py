"""Running the study of M3: every arm's walks over all tasks and seeds, each recorded as it ends.

A walk is `docendo refine` without a run folder: a pure function of the models' replies. What is kept of it, a line of
`walks.jsonl`, is what the page needs: the answers of every reader to every test problem with each round's best set.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from docendo import _loop
from docendo.errors import StoreError
from docendo.grading import agrade
from docendo.models.base import Ask
from docendo.models.gateway import Gateway
from docendo.models.resolve import opened
from docendo.prompts import Prompts, rationale_of
from docendo.refine.book import Book
from docendo.refine.draw import training_set
from docendo.refine.plan import Refining
from docendo.refine.task import Task
from docendo.refine.walk import BARE, Refined, walk
from docendo.solve.plan import Settings
from docendo.study.claim import claim
from docendo.study.m3.plan import Arm, Plan
from docendo.study.run import Watched, unwatched
from docendo.types import Call, Example, Lesson

FILE = "walks.jsonl"
# Walks under way at once: enough that no worker waits, few enough that a kill costs little.
PARALLEL = 8
# How often the teacher works each training problem, where random search draws from those it gets right.
WORKED = 3

Answers = Mapping[str, Sequence[str | None]]
"""What each reader answered to each test problem, in their order; None where no answer could be read."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk as it was recorded.

    Attributes:
        arm, task, seed: which.
        golds: the test problems' right answers.
        rounds: for each round the readers' answers with the best set so far.
        controls: the same without any set ("none"), with the last best set's labels turned round ("turned"), and with
            training problems and their true workings, which no arm is told ("told").
        best: each round's best set, by id.
        found: where each round's best set comes from.
        calls: calls by purpose, over all rounds.
        rejected: replies of the teacher that made no set, by reason.
    """

    arm: str
    task: str
    seed: int
    golds: Sequence[str]
    rounds: Sequence[Answers]
    controls: Mapping[str, Answers]
    best: Sequence[str]
    found: Sequence[str]
    calls: Mapping[str, int]
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """A study's walks, all there are."""

    plan: Plan
    walks: Sequence[Walk]


def run_study(plan: Plan, out: Path, watched: Watched = unwatched) -> Done:
    """Bring every walk of the study to its end; called again after any stop, it goes on with those that are missing.

    Args:
        plan: what is run.
        out: the study's folder: new, empty, or one of the same plan.
        watched: is told which arm is at work.

    Raises:
        StoreError: the folder holds another study, or something else.
        ModelError: a model cannot be used.
    """
    claim(out, plan.stored())
    done = {(w.arm, w.task, w.seed): w for w in _kept(out / FILE)}
    for number, arm in enumerate(plan.arms, 1):
        wanted = [(id, seed) for id in plan.tasks for seed in plan.seeds if (arm.name, id, seed) not in done]
        with watched(f"study {number}/{len(plan.arms)} {arm.name}: {len(wanted)} walks"):
            for walk in _loop.run(_all(plan, arm, wanted, out / FILE)) if wanted else ():
                done[walk.arm, walk.task, walk.seed] = walk
    order = [(arm.name, id, seed) for arm in plan.arms for id in plan.tasks for seed in plan.seeds]
    return Done(plan, [done[which] for which in order])


async def _all(plan: Plan, arm: Arm, wanted: Sequence[tuple[str, int]], path: Path) -> list[Walk]:
    tasks = {id: plan.task(id) for id in plan.tasks}
    gate, found = asyncio.Semaphore(PARALLEL), []
    async with opened(plan.models) as models, Gateway(models) as gateway:

        async def one(id: str, seed: int) -> None:
            async with gate:
                made = await _walked(plan, arm, id, tasks[id], seed, gateway.ask)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(made)) + "\n")
            found.append(made)

        await asyncio.gather(*(one(*which) for which in wanted))
    return found


async def _walked(plan: Plan, arm: Arm, id: str, task: Task, seed: int, ask: Ask) -> Walk:
    """One walk, and its controls."""
    name = f"{arm.name} {id} {seed}"
    settings = Settings(teacher=plan.teacher, students=arm.students, seed=seed, **plan.sampling)
    how = Refining.of({**plan.settings, **arm.settings, "search": arm.search})
    styles = Prompts("school")
    readers = tuple(dict.fromkeys((*arm.students, plan.teacher)))
    worked = 0
    if arm.bootstrapped:
        task, worked = await bootstrapped(task, settings, styles, ask, name)
    refined = await walk(task, settings, how, styles, ask, name=name)
    assert refined.best is not None
    turned = flipped(refined.best.lesson, task.labels)
    pool = [Example(p.question, p.solution or "", p.answer or "") for p in plan.task(id).pool]
    told = training_set(pool, task.labels, how.examples, f"{seed} told")
    await refined.book.examine(0, "controls", [turned, told], task.test, "test", readers, "control")
    return Walk(
        arm=arm.name,
        task=id,
        seed=seed,
        golds=[problem.answer or "" for problem in task.test],
        rounds=[answers(refined.book, task, r.best, readers) for r in refined.rounds],
        controls={
            "none": answers(refined.book, task, BARE.id, readers),
            "turned": answers(refined.book, task, turned.id, readers),
            "told": answers(refined.book, task, told.id, readers),
        },
        best=[r.best for r in refined.rounds],
        found=[refined.candidates[r.best].how for r in refined.rounds],
        calls=_calls(refined) | ({"worked": worked} if worked else {}),
        rejected=_rejected(refined),
    )


async def bootstrapped(
    task: Task, settings: Settings, styles: Prompts, ask: Ask, name: str
) -> tuple[Task, int]:
    """The task with only those training problems that the teacher labels rightly, each with its working.

    This is how DSPy's bootstrap comes by explained examples: the teacher works each training problem some times, shown
    a few others, and the first working that ends in the right label is kept. Also says how many calls that took.
    """
    size = len(task.pool) * WORKED
    batch = f"{name} worked"
    sampling = replace(settings.sampling("teach", settings.teacher, ("\n\n",)), max_tokens=32)
    calls = []
    for at, problem in enumerate(task.pool):
        shown = [*task.pool[at + 1 :], *task.pool[:at]][:4]
        prompt = f"{styles.propose(task, 1, shown)} {problem.question}\nWorking:"
        calls += [
            Call(settings.teacher, prompt, sampling, sample, settings.seed, "teach", batch, size)
            for sample in range(WORKED)
        ]
    replies = await ask(calls)
    pool = []
    for at, problem in enumerate(task.pool):
        for reply in replies[at * WORKED : (at + 1) * WORKED]:
            grade = await agrade(
                problem, reply.text, truncated=reply.stop == "length", failed=reply.stop == "error"
            )
            if grade.score == 1.0:
                pool.append(replace(problem, solution=rationale_of(reply.text)))
                break
    return replace(task, pool=tuple(pool)), size


def answers(book: Book, task: Task, lesson: str, readers: Sequence[str]) -> dict[str, list[str | None]]:
    """What readers answered to the test problems after a set."""
    return {
        reader: [entry.answer.grade.answer for entry in book.entries(lesson, reader, task.test)]
        for reader in readers
    }


def flipped(lesson: Lesson, labels: Sequence[str]) -> Lesson:
    """A set with its two labels exchanged: whoever goes by labels is wrong with it where they were right before."""
    other = dict(zip(labels, reversed(labels), strict=True))
    return Lesson(tuple(replace(e, answer=other[e.answer]) for e in lesson.examples))


def _calls(refined: Refined) -> dict[str, int]:
    found: dict[str, int] = {}
    for round in refined.rounds:
        for purpose, count in round.calls.items():
            found[purpose] = found.get(purpose, 0) + count
    return found


def _rejected(refined: Refined) -> dict[str, int]:
    found: dict[str, int] = {}
    for rejection in (r for round in refined.rounds for r in round.rejections):
        found[rejection.reason] = found.get(rejection.reason, 0) + 1
    return found


def _kept(path: Path) -> list[Walk]:
    """The walks on record; a last line that a kill cut short is owed again."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    whole = lines[:-1]
    if lines[-1]:
        path.write_text("\n".join([*whole, ""]), encoding="utf-8")
    try:
        return [Walk(**json.loads(line)) for line in whole]
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); choose another folder with --out") from error
