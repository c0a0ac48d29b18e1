"""Reads a Hugging Face Llama folder: configuration, checksums and raw tensors, each checked before use.

Everything a user can get wrong about a model folder ends here in a `ModelError` that names the file and the
field or tensor. What the tensors mean is left to `llama.py`, the tokenizer to `text.py`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docendo.errors import ModelError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
CHECKSUMS = "SHA256SUMS"

# bfloat16 has no NumPy type: its bits are the upper half of a float32's, so they are read as integers.
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


@dataclass(frozen=True, slots=True)
class Llama3Rope:
    """The rotary scaling of Llama 3.1 (`rope_type` "llama3"): long wavelengths are stretched by `factor`."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True, slots=True)
class Config:
    """The shape of a Llama model; sizes in units of features, heads, layers or tokens."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    eps: float
    rope_theta: float
    rope_scaling: Llama3Rope | None
    tied: bool
    bos: int | None
    eos: tuple[int, ...]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor the model has, by its name in the weights file."""
        h, q, kv = self.hidden, self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab, h)}
        for layer in range(self.layers):
            at = f"model.layers.{layer}."
            shapes |= {
                at + "input_layernorm.weight": (h,),
                at + "self_attn.q_proj.weight": (q, h),
                at + "self_attn.k_proj.weight": (kv, h),
                at + "self_attn.v_proj.weight": (kv, h),
                at + "self_attn.o_proj.weight": (h, q),
                at + "post_attention_layernorm.weight": (h,),
                at + "mlp.gate_proj.weight": (self.intermediate, h),
                at + "mlp.up_proj.weight": (self.intermediate, h),
                at + "mlp.down_proj.weight": (h, self.intermediate),
            }
        shapes["model.norm.weight"] = (h,)
        if not self.tied:
            shapes["lm_head.weight"] = (self.vocab, h)
        return shapes

    @property
    def parameters(self) -> int:
        """How many numbers the model has learnt; a tied head counts once."""
        return sum(math.prod(shape) for shape in self.shapes().values())


def verify(folder: Path) -> None:
    """Compare every file listed in the folder's `SHA256SUMS` (where there is one) with its checksum.

    Raises:
        ModelError: A listed file is missing or differs from what was shipped.
    """
    sums = folder / CHECKSUMS
    if not sums.is_file():
        return
    for number, line in enumerate(_read(sums).decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        digest, _, name = line.strip().partition(" ")
        name = name.strip().removeprefix("*")
        if len(digest) != 64 or not name:
            raise ModelError(f"{sums}:{number}: not a line of sha256sum; reinstall the package")
        if _sha256(folder / name) != digest.lower():
            raise ModelError(
                f"{folder / name} is corrupt: its SHA-256 is not the one in {CHECKSUMS}; "
                "reinstall the package (or fetch the model again)"
            )


def read_config(folder: Path) -> Config:
    """Read `config.json` (and the end tokens of `generation_config.json`, where there is one).

    Raises:
        ModelError: No such folder or file, not JSON, a missing or senseless field, or a feature that this
            engine does not have; the message names it.
    """
    path = folder / CONFIG
    raw = _Fields(path, _read_json(path))
    _refuse_unsupported(raw)
    hidden, heads = raw.size("hidden_size"), raw.size("num_attention_heads")
    kv_heads = raw.size("num_key_value_heads", heads)
    head_dim = raw.size("head_dim", max(hidden // heads, 1))
    if heads % kv_heads:
        raise ModelError(
            f"{path}: num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
        )
    if head_dim % 2:
        raise ModelError(f"{path}: head_dim {head_dim} is odd, which rotary positions cannot use")
    theta, scaling = _rope(raw)
    eos = raw.tokens("eos_token_id")
    extra = folder / "generation_config.json"
    if extra.is_file():
        eos += _Fields(extra, _read_json(extra)).tokens("eos_token_id")
    bos = raw.tokens("bos_token_id")
    return Config(
        hidden=hidden,
        intermediate=raw.size("intermediate_size"),
        layers=raw.size("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=raw.size("vocab_size"),
        context=raw.size("max_position_embeddings"),
        eps=raw.number("rms_norm_eps", 1e-6),
        rope_theta=theta,
        rope_scaling=scaling,
        tied=bool(raw.get("tie_word_embeddings", False)),
        bos=bos[0] if bos else None,
        eos=tuple(dict.fromkeys(eos)),
    )


def _refuse_unsupported(raw: _Fields) -> None:
    """Name the first feature that would be computed wrongly if it were ignored."""
    wanted = {
        "model_type": ("llama",),
        "hidden_act": ("silu", "swish"),
        "attention_bias": (False, None),
        "mlp_bias": (False, None),
        "sliding_window": (None,),
        "quantization_config": (None,),
        "partial_rotary_factor": (1, None),
    }
    defaults = {"model_type": None, "hidden_act": "silu"}
    for field, allowed in wanted.items():
        value = raw.get(field, defaults.get(field))
        if value not in allowed:
            raise ModelError(
                f"{raw.path}: {field} = {value!r} is not supported by the built-in engine, "
                "which runs plain Llama models; serve this model behind an endpoint instead"
            )


def _rope(raw: _Fields) -> tuple[float, Llama3Rope | None]:
    """Rotary settings: `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before)."""
    field = "rope_parameters" if raw.get("rope_parameters") else "rope_scaling"
    value = raw.get(field) or {}
    if not isinstance(value, dict):
        raise ModelError(f"{raw.path}: {field} is not an object")
    rope = _Fields(raw.path, value, field + ".")
    theta = rope.number("rope_theta", raw.number("rope_theta", 10000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor", 1) != 1:
        raise ModelError(f"{raw.path}: {field}.partial_rotary_factor is not supported by the built-in engine")
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise ModelError(
            f"{raw.path}: {field}.rope_type = {kind!r} is not supported by the built-in engine "
            "(it knows default and llama3); serve this model behind an endpoint instead"
        )
    return theta, Llama3Rope(
        factor=rope.number("factor"),
        low_freq_factor=rope.number("low_freq_factor"),
        high_freq_factor=rope.number("high_freq_factor"),
        original_context=rope.size("original_max_position_embeddings", raw.size("max_position_embeddings")),
    )


def weight_files(folder: Path) -> list[Path]:
    """The folder's weight files: `model.safetensors`, or the shards that its index lists, by name.

    Raises:
        ModelError: there is neither, or the index is not one.
    """
    path, index = folder / WEIGHTS, folder / INDEX
    if path.is_file():
        return [path]
    if not index.is_file():
        raise ModelError(f"{path}: no such file (nor {INDEX})")
    table = _read_json(index).get("weight_map")
    names = sorted(set(table.values())) if isinstance(table, dict) and _texts(table.values()) else []
    if not names:
        raise ModelError(f"{index}: weight_map does not say which file holds which tensor")
    if wrong := next((name for name in names if Path(name).name != name), None):
        raise ModelError(f"{index}: {wrong!r} is not the name of a file in this folder")
    if missing := next((name for name in names if not (folder / name).is_file()), None):
        raise ModelError(f"{folder / missing}: no such file, but {INDEX} lists it")
    return [folder / name for name in names]


def _texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def read_weights(folder: Path, config: Config) -> dict[str, NDArray[Any]]:
    """Map the weight files into memory: each expected tensor under its name, not yet converted.

    Each file's own table is checked against `config` and against the file's length, so a truncated download
    is found here and not as nonsense text later. Use `as_float32` on each tensor.

    Raises:
        ModelError: A file is missing, unreadable or truncated; a tensor is missing, unexpected, of another
            shape or of a type other than F32, F16 and BF16.
    """
    shapes = config.shapes()
    found: dict[str, NDArray[Any]] = {}
    files = weight_files(folder)
    for path in files:
        table, start = _weights_table(path)
        data = np.memmap(path, dtype=np.uint8, mode="r", offset=start)
        unexpected = sorted(name for name in table if name not in shapes and not _harmless(name))
        if unexpected:
            raise ModelError(f"{path}: tensor {unexpected[0]} belongs to no plain Llama model of this config")
        own = {name: shape for name, shape in shapes.items() if name in table}
        found |= {name: _tensor(path, name, shape, table, data) for name, shape in own.items()}
    if missing := next((name for name in shapes if name not in found), None):
        raise ModelError(f"{files[0] if len(files) == 1 else folder / INDEX}: tensor {missing} is missing")
    return found


def _weights_table(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file: 8 bytes of length, then JSON; and where the data starts."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise ModelError(f"{path} is truncated or not a safetensors file; fetch or install it again")
        try:
            table = json.loads(file.read(length))
        except ValueError as error:
            raise ModelError(f"{path}: unreadable header ({error}); fetch or install it again") from None
    if not isinstance(table, dict) or size == 8 + length:
        raise ModelError(f"{path}: the header lists no tensors; fetch or install it again")
    table.pop("__metadata__", None)
    return table, 8 + length


def _tensor(
    path: Path, name: str, shape: tuple[int, ...], table: Mapping[str, Any], data: NDArray[np.uint8]
) -> NDArray[Any]:
    entry = table[name]
    try:
        kind, found = str(entry["dtype"]), tuple(entry["shape"])
        begin, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{path}: unreadable header entry for tensor {name}") from None
    if kind not in _DTYPES:
        raise ModelError(f"{path}: tensor {name} has type {kind}; the engine reads F32, F16 and BF16")
    if found != shape:
        raise ModelError(f"{path}: tensor {name} has shape {list(found)}; {CONFIG} implies {list(shape)}")
    dtype = _DTYPES[kind]
    if begin < 0 or end - begin != math.prod(shape) * dtype.itemsize:
        raise ModelError(f"{path}: tensor {name} has the wrong length; fetch or install the file again")
    if end > data.size:
        raise ModelError(f"{path} is truncated within tensor {name}; fetch or install it again")
    # A copy where the file did not align its data: unaligned views are slow and, on some machines, faults.
    raw = data[begin:end]
    aligned = raw if raw.ctypes.data % dtype.itemsize == 0 else np.array(raw)
    return aligned.view(dtype).reshape(shape)


def as_float32(folder: Path, name: str, raw: NDArray[Any]) -> NDArray[np.float32]:
    """One tensor as float32, in memory of its own.

    Raises:
        ModelError: It holds NaN or infinite values, which would silently poison every answer.
    """
    if raw.dtype == np.uint16:
        wide = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    else:
        wide = np.array(raw, dtype=np.float32)
    if not np.isfinite(wide).all():
        path = folder / (WEIGHTS if (folder / WEIGHTS).is_file() else INDEX)
        raise ModelError(f"{path}: tensor {name} holds NaN or infinite values")
    return wide


def _harmless(name: str) -> bool:
    """Tensors that older exports carry although they are recomputed or tied."""
    return name.endswith("rotary_emb.inv_freq") or name == "lm_head.weight"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read(path))
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: not a JSON object")
    return value


class _Fields:
    """Typed access to a JSON object, with errors that name file and field."""

    def __init__(self, path: Path, raw: Mapping[str, Any], prefix: str = "") -> None:
        self.path, self._raw, self._prefix = path, raw, prefix

    def get(self, field: str, default: Any = None) -> Any:
        return self._raw.get(field, default)

    def size(self, field: str, default: int | None = None) -> int:
        """A positive integer; null counts as absent."""
        value = self._raw.get(field)
        value = default if value is None else value
        if type(value) is not int or value < 1:
            raise ModelError(f"{self.path}: {self._prefix}{field} = {value!r} is not a positive integer")
        return value

    def number(self, field: str, default: float | None = None) -> float:
        """A positive finite number; null counts as absent."""
        value = self._raw.get(field)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ModelError(f"{self.path}: {self._prefix}{field} = {value!r} is not a positive number")
        return float(value)

    def tokens(self, field: str) -> tuple[int, ...]:
        """A token id, a list of them, or null."""
        value = self._raw.get(field)
        ids = [] if value is None else value if isinstance(value, list) else [value]
        if not all(type(token) is int and token >= 0 for token in ids):
            raise ModelError(f"{self.path}: {self._prefix}{field} = {value!r} is not a token id")
        return tuple(ids)
