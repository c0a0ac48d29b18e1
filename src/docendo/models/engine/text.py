"""Text to token ids and back for one model folder, and the search for stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from docendo.errors import ModelError, UnspeakableError
from docendo.models.engine.folder import TOKENIZER

_SHOWN = 8


class Text:
    """A folder's tokenizer.

    Args:
        folder: The model folder, with its `tokenizer.json`.
        bos: The token that begins every prompt, if the model has one.

    Raises:
        ModelError: `tokenizer.json` is missing or unreadable.
    """

    def __init__(self, folder: Path, bos: int | None) -> None:
        path = folder / TOKENIZER
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception, whatever is wrong
            raise ModelError(f"{path}: not a readable tokenizer ({error})") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._bos = bos
        self._unknown: int | None = self._tokenizer.token_to_id("<unk>")
        self._pieces: list[str] | None = None

    def encode(self, text: str, begin: bool = True) -> list[int]:
        """Token ids of `text`, after the token that begins a prompt if `begin`.

        Raises:
            UnspeakableError: `text` has words that the tokenizer does not know. Reading them as the unknown
                token would turn different problems into the same one.
        """
        try:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        except (TypeError, UnicodeError):
            raise UnspeakableError("the text is not valid Unicode (it has lone surrogates)") from None
        ids: list[int] = encoding.ids
        if self._unknown is not None and self._unknown in ids:
            unknown = dict.fromkeys(
                text[slice(*span)].strip()
                for token, span in zip(ids, encoding.offsets, strict=True)
                if token == self._unknown
            )
            raise _unspeakable(list(unknown))
        if begin and self._bos is not None and ids[:1] != [self._bos]:
            return [self._bos, *ids]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, without special tokens."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def may_complete(self, stops: Sequence[str], vocab: int) -> NDArray[np.bool_]:
        """For each token id, whether a stop string may be complete once it is there (never a false no).

        Only then is it worth decoding what was generated. A token ends a stop string if it has the string's
        last character; tokens that are part of a character, and characters that decoders put between
        tokens, count as having any.
        """
        if self._pieces is None:
            ids = [[token] for token in range(vocab)]
            self._pieces = self._tokenizer.decode_batch(ids, skip_special_tokens=True)
        last = {stop[-1] for stop in stops}
        if " " in last:
            return np.ones(vocab, bool)
        last.add("\ufffd")
        return np.array([not last.isdisjoint(piece) for piece in self._pieces])


def cut(text: str, stops: Sequence[str]) -> str | None:
    """`text` up to the first of `stops` in it; None if there is none."""
    found = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return text[: min(found)] if found else None


def _unspeakable(words: Sequence[str]) -> UnspeakableError:
    shown = ", ".join(repr(word) for word in words[:_SHOWN])
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return UnspeakableError(
        f"unknown words: {shown}{more}. The built-in models only speak the schoolhouse's words; "
        "for other problems name other models, such as --teacher openai:NAME and --student openai:NAME, with "
        "--base-url where the server is not OpenAI's (docs/models.md)"
    )
