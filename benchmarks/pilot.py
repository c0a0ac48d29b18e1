"""How well pilots foretell full runs: pilots drawn from finished runs, each set beside the run that it was drawn from.

    python benchmarks/pilot.py RUN [RUN ...] [--pilots 300] [--count 30] [--lessons 8]

RUN is the folder of a finished `docendo solve` with whole exams. A pilot is what `docendo pilot` would have been:
`--count` of the run's problems, drawn at random, and the first `--lessons` of their samples. For each run the gain and
the distinct lessons of a problem: what the run had; what its pilots had themselves, or had in step with their samples,
and what they reckon for the run, each with its mean error, its root mean square error, the width of its 95 % interval,
and how often that held what the run had. Nothing is asked of a model.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from docendo.pilot.reckon import full_gain, full_lessons
from docendo.solve.facts import Facts, gather
from docendo.stats import Interval
from docendo.store import Store


@dataclass(frozen=True, slots=True)
class Judged:
    """Errors of many intervals' means, and the share of intervals that held the truth."""

    off: float
    rmse: float
    held: float
    width: float

    @classmethod
    def of(cls, truth: float, found: Sequence[Interval]) -> Judged:
        error = np.array([(i.mean or 0.0) - truth for i in found])
        held = [i.low <= truth <= i.high for i in found if i.low is not None and i.high is not None]
        width = [i.high - i.low for i in found if i.low is not None and i.high is not None]
        return cls(
            float(error.mean()),
            float(np.sqrt((error**2).mean())),
            float(np.mean(held)),
            float(np.mean(width)),
        )

    def said(self, scale: float, digits: int) -> list[str]:
        figures = [f"{scale * value:.{digits}f}" for value in (self.off, self.rmse, self.width)]
        return [*figures, f"{100 * self.held:.0f} %"]


def first(f: Facts, samples: int) -> Facts:
    return replace(f, keys=f.keys[:samples], right=f.right[:samples], lesson=f.lesson[:samples])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--pilots", type=int, default=300)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--lessons", type=int, default=8)
    arguments = parser.parse_args()
    table = Table(box=None, pad_edge=False)
    for head in ("run", "of", "in the run", "pilots'", "error", "rms", "width", "held"):
        table.add_column(head, justify="left" if head in ("run", "of", "pilots'") else "right", no_wrap=True)
    for folder in arguments.runs:
        with Store.read(folder) as view:
            facts = [f for f in gather(view) if f.problem.judgeable and f.keys]
        most = max(len(f.keys) for f in facts)
        gain = full_gain(facts, "sum", most).mean or 0.0
        distinct = full_lessons(facts, most).mean or 0.0
        small = [first(f, arguments.lessons) for f in facts]
        rng = np.random.default_rng(0)
        found: dict[tuple[str, str], list[Interval]] = {}
        for _ in range(arguments.pilots):
            pilot = [small[i] for i in sorted(rng.choice(len(small), arguments.count, replace=False))]
            for what, lessons in (("own", arguments.lessons), ("reckoned", most)):
                found.setdefault(("gain", what), []).append(full_gain(pilot, "sum", lessons))
                found.setdefault(("lessons", what), []).append(full_lessons(pilot, lessons))
        for what in ("own", "reckoned"):
            figures = Judged.of(gain, found["gain", what]).said(100, 1)
            table.add_row(folder.name, "SUM − SC, points", f"{100 * gain:+.1f}", what, *figures)
        step = most / arguments.lessons
        in_step = [
            replace(i, mean=(i.mean or 0.0) * step, low=(i.low or 0.0) * step, high=(i.high or 0.0) * step)
            for i in found["lessons", "own"]
        ]
        for what, intervals in (("in step", in_step), ("reckoned", found["lessons", "reckoned"])):
            figures = Judged.of(distinct, intervals).said(1, 2)
            table.add_row(folder.name, "lessons a problem", f"{distinct:.2f}", what, *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
