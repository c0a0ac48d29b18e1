"""What is exported is what others train with, without docendo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tune_world import candidate, problem

from docendo.errors import ConfigError, DataError
from docendo.models.resolve import SHIPPED
from docendo.tune.export import FORMS, export
from docendo.tune.pairs import pairs_among, pairs_from
from docendo.tune.pairset import PairSet, PairSettings
from docendo.types import Prompt

CHAT: Prompt = (("system", "Teach."), ("user", "How many?"))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def few(prompt: Prompt | None = None, gold: str | None = "1") -> PairSet:
    """Two good lessons and two bad ones."""
    lessons = [
        candidate(n, c, c, sample=i)
        for i, (n, c) in enumerate(zip("abcd", (1.0, 0.9, 0.1, 0.0), strict=True))
    ]
    return pairs_among(
        [problem("p", *lessons, prompt=prompt, gold=gold)],
        PairSettings(lam=1, validation=0, length_balance=1),
    )


def test_preference_rows_are_the_pairs_with_their_lineage(school_run: Path, tmp_path: Path) -> None:
    pairs = pairs_from(school_run)
    train, validation = export(pairs, tmp_path)
    assert [path.name for path in (train, validation)] == [
        "preference.train.jsonl",
        "preference.validation.jsonl",
    ]
    rows = read(train)
    assert len(rows) == len(pairs.train)
    for row, pair in zip(rows, pairs.train, strict=True):
        assert (row["prompt"], row["chosen"], row["rejected"]) == (
            pair.prompt,
            pair.chosen.text,
            pair.rejected.text,
        )
        assert (row["run"], row["problem"], row["family"]) == (str(school_run), pair.problem, pair.family)
        assert (row["chosen_lesson"], row["rejected_lesson"]) == (pair.chosen.lesson, pair.rejected.lesson)
        assert row["chosen_score"] - row["rejected_score"] == pytest.approx(row["difference"])
    assert not {row["family"] for row in rows} & {row["family"] for row in read(validation)}


def test_unpaired_rows_are_each_lesson_once(tmp_path: Path) -> None:
    (path,) = export(few(), tmp_path, ["kto"])
    assert {(row["lesson"], row["label"]) for row in read(path)} == {
        ("a", True), ("b", True), ("c", False), ("d", False),
    }  # fmt: skip


def test_the_best_lesson_is_the_one_to_imitate_unless_it_is_bad_too(tmp_path: Path) -> None:
    bad = problem("q", candidate("x", 0.0, 0.3), candidate("y", 0.0, 0.0))
    good = problem("p", candidate("a", 1.0, 1.0), candidate("b", 0.0, 0.0))
    pairs = pairs_among([good, bad], PairSettings(lam=1, margin=0.3, validation=0))
    (path,) = export(pairs, tmp_path, ["sft"])
    assert [(row["problem"], row["lesson"]) for row in read(path)] == [("p", "a")]


def test_prompts_are_all_problems_whether_they_have_pairs_or_not(school_run: Path, tmp_path: Path) -> None:
    rows = [row for path in export(pairs_from(school_run), tmp_path, ["grpo"]) for row in read(path)]
    assert len(rows) == 20
    assert all(row["prompt"].endswith("\nWorking:") and row["gold"] for row in rows)


@pytest.mark.parametrize("prompt", ["How many?", CHAT])
def test_the_shape_of_prompts_and_replies(prompt: Prompt, tmp_path: Path) -> None:
    def first(shape: str) -> dict[str, Any]:
        (path,) = export(few(prompt), tmp_path / shape, shape=shape)
        return read(path)[0]

    chat, plain, auto = first("chat"), first("plain"), first("auto")
    assert [turn["role"] for turn in chat["prompt"]] == (
        ["user"] if isinstance(prompt, str) else ["system", "user"]
    )
    assert chat["chosen"] == [{"role": "assistant", "content": plain["chosen"]}]
    assert plain["prompt"] == ("How many?" if isinstance(prompt, str) else "Teach.\n\nHow many?\n\n")
    assert auto == (plain if isinstance(prompt, str) else chat)


def test_texts_and_chats_do_not_go_into_one_file(tmp_path: Path) -> None:
    lessons = candidate("a", 1.0, 1.0), candidate("b", 0.0, 0.0)
    mixed = [problem("p", *lessons), problem("q", *lessons, prompt=CHAT)]
    pairs = pairs_among(mixed, PairSettings(validation=0))
    with pytest.raises(DataError, match="choose shape"):
        export(pairs, tmp_path)
    assert not list(tmp_path.iterdir())
    assert export(pairs, tmp_path, shape="chat")


def test_text_that_is_no_unicode_is_made_so(tmp_path: Path) -> None:
    lessons = candidate("a", 1.0, 1.0, text="so\ud800 \U0001f600 it is"), candidate("b", 0.0, 0.0)
    (path,) = export(pairs_among([problem("p", *lessons)], PairSettings(validation=0)), tmp_path)
    assert read(path)[0]["chosen"] == "so\ufffd \U0001f600 it is"


@pytest.mark.parametrize(("forms", "more", "says"), [
    (["dpo"], {}, "no form 'dpo'; there are preference"),
    (["kto"], {"file": "csv"}, "no file 'csv'"),
    (["kto"], {"shape": "round"}, "no shape 'round'"),
])  # fmt: skip
def test_what_is_not_known_is_refused(
    forms: Sequence[str], more: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        export(few(), tmp_path, forms, **more)  # type: ignore[arg-type]


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match=r"docendo\[hub\]"):
        export(few(), tmp_path, file="parquet")
    assert not list(tmp_path.iterdir())


def test_parquet_holds_the_same_rows(school_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra hub is not installed")
    import pyarrow.parquet

    pairs = pairs_from(school_run)
    for form in FORMS:
        lines = export(pairs, tmp_path, [form])
        tables = export(pairs, tmp_path, [form], file="parquet")
        assert [read(path) for path in lines] == [
            pyarrow.parquet.read_table(path).to_pylist() for path in tables
        ]


PLAIN_TRL = """
import sys
from pathlib import Path

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

lines, tables, model, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(model)
tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
common = dict(output_dir=out, max_steps=1, per_device_train_batch_size=2, bf16=False, use_cpu=True, report_to="none")
for kind, folder in (("json", lines), ("parquet", tables)):
    sets = {}
    for path in sorted(Path(folder).iterdir()):
        sets[path.name.split(".")[0]] = load_dataset(kind, data_files={"train": str(path)}, cache_dir=out)["train"]
    assert sorted(sets) == ["grpo", "kto", "preference", "sft"] and all(rows.num_rows for rows in sets.values())
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=DPOConfig(precompute_ref_log_probs=True, gradient_checkpointing=False, **common),
        train_dataset=sets["preference"].select(range(2)),
        processing_class=tokenizer,
    )
    trainer.train()
    assert trainer.state.global_step == 1
assert not [name for name in sys.modules if name.startswith("docendo")]
print("trained")
"""


def test_plain_trl_trains_on_what_was_exported(school_run: Path, tmp_path: Path) -> None:
    """Plain prompts as JSONL and chats as Parquet, in a process without docendo."""
    pytest.importorskip("trl", reason="the extra train is not installed")
    pairs = pairs_from(school_run)
    export(pairs, tmp_path / "lines", FORMS, shape="plain")
    export(pairs, tmp_path / "tables", FORMS, file="parquet", shape="chat")
    folders = [str(tmp_path / name) for name in ("lines", "tables")]
    command = [sys.executable, "-c", PLAIN_TRL, *folders, str(SHIPPED / "teacher"), str(tmp_path / "out")]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "trained"
