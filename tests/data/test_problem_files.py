"""Problem files: what is read, and how a bad one is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.data import load_problems, stream
from docendo.errors import DataError
from docendo.types import Problem

GOOD = '{"id": "a", "question": "What is 7 + 9?", "answer": 16}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "problems.jsonl"


def fault(file: Path, content: str | bytes) -> str:
    """The message that reading this content ends in."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        load_problems(file)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code != 0
    return str(caught.value)


def test_all_fields(file: Path) -> None:
    row = {
        "id": "a",
        "question": " What is 7 + 9?\n",
        "answer": "16",
        "solution": "7 + 9 = 16",
        "kind": "label",
        "family": "f",
        "cluster": "c",
        "group": "g",
        "meta": {"labels": ["16", "17"], "deep": {"x": [1, None]}},
    }
    file.write_text(json.dumps(row))
    assert load_problems(file) == [Problem(**row)]


def test_optional_fields_may_be_left_out_or_null(file: Path) -> None:
    file.write_text(
        '{"id": "a", "question": "q", "answer": null, "family": null}\n{"id": "b", "question": "q"}\n'
    )
    assert load_problems(str(file)) == [Problem("a", "q"), Problem("b", "q")]


def test_ids_may_be_whole_numbers_or_left_out(file: Path) -> None:
    rows = '{"id": 9007199254740993, "question": "q", "family": 3}\n{"question": "r"}\n'
    file.write_text(rows)
    assert load_problems(file) == [
        Problem("9007199254740993", "q", family="3"),
        Problem("problems/1", "r"),
    ]
    again = fault(file, rows + '{"id": "problems/1", "question": "s"}')
    assert "'problems/1' was already used on line 2" in again


def test_a_table_of_other_marks_than_its_name_says_is_told_so(tmp_path: Path) -> None:
    assert "hub:FOLDER" in fault(tmp_path / "p.parquet", "PAR1")
    assert "parted by ';'" in fault(tmp_path / "p.csv", "id;question\na;q\n")
    assert "parted by '\\t'" in fault(tmp_path / "q.csv", "id\tquestion\na\tq\n")


@pytest.mark.parametrize(
    ("written", "answer"), [("16", "16"), ("-0.5", "-0.5"), ("1.0", "1.0"), ('"x+1"', "x+1")]
)
def test_numbers_as_answers_become_text(file: Path, written: str, answer: str) -> None:
    file.write_text(f'{{"id": "a", "question": "q", "answer": {written}}}')
    assert load_problems(file)[0].answer == answer


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_no_rows(file: Path) -> None:
    file.write_bytes(
        b"\xef\xbb\xbf"
        + GOOD.replace("\n", "\r\n").encode()
        + b"\r\n  \n"
        + GOOD.replace('"a"', '"b"').encode()
    )
    assert [p.id for p in load_problems(file)] == ["a", "b"]


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert load_problems(path) == [Problem("a", "What is 7 + 9?", "16")]
    path.write_bytes(gzip.compress(GOOD.encode() * 500)[:-20])
    with pytest.raises(DataError, match=r"problems\.jsonl\.gz.*(gzip|already used)"):
        load_problems(path)
    path.write_bytes(GOOD.encode())
    with pytest.raises(DataError, match=r"problems\.jsonl\.gz.*not a whole gzip file"):
        load_problems(path)


def test_rows_are_read_as_they_are_asked_for(file: Path) -> None:
    file.write_text(GOOD + "not json\n")
    rows = stream(file)
    assert next(rows).id == "a"
    with pytest.raises(DataError, match=":2: "):
        next(rows)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{not json", ["not JSON", "column 2"]),
        ('{"id": "b", "question": "q"} {}', ["not JSON"]),
        ('{"id": "b", "question": "q", "answer": NaN}', ["NaN"]),
        ('{"id": "b", "question": "q", "answer": ' + "9" * 5000 + "}", ["JSON"]),
        ("[" * 100_000, ["JSON"]),
        ("[1, 2]", ["a list", "object"]),
        ('"text"', ["the string", "object"]),
        ("null", ["null", "object"]),
        ('{"id": "b", "question": "q"', ["not JSON", "column 28"]),
        ('{"id": "b", "prompt": "q"}', ["'question'", "missing", "has id, prompt"]),
        ('{"id": 7.5, "question": "q"}', ["'id'", "a string", "number 7.5"]),
        ('{"id": true, "question": "q"}', ["'id'", "a string", "true"]),
        ('{"id": "", "question": "q"}', ["'id'", "empty"]),
        ('{"id": "b", "question": " \\n"}', ["'question'", "empty"]),
        ('{"id": "b", "question": ["q"]}', ["'question'", "a string", "a list"]),
        ('{"id": "b", "question": "q", "answer": true}', ["'answer'", "a string", "true"]),
        ('{"id": "b", "question": "q", "answer": ""}', ["'answer'", "empty"]),
        ('{"id": "b", "question": "q", "answer": {}}', ["'answer'", "a string", "an object"]),
        ('{"id": "b", "question": "q", "kind": "maths"}', ["'kind'", "'math'", "maths"]),
        ('{"id": "b", "question": "q", "meta": 3}', ["'meta'", "an object", "number 3"]),
        ('{"id": "b", "question": "q", "anwser": "1"}', ["'anwser'", "'answer'"]),
        ('{"id": "b", "question": "q", "Family": "1"}', ["'Family'", "'family'"]),
        ('{"id": "b", "question": "q", "zzz": 1}', ["'zzz'", "'meta'", "solution", "math:PATH"]),
        (
            '{"id": "b", "question": "q", "kind": "label", "meta": {"labels": [1]}}',
            ["meta.labels", "list of strings"],
        ),
        (
            '{"id": "b", "question": "q", "answer": "nay", "kind": "label", "meta": {"labels": ["yes"]}}',
            ["'answer'", "nay", "meta.labels"],
        ),
        ('{"id": "a", "question": "q"}', ["'a'", "line 1"]),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_field(file: Path, row: str, says: list[str]) -> None:
    message = fault(file, GOOD + "\n" + row + "\n")
    assert message.startswith(f"{file}:3: ")
    for part in says:
        assert part in message
    assert len(message) < 500


def test_text_that_is_not_utf_8(file: Path) -> None:
    message = fault(file, GOOD.encode() + b'{"id": "b", "question": "caf\xe9"}\n')
    assert message.startswith(f"{file}:2: ")
    assert "UTF-8" in message
    assert "0xe9" in message


@pytest.mark.parametrize("content", ["", "\n\n  \n"])
def test_an_empty_set(file: Path, content: str) -> None:
    assert "no rows" in fault(file, content)


def test_no_file_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: no such file"):
        load_problems(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="is a directory"):
        load_problems(tmp_path)
    (tmp_path / "problems.xlsx").write_text(GOOD)
    with pytest.raises(DataError, match=r"problems\.xlsx.*\.jsonl"):
        load_problems(tmp_path / "problems.xlsx")


text = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
row = st.fixed_dictionaries(
    {"id": text, "question": text},
    optional={"answer": text, "solution": text, "family": text, "group": text, "cluster": text},
)


@given(st.lists(row, min_size=1, max_size=5, unique_by=lambda row: row["id"]), st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], ascii: bool
) -> None:
    path = tmp_path_factory.mktemp("rows") / "problems.jsonl"
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=ascii) + "\n" for row in rows), "utf-8", newline="\n"
    )
    assert load_problems(path) == [Problem(**row) for row in rows]


def test_school_sets_come_from_the_schoolhouse() -> None:
    problems = load_problems("school:m1-dev")
    assert len({p.id for p in problems}) == len(problems) > 100
    assert all(p.answer and p.family and p.cluster for p in problems)
    assert problems == load_problems("school:m1-dev")


def test_an_unknown_school_set_is_named() -> None:
    with pytest.raises(DataError, match=r"school:m0.*m1"):
        load_problems("school:m0")
