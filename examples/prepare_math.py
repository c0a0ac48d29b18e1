"""Write the ids of the paper's problems: those of MATH500 that have functional variants in every snapshot of MATH().

`python examples/prepare_math.py MATH500 MATH()` with the two as docendo's readers take them, for instance
`examples/data/math500.jsonl examples/data/math_functional`; the list goes beside the first.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from docendo.data import Notes, stream

SNAPSHOTS = ("2023-10", "2023-11", "2023-12")


def main(math500: str, functional: str) -> None:
    have = Counter(
        problem.family
        for snapshot in SNAPSHOTS
        for problem in stream(f"math-functional:{functional}?snapshot={snapshot}", Notes())
    )
    ids = [p.id for p in stream(f"math500:{math500}") if have[p.family] == len(SNAPSHOTS)]
    out = Path(math500).with_name("math500_functional_ids.json")
    out.write_text(json.dumps({"ids": ids}, indent=1) + "\n", encoding="utf-8")
    print(f"{len(ids)} ids in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
