"""The command line as a process: interrupts, readers that go away, and real terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from cli_world import LESSONS, install, rows, write

from docendo.cli import main

WORLD = str(Path(__file__).with_name("cli_world.py"))
SMALL = ["--lessons", str(LESSONS), "--exam-problems", "1", "--repeats", "1", "--no-report"]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")


@pytest.fixture
def problems(tmp_path: Path) -> str:
    return str(write(tmp_path / "problems.jsonl", rows()))


def on_a_terminal(argv: list[str], columns: int = 60, lines: int = 20, **environment: str) -> tuple[int, str]:
    """Exit code and everything that was written, of a command on a terminal of this size."""
    inside, outside = pty.openpty()
    fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    unset = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    env |= {"TERM": "xterm-256color", **environment}
    with subprocess.Popen([sys.executable, WORLD, *argv], stdout=outside, stderr=outside, env=env) as process:
        os.close(outside)
        written = b""
        while True:
            try:
                part = os.read(inside, 65536)
            except OSError:  # the other side is closed
                part = b""
            if not part:
                break
            written += part
    os.close(inside)
    return process.returncode, written.decode("utf-8")


class TestInterrupt:
    @pytest.mark.parametrize(
        ("number", "code", "said_to_be"),
        [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")],
    )
    def test_keeps_what_was_recorded_and_says_how_to_go_on(
        self,
        number: signal.Signals,
        code: int,
        said_to_be: str,
        problems: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = str(tmp_path / "my run")
        command = [
            sys.executable,
            WORLD,
            "after-the-first",
            "solve",
            problems,
            "--out",
            folder,
            "--parallel",
            "1",
            *SMALL,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert any(line.startswith("1/12 problems") for line in process.stderr), (
                "the first was never finished"
            )
            process.send_signal(number)
            out, err = process.communicate(timeout=300)
        assert process.returncode == code
        assert not out
        assert f"docendo: {said_to_be}" in err
        assert f"docendo solve --resume '{folder}'" in err.splitlines()[-1]
        assert "Traceback" not in err
        install(monkeypatch)
        assert main(["solve", "--resume", folder, "--no-report"]) == 0
        assert capsys.readouterr().out.startswith("12 problems, 60 samples")


class TestPipes:
    def test_a_reader_that_goes_away_is_no_news(self, problems: str, tmp_path: Path) -> None:
        folder = str(tmp_path / "run")
        with pytest.MonkeyPatch.context() as patch:
            install(patch)
            assert main(["solve", problems, "--out", folder, *SMALL]) == 0
        reader, writer = os.pipe()
        os.close(reader)  # it went away before there was anything to read
        command = [sys.executable, WORLD, "none", "show", folder]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writer)
        assert done.stderr == ""
        assert done.returncode == 141


class TestTerminal:
    def test_progress_is_drawn_in_place_and_taken_away(self, problems: str, tmp_path: Path) -> None:
        argv = ["until-shown", "solve", problems, "--out", str(tmp_path / "run"), "--parallel", "4", *SMALL]
        code, text = on_a_terminal(argv)
        assert code == 0
        drawn, _, left = text.rpartition("\x1b[2K")  # after this line is cleared, nothing else is
        assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor is back
        assert "in flight" in drawn
        assert "/12" in drawn
        assert "12 problems, 60 samples" in left
        assert "in flight" not in left
        assert COLOUR.search(left)
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", left).split("\r\n\r\ntime")[0]
        assert max(map(len, plain.splitlines())) <= 60

    def test_no_colours_where_they_are_not_wanted(self, problems: str, tmp_path: Path) -> None:
        argv = ["until-shown", "solve", problems, "--out", str(tmp_path / "run"), "--limit", "4", *SMALL]
        code, text = on_a_terminal(argv, NO_COLOR="1")
        assert code == 0
        assert "in flight" in text
        assert not COLOUR.search(text)

    def test_a_dumb_terminal_gets_plain_lines(self, problems: str, tmp_path: Path) -> None:
        argv = ["until-shown", "solve", problems, "--out", str(tmp_path / "run"), "--limit", "4", *SMALL]
        code, text = on_a_terminal(argv, TERM="dumb")
        assert code == 0
        assert "4/4 problems; " in text
        assert "\x1b" not in text
