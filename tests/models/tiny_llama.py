"""Writes small random Llama folders for the engine's tests: the real format, made without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

BOS, UNKNOWN, END = 0, 1, 2

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 61,
    "max_position_embeddings": 96,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": BOS,
    "eos_token_id": END,
}

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of a Llama, written down anew so that a fault in the engine's own table would show."""
    h, f = config["hidden_size"], config["intermediate_size"]
    size = config.get("head_dim") or h // config["num_attention_heads"]
    q, kv = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    layer = {
        "self_attn.q_proj": (q, h),
        "self_attn.k_proj": (kv, h),
        "self_attn.v_proj": (kv, h),
        "self_attn.o_proj": (h, q),
        "mlp.gate_proj": (f, h),
        "mlp.up_proj": (f, h),
        "mlp.down_proj": (h, f),
        "input_layernorm": (h,),
        "post_attention_layernorm": (h,),
    }
    found = {"model.embed_tokens.weight": (config["vocab_size"], h), "model.norm.weight": (h,)}
    for i in range(config["num_hidden_layers"]):
        found |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], h)
    return found


def weights(config: dict[str, Any], seed: int, scale: float = 1.5) -> dict[str, np.ndarray]:
    """Random weights, large enough that logits differ clearly and attention is far from uniform."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in shapes(config).items():
        w = rng.standard_normal(shape) * scale / np.sqrt(shape[-1])
        made[name] = (np.abs(w) + 0.5 if len(shape) == 1 else w).astype(np.float32)
    return made


def tokenizer(vocab: int) -> Tokenizer:
    """Words " w3", " w4", ... that carry the space before them, and a blank line that ends an answer."""
    ids = {"<s>": BOS, "<unk>": UNKNOWN, "\n\n": END} | {f" w{i}": i for i in range(3, vocab)}
    made = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n\n| ?\w+|\s|[^\w\s]"), "isolated")
    made.decoder = decoders.Fuse()
    made.add_special_tokens(["<s>", "<unk>"])
    return made


def text(tokens: list[int]) -> str:
    """What ordinary tokens say."""
    return "".join(f" w{token}" for token in tokens)


def write(folder: Path, seed: int = 0, dtype: type = np.float32, scale: float = 1.5, **changes: Any) -> Path:
    """A model folder with `CONFIG` changed as told; a change to None removes the field."""
    config = {k: v for k, v in (CONFIG | changes).items() if v is not None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer(config["vocab_size"]).save(str(folder / "tokenizer.json"))
    made = {name: w.astype(dtype) for name, w in weights(config, seed, scale).items()}
    save_file(made, folder / "model.safetensors")
    return folder


def logits(config: dict[str, Any], w: dict[str, np.ndarray], tokens: list[int]) -> tuple[np.ndarray, float]:
    """The textbook forward pass in float64: next-token logits at every position, and the largest score.

    Plain rotary positions only; the other kinds are compared with transformers.
    """
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads
    n = len(tokens)

    def norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * gain

    def turn(x: np.ndarray) -> np.ndarray:
        angles = np.arange(n)[:, None] * config["rope_theta"] ** (-np.arange(0, size, 2) / size)
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        a, b = x[..., : size // 2], x[..., size // 2 :]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    w = {name: value.astype(np.float64) for name, value in w.items()}
    x, highest = w["model.embed_tokens.weight"][tokens], 0.0
    for i in range(config["num_hidden_layers"]):
        own = {name.removeprefix(f"model.layers.{i}."): value for name, value in w.items()}
        h = norm(x, own["input_layernorm.weight"])
        q, k, v = ((h @ own[f"self_attn.{c}_proj.weight"].T).reshape(n, -1, size) for c in "qkv")
        q, k = turn(q), turn(k)
        k, v = (y.repeat(heads // kv_heads, axis=1) for y in (k, v))
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(size)
        scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
        highest = max(highest, float(scores.max()))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        x = x + np.einsum("hij,jhd->ihd", weights, v).reshape(n, -1) @ own["self_attn.o_proj.weight"].T
        h = norm(x, own["post_attention_layernorm.weight"])
        gate = h @ own["mlp.gate_proj.weight"].T
        x = (
            x
            + (gate / (1 + np.exp(-gate)) * (h @ own["mlp.up_proj.weight"].T)) @ own["mlp.down_proj.weight"].T
        )
    head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return norm(x, w["model.norm.weight"]) @ head.T, highest


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))
