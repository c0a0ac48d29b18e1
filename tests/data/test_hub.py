"""`hub:` on local folders, which the same code loads; nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docendo.data import load_problems
from docendo.errors import DataError
from docendo.types import Problem

pytest.importorskip("datasets", reason="the extra 'hub' is not installed")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def folder(tmp_path: Path, split: str, *rows: dict[str, Any]) -> Path:
    """A data set as the hub has them: a folder with a file a split."""
    made = tmp_path / "mini"
    made.mkdir(exist_ok=True)
    (made / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


def test_rows_for_a_reader(tmp_path: Path) -> None:
    made = folder(tmp_path, "test", {"question": "q?", "answer": "2 * 9 = <<2*9=18>>18\n#### 18", "more": 3})
    assert load_problems(f"hub:{made}?as=gsm8k") == [Problem("mini/test/0", "q?", "18", "2 * 9 = 18")]
    row = {"problem": "q?", "level": "Level 3", "type": "Algebra", "solution": "\\boxed{5}"}
    made = folder(tmp_path, "train", row)
    (found,) = load_problems(f"hub:{made}?split=train&as=math&group=level")
    assert (found.id, found.answer, found.group) == ("mini/train/0", "5", "level 3")


def test_columns_by_name(tmp_path: Path) -> None:
    made = folder(
        tmp_path,
        "test",
        {"prompt": "q?", "target": 5, "level": 2},
        {"prompt": "r?", "target": None, "level": 4},
    )
    assert load_problems(f"hub:{made}?question=prompt&answer=target") == [
        Problem("mini/test/0", "q?", "5", meta={"level": 2}),
        Problem("mini/test/1", "r?", meta={"level": 4}),
    ]


def test_parquet_and_labels(tmp_path: Path) -> None:
    from datasets import Dataset

    made = tmp_path / "pq"
    made.mkdir()
    Dataset.from_list([{"text": "fine", "label": 1}, {"text": "bad", "label": 0}]).to_parquet(
        made / "test-00000-of-00001.parquet"
    )
    found = load_problems(f"hub:{made}?as=labels&labels=no,yes")
    assert [(p.id, p.answer) for p in found] == [("pq/test/0", "yes"), ("pq/test/1", "no")]


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    made = folder(
        tmp_path, "test", {"question": "q?", "answer": "#### 1"}, {"question": "q?", "answer": "18"}
    )
    with pytest.raises(DataError, match=r"^hub:.*mini, test, row 1: field 'answer' should end in"):
        load_problems(f"hub:{made}?as=gsm8k")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?split=dev", "the split 'dev' cannot be had"),
        ("?as=gsm9k", "no reader is named 'gsm9k'"),
        ("?as=math&question=x", "no option 'question'"),
        ("?questoin=x", "did you mean question"),
    ],
)
def test_what_cannot_be_had_is_explained(tmp_path: Path, query: str, says: str) -> None:
    made = folder(tmp_path, "test", {"question": "q?"})
    with pytest.raises(DataError, match=says):
        load_problems(f"hub:{made}{query}")


def test_a_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be had"):
        load_problems(f"hub:{tmp_path / 'gone'}")
