"""A run that is killed again and again ends as if nobody had touched it, and asks for nothing twice.

Real processes, the real command line, the models that ship; `benchmarks/kills.py` does the same at full size.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from docendo.store import Store

SOLVE = [sys.executable, "-m", "docendo", "solve"]
QUIET = ["--quiet", "--no-report", "--json"]
PLAN = ["--limit", "10", "--lessons", "8", "--exam-problems", "2", "--repeats", "2"]


def table(command):
    done = subprocess.run([*command, *QUIET], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def replies(folder):
    """Every recorded reply with its text, and who was asked for it in which session."""
    with Store.read(folder) as view:
        rows = {row.call: row.session for row in view.calls()}
        texts = {key: reply.text for key, reply in view.recorded(list(rows)).items()}
        return rows, texts, list(view.sent())


def kill_after(command, folder, more):
    """Run `command` and kill it once it has recorded `more` replies in `folder`; whether it was still alive then.

    By what is recorded and not by the clock: a machine may be fast or busy, and a kill must still hit.
    """
    enough = recorded(folder) + more
    with subprocess.Popen(
        [*command, *QUIET], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            if recorded(folder) >= enough:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
    return process.returncode == -signal.SIGKILL


def recorded(folder):
    """Replies in a store that somebody else may be writing, or may not have begun."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder / 'run.sqlite'}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM replies").fetchone()[0]
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path, seed):
    plan = [*PLAN, "--seed", str(seed)]
    calm = table([*SOLVE, *plan, "--out", str(tmp_path / "calm")])
    whole = recorded(tmp_path / "calm")
    rough = tmp_path / "rough"
    rng = random.Random(seed)
    # The first as soon as anything is recorded, while most is still to be asked; the others anywhere.
    command = [*SOLVE, *plan, "--out", str(rough)]
    kills = 0
    for more in [1, *(rng.randint(1, whole // 4) for _ in range(4))]:
        kills += kill_after(command, rough, more)
        command = [*SOLVE, "--resume", str(rough)]
    assert kills
    # Whatever the last kill left, a part or the whole.
    assert table(command) == calm
    rows, texts, sent = replies(rough)
    again = [key for key, session in sent if key in rows and rows[key] < session]
    assert not again
    assert (rows.keys(), texts) == (replies(tmp_path / "calm")[0].keys(), replies(tmp_path / "calm")[1])


def test_the_seed_decides(tmp_path):
    runs = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        table(
            [
                *SOLVE,
                *PLAN,
                "--seed",
                str(seed),
                "--out",
                str(tmp_path / name),
                "--parallel",
                "3" if name == "b" else "8",
            ]
        )
        runs[name] = replies(tmp_path / name)[1]
    assert runs["a"] == runs["b"]
    assert not runs["a"].keys() & runs["c"].keys()
    assert sorted(runs["a"].values()) != sorted(runs["c"].values())
