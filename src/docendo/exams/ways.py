"""How exams are made and asked, as settings name it, and what goes together.

Apart from `select.py` and `allocate.py`, so that settings can be checked without what those need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from docendo.errors import ConfigError

WRITTEN = "written"
WAYS = ("auto", "variants", "nearest", "metadata", "fixed", WRITTEN)
GOLDS = ("teacher", "students", "all")
LEXICAL, EMBED = "lexical", "embed:"
ALLOCATIONS = ("fixed", "adaptive")
POOLINGS = ("mean", "weighed")
SCORES = ("answers", "likelihood")

Settle = Literal["sum", "max"]
"""The choice rule that an adaptive exam settles."""


def check_asking(score: str, pooling: str, allocation: str, certainty: float, settle: str) -> None:
    """Refuse what no exam could be asked by; see `Settings` for what each says.

    Raises:
        ConfigError: an unknown word, or a certainty that is out of range.
    """
    for name, value, known in (
        ("exam_score", score, SCORES),
        ("pooling", pooling, POOLINGS),
        ("allocation", allocation, ALLOCATIONS),
        ("settle", settle, get_args(Settle)),
    ):
        if value not in known:
            raise ConfigError(f"setting {name}: {value!r} is none of {', '.join(known)}")
    if score == "likelihood" and (allocation, pooling) != ("fixed", "mean"):
        raise ConfigError(
            "setting exam_score: likelihood exams ask each question once, by fixed allocation and mean pooling"
        )
    if not 0.5 < certainty <= 1:
        raise ConfigError(f"setting certainty: {certainty} is out of range, above 0.5 and at most 1")


def check_writing(how: str, score: str, agreement: float) -> None:
    """Refuse what no exam could be written by; see `Settings` for what each says.

    Raises:
        ConfigError: an agreement that is out of range, or likelihood exams.
    """
    if not 0.5 < agreement <= 1:
        raise ConfigError(
            f"setting gold_agreement: {agreement} is out of range, above 0.5 (a majority) and at most 1"
        )
    if how == WRITTEN and score == "likelihood":
        raise ConfigError(
            "setting exam_score: written exams have no worked solutions, which likelihood needs; examine by answers"
        )


def check_selection(how: str, rule: str, ids: Sequence[str], index: str) -> None:
    """Refuse what no exam could be made by.

    Args:
        how: one of `WAYS`.
        rule: of `metadata`, or one that narrows another way; empty for none.
        ids: the problems of `fixed` exams.
        index: what `nearest` goes by, `lexical` or `embed:MODEL`.

    Raises:
        ConfigError: an unknown way or index, or settings that do not go together.
    """
    if how not in WAYS:
        raise ConfigError(f"setting exam_select: {how!r} is none of {', '.join(WAYS)}")
    if how == "metadata" and not rule:
        raise ConfigError(
            "setting exam_rule: exams by metadata need a rule, such as 'subject = taught, level <= taught'"
        )
    if (how == "fixed") != bool(ids):
        raise ConfigError("setting exam_ids: fixed exams need the ids of their problems, and only they do")
    if how == WRITTEN and rule:
        raise ConfigError("setting exam_rule: has no use for written exams, which come from no pool")
    if how == "fixed" and rule:
        raise ConfigError("setting exam_rule: has no use for fixed exams, whose problems are named")
    if rule:
        from docendo.exams.rules import parse  # numpy comes with it, which most settings can do without

        parse(rule)
    if index != LEXICAL and not (index.startswith(EMBED) and index.removeprefix(EMBED)):
        raise ConfigError(f"setting exam_index: {index!r} should be {LEXICAL} or {EMBED}MODEL")
