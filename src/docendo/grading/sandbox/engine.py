"""Docker or Podman as the sandbox, where there is an engine and no bubblewrap: the same walls, at a higher price.

Starting and ending a container takes the better part of a second, so programs are judged more slowly.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import sys

from docendo.grading.sandbox.base import Limits, Start
from docendo.grading.sandbox.bubblewrap import ENVIRONMENT, FLAGS
from docendo.grading.sandbox.seccomp import MACHINES, filter_program

IMAGE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""The image that containers are made from; it must be there already (`docker pull`), as nothing is fetched unasked."""

_PATH = "/usr/local/bin:/usr/bin:/bin"  # where that image has its Python, first
_TOKEN = secrets.token_hex(4)  # one engine may serve processes in several containers, alike in number
_FILTERS = [(machine, filter_program(machine) or b"") for machine in MACHINES]  # it may be another than ours
_numbers = itertools.count(1)


class Engine:
    """Processes shut away in containers by `docker` or `podman`."""

    def __init__(self, name: str, image: str = IMAGE) -> None:
        self.name = name
        self._image = image
        self._program = shutil.which(name)

    def missing(self) -> str | None:
        """Why it cannot be used at a glance."""
        return None if self._program else f"the program {self.name} is not installed"

    def start(self, limits: Limits, slot: int) -> Start:
        """One more container."""
        assert self._program is not None
        name = f"docendo-{os.getpid()}-{_TOKEN}-{slot}-{next(_numbers)}"
        command = [self._program, "run", "--rm", "--interactive", "--name", name, "--pull", "never"]
        command += ["--network", "none", "--read-only", "--cap-drop", "ALL", "--user", "65534:65534"]
        command += ["--security-opt", "no-new-privileges", "--ipc", "none", "--hostname", "sandbox"]
        command += ["--pids-limit", str(limits.processes + 8), "--workdir", "/tmp"]
        # Else what passes through is kept on the host's disk, however much it is, and `rm` waits for ten seconds.
        command += ["--log-driver", "none", "--stop-signal", "KILL", "--stop-timeout", "0"]
        command += ["--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.file_bytes},mode=1777"]
        if self.name == "podman":  # it would give more folders to write in, and the host's list of names
            command += ["--read-only-tmpfs=false", "--no-hosts"]
        if limits.memory is not None:
            total = str(limits.memory * 2)
            command += ["--memory", total, "--memory-swap", total]
        # In place of `--env`: what the image and the engine set would stay beside that. Limits of a process are left to
        # itself (`inside.rights`): one that is named here puts the engine's own in place of those its owner set.
        command += [self._image, "/usr/bin/env", "-i"]
        command += [f"{name}={value}" for name, value in (ENVIRONMENT | {"PATH": _PATH}).items()]
        command += ["python", *FLAGS, "-c"]
        stop = [self._program, "rm", "--force", name]
        # Podman's monitor leaves a file `oom` where it was started, once a container has run out of memory.
        folder = "/proc" if self.name == "podman" and os.path.isdir("/proc") else None
        return Start(command, same_python=False, stop=stop, relayed=True, filters=_FILTERS, folder=folder)
