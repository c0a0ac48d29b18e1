"""A million exam calls down the real road, against a server that answers at once: memory, speed, and the store.

    python benchmarks/scale.py --calls 50000
    python benchmarks/scale.py --calls 1000000 --folder runs/scale
    python benchmarks/scale.py --rivals PYTHON     # one with litellm and inspect_ai, beside them

The server is a process of its own. `docendo.solve` runs with a store in a process of its own too, whose peak memory
is reported; so does the bare client, the best that we could write with the same HTTP library and nothing around
it: it sends the same prompts, parses the replies and forgets them. What counts is the ratio of the two within one
sitting, and of processor time as well as of time passed, since other work on the machine disturbs only the latter.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import resource
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docendo.models.endpoint.mock import Answer, MockServer, Request

LESSONS, EXAM, REPEATS = 24, 3, 3
EACH = LESSONS * EXAM * REPEATS  # exam calls a problem
CONCURRENCY = 64
PROMPT = "Here is a worked problem.\n" + "Take one and add what is asked.\n" * 3 + "What is {} plus 7?"


def reply(request: Request) -> Answer:
    """A short rationale and an answer: another one for each seed, so that lessons differ."""
    value = request.json
    seed = value.get("seed", 0)
    text = f"Take {seed} and add what is asked.\nAnswer: {seed % 7}"
    prompt = len(request.body) // 4
    return Answer.chat(
        text, usage={"prompt_tokens": prompt, "completion_tokens": 16, "total_tokens": prompt + 16}
    )


def serve() -> None:
    """Serve until the parent closes our standard input."""
    with MockServer(reply) as server:
        print(server.url, flush=True)
        sys.stdin.read()


@contextmanager
def server() -> Iterator[str]:
    """The server in a process of its own; gives its address."""
    command = [sys.executable, __file__, "--as", "server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def used(began: tuple[float, float], calls: int) -> dict[str, float]:
    """Speed since `began`, and this process's peak memory in MB."""
    seconds, busy = time.perf_counter() - began[0], time.process_time() - began[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"calls": calls, "seconds": seconds, "cpu": busy, "peak_mb": peak}


def road(url: str, calls: int, folder: Path) -> dict[str, float]:
    """`docendo.solve` with a store; the calls of the teacher are counted too."""
    import docendo
    from docendo.models.spec import ModelSpec

    problems = [
        docendo.Problem(f"p{i}", f"What is {i} plus {i % 13}?", str(i % 7), kind="exact", family=str(i // 8))
        for i in range(max(8, calls // EACH))
    ]
    spec = ModelSpec.model_validate(
        {"model": "openai:mock", "base_url": url, "limits": {"concurrency": CONCURRENCY}}
    )
    began = time.perf_counter(), time.process_time()
    run = docendo.solve(
        problems,
        out=folder,
        teacher=spec,
        students=[spec],
        lessons=LESSONS,
        exam_problems=EXAM,
        repeats=REPEATS,
        equal_cost=False,
    )
    with run.view() as view:
        count = sum(row.calls for row in view.totals())
    found = used(began, count)
    summary = run.summary()
    assert summary.problems == len(problems)
    assert not summary.exam_states["failed"]
    found["with_summary_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def bare(url: str, calls: int) -> dict[str, float]:
    """The same requests by a bare client: as many workers as docendo has calls in flight, and nothing else.

    Each has a transport with one connection: a client that all share is half as fast with this library.
    """
    import httpx2

    to, raw = httpx2.URL(f"{url}/chat/completions"), [(b"content-type", b"application/json")]
    timeout: dict[str, float | None] = {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": None}
    numbers = itertools.count()

    async def work(transport: httpx2.AsyncHTTPTransport) -> None:
        for i in numbers:
            if i >= calls:
                return
            messages = [{"role": "user", "content": PROMPT.format(i // REPEATS)}]
            body = {"model": "mock", "messages": messages, "temperature": 0.7, "max_tokens": 128, "seed": i}
            request = httpx2.Request(
                "POST", to, headers=raw, content=json.dumps(body), extensions={"timeout": timeout}
            )
            response = await transport.handle_async_request(request)
            value = json.loads(await response.aread())
            await response.aclose()
            assert value["choices"][0]["message"]["content"]

    async def main() -> dict[str, float]:
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limits = httpx2.Limits(max_connections=1)
        every = [httpx2.AsyncHTTPTransport(verify=trusted, limits=limits) for _ in range(CONCURRENCY)]
        began = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(work, every))
        found = used(began, calls)
        for transport in every:
            await transport.aclose()
        return found

    return asyncio.run(main())


def at_once(ask: Callable[[str, int], Awaitable[str]], calls: int) -> Coroutine[Any, Any, dict[str, float]]:
    """Ask all of the bare client's prompts by another library, as many at once."""
    numbers = itertools.count()

    async def work() -> None:
        for i in numbers:
            if i >= calls:
                return
            assert await ask(PROMPT.format(i // REPEATS), i)

    async def main() -> dict[str, float]:
        await ask("What is 1 plus 1?", 0)  # what is set up at the first call is no part of a call
        began = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
        return used(began, calls)

    return main()


def with_litellm(url: str, calls: int) -> dict[str, float]:
    import litellm

    async def ask(prompt: str, i: int) -> str:
        reply = await litellm.acompletion(
            model="openai/mock",
            api_base=url,
            api_key="none",
            messages=[{"role": "user", "content": prompt}],
            temperature=0.7,
            max_tokens=128,
            seed=i,
        )
        return str(reply.choices[0].message.content)

    return asyncio.run(at_once(ask, calls))


def with_inspect(url: str, calls: int) -> dict[str, float]:
    from inspect_ai.model import GenerateConfig, get_model

    model = get_model(
        "openai-api/mock/mock",
        base_url=url,
        api_key="none",
        config=GenerateConfig(max_connections=CONCURRENCY),
    )

    async def ask(prompt: str, i: int) -> str:
        config = GenerateConfig(temperature=0.7, max_tokens=128, seed=i)
        return str((await model.generate(prompt, config=config)).completion)

    return asyncio.run(at_once(ask, calls))


RIVALS = {"litellm": with_litellm, "inspect_ai": with_inspect}


def apart(what: str, url: str, calls: int, folder: Path, python: str = sys.executable) -> dict[str, float]:
    """One of the contenders in a process of its own."""
    command = [python, __file__, "--as", what, "--url", url, "--calls", str(calls), "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(name: str, found: dict[str, float], base: dict[str, float] | None = None) -> None:
    rate, cpu = found["calls"] / found["seconds"], 1000 * found["cpu"] / found["calls"]
    line = f"{name:16} {found['calls']:>9,.0f} calls {rate:8.0f}/s {cpu:7.3f} ms CPU a call"
    if base is not None:
        of = rate / (base["calls"] / base["seconds"]), (1000 * base["cpu"] / base["calls"]) / cpu
        line += f"  {of[0]:5.2f} of bare ({of[1]:.2f} by CPU)"
    print(f"{line}  peak {found['peak_mb']:6.0f} MB", flush=True)


def main() -> int:
    """Run one part, or all in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=50_000, help="exam calls")
    parser.add_argument("--bare-calls", type=int, default=20_000, help="calls of the bare client, twice")
    parser.add_argument("--rivals", metavar="PYTHON", help="an interpreter that has litellm and inspect_ai")
    parser.add_argument("--folder", type=Path, help="keep the run here")
    parser.add_argument(
        "--as", dest="part", choices=("server", "road", "bare", *RIVALS), help=argparse.SUPPRESS
    )
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "server":
        serve()
        return 0
    if given.part is not None:
        part: dict[str, Any]
        if given.part == "road":
            part = road(given.url, given.calls, given.folder)
        else:
            part = {"bare": bare, **RIVALS}[given.part](given.url, given.calls)
        print(json.dumps(part))
        return 0
    scratch = Path(tempfile.mkdtemp())
    try:
        with server() as url:
            before = apart("bare", url, given.bare_calls, scratch)
            show("bare client", before)
            found = apart("road", url, given.calls, given.folder or scratch / "run")
            after = apart("bare", url, given.bare_calls, scratch)
            rivals = {
                name: apart(name, url, given.bare_calls, scratch, given.rivals)
                for name in (RIVALS if given.rivals else ())
            }
        show("bare again", after)
        both = {name: before[name] + after[name] for name in ("calls", "seconds", "cpu")}
        show("docendo.solve", found, both)
        for name, rival in rivals.items():
            show(name, rival, both)
        size = (given.folder or scratch / "run").joinpath("run.sqlite").stat().st_size / 2**20
        print(f"with the summary: peak {found['with_summary_mb']:.0f} MB; the store: {size:,.0f} MB")
        return 0 if found["with_summary_mb"] < 400 else 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
