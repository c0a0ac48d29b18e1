"""Schooling runs, goes on where it stopped, and writes folders that the engine and transformers both read."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from docendo.schoolhouse.schooling.__main__ import main
from docendo.schoolhouse.schooling.courses import STUDENT, smoke
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


def test_a_checkpoint_of_another_course_is_refused(tmp_path):
    quiet = {"say": lambda _: None, "compiled": False}
    school(smoke(STUDENT), tmp_path, **quiet)
    with pytest.raises(ValueError, match="another course"):
        school(replace(smoke(STUDENT), seed=99), tmp_path, **quiet)
