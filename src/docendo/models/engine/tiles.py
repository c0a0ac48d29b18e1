"""Decides how samples are grouped so that what they share is read once: the geometry of decoding.

Samples stand in a grid of outer tiles, each of so many inner tiles, each of so many places. What all samples
share is the trunk; beyond it, what an outer tile's samples share belongs to the outer tile, and the rest of a
prompt to the inner tile, which holds samples of that one prompt. The choice never depends on the clock: the
same batch is always laid out the same way, so that its float sums come out the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from docendo.models.engine.tree import Ints, common_prefix

# How many samples of one prompt an inner tile may hold, and how many inner tiles an outer one.
_SIZES = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True, slots=True)
class Level:
    """Tiles of `size` neighbouring places, each with the rows that its samples share at this level.

    `rows` is (tiles, width), filled up with row 0 where a tile has fewer than `lengths` says.
    """

    size: int
    rows: Ints
    lengths: Ints


@dataclass(frozen=True, slots=True)
class Grid:
    """Sample i stands at `place[i]` of `places`; `levels` are the trunk (one tile), outer and inner tiles."""

    place: Ints
    places: int
    levels: tuple[Level, ...]


@dataclass(slots=True)
class _Run:
    """Neighbouring samples of one prompt: its length, and what of it the prompt before has too."""

    path: Ints
    count: int
    length: int
    shared: int


def arrange(paths: Sequence[Ints], group: int) -> Grid:
    """The grid for samples with these paths (rows of their prompts), in depth-first order.

    Args:
        paths: For each sample.
        group: Query heads for each key head.
    """
    runs: list[_Run] = []
    for _, same in groupby(paths, key=id):
        members = list(same)
        shared = common_prefix(runs[-1].path, members[0]) if runs else 0
        runs.append(_Run(members[0], len(members), len(members[0]), shared))
    trunk = min((run.shared for run in runs[1:]), default=runs[0].length)
    most = max(run.count for run in runs)
    plans = (
        _Plan(runs, trunk, inner, inner * outer)
        for inner in _SIZES
        if inner <= most
        for outer in _SIZES
        if outer <= len(runs)
    )
    return min(plans, key=lambda plan: plan.cost(group)).grid(runs)


class _Plan:
    """The grid with inner tiles of `inner` places and outer tiles of `outer`, and what it would cost."""

    def __init__(self, runs: Sequence[_Run], trunk: int, inner: int, outer: int) -> None:
        self._trunk, self._inner, self._outer = trunk, inner, outer
        self._tiles: list[list[int]] = []  # for each outer tile, the run of each of its inner tiles
        self._common: list[int] = []  # for each outer tile, how long the path is that its samples share
        for number, run in enumerate(runs):
            for start in range(0, run.count, inner):
                shared = run.length if start else run.shared
                # One that shares less than half beyond the trunk would leave little for the tile to share.
                weak = 2 * (shared - trunk) < run.length - trunk
                if not self._tiles or len(self._tiles[-1]) * inner == outer or weak:
                    self._tiles.append([])
                    self._common.append(run.length)
                self._tiles[-1].append(number)
                if len(self._tiles[-1]) > 1:
                    self._common[-1] = min(self._common[-1], shared)
        self._lengths = [run.length for run in runs]
        # A tile of one prompt shares all of it, which would widen every other tile's room.
        several = [c for c, tile in zip(self._common, self._tiles, strict=True) if tile[0] != tile[-1]]
        if several:
            self._common = [min(c, max(several)) for c in self._common]
        self._outer_width = max(self._common) - trunk
        self._inner_width = max(
            self._lengths[number] - c
            for c, tile in zip(self._common, self._tiles, strict=True)
            for number in tile
        )

    def cost(self, group: int) -> int:
        """What a step costs, by a fit to timings of small products.

        Reading a column of keys costs as much as four query rows' work on it, and a product in itself as much
        as 16 columns. Samples generate some tokens, for which 32 stands.
        """
        outer = len(self._tiles)
        inner = outer * self._outer // self._inner
        return (
            outer * (self._outer_width + 16) * (4 + self._outer * group)
            + inner * (self._inner_width + 16) * (4 + self._inner * group)
            + outer * self._outer * (32 + 16) * (4 + group)
        )

    def grid(self, runs: Sequence[_Run]) -> Grid:
        trunk, per = self._trunk, self._outer // self._inner
        outer = np.zeros((len(self._tiles), self._outer_width), np.int64)
        inner = np.zeros((len(self._tiles) * per, self._inner_width), np.int64)
        inner_lengths = np.zeros(len(inner), np.int64)
        place: list[int] = []
        left = [run.count for run in runs]
        for i, (tile, common) in enumerate(zip(self._tiles, self._common, strict=True)):
            outer[i, : common - trunk] = runs[tile[0]].path[trunk:common]
            for j, number in enumerate(tile, i * per):
                rest = runs[number].path[common:]
                inner[j, : len(rest)], inner_lengths[j] = rest, len(rest)
                taken = min(left[number], self._inner)
                left[number] -= taken
                place.extend(range(j * self._inner, j * self._inner + taken))
        places = len(self._tiles) * self._outer
        levels = (
            Level(places, runs[0].path[None, :trunk], np.array([trunk])),
            Level(self._outer, outer, np.array(self._common) - trunk),
            Level(self._inner, inner, inner_lengths),
        )
        return Grid(np.array(place), places, tuple(level for level in levels if level.rows.size))
