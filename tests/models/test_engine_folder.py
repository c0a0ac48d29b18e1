"""Loading: what can be wrong with a model folder is said, with the file and what in it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_llama
from safetensors.numpy import load_file, save_file

from docendo.errors import ModelError, UnspeakableError
from docendo.models.engine import Engine, Request


def refused(folder: Path, *parts: str) -> str:
    with pytest.raises(ModelError) as caught:
        Engine(folder)
    for part in parts:
        assert part in str(caught.value)
    return str(caught.value)


def test_a_good_folder_loads_and_counts_its_parameters(tmp_path: Path) -> None:
    folder = tiny_llama.write(tmp_path / "m")
    stored = load_file(folder / "model.safetensors")
    engine = Engine(folder)
    assert engine.config.parameters == sum(w.size for w in stored.values())
    assert engine.config.context == 96


def test_an_untied_head_counts_as_parameters(tmp_path: Path) -> None:
    folder = tiny_llama.write(tmp_path / "m", tie_word_embeddings=False)
    stored = load_file(folder / "model.safetensors")
    assert "lm_head.weight" in stored
    assert Engine(folder).config.parameters == sum(w.size for w in stored.values())


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = tiny_llama.write(tmp_path / "m")
    (folder / name).unlink()
    refused(folder, str(folder / name))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "mistral"}, "model_type"),
        ({"model_type": None}, "model_type"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"sliding_window": 64}, "sliding_window"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "yarn"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "linear"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    ],
)
def test_an_unsupported_feature_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    folder = tiny_llama.write(tmp_path / "m", **change)
    refused(folder, "config.json", named)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hidden_size": "32"}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"vocab_size": None}, "vocab_size"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
        ({"eos_token_id": "end"}, "eos_token_id"),
        ({"rope_theta": -1}, "rope_theta"),
        ({"head_dim": 7}, "head_dim"),
    ],
)
def test_a_senseless_field_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    folder = tiny_llama.write(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    refused(folder, "config.json", named)


def test_broken_json_names_its_file(tmp_path: Path) -> None:
    folder = tiny_llama.write(tmp_path / "m")
    for name in ("config.json", "tokenizer.json"):
        whole = (folder / name).read_text()
        (folder / name).write_text(whole[:-20])
        refused(folder, name)
        (folder / name).write_text(whole)


@pytest.mark.parametrize("keep", [0, 5, 100, -1, -1000])
def test_a_truncated_weight_file_is_noticed(tmp_path: Path, keep: int) -> None:
    path = tiny_llama.write(tmp_path / "m") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(path.parent, str(path))


def test_a_weight_file_of_noise_is_refused(tmp_path: Path) -> None:
    path = tiny_llama.write(tmp_path / "m") / "model.safetensors"
    path.write_bytes((64).to_bytes(8, "little") + np.random.default_rng(0).bytes(4000))
    refused(path.parent, str(path))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinite_weights_are_refused_with_the_tensor(tmp_path: Path, bad: float) -> None:
    path = tiny_llama.write(tmp_path / "m") / "model.safetensors"
    stored = load_file(path)
    name = "model.layers.1.mlp.up_proj.weight"
    stored[name][3, 4] = bad
    save_file(stored, path)
    refused(path.parent, str(path), name, "NaN")


def test_wrong_shape_missing_and_unexpected_tensors_are_named(tmp_path: Path) -> None:
    path = tiny_llama.write(tmp_path / "m") / "model.safetensors"
    good = load_file(path)
    name = "model.layers.0.self_attn.k_proj.weight"
    save_file(good | {name: good[name][:-1].copy()}, path)
    refused(path.parent, str(path), name, "shape")
    save_file({k: v for k, v in good.items() if k != name}, path)
    refused(path.parent, str(path), name, "missing")
    extra = "model.layers.0.self_attn.q_proj.bias"
    save_file(good | {extra: np.zeros(32, np.float32)}, path)
    refused(path.parent, str(path), extra)
    save_file(good | {name: good[name].astype(np.float64)}, path)
    refused(path.parent, str(path), name, "F64")


def test_checksums_are_verified_and_the_corrupt_file_is_named(tmp_path: Path) -> None:
    folder = tiny_llama.write(tmp_path / "m")
    names = ("config.json", "tokenizer.json", "model.safetensors")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))
    assert Engine(folder).config.vocab == 61
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-3] ^= 1  # still finite, still the right length: only the checksum can tell
    (folder / "model.safetensors").write_bytes(data)
    refused(folder, "model.safetensors", "corrupt", "reinstall")
    (folder / "SHA256SUMS").write_text("nonsense\n")
    refused(folder, "SHA256SUMS:1")


def test_eos_may_be_a_list_and_come_from_the_generation_config(tmp_path: Path) -> None:
    folder = tiny_llama.write(tmp_path / "m", eos_token_id=[2, 9])
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 11]}))
    engine = Engine(folder)
    assert engine.config.eos == (2, 9, 11)
    rng = np.random.default_rng(0)
    prompts = [[0, *rng.integers(3, 61, 5).tolist()] for _ in range(40)]
    results = engine.generate([Request(p, 60, temperature=1.0, key=i) for i, p in enumerate(prompts)])
    last = {result.tokens[-1] for result in results if result.why == "eos"}
    assert {9, 11} <= last <= {2, 9, 11}
    assert all(set(result.tokens[:-1]).isdisjoint({2, 9, 11}) for result in results)


def test_text_becomes_ids_after_one_bos_and_comes_back(tmp_path: Path) -> None:
    text = Engine(tiny_llama.write(tmp_path / "m")).text
    assert text.encode(" w5 w7\n\n w9") == [0, 5, 7, 2, 9]
    assert text.encode("<s> w5") == [0, 5]
    assert text.encode(" w5", begin=False) == [5]
    assert text.decode([5, 7, 2, 9]) == " w5 w7\n\n w9"
    no_bos = Engine(tiny_llama.write(tmp_path / "n", bos_token_id=None)).text
    assert no_bos.encode(" w5") == [5]


def test_unknown_words_are_listed_with_what_to_do(tmp_path: Path) -> None:
    text = Engine(tiny_llama.write(tmp_path / "m")).text
    with pytest.raises(UnspeakableError) as caught:
        text.encode(" w5 logarithm w7 of eleven logarithm")
    said = str(caught.value)
    assert re.findall(r"'([^']+)'", said.partition(".")[0]) == ["logarithm", "of", "eleven"]
    assert "--teacher" in said
    assert "--student" in said
    with pytest.raises(UnspeakableError, match="and 4 more"):
        text.encode("".join(f" x{i}" for i in range(12)))
    with pytest.raises(UnspeakableError, match="Unicode"):
        text.encode(" w5 \ud800")


def sharded(folder: Path) -> Path:
    """The same model with its tensors in two files and an index, as large models are published."""
    stored = load_file(folder / "model.safetensors")
    names = sorted(stored)
    files = {
        name: f"model-0000{1 + (i > len(names) // 2)}-of-00002.safetensors" for i, name in enumerate(names)
    }
    for file in set(files.values()):
        save_file({name: stored[name] for name in names if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    (folder / "model.safetensors").unlink()
    return folder


def test_a_sharded_folder_is_the_same_model(tmp_path: Path) -> None:
    whole = Engine(tiny_llama.write(tmp_path / "whole"))
    parts = Engine(sharded(tiny_llama.write(tmp_path / "parts")))
    request = Request([0, 5, 9, 30], 12, temperature=1.0, key=3)
    assert parts.generate([request]) == whole.generate([request])


def test_what_is_wrong_with_shards_is_named(tmp_path: Path) -> None:
    folder = sharded(tiny_llama.write(tmp_path / "m"))
    index = folder / "model.safetensors.index.json"
    second = folder / "model-00002-of-00002.safetensors"
    kept = index.read_text()
    index.write_text(kept.replace("model-00002", "../model-00002"))
    refused(folder, str(index), "not the name of a file")
    index.write_text('{"weight_map": {"a": 3}}')
    refused(folder, str(index), "weight_map")
    index.write_text(kept)
    stored = load_file(second)
    gone = sorted(stored)[0]
    save_file({name: w for name, w in stored.items() if name != gone}, second)
    refused(folder, str(index), gone, "missing")
    second.write_bytes(second.read_bytes()[:-9])
    refused(folder, str(second), "truncated")
    second.unlink()
    refused(folder, str(second), "no such file")
