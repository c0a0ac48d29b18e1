"""Train: a teacher is taught to prefer its better lessons (DPO), and comes out as an ordinary model folder.

What is trained on what is settled here, checked and written down before the first step, so that a training that was
cut goes on from its last step, and never with other pairs. The training itself is `trainer`'s, which alone knows TRL.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from docendo.errors import ConfigError, DataError
from docendo.models.weights import digest_of, parameters_of
from docendo.tune.encode import EXTRA, Base, Encoder, base_of, encoder_of
from docendo.tune.files import read_json, write_json
from docendo.tune.pairset import Pair, PairSet

SMALL = 50_000_000
"""Parameters up to which every step leaves a checkpoint; above, every 25th does."""

LAUNCHED = "DOCENDO_TRAINING_FOR"
"""Set in processes that were launched to train together, to the id of the one that waits for them."""

PLAN, FACTS, MODEL, LOG = "training.json", "trained.json", "model", "log.jsonl"
CHECKPOINTS, BEST, STAGING, DATA = "checkpoints", "best", ".saving", ".pairs"
"""What a training needs only until it ends."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a teacher is trained.

    Attributes:
        lora: rank of the adapter that is trained, merged into the model at the end; 0 trains all weights.
        rate: peak learning rate; it warms up over the first tenth of the steps and then falls to 0 (cosine). With lora,
            ten times as much is usual.
        beta: DPO's: how much the teacher is held to what it was.
        likelihood: the weight of the chosen reply's negative log-likelihood (a token's mean) beside DPO's loss: it
            keeps better replies from becoming unlikely together with the worse ones; 0 is DPO alone.
        epochs: passes over the pairs.
        steps: end after so many steps, whatever the epochs; None for no such end. For arms at equal training.
        batch: pairs a step, on all devices together.
        micro: pairs at once on a device; None for all of a step.
        max_length: most tokens of prompt and reply; pairs that are longer are left out, and counted.
        evaluate_every: steps between looks at the validation pairs; 0 never looks, and keeps the last weights.
        patience: looks without an improvement after which training ends; the best weights are kept.
        checkpoint_every: steps between checkpoints, of which a kill costs at most the last; 0 for none, None for every
            step of a model up to 50 million parameters and every 25th of a larger one.
        bf16: train in bfloat16; None for GPUs that have it.
        device: "auto", "cpu" or "cuda".
        save_memory: compute activations again in the backward pass, instead of keeping them.
        threads: PyTorch's, on a CPU; None leaves them as they are.
        processes: on how many devices, each by a process of its own.
        accelerate_config: a configuration file of accelerate's, which then launches them; empty for none.
        seed: of the pairs' order and of adapters.
    """

    lora: int = 0
    rate: float = 5e-5
    beta: float = 0.1
    likelihood: float = 0.1
    epochs: float = 1.0
    steps: int | None = None
    batch: int = 16
    micro: int | None = None
    max_length: int = 2048
    evaluate_every: int = 25
    patience: int = 4
    checkpoint_every: int | None = None
    bf16: bool | None = None
    device: str = "auto"
    save_memory: bool = False
    threads: int | None = None
    processes: int = 1
    accelerate_config: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that nothing could be trained with."""
        least: dict[str, float] = {
            "lora": 0,
            "likelihood": 0,
            "steps": 1,
            "batch": 1,
            "micro": 1,
            "max_length": 8,
            "evaluate_every": 0,
            "patience": 1,
            "checkpoint_every": 0,
            "threads": 1,
            "processes": 1,
        }
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ConfigError(f"training: {name}: {value} is too small, it must be at least {bound:g}")
        for name in ("rate", "beta", "epochs"):
            if not 0 < getattr(self, name) < 1e6:
                raise ConfigError(
                    f"training: {name}: {getattr(self, name)} is out of range, it must be above 0"
                )
        self.passes(self.processes)
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"training: device: {self.device!r} is none of auto, cpu, cuda")

    def passes(self, devices: int) -> tuple[int, int]:
        """Pairs at once on each of so many devices, and how often that makes a step.

        Raises:
            ConfigError: no whole number of them makes the batch, so that a step would have more pairs, or fewer.
        """
        if self.batch % devices:
            raise ConfigError(
                f"training: batch: {self.batch} pairs a step cannot be shared evenly by {devices} devices; choose a "
                "multiple of their number"
            )
        micro = self.micro or self.batch // devices
        if self.batch % (micro * devices):
            on = f" on each of {devices} devices" if devices > 1 else ""
            raise ConfigError(f"training: micro: {micro}{on} does not divide the batch of {self.batch} pairs")
        return micro, self.batch // (micro * devices)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of training came to, over its batch; or a look at the validation pairs.

    Attributes:
        step: how many were done; `steps` are planned.
        loss: what is minimised.
        margin: mean reward of the chosen less that of the rejected: beta times what the log ratios to the first
            teacher differ by.
        accuracy: share of pairs whose chosen reply has the higher reward.
        kl: an estimate of KL(first teacher || this one) in nats a reply, by its own replies, which the pairs are: the
            mean of the negative log ratios. Below 0 where replies in the pairs grew likelier.
        validation: whether it is a look at the validation pairs.
        best: of such a look, whether it is the best so far.
    """

    step: int
    steps: int
    loss: float
    margin: float
    accuracy: float
    kl: float
    validation: bool = False
    best: bool = False


class TrainWatch(Protocol):
    """Whoever looks on; called between steps, and must return at once."""

    def trained(self, step: Step) -> None:
        """A step was made, or the validation pairs were looked at."""


@dataclass(frozen=True, slots=True)
class Row:
    """One pair in tokens."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that ended.

    Attributes:
        folder: of the training.
        model: the tuned teacher's own folder, of Hugging Face's form.
        kind: how docendo asks it: `spec` is its name.
        steps: that were made; `step` is the one whose weights were kept.
        pairs: trained on; `validation` validated by; `long` left out for their length.
        tokens: of prompts and replies, those of every step counted.
        seconds: from the first step to the last, those of earlier sessions included.
        rows: what every step came to.
    """

    folder: Path
    model: Path
    kind: str
    steps: int
    step: int
    pairs: int
    validation: int
    long: int
    tokens: int
    seconds: float
    rows: tuple[Step, ...] = ()

    @property
    def spec(self) -> str:
        """The name by which docendo opens the tuned teacher."""
        return f"{self.kind}:{self.model}"


@dataclass(frozen=True, slots=True)
class Job:
    """What `trainer` is handed: everything settled, every pair in tokens."""

    base: Base
    folder: Path
    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    settings: TrainSettings
    checkpoint_every: int


def train(
    model: str,
    pairs: PairSet,
    out: str | Path,
    settings: TrainSettings | None = None,
    watch: TrainWatch | None = None,
) -> Trained:
    """Train a teacher on pairs, or go on where the same training was cut; a finished one is only read.

    Args:
        model: whose weights are trained: `school:NAME`, `school:PATH`, `hf:PATH`, `vllm:PATH` or a folder.
        pairs: what `pairs_from` found.
        out: the training's folder; the model will be in `out`/model.
        settings: how; the defaults where None.
        watch: is told of every step.

    Raises:
        ConfigError: the extra `train` is not installed, or the folder has another training in it.
        DataError: there is no pair that could be trained on.
        ModelError: the model cannot be read.
        StoreError: the folder cannot be written.
    """
    plan, out = settings or TrainSettings(), Path(out)
    if not pairs.train:
        raise DataError("there is no pair to train on")
    base = base_of(model)
    made = _planned(base, pairs, plan)
    done = _finished(out, made, base)
    if done is not None:
        return done
    check_extra()
    if (plan.processes > 1 or plan.accelerate_config) and not launched():
        from docendo.tune.launch import launch

        launch(model, pairs, out, plan, watch)
        return _read(out, base, read_json(out / FACTS))
    encoder = encoder_of(base)
    long: list[Pair] = []
    rows = [_rows(part, encoder, plan.max_length, long) for part in (pairs.train, pairs.validation)]
    if not rows[0]:
        raise DataError(
            f"all {len(pairs.train):,} pairs have more than max_length {plan.max_length} tokens; raise it"
        )
    every = plan.checkpoint_every
    if every is None:
        folder = base.folder
        size = parameters_of(folder) if folder is not None else None
        every = 1 if size is not None and size <= SMALL else 25
    if first_process():
        write_json(out / PLAN, made)
    job = Job(base, out, tuple(rows[0]), tuple(rows[1]), plan, every)
    from docendo.tune.trainer import run  # PyTorch, transformers and TRL take seconds to import

    facts = run(job, watch)
    facts |= {"pairs": len(rows[0]), "validation": len(rows[1]), "long": len(long)}
    if first_process():
        write_json(out / FACTS, facts)
        _tidy(out)
    return _read(out, base, facts)


def launched() -> bool:
    """Whether this is one of several processes that train together."""
    return LAUNCHED in os.environ


def first_process() -> bool:
    """Whether this is the one of them that writes, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def check_extra() -> None:
    """Whether everything that training needs is installed.

    Raises:
        ConfigError: it is not; the message names the extra.
    """
    from importlib.util import find_spec

    missing = [
        n for n in ("torch", "transformers", "trl", "peft", "accelerate", "datasets") if find_spec(n) is None
    ]
    if missing:
        raise ConfigError(EXTRA.format(f"missing here: {', '.join(missing)}"))


def steps_of(folder: str | Path) -> tuple[Step, ...]:
    """What every step of a training came to, also while it goes on."""
    path = Path(folder) / LOG
    if not path.is_file():
        return ()
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(Step(**json.loads(line)))
        except (ValueError, TypeError):  # a line that a kill tore; its step is owed again
            continue
    return tuple(rows)


def _planned(base: Base, pairs: PairSet, plan: TrainSettings) -> dict[str, Any]:
    """What makes this training this one: the weights it starts from, its pairs, its settings."""
    texts = [
        [p.prompt, p.chosen.text, p.rejected.text] for part in (pairs.train, pairs.validation) for p in part
    ]
    digest = hashlib.sha256(json.dumps([len(pairs.train), texts]).encode()).hexdigest()
    kept = {
        name: value for name, value in asdict(plan).items() if name not in ("threads", "checkpoint_every")
    }
    return {"base": digest_of(Path(base.path)) or base.path, "pairs": digest, "settings": kept}


def _finished(out: Path, made: Mapping[str, Any], base: Base) -> Trained | None:
    """The training in the folder, where it is this one and ended."""
    if not (out / PLAN).is_file():
        return None
    there = read_json(out / PLAN)
    if there != made:
        differ = ", ".join(name for name in made if there.get(name) != made[name])
        raise ConfigError(
            f"{out}: there is another training in this folder (it differs in {differ}); choose another folder"
        )
    if not (out / FACTS).is_file() or not (out / MODEL).is_dir():
        return None
    _tidy(out)  # where a kill came between the end and this
    return _read(out, base, read_json(out / FACTS))


def _tidy(out: Path) -> None:
    """Remove what an ended training does not need: not before it is written that it ended."""
    for name in (CHECKPOINTS, BEST, STAGING, DATA):
        shutil.rmtree(out / name, ignore_errors=True)


def _read(out: Path, base: Base, facts: Mapping[str, Any]) -> Trained:
    names = ("steps", "step", "pairs", "validation", "long", "tokens", "seconds")
    return Trained(out, out / MODEL, base.kind, **{n: facts[n] for n in names}, rows=steps_of(out))


def _rows(pairs: tuple[Pair, ...], encoder: Encoder, most: int, long: list[Pair]) -> list[Row]:
    """Pairs in tokens; those that are too long go to `long`: a reply without its end would be learnt as one."""
    rows = []
    for pair in pairs:
        prompt = tuple(encoder.prompt_ids(pair.prompt))
        chosen, rejected = (
            tuple(encoder.completion_ids(pair.prompt, side.text)) for side in (pair.chosen, pair.rejected)
        )
        if len(prompt) + max(len(chosen), len(rejected)) > most:
            long.append(pair)
        else:
            rows.append(Row(prompt, chosen, rejected))
    return rows
