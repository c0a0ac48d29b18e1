"""The backend over model folders: batches as planned, workers that may die, and no trace left behind."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_llama
from safetensors.numpy import load_file, save_file

import docendo
from docendo.errors import ConfigError, ModelError, UnspeakableError
from docendo.models import local
from docendo.models.base import telling
from docendo.models.engine import Engine, Request
from docendo.models.engine import pool as pool_module
from docendo.models.gateway import Gateway
from docendo.models.local import LocalModel, WorkerPool
from docendo.models.resolve import opened
from docendo.models.scripted import ScriptedModel
from docendo.types import Call, Reply, Sampling

SAMPLING = Sampling(temperature=1.0, max_tokens=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.write(tmp_path_factory.mktemp("models") / "teacher")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes a minute over an answer: it never ends one by itself."""
    path = tmp_path_factory.mktemp("models") / "slow"
    return tiny_llama.write(path, eos_token_id=None, max_position_embeddings=300_000)


def batch(name: str, prompts: Iterable[str], samples: int = 3, sampling: Sampling = SAMPLING) -> list[Call]:
    calls = [
        Call("m", prompt, sampling, sample=sample, seed=7, batch=name)
        for prompt in prompts
        for sample in range(samples)
    ]
    return [replace(call, batch_size=len(calls)) for call in calls]


def plan(batches: int) -> list[Call]:
    rng = np.random.default_rng(0)
    calls = []
    for number in range(batches):
        prompts = {tiny_llama.text([5, 6, *rng.integers(3, 61, 3).tolist()]) for _ in range(4)}
        calls += batch(f"problem {number}", sorted(prompts))
    return calls


async def stream(calls: Iterable[Call]) -> AsyncIterator[Call]:
    for call in calls:
        yield call


async def replies(model: LocalModel, calls: Iterable[Call]) -> dict[Call, Reply]:
    """Each call's reply but for the time it took."""
    return {call: replace(reply, seconds=0.0) async for call, reply in model.run(stream(calls))}


def ask(folder: Path, calls: Iterable[Call], workers: int = 2) -> dict[Call, Reply]:
    async def main() -> dict[Call, Reply]:
        async with WorkerPool(workers) as pool:
            return await replies(LocalModel.open(folder, "m", pool), calls)

    return asyncio.run(main())


def gone(pid: int, within: float = 120.0) -> bool:
    """Whether a process ends, however busy the machine; one that nobody has waited for counts as ended."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


def test_replies_are_the_engines(folder: Path) -> None:
    calls = plan(1)
    found = ask(folder, calls)
    engine = Engine(folder)
    assert len(found) == len(calls)
    for call in calls:
        key = int(hashlib.sha256(f"{call.request} {call.sample}".encode()).hexdigest()[:32], 16)
        assert isinstance(call.prompt, str)
        request = Request(engine.text.encode(call.prompt), 30, temperature=1.0, key=key)
        alone = engine.generate([request])[0]
        assert found[call].text == alone.text
        assert found[call].stop == ("stop" if alone.why == "eos" else "length")
        assert (found[call].usage.prompt, found[call].usage.completion) == (alone.prompt, alone.completion)
    assert len({reply.text for reply in found.values()}) > len(calls) / 2
    prefixes = {
        tuple(engine.text.encode(str(c.prompt))[: i + 1])
        for c in calls
        for i in range(len(str(c.prompt).split()) + 1)
    }
    assert sum(r.usage.prompt - r.usage.cached for r in found.values()) == len(prefixes)


def test_workers_and_order_of_arrival_change_nothing(folder: Path) -> None:
    calls = plan(7)
    expected = ask(folder, calls, workers=1)
    assert set(expected) == set(calls)
    shuffled = [calls[i] for i in np.random.default_rng(1).permutation(len(calls))]
    assert ask(folder, shuffled, workers=3) == expected


def test_samples_and_seeds_differ(folder: Path) -> None:
    calls = batch("b", [" w5 w6"], samples=20)
    first = ask(folder, calls)
    assert len({reply.text for reply in first.values()}) > 10
    other = ask(folder, [replace(call, seed=8) for call in calls])
    assert sorted(r.text for r in first.values()) != sorted(r.text for r in other.values())


def test_models_share_one_pool(folder: Path, tmp_path: Path) -> None:
    student = tiny_llama.write(tmp_path / "student", seed=5)
    calls = plan(3)

    async def main() -> tuple[dict[Call, Reply], dict[Call, Reply], int]:
        async with WorkerPool(2) as pool:
            models = [LocalModel.open(path, "m", pool) for path in (folder, student)]
            one, two = await asyncio.gather(*(replies(model, calls) for model in models))
            return one, two, len(pool.pids)

    one, two, processes = asyncio.run(main())
    assert one == ask(folder, calls)
    assert two == ask(student, calls)
    assert one != two
    assert processes <= 2


def test_calls_that_cannot_be_answered_say_why_beside_those_that_can(folder: Path) -> None:
    good = batch("b", [" w5 w6"], samples=2)
    chat = replace(good[0], prompt=(("user", "hello"),))
    unknown = replace(good[0], prompt=" w5 logarithm")
    empty = replace(good[0], sampling=replace(SAMPLING, max_tokens=0))
    long = replace(good[0], prompt=tiny_llama.text([5] * 99))
    calls = [replace(call, batch_size=6) for call in (*good, chat, unknown, empty, long)]
    found = ask(folder, calls)
    assert [found[call].stop == "error" for call in calls] == [False, False, True, True, True, True]
    wanted = ("cannot chat", "'logarithm'", "max_tokens", "context of 96")
    for call, part in zip(calls[2:], wanted, strict=True):
        assert part in (found[call].error or "")
        assert found[call].text == ""


def test_a_batch_that_never_becomes_whole_is_answered_at_the_end(folder: Path) -> None:
    calls = batch("b", [" w5", " w6"])[:-2]
    assert set(ask(folder, calls)) == set(calls)
    assert ask(folder, []) == {}


def test_the_next_call_may_depend_on_the_last_reply(folder: Path) -> None:
    """An adaptive exam: the stream waits for replies before it goes on."""
    asked = [batch(str(i), [f" w{5 + i}"], samples=2) for i in range(5)]

    async def main() -> list[Call]:
        seen: asyncio.Queue[Call] = asyncio.Queue()
        done: list[Call] = []

        async def calls() -> AsyncIterator[Call]:
            for group in asked:
                for call in group:
                    yield call
                for _ in group:
                    done.append(await seen.get())

        async with WorkerPool(2) as pool:
            async for call, _ in LocalModel.open(folder, "m", pool).run(calls()):
                seen.put_nowait(call)
        return done

    assert {call.batch for call in asyncio.run(asyncio.wait_for(main(), 300))} == {"0", "1", "2", "3", "4"}


def test_no_more_is_pulled_than_there_is_room_for(folder: Path) -> None:
    async def main() -> tuple[int, int]:
        pulled = 0

        async def calls() -> AsyncIterator[Call]:
            nonlocal pulled
            for number in range(1000):
                pulled += 1
                yield Call("m", " w5", SAMPLING, sample=number)

        async with WorkerPool(1) as pool:
            run = LocalModel.open(folder, "m", pool).run(calls())
            await anext(run)
            await asyncio.sleep(0.5)  # time in which a backend without bound would take the whole stream
            await run.aclose()  # type: ignore[attr-defined]
            return pulled, pool.room

    pulled, room = asyncio.run(main())
    assert room <= pulled <= room + 2


def test_a_worker_that_dies_is_replaced_and_its_batch_computed_again(folder: Path) -> None:
    calls = plan(6)

    async def main() -> dict[Call, Reply]:
        async with WorkerPool(2) as pool:
            asking = asyncio.create_task(replies(LocalModel.open(folder, "m", pool), calls))
            while len(pool.pids) < 2:
                await asyncio.sleep(0.001)
            os.kill(pool.pids[0], signal.SIGKILL)  # it has its batch, and has hardly begun
            return await asking

    assert asyncio.run(main()) == ask(folder, calls)


def test_a_batch_that_kills_two_workers_is_given_up_with_what_they_said(slow: Path) -> None:
    calls = batch("b", [" w5"], samples=1, sampling=replace(SAMPLING, max_tokens=299_000))

    async def main() -> None:
        async with WorkerPool(1) as pool:
            asking = asyncio.create_task(replies(LocalModel.open(slow, "m", pool), calls))
            while not asking.done():
                for pid in pool.pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.01)
            await asking

    with pytest.raises(ModelError, match=r"died twice.*killed by signal 9"):
        asyncio.run(main())


def test_a_batch_that_only_stood_in_line_is_not_blamed(slow: Path) -> None:
    def message(new: int) -> dict[str, object]:
        request = {
            "prompt": " w5",
            "max_tokens": new,
            "temperature": 0,
            "top_k": 0,
            "top_p": 1,
            "stop": [],
            "key": "0",
        }
        return {"op": "generate", "folder": str(slow), "batch": [request]}

    async def main() -> dict[str, object]:
        async with WorkerPool(1) as pool:
            deadly = asyncio.create_task(pool.ask(message(299_000)))
            waiting = asyncio.create_task(pool.ask(message(5)))
            killed: set[int] = set()
            while not deadly.done():
                for pid in set(pool.pids) - killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                await asyncio.sleep(0.01)
            assert len(killed) == 2
            with pytest.raises(ModelError, match="died twice"):
                deadly.result()
            return await waiting

    results = asyncio.run(main())["results"]
    assert isinstance(results, list)
    assert results[0]["completion"] == 5


def test_a_worker_that_cannot_start_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docendo, "__file__", "/nowhere/docendo/__init__.py")
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(ModelError, match="last words"):
        ask(folder, plan(1))


def test_weights_that_no_checksum_guards_fail_in_the_worker(tmp_path: Path) -> None:
    folder = tiny_llama.write(tmp_path / "m")
    stored = load_file(folder / "model.safetensors")
    stored["model.norm.weight"][0] = np.nan
    save_file(stored, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.norm\.weight"):
        ask(folder, plan(3))


def test_open_refuses_a_bad_folder_before_any_call(tmp_path: Path) -> None:
    async def opening(path: Path) -> None:
        async with WorkerPool(1) as pool:
            LocalModel.open(path, "m", pool)

    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        folder = tiny_llama.write(tmp_path / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:-50])
        with pytest.raises(ModelError, match=name):
            asyncio.run(opening(folder))
    folder = tiny_llama.write(tmp_path / "sums")
    (folder / "SHA256SUMS").write_text("0" * 64 + "  model.safetensors\n")
    with pytest.raises(ModelError, match="corrupt"):
        asyncio.run(opening(folder))
    with pytest.raises(ModelError, match="nowhere"):
        asyncio.run(opening(tmp_path / "nowhere"))


def test_what_the_model_is_and_can_read(folder: Path) -> None:
    async def main() -> LocalModel:
        async with WorkerPool(1) as pool:
            model = LocalModel.open(folder, "school:teacher", pool)
            await model.aclose()
            await model.aclose()
            return model

    model = asyncio.run(main())
    assert model.name == "school:teacher"
    able = model.capabilities
    assert (able.completion, able.chat, able.batched, able.loglikelihood, able.token_ids) == (
        True,
        False,
        True,
        True,
        True,
    )
    assert able.parameters == sum(w.size for w in load_file(folder / "model.safetensors").values())
    assert able.context == 96
    model.check(" w5 w60")
    with pytest.raises(UnspeakableError, match="'seven'"):
        model.check(" w5 seven")


def test_log_likelihoods_come_through_the_workers(folder: Path) -> None:
    engine = Engine(folder)
    pairs = [(" w5 w6", " w7 w8"), (" w5", " w7"), (" w5 w6", " w9")]

    async def main(wanted: list[tuple[str, str]]) -> list[tuple[float, int]]:
        async with WorkerPool(1) as pool:
            return await LocalModel.open(folder, "m", pool).loglikelihood(wanted)

    encoded = [(engine.text.encode(a), engine.text.encode(b, begin=False)) for a, b in pairs]
    expected = engine.loglikelihood(encoded)
    found = asyncio.run(main(pairs))
    assert [tokens for _, tokens in found] == [2, 1, 1]
    assert [total for total, _ in found] == pytest.approx([score.total for score in expected], abs=1e-5)
    assert asyncio.run(main([])) == []
    with pytest.raises(ModelError, match=r"pair 1: .*'eleven'"):
        asyncio.run(main([pairs[0], (" w5", " eleven")]))


def test_a_run_that_is_left_leaves_no_process(slow: Path) -> None:
    calls = [c for i in range(4) for c in batch(str(i), [" w5"], 1, replace(SAMPLING, max_tokens=299_000))]

    async def main() -> list[int]:
        async with WorkerPool(2) as pool:
            asking = asyncio.create_task(replies(LocalModel.open(slow, "m", pool), calls))
            while len(pool.pids) < 2:
                await asyncio.sleep(0.01)
            pids = pool.pids
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
        await pool.aclose()
        with pytest.raises(ModelError, match="closed"):
            await pool.ask({"op": "generate", "folder": str(slow), "batch": []})
        return pids

    assert all(gone(pid) for pid in asyncio.run(main()))


def test_a_large_batch_is_shared_among_workers_and_no_answer_depends_on_how_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SHARE", 20)
    rng = np.random.default_rng(4)
    lessons = [tiny_llama.text([5, 6, *rng.integers(3, 61, 9).tolist()]) for _ in range(8)]
    prompts = [lesson + tiny_llama.text(rng.integers(3, 61, 4).tolist()) for lesson in lessons for _ in "abc"]
    calls = batch("large", prompts)
    sent: list[list[str]] = []
    asked = WorkerPool.ask

    async def spy(pool: WorkerPool, message: Any, tell: Any = None) -> Any:
        sent.append([request["prompt"] for request in message["batch"]])
        return await asked(pool, message, tell)

    monkeypatch.setattr(WorkerPool, "ask", spy)
    expected = ask(folder, calls, workers=1)
    first, sent = sent, []
    assert ask(folder, calls[::-1], workers=3) == expected
    assert set(expected) == set(calls)
    assert sorted(sent) == sorted(first)
    assert len(first) == 4
    assert sorted(prompt for share in first for prompt in share) == sorted(str(c.prompt) for c in calls)
    assert all(len(share) == 18 for share in first)
    assert all(
        len({lesson for lesson in lessons if any(p.startswith(lesson) for p in share)}) == 2
        for share in first
    )


def test_tokens_are_told_of_as_they_are_computed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, told = plan(3), []

    async def main() -> dict[Call, Reply]:
        async with WorkerPool(2) as pool:
            model = LocalModel.open(folder, "m", pool)
            model.watch(told.append)
            return await replies(model, calls)

    found = asyncio.run(main())
    assert sum(told) == sum(reply.usage.computed for reply in found.values())


def test_a_gateways_meter_knows_of_tokens_before_the_replies_are_there(slow: Path) -> None:
    """A batch that takes a minute shows within a second that it is at work."""
    call = Call("m", " w5", Sampling(max_tokens=299_000))

    async def main() -> tuple[int, int]:
        async with WorkerPool(1) as pool, Gateway({"m": LocalModel.open(slow, "m", pool)}) as gateway:
            asking = asyncio.create_task(gateway.ask([call]))
            while not gateway.meter.computed() and not asking.done():
                await asyncio.sleep(0.01)
            computed = gateway.meter.computed(), gateway.meter.total().usage.computed
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            return computed

    told, replied = asyncio.run(main())
    assert told > 0
    assert replied == 0


def test_the_environment_says_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCENDO_ENGINE_WORKERS", "3")
    assert WorkerPool().size == 3
    assert WorkerPool(1).size == 1
    monkeypatch.setenv("DOCENDO_ENGINE_WORKERS", "")
    assert 1 <= WorkerPool().size <= (os.cpu_count() or 1)
    for said in ("none", "0", "-2", "2.5"):
        monkeypatch.setenv("DOCENDO_ENGINE_WORKERS", said)
        with pytest.raises(ConfigError, match="DOCENDO_ENGINE_WORKERS"):
            WorkerPool()


def test_a_containers_share_of_processors_is_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = WorkerPool().size
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(pool_module, "_CPU_MAX", limit)
    for said, size in [
        ("max 100000", cores),
        ("100000 100000", 1),
        ("20000 100000", 1),
        ("900000 1000", cores),
    ]:
        limit.write_text(said + "\n")
        assert WorkerPool().size == size


def test_a_model_beyond_the_memory_budget_is_refused_when_it_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCENDO_ENGINE_MEMORY", "50K")
    with pytest.raises(ModelError, match="DOCENDO_ENGINE_MEMORY"):
        LocalModel.open(folder, "m", WorkerPool(1))


def test_a_call_beyond_the_memory_budget_is_answered_by_an_error_beside_others(
    slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCENDO_ENGINE_MEMORY", "8M")
    calls = [Call("m", " w5", Sampling(max_tokens=n), batch="b", batch_size=2) for n in (5, 200_000)]
    found = ask(slow, calls, workers=1)
    assert found[calls[0]].error is None
    assert "DOCENDO_ENGINE_MEMORY" in str(found[calls[1]].error)


SCRIPT = """
import asyncio, sys
from docendo.models.local import LocalModel, WorkerPool
from docendo.types import Call, Sampling

async def calls():
    for i in range(2):
        yield Call("m", " w5", Sampling(max_tokens=299_000), sample=i)

async def main():
    async with WorkerPool(2) as pool:
        async def tell():
            while len(pool.pids) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(1.0)
            print(*pool.pids, flush=True)
        telling = asyncio.create_task(tell())
        async for _ in LocalModel.open(sys.argv[1], "m", pool).run(calls()):
            pass

asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent_and_in_silence(slow: Path, how: signal.Signals) -> None:
    """While they compute, too; and what a terminal's Ctrl-C leaves on the screen is the parent's alone."""
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(slow)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path(docendo.__file__).parents[1])},
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    os.killpg(parent.pid, how)
    try:
        _, errors = parent.communicate(timeout=300)
    finally:
        parent.kill()  # one that did not end would compute on
    assert len(pids) == 2
    try:
        assert all(gone(pid) for pid in pids)
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert "engine/worker.py" not in errors
    if how == signal.SIGINT:
        assert errors.strip().endswith("KeyboardInterrupt")


class TestLikelihood:
    """Who tells log-likelihoods is asked in one way."""

    def test_a_model_that_cannot_is_refused_by_name(self) -> None:
        with pytest.raises(ModelError, match="chatty: tells no log-likelihoods"):
            telling(ScriptedModel("chatty", lambda call: ""))

    def test_school_models_tell_them_of_texts_only(self) -> None:
        async def ask() -> None:
            async with opened(["school:student"]) as models:
                model = telling(models["school:student"])
                ((total, tokens),) = await model.loglikelihood([("Question: 2", "\nAnswer: 2")])
                assert total < 0 < tokens
                with pytest.raises(ModelError, match="cannot chat"):
                    await model.loglikelihood([((("user", "2"),), "2")])

        asyncio.run(ask())
