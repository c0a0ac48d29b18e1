"""Judges every hostile program, several at once, and says what came of each and of the machine; prints JSON.

A script of its own, so that it can be run by another user: `python hostile_run.py FOLDER [SANDBOX]`, with docendo to be
found on PYTHONPATH and FOLDER writable.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docendo.grading.code import grade_of, job_of
from docendo.grading.sandbox import Limits, Pool, ready
from docendo.types import Problem

sys.path.insert(0, str(Path(__file__).parent))
from hostile_programs import PROGRAMS, WRONG

# What only waits takes all of its seconds; what is right needs few, also on a busy machine.
LIMITS = Limits(cpu_seconds=1, seconds=12.0, program_seconds=40.0, memory=256 << 20, processes=8)
TESTS = [{"args": [3], "expected": 6}, "assert double(-5) == -10"]
PROBLEM = Problem("double", "Write double(n).", kind="code", meta={"entry_point": "double", "hidden": TESTS})


class Listener(threading.Thread):
    """A server on this machine that a program must not reach, and whose answer would be the right one."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.reached = self.socket.getsockname()[1], 0

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.reached += 1
            with connection:
                connection.sendall(b"6")


def adopt_orphans() -> None:
    """Have Linux make every orphan among this process's descendants its child: none gets out of sight."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0):  # PR_SET_CHILD_SUBREAPER
        raise OSError(ctypes.get_errno(), "prctl")


def below(root: int) -> set[int]:
    """The descendants of a process that have not ended."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state not in "ZX":
                parents[int(entry.name)] = int(parent)
    found, grew = {root}, True
    while grew:
        new = {pid for pid, parent in parents.items() if parent in found} - found
        found |= new
        grew = bool(new)
    return found - {root}


def orphan() -> int:
    """A process that left its parent's session and lost it: such as a program that stays would leave."""
    script = "sleep 600 >/dev/null & echo $!"
    said = subprocess.run(["setsid", "sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout
    return int(said)


def contents(folder: Path) -> str:
    """A digest of a folder: names, modes, contents."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path.relative_to(folder)} {path.lstat().st_mode}".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def main(folder: Path, sandbox: str = "bubblewrap") -> dict[str, Any]:
    """Judge all programs."""
    home = folder / "home"
    home.mkdir()
    (home / "secret.txt").write_text("sixsix")  # six characters: who reads it knows the answer
    os.environ["DOCENDO_TEST_SECRET"] = "6"
    ours = sandbox == "bubblewrap"  # containers are their engine's, and no descendants of this process
    if ours:
        adopt_orphans()
    victim = subprocess.Popen(["sleep", "600"])
    listener, before = Listener(), contents(home)
    listener.start()
    pool = Pool(ready(sandbox), LIMITS, size=4)

    def judged(program: str) -> dict[str, Any]:
        text = program if "def double" in program else WRONG + program
        for word, value in {
            "CANARY": home / "secret.txt",
            "VICTIM": victim.pid,
            "PORT": listener.port,
        }.items():
            text = text.replace(word, str(value))
        job = job_of(PROBLEM, text) | {"behaviour": 0}
        result = pool.judge(job)
        grade = grade_of(job, result)
        return {
            "state": grade.state.value,
            "score": grade.score,
            "detail": grade.detail,
            "ended": result["ended"],
        }

    try:
        with ThreadPoolExecutor(4) as threads:
            results = dict(zip(PROGRAMS, threads.map(judged, PROGRAMS.values()), strict=True))
        right = judged("def double(n):\n    return 2 * n\n")
        workers = below(os.getpid()) - {victim.pid}
    finally:
        pool.close()
        listener.socket.close()
    planted = orphan()
    seen = planted in below(os.getpid())
    os.kill(planted, signal.SIGKILL)
    until = time.monotonic() + (120 if ours else 0)
    while (left := below(os.getpid()) - {victim.pid}) and time.monotonic() < until:
        time.sleep(0.05)  # the kernel may still be clearing up
    alive = victim.poll() is None
    victim.kill()
    victim.wait()
    return {
        "user": os.geteuid(),
        "results": results,
        "right": right,
        "orphan seen": seen,
        "processes": sorted(workers),
        "left": sorted(left),
        "reached": listener.reached,
        "victim alive": alive,
        "unchanged": contents(home) == before,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *sys.argv[2:])))
