"""What `--dry-run` says, held against what a run then asks."""

from __future__ import annotations

import json

import pytest

import docendo
from docendo.cli import main
from docendo.errors import ConfigError
from docendo.solve.forecast import forecast
from docendo.solve.run import planned

PLAN = {"lessons": 4, "repeats": 2, "equal_cost": False}


def reckon(problems, settings, **more):
    plan, taught, pool, _ = planned(problems, None, None, 12, settings)
    return forecast(taught, pool, plan, **more)


def test_holds_against_a_run_of_the_school(tmp_path):
    found = reckon("school:m1", PLAN)
    run = docendo.solve("school:m1", limit=12, out=tmp_path / "r", **PLAN)
    asked = {item.purpose: item for item in run.bill().items}
    said = {row.purpose: row for row in found.rows}
    assert said.keys() == asked.keys() == {"greedy", "teach", "exam"}
    for purpose in ("greedy", "teach"):
        assert said[purpose].calls.low == said[purpose].calls.high == asked[purpose].calls
        assert said[purpose].prompt.likely == pytest.approx(asked[purpose].usage.prompt, rel=0.1)
    exam, row = asked["exam"], said["exam"]
    assert row.calls.low <= exam.calls <= row.calls.high
    each = row.prompt.likely / row.calls.likely
    assert each == pytest.approx(exam.usage.prompt / exam.calls, rel=0.25)
    for name in ("prompt", "completion"):
        assert (
            found.total(name).low
            < sum(getattr(i.usage, name) for i in asked.values())
            < found.total(name).high
        )


def test_adaptive_exams_are_a_range_whose_end_is_the_whole_exam(tmp_path, capsys):
    whole, some = (reckon("school:m1", PLAN | {"allocation": how}) for how in ("fixed", "adaptive"))
    assert (whole.exam_share, some.exam_share) == (None, 0.12)
    rows = [next(row for row in found.rows if row.purpose == "exam") for found in (whole, some)]
    for what in ("calls", "prompt", "completion"):
        all_, part = (getattr(row, what) for row in rows)
        assert (part.low, part.high) == (0, all_.high)
        assert part.likely == pytest.approx(0.12 * all_.likely)
    assert rows[1].shared.low == rows[1].shared.likely == 0 < rows[1].shared.high
    run = docendo.solve("school:m1", limit=12, out=tmp_path / "r", allocation="adaptive", **PLAN)
    exam = next(item for item in run.bill().items if item.purpose == "exam")
    assert 0 < exam.calls < rows[1].calls.high
    without_doubt = reckon("school:m1", PLAN | {"allocation": "adaptive", "certainty": 1.0})
    assert without_doubt.exam_share == 0.8
    assert main(["solve", "--dry-run", "--limit", "5", "--allocation", "adaptive"]) == 0
    assert "Exams are adaptive: likely 12 % of what whole ones ask" in capsys.readouterr().out
    assert main(["solve", "--dry-run", "--limit", "5"]) == 0
    assert "adaptive" not in capsys.readouterr().out


def test_reply_tokens_and_prices_decide_the_money():
    prices = {"prompt": 1.0, "cached": 0.0, "completion": 2.0}
    settings = PLAN | {"teacher": docendo.ModelSpec(model="openai:big", prices=prices)}
    long, short = (reckon("school:m1", settings, reply_tokens=n) for n in (400, 200))
    teach = next(row for row in long.rows if row.purpose == "teach")
    assert teach.completion.likely == 12 * 4 * 400
    assert teach.money.likely == pytest.approx(
        (teach.prompt.likely + 2 * teach.completion.likely) / 1e6, rel=1e-6
    )
    assert teach.money.low < teach.money.likely < teach.money.high
    assert teach.money.high > 2 * 12 * 4 * 2000 / 1e6, "at most a reply is as long as it may be"
    assert short.total("money").likely < long.total("money").likely
    assert (long.currency, long.guessed) == ("USD", ["openai:big"])
    assert next(row for row in long.rows if row.purpose == "exam").money is None


def test_one_currency(tmp_path):
    specs = [
        docendo.ModelSpec(model=f"openai:{name}", prices={"prompt": 1, "completion": 1, "currency": name})
        for name in ("USD", "EUR")
    ]
    with pytest.raises(ConfigError, match="cannot be added up"):
        reckon("school:m1", PLAN | {"teacher": specs[0], "students": [specs[1]]})


def test_dry_run_asks_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["solve", "--dry-run", "--limit", "5", "--teacher", "openai:nobody"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "5 problems" in out
    assert "nothing was asked" in out
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (
        found["total"]["calls"]["low"] <= found["total"]["calls"]["likely"] <= found["total"]["calls"]["high"]
    )
    assert not list(tmp_path.iterdir())


def test_what_most_of_the_money_is_for_is_said(capsys):
    typed = [
        "solve",
        "--limit",
        "8",
        "--teacher",
        "openai:big",
        "--base-url",
        "http://127.0.0.1:1/v1",
        "--dry-run",
    ]
    assert main(typed) == 0
    assert "is for the further samples of sc_equal_cost" in " ".join(capsys.readouterr().out.split())
    assert main([*typed, "--no-equal-cost"]) == 0
    assert "sc_equal_cost" not in capsys.readouterr().out
