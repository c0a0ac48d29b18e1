"""Generates token by token from many prompts at once: each step is one pass over one row for each sample.

A row looks at its prompt and at what it has generated. Prompts are looked at tile by tile (`tiles.py`): the
keys of a tile are read once for all its samples, as one matrix product a head. What a sample generated is its
own: the last steps lie step by step, as they come, and full blocks of them sample by sample, so that whatever is
read is read in one sweep (with room left between samples half of the time went into waiting for memory). The scores of
all these pieces lie side by side, so that there is one softmax over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from docendo.models.engine.llama import Floats, Llama, exact_softmax
from docendo.models.engine.prefill import Store
from docendo.models.engine.tiles import Grid, Level, arrange
from docendo.models.engine.tree import Ints

# Steps whose keys and values stand sample by sample once they are all there.
BLOCK = 16
# Samples are arranged anew when so few are left: copying keys is then cheaper than reading unused ones.
WORN = 0.5


class Decoder:
    """Samples that go on from their prompts in step.

    Args:
        llama: The model.
        store: Keys and values of the prompts' rows.
        paths: For each sample its prompt's rows in `store`, in depth-first order; samples of one prompt have
            the same array.
        grid: How they stand at first.
        most: Steps that will be taken at most.
    """

    def __init__(self, llama: Llama, store: Store, paths: Sequence[Ints], grid: Grid, most: int) -> None:
        self._llama, self._store, self._grid, self._most = llama, store, grid, most
        self._paths = list(paths)
        self._lengths = np.array([len(path) for path in paths], np.int64)
        self._alive = np.arange(len(paths))  # of the samples in the layout
        self._layout: _Layout | None = None

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Drop the samples that `which` (one flag for each sample left) says are finished."""
        self._alive = self._alive[which]
        self._lengths = self._lengths[which]

    def step(self, tokens: Ints) -> Floats:
        """Take in one new token for each sample left; gives the stream (samples, hidden) before the head."""
        layout = self._layout
        if layout is None or len(self._alive) <= WORN * layout.samples:
            self._paths = [self._paths[i] for i in self._alive]
            grid = self._grid
            if len(self._alive) < len(grid.place):
                grid = self._grid = arrange(
                    self._paths, self._llama.config.heads // self._llama.config.kv_heads
                )
            layout = self._layout = _Layout(self._llama, self._store, grid, self._most, layout, self._alive)
            self._alive = np.arange(len(self._paths))
        layout.begin(self._alive)
        x, turns = self._llama.embed(tokens), self._llama.turns(self._lengths)
        for layer in range(self._llama.config.layers):
            x = self._llama.layer(layer, x, turns, layout.attend)
        self._lengths += 1
        return x


class _Layout:
    """Keys and values of some samples' prompts, copied into the order in which steps read them.

    Queries stand in a grid; where samples have finished, or a tile is not full, the grid has places whose
    results nobody reads. Their queries are zero, so that nothing depends on what lies there: their scores are
    zero whatever the keys are, as long as those are finite, which everything ever written there is.
    """

    def __init__(
        self, llama: Llama, store: Store, grid: Grid, most: int, before: _Layout | None, alive: Ints
    ) -> None:
        c = llama.config
        self._llama, self._group = llama, c.heads // c.kv_heads
        self.samples = len(grid.place)
        self._grid = grid
        self._queries = np.zeros((c.kv_heads, grid.places, self._group * c.head_dim), np.float32)
        self._bias = self._padding(grid)
        self._levels = [self._gather(number, level, store) for number, level in enumerate(grid.levels)]
        # Two sets of room for what is generated, used in turn, so that the one can be copied into the other.
        self._turn: int = 1 - before._turn if before else 0
        self._step: int = before._step if before else 0
        self._tail = min(BLOCK, most)
        self._last = [self._room("last", layer) for layer in range(c.layers)]
        self._blocks: list[list[tuple[Floats, Floats]]] = []  # of each block, by layer
        if before:
            self._carry(before, alive)

    def _padding(self, grid: Grid) -> Floats | None:
        """Minus infinity (places * group, shared columns) where a tile has less than its level's width."""
        parts = []
        for level in grid.levels:
            absent = np.arange(level.rows.shape[1]) >= level.lengths[:, None]
            bias = np.where(absent, np.float32(-np.inf), np.float32(0))
            parts.append(np.repeat(bias, level.size * self._group, axis=0))
        whole = np.concatenate(parts, axis=1) if parts else np.empty((0, 0), np.float32)
        return whole if whole.any() else None

    def _gather(self, number: int, level: Level, store: Store) -> list[tuple[Floats, Floats]]:
        """By layer: keys (kv_heads, tiles, head_dim, width) and values (kv_heads, tiles, width, head_dim)."""
        c, get = self._llama.config, self._llama.scratch.get
        tiles, width = level.rows.shape
        gathered = get("gathered", tiles * width, 2 * c.kv_heads * c.head_dim)
        layers = []
        for layer, stored in enumerate(store.kv):
            np.take(stored, level.rows.ravel(), axis=0, out=gathered, mode="clip")  # "raise" would buffer
            pairs = gathered.reshape(tiles, width, 2, c.kv_heads, c.head_dim)
            keys = get(("keys", number, layer), c.kv_heads, tiles, c.head_dim, width)
            values = get(("values", number, layer), c.kv_heads, tiles, width, c.head_dim)
            keys[:] = pairs[:, :, 0].transpose(2, 0, 3, 1)
            values[:] = pairs[:, :, 1].transpose(2, 0, 1, 3)
            layers.append((keys, values))
        return layers

    def _room(self, name: object, layer: int) -> tuple[Floats, Floats]:
        """Room for a layer's last keys and values, those in no block yet (steps, kv_heads, places, head_dim)."""
        c, get = self._llama.config, self._llama.scratch.get
        shape = self._tail, c.kv_heads, self._grid.places, c.head_dim
        return get((name, "keys", self._turn, layer), *shape), get(
            (name, "values", self._turn, layer), *shape
        )

    def _block(self, number: int, layer: int) -> tuple[Floats, Floats]:
        """Room for a block (kv_heads, places, BLOCK, head_dim) of a layer's keys and values."""
        c, get = self._llama.config, self._llama.scratch.get
        shape = c.kv_heads, self._grid.places, BLOCK, c.head_dim
        name = "block", number, self._turn, layer
        return get((*name, "keys"), *shape), get((*name, "values"), *shape)

    def _carry(self, before: _Layout, alive: Ints) -> None:
        """Take over what the samples left have generated."""
        layers = range(self._llama.config.layers)
        new, old = self._grid.place, before._grid.place[alive]
        self._blocks = [[self._block(n, layer) for layer in layers] for n in range(len(before._blocks))]
        for block, earlier in zip(self._blocks, before._blocks, strict=True):
            for pair, from_ in zip(block, earlier, strict=True):
                for to, has in zip(pair, from_, strict=True):
                    to[:, new] = has[:, old]
        for pair, from_ in zip(self._last, before._last, strict=True):
            for to, has in zip(pair, from_, strict=True):
                to[:, :, new] = has[:, :, old]

    def _close_block(self) -> None:
        """Put the last steps' keys and values in the order of the samples."""
        number = len(self._blocks)
        block = [self._block(number, layer) for layer in range(self._llama.config.layers)]
        for pair, last in zip(block, self._last, strict=True):
            for to, has in zip(pair, last, strict=True):
                to[:] = has.transpose(1, 2, 0, 3)
        self._blocks.append(block)

    def begin(self, alive: Ints) -> None:
        """Begin a step, whose rows are these of the layout's samples."""
        c, get, lines = self._llama.config, self._llama.scratch.get, self._grid.places * self._group
        if self._step == BLOCK * (len(self._blocks) + 1):
            self._close_block()
        self._step += 1
        self._recent = self._step - BLOCK * len(self._blocks)  # of the last steps, how many there are
        place = self._grid.place[alive]
        # Where no place is left out a slice says the same, and copies without a detour.
        self._place: slice | Ints = slice(None) if len(place) == self._grid.places else place
        self._queries[:] = 0
        shared = sum(level.rows.shape[1] for level in self._grid.levels)
        self._exps = exps = get("exps", c.kv_heads, lines, shared + self._step)
        self._sums = get("sums", c.kv_heads * lines)
        self._mixed = get("mixed", c.kv_heads, lines, c.head_dim)
        self._part = get("part", c.kv_heads, lines, c.head_dim)
        self._attended = get("attended", len(alive), c.kv_heads, self._group * c.head_dim)
        # The same arrays as each piece sees them: queries, scores and results of (heads, tiles, their lines).
        self._pieces, start = [], 0
        for level in self._grid.levels:
            tiles, width = level.rows.shape
            self._pieces.append(self._piece(tiles, slice(start, start + width)))
            start += width
        self._padded = exps[:, :, :shared]
        self._own_pieces = [
            self._piece(self._grid.places, slice(at, at + BLOCK))
            for at in range(shared, shared + BLOCK * len(self._blocks), BLOCK)
        ]
        self._last_piece = self._piece(self._grid.places, slice(shared + BLOCK * len(self._blocks), None))

    def _piece(self, tiles: int, columns: slice) -> tuple[Floats, Floats, Floats]:
        c = self._llama.config
        queries = self._queries.reshape(c.kv_heads, tiles, -1, c.head_dim)
        exps = self._exps.reshape(c.kv_heads, tiles, -1, self._exps.shape[-1])[..., columns]
        return queries, exps, self._part.reshape(queries.shape)

    def attend(self, layer: int, q: Floats, kv: Floats) -> Floats:
        """Attention of each sample's new row to its prompt and to what it generated, itself included."""
        n, heads = len(q), self._llama.config.kv_heads
        pairs, recent = kv.reshape(n, 2, heads, -1), self._recent
        last_keys, last_values = self._last[layer]
        last_keys[recent - 1][:, self._place] = pairs[:, 0].swapaxes(0, 1)
        last_values[recent - 1][:, self._place] = pairs[:, 1].swapaxes(0, 1)
        self._queries[:, self._place] = q.reshape(n, heads, -1).swapaxes(0, 1)
        pieces = [
            *((piece, *level[layer]) for level, piece in zip(self._levels, self._pieces, strict=True)),
            *(
                (piece, block[layer][0].swapaxes(2, 3), block[layer][1])
                for block, piece in zip(self._blocks, self._own_pieces, strict=True)
            ),
            (
                self._last_piece,
                last_keys[:recent].transpose(1, 2, 3, 0),
                last_values[:recent].transpose(1, 2, 0, 3),
            ),
        ]

        def scores() -> None:
            for (queries, exps, _), keys, _ in pieces:
                np.matmul(queries, keys, out=exps)
            if self._bias is not None:
                np.add(self._padded, self._bias, out=self._padded)

        exact_softmax(scores, self._exps, self._sums)
        mixed = self._mixed
        for number, ((_, exps, part), _, values) in enumerate(pieces):
            np.matmul(exps, values, out=part if number else mixed.reshape(part.shape))
            if number:
                mixed += self._part
        mixed /= self._sums.reshape(heads, -1, 1)
        self._attended[:] = mixed.reshape(self._queries.shape)[:, self._place].swapaxes(0, 1)
        return self._attended.reshape(n, -1)
