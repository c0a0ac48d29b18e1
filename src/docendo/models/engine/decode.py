"""Generates token by token from many prompts at once: each step is one pass over one row for each strand.

A strand is a prompt and what was generated after it. Samples of one prompt that have drawn the same tokens so far
are one strand and are computed once; where they draw different ones the strand forks.

A row looks at its prompt and at what its strand generated. Prompts are looked at tile by tile (`tiles.py`): the
keys of a tile are read once for all its strands, as one matrix product a head. What a strand generated is its
own: the last steps lie step by step, as they come, and full blocks of them strand by strand, so that whatever is
read is read in one sweep (with room left between strands half of the time went into waiting for memory). The scores of
all these pieces lie side by side, so that there is one softmax over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from docendo.models.engine.llama import Floats, Llama, exact_softmax
from docendo.models.engine.prefill import Store
from docendo.models.engine.tiles import Grid, Level, arrange
from docendo.models.engine.tree import Ints

# Steps whose keys and values stand strand by strand once they are all there.
BLOCK = 16
# Floats left free after each of the last steps: steps apart by whole pages would share their places in the cache.
GAP = 80
# Small products run at twice the speed where a tile is as wide as a multiple of what a register holds.
LANES = 16
# Strands are arranged anew when they would do with so little of the room: copying is then cheaper than reading it.
WORN = 0.5


class Decoder:
    """Strands that go on from their prompts in step.

    At first there is one strand for each prompt, which has generated nothing.

    Args:
        llama: The model.
        store: Keys and values of the prompts' rows.
        paths: For each prompt its rows in `store`; in depth-first order.
        grid: How `places` strands stand: used where that many are wanted.
        places: For each of the grid's places that have one, its prompt (ascending).
        most: Steps that will be taken at most.
    """

    def __init__(
        self, llama: Llama, store: Store, paths: Sequence[Ints], grid: Grid, places: Ints, most: int
    ) -> None:
        self._llama, self._store, self._paths, self._most = llama, store, paths, most
        self._full = grid, places
        self._prompt = np.arange(len(paths))  # of each strand
        self._length = np.array([len(path) for path in paths], np.int64)  # of each strand, prompt included
        self._layout: _Layout | None = None
        self._spare = 1  # room for so many times the strands there are, as they will fork

    def step(self, parents: Ints, tokens: Ints, samples: Ints) -> Floats:
        """Take in one new token for each strand that goes on.

        Args:
            parents: For each strand, which of the strands before it goes on from (ascending). One that is named
                twice forks, one that is not named is at its end.
            tokens: For each strand.
            samples: How many samples are in each strand. A prompt's strands will never be more than its samples.

        Returns:
            The stream (strands, hidden) before the head.
        """
        self._prompt, self._length = self._prompt[parents], self._length[parents]
        layout = self._layout
        if layout is None or self._wanted(samples).sum() <= WORN * layout.room:
            layout = self._layout = self._arranged(parents, samples)
        elif not layout.fork(parents):
            self._spare *= 2
            layout = self._layout = self._arranged(parents, samples)
        layout.begin()
        x, turns = self._llama.embed(tokens), self._llama.turns(self._length)
        for layer in range(self._llama.config.layers):
            x = self._llama.layer(layer, x, turns, layout.attend)
        self._length += 1
        return x

    def _wanted(self, samples: Ints) -> Ints:
        """For each prompt, how many places it should have."""
        prompts = len(self._paths)
        strands = np.bincount(self._prompt, minlength=prompts)
        most = np.bincount(self._prompt, samples, prompts).astype(np.int64)
        return np.minimum(most, self._spare * strands)

    def _arranged(self, parents: Ints, samples: Ints) -> _Layout:
        wanted = self._wanted(samples)
        places = np.repeat(np.arange(len(wanted)), wanted)
        grid, full = self._full
        if not np.array_equal(places, full):
            c = self._llama.config
            grid = arrange([self._paths[prompt] for prompt in places.tolist()], c.heads // c.kv_heads)
        return _Layout(
            self._llama, self._store, grid, places, self._prompt, self._most, self._layout, parents
        )


class _Layout:
    """Keys and values of some prompts and strands, copied into the order in which steps read them.

    Queries stand in a grid; where strands have ended or not begun, or a tile is not full, the grid has places whose
    results nobody reads. Their queries are zero, so that nothing depends on what lies there: their scores are
    zero whatever the keys are, as long as those are finite, which everything ever written there is.
    """

    def __init__(
        self,
        llama: Llama,
        store: Store,
        grid: Grid,
        prompts: Ints,
        strands: Ints,
        most: int,
        before: _Layout | None,
        parents: Ints,
    ) -> None:
        c = llama.config
        self._llama, self._group, self._grid = llama, c.heads // c.kv_heads, grid
        self.room = len(prompts)
        self._owner = np.full(grid.places, -1)  # the prompt of each place
        self._owner[grid.place] = prompts
        # Each prompt's strands take its first places.
        within = np.arange(len(strands)) - np.searchsorted(strands, strands)
        self._place: Ints = grid.place[np.searchsorted(prompts, strands) + within]
        self._queries = np.zeros((c.kv_heads, grid.places, self._group * c.head_dim), np.float32)
        self._bias = self._padding(grid)
        self._levels = [self._gather(number, level, store) for number, level in enumerate(grid.levels)]
        # Two sets of room for what is generated, used in turn, so that the one can be copied into the other.
        self._turn: int = 1 - before._turn if before else 0
        self._step: int = before._step if before else 0
        self._tail = min(BLOCK, most)
        self._last = self._last_room("keys"), self._last_room("values")
        self._blocks: list[tuple[Floats, Floats]] = []
        if before:
            self._carry(before, before._place[parents])

    def _padding(self, grid: Grid) -> Floats | None:
        """Minus infinity (places * group, shared columns) where a tile has less than its level's width."""
        parts = []
        for level in grid.levels:
            absent = np.arange(level.rows.shape[1]) >= level.lengths[:, None]
            bias = np.where(absent, np.float32(-np.inf), np.float32(0))
            parts.append(np.repeat(bias, level.size * self._group, axis=0))
        whole = np.concatenate(parts, axis=1) if parts else np.empty((0, 0), np.float32)
        return whole if whole.any() else None

    def _gather(self, number: int, level: Level, store: Store) -> tuple[Floats, Floats]:
        """Keys (layers, kv_heads, tiles, head_dim, lanes) and values (layers, kv_heads, tiles, width, head_dim).

        The keys' width is rounded up; what lies in the columns too many is finite.
        """
        c, get = self._llama.config, self._llama.scratch.get
        tiles, width = level.rows.shape
        lanes = -(-width // LANES) * LANES
        keys = get(("keys", number), c.layers, c.kv_heads, tiles, c.head_dim, lanes)
        values = get(("values", number), c.layers, c.kv_heads, tiles, width, c.head_dim)
        gathered = get("gathered", tiles * width, 2 * c.kv_heads * c.head_dim)
        for layer, stored in enumerate(store.kv):
            np.take(stored, level.rows.ravel(), axis=0, out=gathered, mode="clip")  # "raise" would buffer
            pairs = gathered.reshape(tiles, width, 2, c.kv_heads, c.head_dim)
            keys[layer, ..., :width] = pairs[:, :, 0].transpose(2, 0, 3, 1)
            values[layer] = pairs[:, :, 1].transpose(2, 0, 1, 3)
        return keys, values

    def _last_room(self, name: str) -> Floats:
        """Room for the last keys or values, those in no block yet (layers, steps, kv_heads, places, head_dim)."""
        c = self._llama.config
        shape = c.kv_heads, self._grid.places, c.head_dim
        size = c.kv_heads * self._grid.places * c.head_dim
        room = self._llama.scratch.get(("last", name, self._turn), c.layers, self._tail, size + GAP)
        return room[..., :size].reshape(c.layers, self._tail, *shape)

    def _block_room(self, number: int) -> tuple[Floats, Floats]:
        """Room for a block of keys (layers, kv_heads, places, head_dim, BLOCK) and values, turned."""
        c, get = self._llama.config, self._llama.scratch.get
        shape, name = (c.layers, c.kv_heads, self._grid.places), ("block", number, self._turn)
        keys = get((*name, "keys"), *shape, c.head_dim, BLOCK)
        return keys, get((*name, "values"), *shape, BLOCK, c.head_dim)

    def _carry(self, before: _Layout, old: Ints) -> None:
        """Take over what the strands have generated, of each what stands at a place of the layout before."""
        self._blocks = [self._block_room(number) for number in range(len(before._blocks))]
        for block, earlier in zip(self._blocks, before._blocks, strict=True):
            for to, has in zip(block, earlier, strict=True):
                for layer in range(len(to)):
                    to[layer][:, self._place] = has[layer][:, old]
        for to, has in zip(self._last, before._last, strict=True):
            for layer in range(len(to)):
                to[layer][:, :, self._place] = has[layer][:, :, old]

    def fork(self, parents: Ints) -> bool:
        """Go on with strands from these of the strands before; says whether there was room for all."""
        first = np.diff(parents, prepend=-1) > 0
        place = self._place[parents]
        taken = np.zeros(self._grid.places, bool)
        taken[place[first]] = True
        forked = np.flatnonzero(~first)
        for strand in forked:
            free = np.flatnonzero((self._owner == self._owner[place[strand]]) & ~taken)
            if not free.size:
                return False
            place[strand] = free[0]
            taken[free[0]] = True
        if forked.size:
            new, old = place[forked], self._place[parents[forked]]
            for block in self._blocks:
                for each in block:
                    each[:, :, new] = each[:, :, old]
            for each in self._last:
                each[:, :, :, new] = each[:, :, :, old]
        self._place = place
        return True

    def _close_block(self) -> None:
        """Put the last steps' keys and values in the order of the strands."""
        keys, values = self._block_room(len(self._blocks))
        for layer in range(self._llama.config.layers):
            keys[layer] = self._last[0][layer].transpose(1, 2, 3, 0)
            values[layer] = self._last[1][layer].transpose(1, 2, 0, 3)
        self._blocks.append((keys, values))

    def begin(self) -> None:
        """Begin a step."""
        c, get, lines = self._llama.config, self._llama.scratch.get, self._grid.places * self._group
        if self._step == BLOCK * (len(self._blocks) + 1):
            self._close_block()
        self._step += 1
        self._recent = self._step - BLOCK * len(self._blocks)  # of the last steps, how many there are
        # Where no place is left out a slice says the same, and copies without a detour.
        every = np.array_equal(self._place, np.arange(self._grid.places))
        self._at: slice | Ints = slice(None) if every else self._place
        self._queries[:] = 0
        shared = sum(level.rows.shape[1] for level in self._grid.levels)
        self._exps = exps = get("exps", c.kv_heads, lines, shared + self._step)
        self._sums = get("sums", c.kv_heads * lines)
        self._mixed = get("mixed", c.kv_heads, lines, c.head_dim)
        self._part = get("part", c.kv_heads, lines, c.head_dim)
        self._attended = get("attended", len(self._place), c.kv_heads, self._group * c.head_dim)
        # The same arrays as each piece sees them: queries, scores and results of (heads, tiles, their lines).
        self._pieces, start = [], 0
        for level, (keys, _) in zip(self._grid.levels, self._levels, strict=True):
            tiles, width = level.rows.shape
            self._pieces.append(self._piece(tiles, start, width, keys.shape[-1]))
            start += width
        self._padded = exps[:, :, :shared]
        for at in range(shared, shared + BLOCK * len(self._blocks), BLOCK):
            self._pieces.append(self._piece(self._grid.places, at, BLOCK, BLOCK))
        start, recent = shared + self._step - self._recent, self._recent
        self._pieces.append(self._piece(self._grid.places, start, recent, recent))

    def _piece(self, tiles: int, start: int, width: int, lanes: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Of tiles with the columns from `start`: queries, what their scores are written to, scores, results.

        Scores are written for `lanes` columns where the row is that long, `width` of them to stay: the others belong to
        the pieces that come after, and are written over.
        """
        c = self._llama.config
        queries = self._queries.reshape(c.kv_heads, tiles, -1, c.head_dim)
        exps = self._exps.reshape(c.kv_heads, tiles, -1, self._exps.shape[-1])
        written = lanes if start + lanes <= exps.shape[-1] else width
        return (
            queries,
            exps[..., start : start + written],
            exps[..., start : start + width],
            self._part.reshape(queries.shape),
        )

    def attend(self, layer: int, q: Floats, kv: Floats) -> Floats:
        """Attention of each strand's new row to its prompt and to what it generated, itself included."""
        n, heads, recent = len(q), self._llama.config.kv_heads, self._recent
        pairs = kv.reshape(n, 2, heads, -1)
        last_keys, last_values = self._last[0][layer], self._last[1][layer]
        last_keys[recent - 1][:, self._at] = pairs[:, 0].swapaxes(0, 1)
        last_values[recent - 1][:, self._at] = pairs[:, 1].swapaxes(0, 1)
        self._queries[:, self._at] = q.reshape(n, heads, -1).swapaxes(0, 1)
        known = [
            *((keys[layer], values[layer]) for keys, values in [*self._levels, *self._blocks]),
            (last_keys[:recent].transpose(1, 2, 3, 0), last_values[:recent].transpose(1, 2, 0, 3)),
        ]

        def scores() -> None:
            for (queries, written, _, _), (keys, _) in zip(self._pieces, known, strict=True):
                np.matmul(queries, keys[..., : written.shape[-1]], out=written)
            if self._bias is not None:
                np.add(self._padded, self._bias, out=self._padded)

        exact_softmax(scores, self._exps, self._sums)
        mixed = self._mixed
        for number, ((_, _, exps, part), (_, values)) in enumerate(zip(self._pieces, known, strict=True)):
            np.matmul(exps, values, out=part if number else mixed.reshape(part.shape))
            if number:
                mixed += self._part
        mixed /= self._sums.reshape(heads, -1, 1)
        self._attended[:] = mixed.reshape(self._queries.shape)[:, self._at].swapaxes(0, 1)
        return self._attended.reshape(n, -1)
