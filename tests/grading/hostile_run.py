"""Judges every hostile program, several at once, and says what came of each and of the machine; prints JSON.

A script of its own, so that it can be run by another user: `python hostile_run.py FOLDER [SANDBOX]`, with docendo to be
found on PYTHONPATH and FOLDER writable.
"""

from __future__ import annotations

import hashlib
import json
import os
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

LIMITS = Limits(cpu_seconds=1, seconds=4.0, program_seconds=20.0, memory=256 << 20, processes=8)
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


class Descendants(threading.Thread):
    """Every process that this one and its children ever had, as far as frequent looks can tell."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[tuple[int, str]] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.seen |= alive_below(os.getpid())


def alive_below(root: int) -> set[tuple[int, str]]:
    """The (pid, start time) of the descendants of a process."""
    found: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] not in "ZX":
                found[int(entry.name)] = (int(fields[1]), fields[19])
    below, grew = {root}, True
    while grew:
        new = {pid for pid, (parent, _) in found.items() if parent in below} - below
        below |= new
        grew = bool(new)
    return {(pid, found[pid][1]) for pid in below - {root} if pid in found}


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
    victim = subprocess.Popen(["sleep", "600"])
    listener, before = Listener(), contents(home)
    listener.start()
    pool = Pool(ready(sandbox), LIMITS, size=4)
    watch = Descendants()
    watch.start()

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
    finally:
        pool.close()
        watch.over.set()
        watch.join()
        listener.socket.close()
    seen = watch.seen - {one for one in watch.seen if one[0] == victim.pid}
    left = {pid for pid, started in seen if started_at(pid) == started}
    until = time.monotonic() + 10
    while left and time.monotonic() < until:  # the kernel may still be clearing up
        time.sleep(0.05)
        left = {pid for pid, started in seen if started_at(pid) == started}
    alive = victim.poll() is None
    victim.kill()
    victim.wait()
    return {
        "user": os.geteuid(),
        "results": results,
        "right": right,
        "seen": len(seen),
        "processes": sorted({pid for pid, _ in seen}),
        "left": sorted(left),
        "reached": listener.reached,
        "victim alive": alive,
        "unchanged": contents(home) == before,
    }


def started_at(pid: int) -> str | None:
    """When a process that is no zombie started; None where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *sys.argv[2:])))
