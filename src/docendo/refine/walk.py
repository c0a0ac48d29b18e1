"""Rounds: examine, collect failures, reflect, rewrite, score, keep a beam (paper, section 5, M3).

A walk is a function of its settings, the seed and the replies: it draws by seed and round, asks by the gateway, and
hands out each round whole. So a run that was cut walks on from its last whole round, and recorded replies are not asked
again. Where it walks to is decided on validation problems; the test problems are only ever read out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from docendo.errors import DataError
from docendo.grading import agrade
from docendo.models.base import Ask
from docendo.prompts import PromptBook, rationale_of
from docendo.refine.book import Book, Entry, OutOfBudget, chosen
from docendo.refine.check import Checker
from docendo.refine.counts import judges_of, random_sets, readers_of
from docendo.refine.draw import minibatch, samples_of_failures, training_set
from docendo.refine.measures import gained
from docendo.refine.nouns import Candidate, Reflection, Round, Rung
from docendo.refine.plan import Refining
from docendo.refine.task import Task
from docendo.refine.write import WAVES, Ground, Writer, Written
from docendo.solve.plan import Settings
from docendo.types import Call, Example, Lesson, Problem

BARE = Lesson(())
"""No examples at all."""

Stage = Literal["starting sets", "minibatch", "reflecting", "rewriting", "scoring", "validation", "read-out"]


@dataclass(frozen=True, slots=True)
class State:
    """What whole rounds came to: where a walk may go on."""

    rounds: tuple[Round, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(slots=True)
class Refined:
    """Where a walk came to: its rounds, all answers, and whether a budget cut it short."""

    task: Task
    plan: Settings
    how: Refining
    rounds: list[Round]
    book: Book
    cut: bool = False

    @property
    def candidates(self) -> dict[str, Candidate]:
        """Every set that there was, by id."""
        return {c.id: c for r in self.rounds for c in r.candidates}

    @property
    def best(self) -> Candidate | None:
        """The best set on validation; None where a budget ended even round 0."""
        return self.candidates[self.rounds[-1].best] if self.rounds else None


@dataclass(slots=True)
class _Draft:
    """A round in the making."""

    number: int
    candidates: list[Candidate] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    minibatch: tuple[Problem, ...] = ()
    rungs: list[Rung] = field(default_factory=list)
    unfailing: list[str] = field(default_factory=list)


async def walk(
    task: Task,
    plan: Settings,
    how: Refining,
    styles: PromptBook,
    ask: Ask,
    *,
    name: str = "",
    given: Sequence[Lesson] = (),
    before: State | None = None,
    speakable: Callable[[Lesson], None] | None = None,
    note: Callable[[Round, Sequence[Entry]], None] | None = None,
    stage: Callable[[int, Stage], None] | None = None,
) -> Refined:
    """Refine sets of examples for a task.

    Args:
        task: what for.
        plan: models, sampling and seed.
        how: the search.
        styles: how each model is spoken to.
        ask: the gateway's `ask`.
        name: names this walk's batches; needed where several walks share a gateway.
        given: the starting sets, where they are the user's own.
        before: whole rounds of this very walk, to go on after.
        speakable: raises `UnspeakableError` for a set that one of the models cannot read.
        note: is handed each round as soon as it is whole, with the answers that came in it.
        stage: is told where the walk is.

    Raises:
        ModelError: a model cannot work any more.
    """
    book = Book(task, plan, styles, ask, name, how.repeats)
    mine = _Walk(task, plan, how, styles, book, tuple(given), before or State(), speakable, note, stage)
    return await mine.run()


class _Walk:
    def __init__(
        self,
        task: Task,
        plan: Settings,
        how: Refining,
        styles: PromptBook,
        book: Book,
        given: Sequence[Lesson],
        before: State,
        speakable: Callable[[Lesson], None] | None,
        note: Callable[[Round, Sequence[Entry]], None] | None,
        stage: Callable[[int, Stage], None] | None,
    ) -> None:
        self.task, self.plan, self.how, self.styles, self.book = task, plan, how, styles, book
        self.given, self.note, self.tell = given, note, stage or (lambda number, stage: None)
        self.students = plan.students
        self.judges = judges_of(how, plan.teacher, plan.students)
        self.readers = readers_of(plan.teacher, plan.students)
        self.rounds = list(before.rounds)
        for entry in before.entries:
            book.add(entry, new=False)
        self.sets = {c.id: c for r in self.rounds for c in r.candidates}
        checker = Checker(task, how.examples, balanced=how.balanced, speakable=speakable)
        self.checker = checker
        self.writer = Writer(task, plan, how, styles, book, checker, set(self.sets))
        self.pool: list[Example] = []

    async def run(self) -> Refined:
        """Walk until the rounds, the patience or the budget end."""
        refined = Refined(self.task, self.plan, self.how, self.rounds, self.book)
        try:
            if self.how.start == "train" or self.how.search in ("sample", "random") or not self.rounds:
                await self._fill_pool()
            if self.rounds:
                self.book.calls.clear()  # those for the pool are among round 0's
            while not self.rounds or (self.rounds[-1].number < self.how.rounds and not self.rounds[-1].ended):
                number = self.rounds[-1].number + 1 if self.rounds else 0
                await self._close(*await (self._start() if number == 0 else self._round(number)))
                self.book.calls.clear()
        except OutOfBudget:
            refined.cut = True
        return refined

    # --- rounds -------------------------------------------------------------------------------------------

    async def _start(self) -> tuple[_Draft, list[str]]:
        """Round 0: the starting sets."""
        draft = _Draft(0)
        self.tell(0, "starting sets")
        if self.given:
            draft.candidates = [Candidate(lesson, 0, "given") for lesson in self.given]
        elif self.how.start == "teacher":
            for wave in range(WAVES):
                missing = self.how.starting - len(draft.written.candidates)
                if missing > 0:
                    draft.written += await self.writer.propose(0, missing, wave=wave)
            draft.candidates = list(draft.written.candidates)
        draft.candidates += self._drawn(0, self.how.starting - len(draft.candidates) if not self.given else 0)
        starts = [c.id for c in draft.candidates]
        if not starts:
            said = Counter(r.reason for r in draft.written.rejections)
            why = ", ".join(f"{count} {reason}" for reason, count in said.items())
            raise DataError(
                f"task {self.task.name}: there is no set to begin with: of the teacher's replies none could be used "
                f"({why or 'none was asked for'}), and the pool's {len(self.pool)} training examples are too few for "
                f"sets of {self.how.examples}; ask for fewer examples, or give sets of your own by --start"
            )
        if self.how.bare:
            draft.candidates.append(Candidate(BARE, 0, "none"))
        return draft, starts

    async def _round(self, number: int) -> tuple[_Draft, list[str]]:
        """A later round: new sets, and which of them validation is asked about."""
        draft = _Draft(number)
        if self.how.search == "random":
            count = random_sets(self.how, self.task, len(self.students), len(self.judges))
            draft.candidates = self._drawn(number, count)
            return draft, [c.id for c in draft.candidates]
        drawn = minibatch(self.task.exam, self.how.minibatch, f"{self.plan.seed} {number} minibatch")
        draft.minibatch = tuple(drawn)
        if self.how.reads_failures:
            await self._from_failures(draft)
        elif self.how.search == "propose":
            self.tell(number, "rewriting")
            draft.written += await self.writer.propose(number, self.how.new_sets)
            draft.candidates = list(draft.written.candidates)
        else:
            draft.candidates = self._drawn(number, self.how.new_sets)
        return draft, await self._finalists(draft)

    async def _from_failures(self, draft: _Draft) -> None:
        """New sets from what students get wrong with those of the beam."""
        number, beam = draft.number, [self.sets[id] for id in self.rounds[-1].beam]
        self.tell(number, "minibatch")
        lessons = [c.lesson for c in beam]
        await self.book.examine(number, "minibatch", lessons, draft.minibatch, "exam", self.students)
        failed = []
        for parent in beam:
            failures = self.book.failures(parent.id, draft.minibatch, self.students)
            if not failures:
                draft.unfailing.append(parent.id)
                continue
            key = f"{self.plan.seed} {number} {parent.id} failures"
            draws = samples_of_failures(failures, self.how.reflections, self.how.failures, key)
            failed.append((parent.lesson, draws))
        grounds = [Ground(lesson, draw) for lesson, draws in failed for draw in draws]
        if self.how.search == "reflect" and failed:
            self.tell(number, "reflecting")
            draft.written += await self.writer.reflect(number, failed)
            grounds = _mixed(failed, draft.written.reflections, self.how.mix)
        if grounds:
            self.tell(number, "rewriting")
            draft.written += await self.writer.rewrite(number, grounds)
        draft.candidates = list(draft.written.candidates)

    async def _finalists(self, draft: _Draft) -> list[str]:
        """The new sets that validation is asked about: the best on the minibatch, by successive halving."""
        alive = [c.id for c in draft.candidates]
        self.tell(draft.number, "scoring")
        for step, size in enumerate(self.how.rungs(len(draft.minibatch))):
            if len(alive) <= self.how.beam:
                break
            problems = draft.minibatch[:size]
            lessons = [c.lesson for c in draft.candidates if c.id in alive]
            await self.book.examine(draft.number, f"scoring {step}", lessons, problems, "exam", self.judges)
            scores = {id: self.book.scores(id, problems, self.judges) for id in alive}
            last = size == len(draft.minibatch)
            keep = self.how.beam if last else max(self.how.beam, (len(alive) + 1) // 2)
            kept = chosen(scores, keep, alive)
            draft.rungs.append(Rung(size, tuple(alive), tuple(kept)))
            alive = kept
        return alive

    async def _close(self, draft: _Draft, finalists: Sequence[str]) -> None:
        """Validate, keep the beam, read out the best set, and hand out the round."""
        number = draft.number
        new = {c.id: c for c in draft.candidates}
        self.sets |= new
        self.tell(number, "validation")
        lessons = [self.sets[id].lesson for id in finalists]
        validation = self.task.validation
        await self.book.examine(number, "validation", lessons, validation, "validation", self.judges)
        before = self.rounds[-1].beam if self.rounds else ()
        order = [*before, *(id for id in finalists if id not in before)]
        scores = {id: self.book.scores(id, validation, self.judges) for id in order}
        beam = chosen(scores, self.how.beam, order)
        self.tell(number, "read-out")
        shown = [self.sets[beam[0]].lesson, *([BARE] if BARE.id in new else [])]
        await self.book.examine(number, "read-out", shown, self.task.test, "test", self.readers, "readout")
        whole = Round(
            number,
            tuple(draft.candidates),
            tuple(draft.written.rejections),
            tuple(draft.written.reflections),
            tuple(p.id for p in draft.minibatch),
            tuple(draft.rungs),
            tuple(finalists),
            tuple(beam),
            beam[0],
            tuple(draft.unfailing),
            dict(self.book.calls),
        )
        whole = replace(whole, ended=self._ended(whole))
        self.rounds.append(whole)
        if self.note is not None:
            self.note(whole, self.book.fresh())

    def _ended(self, last: Round) -> str:
        """Why no round follows, but for their number and the budget."""
        since = self.how.patience
        if since and last.number >= since:
            then = self.rounds[-since].best
            if not gained(self.book, self.task, self.judges, last.best, then):
                return f"no significant gain on validation in {since} rounds"
        return ""

    # --- sets from training problems ----------------------------------------------------------------------

    async def _fill_pool(self) -> None:
        """The examples that sets may be drawn from: as the training problems explain them, or as the teacher does."""
        pool = [Example(p.question, p.solution or "", p.answer or "") for p in self.task.pool]
        if self.how.rationales == "teacher":
            pool = await self._worked() or pool
        usable = [self.checker.checked_alone(example) for example in pool]
        self.pool = [example for example in usable if example is not None]

    async def _worked(self) -> list[Example]:
        """The training problems that the teacher gets right without examples, with its reasoning."""
        teacher = self.plan.teacher
        style = self.styles.of(teacher)
        sampling = self.plan.sampling("teach", teacher, style.stop)
        batch = self.book.batch(0, "working", teacher)
        calls = [
            Call(
                teacher,
                style.examine(BARE, problem, self.task.said),
                sampling,
                0,
                self.plan.seed,
                "teach",
                batch,
                len(self.task.pool),
            )
            for problem in self.task.pool
        ]
        found = []
        for problem, reply in zip(self.task.pool, await self.book.ask(calls), strict=True):
            failed, cut = reply.stop == "error", reply.stop == "length"
            grade = await agrade(problem, reply.text, truncated=cut, failed=failed)
            if grade.score == 1.0:
                found.append(Example(problem.question, rationale_of(reply.text), problem.answer or ""))
        return found

    def _drawn(self, number: int, count: int) -> list[Candidate]:
        """`count` different sets of training examples, or as many as there are to be drawn."""
        found: list[Candidate] = []
        for attempt in range(count * 4):
            if len(found) == count or len(self.pool) < self.how.examples:
                break
            key = f"{self.plan.seed} {number} drawn {attempt}"
            lesson = training_set(self.pool, self.task.labels, self.how.examples, key)
            if lesson.id not in self.writer.known:
                self.writer.known.add(lesson.id)
                found.append(Candidate(lesson, number, "train"))
        return found


def _mixed(
    failed: Sequence[tuple[Lesson, Sequence[object]]], said: Sequence[Reflection], count: int
) -> list[Ground]:
    """Each reflection with the next ones on the same set, `count` read together with the failures of all of them."""
    grounds = []
    for lesson, _ in failed:
        own = [r for r in said if r.parent == lesson.id]
        for i in range(len(own)):
            group = tuple(own[(i + k) % len(own)] for k in range(min(count, len(own))))
            failures = {f.call: f for reflection in group for f in reflection.failures}
            grounds.append(Ground(lesson, tuple(failures.values()), group))
    return grounds
