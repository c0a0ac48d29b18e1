"""Memory: what a worker may use, what a batch will need, and how a batch is divided so that it fits.

What is needed is worked out from the plan alone (the tree of prompts, the grid of samples), before anything is
computed and without looking at the machine, so that one batch is always divided in one way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from docendo.errors import ConfigError, ModelError
from docendo.models.engine.decode import BLOCK, GAP, LANES
from docendo.models.engine.folder import Config
from docendo.models.engine.prefill import CHUNK, TILE
from docendo.models.engine.tiles import Grid
from docendo.models.engine.tree import Tree, common_prefix

MEMORY = "DOCENDO_ENGINE_MEMORY"
DEFAULT = 2 << 30
"""Bytes that one worker process may use for one model and its batch, where nothing else is said."""

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_FLOAT = 4


def stated() -> int:
    """The budget in bytes: the environment variable `DOCENDO_ENGINE_MEMORY` ("512M", "4G", "1.5 GiB") or `DEFAULT`.

    Raises:
        ConfigError: the variable is no such amount.
    """
    said = os.environ.get(MEMORY, "").strip()
    if not said:
        return DEFAULT
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", said, re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        raise ConfigError(f"{MEMORY}={said!r} is no amount of memory; write it like 512M or 4G")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def shown(size: int) -> str:
    """An amount of memory for people, rounded up."""
    return f"{-(-size // (1 << 20)):,} MiB"


def weights(config: Config) -> int:
    """Bytes of a loaded model: float32, and a tied head once more, as its product wants it turned."""
    return _FLOAT * (config.parameters + (config.vocab * config.hidden if config.tied else 0))


def loading(config: Config) -> int:
    """Bytes needed while a model is loaded: its weights and two copies of the largest matrix made of them."""
    largest = max(
        config.vocab * config.hidden,
        config.hidden * 2 * config.intermediate,
        config.hidden * (config.heads + 2 * config.kv_heads) * config.head_dim,
    )
    return weights(config) + 2 * _FLOAT * largest


def check_weights(folder: Path, config: Config, budget: int) -> None:
    """Refuse a model that cannot even be loaded within the budget.

    Raises:
        ModelError: it says how much is needed.
    """
    if loading(config) > budget:
        raise ModelError(
            f"{folder}: {config.parameters:,} parameters: " + too_large(loading(config), budget, "loading it")
        )


def too_large(need: int, budget: int, what: str = "this request, with the model's weights,") -> str:
    """Says that the budget is too small, and what to do."""
    return (
        f"{what} needs {shown(need)} and the engine's memory budget is {shown(budget)}; "
        f"set {MEMORY} to more (for example {MEMORY}={-(-need // (1 << 20))}M)"
    )


def drawn_at_once(config: Config) -> int:
    """How many rows have their logits over the vocabulary in memory at once."""
    return max(1, (1 << 22) // config.vocab)


def generating(config: Config, tree: Tree, grid: Grid, samples: int, steps: int) -> int:
    """Bytes, beside the weights, that generating takes at most.

    Args:
        config: The model's shape.
        tree: The prompts.
        grid: Where the samples stand.
        samples: How many there are.
        steps: The most tokens that any of them may generate.
    """
    kv, queries = 2 * config.kv_heads * config.head_dim, config.heads * config.head_dim
    sizes = [len(level.rows) * -(-level.rows.shape[1] // LANES) * LANES for level in grid.levels]
    shared = sum(level.rows.shape[1] for level in grid.levels)
    lines = grid.places * config.heads
    rooms = 2 if samples > 1 else 1  # those that strands move to and fro between
    room = min(steps, BLOCK) + steps // BLOCK * BLOCK  # a sample's own steps: the last ones, and full blocks
    floats = (
        config.layers * (kv * (sum(sizes) + rooms * grid.places * room) + 2 * rooms * BLOCK * GAP)
        + kv * max([*sizes, grid.places * BLOCK])  # what is copied from one place to another
        + lines * (shared + steps)  # scores
        + lines // config.kv_heads * shared * 3  # padding, as it is made
        + lines * config.head_dim * 4  # queries and what they find
        + samples * (_stream(config) + queries)
        + 12 * min(samples, drawn_at_once(config)) * config.vocab
        + 12 * samples * (steps + 128)  # tokens and uniforms, of eight bytes, and what holds them
    )
    return _padded(floats) + _prompts(config, tree, len(tree.paths))


def scoring(config: Config, tree: Tree, predictions: int) -> int:
    """Bytes, beside the weights, that scoring takes at most; `predictions` rows of the tree are needed."""
    rows = min(predictions, SCORED)
    return _padded(rows * 4 * config.vocab + 12 * predictions) + _prompts(config, tree, predictions)


SCORED = 256
"""Rows whose logits over the whole vocabulary are held at once when continuations are scored."""


def _prompts(config: Config, tree: Tree, wanted: int) -> int:
    """Bytes for computing a tree, with `wanted` of its rows at the top of the stream."""
    kv, rows = 2 * config.kv_heads * config.head_dim, len(tree.tokens)
    chunk, deepest = min(rows, CHUNK), int(tree.positions.max()) + 1
    tile, keys = min(rows, TILE), min(rows, deepest + CHUNK)
    tokens = 8 * (4 * rows + 4 * sum(map(len, tree.paths)))
    floats = (
        config.layers * kv * rows
        + chunk * _stream(config)
        + 3 * keys * kv
        + tile * config.heads * (keys + 4 * config.head_dim)
        + (chunk + min(wanted, chunk) + 2 * tile) * keys  # masks of the chunk's tiles, as they are made
        + 3 * wanted * config.hidden
    )
    return _padded(floats) + tokens


def _stream(config: Config) -> int:
    """Floats that a row takes on its way through a layer."""
    queries, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
    return 6 * config.hidden + 5 * queries + 4 * kv + 4 * config.intermediate


def _padded(floats: float) -> int:
    """Bytes of so many floats in buffers that grow ahead of need by a quarter."""
    return int(floats * _FLOAT * 1.25) + (1 << 16)


class Planned(Protocol):
    """A plan that says how many bytes it takes."""

    memory: int


P = TypeVar("P", bound=Planned)


def parts(prompts: Sequence[Sequence[int]], planned: Callable[[list[int]], P], free: int) -> Iterator[P]:
    """Plans for all prompts, in as few parts as fit into `free` bytes, cut where prompts share least.

    Args:
        prompts: As token ids.
        planned: The plan for prompts of these numbers (ascending).
        free: Bytes.

    Yields:
        Plans that fit, and perhaps plans of one prompt that do not.
    """
    order = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]))
    start = 0
    while start < len(order):

        def upto(stop: int, start: int = start) -> P:
            return planned(sorted(order[start:stop]))

        def shared(at: int) -> int:
            return common_prefix(np.array(prompts[order[at - 1]]), np.array(prompts[order[at]]))

        stop, plan = len(order), upto(len(order))
        if plan.memory > free and stop - start > 1:
            stop, plan = _most(upto, start + 1, stop, free)
            # Not far back: a cut that costs a few rows is better than many small parts.
            weakest = min(range(stop, start + (stop - start) // 2, -1), key=shared)
            if weakest < stop and (shorter := upto(weakest)).memory <= free:
                stop, plan = weakest, shorter
        yield plan
        start = stop


def _most(upto: Callable[[int], P], low: int, high: int, free: int) -> tuple[int, P]:
    """The last number whose plan fits, at least `low`, given that `high` does not; and its plan."""
    plan = upto(low)
    while high - low > 1:
        middle = (low + high) // 2
        if (longer := upto(middle)).memory <= free:
            low, plan = middle, longer
        else:
            high = middle
    return low, plan
