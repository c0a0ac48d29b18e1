"""What a process gives up before it runs anything it was sent: its user, and all but little of the machine."""

from __future__ import annotations

import os
import resource

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal  # see `runner`


def give_up(settings: dict[str, Any]) -> None:
    """Become the user `settings["uid"]` (None: stay who one is), for good, and take on the limits.

    Limits: bytes of memory (address space), processes, bytes of a file. No core dumps, no message queues, no locked
    memory, 64 open files. None of them can be raised again without rights.
    """
    uid = settings["uid"]
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid):
            os._exit(3)
    for name, value in (
        ("AS", settings["memory"]),
        ("NPROC", settings["processes"]),
        ("FSIZE", settings["file_bytes"]),
        ("NOFILE", 64),
        ("CORE", 0),
        ("MSGQUEUE", 0),
        ("MEMLOCK", 0),
    ):
        limit = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(limit)
        if value is not None and (most == resource.RLIM_INFINITY or value < most):
            resource.setrlimit(limit, (value, value))


def limit_cpu(seconds: int) -> None:
    """End this process after so many seconds of processor time; its children start at nothing again."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def limit_trial(seconds: float) -> None:
    """End this process after so much more processor time; a program could switch it off, unlike `limit_cpu`."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
