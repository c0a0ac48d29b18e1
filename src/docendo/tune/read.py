"""A finished run read as what pairs are made of: each problem's scored lessons, as the teacher wrote them.

Which of them are worth learning from is left to `pairs`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from docendo.prompts import AUTO, Prompts
from docendo.solve.plan import Settings
from docendo.store import ExamRow, LessonRow, RunView, SampleRow
from docendo.types import Example, Problem, Prompt

HIDDEN = "written after reasoning that is not in the reply"
LOST = "whose reply is not in the run"


@dataclass(frozen=True, slots=True)
class Side:
    """One lesson of a pair, as its teacher wrote it.

    Attributes:
        lesson: the lesson's id.
        sample: the first of the teacher's samples that wrote it.
        text: the whole reply, without the token that ends it.
        answer: its answer.
        correct: 1.0 or 0.0 by the problem's gold (0 to 1 where a grade is partial), None where there is none.
        lbt: the LbT score, None where no exam answer counted.
        score: what it is ranked by: (1 - lam) * correct + lam * lbt.
    """

    lesson: str
    sample: int
    text: str
    answer: str
    correct: float | None
    lbt: float | None
    score: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lesson before it is ranked; `error` is the standard error of its LbT score, `key` its answer's."""

    lesson: str
    sample: int
    text: str
    answer: str
    key: str | None
    correct: float | None
    lbt: float | None
    error: float


@dataclass(frozen=True, slots=True)
class Studied:
    """One problem of a run: what was asked of the teacher, and its lessons; `dropped` counts those left out."""

    run: str
    problem: Problem
    prompt: Prompt
    candidates: tuple[Candidate, ...]
    dropped: Counter[str] = field(default_factory=Counter)


def studied(view: RunView, style: str = AUTO) -> Iterator[Studied]:
    """The finished problems of a run, in the order of its plan.

    Args:
        view: the run.
        style: in which prompt style lessons that were given and not sampled (`docendo score`) are written out;
            "auto" is the school's where a student is of the school, else chat.
    """
    done = view.done_ids()
    given = view.info.kind == "score"
    written = Prompts(_style(view, style)) if given else None
    own = written or _own_style(view)
    for problem in view.problems():
        if problem.id in done:
            yield _one(view, problem, own, given)


def standard_error(answers: Iterable[ExamRow]) -> float:
    """How far a lesson's LbT score may be off for the luck of its students' answers, as a standard error.

    Each student's share of n counted answers is a proportion, whose variance is p (1 - p) / n at p = (k + 1) / (n + 2):
    not at k / n, by which a lesson that everybody passed would have no luck in it at all. The score is the mean over
    students, and so is its variance over their number. 0 where no answer has a score of its own: scores by likelihood
    are drawn by nobody, and are flattened by their own standard error where they are made (`exams.likelihood`).
    """
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for row in answers:
        if row.grade.score is not None:
            scores[row.student].append(row.grade.score)
    if not scores:
        return 0.0
    variances = [_proportion(own) for own in scores.values()]
    return math.sqrt(sum(variances)) / len(variances)


def _proportion(scores: Sequence[float]) -> float:
    n = len(scores)
    share = (sum(scores) + 1) / (n + 2)
    return share * (1 - share) / n


def _one(view: RunView, problem: Problem, style: Prompts, given: bool) -> Studied:
    samples = list(view.samples(problem.id))
    revised = {row.sample for row in samples if row.arm == "draft"}
    first: dict[str, SampleRow] = {}
    for row in samples:
        if row.arm in ("teach", "given") and row.lesson is not None:
            known = first.get(row.lesson)
            # What the teacher wrote at once is its own words; a revision is written out from the lesson.
            if known is None or (known.sample in revised and row.sample not in revised):
                first[row.lesson] = row
    lessons = {row.lesson.id: row for row in view.lessons(problem.id)}
    exams: defaultdict[str, list[ExamRow]] = defaultdict(list)
    for answer in view.exam_answers(problem.id):
        exams[answer.lesson].append(answer)
    replies = view.recorded([row.call for row in first.values() if row.call is not None])
    asked = next((row.call for row in samples if row.arm == "teach" and row.call is not None), None)
    prompt = (view.prompt(asked) if asked is not None else None) or style.teach(problem)
    dropped: Counter[str] = Counter()
    found = []
    for id, row in first.items():
        reply = None if row.call is None else replies.get(row.call)
        if given or row.sample in revised:
            text = written(lessons[id].lesson.examples[0], problem, style)
        elif reply is None:
            dropped[LOST] += 1
            continue
        elif reply.reasoning:
            dropped[HIDDEN] += 1
            continue
        else:
            text = reply.text
        found.append(_candidate(row, lessons[id], text, exams[id]))
    return Studied(str(view.folder), problem, prompt, tuple(found), dropped)


def _candidate(row: SampleRow, lesson: LessonRow, text: str, answers: Sequence[ExamRow]) -> Candidate:
    return Candidate(
        lesson=lesson.lesson.id,
        sample=row.sample,
        text=text,
        answer=row.grade.answer or "",
        key=row.grade.key,
        correct=row.grade.score,
        lbt=lesson.score,
        error=standard_error(answers),
    )


def written(example: Example, problem: Problem, style: Prompts) -> str:
    """A lesson written out as a teacher asked in this style would have written it."""
    fenced = f"```python\n{example.answer.rstrip()}\n```"
    code = problem.kind == "code"
    if style.style == "school":
        return f" {example.rationale}\nAnswer:" + (f"\n{fenced}" if code else f" {example.answer}")
    if not style.chat:
        return f"{example.rationale}\n" + (fenced if code else f"Answer: {example.answer}")
    boxed = f"\\boxed{{{example.answer}}}" if problem.kind == "math" else example.answer
    return f"{example.rationale}\n\n" + (fenced if code else f"Final answer: {boxed}")


def _style(view: RunView, style: str) -> str:
    if style != AUTO:
        return style
    plan = Settings.of(view.config["settings"])
    return "school" if any(plan.spec(name).kind == "school" for name in plan.students) else "chat"


def _own_style(view: RunView) -> Prompts:
    """The style that revisions are written out in: the run's own, or what suits its teacher."""
    plan = Settings.of(view.config["settings"])
    spec = plan.spec(plan.teacher)
    wanted = spec.prompts or plan.prompts
    if wanted != AUTO:
        return Prompts(wanted)
    return Prompts("school" if spec.kind == "school" else "chat")
