"""A thousand problems against a server that misbehaves in every usual way, beside one that does not.

    python benchmarks/faults.py
    python benchmarks/faults.py --problems 100

Every call must end answered or recorded as failed; what is answered must be what the well-behaved server says; and
the faults that never pass must be recorded against their own calls and no others. Prints how many calls met which
fault, and what the whole cost in requests and in time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import docendo
from docendo.models.endpoint.faulty import FaultyModel
from docendo.models.endpoint.mock import MockServer
from docendo.models.spec import ModelSpec
from docendo.store import Key

LIMITS = {"attempts": 6, "read_timeout": 3.0, "concurrency": 64}


def solve(model: FaultyModel, folder: Path, count: int) -> float:
    """One run against a model; seconds."""
    problems = [
        docendo.Problem(
            f"p{i}", f"What is {i} plus {i % 7}?", str(i + i % 7), kind="exact", family=str(i // 8)
        )
        for i in range(count)
    ]
    with MockServer(model) as server:
        spec = ModelSpec.model_validate({"model": "openai:m", "base_url": server.url, "limits": LIMITS})
        began = time.perf_counter()
        docendo.solve(
            problems,
            out=folder,
            teacher=spec,
            students=[spec],
            lessons=4,
            exam_problems=2,
            repeats=2,
            equal_cost=False,
            parallel=16,
        )
        return time.perf_counter() - began


def read(folder: Path) -> tuple[dict[Key, str], dict[Key, str], set[Key], int]:
    """Texts of what was answered, errors of what failed, what was sent, and the problems that are finished."""
    with docendo.Store.read(folder) as view:
        answered = {
            key: reply.text for key, reply in view.recorded([row.call for row in view.calls()]).items()
        }
        failed = {row.call: row.error for row in view.errors()}
        return answered, failed, {key for key, _ in view.sent()}, len(view.done_ids())


def main() -> int:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=1000)
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    try:
        calm = FaultyModel(faults=FaultyModel.LASTING + FaultyModel.ODD, slow=0.0)
        rough = FaultyModel(stall=9.0, slow=1.0)
        times = solve(calm, scratch / "calm", given.problems), solve(rough, scratch / "rough", given.problems)
        good, _, _, _ = read(scratch / "calm")
        answered, failed, sent, finished = read(scratch / "rough")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    lost = sent - answered.keys() - failed.keys()
    other = [key for key in answered.keys() & good.keys() if answered[key] != good[key]]
    reasons = Counter(
        "400"
        if "not allowed" in error
        else "500 for ever"
        if "cannot be answered" in error
        else f"other: {error}"
        for error in failed.values()
    )
    strange = {why: count for why, count in reasons.items() if why.startswith("other")}
    print(f"problems finished: {finished:,} of {given.problems:,}")
    print(
        f"calls sent: {len(sent):,}; answered {len(answered):,}; failed {len(failed):,}; neither {len(lost)}"
    )
    print("calls that met a fault:", ", ".join(f"{name} {rough.met[name]:,}" for name in FaultyModel.FAULTS))
    print("failed, by reason:", dict(reasons))
    print(
        f"answered as by the calm server: {len(answered.keys() & good.keys()) - len(other):,} of "
        f"{len(answered.keys() & good.keys()):,} (prompts of the others differ)"
    )
    requests = sum(rough.asked.values()), sum(calm.asked.values())
    print(
        f"requests: {requests[0]:,} against {requests[1]:,}; time {times[0]:.0f} s calm, {times[1]:.0f} s rough"
    )
    whole = finished == given.problems and not lost and not other and not strange
    print("as it should be:", whole and calm.asked.keys() == rough.asked.keys())
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
