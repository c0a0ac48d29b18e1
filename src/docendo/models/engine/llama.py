"""The Llama network in float32 NumPy: fused weights and everything in a layer except who attends to whom.

Rows are tokens: every function takes and gives (rows, features) arrays, whatever prompts the rows belong to.
Attention itself comes in from outside (`prefill.py` over a tree of prompts, `decode.py` over samples), since
only it depends on how rows share their past.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docendo.models.engine.folder import Config, Llama3Rope
from docendo.models.engine.tree import Ints

Floats = NDArray[np.float32]
Turns = NDArray[np.complex64]

# attend(layer, q, kv) -> (rows of q, heads * head_dim); kv is (rows, 2 * kv_heads * head_dim), keys first.
Attend = Callable[[int, Floats, Floats], Floats]


class Scratch:
    """Named buffers that grow and are used again, as fresh large arrays cost a page fault for every 4 KB."""

    def __init__(self) -> None:
        self._buffers: dict[object, Floats] = {}

    def get(self, name: object, *shape: int) -> Floats:
        """A C-contiguous array, valid until `name` is asked for again; holds old numbers, at first zeros."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.zeros(size + size // 4, np.float32)
        return buffer[:size].reshape(shape)

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return sum(buffer.nbytes for buffer in self._buffers.values())

    def clear(self) -> None:
        """Let go of everything."""
        self._buffers.clear()


class Llama:
    """A model's weights, laid out for products with row-major activations.

    Weights are kept as (in, out). Query, key and value weights are one matrix, gate and up another. Four
    things are folded in once instead of being computed for each token: the gains of the norms go into
    the matrices after them, 1/sqrt(head_dim) goes into the queries, gate and up change their signs (exp(-gate)
    is what is wanted, and the product of both stays the same), and the features of queries and keys are
    reordered so that the two which a rotary position turns together are neighbours: the turn is then one
    product of complex numbers, and dot products do not depend on the order of features.

    Args:
        config: The model's shape.
        read: Gives a tensor by its name, so that no more than one is held beside what is made of them.
    """

    def __init__(self, config: Config, read: Callable[[str], Floats]) -> None:
        self.config = config
        self.scratch = Scratch()
        self.embedding = read("model.embed_tokens.weight")
        self._qkv, self._out, self._gate_up, self._down = [], [], [], []
        keep = _Shelf(config)
        scale = np.float32(config.head_dim**-0.5)
        for layer in range(config.layers):
            at = f"model.layers.{layer}."
            q = _pairs_together(read(at + "self_attn.q_proj.weight"), config.heads) * scale
            k = _pairs_together(read(at + "self_attn.k_proj.weight"), config.kv_heads)
            v = read(at + "self_attn.v_proj.weight")
            gain = read(at + "input_layernorm.weight")
            self._qkv.append(keep(np.concatenate([q, k, v]) * gain))
            self._out.append(keep(read(at + "self_attn.o_proj.weight")))
            gain = read(at + "post_attention_layernorm.weight")
            gate, up = read(at + "mlp.gate_proj.weight"), read(at + "mlp.up_proj.weight")
            self._gate_up.append(keep(np.concatenate([gate, up]) * -gain))
            self._down.append(keep(read(at + "mlp.down_proj.weight")))
        head = self.embedding if config.tied else read("lm_head.weight")
        self._head = keep(head * read("model.norm.weight"))
        self._frequencies = _frequencies(config)
        self._turns: Turns = np.empty((0, config.head_dim // 2), np.complex64)

    def embed(self, tokens: Ints) -> Floats:
        """The stream (rows, hidden) at the bottom of the network, the caller's to change."""
        return self.embedding[tokens]

    def turns(self, positions: Ints) -> Turns:
        """Rotations (rows, (heads + kv_heads) * head_dim / 2) of queries and keys at `positions`."""
        wanted = int(positions.max(initial=0)) + 1
        if wanted > len(self._turns):
            size = min(self.config.context, max(256, 2 * wanted))
            angles = np.arange(size, dtype=np.float32)[:, None] * self._frequencies
            self._turns = np.cos(angles) + 1j * np.sin(angles)
        return np.tile(self._turns[positions], (1, self.config.heads + self.config.kv_heads))

    def layer(self, layer: int, x: Floats, turns: Turns, attend: Attend, keep: Ints | None = None) -> Floats:
        """Pass the stream `x` through one layer, in place.

        Args:
            layer: Which, from 0.
            x: The stream (rows, hidden).
            turns: What `turns` gave for the rows' positions.
            attend: Attention over what the caller knows; it is handed all rows' keys and values.
            keep: Rows whose stream is needed above this layer; all if None.

        Returns:
            The stream of the rows kept.
        """
        c, get, n = self.config, self.scratch.get, len(x)
        queries = c.heads * c.head_dim
        rotated = queries + c.kv_heads * c.head_dim
        qkv = get("qkv", n, rotated + c.kv_heads * c.head_dim)
        np.matmul(self._normed(x), self._qkv[layer], out=qkv)
        turned = qkv[:, :rotated].view(np.complex64)
        np.multiply(turned, turns, out=turned)
        q, kv = qkv[:, :queries], qkv[:, queries:]
        if keep is not None:
            x, q = x[keep], q[keep]
            n = len(x)
        step = get("step", n, c.hidden)
        x += np.matmul(attend(layer, q, kv), self._out[layer], out=step)

        gate_up = get("gate_up", n, 2 * c.intermediate)
        np.matmul(self._normed(x), self._gate_up[layer], out=gate_up)
        gate, up = gate_up[:, : c.intermediate], gate_up[:, c.intermediate :]
        active = get("active", n, c.intermediate)
        np.exp(gate, out=active)
        active += 1
        np.divide(gate, active, out=active)
        active *= up
        x += np.matmul(active, self._down[layer], out=step)
        return x

    def logits(self, x: Floats) -> Floats:
        """Next-token logits (rows, vocab) at the top of the stream; valid until the next call."""
        return np.matmul(
            self._normed(x), self._head, out=self.scratch.get("logits", len(x), self.config.vocab)
        )

    def _normed(self, x: Floats) -> Floats:
        """RMS normalisation without its gain, which is part of the matrix that follows."""
        squares: Floats = np.vecdot(x, x)
        squares /= np.float32(self.config.hidden)
        squares += np.float32(self.config.eps)
        np.sqrt(squares, out=squares)
        return np.divide(x, squares[:, None], out=self.scratch.get("normed", *x.shape))


class _Shelf:
    """One array for all matrices: systems keep large arrays in large pages, which are found faster."""

    def __init__(self, config: Config) -> None:
        layer = config.hidden * (
            2 * (config.heads + config.kv_heads) * config.head_dim + 3 * config.intermediate
        )
        self._free = np.empty(config.layers * layer + config.hidden * config.vocab, np.float32)

    def __call__(self, weight: Floats) -> Floats:
        """A copy of `weight` (out, in) as (in, out)."""
        turned, self._free = self._free[: weight.size].reshape(weight.shape[::-1]), self._free[weight.size :]
        turned[:] = weight.T
        return turned


def exact_softmax(scores: Callable[[], None], exps: Floats, sums: Floats) -> None:
    """Turn attention scores into unnormalised probabilities in `exps`, and their row sums in `sums`.

    `scores()` writes the scores into `exps`, minus infinity where a row must not look. The usual subtraction
    of each row's maximum is left out: float32 has exponents to spare, so that exp alone is as exact, unless a
    sum comes near the ends of the range. Then all is computed again with the subtraction.
    """
    scores()
    np.exp(exps, out=exps)
    flat, ones = exps.reshape(-1, exps.shape[-1]), np.ones(exps.shape[-1], np.float32)
    np.matmul(
        flat, ones, out=sums
    )  # as a product, since NumPy's sums over short rows are several times slower
    if not (sums.min() > 1e-20 and sums.max() < 1e20):
        scores()
        exps -= exps.max(axis=-1, keepdims=True)
        np.exp(exps, out=exps)
        np.matmul(flat, ones, out=sums)


def _pairs_together(weight: Floats, heads: int) -> Floats:
    """Reorder each head's features from (first halves, second halves) to pairs."""
    out, size = weight.shape
    return weight.reshape(heads, 2, out // heads // 2, size).transpose(0, 2, 1, 3).reshape(out, size)


def _frequencies(config: Config) -> Floats:
    """Radians per position of each rotary pair, in float32 as the reference implementation has it."""
    exponents = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
    plain: NDArray[Any] = 1.0 / np.power(np.float32(config.rope_theta), exponents)
    if config.rope_scaling is not None:
        plain = _stretched(plain, config.rope_scaling)
    return plain.astype(np.float32)


def _stretched(plain: NDArray[Any], rope: Llama3Rope) -> NDArray[Any]:
    """Llama 3.1's scaling: long wavelengths are stretched, short ones kept, those between interpolated."""
    low, high = rope.original_context / rope.low_freq_factor, rope.original_context / rope.high_freq_factor
    wavelengths = 2 * math.pi / plain
    blend = (rope.original_context / wavelengths - rope.low_freq_factor) / (
        rope.high_freq_factor - rope.low_freq_factor
    )
    between = (1 - blend) * plain / rope.factor + blend * plain
    return np.where(wavelengths > low, plain / rope.factor, np.where(wavelengths < high, plain, between))
