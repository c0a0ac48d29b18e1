"""What the teacher is asked to write: sets of examples, reflections on failures, sets anew; and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from docendo.prompts import PromptBook
from docendo.refine.book import Book
from docendo.refine.check import Checker, unusable
from docendo.refine.draw import minibatch
from docendo.refine.nouns import Candidate, Failure, How, Reflection, Rejection
from docendo.refine.plan import Refining
from docendo.refine.task import Task
from docendo.solve.plan import Settings
from docendo.types import Call, Lesson, Prompt, Purpose, Reply, Sampling

SCHOOL_WRITING, WRITING = 512, 4096
"""The longest set or reflection where none was said."""

WAVES = 3
"""How often the teacher is asked for starting sets, before training problems stand in for those that failed."""


@dataclass(slots=True)
class Written:
    """What came of some of the teacher's replies."""

    candidates: list[Candidate] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    reflections: list[Reflection] = field(default_factory=list)

    def __iadd__(self, other: Written) -> Written:
        self.candidates += other.candidates
        self.rejections += other.rejections
        self.reflections += other.reflections
        return self


@dataclass(frozen=True, slots=True)
class Ground:
    """What a new set is written on: a set, failures with it, and what was made of them (or nothing)."""

    lesson: Lesson
    failures: tuple[Failure, ...]
    reflections: tuple[Reflection, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wish:
    """One set that is asked for: the prompt, where it comes from."""

    prompt: Prompt
    how: How
    parents: tuple[str, ...] = ()
    reflections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Writer:
    """The teacher with a pen.

    `known` has the ids of all sets that there are or were: the same set is not examined twice.
    """

    task: Task
    plan: Settings
    how: Refining
    styles: PromptBook
    book: Book
    checker: Checker
    known: set[str]

    async def propose(self, round: int, count: int, *, wave: int = 0) -> Written:
        """Sets that the teacher writes from the instruction and some training problems alone."""
        style = self.styles.of(self.plan.teacher)
        wishes = []
        for number in range(count):
            key = f"{self.plan.seed} {round} {wave} propose {number}"
            shown = minibatch(self.task.pool, self.how.shown, key)
            wishes.append(_Wish(style.propose(self.task, self.how.examples, shown), "proposed"))
        return await self._sets(round, wishes, "propose", f"propose {wave}" if wave else "propose", wave)

    async def reflect(
        self, round: int, failed: Sequence[tuple[Lesson, Sequence[tuple[Failure, ...]]]]
    ) -> Written:
        """What the teacher makes of each draw of failures with each of some sets."""
        style = self.styles.of(self.plan.teacher)
        draws = [(lesson, number, draw) for lesson, own in failed for number, draw in enumerate(own, 1)]
        prompts = [style.reflect(self.task, lesson, failures) for lesson, _, failures in draws]
        calls = self._calls(round, prompts, "reflect", "reflect", 0)
        found = Written()
        for (lesson, number, failures), call, reply in zip(
            draws, calls, await self.book.ask(calls), strict=True
        ):
            key = (call.request, call.sample)
            fault = unusable(reply)
            if fault is not None:
                found.rejections.append(Rejection(round, "reflection", *fault, (lesson.id,), key))
                continue
            id = f"{round}-{lesson.id[:6]}-{number}"
            found.reflections.append(Reflection(id, round, lesson.id, failures, reply.text.strip(), key))
        return found

    async def rewrite(self, round: int, grounds: Sequence[Ground]) -> Written:
        """New sets, `rewrites` on each ground."""
        style = self.styles.of(self.plan.teacher)
        wishes = [
            _Wish(
                style.rewrite(
                    self.task, g.lesson, g.failures, [r.text for r in g.reflections], self.how.examples
                ),
                "rewritten",
                (g.lesson.id,),
                tuple(r.id for r in g.reflections),
            )
            for g in grounds
            for _ in range(self.how.rewrites)
        ]
        return await self._sets(round, wishes, "rewrite", "rewrite", 0)

    async def _sets(
        self, round: int, wishes: Sequence[_Wish], purpose: Purpose, stage: str, first: int
    ) -> Written:
        calls = self._calls(round, [wish.prompt for wish in wishes], purpose, stage, first)
        found = Written()
        for wish, call, reply in zip(wishes, calls, await self.book.ask(calls), strict=True):
            self._judge(round, wish, (call.request, call.sample), reply, found)
        return found

    def _judge(self, round: int, wish: _Wish, key: tuple[str, int], reply: Reply, found: Written) -> None:
        lesson = self.checker.lesson(reply)
        if isinstance(lesson, Lesson) and lesson.id in self.known:
            lesson = ("seen before", lesson.id)
        if not isinstance(lesson, Lesson):
            found.rejections.append(Rejection(round, wish.how, *lesson, wish.parents, key))
            return
        self.known.add(lesson.id)
        found.candidates.append(Candidate(lesson, round, wish.how, wish.parents, wish.reflections, key))

    def _calls(
        self, round: int, prompts: Sequence[Prompt], purpose: Purpose, stage: str, first: int
    ) -> list[Call]:
        """One call a prompt; the same prompt again is another sample, in this round or a later one."""
        teacher = self.plan.teacher
        batch = self.book.batch(round, stage, teacher)
        sampling = self.sampling(purpose)
        calls: list[Call] = []
        samples: dict[Prompt, int] = {}
        for prompt in prompts:
            sample = _sample(round, first, samples.get(prompt, 0))
            samples[prompt] = samples.get(prompt, 0) + 1
            calls.append(
                Call(teacher, prompt, sampling, sample, self.plan.seed, purpose, batch, len(prompts))
            )
        return calls

    def sampling(self, purpose: Purpose) -> Sampling:
        """How the teacher writes: as it samples, but longer."""
        return writing(self.plan, self.how, self.styles, purpose)


def _sample(round: int, wave: int, number: int) -> int:
    """The sample's number of the `number`th time that a wave of a round asks one and the same prompt.

    No two of them are alike, however often that is: a reply that is recorded under one would be given for another. The
    first hundred of a wave follow one another; each further hundred has a range of its own, beyond that of all rounds.
    """
    hundreds, rest = divmod(number, 100)
    return 10**9 * hundreds + 1000 * round + 100 * wave + rest


def writing(plan: Settings, how: Refining, styles: PromptBook, purpose: Purpose) -> Sampling:
    """How the teacher writes sets and reflections."""
    drawn = plan.sampling("teach", plan.teacher, styles.of(plan.teacher).stops(f"{purpose}.j2"))
    own = plan.models.get(plan.teacher)
    school = (own.model if own else plan.teacher).startswith("school:")
    longest = how.writing_tokens or max(SCHOOL_WRITING if school else WRITING, drawn.max_tokens)
    return Sampling(drawn.temperature, drawn.top_p, drawn.top_k, longest, drawn.stop)
