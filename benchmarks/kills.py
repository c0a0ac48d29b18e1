"""Kill a run at random moments, go on each time, and hold the end against an undisturbed run's.

    python benchmarks/kills.py --kills 30 --limit 96

Prints how often it was killed, how many recorded replies were asked for again (must be 0), how many calls in
flight were lost, and whether the final tables are the same to the bit (must be).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from docendo.store import Store

SOLVE = [sys.executable, "-m", "docendo", "solve"]
QUIET = ["--quiet", "--no-report", "--json"]


def undisturbed(folder: Path, plan: list[str]) -> tuple[dict[str, object], float]:
    """The final table of a run that nobody stops, and the seconds it took."""
    began = time.perf_counter()
    done = subprocess.run(
        [*SOLVE, *plan, *QUIET, "--out", str(folder)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout), time.perf_counter() - began


def disturbed(
    folder: Path, plan: list[str], kills: int, seconds: float, rng: random.Random
) -> tuple[dict[str, object], int]:
    """The final table of a run that is killed `kills` times, and how many kills hit it alive."""
    hits = 0
    command = [*SOLVE, *plan, *QUIET, "--out", str(folder)]
    # Spread over the work: start-up is paid each time, so a life is a little longer than its share.
    share = seconds / kills
    while hits < kills:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(0.3 + rng.uniform(0, 2.5 * share))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                hits += 1
        if (folder / "run.sqlite").exists():
            command = [*SOLVE, "--resume", str(folder), *QUIET]
            with Store.read(folder) as view:
                if len(view.done_ids()) == sum(1 for _ in view.problems()):
                    break
        elif folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    done = subprocess.run(
        [*SOLVE, "--resume", str(folder), *QUIET], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout), hits


def asked_again(folder: Path) -> tuple[int, int, int]:
    """Recorded replies sent again in a later session; calls sent whose reply was lost; all replies."""
    with Store.read(folder) as view:
        recorded = {reply.call: reply.session for reply in view.calls()}
        sent = list(view.sent())
    again = sum(1 for key, session in sent if key in recorded and recorded[key] < session)
    lost = sum(1 for key, session in sent if key not in recorded or recorded[key] > session)
    return again, lost, len(recorded)


def main() -> int:
    """Run both and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--limit", type=int, default=96, help="problems in the run")
    parser.add_argument("--seed", type=int, default=0, help="of the run and of the moments")
    given = parser.parse_args()
    plan = ["--limit", str(given.limit), "--seed", str(given.seed)]
    scratch = Path(tempfile.mkdtemp())
    try:
        calm, seconds = undisturbed(scratch / "calm", plan)
        print(f"undisturbed: {seconds:.1f} s, {given.limit} problems", flush=True)
        rough, hits = disturbed(scratch / "rough", plan, given.kills, seconds, random.Random(given.seed))
        again, lost, replies = asked_again(scratch / "rough")
        print(
            f"killed {hits} times; {replies} replies recorded; {lost} calls in flight lost; "
            f"{again} recorded replies asked again"
        )
        same = calm == rough
        print("final tables identical:", same)
        return 0 if same and not again else 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
