"""`docendo prompts`: the styles, what is asked in one, and a copy to change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docendo.cli import main
from docendo.prompts import STYLES, Prompts, folder_of
from docendo.types import Problem

WORD = "Zanzibar"


def test_the_styles_are_listed_with_their_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [[name, str(folder_of(name))] for name in STYLES]


@pytest.mark.parametrize("style", STYLES)
def test_a_copy_asks_what_the_style_asks(style: str, tmp_path: Path) -> None:
    assert main(["prompts", style, "--copy", str(tmp_path / "own")]) == 0
    problem = Problem("a", "2 + 2?", answer="4")
    assert Prompts(str(tmp_path / "own")).teach(problem) == Prompts(style).teach(problem)
    assert Prompts(str(tmp_path / "own")).stop == Prompts(style).stop


def test_a_changed_copy_is_shown_as_it_will_be_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompts", "chat", "--copy", str(tmp_path / "own")]) == 0
    teach = tmp_path / "own" / "teach.j2"
    teach.write_text(f"{{% call user() %}}{WORD} {{{{ problem.question }}}}{{% endcall %}}")
    rows = [
        {"id": "a", "question": "A long question? " * 20, "answer": "4", "solution": "By counting on."},
        {"id": "b", "question": "3 + 3?", "answer": "6"},
    ]
    problems = tmp_path / "problems.jsonl"
    problems.write_text("\n".join(map(json.dumps, rows)))
    assert main(["prompts", str(tmp_path / "own"), "--problems", str(problems)]) == 0
    shown = capsys.readouterr().out
    assert f"{WORD} {('A long question? ' * 20).strip()}" in shown  # on one line, however narrow the terminal
    assert "By counting on." in shown
    assert "3 + 3?" in shown


def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for arguments, says in (
        (["chat", "--copy", str(tmp_path / "full")], "new or empty"),
        (["chatt"], "no style or folder 'chatt'"),
        (["--copy", str(tmp_path / "new")], "Name one"),
        (["chat", "--copy", str(tmp_path / "full" / "mine.txt" / "deeper")], "name another folder"),
    ):
        assert main(["prompts", *arguments]) == 2
        assert says in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    assert not (tmp_path / "new").exists()
