"""Control groups around a sandbox, where this process may make some: they bound all of a program's processes together.

Limits of a process (`inside.rights`) hold everywhere, but bound a program's memory by a process only, and its number of
processes by a user that must own nothing else. A group with the controllers `pids` and `memory` counts both for the
whole sandbox. It stands beside them.

Groups are a manager's (systemd's, a container engine's), so none is made below somebody else's. Made use of is, with
version 1, the root of a hierarchy in which this process stands and may write, where nobody manages it; with version 2,
the group that this process stands in, or the one around that, where it was delegated to us and no process is in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from docendo.grading.sandbox.base import Limits

CONTROLLERS = ("pids", "memory")
NAME = "docendo-"
_SPARE = 8  # processes that are the sandbox's own: bubblewrap's two, the supervisor, and what is about to end
_PATIENCE = 2.0  # seconds until a group is left behind whose processes do not end; the next run removes it


@dataclass(frozen=True, slots=True)
class Parent:
    """A group in which groups of our own may be made, for these controllers."""

    folder: Path
    controllers: tuple[str, ...]
    version: int


def parents(
    mounts: Path = Path("/proc/self/mountinfo"), own: Path = Path("/proc/self/cgroup")
) -> list[Parent]:
    """Where groups may be made: at most one for each controller, none where there is no such place.

    Args:
        mounts: what is mounted, as the kernel tells it.
        own: the groups that this process is in, as the kernel tells them.
    """
    try:
        # Names in it may be in any encoding, whatever this process takes texts to be in.
        lines = os.fsdecode(own.read_bytes()).splitlines()
        mounted = list(_mounted(os.fsdecode(mounts.read_bytes())))
    except OSError:
        return []
    within: dict[str, str] = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        within |= dict.fromkeys(names.split(",") if names else ["2"], path)
    found: list[Parent] = []
    for folder, root, controllers in mounted:
        had = [c for place in found for c in place.controllers]
        left = tuple(c for c in controllers if c in CONTROLLERS and c not in had)
        if left and within.get(left[0]) == root == "/" and _ours(folder):
            found.append(Parent(folder, left, 1))
    for folder, root, controllers in mounted:
        if controllers == ("2",) and "2" in within:
            found += _delegated(folder, root, within["2"], {c for p in found for c in p.controllers})
    return found


def _mounted(text: str) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Of each hierarchy: where it is mounted, which group is its root there, and its controllers, or "2"."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, folder = before.split(" ")[3:5]
            names = ("2",) if kind == "cgroup2" else tuple(o for o in options.split(",") if o in CONTROLLERS)
            yield Path(folder), root, names


def _delegated(mount: Path, root: str, path: str, had: set[str]) -> Iterator[Parent]:
    """The group of version 2 that we may make groups in: our own, or the one around it."""
    if not path.startswith(root.rstrip("/") + "/"):
        return
    inside = mount / path[len(root.rstrip("/")) :].strip("/")
    for folder in (inside, inside.parent):
        if not folder.is_relative_to(mount) or not _ours(folder) or not _told_ours(folder):
            continue
        try:
            there = set((folder / "cgroup.controllers").read_text().split())
            on = set((folder / "cgroup.subtree_control").read_text().split())
            wanted = tuple(c for c in CONTROLLERS if c in there and c not in had)
            if not set(wanted) <= on:  # which the kernel refuses where processes are in the group itself
                if (folder / "cgroup.procs").read_text().strip():
                    continue
                (folder / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in wanted))
        except OSError:
            continue
        if wanted:
            yield Parent(folder, wanted, 2)
            return


def _ours(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _told_ours(folder: Path) -> bool:
    """Whether its manager says that it is delegated (systemd's marks), or it belongs to this user, who is not root."""
    for mark in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, mark) == b"1":
                return True
    return os.geteuid() != 0 and folder.stat().st_uid == os.geteuid()


def make(places: Sequence[Parent], limits: Limits, slot: int) -> tuple[str, ...]:
    """Make the groups of one sandbox, with its limits; returns their folders.

    Raises:
        OSError: one cannot be made or limited; none is left.
    """
    made: list[str] = []
    try:
        for place in places:
            folder = place.folder / f"{NAME}{os.getpid()}-{slot}"
            remove([str(folder)])  # of one with our number that was killed
            folder.mkdir()
            made.append(str(folder))
            for name, value in _limits(place, limits):
                if (folder / name).exists() or name in _NEEDED:
                    (folder / name).write_text(str(value))
    except BaseException:
        remove(made)
        raise
    return tuple(made)


_NEEDED = ("pids.max", "memory.max", "memory.limit_in_bytes")  # the others are not on every machine


def _limits(place: Parent, limits: Limits) -> Iterator[tuple[str, int]]:
    if "pids" in place.controllers:
        yield "pids.max", limits.processes + _SPARE
    if "memory" in place.controllers and limits.memory is not None:
        total = 2 * limits.memory
        if place.version == 2:
            yield from (("memory.max", total), ("memory.swap.max", 0), ("memory.oom.group", 1))
        else:
            yield from (("memory.limit_in_bytes", total), ("memory.memsw.limit_in_bytes", total))


def usable(limits: Limits) -> list[Parent]:
    """The places where groups can be made indeed, found out by making some; what killed workers left is removed."""
    found = parents()
    sweep(found)
    kept = []
    for place in found:
        with contextlib.suppress(OSError):
            remove(make([place], limits, 0))
            kept.append(place)
    return kept


def entrances(groups: Sequence[str]) -> list[int]:
    """Descriptors, one a group; a process that writes 0 to each is in all of them.

    Raises:
        OSError: a group is gone.
    """
    return [os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for group in groups]


def remove(groups: Sequence[str]) -> None:
    """Remove groups whose processes were killed, waiting for the last to end."""
    deadline = time.monotonic() + _PATIENCE
    for group in groups:
        while True:
            try:
                os.rmdir(group)
            except OSError as error:
                if error.errno == errno.EBUSY and time.monotonic() < deadline:
                    time.sleep(0.001)
                    continue
            break


def sweep(places: Sequence[Parent]) -> None:
    """Remove the groups of workers that were killed and could not."""
    for place in places:
        with contextlib.suppress(OSError):
            for folder in place.folder.glob(f"{NAME}*-*"):
                number = folder.name[len(NAME) :].partition("-")[0]
                if number.isdigit() and not Path(f"/proc/{number}").exists():
                    with contextlib.suppress(OSError):
                        folder.rmdir()
