"""Processes of docendo that are killed (`kill -9`) in the midst of a run.

A kill comes by what is recorded and never by the clock, so that it hits on a fast machine and on a busy one. Whoever
is to kill may be late all the same: so the process stops by itself some replies later, and waits.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# `docendo` itself, but that it stops (SIGSTOP) once it has recorded so many replies.
_STOPPING = """
import ctypes, os, signal, sys
if sys.platform == "linux":  # what is stopped would outlive whoever started it
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
from docendo.cli import main
from docendo.store import Store

left, record = int(sys.argv[1]), Store.record

def stopping(store, sent, replies):
    global left
    record(store, sent, replies)
    left -= len(replies)
    if left <= 0:
        os.kill(os.getpid(), signal.SIGSTOP)

Store.record = stopping
sys.exit(main(sys.argv[2:]))
"""


def recorded(folder: Path, table: str = "replies") -> int:
    """Replies in a run that somebody else may be writing, or may not have begun; or rows of another table."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder / 'run.sqlite'}?mode=ro", uri=True)) as db:
            return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    except sqlite3.Error:
        return 0


def kill_after(more: int, folder: Path, command: Sequence[str], spare: int = 20) -> bool:
    """Whether `docendo COMMAND` was killed, once it had recorded `more` replies in `folder` and before `spare` more.

    Where it does not have so many left to record, it comes to its end.
    """
    enough = recorded(folder) + more
    started = [sys.executable, "-c", _STOPPING, str(more + spare), *command]
    with subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if recorded(folder) >= enough:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
    return process.returncode == -signal.SIGKILL
