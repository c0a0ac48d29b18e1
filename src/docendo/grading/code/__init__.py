"""Code: a problem's tests (`spec`), and what they say of the program in a text.

Finding the program, parsing it and running it all happen in the sandbox (`grading.sandbox`); here its findings become
a `Grade`. Two scores are told apart (paper, section 3.2):

- the **V-score**, the share of *visible* tests passed: all that an exam or a choice may use;
- the **S-score**, the share of *hidden* tests passed: only for reports.

`Grade.key` is how the program acts: programs that give the same results on the inputs of the visible tests and on
inputs generated from them share a key, and so count as one answer.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from docendo.grading.code.spec import CodeSpec
from docendo.grading.sandbox import SandboxError, pool_of, ready, still_works
from docendo.types import Grade, GradeState, Problem

__all__ = ["CodeSpec", "agrade", "fenced", "grade", "grade_of", "job_of"]

GENERATED_INPUTS = 16


def grade(
    problem: Problem, text: str, *, truncated: bool = False, exam: bool = False, sandbox: str = "auto"
) -> Grade:
    """Judge the program in a text; blocks while it runs (tens of milliseconds, or up to its limits).

    Args:
        problem: of kind code.
        text: what a model wrote, in prose and code.
        truncated: the text was cut by a limit: a program is then taken from it only where it was whole before.
        exam: run the visible tests alone; the score is the V-score.
        sandbox: the name of a sandbox, or "auto" for the best that works here.

    Returns:
        The grade. Its `answer` is the program, its `detail` says what came of the tests. Its score is the share of
        tests passed, hidden ones unless `exam`; 0 without a program, None where there are no such tests.

    Raises:
        DataError: the problem's tests are not usable.
        SandboxError: programs cannot be run here.
    """
    job = job_of(problem, text, truncated=truncated, exam=exam)
    pool = pool_of(ready(sandbox))
    return grade_of(job, _sound(pool.judge(job), sandbox))


async def agrade(
    problem: Problem, text: str, *, truncated: bool = False, exam: bool = False, sandbox: str = "auto"
) -> Grade:
    """`grade`, several at once and without blocking the event loop."""
    job = job_of(problem, text, truncated=truncated, exam=exam)
    pool = pool_of(ready(sandbox))
    return grade_of(job, _sound(await pool.ajudge(job), sandbox))


def job_of(problem: Problem, text: str, *, truncated: bool = False, exam: bool = False) -> dict[str, Any]:
    """What a sandbox's pool is asked to judge, for the arguments of `grade`."""
    spec = CodeSpec.of(problem)
    return {
        "text": text,
        "truncated": truncated,
        "entry_point": spec.entry_point,
        "starter": spec.starter,
        "setup": spec.setup,
        "visible": list(spec.visible),
        # What is not sent cannot leak: an exam knows nothing of hidden tests.
        "hidden": [] if exam else list(spec.hidden),
        "behaviour": GENERATED_INPUTS,
    }


def _sound(result: dict[str, Any], sandbox: str) -> dict[str, Any]:
    """The result, where it is the program's and not that of a sandbox that no longer works."""
    if (result["ended"] == "broken" or result["trouble"]) and not still_works(sandbox):
        raise SandboxError(
            f"the sandbox {ready(sandbox)!r} has stopped working ({result['trouble'] or 'it died'}); nothing was "
            "judged by it since; see that the machine has memory and disk space left, then resume"
        )
    return result


def grade_of(job: dict[str, Any], result: dict[str, Any]) -> Grade:
    """The grade that a pool's result comes to."""
    if result["program"] is None:
        cut = result["cut"] or job["truncated"]
        return Grade(GradeState.TRUNCATED) if cut else Grade(GradeState.UNGRADABLE, 0.0)
    counts, which = {}, "hidden" if job["hidden"] else "visible"
    for name in ("visible", "hidden"):
        if job[name]:
            passed = sum(outcome == "passed" for outcome, _ in result[name])
            counts[name] = [passed, len(job[name])]
    score = counts[which][0] / counts[which][1] if which in counts else None
    detail: dict[str, Any] = counts | {"outcomes": _outcomes(result, job)}
    ended = [outcome == "passed" for outcome, _ in result["visible"]]
    if len(ended) < len(job["visible"]) or not all(ended):
        detail["failed"] = ended.index(False) if False in ended else len(ended)
    fault = next((said for outcome, said in result["visible"] if outcome != "passed"), None)
    if fault:
        detail["fault"] = fault
    return Grade(
        GradeState.OK, score, result["program"], result["key"] or "c:none", json.dumps(detail, sort_keys=True)
    )


def _outcomes(result: dict[str, Any], job: dict[str, Any]) -> dict[str, int]:
    """How many tests ended how; those that were never reached (its time was over, or all died) are "not reached"."""
    counts = Counter(outcome for name in ("visible", "hidden") for outcome, _ in result[name])
    left = len(job["visible"]) + len(job["hidden"]) - counts.total()
    return dict(counts) | ({"not reached": left} if left else {})


def fenced(program: str) -> str:
    """A program as a model would write it, in a fence: for programs that are given and not sampled."""
    return f"```python\n{program}\n```"
