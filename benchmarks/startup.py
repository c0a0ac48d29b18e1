"""How long `import docendo` and `docendo --help` take, as multiples of starting Python itself.

A ratio travels better between machines than milliseconds do, and the processor's time better than the clock's where
other work is going on: both are shown, in the median. The commands take turns, so that a busy machine slows all of
them. Run: `python benchmarks/startup.py [ROUNDS]`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median
from time import perf_counter

BARE = "python -c pass"
COMMANDS = {
    BARE: ["-c", "pass"],
    "import docendo": ["-c", "import docendo"],
    "docendo --help": ["-m", "docendo", "--help"],
}


def seconds(arguments: list[str]) -> tuple[float, float]:
    """The clock's and the processor's."""
    start = perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return perf_counter() - start, used.ru_utime + used.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for arguments in COMMANDS.values():  # once unmeasured: byte-compiling and the disk cache
        seconds(arguments)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    middle = {name: [median(column) for column in zip(*taken, strict=True)] for name, taken in times.items()}
    print(
        f"{'command':<16} {'clock ms':>9} {'x bare':>7} {'processor ms':>13} {'x bare':>7}   ({rounds} rounds)"
    )
    for name, (clock, used) in middle.items():
        bare = middle[BARE]
        print(
            f"{name:<16} {1000 * clock:>9.0f} {clock / bare[0]:>7.2f} {1000 * used:>13.0f} {used / bare[1]:>7.2f}"
        )


if __name__ == "__main__":
    main()
