"""Plans what a batch of prompts shares: every distinct prefix is one row, computed once.

The rows of the tree are numbered in depth-first order, which is the order of the sorted prompts. Then the
rows under a row are the range from it to its `end`, so "row j comes before row i on one path" is two
comparisons, and any run of rows can be attended to at once under a mask. What the rows are for is left to
`prefill.py` and `decode.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """Distinct prefixes of a batch of prompts, one row each, in depth-first order.

    `tokens[j]` and `positions[j]` are what row j holds; the rows below it are j+1 to `ends[j]`-1. `paths`
    are the rows of each distinct prompt from first token to last, in depth-first order; `which[r]` is the
    distinct prompt of request r; `computed[r]` is how many rows request r is the first to need (their sum
    is the number of rows).
    """

    tokens: Ints
    positions: Ints
    ends: Ints
    paths: list[Ints]
    which: Ints
    computed: Ints


def plan(prompts: Sequence[Sequence[int]]) -> Tree:
    """The tree of `prompts` (non-empty token sequences, in the order of the requests)."""
    keys = [tuple(prompt) for prompt in prompts]
    distinct = sorted(set(keys))
    number = {key: i for i, key in enumerate(distinct)}
    total = sum(map(len, distinct))
    tokens, positions = np.empty(total, np.int64), np.empty(total, np.int64)
    ends = np.empty(total, np.int64)
    paths: list[Ints] = []
    last, path, rows = np.empty(0, np.int64), np.empty(0, np.int64), 0
    for key in distinct:
        prompt = np.array(key, np.int64)
        shared = common_prefix(last, prompt)
        ends[path[shared:]] = rows  # the branch we leave will get no more rows below it
        new = np.arange(rows, rows + len(prompt) - shared)
        tokens[new], positions[new] = prompt[shared:], np.arange(shared, len(prompt))
        path = np.concatenate([path[:shared], new])
        paths.append(path)
        last, rows = prompt, rows + len(new)
    ends[path] = rows

    which = np.array([number[key] for key in keys], np.int64)
    return Tree(tokens[:rows], positions[:rows], ends[:rows], paths, which, _first_needed(paths, which, rows))


def common_prefix(a: Ints, b: Ints) -> int:
    """How many leading elements `a` and `b` share."""
    n = min(len(a), len(b))
    different = a[:n] != b[:n]
    first = int(different.argmax()) if n else 0
    return first if n and different[first] else n


def _first_needed(paths: Sequence[Ints], which: Ints, rows: int) -> Ints:
    computed = np.zeros(len(which), np.int64)
    fresh = np.ones(rows, bool)
    seen: set[int] = set()
    for request, prompt in enumerate(which.tolist()):
        if prompt not in seen:
            seen.add(prompt)
            computed[request] = np.count_nonzero(fresh[paths[prompt]])
            fresh[paths[prompt]] = False
    return computed
