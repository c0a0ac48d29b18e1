"""Facts: what the tables need of each finished problem, read from the store: who was right, and what it cost.

Costs follow DESIGN: tokens really computed (shared prefixes and duplicated lessons once) times the model's
parameters, teacher and students together; logical tokens stand beside them. An arm is charged for what it
would compute alone: SC for the prompt and its samples, MAX, SUM and AVG for those and all exams. So where SC's samples
all had their prompt from the greedy call, which was asked beside them, it is charged to SC as well.

Comparing the arms is left to `arms`, the bill of the whole run to `spent`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from docendo.solve.passed import Passed, Programs
from docendo.solve.plan import weights_of
from docendo.store import DecisionRow, RunView, SampleRow
from docendo.types import Problem, Usage

LESSON_ARMS = ("max", "sum", "avg")
"""The arms that choose by the scores of lessons, and so need exams."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent: logical tokens, tokens really computed, and computed tokens times parameters."""

    tokens: float = 0.0
    computed: float = 0.0
    cost: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.computed + other.computed, self.cost + other.cost)

    def times(self, share: float) -> Cost:
        """This cost scaled."""
        return Cost(self.tokens * share, self.computed * share, self.cost * share)


@dataclass(slots=True)
class Facts:
    """One finished problem, as the tables need it.

    `keys`, `right` and `lesson` go over the taught samples in order: the answer's equivalence key (None where
    none could be read), whether it is the gold answer, and the index of its lesson in `scores` (-1: none).
    `extra` are the further samples of self-consistency at equal cost, as (key, right). `alone` is the mean cost
    of one taught sample when nothing else is asked, so with its whole prompt. `drafts` says of revised samples, by
    index, whether they were right before; `debugged` is what all revisions cost. `writing` is what it cost to have the
    exam written, where it was.
    `correct` says by arm whether it is right; of one sample in the mean, how often. `passed` says by arm what its
    program passes; it is empty where the problem is not of kind code.
    """

    problem: Problem
    keys: list[str | None] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    lesson: list[int] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    lesson_right: list[bool] = field(default_factory=list)
    correct: dict[str, float] = field(default_factory=dict)
    extra: list[tuple[str | None, bool]] = field(default_factory=list)
    costs: dict[str, Cost] = field(default_factory=dict)
    alone: Cost = field(default_factory=Cost)
    lesson_costs: list[Cost] = field(default_factory=list)
    writing: Cost = field(default_factory=Cost)
    states: Counter[str] = field(default_factory=Counter)
    exam_states: Counter[str] = field(default_factory=Counter)
    drafts: dict[int, bool] = field(default_factory=dict)
    debugged: Cost = field(default_factory=Cost)
    passed: dict[str, Passed] = field(default_factory=dict)


def gather(view: RunView) -> list[Facts]:
    """The finished problems in the order of the plan."""
    weights = weights_of({m.name: m.parameters for m in view.models()})
    done = view.done_ids()
    found = {p.id: _Gathering(p, weights) for p in view.problems() if p.id in done}
    for lesson in view.lessons():
        found[lesson.problem].add_lesson(lesson.lesson.id, lesson.score)
    for sample, model, usage in view.samples_spent():
        found[sample.problem].add_sample(sample, model, usage)
    for id, of, examined, spent in view.exams_spent():
        found[id].add_exam(of, examined, spent)
    for id, model, spent in view.writing_spent():
        found[id].add_writing(model, spent)
    for id, state, count in view.exam_states():
        found[id].facts.exam_states[state] += count
    for decision in view.decisions():
        found[decision.problem].add_decision(decision)
    return [one.finished() for one in found.values()]


class _Gathering:
    """One problem's facts while they are read, with what is needed only until all have been."""

    def __init__(self, problem: Problem, weights: Mapping[str, int]) -> None:
        self.facts = Facts(problem)
        self._weights = weights
        self._places: dict[str, int] = {}  # of lessons in `scores`, by id
        self._programs = Programs(problem) if problem.kind == "code" else None
        self._teacher: str | None = None
        self._had: list[int] = []  # how much of its prompt each taught sample had from another call
        self._had_more: list[int] = []  # the same of the further samples

    def add_lesson(self, id: str, score: float | None) -> None:
        f = self.facts
        self._places[id] = len(f.scores)
        f.scores.append(score)
        f.lesson_right.append(False)
        f.lesson_costs.append(Cost())

    def add_sample(self, sample: SampleRow, model: str | None, usage: Usage) -> None:
        f = self.facts
        if self._programs is not None:
            self._programs.add(sample)
        right = sample.grade.score == 1.0
        if sample.arm == "greedy":
            f.costs["greedy"] = self._cost(model, usage, alone=True)
        elif sample.arm == "sc":
            f.extra.append((sample.grade.key, right))
            f.costs["sc_equal_cost"] = f.costs.get("sc_equal_cost", Cost()) + self._cost(model, usage)
            self._had_more.append(usage.cached)
            self._teacher = model or self._teacher
        elif sample.arm == "draft":
            f.drafts[sample.sample] = right
        elif sample.arm == "debug":
            f.debugged += self._cost(model, usage)
        else:
            self._add_taught(sample, model, usage, right)

    def _add_taught(self, sample: SampleRow, model: str | None, usage: Usage, right: bool) -> None:
        f = self.facts
        place = -1 if sample.lesson is None else self._places[sample.lesson]
        f.keys.append(sample.grade.key)
        f.right.append(right)
        f.lesson.append(place)
        f.states[sample.grade.state] += 1
        f.costs["sc"] = f.costs.get("sc", Cost()) + self._cost(model, usage)
        if model is not None:
            self._teacher = model
            self._had.append(usage.cached)
        f.alone += self._cost(model, usage, alone=True)
        if place >= 0:
            f.lesson_right[place] = right

    def add_exam(self, lesson: str, student: str, usage: Usage) -> None:
        self.facts.lesson_costs[self._places[lesson]] += self._cost(student, usage)

    def add_writing(self, model: str, usage: Usage) -> None:
        self.facts.writing += self._cost(model, usage)

    def add_decision(self, decision: DecisionRow) -> None:
        if decision.correct is None:
            return
        name = "sc" if decision.choice.rule == "maj" else decision.choice.rule
        self.facts.correct[name] = decision.correct
        if self._programs is not None:
            self._programs.chosen[name] = decision.choice.answer

    def finished(self) -> Facts:
        """The facts, when all was added, with the arms that follow from others and what every arm costs."""
        f = self.facts
        if self._programs is not None:
            f.passed = self._programs.by_arm()
        if f.problem.judgeable:
            f.correct["oracle"] = any(f.right)
        samples = f.costs.get("sc", Cost())
        drawn = samples + self._read(self._had)
        sampled = f.costs["sc"] = drawn + f.debugged
        each = 1 / max(len(f.keys), 1)
        f.alone = f.alone.times(each)
        if "sc_undebugged" in f.correct:
            before = [f.drafts.get(i, right) for i, right in enumerate(f.right)]
            f.correct |= {
                "sample": sum(f.right) / len(before),
                "sample_undebugged": sum(before) / len(before),
            }
            f.costs |= {"sc_undebugged": drawn, "sample_undebugged": f.alone}
            f.alone += f.debugged.times(each)
            f.costs["sample"] = f.alone
        exams = sum(f.lesson_costs, f.writing)
        f.costs["oracle"] = sampled
        voted = samples + self._read(self._had + self._had_more)
        f.costs["sc_equal_cost"] = voted + f.costs.get("sc_equal_cost", Cost())
        for name in LESSON_ARMS:
            f.costs[name] = sampled + exams
        return f

    def _cost(self, model: str | None, usage: Usage, *, alone: bool = False) -> Cost:
        """What calls cost; `alone` charges the whole prompt, shared or not."""
        computed = usage.prompt + usage.completion if alone else usage.computed
        return Cost(usage.prompt + usage.completion, computed, computed * self._weights.get(model or "", 1))

    def _read(self, had: list[int]) -> Cost:
        """What is still to be read of a prompt that an arm's calls share: the part that each had from another arm's."""
        least = min(had, default=0)
        return Cost(0, least, least * self._weights.get(self._teacher or "", 1))
