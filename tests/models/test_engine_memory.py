"""The memory budget: it is kept, batches are cut to fit it, and what cannot fit is told how much it needs."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_llama
from hypothesis import given, settings
from hypothesis import strategies as st

from docendo.errors import ConfigError, ModelError
from docendo.models.engine import Engine, Request, budget
from docendo.models.engine.folder import Config, read_config

SHAPES: tuple[dict[str, Any], ...] = (
    {"max_position_embeddings": 600},
    {"num_key_value_heads": 2, "hidden_size": 64, "vocab_size": 3000, "max_position_embeddings": 600},
    {"num_key_value_heads": 1, "num_hidden_layers": 6, "head_dim": 24, "max_position_embeddings": 600},
)


@pytest.fixture(scope="module", params=range(len(SHAPES)))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.write(tmp_path_factory.mktemp("m") / "m", seed=request.param, **SHAPES[request.param])


def exam(seed: int, lessons: int, repeats: int, length: int, new: int, **sampling: Any) -> list[Request]:
    rng = np.random.default_rng(seed)

    def some(n: int) -> list[int]:
        return rng.integers(3, 61, n).tolist()

    shared, requests = some(length), []
    for _ in range(lessons):
        lesson = shared + some(length)
        for _ in range(3):
            prompt = lesson + some(max(1, length // 3))
            requests += [Request(prompt, new, key=len(requests) + i, **sampling) for i in range(repeats)]
    return requests


def peak(work: Callable[[], object]) -> int:
    """Bytes that were held at once, more than before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def free_of(folder: Path, more: int) -> int:
    return budget.weights(read_config(folder)) + more


@pytest.mark.parametrize("more", [4 << 20, 40 << 20])
@pytest.mark.parametrize(
    ("lessons", "repeats", "length", "new"), [(10, 3, 20, 10), (2, 2, 150, 40), (1, 12, 10, 30)]
)
def test_generating_stays_within_the_budget(
    folder: Path, lessons: int, repeats: int, length: int, new: int, more: int
) -> None:
    requests = exam(0, lessons, repeats, length, new, temperature=1.0, top_k=20, top_p=0.9)
    Engine(folder).generate(requests[:2])  # what Python and NumPy load once is not the batch's
    engine = Engine(folder, free_of(folder, more))
    results = engine.generate(requests)
    assert not any(result.error for result in results)
    engine._llama.scratch.clear()
    assert peak(lambda: engine.generate(requests)) <= more


def test_scoring_stays_within_the_budget(folder: Path) -> None:
    pairs = [(r.tokens[:40], r.tokens[40:]) for r in exam(1, 10, 1, 60, 1)]
    more = (4 if read_config(folder).vocab < 1000 else 20) << 20  # logits over 3,000 tokens are large
    engine = Engine(folder, free_of(folder, more))
    scores = engine.loglikelihood(pairs)
    assert peak(lambda: engine.loglikelihood(pairs)) <= more
    for score, expected in zip(scores, Engine(folder).loglikelihood(pairs), strict=True):
        assert score.total == pytest.approx(expected.total, abs=1e-3)
        assert score.tokens == expected.tokens


def test_the_estimate_is_not_far_above_what_is_used(folder: Path) -> None:
    """Or small machines would compute in needlessly small parts."""
    requests = exam(2, 12, 3, 40, 12, temperature=1.0, top_p=0.9)
    engine = Engine(folder)
    engine.generate(requests[:2])
    used = peak(lambda: engine.generate(requests))
    low, high = used // 4, used * 4
    assert len(parts_under(folder, requests, low)) > 1
    assert len(parts_under(folder, requests, high)) == 1


def parts_under(folder: Path, requests: list[Request], free: int) -> list[list[int]]:
    from docendo.models.engine.generate import _Batch

    config: Config = read_config(folder)

    def planned(part: list[int]) -> _Batch:
        return _Batch(config, part, [requests[i] for i in part])

    return [batch.part for batch in budget.parts([r.tokens for r in requests], planned, free)]


def test_parts_cover_all_and_a_lesson_is_rarely_cut(folder: Path) -> None:
    requests = exam(3, 24, 3, 20, 30)
    parts = parts_under(folder, requests, 3 << 20)
    assert len(parts) > 2
    assert sorted(i for part in parts for i in part) == list(range(len(requests)))
    lessons = [{i // 9 for i in part} for part in parts]
    assert sum(map(len, lessons)) == 24  # each in one part


@given(
    seed=st.integers(0, 50), lessons=st.integers(1, 6), length=st.integers(3, 40), more=st.integers(200, 4000)
)
@settings(max_examples=10, deadline=None)
def test_a_budget_changes_no_answer(
    tmp_path_factory: pytest.TempPathFactory, seed: int, lessons: int, length: int, more: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "budget"
    if not folder.exists():
        tiny_llama.write(folder, max_position_embeddings=600)
    requests = exam(seed, lessons, 2, length, 8)
    free = Engine(folder).generate(requests)
    for result, other, request in zip(
        free, Engine(folder, free_of(folder, more << 10)).generate(requests), requests, strict=True
    ):
        if other.error is not None:
            assert "needs" in other.error
        elif other.tokens != result.tokens:  # they may part only at a tie
            at = next(i for i, (a, b) in enumerate(zip(result.tokens, other.tokens, strict=False)) if a != b)
            head = [*request.tokens, *result.tokens[:at]]
            a, b = Engine(folder).loglikelihood([(head, [result.tokens[at]]), (head, [other.tokens[at]])])
            assert a.total == pytest.approx(b.total, abs=1e-4)


def test_what_cannot_fit_is_told_how_much_it_needs_beside_what_can(folder: Path) -> None:
    small, large = Request([5, 6, 7], 3), Request([5] * 590, 3)
    tight = max(free_of(folder, 1 << 20), budget.loading(read_config(folder)))
    results = Engine(folder, tight).generate([small, large, small])
    assert results[0].error is None
    assert results[0].tokens == results[2].tokens
    assert results[1].why == "error"
    said = re.search(r"needs (\d+) MiB .* budget is (\d+) MiB", str(results[1].error))
    assert said is not None
    assert "DOCENDO_ENGINE_MEMORY" in str(results[1].error)
    assert Engine(folder, int(said[1]) << 20).generate([large])[0].error is None
    scores = Engine(folder, tight).loglikelihood([([5, 6], [7]), ([5] * 5, [6] * 580)])
    assert scores[0].error is None
    assert "DOCENDO_ENGINE_MEMORY" in str(scores[1].error)


def test_weights_that_cannot_fit_are_refused_with_how_much_they_need(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"parameters.*needs [1-4] MiB.*DOCENDO_ENGINE_MEMORY"):
        Engine(folder, 10_000)


def test_buffers_of_other_batches_do_not_count_twice(folder: Path) -> None:
    many, long = exam(0, 10, 3, 20, 5), exam(1, 1, 1, 250, 60)
    more = 6 << 20
    engine = Engine(folder, free_of(folder, more))

    def both() -> None:
        for _ in range(2):
            engine.generate(many)
            engine.generate(long)

    both()
    engine._llama.scratch.clear()
    assert peak(both) <= more


@pytest.mark.parametrize(
    ("said", "size"),
    [("512M", 512 << 20), ("4G", 4 << 30), ("1.5 GiB", 3 << 29), ("1000000", 10**6), ("", budget.DEFAULT)],
)
def test_the_environment_states_the_budget(monkeypatch: pytest.MonkeyPatch, said: str, size: int) -> None:
    monkeypatch.setenv(budget.MEMORY, said)
    assert budget.stated() == size


@pytest.mark.parametrize("said", ["much", "-3G", "0", "4 GX"])
def test_a_senseless_budget_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(budget.MEMORY, said)
    with pytest.raises(ConfigError, match="DOCENDO_ENGINE_MEMORY"):
        budget.stated()


def test_the_environments_budget_is_the_engines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(budget.MEMORY, "10K")
    with pytest.raises(ModelError, match=r"budget is 1 MiB"):
        Engine(folder)
