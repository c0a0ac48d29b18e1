"""The usual sandbox: bubblewrap (`bwrap`), which needs no daemon and starts in milliseconds.

Inside there is no network, no host process, no /proc, no device but /dev/null, no file but Python's own, read-only, and
a small private /tmp. Run by root, the process becomes a user that owns nothing (another one for each sandbox at work,
so that limits on processes hold, which for root they do not); run by anybody else, it is in a user namespace. Where
control groups that count memory can be made it is in some of its own as well.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from docendo.grading.sandbox import cgroup
from docendo.grading.sandbox.base import Limits, Start
from docendo.grading.sandbox.seccomp import filter_program

_UIDS, _SLOTS = 1_500_000_000, 64  # user numbers that no system gives out
FLAGS = ("-s", "-S", "-P", "-B")  # no site packages, no user's, nothing from the folder it starts in


class Bubblewrap:
    """Processes shut away by bubblewrap, in this Python or, where that cannot be, in the system's."""

    name = "bubblewrap"

    def __init__(self) -> None:
        self._program = shutil.which("bwrap")
        self._places: list[cgroup.Parent] | None = None
        self._python = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))

    def missing(self) -> str | None:
        """Why it cannot be used at a glance."""
        if not sys.platform.startswith("linux"):
            return "bubblewrap is for Linux only"
        return None if self._program else "the program bwrap is not installed (Debian, Ubuntu: bubblewrap)"

    def start(self, limits: Limits, slot: int) -> Start:
        """One more sandbox; see the class."""
        assert self._program is not None
        root = os.geteuid() == 0
        command = [self._program, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        command += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        if root:  # needed to become another user, and lost by it
            command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            command += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
        command += ["--hostname", "sandbox", "--clearenv"]
        for name, value in ENVIRONMENT.items():
            command += ["--setenv", name, value]
        needed = self._needed()
        for folder in sorted(
            {str(parent) for path in (*needed, "/dev/null") for parent in Path(path).parents}
        ):
            if folder != "/":  # bubblewrap would make them for their owner alone
                command += ["--perms", "0755", "--dir", folder]
        for path in needed:
            command += ["--ro-bind", path, path]
        for path in ("/lib", "/lib64", "/lib32"):
            if os.path.islink(path):
                command += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                command += ["--ro-bind", path, path]
        command += ["--dev-bind", "/dev/null", "/dev/null"]
        command += ["--size", str(limits.file_bytes), "--perms", "1777", "--tmpfs", "/tmp"]
        command += ["--remount-ro", "/", "--chdir", "/tmp"]
        fds = []
        program = filter_program()
        if program is not None:
            fds.append(_readable(program))
            command += ["--seccomp", str(fds[0])]
        command += [str(self._python), *FLAGS, "-c"]
        uid = _UIDS + os.getpid() % (1 << 20) * _SLOTS + slot if root else None
        if self._places is None:
            places = cgroup.usable(limits)
            # Without memory they would bound nothing that a user of its own does not, and they cost time.
            self._places = places if any("memory" in place.controllers for place in places) else []
        return Start(command, tuple(fds), uid, groups=cgroup.make(self._places, limits, slot))

    def _needed(self) -> list[str]:
        """What Python needs to start: itself, its library, the shared ones."""
        prefix = Path(sys.base_prefix)
        wanted = [self._python, prefix / "lib", Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/lib32")]
        wanted += [Path("/etc/ld.so.cache"), Path("/nix/store")]
        found: list[str] = []
        for path in wanted:
            if path.exists() and not path.is_symlink() and str(path) not in found:
                found.append(str(path))
        return found


ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # or programs that print a set would act differently each time
}
"""All that a program finds in its environment."""


def _readable(content: bytes) -> int:
    fd = os.memfd_create("seccomp")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
