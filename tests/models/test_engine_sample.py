"""Sampling draws from exactly the distribution that the settings describe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_llama

from docendo.models.engine import Engine, Request
from docendo.models.engine.llama import Scratch
from docendo.models.engine.sample import Streams, draw

SETTINGS = [
    (1.0, 0, 1.0),
    (0.7, 0, 1.0),
    (2.0, 0, 1.0),
    (1.0, 5, 1.0),
    (1.0, 0, 0.8),
    (0.9, 12, 0.6),
    (1.3, 1000, 0.999),
]


def expected(logits: np.ndarray, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Probabilities after temperature, then top-k, then top-p, one token at a time."""
    p = np.exp(tiny_llama.log_softmax(logits.astype(np.float64) / temperature))
    order = np.argsort(-p)
    kept = order[: top_k or None]
    mass, nucleus = 0.0, []
    for token in kept:
        if mass < top_p * p[kept].sum() or top_p == 1:
            nucleus.append(token)
        mass += p[token]
    q = np.zeros_like(p)
    q[nucleus] = p[nucleus]
    return q / q.sum()


def check_counts(counts: np.ndarray, p: np.ndarray) -> None:
    """Pearson's chi-square within five standard deviations, and nothing that cannot be drawn."""
    n = counts.sum()
    assert counts[p == 0].sum() == 0
    usual = p * n >= 5
    rest = counts[~usual].sum() - p[~usual].sum() * n
    chi = ((counts[usual] - p[usual] * n) ** 2 / (p[usual] * n)).sum()
    if p[~usual].sum() > 0:
        chi += rest**2 / (p[~usual].sum() * n)
    degrees = max(int(usual.sum()) - 1, 1)
    assert chi < degrees + 5 * np.sqrt(2 * degrees)


def tokens_of(
    logits: np.ndarray, n: int, temperature: float, top_k: int, top_p: float, first: int
) -> np.ndarray:
    rows = np.repeat(logits[None], n, axis=0).astype(np.float32)
    return draw(
        rows,
        np.full(n, temperature, np.float32),
        np.full(n, top_k),
        np.full(n, top_p),
        Streams(range(first, first + n)).take(),
        Scratch(),
    )


@pytest.mark.parametrize("vocab", [7, 32, 61, 1000])
@pytest.mark.parametrize(("temperature", "top_k", "top_p"), SETTINGS)
def test_draws_follow_the_softmax(vocab: int, temperature: float, top_k: int, top_p: float) -> None:
    logits = np.random.default_rng(vocab).standard_normal(vocab) * 2
    tokens = tokens_of(logits, 8_000, temperature, top_k, top_p, first=vocab)
    check_counts(np.bincount(tokens, minlength=vocab), expected(logits, temperature, top_k, top_p))


def test_rows_with_different_settings_do_not_disturb_one_another() -> None:
    logits = np.random.default_rng(0).standard_normal(200) * 3
    n = 6_000
    kinds = np.arange(n) % (len(SETTINGS) + 1)
    chosen = [*SETTINGS, (0.0, 0, 1.0)]
    temperature, top_k, top_p = (np.array(column)[kinds] for column in zip(*chosen, strict=True))
    rows = np.repeat(logits[None], n, axis=0).astype(np.float32)
    tokens = draw(rows, temperature.astype(np.float32), top_k, top_p, Streams(range(n)).take(), Scratch())
    for kind, setting in enumerate(SETTINGS):
        check_counts(np.bincount(tokens[kinds == kind], minlength=200), expected(logits, *setting))
    assert set(tokens[kinds == len(SETTINGS)].tolist()) == {int(logits.argmax())}


def test_limits_of_the_settings_are_greedy() -> None:
    logits = np.random.default_rng(1).standard_normal(300)
    for temperature, top_k, top_p in [(0.0, 0, 1.0), (1e-6, 0, 1.0), (5.0, 1, 1.0), (5.0, 0, 1e-9)]:
        tokens = tokens_of(logits, 50, temperature, top_k, top_p, first=0)
        assert set(tokens.tolist()) == {int(logits.argmax())}


def test_extreme_logits_and_uniforms_never_draw_what_has_no_mass() -> None:
    """The ends of [0, 1), and masses that differ by more than float32 can add up."""
    rng = np.random.default_rng(2)
    ends = [0.0, 2.0**-53, 0.5, 1 - 2.0**-32, 1 - 2.0**-53]
    for _ in range(50):
        logits = np.where(rng.random(97) < 0.7, -1e4, rng.standard_normal(97) * rng.choice([1, 20, 80]))
        rows = np.repeat(logits[None], len(ends), axis=0).astype(np.float32)
        n = len(ends)
        tokens = draw(rows, np.ones(n, np.float32), np.zeros(n, int), np.ones(n), np.array(ends), Scratch())
        assert (np.exp((logits - logits.max()).astype(np.float32))[tokens] > 0).all()


def test_a_stream_depends_on_its_key_alone_and_is_uniform() -> None:
    together = Streams([3, 2**128 - 1, 3, 77])
    drawn = np.array([together.take() for _ in range(150)])
    alone = Streams([77])
    assert drawn[:, 3].tolist() == [alone.take()[0] for _ in range(150)]
    assert np.unique(drawn[:, [0, 1, 3]]).size == 3 * 150
    assert drawn[:, 0].tolist() == drawn[:, 2].tolist()
    assert drawn[:, 0].tolist() != drawn[:, 1].tolist()
    many = Streams(range(5000))
    values = np.concatenate([many.take() for _ in range(4)])
    assert 0 <= values.min() < values.max() < 1
    check_counts(np.histogram(values, 50, (0, 1))[0], np.full(50, 0.02))


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), SETTINGS[::2])
def test_generated_tokens_follow_the_models_own_distribution(
    tmp_path: Path, temperature: float, top_k: int, top_p: float
) -> None:
    """Through the whole engine: the first token, and the second after each common first one."""
    engine = Engine(tiny_llama.write(tmp_path / "m", scale=1.0))
    weights = tiny_llama.weights(tiny_llama.CONFIG, 0, scale=1.0)
    prompt, n = [0, 5, 9, 30], 6_000
    request = Request(prompt, 2, temperature=temperature, top_k=top_k, top_p=top_p)
    results = engine.generate([Request(**{**_fields(request), "key": key}) for key in range(n)])
    first = np.bincount([result.tokens[0] for result in results], minlength=61)
    check_counts(
        first,
        expected(tiny_llama.logits(tiny_llama.CONFIG, weights, prompt)[0][-1], temperature, top_k, top_p),
    )
    usual = [token for token in np.argsort(-first)[:3] if token != tiny_llama.END]
    for token in usual:
        second = [result.tokens[1] for result in results if result.tokens[0] == token]
        logits = tiny_llama.logits(tiny_llama.CONFIG, weights, [*prompt, int(token)])[0][-1]
        check_counts(np.bincount(second, minlength=61), expected(logits, temperature, top_k, top_p))


def _fields(request: Request) -> dict[str, object]:
    return {name: getattr(request, name) for name in request.__slots__}
