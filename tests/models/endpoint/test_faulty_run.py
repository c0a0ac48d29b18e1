"""A whole run against a server that misbehaves in every usual way, beside one against a server that does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docendo
from docendo.errors import ModelError
from docendo.models.endpoint import EndpointModel
from docendo.models.endpoint.faulty import FaultyModel
from docendo.models.endpoint.mock import Answer, Handler, MockServer, Request
from docendo.models.gateway import Gateway
from docendo.models.spec import ModelSpec
from docendo.types import Call, Reply, Sampling

pytestmark = pytest.mark.usefixtures("impatient")

Serve = Callable[[Handler], MockServer]
LIMITS = {"attempts": 6, "concurrency": 32}
# Longer than a machine mostly needs for an answer, and shorter than the server stalls.
SHORT = LIMITS | {"read_timeout": 3.0}
PROBLEMS = [
    docendo.Problem(f"p{i}", f"What is {i} plus {i % 7}?", str(i + i % 7), kind="exact", family=str(i // 6))
    for i in range(24)
]


def solve(
    server: MockServer, folder: Path, problems: int = len(PROBLEMS), limits: dict[str, Any] = LIMITS
) -> docendo.Run:
    spec = ModelSpec.model_validate({"model": "openai:m", "base_url": server.url, "limits": limits})
    return docendo.solve(
        PROBLEMS[:problems], out=folder, teacher=spec, students=[spec], lessons=4, exam_problems=2, repeats=2,
        equal_cost=False, parallel=12,
    )  # fmt: skip


def texts(folder: Path) -> dict[Any, str]:
    with docendo.Store.read(folder) as view:
        keys = [row.call for row in view.calls()]
        return {key: reply.text for key, reply in view.recorded(keys).items()}


def test_every_call_ends_answered_or_failed_and_what_is_answered_is_the_same(
    serve: Serve, tmp_path: Path
) -> None:
    calm, rough = FaultyModel(faults=FaultyModel.LASTING, each=25), FaultyModel(each=25, slow=0.3)
    solve(serve(calm), tmp_path / "calm")
    run = solve(serve(rough), tmp_path / "rough", limits=SHORT)
    assert run.complete
    assert run.summary().problems == 24
    assert rough.met.keys() == set(FaultyModel.FAULTS), "too few calls to meet every fault"
    with run.view() as view:
        sent = {key for key, _ in view.sent()}
        answered = {row.call for row in view.calls()}
        failed = {row.call: row for row in view.errors()}
        assert answered | failed.keys() == sent
        assert not answered & failed.keys()
        counts = [row.call for row in (*view.samples(), *view.exam_answers())]
        assert len(counts) >= 24 * 5
        assert set(counts) <= sent
    # The lessons that were not written or examined for it make other prompts; all others are the same calls.
    before, after = texts(tmp_path / "calm"), texts(tmp_path / "rough")
    same = before.keys() & after.keys()
    assert len(same) > 0.9 * len(before)
    assert [k for k in same if before[k] != after[k] and after[k]] == []
    # Where the machine is too busy to answer within the read timeout, that is not what is tested here.
    why = ("cannot be answered", "not allowed", "no answer in time")
    assert all(any(each in r.error for each in why) for r in failed.values())
    assert {"not allowed" in r.error for r in failed.values() if r.lasting} == {True}


def test_a_run_goes_on_after_an_endpoint_was_down_and_asks_nothing_twice(
    serve: Serve, tmp_path: Path
) -> None:
    model, down = FaultyModel(faults=()), [False]

    def handler(request: Request) -> Answer:
        down[0] = down[0] or (sum(model.asked.values()) >= 100 and not back)
        closed = Answer.error(503, "closed for today", retry_after="50000")
        return closed if down[0] else model(request)

    back = False
    server = serve(handler)
    with pytest.raises(ModelError, match=r"asks to wait 50,000 s.*closed for today.*Go on with the run"):
        solve(server, tmp_path / "run", 12)
    with docendo.Store.read(tmp_path / "run") as view:
        assert len(list(view.calls())) == 100, "what was on its way is kept"
        assert not [row for row in view.errors() if row.lasting]
        assert view.done_ids() < {p.id for p in PROBLEMS[:12]}
    back, down[0] = True, False
    assert docendo.resume(tmp_path / "run").complete
    assert set(model.answered.values()) == {1}, "what was answered was recorded, and not asked again"
    calm = serve(FaultyModel(faults=()))
    solve(calm, tmp_path / "calm", 12)
    assert texts(tmp_path / "run") == texts(tmp_path / "calm")


def test_what_failed_in_passing_is_asked_again_on_a_resume_and_what_lasts_is_not(
    serve: Serve, tmp_path: Path
) -> None:
    model = FaultyModel(faults=FaultyModel.LASTING)
    server = serve(model)
    spec = ModelSpec.model_validate({"model": "openai:m", "base_url": server.url, "limits": LIMITS})
    calls = [
        Call("openai:m", f"What is {i} plus 2?", Sampling(), sample=s) for i in range(50) for s in (0, 1)
    ]

    # What is refused before anything was answered may be the settings' fault, and does not last: so one goes first.
    first = Call("openai:m", "What is 1 plus 1?", Sampling())

    async def ask(store: docendo.Store) -> list[Reply]:
        async with Gateway({"openai:m": EndpointModel.open(spec)}, store) as gateway:
            (good,) = await gateway.ask([first])
            assert good.stop == "stop"
            return await gateway.ask(calls)

    docendo.Store.create(tmp_path / "run", kind="solve", config={}, seed=0).close()
    replies, sent = [], []
    for _ in range(2):
        with docendo.Store.open(tmp_path / "run") as store:
            replies.append(asyncio.run(ask(store)))
            sent.append({key for key, session in store.sent() if session == store.session})
    assert sent[0] == {(c.request, c.sample) for c in (first, *calls)}
    passing = {
        (c.request, c.sample)
        for c, r in zip(calls, replies[0], strict=True)
        if r.stop == "error" and not r.lasting
    }
    assert sent[1] == passing
    assert passing
    assert any(reply.lasting for reply in replies[0])
    assert [(r.text, r.stop, r.lasting) for r in replies[0]] == [
        (r.text, r.stop, r.lasting) for r in replies[1]
    ]
