"""Kill a run at random moments, go on each time, and hold the end against an undisturbed run's.

    python benchmarks/kills.py --kills 30 --limit 96
    python benchmarks/kills.py --kills 100 --endpoint

Prints how often it was killed, how many recorded replies were asked for again (must be 0), how many calls in
flight were lost, and whether the final tables are the same to the bit (must be). With `--endpoint` the models are
behind a server on this machine, which counts for itself: a call that was recorded before a kill must not come again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from docendo.models.endpoint import wire
from docendo.models.endpoint.faulty import FaultyModel
from docendo.models.endpoint.mock import Answer, MockServer, Request
from docendo.store import Store

SOLVE = [sys.executable, "-m", "docendo", "solve"]
QUIET = ["--quiet", "--no-report", "--json"]


def undisturbed(folder: Path, plan: list[str]) -> dict[str, object]:
    """The final table of a run that nobody stops."""
    done = subprocess.run(
        [*SOLVE, *plan, *QUIET, "--out", str(folder)], check=True, capture_output=True, text=True
    )
    table: dict[str, object] = json.loads(done.stdout)
    return table


def recorded(folder: Path) -> int:
    """Replies in a store that somebody else may be writing, or may not have begun."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'run.sqlite'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT COUNT(*) FROM replies").fetchone()[0])
    except sqlite3.Error:
        return 0


def killed(command: list[str], folder: Path, more: int, delay: float) -> bool:
    """Run a command, and kill it `delay` seconds after it recorded `more` replies; whether it was alive then.

    By what is recorded, as a busy machine may need seconds to start a process and a calm one none.
    """
    enough = recorded(folder) + more
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if recorded(folder) >= enough:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
    return process.returncode == -signal.SIGKILL


def disturbed(
    folder: Path, plan: list[str], kills: int, calls: int, rng: random.Random, counter: Counter | None
) -> tuple[dict[str, object], int]:
    """The final table of a run of `calls` calls that is killed `kills` times, and how many kills hit it alive."""
    hits = 0
    command = [*SOLVE, *plan, *QUIET, "--out", str(folder)]
    for _ in range(kills):
        if counter is not None:
            counter.note(folder)
        # Spread over the work; now and then before anything was recorded, some of these while it still starts.
        more = 0 if rng.random() < 0.1 else rng.randrange(1, max(2, calls // kills))
        hits += killed(command, folder, more, rng.uniform(0, 0.05 if more else 1.0))
        if (folder / "run.sqlite").exists():
            command = [*SOLVE, "--resume", str(folder), *QUIET]
    if counter is not None:
        counter.note(folder)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout), hits


class Counter:
    """A server's own count of what came again although it was recorded; a call is known by its seed."""

    def __init__(self) -> None:
        self.again = self.requests = self.twice = 0
        self._model = FaultyModel(faults=())
        self._recorded: set[int] = set()

    def __call__(self, request: Request) -> Answer:
        """The answer to a request."""
        self.requests += 1
        self.again += request.json["seed"] in self._recorded
        return self._model(request)

    def note(self, folder: Path) -> None:
        """Read what is recorded now, before the next life begins."""
        if (folder / "run.sqlite").exists():
            with Store.read(folder) as view:
                self._recorded = {wire.seed_of_key(row.call) for row in view.calls()}

    def reset(self) -> None:
        """Forget what came so far."""
        self.again, self._model = 0, FaultyModel(faults=())

    def end(self) -> None:
        """What the server was asked more than once, in all."""
        self.twice = sum(count - 1 for count in self._model.asked.values())


def sums(path: Path, count: int) -> None:
    """A file of problems that the mock model answers."""
    rows = (
        {
            "id": f"p{i}",
            "question": f"What is {i} plus {i % 7}?",
            "answer": str(i + i % 7),
            "kind": "exact",
            "family": str(i // 8),
        }
        for i in range(count)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


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
    parser.add_argument("--endpoint", action="store_true", help="models behind a server on this machine")
    given = parser.parse_args()
    plan = ["--limit", str(given.limit), "--seed", str(given.seed)]
    scratch = Path(tempfile.mkdtemp())
    counter = Counter() if given.endpoint else None
    server = MockServer(counter) if counter is not None else None
    try:
        if server is not None:
            sums(scratch / "sums.jsonl", given.limit)
            plan += [str(scratch / "sums.jsonl"), "--base-url", server.url]
            plan += ["--teacher", "openai:mock", "--student", "openai:mock"]
            plan += ["--lessons", "8", "--exam-problems", "2", "--repeats", "2", "--no-equal-cost"]
        calm, calls = undisturbed(scratch / "calm", plan), recorded(scratch / "calm")
        print(f"undisturbed: {given.limit} problems, {calls} calls", flush=True)
        if counter is not None:
            before, counter.requests = counter.requests, 0
            counter.reset()
        rng = random.Random(given.seed)
        rough, hits = disturbed(scratch / "rough", plan, given.kills, calls, rng, counter)
        again, lost, replies = asked_again(scratch / "rough")
        print(
            f"killed {hits} times; {replies} replies recorded; {lost} calls in flight lost; "
            f"{again} recorded replies asked again"
        )
        if counter is not None:
            counter.end()
            again += counter.again
            print(
                f"the server: {counter.requests:,} requests against {before:,} undisturbed; {counter.twice:,} calls "
                f"came more than once, {counter.again} of them after they were recorded"
            )
        same = calm == rough
        print("final tables identical:", same)
        return 0 if same and not again else 1
    finally:
        if server is not None:
            server.close()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
