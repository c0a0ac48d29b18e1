"""`docendo tune`: what is typed, what is shown, and what is said where it cannot be done."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import docendo
from docendo.cli import main
from docendo.cli.arguments import parser
from docendo.cli.tuning import FORMS, OPTIONS, given
from docendo.tune import export
from docendo.tune.pairset import PairSettings
from docendo.tune.plan import TuneSettings
from docendo.tune.train import TrainSettings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of the school."""
    out = tmp_path_factory.mktemp("cli") / "run"
    docendo.solve("school:m1", limit=8, out=out, lessons=6, repeats=1, equal_cost=False)
    return out


def typed(*words: str) -> argparse.Namespace:
    found: argparse.Namespace = parser().parse_args(["tune", *words])
    return found


def test_the_options_are_the_settings_with_their_defaults() -> None:
    told = {field: default for group in OPTIONS.values() for _, field, _, _, default, _ in group}
    tables = {"": TuneSettings(), "pairs.": PairSettings(), "training.": TrainSettings()}
    known = {
        prefix + f.name: getattr(settings, f.name)
        for prefix, settings in tables.items()
        for f in fields(settings)
    }
    for other in ("pairs", "training", "train", "pairs.seed", "training.seed"):  # typed otherwise
        del known[other]
    assert told == known
    assert FORMS == export.FORMS


def test_only_what_was_typed_is_passed_on() -> None:
    assert given(typed("run")) == {}
    words = (
        "--lambda",
        "1",
        "--lora",
        "8",
        "--export",
        "kto",
        "--export",
        "sft",
        "--no-train",
        "--seed",
        "3",
    )
    assert given(typed(*words, "--no-bf16", "--chosen-right")) == {
        "pairs": {"lam": 1.0, "chosen_right": True, "seed": 3},
        "training": {"lora": 8, "bf16": False, "seed": 3},
        "export": ("kto", "sft"),
        "train": False,
    }


def test_pairs_of_a_run_are_shown_with_where_they_are(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t"
    assert main(["tune", str(run), "--no-train", "--export", "kto", "--out", str(out), "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "to train on" in shown
    assert "closer than the margin" in shown
    assert str(out / "export" / "kto.train.jsonl") in shown
    assert (out / "tune.html").is_file()
    assert main(["tune", "--resume", str(out), "--json", "--quiet", "--no-report"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rounds"][0]["pairs"]["train"] > 0
    assert found["teacher"] is None


def test_a_dry_run_writes_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", str(run), "--dry-run", "--epochs", "2", "--batch", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["exact"]
    assert found["steps"] == 2 * -(-found["pairs"] // 4)
    assert main(["tune", "--dry-run", "--limit", "5", "--per-problem", "3"]) == 0
    said = capsys.readouterr().out
    assert "Pairs to train on: at most 15" in said
    assert "right by accident" in said
    assert "margin 0.7 was 3.3 points ahead" in said
    assert main(["tune", "--dry-run", "--limit", "5", "--margin", "0.7"]) == 0
    assert "by accident" not in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nowhere"], 4, "not a run of docendo"),
        (["RUN", "--lambda", "2"], 2, "lam: 2.0 is out of range"),
        (["RUN", "--noise", "100", "--no-train"], 2, "none of"),
        (["RUN", "--teacher", "openai:gpt"], 2, "cannot be trained here"),
        (["RUN", "--limit", "3"], 2, "one or the other"),
        (["RUN", "--domain", "code"], 2, "a run has its own"),
        (["RUN", "--test", "nowhere.jsonl"], 2, "nowhere.jsonl"),
        (["--resume", "RUN"], 4, "not a tuning"),
        (["--resume", "RUN", "--lambda", "1"], 2, "leave out --lambda"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    words: list[str],
    code: int,
    says: str,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--test" in words:
        pytest.importorskip("trl", reason="the extra train is not installed")
    assert main(["tune", *(str(run) if word == "RUN" else word for word in words)]) == code
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_is_named_before_anything_is_asked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "trl" else found(name, *rest)
    )
    assert main(["tune", str(run), "--out", str(tmp_path / "t")]) == 2
    said = capsys.readouterr().err
    assert "missing here: " in said
    assert "trl" in said
    assert "pip install 'docendo[train]'" in said
    assert not (tmp_path / "t").exists()


def test_an_interrupted_training_says_how_to_go_on(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("docendo.tune.run"), "export", cut)
    words = ["tune", str(run), "--no-train", "--export", "kto", "--out", str(tmp_path / "t"), "--quiet"]
    assert main(words) == 130
    assert f"docendo tune --resume {tmp_path / 't'}" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["tune", "--resume", str(tmp_path / "t"), "--quiet"]) == 0
    assert (tmp_path / "t" / "export" / "kto.train.jsonl").is_file()
