"""`docendo show` and `docendo report` on a run that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_world import LESSONS, install, rows, write

from docendo.cli import main
from docendo.store import Store

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six problems, solved: on the hard ones SUM is right and self-consistency is not."""
    folder = tmp_path_factory.mktemp("show")
    source = write(folder / "problems.jsonl", rows(6))
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        options = ["--lessons", str(LESSONS), "--exam-problems", "2", "--repeats", "2", "--no-report"]
        assert main(["solve", str(source), "--out", str(folder / "run"), "--quiet", *options]) == 0
    return folder / "run"


def test_lists_problems_with_the_most_telling_first(run: Path, capsys: Captured) -> None:
    capsys.readouterr()
    assert main(["show", str(run)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    listed = [cells for cells in lines if cells and cells[0].startswith(("easy-", "hard-"))]
    assert [cells[0] for cells in listed] == [
        "hard-01",
        "hard-03",
        "hard-05",
        "easy-00",
        "easy-02",
        "easy-04",
    ]
    assert listed[0] == ["hard-01", "hard", "11", "✗", "28", "✓", "11"]
    assert listed[3] == ["easy-00", "easy", "8", "✓", "8", "✓", "8"]


def test_ids_stand_on_one_line_and_every_column_is_there(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = [row | {"id": f"test/number_theory/{row['id']}.json"} for row in rows(2)]
    install(monkeypatch)
    source = write(tmp_path / "p.jsonl", problems)
    assert main(["solve", str(source), "--out", str(tmp_path / "run"), "--quiet", "--no-report"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["show", str(tmp_path / "run")]) == 0
    head, *lines = capsys.readouterr().out.splitlines()[1:3]
    assert head.split() == ["problem", "group", "answer", "sc", "sum"]
    assert lines[0].split()[0] in {problem["id"] for problem in problems}


def test_tells_the_story_of_a_problem(run: Path, capsys: Captured) -> None:
    assert main(["show", str(run), "hard-01"]) == 0
    out = capsys.readouterr().out
    said = " ".join(out.split())
    assert "A hard box has 4 and 7. How many?" in said
    assert "sc ✗ 28 written by 3 of 5 samples; next 11 with 2" in said
    assert "max ✓ 11 best LbT score 100.0 %; next 28 with 0.0 %" in said
    assert "sum ✓ 11 sum of LbT scores 2.00; next 28 with 0.00" in said
    assert "100.0 % 2× add 4 and 7 = 11." in said
    assert "0.0 % 3× multiply 4 and 7 = 28." in said
    # the exam of the lesson that won: two problems of the family, each asked twice
    assert said.count("✓ add") == 4
    assert "✗ multiply" not in said
    assert "--all shows the exams of all 2 lessons." in said


def test_shows_every_exam_where_asked(run: Path, capsys: Captured) -> None:
    assert main(["show", str(run), "hard-01", "--all"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("Exam after the lesson") == 2
    assert said.count("✓ add") == 4
    assert said.count("✗ multiply") == 4
    with Store.read(run) as view:
        record = view.problem_record("hard-01")
    for problem in record.exam.values():
        assert said.count(f"{problem.question} answer {problem.answer}") == 2


def test_says_where_there_was_no_choice(run: Path, capsys: Captured) -> None:
    assert main(["show", str(run), "easy-00"]) == 0
    assert "the only answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "near"),
    [("hard-1", "'hard-01'"), ("hrad-03", "'hard-03'"), ("03", "'hard-03'"), ("?", "'easy-00'")],
)
def test_an_unknown_problem_names_the_nearest(run: Path, typed: str, near: str, capsys: Captured) -> None:
    assert main(["show", str(run), typed]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert f"no problem {typed!r}" in err
    assert near in err


def test_report_remakes_the_page_and_shows_the_tables(run: Path, tmp_path: Path, capsys: Captured) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(run), "--out", str(page)]) == 0
    out = capsys.readouterr().out
    assert "sum − sc" in out
    assert out.splitlines()[-1].split() == ["report", str(page)]
    assert "hard-01" in page.read_text(encoding="utf-8")
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").read_bytes() == page.read_bytes()


def test_a_run_that_is_not_finished_is_shown_as_far_as_it_came(
    run: Path, tmp_path: Path, capsys: Captured
) -> None:
    with Store.read(run) as view:
        record = view.problem_record("hard-01")
        taught, exam = list(view.problems()), list(view.problems("exam"))
        models, config = view.models(), view.config
    plan = {"kind": "solve", "config": config, "seed": 0, "models": models, "taught": taught, "exam": exam}
    with Store.create(tmp_path / "part", **plan) as store:
        facts = {"samples": record.samples, "lessons": record.lessons, "exam_answers": record.exam_answers}
        store.finish_problem("hard-01", **facts, decisions=record.decisions)
    folder = str(tmp_path / "part")
    assert main(["show", folder]) == 0
    assert main(["show", folder, "hard-01"]) == 0
    assert main(["show", folder, "easy-00"]) == 4
    assert main(["report", folder]) == 0
    out, err = capsys.readouterr()
    assert "1 of 6 problems finished" in out
    assert "1 problem, 5 not finished yet" in out
    assert "not finished" in err
