"""The engine: batches of requests as token ids in, generated tokens or log-likelihoods out.

It knows a model folder and nothing of calls, lessons or processes. Prefixes that requests of a batch share
are computed once, wherever they part.

The result of a request follows from the batch: its randomness is its own, but float sums depend on the shapes
of the products they are part of, so another batch may change the last bits of a logit. The same batch gives
the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from docendo.errors import ModelError
from docendo.models.engine.decode import Decoder
from docendo.models.engine.folder import Config, as_float32, read_config, read_weights, verify
from docendo.models.engine.llama import Floats, Llama
from docendo.models.engine.prefill import prefill
from docendo.models.engine.sample import Streams, draw
from docendo.models.engine.text import Text, cut
from docendo.models.engine.tree import Ints, plan

# Rows whose logits over the whole vocabulary are held at once when continuations are scored.
_SCORED = 256

Why = Literal["eos", "stop", "length", "context", "error"]


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt as token ids and how to go on from it.

    `key` (0 to 2**128 - 1) fixes the request's randomness: requests with equal keys draw equal uniforms.
    `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch those filters off.
    """

    tokens: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    key: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a request gave.

    `tokens` are all that were generated, `text` what they say up to the end token or stop string. `why` it
    ended: "eos" or "stop", cut by "length" (`max_tokens`) or "context" (the model's), or "error", with the
    reason in `error`. `prompt` counts the prompt's tokens, `cached` those of them that an earlier request of
    the batch had needed already, `completion` the generated ones, an end token included.
    """

    tokens: tuple[int, ...] = ()
    text: str = ""
    why: Why = "error"
    error: str | None = None
    prompt: int = 0
    cached: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Summed natural log-probability of a continuation of `tokens` tokens; NaN and why where refused."""

    total: float
    tokens: int
    error: str | None = None


class Engine:
    """A Llama-format model folder, loaded.

    Args:
        folder: Has `config.json`, `tokenizer.json`, `model.safetensors` and perhaps `SHA256SUMS`.

    Raises:
        ModelError: Something is missing, corrupt or not supported; the message names the file and what in it.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise ModelError(f"{folder}: no such model folder")
        verify(folder)
        self.config: Config = read_config(folder)
        self.text = Text(folder, self.config.bos)
        raw = read_weights(folder, self.config)
        self._llama = Llama(self.config, lambda name: as_float32(folder, name, raw[name]))
        self._ends = np.zeros(self.config.vocab, bool)
        self._ends[[token for token in self.config.eos if token < self.config.vocab]] = True

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """Continue every request; a request that cannot be served gets an error and hinders no other.

        Raises:
            ModelError: The model computes NaN or infinite logits.
        """
        results = [Result(error=_fault(request, self.config)) for request in requests]
        valid = [i for i, result in enumerate(results) if result.error is None]
        if valid:
            served = _Generation(self.config, self.text, self._ends, [requests[i] for i in valid])
            with np.errstate(over="ignore"):  # exp may overflow where it is looked after
                for i, result in zip(valid, served.run(self._llama), strict=True):
                    results[i] = result
        return results

    def loglikelihood(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[LogLikelihood]:
        """How likely each continuation is after its prompt; both as token ids.

        Raises:
            ModelError: The model computes NaN or infinite logits.
        """
        faults = [_pair_fault(prompt, more, self.config) for prompt, more in pairs]
        valid = [i for i, fault in enumerate(faults) if fault is None]
        scores = [LogLikelihood(float("nan"), 0, fault) for fault in faults]
        if not valid:
            return scores
        tree = plan([[*pairs[i][0], *pairs[i][1]] for i in valid])
        steps: list[
            tuple[Ints, Ints]
        ] = []  # for each pair: the rows that predict, the tokens to be predicted
        for i, which in zip(valid, tree.which, strict=True):
            path, start = tree.paths[which], len(pairs[i][0])
            steps.append((path[start - 1 : -1], tree.tokens[path[start:]]))
        need = np.unique(np.concatenate([rows for rows, _ in steps]))
        row = np.concatenate([np.searchsorted(need, rows) for rows, _ in steps])
        token = np.concatenate([tokens for _, tokens in steps])
        with np.errstate(over="ignore"):
            _, top = prefill(self._llama, tree, need)
            logs = self._token_logs(top, row, token)
        if not np.isfinite(logs).all():
            raise ModelError(
                "the model computes NaN or infinite logits; its weights cannot be used in float32"
            )
        ends = np.cumsum([len(rows) for rows, _ in steps])
        for i, part in zip(valid, np.split(logs, ends[:-1]), strict=True):
            scores[i] = LogLikelihood(float(part.sum()), len(part))
        return scores

    def _token_logs(self, top: Floats, row: Ints, token: Ints) -> NDArray[np.float64]:
        """Log-probability of each `token[i]` after the stream's `row[i]`."""
        logs = np.empty(len(row))
        for start in range(0, len(top), _SCORED):
            logits = self._llama.logits(top[start : start + _SCORED])
            logits -= logits.max(axis=1, keepdims=True)
            norms = np.log(np.exp(logits).sum(axis=1, dtype=np.float64))
            here = np.flatnonzero((row >= start) & (row < start + _SCORED))
            at = row[here] - start
            logs[here] = logits[at, token[here]] - norms[at]
        return logs


class _Generation:
    """One batch of valid requests on its way; rows are requests in the order of their paths in the tree."""

    def __init__(
        self, config: Config, text: Text, ends: NDArray[np.bool_], requests: Sequence[Request]
    ) -> None:
        self._text, self._ends, self._requests = text, ends, requests
        self._tree = plan([request.tokens for request in requests])
        order = self._order = np.argsort(self._tree.which, kind="stable")
        rows = [requests[i] for i in order]
        self._streams = Streams([request.key for request in rows])
        self._temperature = np.array([request.temperature for request in rows], np.float32)
        self._top_k = np.array([request.top_k for request in rows], np.int64)
        self._top_p = np.array([request.top_p for request in rows], np.float64)
        room = np.array([config.context - len(request.tokens) for request in rows])
        wanted = np.array([request.max_tokens for request in rows])
        self._limit = np.minimum(room, wanted)
        self._short = room < wanted
        self._stops = [request.stop for request in rows]
        stops = list(dict.fromkeys(self._stops))
        self._stop_set = np.array([stops.index(stop) for stop in self._stops])
        self._may_stop = (
            np.array([text.may_complete(stop, config.vocab) for stop in stops]) if any(stops) else None
        )
        self._tokens = np.empty((len(rows), 0), np.int64)
        self._count = np.zeros(len(rows), np.int64)

    def run(self, llama: Llama) -> list[Result]:
        tree, which = self._tree, self._tree.which[self._order]
        last = np.array([path[-1] for path in tree.paths])  # ascending, as paths are in depth-first order
        store, top = prefill(llama, tree, last)
        logits = llama.logits(top)[which]
        decoder = Decoder(llama, store, [tree.paths[i] for i in which])
        alive = np.arange(len(which))
        uniforms = self._streams.take
        while True:
            tokens = draw(
                logits,
                self._temperature[alive],
                self._top_k[alive],
                self._top_p[alive],
                uniforms()[alive],
                llama.scratch,
            )
            going = self._record(alive, tokens)
            alive = alive[going]
            if not alive.size:
                return self._results()
            decoder.keep(going)
            logits = llama.logits(decoder.step(tokens[going]))

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
        results = [Result()] * len(self._order)
        for row, request in enumerate(self._order.tolist()):
            results[request] = self._result(row, request)
        return results

    def _result(self, row: int, request: int) -> Result:
        tokens = self._tokens[row, : self._count[row]].tolist()
        ended = bool(self._ends[tokens[-1]])
        text = self._text.decode(tokens[:-1] if ended else tokens)
        before = cut(text, self._stops[row])
        why: Why = "eos" if ended else "context" if self._short[row] else "length"
        prompt = len(self._requests[request].tokens)
        return Result(
            tokens=tuple(tokens),
            text=text if before is None else before,
            why=why if before is None else "stop",
            prompt=prompt,
            cached=prompt - int(self._tree.computed[request]),
            completion=len(tokens),
        )


def _fault(request: Request, config: Config) -> str | None:
    """Why a request cannot be served, if so."""
    return next(_faults(request, config), None)


def _faults(request: Request, config: Config) -> Iterator[str]:
    if fault := _token_fault(request.tokens, config):
        yield fault
    if len(request.tokens) >= config.context:
        yield (
            f"the prompt has {len(request.tokens)} tokens, which leaves no room for an answer "
            f"in the model's context of {config.context}"
        )
    if request.max_tokens < 1:
        yield f"max_tokens is {request.max_tokens}; it must be at least 1"
    if not 0 <= request.temperature < float("inf"):
        yield f"temperature is {request.temperature}; it must be at least 0"
    if request.top_k < 0:
        yield f"top_k is {request.top_k}; it must be at least 0 (0: no limit)"
    if not 0 < request.top_p <= 1:
        yield f"top_p is {request.top_p}; it must be above 0 and at most 1"
    if "" in request.stop:
        yield "a stop string is empty"
    if not 0 <= request.key < 2**128:
        yield "the key does not fit in 128 bits"


def _pair_fault(prompt: Sequence[int], more: Sequence[int], config: Config) -> str | None:
    if fault := _token_fault(prompt, config) or (_token_fault(more, config) if more else None):
        return fault
    if len(prompt) + len(more) > config.context:
        return (
            f"prompt and continuation have {len(prompt) + len(more)} tokens; the context is {config.context}"
        )
    return None


def _token_fault(tokens: Sequence[int], config: Config) -> str | None:
    if not tokens:
        return "the prompt is empty"
    wrong = next((token for token in tokens if not 0 <= token < config.vocab), None)
    if wrong is not None:
        return f"token id {wrong} is out of range: the model has {config.vocab} tokens"
    return None
