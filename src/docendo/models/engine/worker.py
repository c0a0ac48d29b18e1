"""A worker process: reads batches as JSON lines on stdin and answers each with a JSON line on stdout.

Started by `pool.py` as `python -m docendo.models.engine.worker PARENT`. It keeps every model folder that it was
asked for, and ends when its stdin does. It must not outlive its parent, whatever happened to that.

A line in is `{"id", "op", "folder", ...}`; a line out is `{"id", "results", "seconds"}`, or `{"id", "error"}`
where the whole batch cannot be answered. Before it come lines `{"id", "computed"}`, now and then, with how many
tokens were computed since the last.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
_TELL_SECONDS = 0.25


def main() -> None:
    """Serve until stdin ends; the argument is the parent's process id."""
    _die_with_parent(int(sys.argv[1]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that a library prints may look like an answer

    def write(answer: Mapping[str, Any]) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin.buffer:
            message = json.loads(line)
            write(_answer(message, _Teller(message["id"], write)))


def _die_with_parent(parent: int) -> None:
    """Ask Linux for SIGKILL when the parent thread ends: while a batch is computed nobody sees stdin end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit()


class _Teller:
    """Passes on how many tokens were computed, but no more often than somebody could read it."""

    def __init__(self, number: int, write: Callable[[Mapping[str, Any]], None]) -> None:
        self._number, self._write = number, write
        self._computed, self._told = 0, time.monotonic()

    def __call__(self, tokens: int) -> None:
        self._computed += tokens
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self.rest()

    def rest(self) -> None:
        """Pass on what was not yet."""
        self._write({"id": self._number, "computed": self._computed})
        self._computed, self._told = 0, time.monotonic()


def _answer(message: Mapping[str, Any], tell: _Teller) -> dict[str, Any]:
    from docendo.errors import ModelError

    start = time.perf_counter()
    try:
        results = _OPERATIONS[message["op"]](_engine(message["folder"]), message["batch"], tell)
        tell.rest()
    except ModelError as error:
        return {"id": message["id"], "error": str(error)}
    except MemoryError:
        return {
            "id": message["id"],
            "error": "not enough memory for this batch; ask for fewer samples at once",
        }
    except Exception as error:
        traceback.print_exc()
        fault = f"{type(error).__name__}: {error} (a fault in docendo's engine; please report it)"
        return {"id": message["id"], "error": fault}
    return {"id": message["id"], "results": results, "seconds": time.perf_counter() - start}


_engines: dict[str, Any] = {}


def _engine(folder: str) -> Any:
    from docendo.models.engine import Engine  # NumPy and the tokenizer load with the first batch

    if folder not in _engines:
        _engines[folder] = Engine(folder)
    return _engines[folder]


def _generate(engine: Any, batch: Sequence[Mapping[str, Any]], tell: _Teller) -> list[dict[str, Any]]:
    """`batch` holds requests with a `prompt` as text and a `key` in hexadecimal; the rest as in `Request`."""
    from docendo.models.engine import Request, Result

    encode = _Encoder(engine)
    results = [Result(error=encode(entry["prompt"])[1]) for entry in batch]
    asked = [i for i, result in enumerate(results) if result.error is None]
    requests = []
    for i in asked:
        settings = dict(batch[i])
        tokens, _ = encode(settings.pop("prompt"))
        settings |= {"stop": tuple(settings["stop"]), "key": int(settings["key"], 16)}
        requests.append(Request(tokens=tokens, **settings))
    for i, result in zip(asked, engine.generate(requests, tell), strict=True):
        results[i] = result
    wanted = ("text", "why", "error", "prompt", "cached", "completion")
    return [{name: getattr(result, name) for name in wanted} for result in results]


def _loglikelihood(engine: Any, batch: Sequence[tuple[str, str]], tell: _Teller) -> list[dict[str, Any]]:
    """`batch` holds pairs of prompt and continuation, as text."""
    from docendo.models.engine import LogLikelihood

    encode, more = _Encoder(engine), _Encoder(engine, begin=False)
    faults = [encode(prompt)[1] or more(text)[1] for prompt, text in batch]
    scores = [LogLikelihood(0.0, 0, fault) for fault in faults]
    asked = [i for i, fault in enumerate(faults) if fault is None]
    pairs = [(encode(batch[i][0])[0], more(batch[i][1])[0]) for i in asked]
    for i, score in zip(asked, engine.loglikelihood(pairs, tell), strict=True):
        scores[i] = score
    wanted = ("total", "tokens", "error", "prompt", "cached")
    return [{name: getattr(score, name) for name in wanted} for score in scores]


_OPERATIONS: dict[str, Callable[[Any, Any, _Teller], list[dict[str, Any]]]] = {
    "generate": _generate,
    "loglikelihood": _loglikelihood,
}


class _Encoder:
    """Text to (token ids, fault), each text once: batches ask the same prompt many times."""

    def __init__(self, engine: Any, begin: bool = True) -> None:
        self._text, self._begin = engine.text, begin
        self._known: dict[str, tuple[list[int], str | None]] = {}

    def __call__(self, text: str) -> tuple[list[int], str | None]:
        from docendo.errors import UnspeakableError

        if text not in self._known:
            try:
                self._known[text] = self._text.encode(text, self._begin), None
            except UnspeakableError as error:
                self._known[text] = [], str(error)
        return self._known[text]


if __name__ == "__main__":
    main()
