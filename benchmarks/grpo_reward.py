"""GRPO on the school with LbT as the reward: does the reward rise, and does the answers' correctness with it?

The trainer is plain TRL; all of docendo in it is the reward, which knows no gold answer of the trained problems
(correctness is only looked at for the table). The table has means over the same problems and as many fresh samples of
each, before and after. Needs the extra `train`.

    python benchmarks/grpo_reward.py [--steps 32] [--out runs/grpo]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from docendo import Problem, load_problems
from docendo.models.resolve import folder_of
from docendo.prompts import Prompts
from docendo.tune.reward import LbTReward, Rewarded

BOS, END = "<s>", "\n\n"
GENERATIONS = 8


def opened(folder: Path) -> tuple[Any, Any]:
    """The teacher and its tokenizer, as transformers has them."""
    tokenizer = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call, unused-ignore]
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token=BOS,
        eos_token=END,
        unk_token="<unk>",
        pad_token="<unk>",
        padding_side="left",
    )
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def written(model: Any, tokenizer: Any, prompts: Sequence[str], samples: int) -> list[str]:
    """`samples` completions of each prompt, one prompt's side by side."""
    given = tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
    torch.manual_seed(7)
    with torch.no_grad():
        ids = model.generate(
            **{name: given[name] for name in ("input_ids", "attention_mask")},
            do_sample=True,
            temperature=1.0,
            max_new_tokens=40,
            num_return_sequences=samples,
        )
    return list(tokenizer.batch_decode(ids[:, given["input_ids"].shape[1] :], skip_special_tokens=True))


def measured(
    model: Any, tokenizer: Any, rows: Sequence[dict[str, str]], reward: LbTReward, samples: int = 8
) -> list[Rewarded]:
    """What came of fresh completions of every problem."""
    texts = written(model.eval(), tokenizer, [row["prompt"] for row in rows], samples)
    return reward.judge([row["problem"] for row in rows for _ in range(samples)], texts)


def row(name: str, found: Sequence[Rewarded]) -> str:
    """One line of the table."""
    value, right = (
        sum(v) / len(found) for v in ([o.value for o in found], [o.correct or 0.0 for o in found])
    )
    read = sum(one.fate != "unreadable" for one in found) / len(found)
    return f"| {name} | {value:.3f} | {right:.3f} | {read:.3f} |"


def main(given: Sequence[str] | None = None) -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--prompts", type=int, default=8, help="a step")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--score", choices=("answers", "likelihood"), default="answers")
    parser.add_argument("--out")
    chosen = parser.parse_args(given)
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    problems: list[Problem] = load_problems("school:m1-dev", limit=chosen.problems)
    style = Prompts("school")
    rows = [{"prompt": f"{BOS}{style.teach(p)}", "problem": p.id} for p in problems]
    model, tokenizer = opened(folder_of("school:teacher"))
    with (
        tempfile.TemporaryDirectory() as scratch,
        LbTReward(problems, exams="school:m1-dev-exams", exam_score=chosen.score) as reward,
    ):
        before = measured(model, tokenizer, rows, reward)
        began = time.monotonic()
        trainer = GRPOTrainer(
            model,
            reward_funcs=reward,  # type: ignore[arg-type, unused-ignore]
            processing_class=tokenizer,
            train_dataset=datasets.Dataset.from_list(rows),
            args=GRPOConfig(
                output_dir=chosen.out or scratch,
                max_steps=chosen.steps,
                per_device_train_batch_size=chosen.prompts * GENERATIONS,
                num_generations=GENERATIONS,
                max_completion_length=40,
                learning_rate=chosen.rate,
                lr_scheduler_type="constant_with_warmup",
                warmup_steps=4,
                temperature=1.0,
                beta=0.0,
                use_cpu=True,
                bf16=False,
                seed=0,
                logging_steps=1,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
                gradient_checkpointing=False,
            ),
        )
        trainer.train()
        took = time.monotonic() - began
        after = measured(trainer.model, tokenizer, rows, reward)
        asked = reward.meter.total()
    curve = [float(step["reward"]) for step in trainer.state.log_history if "reward" in step]
    ends = [sum(part) / max(len(part), 1) for part in (curve[:5], curve[-5:])]
    print("| teacher | reward | right | readable |\n|---|---:|---:|---:|")
    print(row("before", before))
    print(row(f"after {chosen.steps} steps of GRPO", after))
    print(f"\nIn training: reward {ends[0]:.3f} in the first 5 steps, {ends[1]:.3f} in the last 5.")
    print(f"{asked.sent:,} exam questions in {took:.0f} s of training.")
    if chosen.out:
        trainer.save_model(chosen.out)


if __name__ == "__main__":
    main()
