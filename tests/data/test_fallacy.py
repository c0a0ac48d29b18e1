"""The logical-fallacy task from rows as the original files have them (invented ones: the data has no licence)."""

from __future__ import annotations

from pathlib import Path

import pytest

from docendo.data import load_problems
from docendo.errors import DataError
from docendo.grading import grade

EDU = """,old_label,updated_label,source_article,explanations
0,faulty generalization,faulty generalization,"Both dogs I met bit me, so all dogs bite.",
1,ad hominem,ad hominem,"Do not believe her, she is rich.",
"""
CLIMATE = """source_url,source_article,logical_fallacies
http://x,"One cold week, so no winter is warm.",faulty generalization
"""


def written(folder: Path, text: str, name: str = "edu_test.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_both_files_forms_are_read(tmp_path: Path) -> None:
    first, second = load_problems(f"fallacy:{written(tmp_path, EDU)}")
    assert (first.question, first.answer, first.kind) == (
        "Both dogs I met bit me, so all dogs bite.",
        "yes",
        "label",
    )
    assert (second.answer, second.meta["fallacy"]) == ("no", "ad hominem")
    (third,) = load_problems(f"fallacy:{written(tmp_path, CLIMATE, 'climate.csv')}")
    assert third.answer == "yes"
    for problem in (first, second, third):
        assert grade(problem, f"Final answer: {problem.answer}").score == 1.0


def test_texts_are_cut_as_in_the_paper(tmp_path: Path) -> None:
    path = written(tmp_path, EDU.replace("Both dogs", "x" * 900))
    assert len(load_problems(f"fallacy:{path}")[0].question) == 700
    assert len(load_problems(f"fallacy:{path}?cut=0")[0].question) > 900


def test_another_fallacy_may_be_asked_about(tmp_path: Path) -> None:
    path = written(tmp_path, EDU)
    assert [p.answer for p in load_problems(f"fallacy:{path}?fallacy=ad hominem")] == ["no", "yes"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (EDU.replace("source_article", "text"), "field 'source_article' is missing"),
        (EDU.replace("updated_label", "x"), "field 'updated_label' is missing"),
        (EDU.replace('"Do not believe her, she is rich."', ""), "field .source_article. is missing"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_problems(f"fallacy:{written(tmp_path, text)}")


def test_cut_is_a_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cut=x should be a whole number"):
        load_problems(f"fallacy:{written(tmp_path, EDU)}?cut=x")


def test_one_task_of_a_file_with_several(tmp_path: Path) -> None:
    path = tmp_path / "bbh.jsonl"
    path.write_text(
        '{"task": "a", "text": "One?", "target": "Yes"}\n{"task": "b", "text": "Two?", "target": "valid"}\n'
    )
    (only,) = load_problems(f"bbh:{path}?only=task:b")
    assert (only.question, only.answer, only.id) == ("Two?", "valid", "bbh/1")
    with pytest.raises(DataError, match="should be FIELD:VALUE"):
        load_problems(f"bbh:{path}?only=task")
