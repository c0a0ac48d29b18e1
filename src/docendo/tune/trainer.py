"""TRL's DPOTrainer, and all that is known of its version: every other file of docendo knows pairs in tokens.

Weights are trained in 32 bits (or computed in bfloat16) and written in the numbers they came in. A checkpoint is made
beside its name and moved there, so that a kill leaves the one before; the best weights by the validation pairs stand
apart from checkpoints, and are the ones that are kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from docendo.errors import ConfigError, ModelError
from docendo.tune.files import new_folder, read_json, write_text
from docendo.tune.train import (
    BEST,
    CHECKPOINTS,
    DATA,
    LOG,
    MODEL,
    STAGING,
    Job,
    Row,
    Step,
    TrainWatch,
    steps_of,
)

_CLOCK = "clock.json"
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".index.json")
_NOT_COPIED = ("README.md", "SHA256SUMS")
_GENERATION = "generation_config.json"


def run(job: Job, watch: TrainWatch | None) -> dict[str, Any]:
    """Train to the end, from the last checkpoint where there is one, and write the model's folder.

    Returns:
        Facts: steps made, the step whose weights were kept, tokens and seconds.

    Raises:
        ModelError: the model cannot be loaded, or training fails for want of memory.
    """
    if job.settings.threads is not None:
        torch.set_num_threads(job.settings.threads)
    with _quiet():
        model, dtype = _model(job)
        try:
            return _run(job, model, dtype, watch)
        except RuntimeError as error:  # torch's, such as a lack of memory
            raise ModelError(
                f"{job.base.path}: training failed: {error}; a smaller micro batch, save_memory "
                "or lora needs less memory"
            ) from error


def _run(job: Job, model: Any, dtype: torch.dtype, watch: TrainWatch | None) -> dict[str, Any]:
    plan = job.settings
    tokenizer = AutoTokenizer.from_pretrained(job.base.path)
    lora = None
    if plan.lora:
        lora = LoraConfig(
            r=plan.lora,
            lora_alpha=2 * plan.lora,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
    last = _last_checkpoint(job.folder)
    arguments = _arguments(job)
    with arguments.main_process_first():  # the others read what the first one wrote
        data = _dataset(job.train, job.folder / DATA / "train")
        held = _dataset(job.validation, job.folder / DATA / "validation") if _looks(job) else None
    trainer = _Trainer(
        job,
        model=model,
        args=arguments,
        train_dataset=data,
        eval_dataset=held,
        processing_class=tokenizer,
        peft_config=lora,
    )
    trainer.remove_callback(PrinterCallback)
    _refuse_shards(trainer)
    main = bool(trainer.accelerator.is_main_process)
    done, spent, tokens = 0, 0.0, 0
    if last is not None:
        done = int(last.name.partition("-")[2])
        clock = read_json(last / _CLOCK)
        spent, tokens = clock["seconds"], clock["tokens"]
    if main:
        kept = [row for row in steps_of(job.folder) if row.step <= done]
        write_text(job.folder / LOG, "".join(json.dumps(asdict(row)) + "\n" for row in kept))
    follower = _Follower(job, trainer, watch if main else None, spent, tokens)
    trainer.add_callback(follower)
    trainer.follower = follower
    trainer.train(resume_from_checkpoint=str(last) if last is not None else None)
    trainer.accelerator.wait_for_everyone()
    facts = {
        "steps": trainer.state.global_step,
        "step": trainer.state.global_step,
        "tokens": follower.tokens,
        "seconds": follower.seconds,
    }
    best = job.folder / BEST
    if best.is_dir() and _looks(job):
        facts["step"] = read_json(best / "step.json")["step"]
        _load(trainer, best)
    trainer.accelerator.wait_for_everyone()  # nobody reads the best weights any more
    if main:
        _write_model(job, trainer, dtype)
    trainer.accelerator.wait_for_everyone()
    return facts


def _refuse_shards(trainer: _Trainer) -> None:
    """Weights in shards could be trained, but not kept and written as they are here.

    Raises:
        ConfigError: accelerate was configured to shard them.
    """
    plugin = getattr(trainer.args, "deepspeed_plugin", None)
    if trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3):
        raise ConfigError(
            "training: accelerate_config: weights in shards (FSDP, ZeRO stage 3) are not supported; use ZeRO stage 2, "
            "or export the pairs (docendo tune --export preference) and train with TRL itself"
        )


class _Trainer(DPOTrainer):  # type: ignore[misc, unused-ignore]
    """TRL's, with pairs that are in tokens already, and checkpoints that are there whole or not at all."""

    def __init__(self, job: Job, **arguments: Any) -> None:
        self._folder = job.folder
        self.follower: _Follower | None = None
        super().__init__(**arguments)

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._folder / STAGING)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        main = self.accelerator.is_main_process
        if main:
            shutil.rmtree(self._folder / STAGING, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        Trainer._save_checkpoint(self, model, trial)  # not TRL's, which only adds a card
        self.accelerator.wait_for_everyone()
        if main:
            name = f"checkpoint-{self.state.global_step}"
            made, kept = self._folder / STAGING / name, self._folder / CHECKPOINTS
            assert self.follower is not None
            write_text(made / _CLOCK, json.dumps(self.follower.clock()))
            kept.mkdir(exist_ok=True)
            old = [path for path in kept.iterdir() if path.name != name]
            shutil.rmtree(kept / name, ignore_errors=True)
            made.rename(kept / name)
            for path in old:
                shutil.rmtree(path, ignore_errors=True)


class _Follower(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Writes down every step, keeps the best weights, and ends training when validation stops improving."""

    def __init__(
        self, job: Job, trainer: _Trainer, watch: TrainWatch | None, spent: float, tokens: int
    ) -> None:
        self._job, self._trainer, self._watch = job, trainer, watch
        self._began = time.perf_counter() - spent
        self._tokens_before = tokens
        self.tokens = tokens

    @property
    def seconds(self) -> float:
        """Since the first step, earlier sessions included."""
        return time.perf_counter() - self._began

    def clock(self) -> dict[str, Any]:
        """What a checkpoint keeps of what was spent."""
        return {"seconds": self.seconds, "tokens": self.tokens}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """A step was made."""
        if logs and "loss" in logs and "rewards/margins" in logs:
            self.tokens = self._tokens_before + int(logs.get("num_tokens", 0))
            self._tell(self._step(state, logs, ""))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """The validation pairs were looked at."""
        looks = [row["eval_loss"] for row in state.log_history if "eval_loss" in row]
        at = min(range(len(looks)), key=looks.__getitem__)
        best = at == len(looks) - 1
        if best:
            self._keep(state.global_step)
        self._tell(self._step(state, state.log_history[-1], "eval_", best=best))
        if len(looks) - 1 - at >= self._job.settings.patience:
            control.should_training_stop = True

    def _keep(self, step: int) -> None:
        weights = self._trainer.accelerator.get_state_dict(self._trainer.model_wrapped)
        if not self._trainer.accelerator.is_main_process:
            return
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        with new_folder(self._job.folder / BEST) as folder:
            model.save_pretrained(folder, state_dict=weights)
            write_text(folder / "step.json", json.dumps({"step": step}))

    def _step(self, state: Any, logs: Mapping[str, float], prefix: str, best: bool = False) -> Step:
        beta = self._job.settings.beta
        rewards = logs[f"{prefix}rewards/chosen"] + logs[f"{prefix}rewards/rejected"]
        return Step(
            step=state.global_step,
            steps=state.max_steps,
            loss=logs[f"{prefix}loss"],
            margin=logs[f"{prefix}rewards/margins"],
            accuracy=logs[f"{prefix}rewards/accuracies"],
            kl=-rewards / 2 / beta,
            validation=bool(prefix),
            best=best,
        )

    def _tell(self, step: Step) -> None:
        if self._trainer.accelerator.is_main_process:
            with (self._job.folder / LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(step)) + "\n")
        if self._watch is not None:
            self._watch.trained(step)


def _arguments(job: Job) -> DPOConfig:
    plan = job.settings
    cpu = _on_cpu(job)
    losses, weights = ["sigmoid"], [1.0]
    if plan.likelihood:
        losses, weights = ["sigmoid", "sft"], [1.0, plan.likelihood]
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    micro, times = plan.passes(devices)
    bf16 = plan.bf16 if plan.bf16 is not None else not cpu and torch.cuda.is_bf16_supported()
    every = job.checkpoint_every
    return DPOConfig(
        output_dir=str(job.folder / STAGING),
        use_cpu=cpu,
        bf16=bf16,
        fp16=False,
        loss_type=losses,
        loss_weights=weights,
        beta=plan.beta,
        learning_rate=plan.rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        num_train_epochs=plan.epochs,
        max_steps=plan.steps or -1,
        per_device_train_batch_size=micro,
        per_device_eval_batch_size=micro,
        gradient_accumulation_steps=times,
        # A reference of its own would be a second model in memory, and be asked again in every pass. An adapter is its
        # own reference when it is switched off; computing once is then only worth it for several passes.
        precompute_ref_log_probs=not plan.lora or plan.epochs > 1,
        max_length=None,
        gradient_checkpointing=plan.save_memory,
        eval_strategy="steps" if _looks(job) else "no",
        eval_steps=plan.evaluate_every or None,
        save_strategy="steps" if every else "no",
        save_steps=every or 500,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not cpu,
        seed=plan.seed,
        data_seed=plan.seed,
    )


def _looks(job: Job) -> bool:
    return bool(job.validation) and job.settings.evaluate_every > 0


def _on_cpu(job: Job) -> bool:
    return job.settings.device == "cpu" or not torch.cuda.is_available()


def _model(job: Job) -> tuple[Any, torch.dtype]:
    """The model to be trained, and the numbers its weights came in."""
    try:
        came: Any = AutoModelForCausalLM.from_pretrained(job.base.path, dtype="auto")
    except Exception as error:  # of any library in between: what is wrong is in its message
        raise ModelError(f"{job.base.path}: cannot be loaded: {type(error).__name__}: {error}") from error
    dtype: torch.dtype = came.dtype
    # Steps are smaller than what 16 bits tell apart. Under an adapter the weights themselves do not move.
    keep = job.settings.lora and not _on_cpu(job)
    return (came if keep else came.to(torch.float32)), dtype


def _dataset(rows: Sequence[Row], folder: Path) -> datasets.Dataset:
    """The pairs as TRL takes them, on disk.

    What it computes of the reference, once, is kept beside them, for all processes and for a training that goes on.
    """
    if not folder.is_dir():
        made = datasets.Dataset.from_list(
            [
                {"prompt_ids": list(r.prompt), "chosen_ids": list(r.chosen), "rejected_ids": list(r.rejected)}
                for r in rows
            ]
        )
        with new_folder(folder) as partial:
            made.save_to_disk(partial)
    return datasets.Dataset.load_from_disk(folder)


def _last_checkpoint(folder: Path) -> Path | None:
    found = [p for p in (folder / CHECKPOINTS).glob("checkpoint-*") if p.name.partition("-")[2].isdigit()]
    return max(found, key=lambda p: int(p.name.partition("-")[2]), default=None)


def _load(trainer: _Trainer, best: Path) -> None:
    """Put the best weights back."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "peft_config"):
        from peft import set_peft_model_state_dict
        from safetensors.torch import load_file

        set_peft_model_state_dict(model, load_file(best / "adapter_model.safetensors"))
        return
    state = AutoModelForCausalLM.from_pretrained(best, dtype=torch.float32).state_dict()
    model.load_state_dict(state)


def _write_model(job: Job, trainer: _Trainer, dtype: torch.dtype) -> None:
    """The tuned teacher as an ordinary folder: the first one's with other weights."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "peft_config"):
        with new_folder(job.folder / "adapter") as folder:
            model.save_pretrained(folder)
        model = model.merge_and_unload()
    model = model.to(dtype)
    with new_folder(job.folder / MODEL) as folder:
        model.save_pretrained(folder)
        source = job.base.folder
        if source is None:
            AutoTokenizer.from_pretrained(job.base.path).save_pretrained(folder)
        else:
            for path in source.iterdir():
                if path.is_file() and not path.name.endswith(_WEIGHTS) and path.name not in _NOT_COPIED:
                    shutil.copyfile(path, folder / path.name)
            if not (source / _GENERATION).is_file():
                (folder / _GENERATION).unlink(missing_ok=True)  # what is said there would beat config.json
        write_text(folder / "README.md", _card(job))


def _card(job: Job) -> str:
    plan = job.settings
    what = f"LoRA rank {plan.lora}" if plan.lora else "all weights"
    return (
        f"Tuned by `docendo tune` from `{Path(job.base.path).name}`: DPO (beta {plan.beta:g}, likelihood weight "
        f"{plan.likelihood:g}, learning rate {plan.rate:g}, {what}) on {len(job.train):,} pairs of its "
        "own lessons, ranked by what students could do after reading them.\n"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own progress bars and remarks: progress is told by docendo."""
    level = logging.get_verbosity()  # type: ignore[no-untyped-call, unused-ignore]
    was = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    logging.set_verbosity_error()  # type: ignore[no-untyped-call, unused-ignore]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of names that change between versions we accept
            yield
    finally:
        logging.set_verbosity(level)  # type: ignore[no-untyped-call, unused-ignore]
        datasets.enable_progress_bars()
        if was is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = was
