"""How the road has texts judged: through the grading door, without holding up the loop, and no program twice.

Running a program costs a thousand times what reading an answer does, so verdicts on programs are kept as they come
(in the run's store, where there is one) and found again, by a resumed run and for a text that was written before.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from typing import Protocol

from docendo.grading import agrade
from docendo.types import Grade, GradeState, Problem

MOST_SEEN = 20_000
_SEEN: dict[tuple[str, str], Grade] = {}
"""Verdicts of this process, the oldest first: runs of one study ask about the same programs again and again."""


class Verdicts(Protocol):
    """Where verdicts on programs are kept, by a digest of what was judged."""

    def verdict(self, key: str) -> Grade | None:
        """The one that was kept, if any."""

    def record_verdict(self, key: str, problem: str, exam: bool, grade: Grade) -> None:
        """Keep one."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the replies of one run. `sandbox` is where programs run (see `grading.grade`)."""

    sandbox: str = "auto"
    kept: Verdicts | None = None
    _under_way: dict[str, asyncio.Task[Grade]] = field(default_factory=dict, repr=False, compare=False)

    async def __call__(
        self,
        problem: Problem,
        text: str,
        *,
        truncated: bool = False,
        failed: bool = False,
        exam: bool = False,
    ) -> Grade:
        """Judge one text; see `grading.grade` for the arguments."""
        if problem.kind != "code" or failed:
            return await agrade(problem, text, truncated=truncated, failed=failed)
        key = _digest(problem, text, truncated, exam)
        known = self.kept.verdict(key) if self.kept is not None else None
        if known is not None:
            return known
        if (known := _SEEN.get((self.sandbox, key))) is not None:
            if self.kept is not None:
                self.kept.record_verdict(key, problem.id, exam, known)
            return known
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._run(key, problem, text, truncated, exam))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _run(self, key: str, problem: Problem, text: str, truncated: bool, exam: bool) -> Grade:
        grade = await agrade(problem, text, truncated=truncated, exam=exam, sandbox=self.sandbox)
        if self.kept is not None:
            self.kept.record_verdict(key, problem.id, exam, grade)
        if grade.state in (GradeState.OK, GradeState.UNGRADABLE):
            _SEEN[self.sandbox, key] = grade
            while len(_SEEN) > MOST_SEEN:
                del _SEEN[next(iter(_SEEN))]
        return grade


def _digest(problem: Problem, text: str, truncated: bool, exam: bool) -> str:
    said = json.dumps([problem.id, dict(problem.meta), text, truncated, exam], sort_keys=True, default=str)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
