"""How long `import docendo` and `docendo --help` take, as multiples of starting Python itself.

A ratio travels better between machines than milliseconds do. The commands take turns, so that a busy machine
slows all of them, and the median is shown. Run: `python benchmarks/startup.py [ROUNDS]`.
"""

from __future__ import annotations

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


def seconds(arguments: list[str]) -> float:
    start = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for arguments in COMMANDS.values():  # once unmeasured: byte-compiling and the disk cache
        seconds(arguments)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    bare = median(times[BARE])
    print(f"{'command':<16} {'median ms':>9} {'x bare':>7}   ({rounds} rounds)")
    for name, taken in times.items():
        print(f"{name:<16} {1000 * median(taken):>9.0f} {median(taken) / bare:>7.2f}")


if __name__ == "__main__":
    main()
