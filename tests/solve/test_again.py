"""Going on with a run whose servers moved: what may be said anew, what may not, and that nothing is asked twice."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import docendo
from docendo.cli import main
from docendo.errors import ConfigError, ModelError
from docendo.models.endpoint.address import identity_before
from docendo.models.endpoint.faulty import FaultyModel
from docendo.models.endpoint.mock import MockServer
from docendo.models.spec import ModelSpec
from docendo.solve.config import configured
from docendo.solve.plan import Settings
from docendo.store import Store
from docendo.tune.plan import Plan, TuneSettings, keep_anew
from docendo.tune.run import anew_in

PROBLEMS = [
    docendo.Problem(f"p{i}", f"What is {i} plus {i % 7}?", str(i + i % 7), kind="exact", family=str(i // 6))
    for i in range(6)
]
PLAN: dict[str, Any] = {"lessons": 3, "exam_problems": 2, "repeats": 2, "equal_cost": False}
Serve = Callable[[], MockServer]


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def model() -> FaultyModel:
    """What every server here says: the same, wherever it stands."""
    return FaultyModel(faults=())


@pytest.fixture
def serve(model: FaultyModel) -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(MockServer(model))


def cut_short(
    server: MockServer, folder: Path, student: MockServer | None = None, **more: Any
) -> docendo.Run:
    """A run that its budget ended, after which its server goes away."""
    teacher = ModelSpec(model="openai:m", base_url=server.url)
    small = ModelSpec(model="openai:s", base_url=(student or server).url)
    run = docendo.solve(
        PROBLEMS, out=folder, teacher=teacher, students=[small], budget="30 calls", parallel=4, **PLAN, **more
    )
    server.stop()
    assert not run.complete
    return run


def texts(folder: Path) -> dict[Any, str]:
    with Store.read(folder) as view:
        keys = [row.call for row in view.calls()]
        return {key: reply.text for key, reply in view.recorded(keys).items()}


def test_a_run_goes_on_at_another_address_and_asks_nothing_twice(
    serve: Serve, model: FaultyModel, tmp_path: Path
) -> None:
    first, second = serve(), serve()
    run = cut_short(first, tmp_path / "r")
    assert docendo.resume(run.folder, base_url=second.url, budget="").complete
    assert set(model.answered.values()) == {1}
    with run.view() as view:
        assert [(session, p.address) for session, p in view.places()] == [
            (1, first.url), (1, first.url), (2, second.url), (2, second.url)
        ]  # fmt: skip
        models = view.config["settings"]["models"]
        assert {spec["base_url"] for spec in models.values()} == {second.url}
    found = run.summary()
    assert any(first.url in note and second.url in note for note in found.notes)
    calm = docendo.solve(
        PROBLEMS, out=tmp_path / "calm", teacher=ModelSpec(model="openai:m", base_url=serve().url),
        students=[ModelSpec(model="openai:s", base_url=second.url)], **PLAN,
    )  # fmt: skip
    assert texts(run.folder) == texts(calm.folder)
    assert run.answers() == calm.answers()


def test_where_a_run_went_it_stays(serve: Serve, tmp_path: Path) -> None:
    first, second = serve(), serve()
    run = cut_short(first, tmp_path / "r")
    docendo.resume(run.folder, base_url=second.url, budget="40 calls")
    assert docendo.resume(run.folder, budget="").complete
    with run.view() as view:
        assert {p.address for session, p in view.places() if session > 1} == {second.url}


def test_one_of_two_models_moves_by_a_file(serve: Serve, tmp_path: Path) -> None:
    first, student, second = serve(), serve(), serve()
    run = cut_short(first, tmp_path / "r", student)
    file = tmp_path / "moved.toml"
    file.write_text(
        f'problems = "elsewhere.jsonl"\nlessons = 3\nbudget = "1M calls"\n'
        f'[teacher]\nmodel = "openai:m"\nbase_url = "{second.url}"\nheaders = {{ X-Room = "7" }}\n'
        "[teacher.limits]\nconcurrency = 2\nread_timeout = 20.0\n"
    )
    assert docendo.resume(run.folder, config=file, parallel=2).complete
    with run.view() as view:
        now = Settings.of(view.config["settings"])
        places = {p.model: p.address for session, p in view.places() if session == 2}
    assert places == {"openai:m": second.url, "openai:s": student.url}
    assert (now.spec("openai:m").limits.concurrency, now.spec("openai:m").limits.attempts) == (2, 8)
    assert now.spec("openai:m").headers == {"X-Room": "7"}
    assert now.spec("openai:s").base_url == student.url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lessons = 4", "lessons was 3 and cannot become 4"),
        ("seed = 1", "seed was 0 and cannot become 1"),
        ("teacher = 'openai:other'", "model was 'openai:m' and cannot become 'openai:other'"),
        (
            "[teacher]\nmodel = 'openai:m'\ntemperature = 0.1",
            "teacher: temperature was None and cannot become 0.1",
        ),
        ("[teacher]\nmodel = 'openai:m'\nbody = { min_p = 0.1 }", "body was {} and cannot"),
        ("[[students]]\nmodel = 'openai:s'\nstop = ['x']", "students 1: stop was None and cannot"),
        ("students = ['openai:s', 'openai:m']", "it has 1 students"),
        ("[[others]]\nmodel = 'openai:w'", "the run has no model 'openai:w'"),
        ("lesons = 3", "unknown key 'lesons'"),
    ],
)
def test_what_replies_depend_on_may_not_change(serve: Serve, tmp_path: Path, text: str, says: str) -> None:
    run = cut_short(serve(), tmp_path / "r")
    file = tmp_path / "other.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        docendo.resume(run.folder, config=file, budget="")
    assert says in str(error.value)
    with run.view() as view:
        assert len(view.sessions()) == 1, "nothing was begun"


def test_what_is_said_as_it_was_may_be_said_again(serve: Serve, tmp_path: Path) -> None:
    run = cut_short(serve(), tmp_path / "r")
    again = {**PLAN, "teacher": "openai:m", "students": ["openai:s"], "temperature": 0.7}
    assert docendo.resume(run.folder, base_url=serve().url, budget="", **again).complete


def test_prices_may_be_said_later_and_are_those_of_the_whole_bill(serve: Serve, tmp_path: Path) -> None:
    run = cut_short(serve(), tmp_path / "r")
    assert run.bill().money is None
    priced = {"model": "openai:m", "base_url": serve().url, "prices": {"prompt": 1.0, "completion": 2.0}}
    students = [{"model": "openai:s", "base_url": priced["base_url"]}]
    docendo.resume(run.folder, budget="99 USD", teacher=priced, students=students)
    assert run.complete
    bill = run.bill()
    usage = [item.usage for item in bill.items if item.model == "openai:m"]
    paid = sum(u.prompt + 2 * u.completion for u in usage) / 1e6
    assert bill.money == pytest.approx(paid)


def test_an_address_of_the_environment_is_recorded_without_its_secrets(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("//", "//user:hush@"))
    run = docendo.solve(PROBLEMS[:2], out=tmp_path / "r", teacher="openai:m", students=["openai:m"], **PLAN)
    with run.view() as view:
        assert {p.address for _, p in view.places()} == {server.url}
    assert b"hush" not in (tmp_path / "r" / "run.sqlite").read_bytes()


def test_a_run_from_before_there_were_places_is_read_and_gone_on_with(serve: Serve, tmp_path: Path) -> None:
    run = cut_short(serve(), tmp_path / "r")
    with run.view() as view:
        plan = Settings.of(view.config["settings"])
    with contextlib.closing(sqlite3.connect(run.folder / "run.sqlite")) as db:
        db.executescript(
            "DROP TABLE places; DROP TABLE given_up; UPDATE meta SET value = '5' WHERE key = 'format';"
        )
        for name in ("openai:m", "openai:s"):
            old = identity_before(plan.spec(name))
            db.execute("UPDATE models SET digest = ? WHERE name = ?", (old, name))
        db.commit()
    assert run.summary().planned == len(PROBLEMS)
    assert run.bill().items
    assert docendo.resume(run.folder, base_url=serve().url, budget="").complete
    with Store.read(run.folder) as view:
        assert [session for session, _ in view.places()] == [2, 2]
    with contextlib.closing(sqlite3.connect(run.folder / "run.sqlite")) as db:
        db.execute("UPDATE models SET digest = 'another'")
        db.commit()
    with pytest.raises(ModelError, match="is not the one that"):
        docendo.resume(run.folder)


def test_as_typed(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = cut_short(serve(), tmp_path / "r")
    words = ["solve", "--resume", str(run.folder), "--base-url", serve().url, "--budget", ""]
    assert main([*words, "--quiet", "--no-report", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["finished"] == found["planned"] == len(PROBLEMS)


def test_a_tuning_keeps_what_it_was_told_and_its_plan_as_it_was(tmp_path: Path) -> None:
    student = ModelSpec(model="openai:s", base_url="http://127.0.0.1:1/v1")
    teach = configured(None, {"students": [student]}).settings
    plan = Plan((), teach, TuneSettings(), "school:m2")
    plan.write(tmp_path)
    anew = anew_in(tmp_path, None, {"base_url": "http://127.0.0.1:2/v1"})
    keep_anew(tmp_path, anew)
    found = Plan.read(tmp_path)
    assert found.teach.spec("openai:s").base_url == "http://127.0.0.1:2/v1"
    assert found.around(None).anew.models == anew.models
    plan.write(tmp_path)  # the same tuning still: another would be refused
    with pytest.raises(ConfigError, match="lessons was"):
        anew_in(tmp_path, None, {"lessons": 2})
    with pytest.raises(ConfigError, match="leave --budget out"):
        anew_in(tmp_path, None, {"budget": "1 calls"})
