"""The one door through which every judgement "is this answer right" passes.

`grade` reads the answer out of a text and compares it with the problem's gold answer; `answer_key` is the
same equivalence without a text. One file a kind does the reading and the keys; nothing here evaluates or imports
what a model wrote (programs run in a sandbox, see `code`), and nothing here knows lessons, students or votes.

Two answers are the same answer exactly when their keys are equal. Against a gold answer more may be accepted, in
one place, `_same`. Formulas are read in worker processes (`judge`), which bound what they cost.
"""

from __future__ import annotations

import json

from docendo.errors import ConfigError, GradingError
from docendo.grading import code, exact, judge, label, math
from docendo.grading.extract import Found
from docendo.types import KINDS, Grade, GradeState, Kind, Problem

__all__ = ["agrade", "answer_key", "grade"]


def grade(
    problem: Problem,
    text: str,
    *,
    truncated: bool = False,
    failed: bool = False,
    exam: bool = False,
    sandbox: str = "auto",
) -> Grade:
    """Judge one text against one problem.

    Args:
        problem: its `kind` says how the answer is read, its `answer` is the gold (None: no score is given).
        text: what a model or a person wrote, of any length and content; the cost is linear in it.
        truncated: the text was cut by a limit. It is then graded only if it states its answer explicitly
            (boxed or labelled) and the cut cannot have shortened that answer.
        failed: there is no text, because the call failed.
        exam: it answers an exam problem: of code, only the visible tests are run then.
        sandbox: where programs are run: the name of a sandbox, or "auto" for the best that works here.

    Returns:
        The grade; see `GradeState` for what each state says and how it counts.

    Raises:
        ConfigError: no such kind of problem.
        DataError: a label problem whose `meta["labels"]` is not a list of texts, or a code problem whose tests cannot
            be used.
        SandboxError: programs cannot be run here.
    """
    if failed:
        return Grade(GradeState.FAILED)
    if problem.kind == "code":
        return code.grade(problem, text, truncated=truncated, exam=exam, sandbox=sandbox)
    try:
        return _judged(problem, text, truncated)
    except GradingError as error:
        return Grade(GradeState.FAILED, detail=json.dumps({"failed": str(error)}))


def _judged(problem: Problem, text: str, truncated: bool) -> Grade:
    found = _read(problem, text)
    if truncated and (found is None or not found.complete):
        return Grade(GradeState.TRUNCATED)
    if found is None:
        return Grade(GradeState.UNGRADABLE, score=None if problem.answer is None else 0.0)
    key = answer_key(problem.kind, found.text)
    if problem.answer is None:
        return Grade(GradeState.OK, None, found.text, key)
    right = _same(problem.kind, problem.answer, found.text)
    return Grade(GradeState.OK, 1.0 if right else 0.0, found.text, key)


async def agrade(
    problem: Problem,
    text: str,
    *,
    truncated: bool = False,
    failed: bool = False,
    exam: bool = False,
    sandbox: str = "auto",
) -> Grade:
    """`grade` without holding up the event loop: programs run in workers, several at once.

    Most other texts are judged at once. One whose formula a worker process must be asked about is judged on a thread
    of the grader's own.
    """
    if problem.kind == "code" and not failed:
        return await code.agrade(problem, text, truncated=truncated, exam=exam, sandbox=sandbox)
    try:
        with judge.nowait():
            return grade(problem, text, truncated=truncated, failed=failed)
    except judge.WouldWait:
        return await judge.aside(lambda: grade(problem, text, truncated=truncated, failed=failed))


def answer_key(kind: Kind, answer: str) -> str:
    r"""Return the text that equivalent answers share, such as `n:3/4` for 0.75, 3/4 and \frac{3}{4}.

    Keys begin with `n:` (an exact number), `v:` (another number), `e:` (a formula with letters), `t:` (a list, tuple,
    interval, matrix, equation) or `s:` (words, and what is no known form); keys of different kinds of problem are not
    comparable.

    Raises:
        ConfigError: answers of this kind cannot be compared.
        GradingError: the answer takes more time or memory than it may.
    """
    if kind == "math":
        return math.key(answer)
    if kind in ("label", "exact"):
        return exact.key(answer)
    raise _unsupported(kind)


def _read(problem: Problem, text: str) -> Found | None:
    if problem.kind == "math":
        return math.read(text)
    if problem.kind == "label":
        return label.read(text, label.labels_of(problem))
    if problem.kind == "exact":
        return exact.read(text)
    raise _unsupported(problem.kind)


def _same(kind: Kind, gold: str, answer: str) -> bool:
    if kind == "math":
        return math.same(gold, answer)
    return answer_key(kind, gold) == answer_key(kind, answer)


def _unsupported(kind: str) -> ConfigError:
    if kind == "code":
        return ConfigError(
            "programs are compared by how they act: see grading.code, not by a key of their text"
        )
    return ConfigError(f"problems of kind {kind!r} cannot be graded; the kinds are {', '.join(KINDS)}")
