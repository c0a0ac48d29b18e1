"""What the programs that arms submit pass: of a problem the V-score and the S-score of each arm (paper, section 3.2).

The V-score is the share of visible tests passed, which exams and choices may know; the S-score is the share of hidden
tests passed, which only tables know. Both are read from the verdicts that the store keeps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from docendo.store import SampleRow
from docendo.types import Problem


@dataclass(frozen=True, slots=True)
class Passed:
    """Shares of tests passed, in [0, 1]; None where the problem has no such tests."""

    visible: float | None
    hidden: float | None


@dataclass(slots=True)
class Programs:
    """What is known of the programs written for one problem of kind code.

    Attributes:
        problem: the problem.
        chosen: the program that each arm submits, by arm; None where it has none.
        known: what each program passes; the same text is the same program, whoever wrote it.
        taught: the taught samples' programs, in order, as they became.
        drafts: of revised samples, by index, the program that was there before.
    """

    problem: Problem
    chosen: dict[str, str | None] = field(default_factory=dict)
    known: dict[str, Passed] = field(default_factory=dict)
    taught: list[str | None] = field(default_factory=list)
    drafts: dict[int, str | None] = field(default_factory=dict)

    def add(self, sample: SampleRow) -> None:
        """Take note of a sample; they come in their order."""
        grade = sample.grade
        if grade.answer is not None and grade.detail is not None:
            said = json.loads(grade.detail)
            self.known[grade.answer] = Passed(_share(said.get("visible")), _share(said.get("hidden")))
        if sample.arm == "draft":
            self.drafts[sample.sample] = grade.answer
        elif sample.arm in ("teach", "given"):
            self.taught.append(grade.answer)

    def of(self, program: str | None) -> Passed:
        """What a program passes; one that is not there passes nothing."""
        nothing = {name: 0.0 if self.problem.meta.get(name) else None for name in ("visible", "hidden")}
        return self.known.get(program or "", Passed(**nothing))

    def by_arm(self) -> dict[str, Passed]:
        """What each arm's program passes.

        The oracle's is the taught one that passes the largest share of hidden tests; of one sample it is the mean.
        """
        found = {name: self.of(program) for name, program in self.chosen.items()}
        found["oracle"] = max(map(self.of, self.taught), key=_rank, default=self.of(None))
        if "sc_undebugged" in self.chosen and self.taught:
            found["sample"] = _mean([self.of(p) for p in self.taught])
            before = [self.drafts.get(i, p) for i, p in enumerate(self.taught)]
            found["sample_undebugged"] = _mean([self.of(p) for p in before])
        return found


def _rank(passed: Passed) -> tuple[float, float]:
    return (passed.hidden or 0.0, passed.visible or 0.0)


def _share(counts: Sequence[int] | None) -> float | None:
    return counts[0] / counts[1] if counts else None


def _mean(each: Sequence[Passed]) -> Passed:
    visible, hidden = (
        [share for share in shares if share is not None]
        for shares in ([p.visible for p in each], [p.hidden for p in each])
    )
    return Passed(
        sum(visible) / len(visible) if visible else None, sum(hidden) / len(hidden) if hidden else None
    )
