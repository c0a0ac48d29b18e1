"""Training on pairs: what comes out is a teacher that docendo asks, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trl", reason="the extra train is not installed")
pytest.importorskip("peft", reason="the extra train is not installed")

import torch
from safetensors.numpy import load_file

import docendo
from docendo.errors import ConfigError, DataError, ModelError
from docendo.models.engine import Engine
from docendo.models.engine.text import Text
from docendo.models.resolve import SHIPPED
from docendo.tune.encode import base_of, encoder_of
from docendo.tune.pairs import pairs_from
from docendo.tune.pairset import PairSet
from docendo.tune.train import Step, Trained, TrainSettings, train

TEACHER = SHIPPED / "teacher"
QUICK = TrainSettings(steps=4, batch=8, evaluate_every=2, threads=1, device="cpu")


class Seen:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def trained(self, step: Step) -> None:
        self.steps.append(step)


@pytest.fixture(scope="session")
def pairs(school_run: Path) -> PairSet:
    return pairs_from(school_run)


@pytest.fixture(scope="module")
def whole(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Seen]:
    """A training from its first step to its last, and what was seen of it."""
    seen = Seen()
    return train("school:teacher", pairs, tmp_path_factory.mktemp("whole"), QUICK, seen), seen


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def test_the_tuned_teacher_is_a_folder_like_the_first_with_other_weights(
    whole: tuple[Trained, Seen], pairs: PairSet, tmp_path: Path
) -> None:
    done, seen = whole
    made, first = weights(done.model), weights(TEACHER)
    assert {name: w.dtype for name, w in made.items()} == {name: w.dtype for name, w in first.items()}
    assert any((made[name] != first[name]).any() for name in first)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (done.model / name).read_bytes() == (TEACHER / name).read_bytes()
    steps = [step for step in seen.steps if not step.validation]
    assert [step.step for step in steps] == [1, 2, 3, 4]
    # The first step compares the teacher with itself.
    assert (steps[0].margin, steps[0].kl) == pytest.approx((0.0, 0.0), abs=1e-4)
    assert [step.step for step in seen.steps if step.validation] == [2, 4]
    assert tuple(seen.steps) == done.rows
    assert done.pairs == len(pairs.train)
    run = docendo.solve(
        "school:m1", limit=2, out=tmp_path / "run", teacher=done.spec, lessons=2, equal_cost=False
    )
    assert run.complete


def test_training_raises_the_chosen_above_the_rejected(pairs: PairSet, tmp_path: Path) -> None:
    seen = Seen()
    how = TrainSettings(
        steps=12, batch=8, rate=2e-4, evaluate_every=0, checkpoint_every=0, threads=1, device="cpu"
    )
    train("school:teacher", pairs.limited(8), tmp_path, how, seen)
    assert len(pairs.limited(8).train) == 8
    assert seen.steps[-1].margin > 0.1
    assert seen.steps[-1].accuracy > 0.9


def test_what_is_learnt_is_what_the_engine_reads_and_writes(pairs: PairSet) -> None:
    encoder, pair = encoder_of("school:teacher"), pairs.train[0]
    text = Text(TEACHER, 0)
    assert isinstance(pair.prompt, str)
    assert encoder.prompt_ids(pair.prompt) == text.encode(pair.prompt)
    ids = encoder.completion_ids(pair.prompt, pair.chosen.text)
    assert ids[-1] == encoder.end == 2
    assert text.decode(ids[:-1]) == pair.chosen.text
    # Greedy decoding and the trainer's own forward pass agree on how the reply goes on, token by token.
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(TEACHER, dtype=torch.float32)
    prompt = encoder.prompt_ids(pair.prompt)
    (said,) = Engine(TEACHER).loglikelihood([(prompt, ids)])
    with torch.no_grad():
        logits = torch.log_softmax(model(torch.tensor([prompt + ids])).logits[0], -1)
    total = sum(float(logits[len(prompt) - 1 + i, id]) for i, id in enumerate(ids))
    assert said.total == pytest.approx(total, abs=1e-3)


def test_an_adapter_is_trained_and_merged(pairs: PairSet, tmp_path: Path) -> None:
    how = TrainSettings(lora=4, rate=1e-3, steps=2, batch=8, evaluate_every=1, threads=1, device="cpu")
    done = train("school:teacher", pairs, tmp_path, how)
    made, first = weights(done.model), weights(TEACHER)
    moved = {name for name in first if (made[name] != first[name]).any()}
    assert moved
    assert all("proj" in name for name in moved), "an adapter leaves the embedding and the gains alone"
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()


KILL = """
import os, signal, sys
from docendo.tune.pairs import pairs_from
from docendo.tune.train import TrainSettings, train

class Killer:
    def trained(self, step):
        if step.step == 3 and not step.validation:
            os.kill(os.getpid(), signal.SIGKILL)

how = TrainSettings(steps=4, batch=8, evaluate_every=2, threads=1, device="cpu")
train("school:teacher", pairs_from(sys.argv[1]), sys.argv[2], how, Killer())
"""


def test_a_kill_costs_the_current_step_and_changes_nothing(
    whole: tuple[Trained, Seen], pairs: PairSet, school_run: Path, tmp_path: Path
) -> None:
    done, _ = whole
    cut = tmp_path / "cut"
    ended = subprocess.run(
        [sys.executable, "-c", KILL, school_run, cut], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == -signal.SIGKILL
    assert not (cut / "model").exists()
    seen = Seen()
    again = train("school:teacher", pairs, cut, QUICK, seen)
    assert [step.step for step in seen.steps if not step.validation] == [3, 4]
    assert again.rows == done.rows
    assert again.tokens == done.tokens
    for name, value in weights(done.model).items():
        assert np.array_equal(weights(again.model)[name], value), name


def test_a_finished_training_is_only_read(pairs: PairSet, tmp_path: Path) -> None:
    how = TrainSettings(steps=1, batch=4, evaluate_every=0, threads=1, device="cpu")
    first, seen = train("school:teacher", pairs, tmp_path, how), Seen()
    assert train("school:teacher", pairs, tmp_path, how, seen) == first
    assert not seen.steps
    with pytest.raises(ConfigError, match="there is another training in this folder"):
        train("school:teacher", pairs, tmp_path, TrainSettings(steps=2, batch=4))


def test_training_ends_when_validation_stops_improving_and_keeps_the_best(
    pairs: PairSet, tmp_path: Path
) -> None:
    """A rate that ruins the teacher: the first look stays the best."""
    how = TrainSettings(
        steps=40,
        batch=8,
        rate=0.05,
        evaluate_every=1,
        patience=2,
        checkpoint_every=0,
        threads=1,
        device="cpu",
    )
    done = train("school:teacher", pairs, tmp_path, how)
    looks = [step for step in done.rows if step.validation]
    best = min(looks, key=lambda step: step.loss)
    assert done.step == best.step
    assert done.steps == best.step + 2 < 40
    assert [step.step for step in looks if step.best][-1] == best.step


def test_pairs_that_are_too_long_are_left_out_and_counted(pairs: PairSet, tmp_path: Path) -> None:
    encoder = encoder_of("school:teacher")
    lengths = sorted(
        len(encoder.prompt_ids(p.prompt))
        + max(len(encoder.completion_ids(p.prompt, side.text)) for side in (p.chosen, p.rejected))
        for p in pairs.train
    )
    most = lengths[len(lengths) // 2]
    how = TrainSettings(steps=1, batch=4, max_length=most, evaluate_every=0, threads=1, device="cpu")
    done = train("school:teacher", pairs, tmp_path, how)
    assert done.pairs == sum(length <= most for length in lengths) < len(lengths)
    with pytest.raises(DataError, match="more than max_length 8"):
        train("school:teacher", pairs, tmp_path / "none", TrainSettings(max_length=8))


def test_what_cannot_be_trained_is_refused_before_anything_is_written(pairs: PairSet, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="cannot be trained here"):
        train("openai:gpt", pairs, out)
    with pytest.raises(ConfigError, match="neither a shipped model"):
        train("school:nobody", pairs, out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError):
        train(f"hf:{tmp_path / 'empty'}", pairs, out)
    assert not out.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0.0},
        {"batch": 0},
        {"micro": 3},
        {"device": "tpu"},
        {"steps": 0},
        {"batch": 16, "processes": 3},
        {"micro": 16, "batch": 16, "processes": 2},
    ],
)
def test_senseless_training_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"training: {next(iter(wrong))}"):
        TrainSettings(**wrong)  # type: ignore[arg-type]


CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_a_chat_models_reply_ends_with_its_templates_mark(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    marks = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "</s>", "<unk>"]
    vocabulary = {word: i for i, word in enumerate([*marks, "how", "many", "five", "is", "right"])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=marks[:4],
    )
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(tmp_path)
    encoder = encoder_of(f"hf:{tmp_path}")
    prompt = (("user", "how many"),)
    assert encoder.prompt_ids(prompt) == [1, 6, 7, 3, 2]
    assert encoder.completion_ids(prompt, "five is right") == [8, 9, 10, 3]
    assert encoder.completion_ids("how many", "five") == [8, 4], (
        "what is no chat ends with the tokenizer's own"
    )


def test_a_folder_is_trained_as_transformers_reads_it() -> None:
    assert base_of(str(TEACHER)).kind == "hf"
    assert base_of("school:teacher").folder == TEACHER


def test_the_plan_says_what_the_training_is_made_of(pairs: PairSet, tmp_path: Path) -> None:
    how = TrainSettings(steps=1, batch=4, evaluate_every=0, threads=1, device="cpu")
    train("school:teacher", pairs, tmp_path, how)
    assert json.loads((tmp_path / "training.json").read_text())["settings"]["batch"] == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "log.jsonl",
        "model",
        "trained.json",
        "training.json",
    ]
