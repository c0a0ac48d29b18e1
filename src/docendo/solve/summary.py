"""The summary of a run: its arms compared, overall and by group, and all else that is said of it.

Read from the store, during the run or after it. The page's figures and wording come from it; the facts that it rests
on are `facts`, the comparisons `arms`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from docendo.exams.guard import ITSELF, counted
from docendo.solve.arms import Table, table
from docendo.solve.facts import Facts, gather
from docendo.solve.prefixes import CacheShare, cache_shares
from docendo.stats import auc, within_auc
from docendo.store import RunView
from docendo.types import GradeState

FAILURES = 3  # reasons of failed calls that are told in words
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
    `uncounted` counts the lessons with exam answers that were cut or failed; of these those without any counted answer
    of some student, and those without any at all.
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
    uncounted: tuple[int, int, int] = (0, 0, 0)

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
        if self.uncounted[0]:
            some, without, none = self.uncounted
            lines.append(
                f"{some:,} of {self.lessons:,} lessons have exam answers that were cut or failed, and are scored by "
                f"the others: {without:,} of them without any answer of one of the students, {none:,} without any at "
                "all, which have no score."
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
                "uncounted": dict(
                    zip(("lessons", "without_a_student", "without_a_score"), self.uncounted, strict=True)
                ),
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
        uncounted = view.uncounted()
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
        uncounted=uncounted,
    )


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
