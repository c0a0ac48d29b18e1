"""The share of a prompt cache that a run could have used, from its recorded prompts."""

from __future__ import annotations

from pathlib import Path

import pytest

from docendo.solve.prefixes import cache_shares, possible
from docendo.store import ModelRow, Store
from docendo.types import Call, Reply, Sampling, Usage


def record(folder: Path, *asked: tuple[str, str, int, Usage]) -> Store:
    store = Store.create(
        folder, kind="solve", config={}, seed=0, models=[ModelRow("openai:m"), ModelRow("school:t")]
    )
    store.record_replies(
        (Call(model, prompt, Sampling(), sample=sample), Reply("4", "stop", usage))
        for model, prompt, sample, usage in asked
    )
    return store


def test_what_prompts_begin_with_alike_is_counted_once(tmp_path: Path) -> None:
    prompts = ["lesson a, first question", "lesson a, second", "lesson b", "else"]
    with record(tmp_path, *(("openai:m", p, s, Usage(8, 4, 1)) for p in prompts for s in range(3))) as store:
        total = 3 * sum(map(len, prompts))
        new = len("lesson a, first question") + len("second") + len("b") + len("else")
        assert possible(store, "openai:m") == pytest.approx(1 - new / total)
        (share,) = cache_shares(store)
        assert (share.model, share.prompt, share.cached) == ("openai:m", 96, 48)
        assert share.reached == pytest.approx(0.5 / (1 - new / total))


def test_servers_that_report_no_cache_and_this_machine_are_left_out(tmp_path: Path) -> None:
    used = (("openai:m", "a", 0, Usage(8, 0, 1)), ("school:t", "a", 0, Usage(8, 4, 1)))
    with record(tmp_path, *used) as store:
        assert cache_shares(store) == []
