"""What is known of a run under way: a `Watch` that keeps count, for a display to read from another thread.

How it is shown is left to `progress`. The accuracies are of the problems finished so far, which are not a
random part of all: the final tables are the ones to quote.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from docendo.store import Store
from docendo.types import Choice, Problem

if TYPE_CHECKING:
    from docendo.models.meter import Meter
    from docendo.solve.plan import Settings
    from docendo.solve.road import Solved, Stage

SHOWN = {"greedy": "greedy", "maj": "SC", "sum": "SUM"}
_RECENT_SECONDS = 15.0  # over which replies and tokens per second are taken
_RECENT_PROBLEMS = 40  # from which the time left is taken


class Figures:
    """Counts of one run, written on the event loop's thread and read on any other.

    `folder` is None until the run has one. `done` of `total` problems are finished; `judged` of these have a
    gold answer, and `right` counts those that each rule got right.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder: Path | None = None
        self.total = self.done = self.judged = 0
        self.right: Counter[str] = Counter()
        self.rules: set[str] = set()
        self.meter: Meter | None = None
        self.last: Solved | None = None
        self._clock = clock
        self._began = clock()
        self._parallel = 1
        self._stages: dict[str, Stage] = {}
        self._finishes: deque[float] = deque(maxlen=_RECENT_PROBLEMS + 1)
        self._replied, self._computed = _Recent(), _Recent()
        self._lock = threading.Lock()

    # --- written by the run -------------------------------------------------------------------------------

    def started(self, folder: Path, total: int, done: int, settings: Settings, meter: Meter) -> None:
        """The run begins or goes on; what is finished already is counted from its store."""
        before: dict[str, list[tuple[Choice, bool | None]]] = {}
        if done:
            with Store.read(folder) as view:
                for row in view.decisions():
                    before.setdefault(row.problem, []).append((row.choice, row.correct))
        with self._lock:
            for choices in before.values():
                self._judge(choices)
            self.folder, self.total, self.done, self.meter = folder, total, done, meter
            self._parallel = settings.parallel
            self._finishes.append(self._clock())

    def stage(self, problem: Problem, stage: Stage) -> None:
        """A problem reaches a stage."""
        with self._lock:
            self._stages[problem.id] = stage

    def finished(self, solved: Solved) -> None:
        """A problem is finished."""
        with self._lock:
            self._stages.pop(solved.problem.id, None)
            self.done += 1
            self.last = solved
            self._judge((choice, solved.correct(choice)) for choice in solved.choices.values())
            self._finishes.append(self._clock())

    def _judge(self, choices: Iterable[tuple[Choice, bool | None]]) -> None:
        known = {choice.rule: right for choice, right in choices if right is not None}
        self.judged += bool(known)
        self.rules |= known.keys()
        self.right.update(rule for rule, right in known.items() if right)

    # --- read by a display --------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since this session began."""
        return self._clock() - self._began

    def under_way(self) -> Counter[str]:
        """Problems in each stage now."""
        with self._lock:
            return Counter(self._stages.values())

    def accuracies(self) -> dict[str, float]:
        """The share of the judged problems that each shown rule got right, by its name for people."""
        with self._lock:
            if not self.judged:
                return {}
            return {
                name: self.right[rule] / self.judged for rule, name in SHOWN.items() if rule in self.rules
            }

    def left(self) -> float | None:
        """Seconds left at the recent rate; None while that is not known.

        Problems under way together finish together, so the first few say nothing of the rate.
        """
        with self._lock:
            count = len(self._finishes) - 1
            if count < max(1, min(self._parallel, self.total // 2)):
                return None
            passed = self._clock() - self._finishes[0]
            return (self.total - self.done) * passed / count

    def rate(self) -> float:
        """Replies per second of late, or since the last look where that is longer ago; for one reader."""
        return self._replied.seen(self._clock(), self.meter.total().replied if self.meter else 0)

    def token_rate(self) -> float:
        """Tokens computed per second of late, as `rate`."""
        return self._computed.seen(self._clock(), self.meter.computed() if self.meter else 0)


class _Recent:
    """How fast a count grows."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def seen(self, now: float, count: int) -> float:
        """Note the count at a look; gives its growth per second."""
        looks = self._looks
        looks.append((now, count))
        while len(looks) > 2 and now - looks[1][0] > _RECENT_SECONDS:
            looks.popleft()
        then, before = looks[0]
        return (count - before) / (now - then) if now > then else 0.0
