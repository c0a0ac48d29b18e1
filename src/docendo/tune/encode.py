"""Texts as the tokens that a model is trained on: the very ids that it reads and writes when docendo asks it.

A reply is learnt with the token that ends it. Which tokenizer and which marks those are depends on the kind of model:
`school:` models are read by the built-in engine, `hf:` and `vllm:` models by transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from docendo.errors import ConfigError, ModelError
from docendo.models.engine.folder import read_config
from docendo.models.engine.text import Text
from docendo.models.resolve import folder_of
from docendo.models.words import Words
from docendo.types import Prompt

TRAINABLE = ("school", "hf", "vllm")
EXTRA = "training needs PyTorch, transformers, trl, peft and accelerate ({}); pip install 'docendo[train]'"


@dataclass(frozen=True, slots=True)
class Base:
    """A model to be trained: `kind` says how docendo asks it, `path` is its folder, or a name for transformers."""

    kind: str
    path: str

    @property
    def folder(self) -> Path | None:
        """Its folder; None where it is a name that transformers looks up."""
        path = Path(self.path)
        return path if path.is_dir() else None


@dataclass(frozen=True, slots=True)
class Encoder:
    """Token ids of prompts and of replies, each a list.

    Attributes:
        prompt_ids: of what is asked.
        completion_ids: of a prompt and a reply to it: the reply's ids, the token that ends it included.
        end: the id of that token.
    """

    prompt_ids: Callable[[Prompt], list[int]]
    completion_ids: Callable[[Prompt, str], list[int]]
    end: int


def base_of(model: str) -> Base:
    """The model behind a name: `school:NAME`, `school:PATH`, `hf:PATH`, `vllm:PATH`, or a folder (as `hf:`).

    Raises:
        ConfigError: a model that cannot be trained here, or no such folder.
    """
    kind, colon, path = model.partition(":")
    if not colon and Path(model).is_dir():
        return Base("hf", model)
    if kind not in TRAINABLE or not path:
        raise ConfigError(
            f"model {model!r} cannot be trained here: give school:NAME, hf:PATH, vllm:PATH or a model folder; to tune "
            "a model behind an endpoint, export the pairs (docendo tune --export) and use its provider's training"
        )
    return Base(kind, str(folder_of(model)) if kind == "school" else path)


def encoder_of(model: str | Base) -> Encoder:
    """How a model's prompts and replies are written in tokens.

    Raises:
        ConfigError: as `base_of`; or transformers is not installed, for a model that needs it.
        ModelError: a folder without a tokenizer or without a token that ends a reply.
    """
    base = base_of(model) if isinstance(model, str) else model
    return _of_school(base) if base.kind == "school" else _of_transformers(base)


def _of_school(base: Base) -> Encoder:
    config = read_config(Path(base.path))
    if not config.eos:
        raise ModelError(f"{base.path}: config.json names no eos_token_id, so that no reply could end")
    text, end = Text(Path(base.path), config.bos), config.eos[0]

    def prompt_ids(prompt: Prompt) -> list[int]:
        if not isinstance(prompt, str):
            raise ModelError(f"{base.path}: completes text, and these lessons were asked for in a chat")
        return text.encode(prompt)

    return Encoder(prompt_ids, lambda prompt, reply: [*text.encode(reply, begin=False), end], end)


def _of_transformers(base: Base) -> Encoder:
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise ConfigError(EXTRA.format(error)) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.path)
    except Exception as error:  # of any library in between: what is wrong is in its message
        raise ModelError(
            f"{base.path}: no tokenizer can be loaded: {type(error).__name__}: {error}"
        ) from error
    words, end = Words(tokenizer, base.path), tokenizer.eos_token_id
    if end is None:
        raise ModelError(f"{base.path}: its tokenizer has no eos_token, so that no reply could end")

    def completion_ids(prompt: Prompt, reply: str) -> list[int]:
        _, ids = words.pair_of(prompt, reply)
        return [*ids, end if isinstance(prompt, str) else _turn_end(words, prompt, reply)]

    return Encoder(words.ids_of, completion_ids, end)


def _turn_end(words: Words, prompt: Prompt, reply: str) -> int:
    """The token that the model's template writes after an assistant's turn: a chat model ends its replies by it."""
    end: int = words.tokenizer.eos_token_id
    assert not isinstance(prompt, str)
    turns = [{"role": role, "content": text} for role, text in prompt]
    try:
        whole: str = words.tokenizer.apply_chat_template(
            [*turns, {"role": "assistant", "content": reply}], tokenize=False
        )
    except (
        Exception
    ):  # templates raise whatever they like; one that refuses a system's turn ends turns all the same
        return end
    rest = whole[whole.rfind(reply.strip()) + len(reply.strip()) :].strip()
    ids = words.tokenizer(rest, add_special_tokens=False)["input_ids"] if rest else []
    return ids[0] if ids and ids[0] in words.tokenizer.all_special_ids else end
