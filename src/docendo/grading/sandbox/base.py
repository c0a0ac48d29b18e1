"""What a sandbox is: a way to start Python shut away, with two pipes to talk through, and limits that hold.

Programs and tests are no business of a sandbox; the isolation behind it (bubblewrap, a container engine, none) is none
of its users'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from docendo.errors import DocendoError


class SandboxError(DocendoError):
    """Programs cannot be run shut away from this machine here; the message says what is missing and how to get it."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Attributes:
        cpu_seconds: of processor time in one test, at least 1.
        seconds: of wall time in one test; longer than `cpu_seconds`, as a busy machine is no fault of a program.
        program_seconds: of wall time for all of a program's tests together.
        memory: bytes of address space of each of its processes; None for what the machine gives.
        processes: processes and threads at once.
        file_bytes: size of a file it writes, and of all its files together.
    """

    cpu_seconds: int = 5
    seconds: float = 30.0
    program_seconds: float = 120.0
    memory: int | None = 512 << 20
    processes: int = 16
    file_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Start:
    """How to start shut-away Python: the command, file descriptors it inherits, and what stops it.

    `uid` is the user that the process must become by itself before it runs anything it was sent, or None where it is
    without rights from the start. `same_python` says that it is this very Python, so that compiled code can be sent.
    `stop` is a command that ends it where killing the started process does not; without one that is killed. `groups`
    are control groups that were made for it, which it enters before anything else and which are removed after its end.
    `relayed` says that somebody copies bytes between it and the process that is started, so that no descriptor can be
    handed to it. `filters` are filters of system calls by machine, one of which it must take on by itself. `folder` is
    where the command runs, if not where we do.
    """

    command: Sequence[str]
    pass_fds: Sequence[int] = ()
    uid: int | None = None
    same_python: bool = True
    stop: Sequence[str] | None = None
    groups: Sequence[str] = ()
    relayed: bool = False
    filters: Sequence[tuple[str, bytes]] = ()
    folder: str | None = None


class Sandbox(Protocol):
    """A kind of isolation."""

    @property
    def name(self) -> str:
        """As it is called in settings and messages."""

    def start(self, limits: Limits, slot: int) -> Start:
        """How to start one more process group shut away from everything; `slot` numbers those of one worker apart."""

    def missing(self) -> str | None:
        """Why it cannot be used here at a glance (no such program), or None; a trial run says the rest."""
