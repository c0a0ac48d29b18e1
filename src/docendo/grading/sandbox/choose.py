"""Which sandbox: the best that works here, the one that was asked for, or an error that says how to get one."""

from __future__ import annotations

from docendo.errors import ConfigError
from docendo.grading.sandbox.bare import Bare
from docendo.grading.sandbox.base import Sandbox
from docendo.grading.sandbox.bubblewrap import Bubblewrap
from docendo.grading.sandbox.engine import Engine
from docendo.grading.sandbox.names import NAMES, UNSAFE


def named(name: str) -> Sandbox:
    """The sandbox of a name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name == "bubblewrap":
        return Bubblewrap()
    if name in ("docker", "podman"):
        return Engine(name)
    if name == UNSAFE:
        return Bare()
    raise ConfigError(f"unknown sandbox {name!r}; known: auto, {', '.join(NAMES)}")
