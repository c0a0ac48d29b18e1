"""Programming problems on the whole road: a server writes programs, exams see visible tests, a killed run goes on."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest
from killing import recorded

import docendo
from docendo.errors import DocendoError
from docendo.grading import sandbox
from docendo.models.endpoint.mock import Answer, MockServer, Request
from docendo.models.scripted import ScriptedModel
from docendo.report import write_report
from docendo.solve.run import solve
from docendo.store import Store
from docendo.types import Call, Problem

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="running programs needs bubblewrap (apt-get install bubblewrap)"
)

FACTORS = (2, 3, 5, 7)


@pytest.fixture(autouse=True, scope="module")
def _workers() -> Iterator[None]:
    yield
    sandbox.close_all()


def times(factor: int) -> Problem:
    name = f"times{factor}"
    return Problem(
        name,
        f"Write {name}(n), which returns {factor} times n.",
        kind="code",
        family="times",
        meta={
            "entry_point": name,
            "visible": [{"args": [0], "expected": 0}, {"args": [1], "expected": factor}],
            "hidden": [{"args": [-4321], "expected": -4321 * factor}],
        },
    )


PROBLEMS = [times(factor) for factor in FACTORS]


def program(name: str, factor: str) -> str:
    return f"```python\ndef {name}(n):\n    return {factor} * n\n```"


def asked_of(text: str) -> tuple[str, str]:
    """Name and factor of the problem that a prompt ends with."""
    words = text.rpartition("Write times")[2]
    factor = words.partition("(")[0]
    return f"times{factor}", factor


def test_exams_choose_the_program_that_is_right_where_visible_tests_do_not_tell() -> None:
    """Most of the teacher's programs pass all visible tests and are wrong; the lesson of the right one teaches."""

    def teacher(call: Call) -> str:
        name, factor = asked_of(str(call.prompt))
        if call.purpose == "teach" and call.sample % 3 == 0:
            return f"Multiply.\n{program(name, factor)}"
        # Right on what is visible, wrong below 0.
        return f"Look it up.\n```python\ndef {name}(n):\n    return {factor} * n if n >= 0 else 0\n```"

    def student(call: Call) -> str:
        name, factor = asked_of(str(call.prompt))
        return program(name, factor if "Multiply." in str(call.prompt) else "0")

    models = {"t": ScriptedModel("t", teacher), "s": ScriptedModel("s", student)}
    plan = {"teacher": "t", "students": ("s",), "lessons": 6, "exam_problems": 2, "repeats": 1}
    run = solve(PROBLEMS, out=None, models=models, equal_cost=False, prompts="chat", **plan)
    try:
        arms = run.summary().overall.arms
        assert {name: arms[name].accuracy.mean for name in ("greedy", "sc", "max", "oracle")} == {
            "greedy": 0.0,
            "sc": 0.0,
            "max": 1.0,
            "oracle": 1.0,
        }
        with run.view() as view:
            samples, exams = list(view.samples()), list(view.exam_answers())
            assert {row.score for row in view.lessons()} == {1.0, 0.5}  # V-scores: 0 * 0 is right as well
        shown = {name: (arm.v_score.mean, arm.s_score.mean) for name, arm in arms.items()}
        assert {name: shown[name] for name in ("greedy", "sc", "max", "oracle")} == {
            "greedy": (1.0, 0.0),
            "sc": (1.0, 0.0),
            "max": (1.0, 1.0),
            "oracle": (1.0, 1.0),
        }
        assert run.summary().json()["arms"]["greedy"]["s_score"]["mean"] == 0.0
        page = write_report(run.folder).read_text(encoding="utf-8")
        row = page.split('data-arm="sc"', 1)[1].split("</tr>", 1)[0]
        assert re.findall(r'<data value="([^"]+)" title="95% interval', row) == ["1.0", "0.0"]
        assert all("hidden" not in json.loads(row.grade.detail or "") for row in exams)
        taught = [json.loads(row.grade.detail or "") for row in samples]
        assert all(detail["visible"] == [2, 2] for detail in taught)
        assert {tuple(detail["hidden"]) for detail in taught} == {(0, 1), (1, 1)}
    finally:
        shutil.rmtree(run.folder)


def test_without_a_sandbox_no_model_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.ready.cache_clear()
    model = ScriptedModel("m", lambda call: "")
    with pytest.raises(DocendoError, match="apt-get install bubblewrap"):
        docendo.solve(PROBLEMS, out=tmp_path / "run", models={"m": model}, teacher="m", students=("m",))
    sandbox.ready.cache_clear()
    assert not model.seen
    assert not (tmp_path / "run").exists()


# --- a real server, and a kill ------------------------------------------------------------------------------


class Server:
    """Writes programs, never the same text twice, some right and some wrong; counts what it is asked.

    What comes after the first `most` requests waits until it is let go.
    """

    def __init__(self, most: int) -> None:
        self.requests: list[str] = []
        self.let_go = False
        self._most = most
        self._number = itertools.count()

    def __call__(self, request: Request) -> Awaitable[Answer]:
        number = next(self._number)
        self.requests.append(hashlib.sha256(request.body).hexdigest())
        name, factor = asked_of(request.text)
        wrong = number % 3 == 0
        return self._said(
            number, Answer.chat(f"Strategy {number}.\n{program(name, '1' if wrong else factor)}")
        )

    async def _said(self, number: int, answer: Answer) -> Answer:
        while number >= self._most and not self.let_go:
            await asyncio.sleep(0.01)
        return answer


def test_a_killed_run_of_a_real_server_runs_no_program_twice(tmp_path: Path) -> None:
    problems, run = tmp_path / "problems.jsonl", tmp_path / "run"
    rows = [
        {"id": p.id, "question": p.question, "kind": "code", "family": p.family, "meta": p.meta}
        for p in PROBLEMS
    ]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    # Counts every sandbox that a process starts, on its way to the real one.
    counter = tmp_path / "bin" / "bwrap"
    counter.parent.mkdir()
    counter.write_text(f'#!/bin/sh\necho start >> "$STARTS"\nexec {shutil.which("bwrap")} "$@"\n')
    counter.chmod(0o755)
    environment = os.environ | {"PATH": f"{counter.parent}:{os.environ['PATH']}", "OPENAI_API_KEY": "none"}
    options = [
        "--lessons",
        "5",
        "--exam-problems",
        "2",
        "--repeats",
        "2",
        "--no-equal-cost",
        "--parallel",
        "2",
    ]
    quiet = ["--quiet", "--no-report", "--json"]

    def start(command: list[str], starts: Path) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-m", "docendo", "solve", *command, *quiet]
        own = environment | {"STARTS": str(starts)}
        return subprocess.Popen(arguments, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    # Of 26 for each of the four problems, two of them at a time: so two of them have their verdicts, or soon will, and
    # the first process is not done before it is killed.
    server = Server(80)
    with MockServer(server) as mock:
        models = ["--teacher", "openai:m", "--student", "openai:m", "--base-url", mock.url]
        with start([str(problems), *models, *options, "--out", str(run)], tmp_path / "killed") as first:
            while first.poll() is None and recorded(run, "verdicts") < 30:
                time.sleep(0.01)
            first.send_signal(signal.SIGKILL)
        before = recorded(run, "verdicts")
        server.let_go = True
        starts = tmp_path / "starts"
        with start(["--resume", str(run)], starts) as second:
            _, said = second.communicate()
    assert second.returncode == 0, said
    with Store.read(run) as view:
        assert view.done_ids() == {problem.id for problem in PROBLEMS}
        verdicts, calls = list(view.verdicts()), list(view.calls())
        facts = [*view.samples(), *view.exam_answers()]
        sent = list(view.sent())
    # Every call has a verdict, and every verdict is kept with what came of the tests.
    assert all(row.grade.detail is not None for row in facts)
    assert all(row.grade.detail is not None for row in verdicts)
    assert len(calls) == len(facts)
    # No recorded call was asked again.
    sessions = {row.call: row.session for row in calls}
    assert not [key for key, session in sent if key in sessions and sessions[key] < session]
    # No program whose verdict was recorded was run again: the second process, which nobody killed, started a sandbox
    # for each verdict of its own. (What the first started tells nothing: it may have judged more than it had recorded.)
    assert before >= 30
    judged = Counter(row.session for row in verdicts)
    assert set(judged) == {1, 2}
    assert judged[1] >= before
    workers = len(os.sched_getaffinity(0)) + 1
    # A trial with its checker; for each worker a checker, and a sandbox for the program that never came.
    beside = 2 + 2 * workers
    assert judged[2] <= len(starts.read_text().splitlines()) <= judged[2] + beside
