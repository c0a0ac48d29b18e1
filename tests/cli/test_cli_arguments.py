"""The command line as typed: help, mistakes, and what it costs to ask."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import fields

import pytest

from docendo.cli import main, parser
from docendo.cli.settings import DEFAULT_PROBLEMS, DOMAINS, SETTINGS, given_settings, in_domain
from docendo.solve.plan import Settings
from docendo.solve.run import DEFAULT_PROBLEMS as API_DEFAULT_PROBLEMS

COMMANDS = ("solve", "score", "refine", "report", "show", "data", "study")


def leave(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command line that argparse ends."""
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert isinstance(end.value.code, int)
    return end.value.code, *capsys.readouterr()


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_explains_itself(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = leave(capsys, command, "--help")
        assert code == 0
        assert out.startswith(f"usage: docendo {command}")
        assert not err

    def test_all_commands_are_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, _ = leave(capsys, "--help")
        assert code == 0
        assert all(f"\n    {command} " in out for command in COMMANDS)

    def test_without_a_command_help_goes_to_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert "solve" in err

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        import docendo

        assert leave(capsys, "--version") == (0, f"docendo {docendo.__version__}\n", "")

    def test_it_imports_nothing_that_takes_time(self) -> None:
        code = (
            "import sys, contextlib\nfrom docendo.cli import main\n"
            "with contextlib.suppress(SystemExit): main(['solve', '--help'])\nprint(*sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
        assert "argparse" in loaded
        heavy = {"asyncio", "httpx", "jinja2", "numpy", "openai", "pydantic", "rich", "sqlite3", "sympy"}
        assert loaded.isdisjoint(heavy | {"datasets", "tokenizers", "torch", "transformers"})


class TestSettings:
    def test_help_names_the_defaults_that_hold(self) -> None:
        told = {field: default for _, field, _, _, default, _ in SETTINGS}
        known = {field.name: field.default for field in fields(Settings) if field.name != "models"}
        assert told | {"equal_cost": True, "self_debug": False} == known
        assert DEFAULT_PROBLEMS == API_DEFAULT_PROBLEMS

    def test_only_what_was_typed_is_passed_on(self) -> None:
        typed = ["--student", "a", "--student", "b", "--lessons", "3", "--no-equal-cost", "--top-p", "0.5"]
        assert given_settings(parser().parse_args(["solve", *typed])) == {
            "students": ["a", "b"],
            "lessons": 3,
            "equal_cost": False,
            "top_p": 0.5,
        }
        assert given_settings(parser().parse_args(["solve"])) == {}

    def test_a_domain_stands_for_what_was_not_typed(self) -> None:
        assert in_domain("code", None, {}) == (
            "school:code",
            {"teacher": "school:code-teacher", "students": ["school:code-student"]},
        )
        problems, settings = in_domain("code", "school:code-dev", {"teacher": "t", "lessons": 3})
        assert problems == "school:code-dev"
        assert settings == {"teacher": "t", "students": ["school:code-student"], "lessons": 3}
        default = Settings()
        assert DOMAINS["arithmetic"] == (DEFAULT_PROBLEMS, default.teacher, *default.students)

    def test_a_domain_and_a_file_of_models_exclude_each_other(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["solve", "--domain", "code", "--config", "some.toml"]) == 2
        assert "leave one out" in capsys.readouterr().err

    def test_score_has_the_students_settings_only(self) -> None:
        (commands,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
        options = {o for action in commands.choices["score"]._actions for o in action.option_strings}
        assert {"--student", "--repeats", "--student-temperature", "--seed"} <= options
        assert options.isdisjoint({"--teacher", "--lessons", "--temperature", "--no-equal-cost"})


class TestMistakes:
    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (["slove"], "no such command: slove; did you mean solve?"),
            (["zzz"], "no such command: zzz; there are solve, score, pilot, tune, refine, report, show"),
            (["solve", "--lesons", "5"], "no such option: --lesons; did you mean --lessons?"),
            (["solve", "--lesson", "5"], "no such option: --lesson; did you mean --lessons?"),
            (["show", "run", "p", "q"], "too many arguments: q"),
            (["score"], "the following arguments are required: LESSONS"),
            (["solve", "--lessons", "few"], "argument --lessons: invalid int value: 'few'"),
            (["solve", "--limit", "0"], "argument --limit: 0 is too small, it must be at least 1"),
        ],
    )
    def test_are_explained_in_a_line_with_status_2(
        self, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out, err = leave(capsys, *argv)
        assert code == 2
        assert not out
        assert said in err.splitlines()[0]
        assert "--help" in err.splitlines()[1]


def test_no_help_text_has_an_empty_or_a_second_default(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("solve", "score", "pilot", "tune", "refine", "study"):
        with pytest.raises(SystemExit):
            parser().parse_args([name, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert not re.findall(r"\(default: \)|\(default: [^)]*\) \(default", said)
