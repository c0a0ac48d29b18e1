"""The school's tokenizer: one token a word, a number or a field label, lossless on the world's texts.

A token carries the space before it, so text is recovered exactly by joining tokens; numbers up to LARGEST are
single tokens, so that small models spend their depth on methods and not on digits.
"""

from __future__ import annotations

import re

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from docendo.schoolhouse import words

BOS, UNKNOWN, END = "<s>", "<unk>", "\n\n"
FIELDS = ("Question:", "\nWorking:", "\nAnswer:")
_PIECE = r"Question:|\nWorking:|\nAnswer:|\n\n| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]|\s"


def vocabulary() -> list[str]:
    """Every token in its fixed order: marks, fields, punctuation, numbers, then words with their leading space."""
    texts: list[str] = [" " + asking for asking in words.ASKINGS]
    texts += [" " + told.format(*"0123", actor="") for told in (*words.TELLINGS[3], *words.TELLINGS[4])]
    texts += [" " + phrase.format(x="", y="", z="") for phrase in words.PHRASES]
    texts += [" " + words.RULE.format(rule="")]
    texts += [" " + actor for actor, _ in words.THEMES] + [
        " " + n for _, nouns in words.THEMES for n in nouns
    ]
    texts += [" " + name for name in words.rule_names()] + [" " + op for op in words.OPERATIONS]
    pieces = {piece for text in texts for piece in re.findall(r" [A-Za-z]+", text)}
    numbers = [f" {n}" for n in range(words.LARGEST + 1)]
    return [BOS, UNKNOWN, END, *FIELDS, ".", ",", "?", " =", *numbers, *sorted(pieces)]


def build() -> Tokenizer:
    """The tokenizer, as Hugging Face's `tokenizers` stores it in tokenizer.json."""
    vocab = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Replace(Regex("[ \t]+"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([BOS, UNKNOWN])
    return tokenizer
