"""The ways of answering a tree of prompts that `engine_throughput.py` sets beside one another.

    python benchmarks/engine_ways.py WAY TASK

Runs one way as a process of its own: it loads, says "ready", and then answers all of TASK (a JSON file, see
`Task`) each time it reads a line, saying how many samples it answered. So ways that need another environment
(vLLM's cannot be the engine's) can take turns with the others. Nothing but the standard library is imported at
the top, as not every environment has the rest.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Run = Callable[[], int]


@dataclass(frozen=True)
class Task:
    """What is asked, of which model.

    `batches` are the plan's, each of samples (token ids, text, longest answer); `ends` says whether the model ends
    its answers by itself; `part` is how many samples are enough to time a slow way.
    """

    folder: str
    batches: list[list[tuple[list[int], str, int]]]
    ends: bool
    part: int

    @classmethod
    def read(cls, path: str) -> Task:
        fields = json.loads(Path(path).read_text())
        return cls(**fields)

    @property
    def samples(self) -> list[tuple[list[int], str, int]]:
        return [sample for batch in self.batches for sample in batch]


TEMPERATURE = 0.7


def engine(task: Task) -> Run:
    """As a run asks: through `LocalModel`, by worker processes on all cores."""
    from docendo.models.local import LocalModel, WorkerPool
    from docendo.types import Call, Sampling

    loop = asyncio.new_event_loop()
    pool = WorkerPool()
    model = LocalModel.open(task.folder, "m", pool)
    calls = [
        Call("m", text, Sampling(TEMPERATURE, max_tokens=new), sample=i, batch=f"{b}", batch_size=len(batch))
        for b, batch in enumerate(task.batches)
        for i, (_, text, new) in enumerate(batch)
    ]

    async def answer() -> int:
        async def stream() -> Any:
            for call in calls:
                yield call

        replies = [reply async for _, reply in model.run(stream())]
        assert not any(reply.error for reply in replies), replies[0].error
        return len(replies)

    return lambda: loop.run_until_complete(answer())


def unshared(task: Task) -> Run:
    """The engine where prompts part at the first token, so that nothing is shared and all is computed anew."""
    some = task.samples[: 4 * task.part]
    apart = [(ids, f"w{i + 1} {text.partition(' ')[2]}", new) for i, (ids, text, new) in enumerate(some)]
    return engine(replace(task, batches=[apart]))


def products(task: Task) -> Run:
    """The products of weights with every row that must be computed once, and nothing else: half on each core."""
    import numpy as np

    from docendo.models.engine import prefill, tree
    from docendo.models.engine.folder import read_config

    cores = len(os.sched_getaffinity(0))
    c = read_config(Path(task.folder))
    sizes: list[int] = []
    tops: list[int] = []
    for batch in task.batches:
        rows = len(tree.plan([ids for ids, _, _ in batch]).tokens)
        sizes += [prefill.CHUNK] * (rows // prefill.CHUNK) + [rows % prefill.CHUNK]
        going = [sum(new > step for _, _, new in batch) for step in range(max(new for _, _, new in batch))]
        sizes += going[1:]
        tops += going
    shapes = [
        (c.hidden, (c.heads + 2 * c.kv_heads) * c.head_dim),
        (c.heads * c.head_dim, c.hidden),
        (c.hidden, 2 * c.intermediate),
        (c.intermediate, c.hidden),
    ]
    weights = [np.ones(shape, np.float32) for shape in shapes] * c.layers
    head = np.ones((c.hidden, c.vocab), np.float32)
    x = np.ones((max(sizes), max(c.hidden, c.intermediate, c.heads * c.head_dim)), np.float32).ravel()
    out = np.empty(max(sizes) * max(w.shape[1] for w in [*weights, head]), np.float32)

    def multiply(n: int, w: Any) -> None:
        np.matmul(x[: n * w.shape[0]].reshape(n, -1), w, out=out[: n * w.shape[1]].reshape(n, -1))

    def work() -> None:
        for n in sizes:
            for w in weights:
                multiply(-(-n // cores), w)
        for n in tops:
            multiply(-(-n // cores), head)

    def run() -> int:
        children = []
        for _ in range(cores - 1):
            if (pid := os.fork()) == 0:
                work()
                os._exit(0)
            children.append(pid)
        work()
        for pid in children:
            os.waitpid(pid, 0)
        return len(task.samples)

    return run


def with_transformers(size: int, dtype: str) -> Callable[[Task], Run]:
    """Prompts padded to the left, `size` a batch; 9 is how the method's published prototype asks."""

    def way(task: Task) -> Run:
        import torch
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_pretrained(task.folder, dtype=getattr(torch, dtype))
        some = task.samples[: max(size, task.part // size * size)]

        def run() -> int:
            for start in range(0, len(some), size):
                part = some[start : start + size]
                width = max(len(ids) for ids, _, _ in part)
                longest = max(new for _, _, new in part)
                ids = torch.tensor([[0] * (width - len(ids)) + ids for ids, _, _ in part])
                mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids, _, _ in part])
                with torch.inference_mode():
                    model.generate(
                        ids,
                        attention_mask=mask,
                        do_sample=True,
                        temperature=TEMPERATURE,
                        top_k=0,
                        max_new_tokens=longest,
                        min_new_tokens=None if task.ends else longest,
                        pad_token_id=0,
                    )
            return len(some)

        return run

    return way


def with_vllm(dtype: str) -> Callable[[Task], Run]:
    """On the CPU with prefix caching; what an earlier turn left in its cache is dropped before each."""

    def way(task: Task) -> Run:
        from vllm import LLM, SamplingParams  # its own environment

        llm = LLM(
            model=task.folder,
            dtype=dtype,
            skip_tokenizer_init=True,
            enable_prefix_caching=True,
            max_model_len=512,
            max_num_seqs=256,
            disable_log_stats=True,
        )
        samples = task.samples
        prompts: Any = [{"prompt_token_ids": ids} for ids, _, _ in samples]
        settings = [
            SamplingParams(
                temperature=TEMPERATURE,
                max_tokens=new,
                ignore_eos=not task.ends,
                stop_token_ids=[2] if task.ends else None,
                detokenize=False,
            )
            for _, _, new in samples
        ]

        def run() -> int:
            llm.reset_prefix_cache()
            return len(llm.generate(prompts, settings, use_tqdm=False))

        return run

    return way


WAYS: dict[str, Callable[[Task], Run]] = {
    "engine": engine,
    "engine, nothing shared": unshared,
    "transformers, 9 a batch": with_transformers(9, "float32"),
    "transformers, 48 a batch": with_transformers(48, "float32"),
    "transformers, 192 a batch": with_transformers(192, "float32"),
    "transformers bf16, 48 a batch": with_transformers(48, "bfloat16"),
    "transformers bf16, 192 a batch": with_transformers(192, "bfloat16"),
    "vLLM fp32": with_vllm("float32"),
    "vLLM bf16": with_vllm("bfloat16"),
    "matrix products alone": products,
}


def main() -> None:
    # Whatever a library prints goes to stderr: the words on stdout are for the script that started this.
    words = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    run = WAYS[sys.argv[1]](Task.read(sys.argv[2]))
    run()  # warms caches and buffers up, and starts the workers
    print("ready", file=words, flush=True)
    for _ in sys.stdin:
        print(run(), file=words, flush=True)
    os._exit(0)  # engines and pools end with their pipes; nothing here is to be kept


if __name__ == "__main__":
    main()
