"""Schooling runs, goes on where it stopped, and writes folders that the engine and transformers both read."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from safetensors.torch import load_file

from docendo.models.resolve import SHIPPED
from docendo.schoolhouse.schooling.__main__ import base_of, main
from docendo.schoolhouse.schooling.courses import OTHER_TEACHER, STUDENT, TEACHER, smoke
from docendo.schoolhouse.schooling.train import school


def test_a_smoke_schooling_makes_every_model(tmp_path):
    assert main(["--smoke", "--no-compile", "--threads", "1", "--out", str(tmp_path)]) == 0
    for name in ("student", "teacher-base", "teacher", "writer"):
        model = tmp_path / name / "model"
        assert {p.name for p in model.iterdir()} >= {
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "SHA256SUMS",
        }
        last = json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[-1])
        assert last["step"] == 4
        assert last["loss"] > 0


@pytest.mark.parametrize("seed", [3, 4])
def test_an_interrupted_schooling_ends_with_the_same_weights(tmp_path, seed):
    course = replace(smoke(STUDENT), seed=seed)
    quiet = {"say": lambda _: None, "compiled": False, "every": 2}
    whole, _ = school(course, tmp_path / "whole", **quiet)

    class Cut(Exception):
        pass

    reports = []

    def cut(line):
        reports.append(line)
        if len(reports) == 2:
            raise Cut

    # Step 2 is in the checkpoint; the cut comes after step 4 was read and before it was saved.
    with pytest.raises(Cut):
        school(course, tmp_path / "cut", say=cut, compiled=False, every=2)
    said = []
    again, _ = school(course, tmp_path / "cut", **(quiet | {"say": said.append}))
    assert "step 2" in said[0]
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_a_schooling_that_is_broken_off_is_the_whole_ones_beginning(tmp_path):
    course = smoke(STUDENT)
    quiet = {"say": lambda _: None, "compiled": False}
    short, facts = school(replace(course, stop=2), tmp_path / "short", **quiet)
    assert facts["steps"] == 2

    def cut(line):
        if json.loads(line)["step"] == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        school(course, tmp_path / "whole", compiled=False, every=2, say=cut)
    half = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    assert half["step"] == 2
    for name, weight in short.state_dict().items():
        assert torch.equal(weight, half["model"][name])


def test_a_course_grows_from_its_base_or_from_the_one_that_ships(tmp_path):
    grown = base_of(OTHER_TEACHER, tmp_path)
    shipped = load_file(SHIPPED / "student-2" / "model.safetensors")
    for name, weight in grown.state_dict().items():
        assert torch.equal(weight.half(), shipped[f"model.{name}"])
    for course in (TEACHER, smoke(OTHER_TEACHER)):  # the base does not ship; what ships is of another size
        with pytest.raises(SystemExit, match="not there yet"):
            base_of(course, tmp_path)
    short = school(
        smoke(replace(OTHER_TEACHER, name="student-2", base=None)),
        tmp_path / "student-2",
        say=str,
        compiled=False,
    )
    found = base_of(smoke(OTHER_TEACHER), tmp_path)
    assert torch.equal(found.norm.weight, short[0].norm.weight)


def test_a_checkpoint_of_another_course_is_refused(tmp_path):
    quiet = {"say": lambda _: None, "compiled": False}
    school(smoke(STUDENT), tmp_path, **quiet)
    with pytest.raises(ValueError, match="another course"):
        school(replace(smoke(STUDENT), seed=99), tmp_path, **quiet)
