"""The engine: batches of requests as token ids in, generated tokens or log-likelihoods out.

It knows a model folder and nothing of calls, lessons or processes. Prefixes that requests of a batch share
are computed once, wherever they part.

The result of a request follows from the batch: its randomness is its own, but float sums depend on the shapes
of the products they are part of, so another batch may change the last bits of a logit, and so may another
memory budget, where the batch does not fit into it at once. The same batch under the same budget gives the
same bytes each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from docendo.errors import ModelError
from docendo.models.engine import budget
from docendo.models.engine.decode import Decoder
from docendo.models.engine.folder import Config, as_float32, read_config, read_weights, verify
from docendo.models.engine.llama import Floats, Llama
from docendo.models.engine.prefill import prefill
from docendo.models.engine.request import LogLikelihood, Request, Result, Why, why_not, why_not_pair
from docendo.models.engine.sample import Streams, draw
from docendo.models.engine.text import Text, cut
from docendo.models.engine.tiles import Grid, arrange
from docendo.models.engine.tree import Ints, Tree, plan

# Told now and then of so many more tokens computed, of prompts and of answers.
Tell = Callable[[int], None]


class Engine:
    """A Llama-format model folder, loaded.

    Args:
        folder: Has `config.json`, `tokenizer.json`, its weights and perhaps `SHA256SUMS`.
        memory: Bytes that weights and batches together may take; by default what `DOCENDO_ENGINE_MEMORY`
            says, or 2 GiB. A batch that needs more is computed in parts.

    Raises:
        ModelError: Something is missing, corrupt or not supported, or the weights alone are beyond `memory`;
            the message names the file and what in it.
    """

    def __init__(self, folder: str | Path, memory: int | None = None) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise ModelError(f"{folder}: no such model folder")
        verify(folder)
        self.config: Config = read_config(folder)
        self._budget = budget.stated() if memory is None else memory
        budget.check_weights(folder, self.config, self._budget)
        self._free = self._budget - budget.weights(self.config)
        self.text = Text(folder, self.config.bos)
        raw = read_weights(folder, self.config)
        self._llama = Llama(self.config, lambda name: as_float32(folder, name, raw[name]))
        self._ends = np.zeros(self.config.vocab, bool)
        self._ends[[token for token in self.config.eos if token < self.config.vocab]] = True

    def generate(self, requests: Sequence[Request], tell: Tell | None = None) -> list[Result]:
        """Continue every request; a request that cannot be served gets an error and hinders no other.

        Args:
            requests: What is asked.
            tell: Is told of tokens as they are computed.

        Raises:
            ModelError: The model computes NaN or infinite logits.
        """
        results = [Result(error=why_not(request, self.config)) for request in requests]
        valid = [i for i, result in enumerate(results) if result.error is None]
        asked = [requests[i] for i in valid]

        def planned(part: list[int]) -> _Batch:
            return _Batch(self.config, part, [asked[i] for i in part])

        for batch in budget.parts([request.tokens for request in asked], planned, self._free):
            if not self._make_room(batch.memory):
                results[valid[batch.part[0]]] = Result(error=self._too_large(batch.memory))
                continue
            served = _Generation(self._llama, self.text, self._ends, batch)
            with np.errstate(over="ignore"):  # exp may overflow where it is looked after
                for i, result in zip(batch.part, served.run(tell or _tell_nobody), strict=True):
                    results[valid[i]] = result
        return results

    def loglikelihood(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], tell: Tell | None = None
    ) -> list[LogLikelihood]:
        """How likely each continuation is after its prompt; both as token ids.

        Args:
            pairs: Of (prompt, continuation).
            tell: Is told of tokens as they are computed.

        Raises:
            ModelError: The model computes NaN or infinite logits.
        """
        scores = [
            LogLikelihood(float("nan"), 0, why_not_pair(prompt, more, self.config)) for prompt, more in pairs
        ]
        valid = [i for i, score in enumerate(scores) if score.error is None]
        asked = [pairs[i] for i in valid]

        def planned(part: list[int]) -> _Pairs:
            return _Pairs(self.config, part, [asked[i] for i in part])

        for some in budget.parts([[*prompt, *more] for prompt, more in asked], planned, self._free):
            if not self._make_room(some.memory):
                scores[valid[some.part[0]]] = LogLikelihood(float("nan"), 0, self._too_large(some.memory))
                continue
            with np.errstate(over="ignore"):
                _, top = prefill(self._llama, some.tree, some.need, tell or _tell_nobody)
                logs = self._token_logs(top, some.row, some.token)
            if not np.isfinite(logs).all():
                raise ModelError(
                    "the model computes NaN or infinite logits; its weights cannot be used in float32"
                )
            for at, (i, own) in enumerate(zip(some.part, np.split(logs, some.starts[1:]), strict=True)):
                whole, new = len(asked[i][0]) + len(own), int(some.tree.computed[at])
                scores[valid[i]] = LogLikelihood(
                    float(own.sum()), len(own), None, len(asked[i][0]), whole - new
                )
        return scores

    def _token_logs(self, top: Floats, row: Ints, token: Ints) -> NDArray[np.float64]:
        """Log-probability of each `token[i]` after the stream's `row[i]`."""
        logs = np.empty(len(row))
        for start in range(0, len(top), budget.SCORED):
            logits = self._llama.logits(top[start : start + budget.SCORED])
            logits -= logits.max(axis=1, keepdims=True)
            norms = np.log(np.exp(logits).sum(axis=1, dtype=np.float64))
            here = np.flatnonzero((row >= start) & (row < start + budget.SCORED))
            at = row[here] - start
            logs[here] = logits[at, token[here]] - norms[at]
        return logs

    def _make_room(self, need: int) -> bool:
        """Whether `need` bytes fit; buffers of other batches are let go where they stand in the way."""
        if self._llama.scratch.size + need > self._free:
            self._llama.scratch.clear()
        return need <= self._free

    def _too_large(self, need: int) -> str:
        return budget.too_large(need + budget.weights(self.config), self._budget)


def _tell_nobody(tokens: int) -> None:
    """Nobody looks on."""


class _Batch:
    """Valid requests to be computed together, and the plan of it; rows are in the order of the tree's paths.

    `part` are the requests' numbers among all, ascending.
    """

    def __init__(self, config: Config, part: list[int], requests: Sequence[Request]) -> None:
        self.part, self.requests = part, requests
        self.tree: Tree = plan([request.tokens for request in requests])
        self.order = np.argsort(self.tree.which, kind="stable")
        self.rows = [requests[i] for i in self.order]
        self.which = self.tree.which[self.order]
        self.room = np.array([config.context - len(request.tokens) for request in self.rows])
        self.wanted = np.array([request.max_tokens for request in self.rows])
        self.limit = np.minimum(self.room, self.wanted)
        self.grid: Grid = arrange([self.tree.paths[i] for i in self.which], config.heads // config.kv_heads)
        self.memory = budget.generating(config, self.tree, self.grid, len(part), int(self.limit.max()))


class _Pairs:
    """Valid pairs to be scored together: which rows of their tree predict which tokens.

    Row `row[k]` of those in `need` predicts `token[k]`; the first k of each pair is in `starts`.
    """

    def __init__(
        self, config: Config, part: list[int], pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> None:
        self.part = part
        self.tree: Tree = plan([[*prompt, *more] for prompt, more in pairs])
        rows, tokens = [], []
        for (prompt, _), which in zip(pairs, self.tree.which, strict=True):
            path = self.tree.paths[which]
            rows.append(path[len(prompt) - 1 : -1])
            tokens.append(self.tree.tokens[path[len(prompt) :]])
        self.need = np.unique(np.concatenate(rows))
        self.row = np.searchsorted(self.need, np.concatenate(rows))
        self.token: Ints = np.concatenate(tokens)
        self.starts = np.cumsum([0, *map(len, rows[:-1])])
        self.memory = budget.scoring(config, self.tree, len(self.need))


class _Generation:
    """One batch on its way."""

    def __init__(self, llama: Llama, text: Text, ends: NDArray[np.bool_], batch: _Batch) -> None:
        self._llama, self._text, self._ends, self._batch = llama, text, ends, batch
        rows = batch.rows
        self._streams = Streams([request.key for request in rows])
        self._temperature = np.array([request.temperature for request in rows], np.float32)
        self._top_k = np.array([request.top_k for request in rows], np.int64)
        self._top_p = np.array([request.top_p for request in rows], np.float64)
        self._limit = batch.limit
        self._short = batch.room < batch.wanted
        self._stops = [request.stop for request in rows]
        stops = list(dict.fromkeys(self._stops))
        self._stop_set = np.array([stops.index(stop) for stop in self._stops])
        vocab = llama.config.vocab
        self._may_stop = np.array([text.may_complete(stop, vocab) for stop in stops]) if any(stops) else None
        self._tokens = np.empty((len(rows), 0), np.int64)
        self._count = np.zeros(len(rows), np.int64)

    def run(self, tell: Tell) -> list[Result]:
        """The results, in the order of the batch's requests."""
        batch, tree = self._batch, self._batch.tree
        last = np.array([path[-1] for path in tree.paths])  # ascending, as paths are in depth-first order
        store, top = prefill(self._llama, tree, last, tell)
        decoder = Decoder(self._llama, store, tree.paths, batch.grid, batch.which, int(self._limit.max()))
        alive, stream, strand = np.arange(len(batch.rows)), top, batch.which
        while True:
            tokens = self._draw(stream, strand, alive)
            tell(len(tokens))
            going = self._record(alive, tokens)
            alive, tokens, strand = alive[going], tokens[going], strand[going]
            if not alive.size:
                return self._results()
            # Rows of one strand that drew one token stay one strand.
            drawn = strand * self._llama.config.vocab + tokens
            order = np.argsort(drawn, kind="stable")
            alive = alive[order]
            children, strand, samples = np.unique(drawn[order], return_inverse=True, return_counts=True)
            parents, new = np.divmod(children, self._llama.config.vocab)
            stream = decoder.step(parents, new, samples)

    def _draw(self, stream: Floats, strand: Ints, alive: Ints) -> Ints:
        """A token for each row alive, from its strand's row of the stream; `strand` is ascending."""
        uniforms, tokens = self._streams.take()[alive], np.empty(len(alive), np.int64)
        at_once = budget.drawn_at_once(self._llama.config)
        for start in range(0, len(alive), at_once):
            own, rows = strand[start : start + at_once], alive[start : start + at_once]
            logits = self._llama.logits(stream[own[0] : own[-1] + 1])
            if len(logits) < len(own):  # samples of one strand have the same
                logits = logits[own - own[0]]
            tokens[start : start + at_once] = draw(
                logits,
                self._temperature[rows],
                self._top_k[rows],
                self._top_p[rows],
                uniforms[start : start + at_once],
                self._llama.scratch,
            )
        return tokens

    def _record(self, alive: Ints, tokens: Ints) -> NDArray[np.bool_]:
        """Note a token for each row; says which rows go on."""
        step = int(self._count[alive[0]])  # all rows go in step
        if step == self._tokens.shape[1]:
            more = np.empty((len(self._tokens), max(64, step)), np.int64)
            self._tokens = np.concatenate([self._tokens, more], axis=1)
        self._tokens[alive, step] = tokens
        self._count[alive] = step + 1
        done = self._ends[tokens] | (self._limit[alive] <= step + 1)
        if self._may_stop is not None:
            maybe = self._may_stop[self._stop_set[alive], tokens] & ~done
            for i in np.flatnonzero(maybe):
                row = alive[i]
                done[i] = (
                    cut(self._text.decode(self._tokens[row, : step + 1].tolist()), self._stops[row])
                    is not None
                )
        going: NDArray[np.bool_] = ~done
        return going

    def _results(self) -> list[Result]:
        results = [Result()] * len(self._batch.order)
        for row, request in enumerate(self._batch.order.tolist()):
            results[request] = self._result(row, request)
        return results

    def _result(self, row: int, request: int) -> Result:
        tokens = self._tokens[row, : self._count[row]].tolist()
        ended = bool(self._ends[tokens[-1]])
        text = self._text.decode(tokens[:-1] if ended else tokens)
        before = cut(text, self._stops[row])
        why: Why = "eos" if ended else "context" if self._short[row] else "length"
        prompt = len(self._batch.requests[request].tokens)
        return Result(
            tokens=tuple(tokens),
            text=text if before is None else before,
            why=why if before is None else "stop",
            prompt=prompt,
            cached=prompt - int(self._batch.tree.computed[request]),
            completion=len(tokens),
        )
