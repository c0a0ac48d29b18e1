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

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # of prctl


def give_up(settings: dict[str, Any]) -> None:
    """Take on the filter, become the user `settings["uid"]` (None: stay who one is), for good, and take on the limits.

    Limits: bytes of memory (address space), processes, bytes of a file. No core dumps, no message queues, no locked
    memory, 64 open files. None of them can be raised again without rights.
    """
    take_filter(settings["filters"])
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


def take_filter(programs: tuple[tuple[str, bytes], ...]) -> None:
    """Have the kernel refuse system calls from now on, by the filter among `programs` that is for this machine.

    For where nobody outside could set it (`seccomp` has what is refused); for other machines there is none.

    Raises:
        OSError: the kernel does not take it.
    """
    machine = os.uname()
    program = dict(programs).get(machine.machine) if machine.sysname == "Linux" else None
    if program is None:
        return
    import ctypes  # only here: other sandboxes start without it
    import struct

    kept = ctypes.create_string_buffer(program, len(program))
    given = struct.pack("HP", len(program) // 8, ctypes.addressof(kept))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong]
    if prctl(_NO_NEW_PRIVILEGES, 1, None, 0, 0) or prctl(_SECCOMP, _FILTER, given, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"the filter of system calls cannot be set: {os.strerror(error)}")


def limit_cpu(seconds: int) -> None:
    """End this process after so many seconds of processor time; its children start at nothing again."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def limit_trial(seconds: float) -> None:
    """End this process after so much more processor time; a program could switch it off, unlike `limit_cpu`."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
