"""Where the engine's time goes, and how it grows: measured in one process, on one core, for `engine_throughput.py`.

    python benchmarks/engine_parts.py parts TASK | growth TASK...

Prints JSON. Times are processor time of this process.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from engine_ways import TEMPERATURE, Task

from docendo.models.engine import Engine, Request, decode, generate, llama, prefill

REPEATS = 3


class Clock:
    """Time by name, each moment counted once: what a timed function calls that is timed too is not its own."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def wrap(self, name: str, work: Callable[..., Any], within: str | None = None) -> Callable[..., Any]:
        """`work`, timed as `name`; only where `within` is being timed, if that is given."""

        def timed(*args: Any, **named: Any) -> Any:
            if within is not None and self._open[-1:] != [within]:
                return work(*args, **named)
            self._turn()
            self._open.append(name)
            try:
                return work(*args, **named)
            finally:
                self._turn()
                self._open.pop()

        return timed


class Products:
    """NumPy, but for its `matmul`."""

    def __init__(self, numpy: Any, matmul: Callable[..., Any]) -> None:
        self._numpy, self.matmul = numpy, matmul

    def __getattr__(self, name: str) -> Any:
        return getattr(self._numpy, name)


def watch(clock: Clock) -> None:
    """Put the clock around the engine's parts; for the rest of this process."""
    plain: Any = llama
    rest = "norms, activations, rotary positions"
    # Not within attention, whose softmax multiplies by ones in the same module.
    plain.np = Products(plain.np, clock.wrap("products with weights", plain.np.matmul, within=rest))
    plain.Llama.layer = clock.wrap(rest, plain.Llama.layer)
    plain.Llama.logits = clock.wrap(rest, plain.Llama.logits)
    for module, owner, method, name in (
        (decode, "_Layout", "attend", "attention of answers"),
        (decode, "_Layout", "__init__", "copying keys and values into tiles"),
        (prefill, "_TreeAttention", "__call__", "attention of prompts"),
        (prefill, "_Masks", "__init__", "attention of prompts"),
        (generate, "_Batch", "__init__", "planning tree and tiles"),
    ):
        cls: Any = getattr(module, owner)
        setattr(cls, method, clock.wrap(name, getattr(cls, method)))
    gen: Any = generate
    gen.draw = clock.wrap("drawing tokens", gen.draw)
    gen.Engine.generate = clock.wrap("all else", gen.Engine.generate)


def requests_of(task: Task) -> list[list[Request]]:
    return [
        [Request(ids, new, temperature=TEMPERATURE, key=i) for i, (ids, _, new) in enumerate(batch)]
        for batch in task.batches
    ]


def parts(path: str) -> dict[str, float]:
    """Seconds by part, for the whole task on one core."""
    task, clock = Task.read(path), Clock()
    engine, batches = Engine(task.folder), requests_of(Task.read(path))
    for batch in batches:
        engine.generate(batch)
    watch(clock)
    for _ in range(REPEATS):
        for batch in batches:
            engine.generate(batch)
    return {name: seconds / REPEATS for name, seconds in clock.seconds.items()}


def growth(paths: list[str]) -> list[float]:
    """For each task, samples a second of one core; the tasks take turns."""
    tasks = [Task.read(path) for path in paths]
    engines = {task.folder: Engine(task.folder) for task in tasks}
    rates: list[list[float]] = [[] for _ in tasks]
    for turn in range(REPEATS + 1):
        for task, rate in zip(tasks, rates, strict=True):
            start = time.process_time()
            for batch in requests_of(task):
                engines[task.folder].generate(batch)
            if turn:
                rate.append(len(task.samples) / (time.process_time() - start))
    return [statistics.median(rate) for rate in rates]


if __name__ == "__main__":
    print(json.dumps(parts(sys.argv[2]) if sys.argv[1] == "parts" else growth(sys.argv[2:])))
