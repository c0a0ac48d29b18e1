"""What the page says of each set: from where it comes, what failed before it, what changed, how scores moved."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from docendo.refine.counts import judges_of
from docendo.refine.nouns import Candidate, Failure, Reflection, Rejection, Round
from docendo.refine.summary import Summary
from docendo.types import Example, Lesson, Problem, Reply

HOW = {
    "none": "no examples",
    "given": "your own",
    "train": "drawn from training problems",
    "proposed": "written by the teacher",
    "rewritten": "rewritten after failures",
}
ALIKE = 0.6
"""How alike two questions are from which on one is the other, changed."""

SHOWN = 4000
"""Characters of a reply of no use that are shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An example as shown: "kept", "changed" or "new" beside the parent set, or "" without one; its texts, marked."""

    state: str
    question: Markup
    rationale: Markup
    answer: str


@dataclass(frozen=True, slots=True)
class Mended:
    """A failure, and whether the student is right with the new set; None where that was not asked."""

    failure: Failure
    now: bool | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One set. `scores` are (what, share, how many problems) in the order in which they were found out."""

    candidate: Candidate
    name: str
    parents: tuple[str, ...]
    scores: tuple[tuple[str, float, int], ...]
    examples: tuple[Shown, ...]
    gone: tuple[Example, ...]
    reflections: tuple[tuple[Reflection, tuple[Mended, ...]], ...]
    standing: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A reply of no use, as far as it is shown."""

    rejection: Rejection
    parents: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """One round."""

    round: Round
    leaves: tuple[Leaf, ...]
    lost: tuple[Lost, ...]
    unfailing: tuple[str, ...]


def branches(summary: Summary, replies: Mapping[tuple[str, int], Reply]) -> list[Branch]:
    """The rounds of a run, each with its sets, the best ones first.

    Args:
        summary: of the run.
        replies: those of no use, by request and sample.
    """
    names = name_sets(summary)
    found = []
    for each in summary.state.rounds:
        leaves = [_leaf(summary, each, c, names) for c in each.candidates if c.how != "none"]
        leaves.sort(key=lambda leaf: tuple(-score for _, score, _ in reversed(leaf.scores[-1:])))
        leaves.sort(key=lambda leaf: -len(leaf.scores))
        lost = tuple(
            Lost(
                r,
                tuple(names[p] for p in r.parents),
                replies[r.call].text[:SHOWN] if r.call in replies else "",
            )
            for r in each.rejections
        )
        found.append(Branch(each, tuple(leaves), lost, tuple(names[id] for id in each.unfailing)))
    return found


def name_sets(summary: Summary) -> dict[str, str]:
    """Short names of sets: the round and a letter or number, such as 2.3."""
    return {
        c.id: f"{each.number}.{number}"
        for each in summary.state.rounds
        for number, c in enumerate((c for c in each.candidates if c.how != "none"), 1)
    }


def _leaf(summary: Summary, each: Round, candidate: Candidate, names: Mapping[str, str]) -> Leaf:
    parents = [summary.candidates[id] for id in candidate.parents]
    old = [example for parent in parents for example in parent.lesson.examples]
    reflections = {r.id: r for r in each.reflections}
    return Leaf(
        candidate,
        names[candidate.id],
        tuple(names[p.id] for p in parents),
        tuple(_scores(summary, each, candidate.id)),
        tuple(_shown(example, old) for example in candidate.lesson.examples),
        tuple(_gone(candidate.lesson, old)),
        tuple(
            (reflections[id], tuple(_mended(summary, candidate.id, f) for f in reflections[id].failures))
            for id in candidate.reflections
        ),
        _standing(each, candidate.id),
    )


def _scores(summary: Summary, each: Round, id: str) -> list[tuple[str, float, int]]:
    """What a set was found to be worth, part by part."""
    task, book = summary.task, summary.book
    judges = judges_of(summary.how, summary.settings.teacher, summary.settings.students)
    by_id = {p.id: p for p in task.exam}
    drawn: list[Problem] = [by_id[name] for name in each.minibatch]
    last = next((r.problems for r in reversed(each.rungs) if id in r.sets), 0)
    parts: list[tuple[str, Sequence[Problem]]] = [
        ("minibatch", drawn[:last]),
        ("validation", task.validation),
        ("test", task.test),
    ]
    found = []
    for name, problems in parts:
        models = summary.settings.students if name == "test" else judges
        counted = [s for s in book.by_problem(id, problems, models) if s is not None]
        if counted:
            found.append((name, sum(counted) / len(counted), len(counted)))
    return found


def _standing(each: Round, id: str) -> str:
    """How a set came out of its own round."""
    if id == each.best:
        return "best so far"
    if id in each.beam:
        return "in the beam"
    if id in each.validated:
        return "not kept after validation"
    dropped = next((n for n, r in enumerate(each.rungs, 1) if id in r.sets and id not in r.kept), None)
    return f"left out in scoring, step {dropped}" if dropped else "not kept"


def _mended(summary: Summary, id: str, failure: Failure) -> Mended:
    entries = summary.book.entries(id, failure.student, [failure.problem])
    scores = [e.answer.grade.score for e in entries if e.answer.grade.score is not None]
    return Mended(failure, sum(scores) / len(scores) > 0.5 if scores else None)


def _nearest(example: Example, others: Sequence[Example]) -> tuple[float, Example | None]:
    words = example.question.split()
    scored = [
        (difflib.SequenceMatcher(None, words, o.question.split(), autojunk=False).ratio(), i)
        for i, o in enumerate(others)
    ]
    ratio, at = max(scored, default=(0.0, -1))
    return ratio, others[at] if at >= 0 else None


def _shown(example: Example, old: Sequence[Example]) -> Shown:
    plain = (Markup(escape(example.question)), Markup(escape(example.rationale)), example.answer)
    if not old:
        return Shown("", *plain)
    if example in old:
        return Shown("kept", *plain)
    ratio, before = _nearest(example, old)
    if before is None or ratio < ALIKE:
        return Shown("new", *plain)
    return Shown(
        "changed",
        _marked(before.question, example.question),
        _marked(before.rationale, example.rationale),
        example.answer,
    )


def _gone(lesson: Lesson, old: Sequence[Example]) -> list[Example]:
    """Examples of the parents that neither stayed nor were changed."""
    return [e for e in old if e not in lesson.examples and _nearest(e, lesson.examples)[0] < ALIKE]


def _marked(before: str, after: str) -> Markup:
    """The later text, what was put in and taken out marked word by word."""
    old, new = before.split(), after.split()
    parts = []
    for what, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            parts.append(escape(" ".join(new[k:m])))
            continue
        if i < j:
            parts.append(Markup("<del>{}</del>").format(" ".join(old[i:j])))
        if k < m:
            parts.append(Markup("<ins>{}</ins>").format(" ".join(new[k:m])))
    return Markup(" ").join(parts)
