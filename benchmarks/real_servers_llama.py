"""Serves one school model by llama.cpp's own server; run by `real_servers.py`, in an environment with xllamacpp.

    python benchmarks/real_servers_llama.py FOLDER NAME PORT

It knows nothing of docendo, which is not in that environment. The model is written as a GGUF file in its folder first.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    import xllamacpp

    folder, name, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    path = folder / "model.gguf"
    write(folder, path, name)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = name
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = 8
    params.n_ctx = 512 * 8
    params.fit_params = False
    params.warmup = False
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(3600)


def write(folder: Path, path: Path, name: str) -> None:
    """The model as GGUF: the arrangement of the rotary halves is llama.cpp's, the tokenizer RWKV's trie.

    The school's tokens are the longest pieces of text that are in the vocabulary, which is what that trie finds.
    """
    import gguf

    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_name(name)
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(keys)
    out.add_key_length(config["head_dim"])
    out.add_value_length(config["head_dim"])
    out.add_rope_dimension_count(config["head_dim"])
    out.add_rope_freq_base(config["rope_theta"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    vocab = vocabulary(folder)
    more = extras(vocab)
    special = {token["content"] for token in tokenizer["added_tokens"]}
    vocab += more
    kinds = [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in vocab]
    out.add_vocab_size(len(vocab))
    out.add_tokenizer_model("rwkv")
    out.add_token_list([t if t in special else escaped(t) for t in vocab])
    out.add_token_types(kinds)
    out.add_bos_token_id(config["bos_token_id"])
    out.add_eos_token_id(config["eos_token_id"])
    out.add_unk_token_id(vocab.index("<unk>"))
    out.add_add_bos_token(True)
    for key, tensor in tensors(folder / "model.safetensors").items():
        target = renamed(key)
        if ".attn_q." in target:
            tensor = permuted(tensor, heads)
        elif ".attn_k." in target:
            tensor = permuted(tensor, keys)
        if target == "token_embd.weight":
            tensor = np.concatenate([tensor, np.zeros((len(more), tensor.shape[1]), np.float32)])
        out.add_tensor(target, tensor)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def vocabulary(folder: Path) -> list[str]:
    """The model's tokens in the order of their ids."""
    found: dict[str, int] = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    return sorted(found, key=lambda token: found[token])


def extras(vocab: list[str]) -> list[str]:
    """The first characters of tokens that are no tokens themselves.

    Without these llama.cpp's trie never ends on a text that begins like a token and is none. The model knows
    nothing of them, and requests forbid them (`logit_bias`).
    """
    return sorted({token[0] for token in vocab} - set(vocab))


def escaped(token: str) -> str:
    """As a Python bytes literal's inside, which is how the file has this tokenizer's tokens."""
    return token.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def tensors(path: Path) -> dict[str, Any]:
    """The weights, as float32."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    found = {}
    for key, about in json.loads(data[8 : 8 + length]).items():
        if key == "__metadata__":
            continue
        start, end = (8 + length + at for at in about["data_offsets"])
        kind = {"F16": np.float16, "F32": np.float32}[about["dtype"]]
        found[key] = np.frombuffer(data[start:end], kind).reshape(about["shape"]).astype(np.float32)
    return found


_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def renamed(key: str) -> str:
    top = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if key in top:
        return top[key]
    _, _, layer, *rest = key.removesuffix(".weight").split(".")
    return f"blk.{layer}.{_NAMES['.'.join(rest)]}.weight"


def permuted(weight: Any, heads: int) -> Any:
    size = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, size, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


if __name__ == "__main__":
    main()
