"""GRPO by plain TRL with LbT as the reward: the benchmark's own script, for two steps."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest


def test_trl_trains_on_the_reward(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trl", reason="GRPO needs the extra train")
    spec = importlib.util.spec_from_file_location("grpo_reward", root / "benchmarks" / "grpo_reward.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(["--steps", "2", "--problems", "2", "--prompts", "2"])
    said = capsys.readouterr().out
    assert said.count("'docendo/lbt'") == said.count("'rewards/lbt_reward/mean'") == 2
    rows = re.findall(
        r"^\| (before|after 2 steps of GRPO) \| ([0-9.]+) \| ([0-9.]+) \| 1\.000 \|$", said, re.M
    )
    assert [name for name, *_ in rows] == ["before", "after 2 steps of GRPO"]
    assert all(0 <= float(value) <= 1 for _, *values in rows for value in values)
    assert re.search(r"[1-9][\d,]* exam questions", said)
