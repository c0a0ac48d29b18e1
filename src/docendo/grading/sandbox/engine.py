"""Docker or Podman as the sandbox, where there is an engine and no bubblewrap: the same walls, at a higher price.

Starting a container takes a good part of a second, so programs are judged more slowly.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys

from docendo.grading.sandbox.base import Limits, Start
from docendo.grading.sandbox.bubblewrap import ENVIRONMENT

IMAGE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""The image that containers are made from; it must be there already (`docker pull`), as nothing is fetched unasked."""

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
        name = f"docendo-{os.getpid()}-{slot}-{next(_numbers)}"
        command = [self._program, "run", "--rm", "--interactive", "--name", name, "--pull", "never"]
        command += ["--network", "none", "--read-only", "--cap-drop", "ALL", "--user", "65534:65534"]
        command += ["--security-opt", "no-new-privileges", "--ipc", "none", "--hostname", "sandbox"]
        command += ["--pids-limit", str(limits.processes + 8), "--ulimit", "core=0", "--workdir", "/tmp"]
        command += ["--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.file_bytes},mode=1777"]
        if limits.memory is not None:
            total = str(limits.memory * 2)
            command += ["--memory", total, "--memory-swap", total]
        for variable, value in ENVIRONMENT.items():
            command += ["--env", f"{variable}={value}"]
        command += [self._image, "python", "-s", "-S", "-B", "-c"]
        return Start(command, same_python=False, stop=[self._program, "kill", name], relayed=True)
