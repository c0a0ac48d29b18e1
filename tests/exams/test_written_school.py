"""Written exams of the school, whole: its own writer writes, its models answer, by the ordinary road."""

from __future__ import annotations

import json

import pytest

import docendo
from docendo.cli import main
from docendo.schoolhouse.reading import Reader
from docendo.schoolhouse.sets import problems
from docendo.schoolhouse.world import World

READER = Reader(World())
# Families that the teacher knows well: elsewhere its samples agree on little.
KNOWN = [p for p in problems("m1-dev") if p.group == "head"][:4]
PLAN = {
    "exam_select": "written",
    "exam_writer": "school:writer",
    "lessons": 4,
    "repeats": 1,
    "gold_samples": 4,
    "equal_cost": False,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return docendo.solve(KNOWN, out=tmp_path_factory.mktemp("w") / "r", **PLAN)


def test_the_schools_writer_writes_the_schools_exams(run):
    assert run.complete
    found = run.summary()
    assert found.exams == {"written": 4}
    with run.view() as view:
        models = {row.name for row in view.models()}
        exams = {p.id: view.exam_of(p.id) for p in view.problems()}
        taught = {p.id: p for p in view.problems()}
    assert models == {"school:teacher", "school:student", "school:writer"}
    assert found.abstained == sum(not exam for exam in exams.values()) < 4
    judged = [READER.judge(taught[id].family, p.question)[0] for id, exam in exams.items() for p in exam]
    assert judged.count("family") / len(judged) > 0.5
    for id, exam in exams.items():
        assert len(exam) in (0, 2, 3)
        assert all(p.meta["agreement"] >= 0.7 and p.answer for p in exam)
        texts = [p.question for p in exam]
        assert len({*texts, taught[id].question}) == len(texts) + 1


def test_the_same_run_again_writes_the_same(run, tmp_path):
    again = docendo.solve(KNOWN, out=tmp_path / "r", **PLAN)
    assert again.summary().json() == run.summary().json()
    with run.view() as view, again.view() as other:
        assert list(view.selections()) == list(other.selections())


def test_golds_by_models_of_no_other_role(tmp_path):
    plan = PLAN | {"gold_by": "students,school:student-2"}
    run = docendo.solve(KNOWN[:1], out=tmp_path / "r", **plan)
    assert {item.model for item in run.bill().items if item.purpose == "gold"} == {
        "school:student",
        "school:student-2",
    }


def test_a_dry_run_knows_of_the_writer(capsys):
    command = ["solve", "--limit", "2", "--exam-select", "written", "--exam-writer", "school:writer"]
    assert main([*command, "--dry-run", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["calls"]["likely"] for row in rows if row["purpose"] == "write"] == [2 * 6]


def test_what_the_school_cannot_read_is_refused(capsys, tmp_path):
    command = ["solve", "--limit", "1", "--exam-select", "written", "--out", str(tmp_path / "r")]
    assert main([*command, "--exam-writer", "school:verbal-teacher"]) == 3
    assert "verbal-teacher" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
