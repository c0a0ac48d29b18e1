"""Control groups: where they may be made, what they hold back, and that none stays."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docendo.grading.code import grade_of, job_of
from docendo.grading.sandbox import Limits, cgroup
from docendo.grading.sandbox.bubblewrap import Bubblewrap
from docendo.grading.sandbox.worker import Judge
from docendo.types import Problem

LIMITS = Limits(cpu_seconds=2, seconds=60, program_seconds=240, memory=256 << 20, processes=8)
PLACES = cgroup.usable(LIMITS)

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="the sandbox's tests need bubblewrap (apt-get install bubblewrap)"
)


def place_of(controller: str) -> cgroup.Parent:
    for place in PLACES:
        if controller in place.controllers:
            return place
    pytest.skip(f"no group with the controller {controller} may be made on this machine by this user")


def left() -> list[str]:
    own = f"{cgroup.NAME}{os.getpid()}-*"
    return [str(folder) for place in PLACES for folder in place.folder.glob(own)]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that were killed may take long to end on a busy machine, and their group lasts as long."""
    monkeypatch.setattr(cgroup, "_PATIENCE", 120.0)


# --- groups of this machine, where it lends some -------------------------------------------------------------


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[str]:
    (folder,) = cgroup.make([place_of(request.param)], LIMITS, 7)
    yield folder
    cgroup.remove([folder])
    assert not Path(folder).exists()


def run_in(group: str, program: str) -> str:
    (door,) = cgroup.entrances([group])
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            preexec_fn=lambda: os.write(door, b"0") and None,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(door)
    return done.stdout + f"ended {done.returncode}"


@pytest.mark.cgroup_pids
@pytest.mark.parametrize("group", ["pids"], indirect=True)
def test_a_group_bounds_the_processes_of_whoever_has_all_rights(group: str) -> None:
    program = """
import os, signal
children = []
try:
    for _ in range(100):
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except OSError:
    pass
print(len(children), flush=True)
for child in children:
    os.kill(child, signal.SIGKILL)
    os.wait()
"""
    made = int(run_in(group, program).split()[0])
    assert 0 < made < LIMITS.processes + 8


@pytest.mark.cgroup_memory
@pytest.mark.parametrize("group", ["memory"], indirect=True)
def test_a_group_bounds_the_memory_of_all_processes_together(group: str) -> None:
    program = """
import os
readers = []
for _ in range(4):
    reader, writer = os.pipe()
    if os.fork() == 0:
        taken = bytearray(200 << 20)
        for i in range(0, len(taken), 4096):
            taken[i] = 1
        os.write(writer, b"x")
        os.read(reader, 1)
    os.close(writer)
    readers.append(reader)
print(sum(len(os.read(reader, 1)) for reader in readers), flush=True)
"""
    assert not run_in(group, program).startswith("4")  # four times 200 MB do not fit into twice 256


# --- the sandbox, with groups and without --------------------------------------------------------------------


BOMB = """
import os, time
def bomb(n):
    made = 0
    try:
        while made < 60:
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            made += 1
    except OSError:
        pass
    return made
"""
PROBLEM = Problem(
    "bomb",
    "Write bomb(n).",
    kind="code",
    meta={"entry_point": "bomb", "hidden": [{"args": [1], "expected": 60}]},
)


@needs_bubblewrap
@pytest.mark.parametrize(
    "groups",
    [pytest.param(True, marks=pytest.mark.cgroup_pids), False],
    ids=["with groups", "without groups"],
)
def test_a_programs_processes_are_bounded_and_gone_either_way(groups: bool) -> None:
    kind = Bubblewrap()
    kind._places = [place_of("pids")] if groups else []
    judge = Judge(kind, LIMITS)
    try:
        job = job_of(PROBLEM, BOMB)
        for _ in range(3):  # the later ones' sandboxes are started beforehand
            result = judge.judge(job)
            (outcome, said) = result["hidden"][0]
            assert outcome == "wrong", result
            found = re.search(r"returned (\d+), not 60", said)
            assert found is not None
            assert 0 < int(found[1]) <= LIMITS.processes
        assert bool(left()) == groups
        assert grade_of(job, judge.judge(job)).score == 0.0
    finally:
        judge.close()
    assert left() == []


@needs_bubblewrap
def test_groups_are_used_where_memory_can_be_counted_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pids, memory = cgroup.Parent(tmp_path, ("pids",), 1), cgroup.Parent(tmp_path / "m", ("memory",), 1)
    memory.folder.mkdir()
    for places, used in (([pids], 0), ([pids, memory], 2), ([], 0)):
        monkeypatch.setattr(cgroup, "usable", lambda _, places=places: places)
        start = Bubblewrap().start(LIMITS, 5)
        for fd in start.pass_fds:
            os.close(fd)
        assert len(start.groups) == used


@pytest.mark.cgroup_pids
def test_groups_of_killed_workers_are_removed() -> None:
    place = place_of("pids")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = place.folder / f"{cgroup.NAME}{gone.pid}-1"
    stale.mkdir()
    cgroup.usable(LIMITS)
    assert not stale.exists()


# --- where they may be made, told from what the kernel says --------------------------------------------------


class Machine:
    """A made-up machine's hierarchies, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mounts, self.own = folder, folder / "mountinfo", folder / "own"
        self.mounts.write_text("")
        self.own.write_text("")

    def hierarchy(self, name: str, options: str, path: str, root: str = "/") -> Path:
        """Mount one, with this process in the group `path`; version 2 where there are no options."""
        mount = self.folder / name
        mount.mkdir()
        kind = f"cgroup cgroup rw,{options}" if options else "cgroup2 cgroup2 rw"
        at = len(self.mounts.read_text().splitlines()) + 30
        self.mounts.write_text(
            self.mounts.read_text() + f"{at} 24 0:{at} {root} {mount} rw,relatime shared:9 - {kind}\n"
        )
        self.own.write_text(self.own.read_text() + f"{at if options else 0}:{options}:{path}\n")
        self.group(mount)
        return mount

    def group(self, folder: Path, processes: str = "", on: str = "", delegated: bool = False) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").write_text(processes)
        (folder / "cgroup.controllers").write_text("cpu io memory pids")
        (folder / "cgroup.subtree_control").write_text(on)
        if delegated:
            os.setxattr(folder, "user.delegate", b"1")
        return folder

    def parents(self) -> list[cgroup.Parent]:
        return cgroup.parents(self.mounts, self.own)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    # What is a folder's owner's here is root's on the machines that are made up.
    monkeypatch.setattr("os.geteuid", lambda: 0)
    try:
        os.setxattr(tmp_path, "user.delegate", b"0")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")
    return Machine(tmp_path)


def test_the_root_of_a_hierarchy_of_version_1_is_used(machine: Machine) -> None:
    pids = machine.hierarchy("pids", "pids", "/")
    memory = machine.hierarchy("memory", "memory,hugetlb", "/")
    machine.hierarchy("cpu", "cpu,cpuacct", "/")
    assert machine.parents() == [
        cgroup.Parent(pids, ("pids",), 1),
        cgroup.Parent(memory, ("memory",), 1),
    ]


def test_a_place_with_a_name_in_another_encoding_is_in_nobodys_way(machine: Machine) -> None:
    pids = machine.hierarchy("pids", "pids", "/")
    other = "29 24 8:1 / /Müll rw shared:1 - ext4 /dev/sda1 rw\n".encode("latin-1")
    machine.mounts.write_bytes(other + machine.mounts.read_bytes())
    assert machine.parents() == [cgroup.Parent(pids, ("pids",), 1)]


def test_a_group_that_somebody_else_manages_is_left_alone(machine: Machine) -> None:
    machine.hierarchy("pids", "pids", "/docker/0123")
    mount = machine.hierarchy("unified", "", "/user.slice/session-1.scope")
    machine.group(machine.group(mount / "user.slice") / "session-1.scope", processes="1\n")
    assert machine.parents() == []


def test_a_delegated_group_of_version_2_is_used_with_its_controllers_switched_on(machine: Machine) -> None:
    mount = machine.hierarchy("unified", "", "/run-7.service/main")
    service = machine.group(mount / "run-7.service", delegated=True)
    machine.group(service / "main", processes="1\n")
    assert machine.parents() == [cgroup.Parent(service, ("pids", "memory"), 2)]
    assert (service / "cgroup.subtree_control").read_text() == "+pids +memory"


def test_a_delegated_group_with_processes_in_it_cannot_be_used(machine: Machine) -> None:
    mount = machine.hierarchy("unified", "", "/run-7.scope")
    machine.group(mount / "run-7.scope", processes="1\n", delegated=True)
    assert machine.parents() == []


def test_version_2_in_a_container_is_seen_from_where_it_is_mounted(machine: Machine) -> None:
    mount = machine.hierarchy("unified", "", "/pod/box/main", root="/pod")
    box = machine.group(mount / "box", on="memory pids", delegated=True)
    machine.group(box / "main", processes="1\n")
    assert machine.parents() == [cgroup.Parent(box, ("pids", "memory"), 2)]


def test_a_machine_without_any_has_none(machine: Machine) -> None:
    assert machine.parents() == []
    assert cgroup.parents(machine.folder / "none", machine.folder / "none") == []


@pytest.mark.parametrize(
    ("version", "files"),
    [
        (2, {"pids.max": "16", "memory.max": str(512 << 20)}),
        (1, {"pids.max": "16", "memory.limit_in_bytes": str(512 << 20)}),
    ],
)
def test_a_groups_limits_are_the_sandboxs(version: int, files: dict[str, str], tmp_path: Path) -> None:
    place = cgroup.Parent(tmp_path, ("pids", "memory"), version)
    (folder,) = cgroup.make([place], LIMITS, 3)
    assert {name: (Path(folder) / name).read_text() for name in files} == files


def test_where_one_cannot_be_limited_none_is_left(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    with pytest.raises(OSError, match="b"):
        cgroup.make([cgroup.Parent(first, (), 1), cgroup.Parent(second, ("pids",), 1)], LIMITS, 1)
    assert list(first.iterdir()) == []
