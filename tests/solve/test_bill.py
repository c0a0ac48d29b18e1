"""The bill says what a server may have billed beside what it answered."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import docendo
from docendo.cli import main
from docendo.models.endpoint import model as endpoint
from docendo.models.endpoint.mock import Answer, MockServer, Request
from docendo.models.spec import ModelSpec
from docendo.solve.plan import Settings
from docendo.solve.spent import bill
from docendo.store import ModelRow, Store
from docendo.types import Call, Reply, Sampling, Usage

PROBLEMS = [docendo.Problem(f"p{i}", f"What is {i} plus 1?", str(i + 1), family="f") for i in range(3)]
USAGE = {"prompt_tokens": 5, "completion_tokens": 2}


def test_requests_that_were_given_up_are_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(endpoint, "_BACKOFF", (0.002, 0.02))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asked: Counter[bytes] = Counter()

    def handler(request: Request) -> Answer:
        """Every request is cut off once before it is answered."""
        asked[request.body] += 1
        good = Answer.chat("Final answer: 2", usage=USAGE)
        return good if asked[request.body] > 1 else Answer(body=good.body, cut=10)

    with MockServer(handler) as server:
        spec = ModelSpec(model="openai:m", base_url=server.url)
        run = docendo.solve(
            PROBLEMS, out=tmp_path / "r", teacher=spec, students=[spec], lessons=2, exam_problems=1, repeats=1,
            equal_cost=False,
        )  # fmt: skip
    found = run.bill()
    assert [item.given_up for item in found.items] == [item.calls for item in found.items]
    assert sum(item.given_up for item in found.items) == len(asked)
    assert sum(item.usage.completion for item in found.items) == 2 * len(asked), "what is known, and no guess"
    assert main(["solve", "--resume", str(run.folder), "--quiet"]) == 0
    said = (
        f"{len(asked)} requests were given up after they had been sent. The server may have billed them too"
    )
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in (run.folder / "report.html").read_text()
    assert json.loads(json.dumps(found.json()))["items"][0]["given_up"] == found.items[0].given_up


@pytest.mark.parametrize("kind", ["openai", "school"])
def test_calls_on_their_way_when_a_run_was_cut_are_counted_once_asked_again(
    tmp_path: Path, kind: str
) -> None:
    calls = [Call(f"{kind}:m", f"{i}?", Sampling()) for i in range(5)]
    good = Reply("2", "stop", Usage(5, 0, 2))
    settings = Settings().stored()
    with Store.create(
        tmp_path / "r", kind="solve", config={"settings": settings}, seed=0, models=[ModelRow(f"{kind}:m")]
    ) as store:
        store.record_sent(calls[:4])
        store.record_replies([(calls[0], good), (calls[1], Reply("", "error", error="no"))])
        assert not any(item.cut_off for item in bill(store).items), "they are still on their way"
    with Store.open(tmp_path / "r") as store:
        store.record_sent(calls[1:])
        store.record_replies([(call, good) for call in calls[1:]])
        found = bill(store)
    assert sum(item.cut_off for item in found.items) == (2 if kind == "openai" else 0)
    assert (found.unknown() is not None) == (kind == "openai")
