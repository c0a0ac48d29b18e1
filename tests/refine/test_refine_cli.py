"""`docendo refine` as typed, over HTTP to a server that says what the scripted models say; its page; its exports."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import pytest
from colours import models, speak, task, teaching, typed
from hypothesis import given as for_all
from hypothesis import strategies as st

from docendo.cli import main, parser
from docendo.cli.refine import Progress
from docendo.cli.refining import REFINING, SWITCHES, given
from docendo.cli.rounds import in_lines
from docendo.cli.settings import SETTINGS
from docendo.models.endpoint.mock import MockServer
from docendo.models.meter import Meter
from docendo.refine.config import ASKING, WORDS
from docendo.refine.plan import Refining
from docendo.refine.run import refine
from docendo.report import write_report
from docendo.types import Call, Lesson, Problem

SMALL = [
    "--examples",
    "6",
    "--rounds",
    "2",
    "--beam",
    "2",
    "--minibatch",
    "12",
    "--reflections",
    "2",
    "--failures",
    "3",
]


def test_a_run_as_typed(
    server: MockServer,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    assert main(typed(server, rows, "--out", str(out), "--instruction", "Say whether it glows.")) == 0
    said, progress = capsys.readouterr()
    assert "24 exam, 24 validation and 40 test problems" in said
    assert "openai:small: +" in said
    assert "round 2: read-out" in progress
    assert (out / "report.html").is_file()
    assert {p.name for p in (out / "best").iterdir()} == {
        "set.json",
        "lessons.jsonl",
        "chat.json",
        "dspy.json",
    }

    assert main(["show", str(out)]) == 0
    listed = capsys.readouterr().out
    name = listed.rsplit(" ", 1)[-1].strip()
    assert main(["show", str(out), name]) == 0
    story = capsys.readouterr().out
    assert f"Set {name}, rewritten after failures of" in story
    assert "What the teacher made of it" in story
    assert main(["show", str(out), "9.9"]) == 2
    assert "no set '9.9'" in capsys.readouterr().err

    page = (out / "report.html").read_bytes()
    assert main(["report", str(out), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == page
    assert "points of F1 over the starting set" in capsys.readouterr().out

    # The best set is where another run may start.
    again = tmp_path / "again"
    lessons = str(out / "best" / "lessons.jsonl")
    assert (
        main(
            typed(server, rows, "--out", str(again), "--start", lessons, "--rounds", "0", "--json", "--quiet")
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["best"] == json.loads((out / "best" / "set.json").read_text())["examples"]


def test_a_budget_as_typed(
    server: MockServer,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    assert main(typed(server, rows, "--out", str(out), "--budget", "300 calls")) == 0
    said = capsys.readouterr().out
    assert "The budget of 300 calls is used up" in said
    assert (out / "best" / "set.json").is_file()
    assert main(["refine", "--resume", str(out), "--budget", "100k calls", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"]
    assert main(["refine", "--resume", str(out), "--rounds", "9"]) == 2
    assert "rounds was 2 and cannot become 9" in capsys.readouterr().err


def test_a_run_goes_on_where_its_server_went(
    server: MockServer, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(typed(server, rows, "--out", str(out), "--budget", "300 calls")) == 0
    server.stop()
    with MockServer(speak) as other:
        words = ["refine", "--resume", str(out), "--base-url", other.url, "--budget", "", "--json", "--quiet"]
        assert main(words) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["complete"]


def test_a_dry_run_asks_nothing_and_forecasts_what_a_run_then_asks(
    server: MockServer,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for way in (("reflect", "teacher"), ("random", "train")):
        said = ["--search", way[0], "--start", way[1], "--json", "--quiet"]
        assert main(typed(server, rows, "--dry-run", *said)) == 0
        forecast = json.loads(capsys.readouterr().out)
        assert main(typed(server, rows, "--out", str(tmp_path / way[0]), *said)) == 0
        bill = json.loads(capsys.readouterr().out)["bill"]
        asked = sum(item["calls"] for item in bill["items"])
        assert forecast["total"]["calls"]["low"] <= asked <= forecast["total"]["calls"]["high"]
    assert main(typed(server, rows, "--dry-run")) == 0
    assert "nothing was asked" in capsys.readouterr().out


def test_the_command_and_the_run_file_know_the_same_settings() -> None:
    typed = parser().parse_args(["refine"])
    for field in WORDS.known:
        assert hasattr(typed, field) or field in ("train", "validation", "test", "name"), field


def test_help_names_the_defaults_that_hold() -> None:
    told = {field: default for _, field, _, _, default, _ in REFINING} | {
        field: True for _, field, _ in SWITCHES
    }
    assert told == {field.name: field.default for field in fields(Refining)}
    typed = parser().parse_args(["refine", "x.jsonl", "--unbalanced", "--beam", "2", "--student", "a"])
    assert given(typed) == {"balanced": False, "beam": 2, "students": ["a"]}


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        named = dict(attrs)
        self.ids += [named["id"]] if named.get("id") else []
        self.links += [named["href"]] if named.get("href") else []


HOSTILE = '</p><script>alert("x")</script><img src=x onerror=alert(1)>&amp;'


def hostile(call: Call) -> str:
    if call.purpose == "reflect":
        return HOSTILE
    if call.purpose == "rewrite" and call.sample % 2:
        return HOSTILE
    return teaching(call).replace("shines", f"shines {HOSTILE}".replace('"', "'"))


def test_the_page_shows_the_rounds_and_texts_stay_texts(tmp_path: Path) -> None:
    run = refine(
        task(),
        out=tmp_path / "run",
        models=models(hostile),
        teacher="teacher",
        students=["student1"],
        examples=6,
        rounds=2,
        beam=2,
        minibatch=12,
        reflections=2,
        rewrites=2,
    )
    text = write_report(run.folder).read_text(encoding="utf-8")
    page = Tags(text)
    assert not {"script", "img"} & set(page.found)
    assert {f"round-{n}" for n in range(3)} <= set(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert "no examples to be read" in text
    assert write_report(run.folder).read_text(encoding="utf-8") == text


def test_the_page_of_a_run_that_hardly_began(tmp_path: Path) -> None:
    from docendo.models.budget import Budget

    run = refine(
        task(),
        out=tmp_path / "run",
        models=models(),
        teacher="teacher",
        students=["student1"],
        stop=Budget(calls=1),
        examples=6,
    )
    assert "No round is whole yet" in write_report(run.folder).read_text(encoding="utf-8")


def test_exports_have_the_set_in_every_form(tmp_path: Path) -> None:
    from docendo.refine.export import QUESTION, as_dspy, export

    run = refine(
        task(),
        out=tmp_path / "run",
        models=models(),
        teacher="teacher",
        students=["student1"],
        examples=6,
        rounds=1,
        beam=2,
        minibatch=12,
        reflections=2,
    )
    files = {p.name: p for p in export(run.summary(), tmp_path / "out")}
    best = run.best()
    messages = json.loads(files["chat.json"].read_text())
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 6, "user"]
    assert messages[-1]["content"] == QUESTION
    assert best.examples[0].rationale in messages[2]["content"]

    # As `dspy.ChainOfThought("question -> answer").save` writes it (DSPy 3.4).
    state = json.loads(files["dspy.json"].read_text())
    assert set(state) == {"predict", "metadata"}
    assert set(state["metadata"]["dependency_versions"]) == {"python", "dspy", "cloudpickle"}
    predict = state["predict"]
    assert set(predict) == {"traces", "train", "demos", "signature", "lm"}
    assert [f["prefix"] for f in predict["signature"]["fields"]] == ["Question:", "Reasoning:", "Answer:"]
    assert predict["demos"][0] == {
        "question": best.examples[0].question,
        "reasoning": best.examples[0].rationale,
        "answer": best.examples[0].answer,
    }
    bare = Lesson(tuple(type(e)(e.question, "", e.answer) for e in best.examples))
    assert [f["prefix"] for f in as_dspy(task(), bare)["signature"]["fields"]] == ["Question:", "Answer:"]


def test_worked_maths_goes_the_same_road(tmp_path: Path) -> None:
    numbers = [Problem(str(n), f"What is {n} and {n * 7}?", answer=str(8 * n)) for n in range(3, 83)]

    def count(call: Call) -> str:
        if call.purpose in ("propose", "rewrite"):
            rows = [
                {"question": f"{call.sample + i} boxes of {i + 2}?", "reasoning": "Multiply.", "answer": "9"}
                for i in range(4)
            ]
            return json.dumps(rows)
        asked = call.prompt[-1][1]
        if call.purpose == "reflect":
            return "They do not add."
        n = int(asked.split()[2])
        return f"Final answer: \\boxed{{{8 * n if n % 3 else 0}}}"

    run = refine(
        numbers, out=tmp_path / "run", models=models(count, count), teacher="teacher", students=["student1"],
        examples=4, rounds=2, beam=2, minibatch=8, reflections=2,
    )  # fmt: skip
    summary = run.summary()
    assert summary.rounds[-1].readouts[0].f1 is None
    assert 0.5 < summary.rounds[-1].readouts[0].accuracy.mean < 0.8
    assert summary.changes["students"].accuracy.mean == 0.0
    assert summary.unchanged
    assert {c.how for c in summary.candidates.values()} == {"none", "proposed", "rewritten"}
    assert "the starting set is still the best" in write_report(run.folder).read_text(encoding="utf-8")
    assert "Test accuracy by round" in write_report(run.folder).read_text(encoding="utf-8")


def test_the_options_of_asking_are_the_settings_that_a_run_file_may_have() -> None:
    refining = {field for _, field, *_ in REFINING}
    typed_here = {action.dest for action in parser().commands["refine"]._actions}
    assert {setting[1] for setting in SETTINGS if setting[1] not in refining} & typed_here == set(ASKING)


@for_all(
    st.from_regex(r"[a-zA-Z0-9]{1,12}([-/_:. ][a-zA-Z0-9]{1,12}){0,5}", fullmatch=True), st.integers(8, 30)
)
def test_a_models_name_breaks_after_a_mark_and_within_no_word(name: str, room: int) -> None:
    lines = in_lines(name, room).split("\n")
    assert [word for line in lines for word in re.split(r"[-/_:. ]", line) if word] == re.split(
        r"[-/_:. ]", name
    )
    assert all(len(line) <= room or len(re.split(r"[-/_:. ]", line.rstrip("-/_:. "))) == 1 for line in lines)
    assert len(name) > room or len(lines) == 1


def test_the_rounds_table_fits_a_narrow_terminal(
    server: MockServer,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "openai:meta-llama/Llama-3.2-1B-Instruct"
    more = ("--student", name, "--no-report", "--rounds", "1")
    assert main(typed(server, rows, "--out", str(tmp_path / "run"), *more)) == 0
    table = capsys.readouterr().out.partition("no examples")[0].splitlines()
    assert {"Llama-3.2-", "Instruct:"} <= {word for line in table for word in line.split()}
    assert max(map(len, table)) <= 80


def test_why_nothing_comes_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress, asked = Progress(), threading.Event()

    def trouble() -> str:
        progress.close()  # once is enough
        asked.set()
        return "http://127.0.0.1:1/v1 has answered nothing for 5 s"

    monkeypatch.setattr("docendo.cli.refine._WAITING_SECONDS", 0.01)
    meter = Meter()
    meter.watch(trouble)
    progress.started(Path("runs/r"), 5, 0, meter)
    assert asked.wait(300)
    for thread in threading.enumerate():
        if thread.name == "docendo waiting":
            thread.join()
    assert "waiting: http://127.0.0.1:1/v1 has answered nothing" in capsys.readouterr().err
