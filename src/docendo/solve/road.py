"""One problem's way down the road: teach, examine, choose. Nothing here knows runs, files or other problems."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from docendo.exams.examine import Examined, examine, examine_adaptively
from docendo.exams.likelihood import examine_by_likelihood
from docendo.exams.ways import Settle
from docendo.exams.write import Writing, Written, write_exam
from docendo.models.base import Ask
from docendo.prompts import PromptBook
from docendo.solve.choose import RULES, choose, majority
from docendo.solve.debug import debug
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings
from docendo.solve.teach import Sample, Taught, more_samples, teach
from docendo.types import Call, Choice, Exam, Lesson, Problem, ScoredLesson, Sitting

Stage = Literal["teach", "examine", "choose"]

# Enough for any comparison; a bound in case exams cost very much more than samples.
MOST_EXTRA_SAMPLES = 4096


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem at the end of the road.

    `choices` has one entry a choice rule ("maj", "max", "sum", "avg") and, where they were asked for, "greedy" and
    "sc_equal_cost"; `extra` are the samples that only the latter saw. With self-debug there is "sc_undebugged", over
    the samples as they were before, and `revisions` are the replies to what was shown back. `written` says how the exam
    was written, where it was.
    """

    problem: Problem
    exam: Exam
    samples: tuple[Sample, ...]
    lessons: tuple[ScoredLesson, ...]
    sitting: Sitting
    choices: Mapping[str, Choice]
    greedy: Sample | None = None
    extra: tuple[Sample, ...] = ()
    revisions: tuple[Sample, ...] = ()
    written: Written | None = None

    @property
    def drafts(self) -> tuple[Sample, ...]:
        """What the revised samples were before."""
        return tuple(s.draft for s in self.samples if s.draft is not None)

    @property
    def answer(self) -> str | None:
        """The answer that docendo gives: the LbT-score-weighted vote (SUM)."""
        return self.choices["sum"].answer

    def correct(self, choice: Choice) -> bool | None:
        """Whether a choice is the gold answer, by the grade of the samples behind it; None where there is no gold."""
        if not self.problem.judgeable:
            return None
        given = [
            *self.samples,
            *self.drafts,
            *self.extra,
            *([self.greedy] if self.greedy is not None else []),
        ]
        # Programs that act alike where it was tried need not be right alike: the one that was chosen counts.
        code = self.problem.kind == "code"
        return any(
            s.grade.score == 1.0
            and s.grade.key == choice.key
            and (not code or s.grade.answer == choice.answer)
            for s in given
        )


@dataclass(frozen=True, slots=True)
class Road:
    """What every problem of a run shares: settings, prompts, exam problems, the gateway, and model sizes.

    `select` finds the exam problems of a taught one, or says which were found when the run was planned; it has no use
    where exams are written. `sizes` are
    parameters by model name, for cost; where one is not known, all are 1. `on_stage` is told which stage a problem
    reaches; `judge` grades every reply.
    """

    settings: Settings
    prompts: PromptBook
    select: Callable[[Problem], Sequence[Problem]]
    ask: Ask
    sizes: Mapping[str, int]
    on_stage: Callable[[Problem, Stage], None] | None = None
    judge: Judge = field(default_factory=Judge)

    async def exam_for(self, problem: Problem) -> tuple[Exam, Written | None]:
        """The exam of a problem's lessons, found or written: its exam problems, every student, `repeats` times."""
        plan = self.settings
        if not plan.writes_exams:
            return Exam(tuple(self.select(problem)), plan.students, plan.repeats), None
        self._reach(problem, "examine")
        how = Writing(
            plan.exam_problems,
            plan.writer,
            plan.gold_models,
            plan.gold_samples,
            plan.gold_agreement,
            self._write_call,
            self._gold_call,
        )
        written = await write_exam(problem, how, self.ask, self.judge)
        return Exam(written.problems, plan.students, plan.repeats), written

    async def walk(self, problem: Problem) -> Solved:
        """Teach, examine and choose for one problem."""
        self._reach(problem, "teach")
        taught = await teach(problem, self.settings, self.prompts, self.ask, self.judge)
        if self.settings.self_debug:
            taught = await debug(taught, self.settings, self.prompts, self.ask, self.judge)
        exam, written = await self.exam_for(problem)
        examined = await self.examine(taught, exam)
        extra: tuple[Sample, ...] = ()
        self._reach(problem, "choose")
        if self.settings.equal_cost and problem.judgeable:
            count = self._samples_worth(examined.lessons, taught, written)
            extra = await more_samples(problem, self.settings, self.prompts, self.ask, self.judge, count)
        return self._chosen(taught, exam, examined, extra, written)

    async def join(self, taught: Taught) -> Solved:
        """Join the road half-way, with lessons that exist already (`docendo score`)."""
        exam, written = await self.exam_for(taught.problem)
        return self._chosen(taught, exam, await self.examine(taught, exam), (), written)

    async def examine(self, taught: Taught, exam: Exam) -> Examined:
        """Every distinct lesson with its exam behind it, or as much of one as was worth asking."""
        self._reach(taught.problem, "examine")
        drafts = [(d.lesson, d.grade, d.samples) for d in taught.drafts]
        name, plan = taught.problem.id, self.settings
        if not exam.problems:
            nothing = dict.fromkeys(exam.students)
            scored = tuple(ScoredLesson(*draft, None, nothing) for draft in drafts)
            return Examined(scored, Sitting(0, 0, 0, "abstained"))
        if plan.exam_score == "likelihood":
            return Examined(*await examine_by_likelihood(name, drafts, exam, self._telling_call, self.ask))
        weighed = plan.pooling == "weighed"
        if plan.allocation == "fixed":
            return await examine(
                name, drafts, exam, self._exam_call, self.ask, weighed=weighed, judge=self.judge
            )
        return await examine_adaptively(
            name,
            drafts,
            exam,
            self._exam_call,
            self.ask,
            settle=cast(Settle, plan.settle),
            certainty=plan.certainty,
            seed=plan.seed,
            weighed=weighed,
            judge=self.judge,
        )

    def _reach(self, problem: Problem, stage: Stage) -> None:
        if self.on_stage is not None:
            self.on_stage(problem, stage)

    def _exam_call(
        self, student: str, lesson: Lesson, problem: Problem, repeat: int, batch: str, size: int
    ) -> Call:
        style = self.prompts.of(student)
        prompt = style.examine(lesson, problem)
        return self.settings.call("exam", prompt, repeat, batch, size, model=student, stop=style.stop)

    def _write_call(self, problem: Problem, sample: int, batch: str, size: int) -> Call:
        writer = self.settings.writer
        style = self.prompts.of(writer)
        prompt = style.write(problem)
        return self.settings.call("write", prompt, sample, batch, size, model=writer, stop=style.stop)

    def _gold_call(self, model: str, problem: Problem, sample: int, batch: str, size: int) -> Call:
        style = self.prompts.of(model)
        prompt = style.teach(problem)
        return self.settings.call("gold", prompt, sample, batch, size, model=model, stop=style.stop)

    def _telling_call(
        self, student: str, lesson: Lesson, problem: Problem, continuation: str, batch: str, size: int
    ) -> Call:
        prompt = self.prompts.of(student).examine(lesson, problem)
        call = self.settings.call("likelihood", prompt, 0, batch, size, model=student)
        return replace(call, continuation=continuation)

    def _chosen(
        self,
        taught: Taught,
        exam: Exam,
        examined: Examined,
        extra: tuple[Sample, ...],
        written: Written | None,
    ) -> Solved:
        choices = {rule: choose(rule, examined.lessons) for rule in RULES}
        if taught.greedy is not None:
            found = taught.greedy.grade
            choices["greedy"] = Choice("greedy", found.answer, found.key, 1.0 if found.key else 0.0)
        # What the samples were before they were debugged: further samples have not been, either.
        first = [s.draft or s for s in taught.samples]
        if self.settings.self_debug and taught.greedy is not None:
            choices["sc_undebugged"] = _vote("sc_undebugged", first)
        if extra:
            choices["sc_equal_cost"] = _vote("sc_equal_cost", [*first, *extra])
        return Solved(
            taught.problem,
            exam,
            taught.samples,
            examined.lessons,
            examined.sitting,
            choices,
            taught.greedy,
            extra,
            taught.revisions,
            written,
        )

    def _samples_worth(self, lessons: Sequence[ScoredLesson], taught: Taught, written: Written | None) -> int:
        """How many more of the teacher's samples cost what the exams cost (tokens computed x parameters), rounded up.

        What revisions cost, and what it cost to write the exam, is counted with the exams: a vote over samples alone
        asks for neither.

        One more costs what the samples after the first did: where a backend shares their prompt, no prompt.
        """
        exams = sum(
            self.sizes.get(a.student, 1) * a.usage.computed for lesson in lessons for a in lesson.answers
        )
        for model, tokens in (written.spent if written is not None else {}).items():
            exams += self.sizes.get(model, 1) * tokens
        first = [s.draft or s for s in taught.samples]
        computed = [s.reply.usage.computed for s in first if s.reply is not None]
        later = computed[1:] or computed
        if not sum(later):
            return 0
        teacher = self.sizes.get(self.settings.teacher, 1)
        each = teacher * sum(later) / len(later)
        revisions = teacher * sum(s.reply.usage.computed for s in taught.revisions if s.reply is not None)
        return min(math.ceil((exams + revisions) / each), MOST_EXTRA_SAMPLES)


def _vote(rule: str, samples: Sequence[Sample]) -> Choice:
    votes = [(s.grade.key, s.grade.answer) if s.grade.key else None for s in samples]
    return replace(majority(votes), rule=rule)
