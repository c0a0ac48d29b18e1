"""`docendo solve` and `docendo score` as users meet them: what is shown where, and what may go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cli_world import LESSONS, install, reply, rows, write

from docendo.cli import main
from docendo.errors import StoreError
from docendo.models.scripted import ScriptedModel
from docendo.solve.run import Run
from docendo.store import Store
from docendo.types import Call, Reply, Usage

SMALL = ["--lessons", str(LESSONS), "--exam-problems", "1", "--repeats", "1"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def problems(tmp_path: Path) -> str:
    return str(write(tmp_path / "problems.jsonl", rows()))


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ScriptedModel]:
    """Scripted models, and a working folder that a run may write to."""
    monkeypatch.chdir(tmp_path)
    return install(monkeypatch)


def row(out: str, start: str) -> list[str]:
    """The cells of the table row that begins so."""
    return next(line.split() for line in out.splitlines() if line.split()[:1] == [start])


@pytest.mark.usefixtures("models")
class TestOutput:
    def test_tables_and_verdict_are_on_stdout(self, problems: str, capsys: Captured) -> None:
        assert main(["solve", problems, "--out", "run", *SMALL]) == 0
        out = capsys.readouterr().out
        assert row(out, "sc")[1] == "50.0"
        assert row(out, "sum")[1] == "100.0"
        assert row(out, "oracle")[1] == "100.0"
        assert row(out, "hard")[1] == "6"
        said = " ".join(out.split())
        assert "SUM beat SC overall (+50.0 points" in said
        assert "it beat SC on hard; it did the same as SC on easy." in said

    def test_says_where_everything_is_and_what_to_type_next(
        self, problems: str, capsys: Captured, tmp_path: Path
    ) -> None:
        assert main(["solve", problems, *SMALL]) == 0
        out = capsys.readouterr().out
        (folder,) = (tmp_path / "runs").iterdir()
        assert folder.name.startswith("solve-")
        said = dict(line.split(None, 1) for line in out.splitlines()[-4:])
        assert (tmp_path / said["run"]) == folder
        assert "<html" in (tmp_path / said["report"]).read_text(encoding="utf-8")
        program, *next_command = said["next"].split()
        assert program == "docendo"
        assert main(next_command) == 0
        # the story it points to is one where SUM was right and SC was not
        assert "hard" in capsys.readouterr().out

    def test_without_report(self, problems: str, capsys: Captured, tmp_path: Path) -> None:
        assert main(["solve", problems, "--out", "run", "--no-report", *SMALL]) == 0
        assert "report" not in capsys.readouterr().out
        assert not list((tmp_path / "run").glob("*.html"))

    def test_progress_is_plain_lines_on_stderr_where_there_is_no_terminal(
        self, problems: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        install(monkeypatch, held="until-shown")
        assert main(["solve", problems, "--out", "run", "--parallel", "2", *SMALL]) == 0
        out, err = capsys.readouterr()
        assert err.splitlines()[0] == "solve: 12 problems, in run"
        assert err.splitlines()[-1].startswith("12/12 problems; ")
        assert "right so far: greedy 50.0 %, SC 50.0 %, SUM 100.0 %" in err.splitlines()[-1]
        assert "\x1b" not in out + err
        assert "\r" not in out + err

    def test_quiet_leaves_the_tables_only(self, problems: str, capsys: Captured) -> None:
        assert main(["solve", problems, "--out", "run", "--quiet", *SMALL]) == 0
        out, err = capsys.readouterr()
        assert "oracle" in out
        assert not err

    def test_limit_takes_the_first(self, problems: str, capsys: Captured) -> None:
        assert main(["solve", problems, "--out", "run", "--limit", "4", *SMALL]) == 0
        assert set(Run(Path("run")).answers()) == {row["id"] for row in rows()[:4]}
        assert capsys.readouterr().out.startswith("4 problems, 20 samples")

    def test_a_budget_stops_it_and_says_how_to_go_on(
        self, problems: str, capsys: Captured, tmp_path: Path
    ) -> None:
        plan = ["--no-equal-cost", "--parallel", "1", *SMALL]
        assert main(["solve", problems, "--out", "run", "--budget", "30 calls", *plan]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "Stopped: the budget of 30 calls is used up; " in out
        assert "To go on: docendo solve --resume run --budget LIMITS" in out
        assert "the budget of 30 calls is used up" in (tmp_path / "run" / "report.html").read_text("utf-8")
        assert main(["solve", "--resume", "run", "--budget", "", "--json", "--quiet"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["stopped"] is None
        assert found["finished"] == found["planned"] == 12
        assert sum(item["calls"] for item in found["bill"]["items"]) > 30

    def test_a_budget_that_says_nothing_is_refused(self, problems: str, capsys: Captured) -> None:
        assert main(["solve", problems, "--budget", "a lot", *SMALL]) == 2
        assert "'a lot' is not understood" in capsys.readouterr().err

    def test_settings_reach_the_run(self, problems: str) -> None:
        options = ["--no-equal-cost", "--seed", "7", "--student", "school:a", "--student", "school:b"]
        options += ["--top-k", "5"]
        assert main(["solve", problems, "--out", "run", "--quiet", *options, *SMALL]) == 0
        with Store.read("run") as view:
            settings = view.config["settings"]
            assert view.info.seed == 7
        assert settings["students"] == ["school:a", "school:b"]
        assert (settings["equal_cost"], settings["top_k"], settings["lessons"]) == (False, 5, LESSONS)

    def test_a_run_file_says_the_rest(self, problems: str, tmp_path: Path) -> None:
        file = tmp_path / "run.toml"
        file.write_text(
            f'problems = "{Path(problems).name}"\nlimit = 4\nlessons = 9\nrepeats = 2\nprompts = "school"\n'
            '[teacher]\nmodel = "openai:x"\ntemperature = 0.4\n'
        )
        options = ["--config", str(file), "--base-url", "http://127.0.0.1:9/v1", "--repeats", "1"]
        assert main(["solve", "--out", "run", "--quiet", *options, "--lessons", str(LESSONS)]) == 0
        with Store.read("run") as view:
            settings = view.config["settings"]
            assert len(list(view.problems())) == 4
        assert (settings["lessons"], settings["repeats"]) == (LESSONS, 1)
        spec = {"model": "openai:x", "name": "openai:x", "temperature": 0.4}
        assert settings["models"] == {"openai:x": spec | {"base_url": "http://127.0.0.1:9/v1"}}

    def test_a_mistake_in_a_run_file_ends_in_a_line(self, tmp_path: Path, capsys: Captured) -> None:
        file = tmp_path / "run.toml"
        file.write_text("lesons = 9\n")
        assert main(["solve", "--config", str(file)]) == 2
        assert capsys.readouterr().err == f"docendo: {file}: unknown key 'lesons'; did you mean lessons?\n"

    def test_replies_that_do_not_count_are_shown(
        self, problems: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut(call: Call) -> Reply | str:
            if call.purpose == "teach" and call.sample == 0:
                return Reply(" it goes on and", "length", Usage(9, 0, 4))
            return reply(call)

        install(monkeypatch, cut)
        assert main(["solve", problems, "--out", "run", *SMALL]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "Replies of the teacher: 48 ok, 12 truncated." in said

    def test_nothing_in_a_question_or_a_reply_can_steer_the_terminal(
        self, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wild = [r | {"question": f"\x1b[2J[bold]{r['question']}", "group": "\x1b]0;x\x07"} for r in rows(4)]
        source = write(tmp_path / "wild.jsonl", wild)
        install(monkeypatch, lambda call: f"\x1b[31m{reply(call)}")
        assert main(["solve", str(source), "--out", "run", *SMALL]) == 0
        assert main(["show", "run"]) == 0
        assert main(["show", "run", "hard-01", "--all"]) == 0
        out, err = capsys.readouterr()
        assert not set(out + err) & {"\x1b", "\x07"}
        assert r"\x1b[2J[bold]A hard box" in out


@pytest.mark.usefixtures("models")
class TestJson:
    def test_stdout_is_one_object_and_the_rest_is_on_stderr(self, problems: str, capsys: Captured) -> None:
        assert main(["solve", problems, "--out", "run", "--json", *SMALL]) == 0
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 1
        run = Run(Path("run"))
        extra = {"bill": run.bill().json(), "answers": run.answers()}
        assert json.loads(out) == run.summary().json() | extra
        assert json.loads(out)["arms"]["sum"]["accuracy"] == 1.0
        assert "SUM beat SC" in err

    def test_quiet_then_leaves_nothing_on_stderr(self, problems: str, capsys: Captured) -> None:
        assert main(["solve", problems, "--out", "run", "--json", "--quiet", *SMALL]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["problems"] == 12
        assert not err

    def test_a_report_that_cannot_be_written_does_not_cost_the_result(
        self, problems: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise StoreError("run/report.html: the report cannot be written")

        monkeypatch.setattr("docendo.report.write_report", fail)
        assert main(["solve", problems, "--out", "run", "--json", *SMALL]) == 4
        out, err = capsys.readouterr()
        assert json.loads(out)["problems"] == 12
        assert "the report cannot be written" in err
        assert "SUM beat SC" in err

    def test_without_gold_answers_it_still_has_the_answers(self, capsys: Captured, tmp_path: Path) -> None:
        pool = str(write(tmp_path / "pool.jsonl", [r | {"id": f"x{r['id']}"} for r in rows(20)[12:]]))
        unknown = str(write(tmp_path / "unknown.jsonl", rows(6, gold=False)))
        assert main(["solve", unknown, "--exams", pool, "--out", "run", "--json", *SMALL]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["problems"] == 0
        assert found["arms"] == {}
        assert found["answers"] == {r["id"]: str(r["answer"]) for r in rows(6)}


@pytest.mark.usefixtures("models")
class TestUnknownAnswers:
    def test_the_chosen_ones_are_listed_up_to_twenty(self, capsys: Captured, tmp_path: Path) -> None:
        pool = str(write(tmp_path / "pool.jsonl", [r | {"id": f"x{r['id']}"} for r in rows(30)[24:]]))
        unknown = str(write(tmp_path / "unknown.jsonl", rows(24, gold=False)))
        assert main(["solve", unknown, "--exams", pool, "--out", "run", *SMALL]) == 0
        out = capsys.readouterr().out
        listed = [line.split() for line in out.splitlines() if line.startswith(("easy-", "hard-"))]
        assert len(listed) == 20
        # first those where the exams changed the vote
        answers = {r["id"]: r["answer"] for r in rows(24)}
        assert all(cells[0].startswith("hard") and cells[1] != cells[2] for cells in listed[:12])
        assert all(int(cells[1]) == answers[cells[0]] for cells in listed)
        assert "… and 4 more: docendo show run" in out
        assert "accuracy" not in out

    def test_known_and_unknown_ones_are_both_shown(self, capsys: Captured, tmp_path: Path) -> None:
        mixed = [*rows(6), *rows(8, gold=False)[6:]]
        source = str(write(tmp_path / "mixed.jsonl", mixed))
        assert main(["solve", source, "--out", "run", *SMALL]) == 0
        out = capsys.readouterr().out
        assert row(out, "hard-07")[1] == str(rows(8)[7]["answer"])
        assert "6 problems with known answers of 8" in out


class TestResume:
    def stop_after(self, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the models break down after so many replies."""
        left = iter(range(count))

        def say(call: Call) -> str:
            if next(left, None) is None:
                raise RuntimeError("unplugged")
            return reply(call)

        install(monkeypatch, say)

    @pytest.mark.parametrize("count", [0, 40, 90])
    def test_goes_on_to_the_very_same_end(
        self, count: int, problems: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        self.stop_after(count, monkeypatch)
        assert main(["solve", problems, "--out", "cut", *SMALL]) == 3
        out, err = capsys.readouterr()
        assert not out
        assert "unplugged" in err
        assert err.splitlines()[-1].endswith("To go on: docendo solve --resume cut")
        assert "Traceback" not in err

        install(monkeypatch)
        assert main(["solve", "--resume", "cut", "--json"]) == 0
        resumed = json.loads(capsys.readouterr().out)
        assert main(["solve", problems, "--out", "whole", "--json", *SMALL]) == 0
        assert resumed == json.loads(capsys.readouterr().out)

    def test_of_a_finished_run_shows_its_tables_and_asks_nothing(
        self, problems: str, models: list[ScriptedModel], capsys: Captured
    ) -> None:
        assert main(["solve", problems, "--out", "run", *SMALL]) == 0
        first = capsys.readouterr().out
        asked = sum(len(model.seen) for model in models)
        assert main(["solve", "--resume", "run"]) == 0
        assert capsys.readouterr().out.split("\ntime ")[0] == first.split("\ntime ")[0]
        assert sum(len(model.seen) for model in models) == asked

    def test_takes_no_other_plan(self, problems: str, models: list[ScriptedModel], capsys: Captured) -> None:
        assert main(["solve", "x.jsonl", "--resume", "run", "--limit", "3"]) == 2
        assert "leave out PROBLEMS, --limit" in capsys.readouterr().err
        assert main(["solve", problems, "--out", "run", *SMALL]) == 0
        assert main(["solve", "--resume", "run", "--lessons", "3", "--no-equal-cost"]) == 2
        err = capsys.readouterr().err
        assert (
            f"lessons was {LESSONS} and cannot become 3; equal_cost was True and cannot become False" in err
        )
        assert main(["solve", "--resume", "run", "--base-url", "http://127.0.0.1:1/v1"]) == 2
        assert "no openai: or azure: model" in capsys.readouterr().err


class TestErrors:
    @pytest.mark.parametrize(
        ("argv", "code", "said"),
        [
            (["solve", "none.jsonl"], 2, "none.jsonl: no such file"),
            (["solve", "bad.jsonl"], 2, "bad.jsonl:2: not JSON"),
            (["solve", "ok.jsonl", "--exams", "none.jsonl"], 2, "none.jsonl: no such file"),
            (["solve", "school:none"], 2, "no such problem set"),
            (["solve", "ok.jsonl", "--lessons", "0"], 2, "at least 1"),
            (["solve", "ok.jsonl", "--prompts", "none"], 2, "no style or folder 'none'"),
            (["solve", "ok.jsonl", "--out", "full"], 4, "full: the folder is not empty"),
            (["solve", "--resume", "full"], 4, "full: not a run of docendo"),
            (["score", "ok.jsonl"], 2, "ok.jsonl:1: field 'rationale' is missing"),
            (["show", "none"], 4, "none: not a run of docendo"),
            (["report", "none"], 4, "none: not a run of docendo"),
        ],
    )
    @pytest.mark.usefixtures("models")
    def test_bad_input_is_a_message_and_a_code(
        self, argv: list[str], code: int, said: str, capsys: Captured, tmp_path: Path
    ) -> None:
        write(tmp_path / "ok.jsonl", rows(4))
        (tmp_path / "bad.jsonl").write_text(f"{json.dumps(rows(1)[0])}\n{{\n", encoding="utf-8")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "thesis.txt").write_text("mine")
        assert main(argv) == code
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith("docendo: ")
        assert said in err
        assert "Traceback" not in err
        assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
        assert not (tmp_path / "runs").exists()

    @pytest.fixture
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
        def install_fault(fault: BaseException) -> None:
            def fail(*_: Any, **__: Any) -> None:
                raise fault

            monkeypatch.setattr(import_module("docendo.cli.solve"), "solve_problems", fail)

        return install_fault

    def test_a_fault_in_docendo_is_short_and_says_how_to_see_more(
        self, broken: Callable[[BaseException], None], capsys: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DOCENDO_TRACEBACK", raising=False)
        broken(ZeroDivisionError("oh"))
        assert main(["solve"]) == 70
        err = capsys.readouterr().err
        assert err == (
            "docendo: a fault in docendo: ZeroDivisionError: oh; DOCENDO_TRACEBACK=1 shows where. "
            "Please report it.\n"
        )
        monkeypatch.setenv("DOCENDO_TRACEBACK", "1")
        assert main(["solve"]) == 70
        assert "Traceback" in capsys.readouterr().err

    def test_an_interrupt_before_the_run_began(
        self, broken: Callable[[BaseException], None], capsys: Captured
    ) -> None:
        broken(KeyboardInterrupt())
        assert main(["solve"]) == 130
        assert capsys.readouterr().err == "docendo: interrupted\n"


@pytest.mark.usefixtures("models")
class TestScore:
    @pytest.fixture
    def lessons(self, tmp_path: Path) -> str:
        question = rows(2)[1]["question"]
        wrong = {"question": question, "rationale": "multiply 4 and 7.", "answer": 28}
        right = {"question": question, "rationale": "add 4 and 7.", "answer": "11"}
        return str(write(tmp_path / "lessons.jsonl", [wrong, right, wrong]))

    def test_shows_each_lessons_score_and_the_choice(
        self, lessons: str, problems: str, capsys: Captured
    ) -> None:
        options = ["--exam-problems", "2", "--repeats", "2"]
        assert main(["score", lessons, "--problems", problems, "--out", "run", *options]) == 0
        out = capsys.readouterr().out
        assert ["100.0", "%", "1×", "add", "4", "and", "7."] in [line.split() for line in out.splitlines()]
        assert ["0.0", "%", "2×", "multiply", "4", "and", "7."] in [line.split() for line in out.splitlines()]
        assert row(out, "sc")[:3] == ["sc", "✗", "28"]
        assert row(out, "sum")[:3] == ["sum", "✓", "11"]
        assert "greedy" not in out
        with Store.read("run") as view:
            assert view.info.kind == "score"

    def test_says_what_decided_a_tie(self, problems: str, capsys: Captured, tmp_path: Path) -> None:
        question = rows(2)[1]["question"]
        answers = (28, 11, 30, 30)  # after "multiply" nobody passes an exam, so all scores are 0
        given = [{"question": question, "rationale": "multiply them.", "answer": a} for a in answers]
        lessons = str(write(tmp_path / "lessons.jsonl", given))
        assert main(["score", lessons, "--problems", problems, "--out", "run", "--quiet"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "sc ✗ 30 written by 2 of 4 samples; next 28 with 1" in said
        assert "max ✗ 30 best LbT score 0.0 %; next 28 with 0.0 % (equal: more samples)" in said
        lessons = str(write(tmp_path / "lessons.jsonl", given[:2]))
        assert main(["score", lessons, "--problems", problems, "--out", "two", "--quiet"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "sc ✗ 28 written by 1 of 2 samples; next 11 with 1 (equal: it came first)" in said

    def test_has_json_and_a_folder_of_its_own(
        self, lessons: str, problems: str, capsys: Captured, tmp_path: Path
    ) -> None:
        assert main(["score", lessons, "--problems", problems, "--json", "--quiet"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert set(found["arms"]) == {"sc", "max", "sum", "avg", "oracle"}
        assert found["answers"] == {"hard-01": "11"}
        (folder,) = (tmp_path / "runs").iterdir()
        assert folder.name.startswith("score-")
