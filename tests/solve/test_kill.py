"""A run that is killed again and again ends as if nobody had touched it, and asks for nothing twice.

Real processes, the real command line, the models that ship; `benchmarks/kills.py` does the same at full size.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest
from killing import kill_after, recorded

from docendo.store import Store

SOLVE = ["solve"]
QUIET = ["--quiet", "--no-report", "--json"]
PLAN = ["--limit", "10", "--lessons", "8", "--exam-problems", "2", "--repeats", "2"]


def table(command):
    started = [sys.executable, "-m", "docendo", *command, *QUIET]
    done = subprocess.run(started, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def replies(folder):
    """Every recorded reply with its text, and who was asked for it in which session."""
    with Store.read(folder) as view:
        rows = {row.call: row.session for row in view.calls()}
        texts = {key: reply.text for key, reply in view.recorded(list(rows)).items()}
        return rows, texts, list(view.sent())


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
        kills += kill_after(more, rough, [*command, *QUIET])
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
