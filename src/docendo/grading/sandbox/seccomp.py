"""A seccomp filter, assembled by hand: system calls that a program under test never needs are refused.

A second wall behind namespaces and an unprivileged user: it narrows what of the kernel can be reached at all. It is a
list of refusals, not of permissions, so that Python and its modules keep working on any C library. On machines other
than x86-64 and ARM64 there is no filter.
"""

from __future__ import annotations

import platform
import struct

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag of clone

# (audit architecture, {name: number})
_X86_64 = (
    0xC000003E,
    {
        "clone": 56,
        "clone3": 435,
        "socket": 41,
        "connect": 42,
        "bind": 49,
        "listen": 50,
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "chroot": 161,
        "unshare": 272,
        "setns": 308,
        "open_tree": 428,
        "move_mount": 429,
        "fsopen": 430,
        "fsconfig": 431,
        "fsmount": 432,
        "fspick": 433,
        "mount_setattr": 442,
        "keyctl": 250,
        "add_key": 248,
        "request_key": 249,
        "bpf": 321,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "io_uring_register": 427,
        "kexec_load": 246,
        "kexec_file_load": 320,
        "init_module": 175,
        "finit_module": 313,
        "delete_module": 176,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "personality": 135,
        "acct": 163,
        "quotactl": 179,
        "reboot": 169,
        "swapon": 167,
        "swapoff": 168,
        "settimeofday": 164,
        "clock_settime": 227,
        "sethostname": 170,
        "setdomainname": 171,
        "iopl": 172,
        "ioperm": 173,
        "modify_ldt": 154,
        "memfd_create": 319,
        "memfd_secret": 447,
        "shmget": 29,
        "shmat": 30,
        "shmctl": 31,
        "semget": 64,
        "msgget": 68,
        "mq_open": 240,
        "vmsplice": 278,
        "fanotify_init": 300,
        "lookup_dcookie": 212,
        "syslog": 103,
        "pidfd_getfd": 438,
        "process_madvise": 440,
        "move_pages": 279,
        "migrate_pages": 256,
        "mbind": 237,
        "set_mempolicy": 238,
    },
)
_ARM64 = (
    0xC00000B7,
    {
        "clone": 220,
        "clone3": 435,
        "socket": 198,
        "connect": 203,
        "bind": 200,
        "listen": 201,
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "chroot": 51,
        "unshare": 97,
        "setns": 268,
        "open_tree": 428,
        "move_mount": 429,
        "fsopen": 430,
        "fsconfig": 431,
        "fsmount": 432,
        "fspick": 433,
        "mount_setattr": 442,
        "keyctl": 219,
        "add_key": 217,
        "request_key": 218,
        "bpf": 280,
        "perf_event_open": 241,
        "userfaultfd": 282,
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "io_uring_register": 427,
        "kexec_load": 104,
        "kexec_file_load": 294,
        "init_module": 105,
        "finit_module": 273,
        "delete_module": 106,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "personality": 92,
        "acct": 89,
        "quotactl": 60,
        "reboot": 142,
        "swapon": 224,
        "swapoff": 225,
        "settimeofday": 170,
        "clock_settime": 112,
        "sethostname": 161,
        "setdomainname": 162,
        "memfd_create": 279,
        "memfd_secret": 447,
        "shmget": 194,
        "shmctl": 195,
        "shmat": 196,
        "semget": 190,
        "msgget": 186,
        "mq_open": 180,
        "vmsplice": 75,
        "fanotify_init": 262,
        "lookup_dcookie": 18,
        "syslog": 116,
        "pidfd_getfd": 438,
        "process_madvise": 440,
        "move_pages": 239,
        "migrate_pages": 238,
        "mbind": 235,
        "set_mempolicy": 237,
    },
)
MACHINES = {"x86_64": _X86_64, "aarch64": _ARM64}


def filter_program(machine: str | None = None) -> bytes | None:
    """Return the filter as the kernel takes it (an array of `struct sock_filter`), or None for other machines.

    Refused calls fail with "operation not permitted"; `clone3` with "not implemented", upon which C libraries use
    `clone`, whose flags the filter can see: with one for a new namespace it is refused. Calls of another architecture
    end the process.
    """
    machine = machine or platform.machine()
    if machine not in MACHINES:
        return None
    architecture, calls = MACHINES[machine]
    refused = sorted(number for name, number in calls.items() if name not in ("clone", "clone3"))
    code = [
        _op(_LOAD, 4),  # the architecture of the call
        _op(_JUMP_EQUAL, architecture, 1, 0),
        _op(_RETURN, _KILL),
        _op(_LOAD, 0),  # the number of the call
    ]
    if machine == "x86_64":
        code += [_op(_JUMP_GREATER_EQUAL, _X32, 0, 1), _op(_RETURN, _KILL)]
    code += [_op(_JUMP_EQUAL, calls["clone3"], 0, 1), _op(_RETURN, _REFUSE | _ENOSYS)]
    for number in refused:
        code += [_op(_JUMP_EQUAL, number, 0, 1), _op(_RETURN, _REFUSE | _EPERM)]
    code += [
        _op(_JUMP_EQUAL, calls["clone"], 1, 0),
        _op(_RETURN, _ALLOW),
        _op(_LOAD, 16),  # the low half of its first argument, the flags
        _op(_JUMP_SET, _NEW_NAMESPACES, 0, 1),
        _op(_RETURN, _REFUSE | _EPERM),
        _op(_RETURN, _ALLOW),
    ]
    return b"".join(code)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
