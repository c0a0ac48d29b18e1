"""A small Llama in PyTorch, for schooling only: plain matrix-product attention compiles fastest at this size.

Parameter names are those of Hugging Face's Llama, so `save` writes an ordinary folder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Size:
    """A model's shape."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    context: int = 512
    theta: float = 10000.0


class Norm(nn.Module):
    """RMS normalisation with a learnt gain."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis."""
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight).to(x.dtype)


class Attention(nn.Module):
    """Causal self-attention within documents."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, self.width = size.heads, size.hidden // size.heads
        self.q_proj = nn.Linear(size.hidden, size.hidden, bias=False)
        self.k_proj = nn.Linear(size.hidden, size.hidden, bias=False)
        self.v_proj = nn.Linear(size.hidden, size.hidden, bias=False)
        self.o_proj = nn.Linear(size.hidden, size.hidden, bias=False)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """`mask` (batch, 1, length, length) is added to the scores."""
        b, t, c = x.shape
        q = _rotate(self.q_proj(x).view(b, t, self.heads, self.width).transpose(1, 2), cos, sin)
        k = _rotate(self.k_proj(x).view(b, t, self.heads, self.width).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(b, t, self.heads, self.width).transpose(1, 2)
        scores = q @ k.transpose(-1, -2) * self.width**-0.5 + mask
        y = torch.softmax(scores.float(), -1).to(v.dtype) @ v
        return self.o_proj(y.transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    """One layer."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.input_layernorm = Norm(size.hidden)
        self.self_attn = Attention(size)
        self.post_attention_layernorm = Norm(size.hidden)
        self.mlp = nn.ModuleDict(
            {
                "gate_proj": nn.Linear(size.hidden, size.intermediate, bias=False),
                "up_proj": nn.Linear(size.hidden, size.intermediate, bias=False),
                "down_proj": nn.Linear(size.intermediate, size.hidden, bias=False),
            }
        )

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Attention, then the gated feed-forward, each added to the stream."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        y = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](functional.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y))


class Llama(nn.Module):
    """Token ids (batch, length) and document numbers to the stream before the head (batch, length, hidden)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.embed_tokens = nn.Embedding(size.vocabulary, size.hidden)
        self.layers = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = Norm(size.hidden)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                small = (
                    0.02 / (2 * size.layers) ** 0.5
                    if name.endswith(("o_proj.weight", "down_proj.weight"))
                    else 0.02
                )
                nn.init.normal_(weight, std=small if "embed" in name else small * (384 / size.hidden) ** 0.5)

    def forward(self, ids: torch.Tensor, owner: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """`owner` and `positions` (batch, length): attention stays inside a document, positions start at its BOS."""
        t = ids.shape[1]
        allowed = (owner[:, :, None] == owner[:, None, :]) & torch.ones(t, t, dtype=torch.bool).tril()
        x = self.embed_tokens(ids)
        mask = torch.zeros(allowed.shape, dtype=x.dtype).masked_fill(~allowed, -1e9)[:, None]
        width = self.size.hidden // self.size.heads
        inverse = self.size.theta ** (-torch.arange(0, width, 2).float() / width)
        angles = torch.cat([positions[..., None].float() * inverse] * 2, -1)[:, None]
        cos, sin = angles.cos(), angles.sin()
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.norm(x)

    def logits(self, stream: torch.Tensor) -> torch.Tensor:
        """The head is the embedding."""
        return functional.linear(stream, self.embed_tokens.weight)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return (x * cos + turned * sin).to(x.dtype)


def save(model: Llama, tokenizer: Tokenizer, folder: Path, card: str) -> None:
    """Write config.json, tokenizer files, float16 weights, the model card and SHA256SUMS."""
    folder.mkdir(parents=True, exist_ok=True)
    size = model.size
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "head_dim": size.hidden // size.heads,
        "intermediate_size": size.intermediate,
        "vocab_size": size.vocabulary,
        "max_position_embeddings": size.context,
        "rope_theta": size.theta,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": tokenizer.token_to_id("<s>"),
        "eos_token_id": tokenizer.token_to_id("\n\n"),
        "torch_dtype": "float16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokens = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "unk_token": "<unk>",
        "eos_token": "\n\n",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens, indent=2) + "\n")
    # Clones, so that no two names share storage, which safetensors refuses.
    weights = {
        f"model.{name}": w.detach().to(torch.float16).clone() for name, w in model.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "README.md").write_text(card)
    names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")


def checkpoint(path: Path, model: Llama, **more: Any) -> None:
    """Write a resumable checkpoint whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save({"size": asdict(model.size), "model": model.state_dict(), **more}, partial)
    partial.replace(path)


def load_weights(folder: Path, size: Size) -> Llama:
    """A model with the weights of a saved folder."""
    model = Llama(size)
    stored = load_file(folder / "model.safetensors")
    model.load_state_dict({name.removeprefix("model."): w.float() for name, w in stored.items()})
    return model
