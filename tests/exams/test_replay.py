"""Replays of recorded exams, held against true adaptive runs on the same lessons."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import docendo

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_replay_asks_chooses_and_costs_what_a_true_run_does(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    replayed = importlib.import_module("exams_replay")
    plan = {"limit": 10, "lessons": 12, "seed": 5, "equal_cost": False}
    whole = docendo.solve("school:m1-dev", out=tmp_path / "whole", **plan)
    true = docendo.solve("school:m1-dev", out=tmp_path / "true", allocation="adaptive", **plan)
    recorded = replayed.read(whole)
    short, all_ = replayed.replay(recorded), replayed.replay(recorded, adaptive=False)
    said = replayed.checked(true, recorded, short)
    assert said.startswith(
        "checked by a true run: the same questions on 10 and the same choice on 10 of 10 problems"
    )
    cost, again = (float(part.split()[-1]) for part in said.split(";")[1].split(","))
    assert cost == again > 0
    assert short.total("asked") == true.summary().asked < all_.total("asked") == whole.summary().asked
    costs = [replayed.share([short], [all_], what) for what in ("kept", "computed")]
    assert 0 < costs[0] <= costs[1] < 1
    with whole.view() as view:
        spent = sum(usage.computed for _, _, _, usage in view.exams_spent())
    assert all_.total("computed") == pytest.approx(spent * recorded.sizes["school:student"])
