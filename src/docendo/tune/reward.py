"""LbT as a reward: what students make of a completion, for GRPO and whatever else takes such a callable.

A completion is one lesson: it sits the exam that `docendo solve` would give it, and its reward is its LbT score, mixed
with the correctness of its own answer where that is wanted. How a trainer uses rewards is left to the trainer.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from docendo import _loop
from docendo.errors import ConfigError, DataError, ModelError
from docendo.exams.likelihood import worked
from docendo.grading.sandbox import ready
from docendo.models.base import Model
from docendo.models.budget import Ledger, budget_of
from docendo.models.gateway import Gateway
from docendo.models.meter import Meter
from docendo.models.resolve import opened
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings
from docendo.solve.road import Road
from docendo.solve.run import Source, planned, selector_of
from docendo.solve.teach import Sample, Taught, samples_of
from docendo.solve.work import check_likelihood, check_speakable, prices_of, specs_of, styles_of
from docendo.types import GradeState, Problem, Reply, ScoredLesson

Said = str | Sequence[Mapping[str, Any]]
"""A prompt or completion as trainers have it: a text, or chat turns with `role` and `content`."""

Fate = Literal["examined", "unreadable", "unheard"]


@dataclass(frozen=True, slots=True)
class Rewarded:
    """What came of one completion.

    Attributes:
        value: the reward.
        lbt: its LbT score in [0, 1]; None where there is none, or the reward does not ask for it.
        correct: the grade of its own answer, 0 to 1; None where the problem has no gold answer or none was read.
        answer: the answer that was read; None where there is none.
        fate: "examined"; "unreadable" where no answer could be read in it, so that it teaches nothing; "unheard" where
            no student's reply to its exam counted, since all ran into their limit. The latter two get the floor.
    """

    value: float
    lbt: float | None
    correct: float | None
    answer: str | None
    fate: Fate


class LbTReward:
    """A reward function over open students; a context manager, which closes them.

    Call it as TRL's `GRPOTrainer` does, `reward(prompts=..., completions=..., **columns) -> list[float]`; or ask
    `judge(problem_ids, texts)` and be told more. It may be called from any thread, in a notebook too; calls from
    several threads wait for each other. A lesson that was examined before is not examined again, so the same completion
    has the same reward all through a training.
    """

    def __init__(
        self,
        problems: Source,
        *,
        exams: Source | None = None,
        config: str | Path | None = None,
        lam: float = 1.0,
        floor: float = 0.0,
        remember: int = 200_000,
        models: Mapping[str, Model] | None = None,
        **settings: Any,
    ) -> None:
        """Settle what is asked; the students are opened when they are first needed.

        Args:
            problems: what is trained on, as for `docendo.solve`; a completion's problem is found by id (the column
                `problem`), else by its question, which its prompt must contain.
            exams: where exam problems come from, as for `docendo.solve`.
            config: a TOML file of models and settings, as for `docendo.solve`.
            lam: LbT's share in the reward, 0 to 1; the rest is the correctness of the completion's own answer. At 1 no
                gold answer of a trained problem is looked at; at 0 nothing is examined.
            floor: the reward of a completion that teaches nothing, at most 0: without a readable answer, or with no
                exam answer that counts.
            remember: lessons whose scores are kept, the oldest forgotten first.
            models: students by name, instead of opening those that the settings name; closed with the others.
            **settings: fields of `Settings`: students, exam_problems, repeats, exam_score and so on. The teacher's own
                have no use here, but for `prompts`.

        Raises:
            ConfigError, DataError: as for `docendo.solve`; a gold answer is missing that `lam` needs.
        """
        if not 0 <= lam <= 1:
            raise ConfigError(f"reward: lam: {lam} is out of range, 0 (correctness alone) to 1 (LbT alone)")
        if not (math.isfinite(floor) and floor <= 0):
            raise ConfigError(
                f"reward: floor: {floor} must be a finite number of at most 0, or silence would pay"
            )
        if remember < 1:
            raise ConfigError(f"reward: remember: {remember} is too small, it must be at least 1")
        plan, taught, pool, _ = planned(problems, exams, config, None, {"equal_cost": False} | settings)
        if plan.writes_exams:
            raise ConfigError("reward: written exams would differ from call to call; select them another way")
        plan = replace(plan, allocation="fixed")
        bare = next((p for p in taught if not p.judgeable), None)
        if lam < 1 and bare is not None:
            raise DataError(
                f"reward: problem {bare.id!r} has no gold answer, and correctness is {1 - lam:g} of the reward; "
                "give its answer, or reward LbT alone (lam=1)"
            )
        self.__name__ = "lbt_reward"  # by which trainers call it in their logs
        self.lam, self.floor = lam, floor
        self._plan = plan
        self._problems = {p.id: p for p in taught}
        selector = selector_of(plan, pool)
        self._exams = {p.id: selector.select(p).problems for p in taught}
        self._questions = sorted(taught, key=lambda p: -len(p.question))
        self._by_prompt: dict[str, Problem] = {}
        self._given = models
        self._remember = remember
        self._known: dict[tuple[str, str], float | None] = {}
        self._open: _Open | None = None
        self._lock = threading.Lock()

    # --- as trainers call it ------------------------------------------------------------------------------

    def __call__(
        self,
        prompts: Sequence[Said],
        completions: Sequence[Said],
        *,
        problem: Sequence[str] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float]:
        """The reward of each completion, in their order.

        Args:
            prompts: what the policy was asked.
            completions: what it wrote, of the same number.
            problem: the ids of their problems, where the data set has that column.
            log_metric: where the trainer has one (TRL's does), it is told the mean LbT score, the share of completions
                that can be read and, where golds are known, the share that is right.
            **columns: the data set's other columns and what else trainers hand over; not used.

        Raises:
            DataError: a completion's problem is not among the problems.
            ModelError: a student can no longer be asked; `DocendoError`s are never turned into rewards.
        """
        ids = problem if problem is not None else [self._found(prompt).id for prompt in prompts]
        found = self.judge(ids, [_text(completion) for completion in completions])
        if log_metric is not None and found:
            _tell(found, log_metric)
        return [one.value for one in found]

    def judge(self, problems: Sequence[str], texts: Sequence[str]) -> list[Rewarded]:
        """Examine texts as lessons on the problems of these ids, and say what came of each.

        Raises:
            DataError, ModelError: as when called; ValueError where the numbers differ.
        """
        if len(problems) != len(texts):
            raise ValueError(f"every completion has a problem: {len(texts)} and {len(problems)} were given")
        strange = next((id for id in problems if id not in self._problems), None)
        if strange is not None:
            raise DataError(f"reward: no problem has the id {strange!r}; the column 'problem' must hold ids")
        with self._lock:
            return _loop.run(self._judge(problems, texts))

    @property
    def meter(self) -> Meter:
        """What the students were asked and what it cost, so far."""
        return self._open.gateway.meter if self._open is not None else Meter()

    def close(self) -> None:
        """Release the students; safe to call twice. What is remembered is kept, and another call opens them again."""
        with self._lock:
            if self._open is not None:
                _loop.run(self._open.stack.aclose())
                self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- how --------------------------------------------------------------------------------------------

    def _found(self, prompt: Said) -> Problem:
        """The problem that a prompt asks: the one with the longest question in it."""
        said = " ".join(_text(prompt).split())
        known = self._by_prompt.get(said)
        if known is None:
            known = next((p for p in self._questions if " ".join(p.question.split()) in said), None)
            if known is None:
                raise DataError(
                    f"reward: the prompt {said[:80]!r} contains no problem's question; give the data set a column "
                    "'problem' with their ids"
                )
            self._by_prompt[said] = known
        return known

    async def _judge(self, ids: Sequence[str], texts: Sequence[str]) -> list[Rewarded]:
        places: dict[str, list[int]] = {}
        for place, id in enumerate(ids):
            places.setdefault(id, []).append(place)
        if self._open is None:
            self._open = await _opened(self._plan, self._problems, self._exams, self._given)
        by_place: dict[int, Rewarded] = {}
        for own, found in zip(
            places.values(),
            await asyncio.gather(
                *(
                    self._of_problem(self._open, self._problems[id], [texts[place] for place in own])
                    for id, own in places.items()
                )
            ),
            strict=True,
        ):
            by_place |= dict(zip(own, found, strict=True))
        while len(self._known) > self._remember:
            del self._known[next(iter(self._known))]
        return [by_place[place] for place in range(len(texts))]

    async def _of_problem(self, open_: _Open, problem: Problem, texts: Sequence[str]) -> list[Rewarded]:
        """What came of completions of one problem; those lessons whose score is not known are examined together."""
        replies = [Reply(text, "stop") for text in texts]
        calls = [self._plan.call("teach", problem.question, i, "", 1) for i in range(len(texts))]
        samples = await samples_of(problem, calls, replies, self._plan, open_.road.judge)
        lessons = {s.lesson.id for s in samples if s.lesson is not None}
        scores = {id: self._known[problem.id, id] for id in lessons if (problem.id, id) in self._known}
        new = tuple(s for s in samples if s.lesson is not None and s.lesson.id not in scores)
        if new and self.lam > 0:
            exam, _ = await open_.road.exam_for(problem)
            examined = await open_.road.examine(Taught(problem, new), exam)
            scores |= {lesson.lesson.id: self._score(open_, lesson) for lesson in examined.lessons}
            self._known |= {(problem.id, id): score for id, score in scores.items()}
        return [self._rewarded(s, scores.get(s.lesson.id) if s.lesson else None) for s in samples]

    def _score(self, open_: _Open, lesson: ScoredLesson) -> float | None:
        """A lesson's LbT score, of a kind that does not depend on the lessons beside it."""
        failed = [a for a in lesson.answers if a.grade.state is GradeState.FAILED]
        if open_.ledger.why is not None:
            raise ModelError(f"reward: {open_.ledger.why}; raise the setting budget, or leave it out")
        if failed and len(failed) == len(lesson.answers):
            raise ModelError(
                f"reward: none of the {len(failed)} exam questions after a lesson was answered: the calls to "
                f"{failed[0].student} fail, and what is not known is not rewarded"
            )
        if self._plan.exam_score != "likelihood":
            return lesson.score
        told = [a for a in lesson.answers if a.grade.state is not GradeState.FAILED]
        return math.exp(sum(float(a.text) for a in told) / sum(open_.words[a.problem] for a in told))

    def _rewarded(self, sample: Sample, lbt: float | None) -> Rewarded:
        judged = sample.grade
        if sample.lesson is None:
            return Rewarded(self.floor, None, None, None, "unreadable")
        if self.lam > 0 and lbt is None:
            return Rewarded(self.floor, None, judged.score, judged.answer, "unheard")
        # At either end the other measure is not touched at all: it may be missing, or be what one must not know.
        value = self.lam * (lbt or 0.0) * (self.lam > 0) + (1 - self.lam) * (judged.score or 0.0)
        return Rewarded(value, lbt, judged.score, judged.answer, "examined")


@dataclass(frozen=True, slots=True)
class _Open:
    """The students at work; `words` counts those of each exam problem's worked solution."""

    stack: AsyncExitStack
    gateway: Gateway
    ledger: Ledger
    road: Road
    words: Mapping[str, int]


async def _opened(
    plan: Settings,
    problems: Mapping[str, Problem],
    exams: Mapping[str, Sequence[Problem]],
    models: Mapping[str, Model] | None,
) -> _Open:
    """Open the students and ask whether they can do it."""
    asked = list({p.id: p for own in exams.values() for p in own}.values())
    async with AsyncExitStack() as stack:
        students = models
        if students is None:
            students = await stack.enter_async_context(opened(specs_of(plan, "score")))
        styles = styles_of(plan, plan.students, students)
        check_speakable(students, styles, [*problems.values(), *asked])
        if plan.exam_score == "likelihood":
            check_likelihood([students[name] for name in plan.students], asked)
        if any(p.kind == "code" for p in (*problems.values(), *asked)):
            await asyncio.to_thread(ready, plan.sandbox)
        ledger = Ledger(budget_of(plan.budget, prices_of(plan)), prices_of(plan))
        gateway = Gateway(students, ledger=ledger)
        stack.push_async_callback(gateway.aclose)
        road = Road(
            plan, styles, lambda problem: exams[problem.id], gateway.ask, {}, judge=Judge(plan.sandbox)
        )
        words = {p.id: len(worked(p).split()) for p in asked}
        return _Open(stack.pop_all(), gateway, ledger, road, words)


def _text(said: Said) -> str:
    """What was said, as one text: of turns, what each says."""
    return said if isinstance(said, str) else "\n".join(str(turn.get("content") or "") for turn in said)


def _tell(found: Sequence[Rewarded], log_metric: Callable[[str, float], None]) -> None:
    """Tell a trainer's log what the rewards are made of."""
    examined = [one.lbt for one in found if one.lbt is not None]
    judged = [one.correct or 0.0 for one in found if one.correct is not None or one.fate == "unreadable"]
    log_metric("docendo/readable", sum(one.fate != "unreadable" for one in found) / len(found))
    if examined:
        log_metric("docendo/lbt", sum(examined) / len(examined))
    if any(one.correct is not None for one in found):
        log_metric("docendo/correct", sum(judged) / len(judged))
