"""Written exams: a model writes variants of the taught problem, and sampled answers agree on their golds (regime C).

For problems without a family, a pool or known answers. One batch asks for candidates; what cannot be read, the guard
keeps out or is said twice is dropped. One more batch has every candidate answered several times; the answer that most
of them give is its gold, where they agree enough. Where too few candidates are left there is no exam, and the choice
falls back to the vote. The taught problem's own answer plays no part: no prompt sees it.

Who answers matters: a gold by agreement is wrong where the majority is, and then confirms it (docs/exams.md).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from docendo.errors import DataError
from docendo.exams.examine import Judging
from docendo.exams.guard import TWICE, kept_out, same_question
from docendo.models.base import Ask
from docendo.types import Call, GradeState, Problem, Reply

CANDIDATES = 2
"""Problems that the writer is asked for, for each that the exam is to have."""

FEWEST = 0.5
"""Share of the exam's problems below which there is no exam: one odd problem should not decide alone."""

LONGEST = 4000
"""Characters of a question beyond which a reply is no exam problem."""

FAILED = "failed calls of the writer"
CUT = "cut by the token limit"
UNREAD = "replies without a problem that could be read"
TELLS = "telling their answer"
DISAGREED = "without an agreed answer"

_HEAD = r"^[ \t>#*_]{0,8}"
_LABEL = re.compile(
    _HEAD + r"(?:(?:the|new|exam|second)[ \t]){0,2}problem[*_ \t]{0,4}:[*_]{0,3}", re.I | re.M
)
_END = re.compile(
    _HEAD
    + r"(?:(?:\w{1,12}[ \t])?(?:problem|answer|solution)|hint|method|explanation)[*_ \t]{0,4}:|^-{3,}[ \t]*$",
    re.I | re.M,
)
_BEGUN = ("problem:", "question:")
_TELLS = re.compile(r"\banswer[*_ \t]{0,4}(?:is\b|:|=)", re.I)


@dataclass(frozen=True, slots=True)
class Writing:
    """How exams are written and what their golds rest on.

    `asking` makes the call for one candidate, from (problem, sample, batch, batch size), and `answering` the call of
    one answer, from (model, candidate, sample, batch, batch size).
    """

    count: int
    """Problems an exam."""
    writer: str
    golds: tuple[str, ...]
    """The models that answer the candidates."""
    samples: int
    """Answers of each of them to each candidate."""
    agreement: float
    """Share of all these answers, above 0.5, that must be one and the same."""
    asking: Callable[[Problem, int, str, int], Call]
    answering: Callable[[str, Problem, int, str, int], Call]


@dataclass(frozen=True, slots=True)
class Written:
    """The exam that was written for one problem; empty where too little of it could be used.

    `excluded` counts by reason what was dropped, `spent` are the tokens that were computed, by model.
    """

    problems: tuple[Problem, ...]
    excluded: Mapping[str, int] = field(default_factory=dict)
    spent: Mapping[str, int] = field(default_factory=dict)


async def write_exam(problem: Problem, how: Writing, ask: Ask, judge: Judging) -> Written:
    """Have an exam written for one taught problem.

    The same replies give the same exam, so a run that was cut writes it again from what was recorded.

    Args:
        problem: the taught one; its answer and its solution are shown to nobody.
        how: who writes, who answers, and how many must agree.
        ask: the gateway.
        judge: reads the answers; asked about problems without a gold.

    Returns:
        At most `how.count` problems, in the order in which they were written; none where fewer than half of them are
        left. `meta` has the share that agreed.

    Raises:
        DataError: a programming problem, for which tests would have to be written.
    """
    check_kind(problem)
    excluded: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    candidates = await _candidates(problem, how, ask, excluded, spent)
    found = await _with_golds(problem, candidates, how, ask, judge, excluded, spent)
    chosen = tuple(found[: how.count])
    enough = len(chosen) >= math.ceil(FEWEST * how.count)
    return Written(chosen if enough else (), dict(excluded), dict(spent))


def check_kind(problem: Problem) -> None:
    """Refuse a problem for which no exam could be written.

    Raises:
        DataError: a programming problem.
    """
    if problem.kind == "code":
        raise DataError(
            f"problem {problem.id!r}: exams cannot be written for programming problems, which are judged by tests; "
            "find them another way (--exam-select)"
        )


def question_of(text: str, begun: bool = False) -> str | None:
    """The question in a writer's reply: what follows "Problem:", up to the next label; None where there is none.

    Args:
        text: the reply.
        begun: the prompt ended with that label, so the reply begins with the question. Otherwise it is taken from the
            last label, since a model may think about the taught problem first.
    """
    labels = list(_LABEL.finditer("Problem:" + text if begun else text))
    if not labels:
        return None
    body = ("Problem:" + text if begun else text)[labels[0 if begun else -1].end() :]
    end = _END.search(body, 1)
    question = (body if end is None else body[: end.start()]).strip().strip("*").strip()
    return question if 0 < len(question) <= LONGEST else None


async def _candidates(
    problem: Problem, how: Writing, ask: Ask, excluded: Counter[str], spent: Counter[str]
) -> list[Problem]:
    """What the writer wrote and may be in the exam, without golds."""
    size = CANDIDATES * how.count
    bare = replace(problem, answer=None, solution=None, meta=_labels(problem))
    calls = [how.asking(bare, i, f"write {how.writer} {problem.id}", size) for i in range(size)]
    replies = await ask(calls)
    found: list[Problem] = []
    for i, (call, reply) in enumerate(zip(calls, replies, strict=True)):
        spent[call.model] += reply.usage.computed
        question, reason = _read(call, reply)
        written = Problem(f"{problem.id}~written-{i}", question, kind=problem.kind, meta=_labels(problem))
        # Its gold comes later; to the guard it is a problem that will have one.
        reason = reason or kept_out(problem, replace(written, answer=""))
        if reason is None and any(same_question(written, earlier) for earlier in found):
            reason = TWICE
        if reason is not None:
            excluded[reason] += 1
            continue
        found.append(written)
    return found


def _read(call: Call, reply: Reply) -> tuple[str, str | None]:
    """The question that a reply has, and why it cannot be used, if so."""
    if reply.stop == "error":
        return "", FAILED
    if reply.stop == "length":
        return "", CUT
    begun = isinstance(call.prompt, str) and call.prompt.rstrip().lower().endswith(_BEGUN)
    question = question_of(reply.text, begun)
    if question is None:
        return "", UNREAD
    return question, TELLS if _TELLS.search(question) else None


async def _with_golds(
    problem: Problem,
    candidates: Sequence[Problem],
    how: Writing,
    ask: Ask,
    judge: Judging,
    excluded: Counter[str],
    spent: Counter[str],
) -> list[Problem]:
    """The candidates on whose answer enough samples agree; answers that failed or were cut agree with none."""
    size = len(candidates) * how.samples
    asked = [(c, model, i) for c in candidates for model in how.golds for i in range(how.samples)]
    calls = [how.answering(model, c, i, f"gold {model} {problem.id}", size) for c, model, i in asked]
    replies = await ask(calls) if calls else []
    grades = await asyncio.gather(
        *(
            judge(c, reply.text, truncated=reply.stop == "length", failed=reply.stop == "error", exam=True)
            for (c, _, _), reply in zip(asked, replies, strict=True)
        )
    )
    answers: dict[str, list[tuple[str, str]]] = {c.id: [] for c in candidates}
    for (c, model, _), reply, grade in zip(asked, replies, grades, strict=True):
        spent[model] += reply.usage.computed
        if grade.state is GradeState.OK and reply.stop == "stop" and grade.key and grade.answer:
            answers[c.id].append((grade.key, grade.answer))
    found = []
    for c in candidates:
        counts = Counter(key for key, _ in answers[c.id])
        key, votes = counts.most_common(1)[0] if counts else ("", 0)
        share = votes / (how.samples * len(how.golds))
        if share < how.agreement:
            excluded[DISAGREED] += 1
            continue
        gold = next(answer for same, answer in answers[c.id] if same == key)
        found.append(replace(c, answer=gold, meta={**c.meta, "written": True, "agreement": share}))
    return found


def _labels(problem: Problem) -> dict[str, object]:
    """What must be known of a label problem to answer it, and nothing else of what its row said."""
    return {"labels": problem.meta["labels"]} if "labels" in problem.meta else {}
