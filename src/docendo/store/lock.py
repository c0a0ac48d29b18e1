"""One writer a run: a lock that the operating system frees however its process ends.

It is a POSIX record lock (`lockf`), not `flock`: a forked worker that outlives a killed run would inherit the
latter and keep the run closed. Record locks do not hold within one process, hence the register beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from docendo.errors import StoreError

NAME = "run.lock"

_held: dict[Path, int] = {}  # run folders which this process (or the one it was forked from) has open


class Lock:
    """The right to write into one run folder, held from construction to `release`."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            StoreError: another process (the message names its pid) or another `Store` here has it, or the
                folder cannot be written.
        """
        self._folder = folder.resolve()
        self._path = folder / NAME
        self._fd = -1
        if self._folder in _held:
            raise _taken(folder, str(_held[self._folder]))
        try:
            while self._fd < 0:
                self._fd = _attempt(folder, self._path)
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot be written ({error.strerror}); nothing that was recorded is lost. "
                f"Mend that, then `docendo solve --resume {folder}`; a report can be made without."
            ) from error
        with contextlib.suppress(OSError):  # a disk too full even for this is met, and explained, by SQLite
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        _held[self._folder] = os.getpid()

    def release(self) -> None:
        """Give the lock back and take its file away; safe to call twice."""
        if self._fd < 0:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1
        del _held[self._folder]


def _attempt(folder: Path, path: Path) -> int:
    """A locked file descriptor, or -1 where the file went away meanwhile (its holder had just ended)."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:  # the two faces of "locked by another" in POSIX
        pid = os.pread(fd, 20, 0).decode("ascii", "replace")
        os.close(fd)
        raise _taken(folder, pid or "unknown") from error
    except OSError:
        os.close(fd)
        raise
    try:
        if os.path.samestat(os.fstat(fd), os.stat(path)):
            return fd
    except FileNotFoundError:
        pass
    os.close(fd)
    return -1


def _taken(folder: Path, pid: str) -> StoreError:
    return StoreError(
        f"{folder}: this run is being written by process {pid}; wait for it or end it, then try again"
    )
