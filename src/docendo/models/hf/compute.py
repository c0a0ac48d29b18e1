"""Batches on transformers: shared prefixes once, then all rows together.

It knows tokens, not texts, and neither calls nor lessons. The keys and values of a prefix that prompts of a batch
share (a system's words, a lesson) are computed once and joined with what follows for each prompt. In decoding every
row has its own copy of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from itertools import groupby
from typing import Any

import torch
from transformers import DynamicCache

SHARED = 8
"""Tokens from which on a common prefix is worth a computation of its own."""
_PREFILL_TOKENS = 8192  # most prompt tokens in one pass
_CPU_BYTES = 2 << 30  # for keys and values in main memory
_GPU_SHARE = 0.5  # of a GPU's free memory, for keys and values

Keys = list[tuple[torch.Tensor, torch.Tensor]]
"""Of each layer the keys and values, each [rows, heads, tokens, size]."""
Ids = tuple[int, ...]


@dataclass(slots=True)
class Row:
    """One reply to be drawn.

    `ended` is asked after each token, with those drawn so far, whether a stop string is there. `draw` gives
    the uniform numbers in [0, 1) that the tokens are drawn by. `drawn` and `why` ("eos", "stop", "length") are
    the result.
    """

    prompt: Ids
    most: int
    temperature: float
    top_p: float
    top_k: int
    draw: Callable[[], float]
    ended: Callable[[list[int]], bool]
    drawn: list[int] = field(default_factory=list)
    why: str = "length"


@dataclass(frozen=True, slots=True)
class _Read:
    """A prompt that was read: its keys, the logits after its last token, and how many tokens were computed for it."""

    keys: Keys
    logits: torch.Tensor
    computed: int


class Interrupted(Exception):
    """The computation was told to stop."""


class Computer:
    """A causal language model of transformers, in evaluation mode, on its device."""

    def __init__(self, model: Any, eos: frozenset[int], stop: threading.Event) -> None:
        self._model, self._eos, self._stop = model, eos, stop
        self._device = model.device
        # It was renamed; the old name is still taken by some versions, with a warning.
        self._cache_is = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"
        config = model.config.get_text_config()
        types = set(getattr(config, "layer_types", None) or ())
        # A padding token inside of a window would be counted as a token: such models are read length by length.
        self._windows = any("sliding" in kind or "chunked" in kind for kind in types) or bool(
            getattr(config, "sliding_window", None)
        )
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._token_bytes = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize

    # --- the two things that are asked --------------------------------------------------------------------

    @torch.inference_mode()
    def generate(self, rows: Sequence[Row]) -> dict[Ids, int]:
        """Draw every row's tokens; returns how many tokens were computed for each distinct prompt."""
        read = self._read({row.prompt for row in rows})
        for chunk in self._chunks(rows, lambda row: len(row.prompt) + row.most):
            self._decode(chunk, read)
        return {prompt: one.computed for prompt, one in read.items()}

    @torch.inference_mode()
    def loglikelihood(self, pairs: Sequence[tuple[Ids, Ids]]) -> tuple[list[float], dict[Ids, int]]:
        """The summed natural log-probability of each second part after its first; tokens computed by first part."""
        read = self._read({prompt for prompt, _ in pairs})
        found: list[float] = []
        for chunk in self._chunks(pairs, lambda pair: len(pair[0]) + len(pair[1])):
            found += self._likelihoods(chunk, read)
        return found, {prompt: one.computed for prompt, one in read.items()}

    # --- reading prompts ----------------------------------------------------------------------------------

    def _read(self, prompts: set[Ids]) -> dict[Ids, _Read]:
        return dict(self._grow(sorted(prompts), 0, [], 0))

    def _grow(self, prompts: list[Ids], depth: int, past: Keys, paid: int) -> Iterator[tuple[Ids, _Read]]:
        """Read sorted prompts whose first `depth` tokens are in `past`, `paid` of them on the first one's account."""
        common = _shared(prompts)
        if len(prompts) > 1 and common - depth >= SHARED:
            past, _ = self._forward([prompts[0][depth:common]], past)
            paid, depth = paid + common - depth, common
        alone: list[tuple[Ids, int]] = []
        for i, (_, same) in enumerate(groupby(prompts, key=lambda prompt: prompt[common])):
            group = list(same)
            own = 0 if i else paid
            if len(group) > 1 and _shared(group) - depth >= SHARED:
                yield from self._grow(group, depth, past, own)
            else:
                alone += [(prompt, 0 if j else own) for j, prompt in enumerate(group)]
        for chunk in self._leaves(alone, depth):
            keys, logits = self._forward([prompt[depth:] for prompt, _ in chunk], past)
            width = max(len(prompt) for prompt, _ in chunk)
            for i, (prompt, own) in enumerate(chunk):
                pad = width - len(prompt)  # between what was there and what is new
                rows = [(_cut(k[i : i + 1], depth, pad), _cut(v[i : i + 1], depth, pad)) for k, v in keys]
                yield prompt, _Read(rows, logits[i], own + len(prompt) - depth)

    def _leaves(self, alone: list[tuple[Ids, int]], depth: int) -> Iterator[list[tuple[Ids, int]]]:
        """Prompts to be read in one pass: alike in length, and no more than fit."""
        chunk: list[tuple[Ids, int]] = []
        for one in sorted(alone, key=lambda one: len(one[0])):
            full = (len(chunk) + 1) * len(one[0]) > _PREFILL_TOKENS
            if chunk and (full or (self._windows and len(one[0]) != len(chunk[-1][0]))):
                yield chunk
                chunk = []
            chunk.append(one)
        if chunk:
            yield chunk

    def _forward(self, news: Sequence[Ids], past: Keys) -> tuple[Keys, torch.Tensor]:
        """Read further tokens after one past; new parts are padded on their left. Keys, and the last logits."""
        if self._stop.is_set():
            raise Interrupted
        rows, width = len(news), max(map(len, news))
        before = past[0][0].shape[2] if past else 0
        ids = torch.zeros((rows, width), dtype=torch.long)
        mask = torch.zeros((rows, before + width), dtype=torch.long)
        mask[:, :before] = 1
        for i, new in enumerate(news):
            ids[i, width - len(new) :] = torch.tensor(new)
            mask[i, before + width - len(new) :] = 1
        places = (mask.cumsum(1) - 1).clamp(min=0)[:, before:]
        cache: Any = DynamicCache()
        for layer, (k, v) in enumerate(past):
            cache.update(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1), layer)
        out = self._ask(ids, mask, places, cache, keep=1)
        return [(layer.keys, layer.values) for layer in cache.layers], out[:, -1]

    def _ask(
        self, ids: torch.Tensor, mask: torch.Tensor, places: torch.Tensor, cache: DynamicCache, keep: int
    ) -> torch.Tensor:
        """Logits of the last `keep` positions (0: of all), as float32."""
        device = self._device
        logits: torch.Tensor = self._model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=places.to(device),
            use_cache=True,
            logits_to_keep=keep,
            **{self._cache_is: cache},
        ).logits
        return logits.float()

    # --- drawing tokens -----------------------------------------------------------------------------------

    def _chunks(self, items: Sequence[Any], tokens: Callable[[Any], int]) -> Iterator[list[Any]]:
        """Items in their order, as many at once as have room for their keys."""
        room = _CPU_BYTES
        if self._device.type == "cuda":
            room = int(_GPU_SHARE * torch.cuda.mem_get_info(self._device)[0])
        chunk: list[Any] = []
        widest = 0
        for item in items:
            widest = max(widest, tokens(item))
            if chunk and (len(chunk) + 1) * widest * self._token_bytes > room:
                yield chunk
                chunk, widest = [], tokens(item)
            chunk.append(item)
        if chunk:
            yield chunk

    def _joined(self, prompts: Sequence[Ids], read: dict[Ids, _Read]) -> tuple[DynamicCache, torch.Tensor]:
        """The keys of all rows side by side, padded on their left, and which of them count."""
        width = max(map(len, prompts))
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for i, prompt in enumerate(prompts):
            mask[i, width - len(prompt) :] = 1
        cache = DynamicCache()
        for layer in range(len(read[prompts[0]].keys)):
            parts = [read[prompt].keys[layer] for prompt in prompts]
            keys, values = ([_left(part[side], width) for part in parts] for side in (0, 1))
            cache.update(torch.cat(keys), torch.cat(values), layer)
        return cache, mask

    def _decode(self, rows: list[Row], read: dict[Ids, _Read]) -> None:
        cache, mask = self._joined([row.prompt for row in rows], read)
        logits = torch.stack([read[row.prompt].logits for row in rows])
        going = list(rows)
        while True:
            if self._stop.is_set():
                raise Interrupted
            tokens = _drawn(logits, going)
            stay = [i for i, row in enumerate(going) if self._goes_on(row, tokens[i])]
            if not stay:
                return
            if len(stay) < len(going):
                cache.batch_select_indices(torch.tensor(stay, device=self._device))
                going, mask = [going[i] for i in stay], mask[stay]
            mask = torch.cat([mask, torch.ones((len(going), 1), dtype=torch.long)], dim=1)
            ids = torch.tensor([[row.drawn[-1]] for row in going])
            logits = self._ask(ids, mask, mask.sum(1, keepdim=True) - 1, cache, keep=1)[:, -1]

    def _goes_on(self, row: Row, token: int) -> bool:
        if token in self._eos:
            row.why = "eos"
            return False
        row.drawn.append(token)
        if row.ended(row.drawn):
            row.why = "stop"
            return False
        return len(row.drawn) < row.most

    def _likelihoods(self, pairs: Sequence[tuple[Ids, Ids]], read: dict[Ids, _Read]) -> list[float]:
        if self._stop.is_set():
            raise Interrupted
        firsts = torch.stack([read[prompt].logits for prompt, _ in pairs])
        logits = firsts[:, None]
        width = max(len(rest) for _, rest in pairs) - 1
        if width:
            cache, mask = self._joined([prompt for prompt, _ in pairs], read)
            ids = torch.zeros((len(pairs), width), dtype=torch.long)
            new = torch.zeros((len(pairs), width), dtype=torch.long)
            for i, (_, rest) in enumerate(pairs):
                ids[i, : len(rest) - 1] = torch.tensor(rest[:-1], dtype=torch.long)
                new[i, : len(rest) - 1] = 1
            whole = torch.cat([mask, new], dim=1)
            places = (whole.cumsum(1) - 1).clamp(min=0)[:, -width:]
            logits = torch.cat([logits, self._ask(ids, whole, places, cache, keep=0)], dim=1)
        said = torch.log_softmax(logits, dim=-1)
        return [
            float(said[i, range(len(rest)), list(rest)].double().sum()) for i, (_, rest) in enumerate(pairs)
        ]


def _shared(prompts: Sequence[Ids]) -> int:
    """The tokens that sorted prompts begin with, so that each has one left after them."""
    most = min(map(len, prompts)) - 1
    first, last = prompts[0], prompts[-1]
    return next((i for i in range(most) if first[i] != last[i]), most)


def _cut(part: torch.Tensor, depth: int, pad: int) -> torch.Tensor:
    return torch.cat([part[:, :, :depth], part[:, :, depth + pad :]], dim=2) if pad else part


def _left(part: torch.Tensor, width: int) -> torch.Tensor:
    """Keys with zeros before them, to be `width` tokens long."""
    return torch.nn.functional.pad(part, (0, 0, width - part.shape[2], 0))


def _drawn(logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
    """A token for each row: the likeliest, or the one that the row's next uniform number falls on.

    The same numbers give the same tokens as in the built-in engine (`engine.sample`), rounding apart.
    """
    found: torch.Tensor = torch.argmax(logits, dim=-1)
    hot = [i for i, row in enumerate(rows) if row.temperature > 0]
    if hot:
        heat = torch.tensor([rows[i].temperature for i in hot], device=logits.device)
        chances = torch.softmax(logits[hot] / heat[:, None], dim=-1)
        chances = _filtered(chances, [rows[i] for i in hot])
        up_to = chances.cumsum(dim=-1, dtype=torch.float64)
        share = torch.tensor([[rows[i].draw()] for i in hot], dtype=torch.float64, device=logits.device)
        at = torch.searchsorted(up_to, share * up_to[:, -1:], right=True)[:, 0]
        found[hot] = at.clamp(max=logits.shape[1] - 1)
    tokens: list[int] = found.tolist()
    return tokens


def _filtered(chances: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """Zero for all but the `top_k` likeliest tokens and, of these, the fewest that have `top_p` of the chance."""
    if all(row.top_k == 0 and row.top_p >= 1 for row in rows):
        return chances
    vocab = chances.shape[1]
    kept = torch.tensor([min(row.top_k or vocab, vocab) for row in rows], device=chances.device)
    share = torch.tensor([row.top_p for row in rows], dtype=torch.float64, device=chances.device)
    descending = chances.sort(dim=-1, descending=True).values
    descending[torch.arange(vocab, device=chances.device) >= kept[:, None]] = 0
    sums = descending.cumsum(dim=-1, dtype=torch.float64)
    nucleus = 1 + (sums[:, :-1] < share[:, None] * sums[:, -1:]).sum(dim=-1)
    least = descending.gather(1, (torch.minimum(kept, nucleus) - 1)[:, None])
    return torch.where(chances < least, 0.0, chances)
