"""A whole run against a server that misbehaves in every usual way, beside one against a server that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docendo
from docendo.errors import ModelError
from docendo.models.endpoint.faulty import FaultyModel
from docendo.models.endpoint.mock import Answer, Handler, MockServer, Request
from docendo.models.spec import ModelSpec

pytestmark = pytest.mark.usefixtures("impatient")

Serve = Callable[[Handler], MockServer]
# Longer than a busy machine may need for an answer, and shorter than the server stalls.
LIMITS = {"attempts": 6, "read_timeout": 3.0, "concurrency": 32}
PROBLEMS = [
    docendo.Problem(f"p{i}", f"What is {i} plus {i % 7}?", str(i + i % 7), kind="exact", family=str(i // 6))
    for i in range(48)
]


def solve(server: MockServer, folder: Path, problems: int = 24) -> docendo.Run:
    spec = ModelSpec.model_validate({"model": "openai:m", "base_url": server.url, "limits": LIMITS})
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
    calm, rough = FaultyModel(faults=("400", "500 for ever")), FaultyModel(stall=9.0, slow=0.3)
    solve(serve(calm), tmp_path / "calm", 48)
    run = solve(serve(rough), tmp_path / "rough", 48)
    assert run.complete
    assert run.summary().problems == 48
    assert rough.met.keys() == set(FaultyModel.FAULTS), "too few calls to meet every fault"
    with run.view() as view:
        sent = {key for key, _ in view.sent()}
        answered = {row.call for row in view.calls()}
        failed = {row.call: row for row in view.errors()}
        assert answered | failed.keys() == sent
        assert not answered & failed.keys()
        counts = [row.call for row in (*view.samples(), *view.exam_answers())]
        assert len(counts) >= 48 * 5
        assert set(counts) <= sent
    # The lessons that were not written or examined for it make other prompts; all others are the same calls.
    before, after = texts(tmp_path / "calm"), texts(tmp_path / "rough")
    same = before.keys() & after.keys()
    assert len(same) > 0.9 * len(before)
    assert [k for k in same if before[k] != after[k] and after[k]] == []
    assert all("cannot be answered" in r.error or "not allowed" in r.error for r in failed.values())
    assert {"not allowed" in r.error for r in failed.values() if r.lasting} == {True}


def test_a_run_goes_on_after_an_endpoint_was_down_and_asks_nothing_twice(
    serve: Serve, tmp_path: Path
) -> None:
    model, down = FaultyModel(faults=()), [False]

    def handler(request: Request) -> Answer:
        down[0] = down[0] or (sum(model.asked.values()) >= 200 and not back)
        closed = Answer.error(503, "closed for today", retry_after="50000")
        return closed if down[0] else model(request)

    back = False
    server = serve(handler)
    with pytest.raises(ModelError, match=r"asks to wait 50,000 s.*closed for today.*Go on with the run"):
        solve(server, tmp_path / "run")
    with docendo.Store.read(tmp_path / "run") as view:
        assert len(list(view.calls())) == 200, "what was on its way is kept"
        assert not [row for row in view.errors() if row.lasting]
        assert view.done_ids() < {p.id for p in PROBLEMS[:24]}
    back, down[0] = True, False
    assert docendo.resume(tmp_path / "run").complete
    assert set(model.answered.values()) == {1}, "what was answered was recorded, and not asked again"
    calm = serve(FaultyModel(faults=()))
    solve(calm, tmp_path / "calm")
    assert texts(tmp_path / "run") == texts(tmp_path / "calm")


def test_a_repeated_run_asks_for_what_failed_in_passing_and_not_for_what_lasts(
    serve: Serve, tmp_path: Path
) -> None:
    """Only an unfinished problem is gone on with; its calls that failed for good are taken from the store."""
    model = FaultyModel(faults=("400", "500 for ever"))
    solve(serve(model), tmp_path / "run")
    with docendo.Store.open(tmp_path / "run") as store:
        lasting = {row.call for row in store.errors() if row.lasting}
        passing = {row.call for row in store.errors() if not row.lasting}
        assert lasting
        assert passing
        with store._transaction() as db:  # as if no problem had been finished before a kill
            for table in ("exam_answers", "decisions", "samples", "lessons", "done"):
                db.execute(f"DELETE FROM {table}")
    before = model.asked.copy()
    assert docendo.resume(tmp_path / "run").complete
    again = model.asked - before
    with docendo.Store.read(tmp_path / "run") as view:
        left = [key for key, session in view.sent() if session == view.sessions()[-1].id]
    assert set(left) == passing
    assert len(again) == len(passing)
