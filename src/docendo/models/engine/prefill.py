"""Computes the rows of a prompt tree once, keeping their keys and values for whatever continues from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from docendo.models.engine.llama import Floats, Llama, exact_softmax
from docendo.models.engine.tree import Ints, Tree

# Rows computed at once: enough that matrix products run at full speed, few enough to stay in the cache.
CHUNK = 256
# Query rows that attend together: more would look at more branches that are none of theirs.
TILE = 64


class Store:
    """Keys and values of rows, by layer: `kv[layer][row]` is a row's keys then values of all its kv heads."""

    def __init__(self, llama: Llama, rows: int) -> None:
        c = llama.config
        self.kv: list[Floats] = [
            np.empty((rows, 2 * c.kv_heads * c.head_dim), np.float32) for _ in range(c.layers)
        ]


def prefill(llama: Llama, tree: Tree, need: Ints, tell: Callable[[int], None]) -> tuple[Store, Floats]:
    """Compute every row of `tree`.

    A row's features at one layer depend on its path's features at the layer below and on nothing else, so
    rows of all depths and branches go through the linear layers together; only attention follows the tree.

    Args:
        llama: The model.
        tree: The plan of the prompts.
        need: Rows (ascending) whose top of the stream is wanted.
        tell: Is told of rows as they are computed.

    Returns:
        The keys and values of all rows, row for row, and the stream (len(need), hidden) before the head.
    """
    rows, top = len(tree.tokens), []
    store = Store(llama, rows)
    for start in range(0, rows, CHUNK):
        chunk = np.arange(start, min(start + CHUNK, rows))
        wanted = need[(need >= start) & (need <= chunk[-1])]
        every, last = _Masks(tree, chunk), _Masks(tree, wanted)
        x, turns = llama.embed(tree.tokens[chunk]), llama.turns(tree.positions[chunk])
        for layer in range(llama.config.layers):
            final = layer == llama.config.layers - 1
            attend = _TreeAttention(llama, store, start, last if final else every)
            x = llama.layer(layer, x, turns, attend, keep=wanted - start if final else None)
        top.append(x)
        tell(len(chunk))
    return store, np.concatenate(top)


class _Masks:
    """For each tile of query rows (ascending): the rows it looks at, and minus infinity where one may not."""

    def __init__(self, tree: Tree, rows: Ints) -> None:
        self.tiles: list[tuple[slice, Ints, Floats]] = []
        for start in range(0, len(rows), TILE):
            part = rows[start : start + TILE]
            # Rows before the tile that still have it, or part of it, below them; and the tile itself.
            keys = np.flatnonzero(tree.ends[: part[-1] + 1] > part[0])
            seen = (keys <= part[:, None]) & (tree.ends[keys] > part[:, None])
            bias = np.where(seen, np.float32(0), np.float32(-np.inf))
            self.tiles.append((slice(start, start + len(part)), keys, bias))


class _TreeAttention:
    """Attention of a chunk's rows (beginning at row `start`) to their paths."""

    def __init__(self, llama: Llama, store: Store, start: int, masks: _Masks) -> None:
        self._llama, self._store, self._start, self._masks = llama, store, start, masks

    def __call__(self, layer: int, q: Floats, kv: Floats) -> Floats:
        stored = self._store.kv[layer]
        stored[self._start : self._start + len(kv)] = kv
        get = self._llama.scratch.get
        out = get("attended", *q.shape)
        for rows, keys, bias in self._masks.tiles:
            seen = get("seen", len(keys), stored.shape[1])
            np.take(stored, keys, axis=0, out=seen, mode="clip")  # "raise" would buffer
            out[rows] = self._tile(q[rows], seen, bias)
        return out

    def _tile(self, q: Floats, kv: Floats, bias: Floats) -> Floats:
        c, get = self._llama.config, self._llama.scratch.get
        m, n, group = len(q), len(kv), c.heads // c.kv_heads
        pairs = kv.reshape(n, 2, c.kv_heads, c.head_dim)
        keys = pairs[:, 0].transpose(1, 2, 0)  # a view: turning a copy would cost more than reading it so
        queries = get("queries", c.kv_heads, m, group, c.head_dim)
        queries[:] = q.reshape(m, c.kv_heads, group, c.head_dim).transpose(1, 0, 2, 3)
        queries = queries.reshape(c.kv_heads, m * group, c.head_dim)
        exps, sums = get("exps", c.kv_heads, m * group, n), get("sums", c.kv_heads * m * group)
        masked = exps.reshape(c.kv_heads, m, group, n)

        def scores() -> None:
            np.matmul(queries, keys, out=exps)
            np.add(masked, bias[:, None], out=masked)

        exact_softmax(scores, exps, sums)
        mixed = exps @ pairs[:, 1].transpose(1, 0, 2)
        mixed /= sums.reshape(c.kv_heads, m * group, 1)
        return mixed.reshape(c.kv_heads, m, group * c.head_dim).transpose(1, 0, 2).reshape(m, -1)
