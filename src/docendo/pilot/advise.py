"""A diagnosis in words: findings, each with its figures, and what to set for the full run.

A pilot is small. A finding says "yes" or "no" only where an interval is on one side; elsewhere it says that it
cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from docendo.pilot.diagnose import Diagnosis, StudentNote
from docendo.stats import Interval

Verdict = Literal["good", "bad", "unsure"]

KNOWS = 0.9
"""A student this good without a lesson has nothing to learn from one."""
LITTLE_ROOM = 0.02
"""Below this share of problems, choosing better cannot show."""
REPEATS = 0.5
"""From this share of repeated wrong answers on, the teacher is said to err in method."""
TOLD = 0.75
"""From this chance on, exams are said to tell right lessons from wrong ones."""
CUT = 0.02
"""From this share of cut replies on, the token limit is said to be too low."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One question that a pilot is asked, with its answer in a sentence or two."""

    question: str
    verdict: Verdict
    answer: str


def findings(d: Diagnosis) -> list[Finding]:
    """What the pilot found, in the order in which it matters."""
    return [
        *(_follows(student) for student in d.students),
        _errs(d),
        _room(d),
        _alike(d),
        *_cut(d),
        _gain(d),
    ]


def settings(d: Diagnosis) -> dict[str, object]:
    """Settings worth changing in the full run, by name; empty where the pilot says nothing of them."""
    found: dict[str, object] = {}
    useful = [s.name for s in d.students if not _hopeless(s)]
    if useful and len(useful) < len(d.students):
        found["students"] = useful
    if d.teacher.unanimous > 0.5 and d.teacher.reachable.mean != d.teacher.voted.mean:
        found["temperature"] = 1.0
    return found


def _follows(s: StudentNote) -> Finding:
    question = f"Does {s.name} follow lessons?"
    figures = (
        f"right without a lesson {_share(s.alone)}, after right lessons {_share(s.after_right)}, "
        f"after wrong ones {_share(s.after_wrong)}"
    )
    if s.after_reference.mean is not None:
        figures += f", after reference solutions {_share(s.after_reference)}"
    if s.alone.mean is not None and s.alone.mean >= KNOWS:
        return Finding(
            question,
            "bad",
            f"It knows the exams without any lesson, so they cannot tell lessons apart: {figures}. "
            "Use a weaker student or harder exams.",
        )
    if _above(s.telling):
        return Finding(
            question,
            "good",
            f"Yes, and right lessons help it more than wrong ones: {figures}; {_points(s.telling)}.",
        )
    if _above(s.lift):
        return Finding(
            question,
            "unsure",
            f"Lessons help it ({_points(s.lift)}), but whether right ones help more than wrong ones cannot be told "
            f"from so few: {figures}.",
        )
    if _below(s.lift):
        return Finding(
            question,
            "bad",
            f"Lessons make it worse ({_points(s.lift)}): {figures}. Use another student or other prompts.",
        )
    return Finding(question, "unsure", f"Not that these problems show it: {figures}.")


def _errs(d: Diagnosis) -> Finding:
    question = "Does the teacher err in method, or only slip?"
    t = d.teacher
    if t.repeated is None:
        return Finding(
            question, "bad", "It made no mistake on these problems: there is nothing to choose between."
        )
    share = f"{_percent(t.repeated)} of its wrong answers were given more than once for their problem"
    told = "" if d.auc is None else f"exams put a right lesson above a wrong one with chance {d.auc:.2f}"
    figures = f"{share}; {told}" if told else share
    if d.auc is not None and d.auc >= TOLD:
        return Finding(question, "good", f"In method, or exams could not tell: {figures}.")
    if t.repeated >= REPEATS:
        return Finding(question, "unsure", f"Much of it in method, as wrong answers repeat: {figures}.")
    return Finding(
        question, "unsure", f"More by slips, which scatter and which voting mends without exams: {figures}."
    )


def _room(d: Diagnosis) -> Finding:
    t = d.teacher
    question = "Is there anything to gain by choosing better?"
    figures = (
        f"a sample is right {_share(t.right)}, self-consistency {_share(t.voted)}, any of {d.lessons} samples "
        f"{_share(t.reachable)}; the samples of {_percent(t.unanimous)} of the problems all agree"
    )
    room = (t.reachable.mean or 0.0) - (t.voted.mean or 0.0)
    if room < LITTLE_ROOM:
        return Finding(
            question, "bad", f"Hardly: {figures}. A harder set, or a hotter teacher, would leave more room."
        )
    return Finding(question, "good", f"At most {100 * room:.1f} points: {figures}.")


def _alike(d: Diagnosis) -> Finding:
    question = "Are the exams like the problems that are taught?"
    if d.unlike is None:
        return Finding(
            question,
            "unsure",
            f"Mean overlap of words {d.alike:.2f}; one problem has nothing to compare with.",
        )
    figures = f"mean overlap of words {d.alike:.2f}, with other problems' exams {d.unlike:.2f}"
    if d.alike > d.unlike + 0.1:
        return Finding(question, "good", f"Yes: {figures}.")
    return Finding(
        question,
        "bad",
        f"Hardly more than any two problems: {figures}. Choose exams by family, or from a larger pool.",
    )


def _cut(d: Diagnosis) -> list[Finding]:
    worst = max(d.teacher.cut, d.exam_cut)
    if worst < CUT:
        return []
    return [
        Finding(
            "Is the token limit high enough?",
            "bad",
            f"No: {_percent(d.teacher.cut)} of the teacher's replies and {_percent(d.exam_cut)} of the "
            "students' were cut. Raise max_tokens.",
        )
    ]


def _gain(d: Diagnosis) -> Finding:
    question = "What gain can a full run expect?"
    figures = f"SUM − SC {_points(d.gain)} on {d.problems} problems with {d.lessons} lessons each"
    more = ""
    if d.full_lessons > d.lessons:
        more = f" With its {d.full_lessons} lessons {_points(d.full_gain)}, if the gain goes on growing as it did."
    if d.needed is None:
        none = f"None that shows here: {figures}.{more}"
        return Finding(question, "unsure" if not _below(d.gain) else "bad", none)
    enough = f"a true gain of this size shows with about {d.needed:,} problems"
    full = f"; the full run has {d.full_problems:,}"
    return Finding(question, "good" if _above(d.gain) else "unsure", f"{figures}; {enough}{full}.{more}")


def _hopeless(s: StudentNote) -> bool:
    return (s.alone.mean is not None and s.alone.mean >= KNOWS) or _below(s.lift)


def _above(i: Interval) -> bool:
    return i.low is not None and i.low > 0


def _below(i: Interval) -> bool:
    return i.high is not None and i.high < 0


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _share(i: Interval) -> str:
    return _with(i, lambda x: f"{100 * x:.0f}", " %")


def _points(i: Interval) -> str:
    return _with(i, lambda x: f"{100 * x:+.1f}".replace("-", "−"), " points")


def _with(i: Interval, say: Callable[[float], str], unit: str) -> str:
    if i.mean is None:
        return "not known"
    if i.low is None or i.high is None:
        return f"{say(i.mean)}{unit}"
    return f"{say(i.mean)}{unit} ({say(i.low)} to {say(i.high)})"
