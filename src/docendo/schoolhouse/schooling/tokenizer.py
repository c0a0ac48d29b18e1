"""The school's tokenizers: one token a word, a number, a field label or a piece of Python, lossless on its texts.

A token carries the space before it, so text is recovered exactly by joining tokens. In the arithmetic domain
numbers up to LARGEST are single tokens, so that small models spend their depth on methods and not on digits; in
the code domain a line break with its indent, an operator or an idiom such as "[x for x in " is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from docendo.schoolhouse import words
from docendo.schoolhouse.code import operations
from docendo.schoolhouse.code import words as code_words
from docendo.schoolhouse.verbal import words as verbal_words

BOS, UNKNOWN, END = "<s>", "<unk>", "\n\n"
FIELDS = ("Question:", "\nWorking:", "\nAnswer:")
_PIECE = r"Question:|\nWorking:|\nAnswer:|\n\n| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]|\s"

OPENED, CLOSED = "\nAnswer:\n```python\n", "\n```"
"""What stands around a program."""
# Python's tokens and idioms, and the words after which a function's name stands (it carries no space itself).
PYTHON = (
    "def ", "return ", "\n    ", " = ", "(", "):", ")", "[", "]", "[:", ":]", "[-", "[::-1]", "-",
    " + ", " - ", " * ", " // ", " % ", " > ", " < ", " == ", "[x for x in ", " for x in ", "[x", " if x",
    "sorted(", "sum(", "len(", "max(", "str(", '"".join(', ".upper()", ", default=",
)  # fmt: skip
_BEFORE_NAMES = (" Write ", " write ", " define ")
# Of the verbal domain: what stands before the examples that the teacher is shown, before failed problems and before
# what it is to write; and what stands between examples, so that END ends an answer and a whole set alike.
TASK, EXAMPLES, FAILED, BETTER = (
    "Task:",
    "\nExamples:\nQuestion:",
    "\n\nFailed:\nQuestion:",
    "\n\nBetter examples:\nQuestion:",
)
NEXT = "\n\nQuestion:"
_VERBAL_PIECE = r" ?[A-Za-z]+| ?[^\sA-Za-z]"


def vocabulary() -> list[str]:
    """Every token of the arithmetic domain in its fixed order: marks, fields, punctuation, numbers, then words."""
    texts: list[str] = [" " + asking for asking in words.ASKINGS]
    texts += [" " + told.format(*"0123", actor="") for told in (*words.TELLINGS[3], *words.TELLINGS[4])]
    texts += [" " + phrase.format(x="", y="", z="") for phrase in words.PHRASES]
    texts += [" " + words.RULE.format(rule="")]
    texts += [" " + actor for actor, _ in words.THEMES] + [
        " " + n for _, nouns in words.THEMES for n in nouns
    ]
    texts += [" " + name for name in words.rule_names()] + [" " + op for op in words.OPERATIONS]
    numbers = [f" {n}" for n in range(words.LARGEST + 1)]
    return [BOS, UNKNOWN, END, *FIELDS, ".", ",", "?", " =", *numbers, *_spaced(texts)]


def code_vocabulary() -> list[str]:
    """Every token of the code domain in its fixed order: marks, fields, punctuation, Python, digits, then words."""
    texts = [
        " " + told.format(*"000", f="", v="").replace("()", "")
        for told in (*code_words.TELLINGS[2], *code_words.TELLINGS[3])
    ]
    texts += [" " + phrase for phrases in code_words.PHRASES.values() for phrase in phrases]
    texts += [" " + words.RULE.format(rule=name) for name in words.rule_names()]
    for table in (*operations.OPERATIONS.values(), *operations.ENDINGS.values()):
        texts += [" " + operation.says.format(k="") for operation in table.values()]
    labels = [f" {label}=" for label in code_words.LABELS]
    names = [*code_words.NAMES, *(variable for _, variable in code_words.THEMES)]
    pieces = (OPENED, CLOSED, ".", ",", *PYTHON, *_BEFORE_NAMES, *"0123456789")
    return [BOS, UNKNOWN, END, *FIELDS[:2], *pieces, *labels, *names, *_spaced(texts)]


def verbal_vocabulary() -> list[str]:
    """Every token of the verbal domain in its fixed order: marks, fields, then punctuation, labels and words."""
    texts = [f" {word}" for word in (*verbal_words.LABELS, *verbal_words.QUALITIES, *verbal_words.JOINS)]
    for kind in verbal_words.KINDS:
        first = [words_[0] for words_ in kind.words]
        for place, words_ in enumerate(kind.words):
            texts += [" " + kind.telling.format(*first[:place], word, *first[place + 1 :]) for word in words_]
        texts += [" " + kind.asking.format(rule=name) for name in words.rule_names()]
    found = sorted({piece for text in texts for piece in re.findall(_VERBAL_PIECE, text)})
    return [BOS, UNKNOWN, END, *FIELDS, NEXT, TASK, EXAMPLES, FAILED, BETTER, *found]


def build() -> Tokenizer:
    """The arithmetic domain's tokenizer, as Hugging Face's `tokenizers` stores it in tokenizer.json."""
    tokenizer = _built(vocabulary(), _PIECE)
    tokenizer.normalizer = normalizers.Replace(Regex("[ \t]+"), " ")
    return tokenizer


def build_code() -> Tokenizer:
    """The code domain's tokenizer. White space is Python's, so nothing is normalised."""
    fixed = sorted((END, *FIELDS[:2], OPENED, CLOSED, *PYTHON, *_BEFORE_NAMES), key=len, reverse=True)
    return _built(
        code_vocabulary(), "|".join([*map(re.escape, fixed), " [A-Za-z]+=?|[A-Za-z]+|[0-9]+|\\s|[^\\s]"])
    )


def build_verbal() -> Tokenizer:
    """The verbal domain's tokenizer. Blanks at a line's end are dropped, such as those of an empty working."""
    fixed = sorted((END, NEXT, *FIELDS, TASK, EXAMPLES, FAILED, BETTER), key=len, reverse=True)
    tokenizer = _built(verbal_vocabulary(), "|".join([*map(re.escape, fixed), _VERBAL_PIECE, r"\s|[^\s]"]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex("[ \t]+\n"), "\n"), normalizers.Replace(Regex("[ \t]+"), " ")]
    )
    return tokenizer


def _spaced(texts: Iterable[str]) -> list[str]:
    """The words of texts, each with its leading space."""
    return sorted({piece for text in texts for piece in re.findall(r" [A-Za-z]+", text)})


def _built(vocabulary: Sequence[str], pattern: str) -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token=UNKNOWN)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([BOS, UNKNOWN])
    return tokenizer
