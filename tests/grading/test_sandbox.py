"""The sandbox: hostile programs fail, harm nothing and leave nothing; without isolation nothing runs."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docendo.errors import ConfigError
from docendo.grading import sandbox
from docendo.grading.code import grade, grade_of, job_of
from docendo.grading.sandbox import Limits, Pool, SandboxError
from docendo.grading.sandbox.seccomp import filter_program
from docendo.types import GradeState, Problem

PROBLEM = Problem(
    "double",
    "Write double(n).",
    kind="code",
    meta={"entry_point": "double", "visible": ["assert double(2) == 4"], "hidden": ["assert double(0) == 0"]},
)
RIGHT = "def double(n):\n    return 2 * n\n"

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="the sandbox's tests need bubblewrap (apt-get install bubblewrap)"
)


@pytest.fixture(autouse=True)
def _fresh_choice() -> Iterator[None]:
    """What works is found out once a process; here it changes."""
    sandbox.ready.cache_clear()
    yield
    sandbox.ready.cache_clear()


# --- hostile programs ---------------------------------------------------------------------------------------


def run_hostile(root: Path, folder: Path, python: str, prefix: list[str]) -> dict[str, Any]:
    """What `hostile_run.py` says, run by another user where `prefix` makes it so."""
    for part in ("src/docendo", "tests/grading"):
        shutil.copytree(root / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    script = folder / "tests/grading/hostile_run.py"
    done = subprocess.run(
        [*prefix, python, "-B", str(script), str(folder / "scratch")],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def python_for_anybody() -> str | None:
    """A Python that any user may start: this one's where its folders are open to all, or the system's."""
    for candidate in (getattr(sys, "_base_executable", sys.executable), "/usr/bin/python3"):
        path = Path(candidate).resolve()
        opened = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
        if path.is_file() and opened:
            code = "import sys; sys.exit(sys.version_info < (3, 11))"
            if subprocess.run([str(path), "-c", code], check=False).returncode == 0:
                return str(path)
    return None


@needs_bubblewrap
@pytest.mark.parametrize("user", ["this user", "a user without rights"][: 2 if os.geteuid() == 0 else 1])
def test_no_hostile_program_passes_harms_or_stays(root: Path, user: str) -> None:
    python, prefix = sys.executable, []
    if user != "this user":
        anybody = python_for_anybody()
        if anybody is None:
            pytest.skip("no Python of 3.11 or later that a user without rights may start")
        python, prefix = anybody, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with tempfile.TemporaryDirectory(prefix="docendo-hostile-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "scratch").mkdir()
        if prefix:
            os.chown(folder / "scratch", 65534, 65534)
        said = run_hostile(root, folder, python, prefix)
    assert said["user"] == (65534 if prefix else os.geteuid())
    results = said["results"]
    assert len(results) >= 40
    passed = {name: result for name, result in results.items() if result["score"] != 0.0}
    assert passed == {}
    assert said["right"]["score"] == 1.0, said["right"]  # what is right passes still
    assert said["orphan seen"]  # what stays would be seen, and nothing stayed:
    assert said["left"] == []
    assert said["unchanged"]
    assert said["victim alive"]
    assert said["reached"] == 0


# --- finding a sandbox --------------------------------------------------------------------------------------


def test_without_isolation_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError) as error:
        grade(PROBLEM, RIGHT)
    said = str(error.value)
    for words in ("bwrap is not installed", "docker is not installed", "apt-get install bubblewrap"):
        assert words in said
    assert "--run-untrusted-code-without-sandbox" in said


def test_a_sandbox_that_is_there_but_does_not_work_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="No permissions to create new namespace"):
        grade(PROBLEM, RIGHT)


def test_an_unknown_sandbox_is_refused() -> None:
    with pytest.raises(ConfigError, match="bubblewrap"):
        grade(PROBLEM, RIGHT, sandbox="jail")


def test_no_sandbox_at_all_is_used_only_by_its_name() -> None:
    assert sandbox.UNSAFE not in sandbox.NAMES
    judged = grade(PROBLEM, RIGHT, sandbox=sandbox.UNSAFE)
    assert (judged.state, judged.score) == (GradeState.OK, 1.0)
    sandbox.close_all()


def stand_in(engine: Path, log: Path, down: Path | None = None, lasting: bool = False) -> None:
    """An engine that notes what it is asked, and runs what stands after the image, unless `down` is there.

    As a real one's client it hands nothing on but bytes: neither descriptors nor sockets get through. Where its
    containers are `lasting`, they end only when they are removed.
    """
    engine.write_text(
        f"""#!{sys.executable}
import os, subprocess, sys, threading, time
asked = sys.argv[1:]
removed = {str(engine.parent / "removed-")!r}
with open({str(log)!r}, "a") as log:
    log.write(" ".join(asked)[:900].replace("\\n", " ") + "\\n")
if asked[0] != "run":
    open(removed + asked[-1], "w").close()
    sys.exit(0)
if os.path.exists({str(down)!r}):
    sys.exit("docker: the daemon was shut down")
command = [sys.executable, *asked[asked.index("python") + 1 :]]
inside = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

def copy(source, target):
    while part := os.read(source, 65536):
        while part:
            part = part[os.write(target, part) :]

def into():
    try:
        copy(0, inside.stdin.fileno())
    except OSError:
        pass
    inside.stdin.close()

threading.Thread(target=into, daemon=True).start()
copy(inside.stdout.fileno(), 1)
while {lasting} and not os.path.exists(removed + asked[asked.index("--name") + 1]):
    time.sleep(0.01)
sys.exit(inside.wait())
"""
    )
    engine.chmod(0o755)


@pytest.mark.parametrize("lasting", [False, True])
def test_a_container_engine_runs_programs_and_is_told_to_end_what_does_not(
    lasting: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    stand_in(tmp_path / "docker", log, lasting=lasting)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    judged = grade(PROBLEM, RIGHT, sandbox="docker")
    sandbox.close_all()
    assert judged.score == 1.0
    lines = log.read_text().splitlines()
    runs = [line for line in lines if line.startswith("run ")]
    for option in (
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--user 65534:65534",
        "no-new-privileges",
        "--pids-limit",
        "--memory ",
        "--pull never",
    ):
        assert all(option in line for line in runs)
    named = {line.split("--name ")[1].split()[0] for line in runs}
    told = {line.split()[2] for line in lines if line.startswith("rm --force ")}
    assert len(named) == len(runs)
    assert told == named if lasting else told <= named  # one that a busy machine makes late is told as well


def test_programs_are_judged_through_a_container_engine_as_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in(tmp_path / "docker", tmp_path / "log")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    meta = {"entry_point": "f", "visible": [{"args": [[n] * n], "expected": [n] * n} for n in (1, 2, 5_000)]}
    called = Problem("f", "Write f.", kind="code", meta=meta)
    printed = Problem("p", "Add.", kind="code", meta={"visible": [{"stdin": "2 3\n", "stdout": "5"}] * 2})
    programs = [
        (called, "def f(x):\n    return x"),
        (called, "def f(x):\n    return [len(x)] * len(x) if len(x) < 3 else 'y' * 3_000_000"),
        (called, "import os\ndef f(x):\n    os._exit(0) if len(x) == 2 else None\n    return x"),
        (called, "def f(x):\n    raise ValueError(x[0])"),
        (called, "def f(x):\n    while len(x) == 2: pass\n    return x"),
        (called, "import os\nos._exit(1)\ndef f(x):\n    return x"),
        (printed, "print(sum(map(int, input().split())))"),
        (called, "def f(x):\n    x.append(1)\n    return x[:-1]"),
    ]
    # A busy machine is no fault: nothing here comes to its end by the clock.
    limits = Limits(cpu_seconds=1, seconds=900.0, program_seconds=3000.0, memory=None)
    found = {}
    for name in ("docker", sandbox.UNSAFE):
        pool = Pool(name, limits, size=1)
        try:
            jobs = [job_of(problem, text) | {"behaviour": 0} for problem, text in programs]
            found[name] = [pool.judge(job) for job in jobs]
        finally:
            pool.close()
    assert found["docker"] == found[sandbox.UNSAFE]
    outcomes = [{outcome for outcome, _ in result["visible"]} for result in found["docker"]]
    assert outcomes[0] == outcomes[6] == outcomes[7] == {"passed"}
    assert [result["ended"] for result in found["docker"]] == ["done"] * len(programs)


@pytest.mark.parametrize(
    "said",
    [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "Error response from daemon: No such image: python:3-slim",
    ],
    ids=["no daemon", "no image"],
)
def test_what_a_container_engine_complains_of_is_told(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = tmp_path / "podman"
    engine.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 125\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxError) as error:
        grade(PROBLEM, RIGHT, sandbox="podman")
    assert said in str(error.value)
    assert "docker pull docker.io/library/python:3." in str(error.value)


def test_an_engine_that_stops_working_half_way_judges_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    stand_in(tmp_path / "docker", tmp_path / "log", down)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert grade(PROBLEM, RIGHT, sandbox="docker").score == 1.0
    down.touch()
    try:
        with pytest.raises(SandboxError, match=r"stopped working.*the daemon was shut down"):
            grade(PROBLEM, RIGHT, sandbox="docker")
    finally:
        sandbox.close_all()


# --- limits and workers -------------------------------------------------------------------------------------


def test_a_system_that_does_not_say_which_processors_are_ours_has_workers_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    pool = Pool("docker")
    assert pool.size > 1
    pool.close()


@needs_bubblewrap
def test_a_worker_that_dies_is_replaced() -> None:
    pool = Pool("bubblewrap", size=1)
    try:
        assert pool.judge(job_of(PROBLEM, RIGHT))["ended"] == "done"
        worker = pool._idle.get()
        worker.kill()
        worker.wait()
        pool._idle.put(worker)
        job = job_of(PROBLEM, RIGHT)
        assert grade_of(job, pool.judge(job)).score == 1.0
    finally:
        pool.close()


@needs_bubblewrap
def test_a_program_that_is_too_slow_fails_and_holds_up_nothing() -> None:
    pool = Pool("bubblewrap", Limits(cpu_seconds=1, seconds=60, program_seconds=120), size=1)
    try:
        job = job_of(PROBLEM, "def double(n):\n    while True:\n        pass\n")
        slow = grade_of(job, pool.judge(job))
        assert slow.score == 0.0
        assert json.loads(slow.detail or "{}")["outcomes"] == {"time": 2}
        assert pool.judge(job_of(PROBLEM, RIGHT))["ended"] == "done"
    finally:
        pool.close()


@needs_bubblewrap
def test_a_program_whose_whole_time_is_over_fails_in_what_was_not_reached() -> None:
    pool = Pool("bubblewrap", Limits(cpu_seconds=60, seconds=60, program_seconds=1), size=1)
    try:
        job = job_of(PROBLEM, "import time\ndef double(n):\n    time.sleep(1000)\n")
        result = pool.judge(job)
        judged = grade_of(job, result | {"program": result["program"] or "not told in time"})
        assert result["ended"] == "late"
        assert judged.score == 0.0
        assert json.loads(judged.detail or "{}")["outcomes"] == {"not reached": 2}
    finally:
        pool.close()


# --- the filter of system calls -----------------------------------------------------------------------------


def verdict(program: bytes, architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel would answer, by the rules of classic BPF as far as the filter uses them."""
    data = struct.pack("=iIQ6Q", number, architecture, 0, argument, 0, 0, 0, 0, 0)
    code = list(struct.iter_unpack("=HBBI", program))
    at = loaded = 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        if operation == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif operation == 0x06:
            return int(value)
        else:
            true = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[operation]
            at += if_true if true else if_false


ALLOWED, REFUSED, ABSENT, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


@pytest.mark.parametrize(
    ("machine", "architecture", "read", "socket", "ptrace", "clone"),
    [("x86_64", 0xC000003E, 0, 41, 101, 56), ("aarch64", 0xC00000B7, 63, 198, 117, 220)],
)
def test_the_filter_refuses_what_no_program_needs(
    machine: str, architecture: int, read: int, socket: int, ptrace: int, clone: int
) -> None:
    program = filter_program(machine)
    assert program is not None
    assert verdict(program, architecture, read) == ALLOWED
    assert verdict(program, architecture, socket) == REFUSED
    assert verdict(program, architecture, ptrace) == REFUSED
    assert verdict(program, architecture, clone, 0x11) == ALLOWED  # a fork
    assert verdict(program, architecture, clone, 0x10000000 | 0x11) == REFUSED  # with a namespace of users
    assert verdict(program, architecture, 435) == ABSENT  # clone3, whose flags a filter cannot see
    assert verdict(program, 0x40000003, read) == KILLED  # another architecture's calls


def test_the_filter_stops_the_other_calls_of_x86_64() -> None:
    program = filter_program("x86_64")
    assert program is not None
    assert verdict(program, 0xC000003E, 0x40000000 | 41) == KILLED


def test_there_is_no_filter_for_other_machines() -> None:
    assert filter_program("riscv64") is None
