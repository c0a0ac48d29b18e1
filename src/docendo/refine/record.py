"""A walk in the store: each round's facts as rows, and rounds as they were, read back to go on or to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from docendo.prompts import rationale_of
from docendo.refine.book import Entry
from docendo.refine.nouns import Asked, Candidate, Failure, How, Reason, Reflection, Rejection, Round, Rung
from docendo.refine.task import PARTS, Task
from docendo.refine.walk import State
from docendo.store import RunView
from docendo.store.rounds import AnswerRow, ReflectionRow, RejectionRow, RoundFacts, RoundRow, SetRow
from docendo.types import ExamAnswer, Reply


def facts_of(whole: Round, entries: Sequence[Entry], seconds: float = 0.0) -> RoundFacts:
    """A round's facts as the store takes them."""
    data = {
        "beam": whole.beam,
        "minibatch": whole.minibatch,
        "rungs": [[r.problems, r.sets, r.kept] for r in whole.rungs],
        "validated": whole.validated,
        "unfailing": whole.unfailing,
        "calls": dict(whole.calls),
        "ended": whole.ended,
    }
    return RoundFacts(
        RoundRow(whole.number, whole.best, data, seconds),
        [SetRow(c.lesson, c.round, c.how, c.parents, c.reflections, c.call) for c in whole.candidates],
        [
            ReflectionRow(
                r.id,
                r.round,
                r.parent,
                tuple((f.student, f.problem.id, f.answer, *f.call) for f in r.failures),
                r.call,
            )
            for r in whole.reflections
        ],
        [RejectionRow(r.round, r.how, r.reason, r.detail, r.parents, r.call) for r in whole.rejections],
        [
            AnswerRow(
                at.lesson,
                at.problem,
                at.part,
                at.model,
                at.repeat,
                at.round,
                e.answer.request,
                e.answer.grade,
            )
            for e in entries
            for at in (e.asked,)
        ],
    )


def task_of(view: RunView) -> Task:
    """The task of a run."""
    said = view.info.config["task"]
    parts = {part: tuple(view.problems(part)) for part in PARTS}
    return Task(said["name"], said["instruction"], **parts, dropped=said["dropped"])


def state_of(view: RunView, task: Task, *, texts: bool = False) -> State:
    """The whole rounds of a run, as the walk made them; answers have their texts only where `texts` is set."""
    problems = {p.id: p for p in task.problems()}
    reflections = list(view.reflections())
    keys = [r.call for r in reflections] + [(f[3], f[4]) for r in reflections for f in r.failures]
    replies = view.recorded(list(dict.fromkeys(keys)))

    def failure(row: tuple[str, str, str, str, int]) -> Failure:
        student, problem, answer, request, sample = row
        reply = replies.get((request, sample))
        rationale = rationale_of(reply.text) if reply else ""
        return Failure(student, problems[problem], answer, rationale, (request, sample))

    made: dict[int, list[Reflection]] = {}
    for r in reflections:
        text = replies[r.call].text.strip() if r.call in replies else ""
        made.setdefault(r.round, []).append(
            Reflection(r.id, r.round, r.parent, tuple(map(failure, r.failures)), text, r.call)
        )
    sets: dict[int, list[Candidate]] = {}
    for s in view.sets():
        candidate = Candidate(s.lesson, s.round, cast(How, s.how), s.parents, s.reflections, s.call)
        sets.setdefault(s.round, []).append(candidate)
    refused: dict[int, list[Rejection]] = {}
    for x in view.rejections():
        reason, how = cast(Reason, x.reason), cast(How, x.how)
        refused.setdefault(x.round, []).append(Rejection(x.round, how, reason, x.detail, x.parents, x.call))
    rounds = tuple(
        _round(row, sets.get(row.round, ()), refused.get(row.round, ()), made.get(row.round, ()))
        for row in view.rounds()
    )
    return State(rounds, _entries(view, texts))


def _round(
    row: RoundRow,
    candidates: Sequence[Candidate],
    rejections: Sequence[Rejection],
    reflections: Sequence[Reflection],
) -> Round:
    data = row.data
    return Round(
        row.round,
        tuple(candidates),
        tuple(rejections),
        tuple(reflections),
        tuple(data["minibatch"]),
        tuple(Rung(size, tuple(all_), tuple(kept)) for size, all_, kept in data["rungs"]),
        tuple(data["validated"]),
        tuple(data["beam"]),
        row.best,
        tuple(data["unfailing"]),
        data["calls"],
        data["ended"],
    )


def _entries(view: RunView, texts: bool) -> tuple[Entry, ...]:
    rows = list(view.round_answers())
    replies: Mapping[tuple[str, int], Reply] = {}
    if texts:
        replies = view.recorded([(r.request, r.repeat) for r in rows])
    found = []
    for r in rows:
        reply = replies.get((r.request, r.repeat))
        text = reply.text if reply else ""
        answer = ExamAnswer(r.lesson, r.problem, r.model, r.repeat, text, r.grade, request=r.request)
        found.append(Entry(Asked(r.lesson, r.problem, r.part, r.model, r.repeat, r.round), answer))
    return tuple(found)
