"""The engine against the usual implementation: equal greedy tokens and log-likelihoods for every feature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_llama

from docendo.models.engine import Engine, Request

torch = pytest.importorskip("torch", reason="needs the train extra")
transformers = pytest.importorskip("transformers", reason="needs the train extra")
torch.set_num_threads(1)  # more only wait for one another at this size

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped": {"num_key_value_heads": 2},
    "one-key-head": {"num_key_value_heads": 1, "num_attention_heads": 8},
    "untied": {"tie_word_embeddings": False},
    "wide-heads": {"head_dim": 16, "num_key_value_heads": 2},
    "llama3": {"rope_scaling": tiny_llama.LLAMA3},
    "llama3-new-style": {"rope_theta": None, "rope_parameters": tiny_llama.LLAMA3 | {"rope_theta": 500.0}},
    "default-new-style": {
        "rope_theta": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": 77.0},
    },
    "large-eps": {"rms_norm_eps": 0.3},
    "deep": {"num_hidden_layers": 5, "vocab_size": 300},
    "sharp": {"scale": 3.0},
    "half": {"dtype": np.float16},
}


def tree_of_prompts(seed: int, vocab: int) -> list[list[int]]:
    """An instruction, lessons after it, exam problems after each, some asked twice; of all lengths."""
    rng = np.random.default_rng(seed)

    def some(low: int, high: int) -> list[int]:
        return rng.integers(3, vocab, int(rng.integers(low, high))).tolist()

    prompts = []
    shared = [0, *some(3, 12)]
    for _ in range(4):
        lesson = shared + some(4, 16)
        for _ in range(3):
            problem = lesson + some(1, 10)
            prompts += [problem] * int(rng.integers(1, 4))
    return [*prompts, shared, [0], some(60, 70)]


def reference(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def compare(folder: Path, seed: int, new: int = 12) -> None:
    engine, model = Engine(folder), reference(folder)
    prompts = tree_of_prompts(seed, engine.config.vocab)
    results = engine.generate([Request(prompt, new) for prompt in prompts])
    pairs = [(prompt[: len(prompt) // 2 + 1], prompt[len(prompt) // 2 + 1 :]) for prompt in prompts]
    scores = engine.loglikelihood(pairs)
    for prompt, result, (head, tail), score in zip(prompts, results, pairs, scores, strict=True):
        # Each token is the reference's choice after those before it, so the whole is its greedy answer.
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *result.tokens]])).logits[0, :-1]
        assert list(result.tokens) == logits[len(prompt) - 1 :].argmax(-1).tolist()
        assert len(result.tokens) == new or result.tokens[-1] == tiny_llama.END
        logs = logits.double().log_softmax(-1)
        total = sum(logs[len(head) + i - 1, token].item() for i, token in enumerate(tail))
        assert score.tokens == len(tail)
        assert score.total == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_greedy_tokens_and_log_likelihoods_equal_transformers(tmp_path: Path, case: str, seed: int) -> None:
    compare(tiny_llama.write(tmp_path / case, seed=seed, **CASES[case]), seed)


@pytest.mark.parametrize("tied", [True, False])
def test_a_bfloat16_folder_saved_by_transformers_is_read(tmp_path: Path, tied: bool) -> None:
    plain = tiny_llama.write(tmp_path / "plain", tie_word_embeddings=tied, rope_scaling=tiny_llama.LLAMA3)
    folder = tmp_path / "bf16"
    reference(plain).bfloat16().save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((plain / "tokenizer.json").read_bytes())
    compare(folder, seed=3)
