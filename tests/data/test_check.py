"""`docendo data check` and `convert`, from the API and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.cli import main
from docendo.data import load_problems
from docendo.data.check import check
from docendo.data.convert import convert
from docendo.errors import DataError
from docendo.types import Problem

ROWS = [
    {
        "id": "a",
        "question": "What is $7 + 9$?",
        "answer": "16",
        "solution": "It is 16.",
        "family": "f",
        "group": "x",
    },
    {"id": "b", "question": "What is $2 + 9$?", "answer": "11", "family": "f"},
    {"id": "c", "question": "Compute $7+9$.", "answer": "16"},
    {"id": "c2", "question": "Find $7 + 9$.", "answer": 17},
    {"id": "d", "question": "What is " + "1 + " * 30 + "1?", "family": "alone"},
    {"id": "e", "question": "Is it?", "kind": "label", "answer": "yes", "meta": {"labels": ["no", "yes"]}},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_what_is_missing_or_said_twice_is_counted(file: Path) -> None:
    found = check(file, long=100)
    assert not found.errors
    assert (found.problems, found.graded, found.families) == (6, 5, 1)
    assert found.longest == len(ROWS[4]["question"])
    assert found.kinds == {"math": 5, "label": 1}
    assert found.groups == {"x": 1, "": 5}
    assert {f.what: (f.count, f.first) for f in found.remarks} == {
        "without a known answer": (1, ("d",)),
        "without a worked solution": (5, ("b", "c", "c2", "d", "e")),
        "that ask the same as an earlier one": (1, ("c as a",)),
        "that ask the same as an earlier one, with another answer": (1, ("c2 as a",)),
        "with a question over 100 characters": (1, ("d (130)",)),
        "without a variant whose answer is known": (4, ()),
    }


def test_variants_may_come_from_an_exam_pool(file: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text(json.dumps({"id": "v", "question": "q", "answer": "1", "family": "alone"}) + "\n")
    assert check(file, exams=pool).alone == 5


def test_every_bad_row_is_an_error_and_the_others_are_read(file: Path) -> None:
    file.write_text(file.read_text() + '{"id": "f"}\nnot json\n{"id": "a", "question": "again"}\n')
    found = check(file)
    assert found.problems == 6
    (bad,) = found.errors
    assert bad.count == 3
    assert [case.split(": ")[0] for case in bad.first] == [f"{file}:{line}" for line in (7, 8, 9)]


def test_a_gold_that_the_grader_does_not_accept_is_an_error(file: Path) -> None:
    file.write_text(
        '{"id": "a", "question": "q", "answer": "\\\\boxed{"}\n{"id": "b", "question": "r", "answer": "1"}\n'
    )
    (refused,) = check(file).errors
    assert refused.count == 1
    assert refused.first[0].startswith("a: ")


class TestCommandLine:
    def test_a_good_set(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["data", "check", str(file)]) == 0
        out, err = capsys.readouterr()
        assert "6 problems in" in out
        assert "1 that ask the same as an earlier one" in out
        assert "Errors" not in out
        assert not err

    def test_json_and_the_exit_code_of_a_bad_one(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file.write_text(file.read_text() + '{"id": "f"}\n')
        assert main(["data", "check", str(file), "--json"]) == 2
        out, err = capsys.readouterr()
        found = json.loads(out)
        assert found["problems"] == 6
        assert found["errors"][0]["count"] == 1
        assert err == f"docendo: {file}: 1 error\n"

    def test_a_bad_row_is_told_to_its_end(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text('{"id": "f", "question": "q", "subject": "x"}\n')
        assert main(["data", "check", str(file)]) == 2
        said = " ".join(capsys.readouterr().out.split())
        assert "unknown field 'subject'; the fields are" in said
        assert "meta" in said
        assert "…" not in said
        assert "group" not in said.replace("the fields are", "").partition("Errors")[0]

    def test_convert(self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out.jsonl.gz"
        assert main(["data", "convert", str(file), str(out), "--limit", "3"]) == 0
        assert "3 problems in" in capsys.readouterr().err
        assert load_problems(out) == load_problems(file)[:3]
        assert main(["data", "convert", str(file), str(out)]) == 2
        assert "is there already" in capsys.readouterr().err

    @pytest.mark.parametrize("typed", [["data"], ["data", "chek", "x"], ["data", "check", "x", "--jsn"]])
    def test_a_mistyped_action(self, typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(typed)
        assert end.value.code == 2
        assert "docendo data" in capsys.readouterr().err


text = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@given(
    st.lists(
        st.builds(Problem, text, text, st.none() | text, st.none() | text),
        max_size=4,
        unique_by=lambda p: p.id,
    )
)
def test_what_is_converted_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, problems: list[Problem]
) -> None:
    out = tmp_path_factory.mktemp("converted") / "p.jsonl"
    assert convert(problems, out) == len(problems)
    if problems:
        assert load_problems(out) == problems


def test_a_conversion_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> object:
        yield Problem("a", "q")
        raise DataError("gone")

    with pytest.raises(DataError, match="gone"):
        convert(failing(), tmp_path / "p.jsonl")
    assert not list(tmp_path.iterdir())


def test_functional_variants_keep_their_families(shared_data: Path, tmp_path: Path) -> None:
    found = check(
        f"math-functional:{shared_data}/math_functional.jsonl?ids={shared_data}/math500_functional_ids.json"
    )
    assert (found.problems, found.families, found.alone) == (531, 181, 0)
    assert list(found.dropped.values()) == [12]
    assert not found.errors
