"""No sandbox at all: the program runs as this very user, with this user's files and network.

Only limits on memory, time and file sizes remain, and a hostile program can undo those that matter. For machines that
are a sandbox already (a container of its own, thrown away afterwards); never chosen unless asked for by name.
"""

from __future__ import annotations

import sys

from docendo.grading.sandbox.base import Limits, Start
from docendo.grading.sandbox.bubblewrap import ENVIRONMENT
from docendo.grading.sandbox.names import UNSAFE


class Bare:
    """Ordinary processes."""

    name = UNSAFE

    def missing(self) -> str | None:
        """Nothing is ever missing."""
        return None

    def start(self, limits: Limits, slot: int) -> Start:
        """One more process, in a clean environment."""
        variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return Start(["/usr/bin/env", "-i", *variables, sys.executable, "-s", "-S", "-P", "-B", "-c"])
