"""Docker and Podman as sandboxes, in earnest: `pytest -m container_engine`, where one is, with the image.

What they are asked, and what comes of an engine that fails, is tested elsewhere with a stand-in (`test_sandbox`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from docendo.grading.code import job_of
from docendo.grading.sandbox import UNSAFE, Limits, Pool, ready
from docendo.grading.sandbox.engine import IMAGE
from docendo.types import Problem


def engines() -> list[str]:
    """Those that have the image."""
    found = []
    for name in ("docker", "podman"):
        if shutil.which(name):
            try:
                asked = [name, "image", "inspect", IMAGE]
                done = subprocess.run(asked, capture_output=True, check=False, timeout=30)
            except subprocess.TimeoutExpired:
                continue
            found += [name] if done.returncode == 0 else []
    return found


NONE = pytest.param("", marks=pytest.mark.skip(f"neither Docker nor Podman is here with {IMAGE}"))
pytestmark = [pytest.mark.container_engine, pytest.mark.parametrize("engine", engines() or [NONE])]
# Time is for programs that go wrong; a busy machine is no fault of the others.
LIMITS = Limits(cpu_seconds=2, seconds=120.0, program_seconds=500.0, memory=256 << 20, processes=8)


def judged(engine: str, programs: list[tuple[Problem, str]], limits: Limits = LIMITS) -> list[dict[str, Any]]:
    """What comes of programs one after another."""
    pool = Pool(engine, limits, size=1)
    try:
        return [pool.judge(job_of(problem, text) | {"behaviour": 0}) for problem, text in programs]
    finally:
        pool.close()


def containers(engine: str, worker: int | None = None) -> list[str]:
    """Names of those that a worker made, or that any did, running or not."""
    mine = "docendo-" if worker is None else f"docendo-{worker}-"
    asked = [engine, "ps", "--all", "--format", "{{.Names}}", "--filter", f"name={mine}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def test_no_hostile_program_passes_harms_or_stays_in_a_container(
    engine: str, root: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-B", str(root / "tests/grading/hostile_run.py"), str(tmp_path), engine],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert {name for name, result in said["results"].items() if result["score"] != 0.0} == set()
    assert len(said["results"]) >= 40
    assert said["right"]["score"] == 1.0, said["right"]
    assert (said["unchanged"], said["victim alive"], said["reached"]) == (True, True, 0)
    assert {name.split("-")[1] for name in containers(engine)} & set(map(str, said["processes"])) == set()


def test_programs_are_judged_in_containers_as_elsewhere(engine: str) -> None:
    meta = {"entry_point": "f", "visible": [{"args": [[n] * n], "expected": [n] * n} for n in (1, 2, 5_000)]}
    called = Problem("f", "Write f.", kind="code", meta=meta)
    printed = Problem("p", "Add.", kind="code", meta={"visible": [{"stdin": "2 3\n", "stdout": "5"}] * 2})
    programs = [
        (called, "def f(x):\n    return x"),
        (called, "def f(x):\n    return [len(x)] * len(x) if len(x) < 3 else 'y' * 3_000_000"),
        (called, "import os\ndef f(x):\n    os._exit(0) if len(x) == 2 else None\n    return x"),
        (called, "def f(x):\n    raise ValueError(x[0])"),
        (called, "def f(x):\n    while len(x) == 2: pass\n    return x"),
        (called, "def f(x):\n    return x +"),
        (printed, "print(sum(map(int, input().split())))"),
    ]
    assert judged(engine, programs) == judged(UNSAFE, programs, LIMITS)


def test_a_program_finds_little_in_a_container(engine: str) -> None:
    problem = Problem("t", "Tell.", kind="code", meta={"visible": [{"stdin": "", "stdout": FOUND}]})
    (result,) = judged(engine, [(problem, FINDS)])
    assert result["visible"] == [("passed", "")]


FINDS = """
import ctypes, os
def writable(folder):
    try:
        with open(folder + '/x', 'w'):
            pass
    except OSError:
        return False
    os.remove(folder + '/x')
    return True
folders = [folder for folder, _, _ in os.walk('/') if not folder.startswith('/proc')]
status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
print(sorted(os.environ), os.environ['PATH'])
print([folder for folder in folders if writable(folder)])
print(os.getresuid(), status['CapBnd'].strip(), status['NoNewPrivs'].strip(), status['Seccomp'].strip())
print([line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line])
print([name for name in os.listdir('/proc') if name.isdigit()] == ['1', str(os.getpid())])
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000), ctypes.get_errno())  # a namespace of users, which engines differ about
"""
FOUND = """\
['HOME', 'LANG', 'PATH', 'PYTHONHASHSEED', 'TMPDIR'] /usr/local/bin:/usr/bin:/bin
['/tmp']
(65534, 65534, 65534) 0000000000000000 1 2
['lo']
True
-1 1
"""


def test_processes_of_a_program_have_memory_together_and_their_number_counted(
    engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    problem = Problem("t", "Tell.", kind="code", meta={"visible": [{"stdin": "", "stdout": "True\n"}]})
    hoarding = """
import os, time
read, write = os.pipe()
for _ in range(4):  # a process's own share each, and twice the whole
    if not os.fork():
        hoard = bytearray(200 << 20)
        os.write(write, b'.')
        time.sleep(1000)
os.close(write)
dead = 0
while dead + len(os.read(read, 1)) < 4 and not dead:
    dead += os.waitpid(-1, os.WNOHANG)[0] > 0
print(dead > 0)
"""
    forking = """
import os, time
forks = 0
try:
    while forks < 1000:
        if not os.fork():
            time.sleep(1000)
        forks += 1
except OSError:
    pass
print(forks < 20)
"""
    results = judged(engine, [(problem, hoarding), (problem, forking)])
    assert [result["visible"] for result in results] == [[("passed", "")]] * 2
    assert list(tmp_path.iterdir()) == []  # where docendo runs


def test_what_tests_of_a_program_leave_behind_does_not_use_up_its_processes(engine: str) -> None:
    orphans = """
import os
def f(n):
    for _ in range(4):
        child = os.fork()
        if not child:
            os.fork()  # the grandchild outlives its parent
            os._exit(0)
        os.waitpid(child, 0)
    return n
"""
    tests = [{"args": [n], "expected": n} for n in range(20)]
    problem = Problem("f", "Write f.", kind="code", meta={"entry_point": "f", "visible": tests})
    (result,) = judged(engine, [(problem, orphans)])
    assert result["visible"] == [("passed", "")] * len(tests)


def test_no_container_is_left_when_a_program_ends_or_its_time_is_over(engine: str) -> None:
    problem = Problem(
        "f", "Write f.", kind="code", meta={"entry_point": "f", "visible": ["assert f(1) == 1"]}
    )
    pool = Pool(engine, Limits(cpu_seconds=1, seconds=60, program_seconds=8), size=1)
    try:
        for text in ("def f(n): return n", "import time\ndef f(n): time.sleep(1000)", "def f(n): return n"):
            pool.judge(job_of(problem, text) | {"behaviour": 0})
        worker = pool._idle.get()
        assert containers(engine, worker.pid) != []  # the checker's is
        pool._idle.put(worker)
    finally:
        pool.close()
    assert containers(engine, worker.pid) == []


def test_no_container_is_left_of_a_worker_that_was_killed(engine: str, tmp_path: Path) -> None:
    script = """
import sys
from docendo.grading.code import job_of
from docendo.grading.sandbox import Limits, Pool
from docendo.types import Problem
problem = Problem("f", "Write f.", kind="code", meta={"entry_point": "f", "visible": ["assert f(1) == 1"]})
pool = Pool(sys.argv[1], Limits(cpu_seconds=1, seconds=5), size=1)
pool.judge(job_of(problem, "def f(n): return n"))
worker = pool._idle.get()
print(worker.pid, flush=True)
pool._idle.put(worker)
pool.judge(job_of(problem, "import time\\ndef f(n): time.sleep(1000)"))
"""
    ready(engine)
    whole = subprocess.Popen([sys.executable, "-c", script, engine], stdout=subprocess.PIPE, text=True)
    assert whole.stdout is not None
    worker = int(whole.stdout.readline())
    for _ in range(600):
        if len(containers(engine, worker)) > 1:
            break
        time.sleep(0.1)
    whole.kill()
    os.killpg(worker, signal.SIGKILL)
    whole.wait()
    whole.stdout.close()
    for _ in range(600):
        if not containers(engine, worker):
            break
        time.sleep(0.1)
    assert containers(engine, worker) == []
