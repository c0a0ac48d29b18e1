"""What a tuning came to, as values: its rounds, which teacher was kept, and what that one is worth.

They are made in `run`, kept as result.json, and shown by the command line and the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docendo.tune.evaluate import Change, change_json
from docendo.tune.pairset import PairSet
from docendo.tune.train import Trained


@dataclass(frozen=True, slots=True)
class Round:
    """One round: what was learnt from, and what came of it.

    Attributes:
        number: from 1 on.
        folder: of its pairs, exports and training.
        runs: the runs that its pairs are from.
        pairs: what was learnt from.
        exports: sets that were written.
        trained: None where nothing was trained.
        held_out: its teacher on the held-out problems against the first one, where there are such problems.
    """

    number: int
    folder: Path
    runs: tuple[str, ...]
    pairs: PairSet
    exports: tuple[Path, ...] = ()
    trained: Trained | None = None
    held_out: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Tested:
    """The first and the final teacher on one set of problems."""

    problems: str
    alone: tuple[Change, ...]
    m1: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuning that ended.

    Attributes:
        folder: its own.
        rounds: in order.
        best: the number of the round whose teacher was kept; 0 where no round was better than the first teacher, None
            where nothing was trained.
        tests: what the teacher that was kept is worth.
        notes: what a reader should know.
    """

    folder: Path
    rounds: tuple[Round, ...]
    best: int | None = None
    tests: tuple[Tested, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def teacher(self) -> str | None:
        """The name by which docendo opens the teacher that was kept; None where that is the first one, or none."""
        kept = self.rounds[self.best - 1].trained if self.best else None
        return kept.spec if kept is not None else None

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "teacher": self.teacher,
            "best": self.best,
            "rounds": [
                {
                    "number": r.number,
                    "runs": list(r.runs),
                    "pairs": {"train": len(r.pairs.train), "validation": len(r.pairs.validation)},
                    "exports": [str(path) for path in r.exports],
                    "training": _trained_json(r.trained),
                    "held_out": [change_json(change) for change in r.held_out],
                }
                for r in self.rounds
            ],
            "tests": [
                {
                    "problems": t.problems,
                    "alone": [change_json(change) for change in t.alone],
                    "m1": [change_json(change) for change in t.m1],
                }
                for t in self.tests
            ],
            "notes": list(self.notes),
        }


def _trained_json(trained: Trained | None) -> dict[str, Any] | None:
    if trained is None:
        return None
    names = ("steps", "step", "pairs", "validation", "long", "tokens", "seconds")
    return {"model": str(trained.model), "teacher": trained.spec} | {n: getattr(trained, n) for n in names}
