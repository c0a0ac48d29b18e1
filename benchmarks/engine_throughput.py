"""How many samples a second the built-in engine gives on one core, beside the same work without sharing.

    python benchmarks/engine_throughput.py [--repeats 3] [--only NAME]

Two shapes, both with random weights (speed does not depend on them) and answers of set lengths:

- exam: one problem's exam as `docendo solve` asks it of a small school model: 12 lessons x 3 exam problems x
  3 repeats, 1.2 M parameters; answers of 20 to 55 tokens.
- W: 64 lessons x 3 exam problems x 3 repeats, 230 shared + 80 lesson + 30 problem tokens, 40 new tokens,
  5.4 M parameters.

Each is timed as it is; with a first token of its own before every prompt, so that nothing is shared and all is
computed anew; with transformers, nine prompts a batch, where that is installed (both on a part of W); and as
far as matrix products alone would take, at the rate measured here. The last is what no NumPy engine can beat.
Times are processor time of one thread, which on a quiet machine is the wall clock's, and the rows of a table are
measured in turn, in the same run, so that their ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docendo.models.engine import Engine, Request
from docendo.models.engine.pool import worker_environment

NINE = 9  # prompts a batch for transformers, as the method's published prototype has it
PART = 27  # samples that transformers is timed on
APART = 108  # samples that are computed without sharing


@dataclass(frozen=True)
class Shape:
    """A model's size and a tree of prompts for it."""

    name: str
    model: dict[str, int]
    lessons: int
    shared: int
    lesson: int
    problem: int
    jitter: int
    new: tuple[int, int]


SHAPES = (
    Shape(
        "exam",
        {"hidden_size": 128, "num_hidden_layers": 5, "intermediate_size": 384},
        lessons=12,
        shared=40,
        lesson=80,
        problem=30,
        jitter=5,
        new=(20, 55),
    ),
    Shape(
        "W",
        {"hidden_size": 256, "num_hidden_layers": 6, "intermediate_size": 768},
        lessons=64,
        shared=230,
        lesson=80,
        problem=30,
        jitter=0,
        new=(40, 40),
    ),
)


def write_model(folder: Path, shape: Shape) -> None:
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models

    from docendo.models.engine.folder import read_config

    config: dict[str, Any] = shape.model | {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_attention_heads": 4,
        "vocab_size": 1000,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.standard_normal(size).astype(np.float32) / np.float32(size[-1] ** 0.5)
        for name, size in read_config(folder).shapes().items()
    }
    save_file(tensors, folder / "model.safetensors")
    Tokenizer(models.WordLevel({f"w{i}": i for i in range(1000)}, unk_token="w0")).save(
        str(folder / "tokenizer.json")
    )


def requests_of(shape: Shape) -> list[Request]:
    import numpy as np

    rng = np.random.default_rng(1)

    def some(length: int) -> list[int]:
        size = length + (int(rng.integers(-shape.jitter, shape.jitter + 1)) if shape.jitter else 0)
        return [int(token) for token in rng.integers(1, 1000, size)]

    shared, problems = some(shape.shared), [some(shape.problem) for _ in range(3)]
    lessons = [some(shape.lesson) for _ in range(shape.lessons)]
    prompts = [shared + lesson + problem for lesson in lessons for problem in problems for _ in range(3)]
    new = rng.integers(shape.new[0], shape.new[1] + 1, len(prompts))
    return [
        Request(prompt, int(n), temperature=0.7, key=i)
        for i, (prompt, n) in enumerate(zip(prompts, new, strict=True))
    ]


def products(engine: Engine, requests: Sequence[Request]) -> Callable[[], None]:
    """The matrix products of the weights with every row that must be computed at least once, and nothing else."""
    import numpy as np

    c = engine.config
    rows = sum(r.prompt - r.cached for r in engine.generate([replace(r, max_tokens=1) for r in requests]))
    longest = max(r.max_tokens for r in requests)
    steps = [sum(r.max_tokens > step for r in requests) for step in range(1, longest)]
    block = 512
    sizes = [*[block] * (rows // block), rows % block, *steps]
    shapes = [
        (c.hidden, (c.heads + 2 * c.kv_heads) * c.head_dim),
        (c.heads * c.head_dim, c.hidden),
        (c.hidden, 2 * c.intermediate),
        (c.intermediate, c.hidden),
    ]
    weights = [np.ones(shape, np.float32) for shape in shapes]
    head = np.ones((c.hidden, c.vocab), np.float32)
    x = np.ones((max(sizes), max(c.hidden, c.intermediate)), np.float32)
    out = np.empty((max(sizes), max(w.shape[1] for w in [*weights, head])), np.float32).ravel()

    def multiply(n: int, w: Any) -> None:
        left = x.ravel()[: n * w.shape[0]].reshape(n, -1)
        np.matmul(left, w, out=out[: n * w.shape[1]].reshape(n, -1))

    def run() -> None:
        for n in sizes:
            for _ in range(c.layers):
                for w in weights:
                    multiply(n, w)
        for n in [len(requests), *steps]:
            multiply(n, head)

    return run


def with_transformers(folder: Path, requests: Sequence[Request]) -> Callable[[], None] | None:
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError:
        return None
    torch.set_num_threads(1)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def run() -> None:
        for start in range(0, PART, NINE):
            part = requests[start : start + NINE]
            width = max(len(request.tokens) for request in part)
            ids = torch.tensor([[0] * (width - len(r.tokens)) + list(r.tokens) for r in part])
            mask = torch.tensor([[0] * (width - len(r.tokens)) + [1] * len(r.tokens) for r in part])
            longest = max(request.max_tokens for request in part)
            with torch.no_grad():
                model.generate(
                    ids,
                    attention_mask=mask,
                    do_sample=True,
                    temperature=0.7,
                    top_k=0,
                    max_new_tokens=longest,
                    min_new_tokens=longest,
                    pad_token_id=0,
                )

    return run


def unshared(requests: Sequence[Request]) -> list[Request]:
    """As many requests of the same lengths that part at the first token."""
    return [replace(r, tokens=[i, *r.tokens[1:]]) for i, r in enumerate(requests)]


def table(shape: Shape, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, shape)
        engine, requests = Engine(folder), requests_of(shape)
        apart = unshared(requests[:APART])
        ways: dict[str, tuple[Callable[[], object] | None, int]] = {
            "shared (as in a run)": (lambda: engine.generate(requests), len(requests)),
            "nothing shared": (lambda: engine.generate(apart), len(apart)),
            f"transformers, {NINE} a batch": (with_transformers(folder, requests), PART),
            "matrix products alone": (products(engine, requests), len(requests)),
        }
        rates: dict[str, list[float]] = {way: [] for way, (run, _) in ways.items() if run}
        for turn in range(repeats + 1):
            for way, (run, samples) in ways.items():
                if run:
                    start = time.process_time()
                    run()
                    if turn:  # the first warms caches and buffers up
                        rates[way].append(samples / (time.process_time() - start))
    prompt = sum(len(request.tokens) for request in requests)
    fresh = sum(r.prompt - r.cached for r in engine.generate([replace(r, max_tokens=1) for r in requests]))
    print(
        f"\n{shape.name}: {len(requests)} samples, {engine.config.parameters / 1e6:.1f} M parameters, "
        f"{fresh:,} of {prompt:,} prompt tokens distinct; one core, medians of {repeats}"
    )
    print(f"{'':28}{'samples/s':>12}{'of shared':>12}")
    own = statistics.median(rates["shared (as in a run)"])
    for way in ways:
        if way not in rates:
            print(f"{way:28}{'not installed':>24}")
            continue
        rate = statistics.median(rates[way])
        print(f"{way:28}{rate:12,.1f}{rate / own:12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=[shape.name for shape in SHAPES])
    arguments = parser.parse_args()
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # must be set before NumPy loads, and like a worker's
        os.execve(sys.executable, [sys.executable, *sys.argv], worker_environment())
    for shape in SHAPES:
        if arguments.only in (None, shape.name):
            table(shape, arguments.repeats)


if __name__ == "__main__":
    main()
