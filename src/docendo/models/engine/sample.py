"""Draws tokens from logits for many rows at once, each row with its own settings and its own randomness."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from docendo.errors import ModelError
from docendo.models.engine.llama import Floats, Scratch
from docendo.models.engine.tree import Ints

Doubles = NDArray[np.float64]

# Cumulative sums run over blocks of this many tokens and then within one: a running sum is a chain of
# dependent additions, the slowest thing a processor does with an array.
BLOCK = 32
# Uniforms are taken from the generators this many tokens at a time.
AHEAD = 64


class Streams:
    """One stream of uniforms for each key, a uniform for each token, whatever other keys are beside it.

    A key (0 to 2**128 - 1) starts a counter-based Philox generator; NumPy promises its raw output for good,
    so that the n-th uniform of a key is the same in every version and on every machine.
    """

    def __init__(self, keys: Sequence[int]) -> None:
        self._generators = [np.random.Philox(key=key) for key in keys]
        self._drawn = 0
        self._ahead: Doubles = np.empty((len(keys), 0))

    def take(self) -> Doubles:
        """The next uniform, in [0, 1), of every stream."""
        at = self._drawn % AHEAD
        if at == 0:
            raw = np.array([generator.random_raw(AHEAD) for generator in self._generators], np.uint64)
            self._ahead = (raw.reshape(-1, AHEAD) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        self._drawn += 1
        return self._ahead[:, at]


def draw(
    logits: Floats, temperature: Floats, top_k: Ints, top_p: Doubles, uniforms: Doubles, scratch: Scratch
) -> Ints:
    """One token for each row.

    The filters follow the common order: temperature, then top-k, then top-p over what is left; tokens as
    likely as the last one kept are kept too.

    Args:
        logits: (rows, vocab).
        temperature: (rows,), at least 0; 0 takes the likeliest token (the first of equals).
        top_k: (rows,), 0 for no limit.
        top_p: (rows,), above 0 and at most 1, which is no limit.
        uniforms: (rows,), each in [0, 1).
        scratch: Where the work is done.

    Returns:
        (rows,) token ids.

    Raises:
        ModelError: A row's logits are NaN or infinite.
    """
    top = logits.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        raise ModelError("the model computes NaN or infinite logits; its weights cannot be used in float32")
    greedy = temperature == 0
    likeliest: Ints = logits.argmax(axis=1) if greedy.any() else np.zeros(len(logits), np.int64)
    if greedy.all():
        return likeliest
    rows, vocab = logits.shape
    blocks = math.ceil(vocab / BLOCK)
    likely = scratch.get("likely", rows, blocks * BLOCK)
    likely[:, vocab:] = 0
    mass = likely[:, :vocab]
    np.subtract(logits, top, out=mass)
    mass /= np.where(greedy, np.float32(1), temperature)[:, None]
    np.exp(mass, out=mass)
    filtered = np.flatnonzero((top_k > 0) | (top_p < 1))
    if filtered.size:
        mass[filtered] = _filter(mass[filtered], top_k[filtered], top_p[filtered])
    return np.where(greedy, likeliest, _invert(likely.reshape(rows, blocks, BLOCK), uniforms))


def _filter(mass: Floats, top_k: Ints, top_p: Doubles) -> Floats:
    """`mass` with zeros for the tokens that top-k and top-p exclude."""
    rows, vocab = mass.shape
    descending = -np.sort(-mass, axis=1)
    kept = np.where(top_k > 0, np.minimum(top_k, vocab), vocab)
    descending[np.arange(vocab) >= kept[:, None]] = 0
    sums = np.cumsum(descending, axis=1, dtype=np.float64)
    # A token stays while the mass before it is below top_p of all that is left.
    nucleus = 1 + np.count_nonzero(sums[:, :-1] < top_p[:, None] * sums[:, -1:], axis=1)
    least = descending[np.arange(rows), np.minimum(kept, nucleus) - 1]
    return np.where(mass < least[:, None], np.float32(0), mass)


def _invert(mass: Floats, uniforms: Doubles) -> Ints:
    """The tokens at which the cumulative mass (rows, blocks, BLOCK) passes each uniform's share of it."""
    rows = np.arange(len(mass))
    sums = np.matmul(mass.reshape(-1, BLOCK), np.ones(BLOCK, np.float32)).reshape(mass.shape[:2])
    block, rest = _pass(sums, uniforms)
    within, _ = _pass(mass[rows, block], rest)
    return block * BLOCK + within


def _pass(mass: Floats, share: Doubles) -> tuple[Ints, Doubles]:
    """Where the cumulative mass (rows, n) passes `share` of it, and how far into that entry, in [0, 1).

    As `share` is below 1, so is the target below the last sum, and the entry found has mass.
    """
    rows = np.arange(len(mass))
    sums = np.cumsum(mass, axis=1, dtype=np.float64)
    target = share * sums[:, -1]
    at = np.count_nonzero(sums <= target[:, None], axis=1)
    own = mass[rows, at].astype(np.float64)
    into = (target - (sums[rows, at] - own)) / own
    return at, np.clip(into, 0.0, 1 - 2.0**-53)
