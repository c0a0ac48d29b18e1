"""A refining run that is killed (`kill -9`) goes on and ends as if nobody had touched it; real processes, over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from colours import typed
from killing import kill_after, recorded

from docendo.models.endpoint.mock import MockServer
from docendo.store import Store

DOCENDO = [sys.executable, "-m", "docendo"]
QUIET = ["--quiet", "--no-report", "--json"]


def finished(command: list[str]) -> dict:
    done = subprocess.run([*DOCENDO, *command, *QUIET], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    found.pop("bill")  # a call that was in flight is paid twice
    for each in found["rounds"]:
        each.pop("seconds")
    return found


def test_a_run_that_is_killed_goes_on_and_ends_the_same(
    server: MockServer, rows: Path, tmp_path: Path
) -> None:
    calm = finished(typed(server, rows, "--out", str(tmp_path / "calm")))
    total = recorded(tmp_path / "calm")
    rough = tmp_path / "rough"
    command = typed(server, rows, "--out", str(rough))
    kills = 0
    for more in (1, total // 3, total // 4):
        kills += kill_after(more, rough, [*command, *QUIET])
        command = ["refine", "--resume", str(rough)]
    assert kills
    assert finished(command) == calm
    assert recorded(rough) == total
    with Store.read(rough) as view:
        sessions = {row.call: row.session for row in view.calls()}
        again = [key for key, session in view.sent() if sessions[key] < session]
        assert not again
