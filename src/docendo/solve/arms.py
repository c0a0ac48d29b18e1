"""Arms: the ways of answering under comparison, each with its accuracy, interval and cost, read from the store.

Costs follow DESIGN: tokens really computed (shared prefixes and duplicated lessons once) times the model's
parameters, teacher and students together; logical tokens stand beside them. An arm is charged for what it
would compute alone: SC for the prompt and its samples, MAX, SUM and AVG for those and all exams. So where SC's samples
all had their prompt from the greedy call, which was asked beside them, it is charged to SC as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from docendo.exams.guard import ITSELF, counted
from docendo.solve.passed import Passed, Programs
from docendo.solve.plan import weights_of
from docendo.solve.prefixes import CacheShare, cache_shares
from docendo.stats import Interval, auc, mean_ci, paired_difference, within_auc
from docendo.store import RunView
from docendo.types import GradeState, Problem, Usage

# In the order of every table. `sc` is the choice rule MAJ over the taught samples.
ARMS = (
    "greedy",
    "sample_undebugged",
    "sample",
    "sc_undebugged",
    "sc",
    "sc_equal_cost",
    "max",
    "sum",
    "avg",
    "oracle",
)
FAILURES = 3  # reasons of failed calls that are told in words
LESSON_ARMS = ("max", "sum", "avg")
BASELINES = ("sc", "sc_equal_cost")
DEBUGGED = (("sample", "sample_undebugged"), ("sc", "sc_undebugged"))
"""What self-debug is compared by: an arm with it and without."""
ENDED: Mapping[str, str] = {
    "complete": "all was asked",
    "settled": "no answer could change the choice",
    "certain": "the choice was certain enough",
    "agreed": "all lessons agreed",
    "dull": "the rest promised too little",
    "abstained": "no exam could be written",
}
"""Why no more was asked in an exam, in words."""


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


@dataclass(frozen=True, slots=True)
class Arm:
    """One row of a table: accuracy over problems with a gold answer (none read counts as wrong), and total cost.

    `v_score` and `s_score` are the mean shares of visible and of hidden tests that its programs pass, over the problems
    that have such tests; None where none has.
    """

    name: str
    accuracy: Interval
    cost: Cost
    v_score: Interval | None = None
    s_score: Interval | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The arms over some problems, and their paired differences such as "sum-sc"."""

    problems: int
    arms: Mapping[str, Arm]
    differences: Mapping[str, Interval]


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


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is said of a run.

    `problems` counts the finished ones, `planned` all; `judged` those finished with a gold answer, which are the
    denominator of every accuracy. `auc` is the chance that, of two lessons for one problem, the one with the
    right answer has the higher LbT score; `auc_pooled` the same over lessons of all problems. `states` and
    `exam_states` count how the teacher's and the students' replies were graded. `stopped` says why the run asked
    for no more, where a budget ended it; `cut_short` counts the problems that it left half-way, in no table.
    `exams` counts the planned problems by
    the way in which their exam problems were found, `excluded` by reason what the guard kept out of exams,
    `dropped` by reason what was left out when the problems were read.
    `notes` say how models were asked otherwise than was planned, `cache` what servers took from their caches,
    `failures` why calls have no reply, with how many for each reason.
    `questions` are those that whole exams of the finished problems' lessons have, `asked` those that were asked;
    `ended` counts these problems by why no more were.
    """

    problems: int
    planned: int
    overall: Table
    groups: Mapping[str, Table]
    auc: float | None
    auc_pooled: float | None
    right_scores: Sequence[float]
    wrong_scores: Sequence[float]
    states: Mapping[str, int]
    exam_states: Mapping[str, int]
    lessons: int
    samples: int
    facts: Sequence[Facts]
    stopped: str | None = None
    cut_short: int = 0
    exams: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    cache: Sequence[CacheShare] = ()
    failures: Sequence[tuple[str, int]] = ()
    questions: int = 0
    asked: int = 0
    ended: Mapping[str, int] = field(default_factory=dict)

    @property
    def abstained(self) -> int:
        """Finished problems for which no exam could be written: their choice is the vote's."""
        return self.ended.get("abstained", 0)

    @property
    def judged(self) -> int:
        """Finished problems with a gold answer."""
        return self.overall.problems

    def exams_said(self) -> list[str]:
        """In words: how exam problems were found, where not all by variants, what was left out and not asked."""
        if set(self.exams) == {"none"}:
            return ["No exams: the teacher was asked alone, so that MAX, SUM and AVG are the vote."]
        ways = ", ".join(f"{way} for {count:,}" for way, count in self.exams.items())
        kept_out = {reason: n for reason, n in self.excluded.items() if reason != ITSELF}
        lines = [] if set(self.exams) <= {"variants"} else [f"Exam problems by problem taught: {ways}."]
        lines += [f"Left out of exams: {counted(kept_out)}."] if kept_out else []
        if self.abstained:
            lines.append(
                f"No exam for {self.abstained:,} of {self.problems:,} problems, as too few of the problems written for "
                "it could be used; there the vote decided."
            )
        if self.asked < self.questions:
            why = ", ".join(f"{ENDED[reason]} for {count:,}" for reason, count in self.ended.items())
            share = f"{self.asked:,} of {self.questions:,}, {100 * self.asked / self.questions:.0f} %"
            lines.append(f"Exam questions asked: {share}. No more were, as {why}.")
        return lines + ([f"Left out when reading: {counted(self.dropped)}."] if self.dropped else [])

    def failures_said(self) -> list[str]:
        """In words: why calls failed, the commonest reasons."""
        lines = [f"{calls:,} failed: {why}" for why, calls in self.failures[:FAILURES]]
        more = sum(calls for _, calls in self.failures[FAILURES:])
        return lines + (
            [f"{more:,} failed for other reasons; `errors` in the store has all."] if more else []
        )

    def json(self) -> dict[str, object]:
        """The one object that `--json` prints (documented in docs/solve.md)."""
        return {
            "problems": self.judged,
            **_table_json(self.overall),
            "auc": self.auc,
            "auc_pooled": self.auc_pooled,
            "groups": {name: {"problems": t.problems, **_table_json(t)} for name, t in self.groups.items()},
            "finished": self.problems,
            "planned": self.planned,
            "states": dict(self.states),
            "exam_states": dict(self.exam_states),
            "stopped": self.stopped,
            "cut_short": self.cut_short,
            "exams": {
                "found_by": dict(self.exams),
                "left_out": dict(self.excluded),
                "questions": self.questions,
                "asked": self.asked,
                "ended": dict(self.ended),
                "abstained": self.abstained,
            },
            "dropped": dict(self.dropped),
            "notes": list(self.notes),
            "failures": [{"why": why, "calls": calls} for why, calls in self.failures],
            "cache": {
                c.model: {
                    "prompt": c.prompt,
                    "cached": c.cached,
                    "possible": c.possible,
                    "reached": c.reached,
                }
                for c in self.cache
            },
        }


def summarise(view: RunView, draws: int = 2000) -> Summary:
    """Read a run, finished or not, and compare its arms.

    Args:
        view: the run.
        draws: bootstrap draws an interval; clusters are resampled where problems have them.
    """
    with view.snapshot():
        facts = gather(view)
        planned = sum(1 for _ in view.problems())
        last = view.sessions()[-1:]
        cut_short = {row.problem for row in view.provisional()}
        selections = list(view.selections())
        notes = [text for _, text in view.notes()]
        shares = cache_shares(view)
        failures = view.reasons()
        sittings = [row.sitting for row in view.sittings()]
    judged = [f for f in facts if f.problem.judgeable]
    groups: dict[str, list[Facts]] = defaultdict(list)
    for f in judged:
        if f.problem.group is not None:
            groups[f.problem.group].append(f)
    lessons = [
        (f, s, r) for f in judged for s, r in zip(f.scores, f.lesson_right, strict=True) if s is not None
    ]
    return Summary(
        problems=len(facts),
        planned=planned,
        overall=table(judged, draws),
        groups={name: table(members, draws) for name, members in sorted(groups.items())},
        auc=within_auc(
            [
                (
                    [s for s in f.scores if s is not None],
                    [r for s, r in zip(f.scores, f.lesson_right, strict=True) if s is not None],
                )
                for f in judged
            ]
        ),
        auc_pooled=auc([s for _, s, _ in lessons], [r for _, _, r in lessons]),
        right_scores=[s for _, s, r in lessons if r],
        wrong_scores=[s for _, s, r in lessons if not r],
        states=_count(f.states for f in facts),
        exam_states=_count(f.exam_states for f in facts),
        lessons=sum(len(f.scores) for f in facts),
        samples=sum(len(f.keys) for f in facts),
        facts=facts,
        stopped=last[0].stopped if last else None,
        cut_short=len(cut_short),
        exams=Counter(row.how for row in selections),
        excluded=sum((Counter(row.excluded) for row in selections), Counter()),
        dropped=view.config.get("dropped", {}),
        notes=notes,
        cache=shares,
        failures=failures,
        questions=sum(s.planned for s in sittings),
        asked=sum(s.asked for s in sittings),
        ended=Counter(s.ended for s in sittings),
    )


def table(facts: Sequence[Facts], draws: int = 2000) -> Table:
    """The arms over some problems; an arm is there if any of them has it."""
    if not facts:
        return Table(0, {}, {})
    present = [name for name in ARMS if any(name in f.correct for f in facts)]
    marks = {
        name: [float(f.correct.get(name, f.correct.get("sc", False))) for f in facts] for name in present
    }
    clusters = [f.problem.cluster or f.problem.id for f in facts]
    arms = {}
    for name in present:
        spent = sum((f.costs.get(name, f.costs.get("sc", Cost())) for f in facts), Cost())
        scores = [_scores(facts, name, which, draws) for which in ("visible", "hidden")]
        arms[name] = Arm(name, mean_ci(marks[name], clusters, draws=draws), spent, *scores)
    differences = {
        f"{name}-{base}": paired_difference(marks[name], marks[base], clusters, draws=draws)
        for name in LESSON_ARMS
        for base in BASELINES
        if name in marks and base in marks
    } | {
        f"{name}-{base}": paired_difference(marks[name], marks[base], clusters, draws=draws)
        for name, base in DEBUGGED
        if name in marks and base in marks
    }
    return Table(len(facts), arms, differences)


def _scores(
    facts: Sequence[Facts], arm: str, which: Literal["visible", "hidden"], draws: int
) -> Interval | None:
    """The mean share of tests passed by an arm's programs; an arm that a problem lacks is SC there, as in accuracy."""
    found = [
        (share, f.problem.cluster or f.problem.id)
        for f in facts
        if (passed := f.passed.get(arm, f.passed.get("sc"))) is not None
        and (share := getattr(passed, which)) is not None
    ]
    return mean_ci([s for s, _ in found], [c for _, c in found], draws=draws) if found else None


def gather(view: RunView) -> list[Facts]:
    """The finished problems in the order of the plan."""
    sizes = weights_of({m.name: m.parameters for m in view.models()})

    def cost_of(model: str | None, usage: Usage, *, alone: bool = False) -> Cost:
        """What calls cost; `alone` charges the whole prompt, shared or not."""
        computed = usage.prompt + usage.completion if alone else usage.computed
        return Cost(usage.prompt + usage.completion, computed, computed * sizes.get(model or "", 1))

    def read(model: str | None, cached: Sequence[int]) -> Cost:
        """What is still to be read of a prompt that an arm's calls share: the part that each had from another arm's."""
        least = min(cached, default=0)
        return Cost(0, least, least * sizes.get(model or "", 1))

    teacher: str | None = None
    had: defaultdict[str, list[int]] = defaultdict(list)
    had_more: defaultdict[str, list[int]] = defaultdict(list)
    done = view.done_ids()
    found = {p.id: Facts(p) for p in view.problems() if p.id in done}
    places: dict[str, dict[str, int]] = {id: {} for id in found}
    for lesson in view.lessons():
        f, place = found[lesson.problem], places[lesson.problem]
        place[lesson.lesson.id] = len(f.scores)
        f.scores.append(lesson.score)
        f.lesson_right.append(False)
        f.lesson_costs.append(Cost())
    programs = {id: Programs(f.problem) for id, f in found.items() if f.problem.kind == "code"}
    for sample, model, usage in view.samples_spent():
        f = found[sample.problem]
        if sample.problem in programs:
            programs[sample.problem].add(sample)
        right = sample.grade.score == 1.0
        if sample.arm == "greedy":
            f.costs["greedy"] = cost_of(model, usage, alone=True)
        elif sample.arm == "sc":
            f.extra.append((sample.grade.key, right))
            f.costs["sc_equal_cost"] = f.costs.get("sc_equal_cost", Cost()) + cost_of(model, usage)
            had_more[sample.problem].append(usage.cached)
        elif sample.arm == "draft":
            f.drafts[sample.sample] = right
        elif sample.arm == "debug":
            f.debugged += cost_of(model, usage)
        else:
            index = -1 if sample.lesson is None else places[sample.problem][sample.lesson]
            f.keys.append(sample.grade.key)
            f.right.append(right)
            f.lesson.append(index)
            f.states[sample.grade.state] += 1
            f.costs["sc"] = f.costs.get("sc", Cost()) + cost_of(model, usage)
            if model is not None:
                teacher = model
                had[sample.problem].append(usage.cached)
            f.alone += cost_of(model, usage, alone=True)
            if index >= 0:
                f.lesson_right[index] = right
    for id, of, examined, spent in view.exams_spent():
        found[id].lesson_costs[places[id][of]] += cost_of(examined, spent)
    for id, model, spent in view.writing_spent():
        found[id].writing += cost_of(model, spent)
    for id, state, count in view.exam_states():
        found[id].exam_states[state] += count
    for decision in view.decisions():
        if decision.correct is not None:
            name = "sc" if decision.choice.rule == "maj" else decision.choice.rule
            found[decision.problem].correct[name] = decision.correct
            if decision.problem in programs:
                programs[decision.problem].chosen[name] = decision.choice.answer
    for id, own in programs.items():
        found[id].passed = own.by_arm()
    for id, f in found.items():
        if f.problem.judgeable:
            f.correct["oracle"] = any(f.right)
        samples = f.costs.get("sc", Cost())
        drawn = samples + read(teacher, had[id])
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
        voted = samples + read(teacher, had[id] + had_more[id])
        f.costs["sc_equal_cost"] = voted + f.costs.get("sc_equal_cost", Cost())
        for name in LESSON_ARMS:
            f.costs[name] = sampled + exams
    return list(found.values())


def _count(counters: Iterable[Counter[str]]) -> dict[str, int]:
    total: Counter[str] = sum(counters, Counter())
    return {state.value: total[state] for state in GradeState}


def _table_json(table: Table) -> dict[str, object]:
    return {
        "arms": {
            name: {
                "accuracy": arm.accuracy.mean,
                "ci": [arm.accuracy.low, arm.accuracy.high],
                **{
                    name: {"mean": score.mean, "ci": [score.low, score.high]}
                    for name, score in (("v_score", arm.v_score), ("s_score", arm.s_score))
                    if score is not None
                },
                "tokens": round(arm.cost.tokens),
                "computed": round(arm.cost.computed),
                "cost": round(arm.cost.cost),
            }
            for name, arm in table.arms.items()
        },
        "differences": {
            name: {"mean": d.mean, "ci": [d.low, d.high]} for name, d in table.differences.items()
        },
    }
