"""Sandboxes: where programs that models wrote are run, shut away from this machine; see docs/sandbox.md.

`ready` finds one that works; a `Pool` judges programs in it. What a program is and what its tests are is left to
`grading.code`.
"""

from __future__ import annotations

import functools

from docendo.grading.sandbox.base import Limits, Sandbox, SandboxError
from docendo.grading.sandbox.choose import named
from docendo.grading.sandbox.engine import IMAGE
from docendo.grading.sandbox.names import NAMES, UNSAFE
from docendo.grading.sandbox.pool import Pool, close_all, pool_of

__all__ = [
    "NAMES",
    "UNSAFE",
    "Limits",
    "Pool",
    "Sandbox",
    "SandboxError",
    "close_all",
    "named",
    "pool_of",
    "ready",
    "still_works",
]

_TRIAL = {
    "text": "def f(x):\n    return x + 1\n",
    "truncated": False,
    "entry_point": "f",
    "starter": "",
    "setup": "",
    "visible": [{"args": [1], "expected": 2}],
    "hidden": [],
    "behaviour": 0,
}


@functools.cache
def ready(name: str = "auto") -> str:
    """Find a sandbox that works here, by running a program in it.

    Args:
        name: which one; "auto" for the first of `NAMES` that works.

    Returns:
        Its name.

    Raises:
        SandboxError: none works; says of each why, and how to get one.
        ConfigError: there is none of that name.
    """
    faults = []
    for candidate in NAMES if name == "auto" else (name,):
        fault = named(candidate).missing() or _tried(candidate)
        if fault is None:
            return candidate
        faults.append(f"  {candidate}: {fault}")
    raise SandboxError("\n".join([_HELP_FIRST, *faults, _HELP_LAST]))


def still_works(name: str = "auto") -> bool:
    """Whether a sandbox that worked before does now."""
    return _tried(ready(name)) is None


def _tried(name: str) -> str | None:
    pool = Pool(name, size=1)
    try:
        result = pool.judge(_TRIAL)
    finally:
        pool.close()
    if result["visible"] == [("passed", "")]:
        return None
    said = result["trouble"] or "; ".join(detail for _, detail in result["visible"])
    return f"a trial program did not run ({said or result['ended']})"


_HELP_FIRST = "programs that models wrote must run in a sandbox, and none works here:"
_HELP_LAST = (
    "Install bubblewrap (`apt-get install bubblewrap`, `dnf install bubblewrap`), or Docker or Podman: start "
    f"Docker's daemon and fetch the image (`docker pull {IMAGE}`, or `podman pull` of it). In a container, bubblewrap "
    "needs the right to make namespaces: start it with `--cap-add SYS_ADMIN --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined`; on Ubuntu 24.04 and later allow it with `sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0`. On a machine that may be lost, "
    "`--run-untrusted-code-without-sandbox` goes without."
)
