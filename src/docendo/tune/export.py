"""Pairs and lessons as files that others train with: the forms that TRL reads, each row with where it comes from.

A row's own fields are those of its form (prompt, chosen, rejected, ...); what stands beside them is its lineage: run,
problem, lesson, scores. Trainers leave columns that they do not know alone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docendo.errors import ConfigError, DataError
from docendo.tune.files import explained
from docendo.tune.pairset import Pair, PairSet, Scored
from docendo.tune.read import Side
from docendo.types import Prompt

FORMS = ("preference", "kto", "sft", "grpo")
"""What can be exported: pairs; single lessons, good or bad; the best lesson of each problem; prompts alone."""

FILES = ("jsonl", "parquet")
SHAPES = ("auto", "chat", "plain")
"""How prompts and replies are written: as they were asked, as turns, or as text."""

_JOINED = "\n\n"
Row = dict[str, Any]


def export(
    pairs: PairSet,
    folder: str | Path,
    forms: Sequence[str] = ("preference",),
    *,
    file: str = "jsonl",
    shape: str = "auto",
) -> list[Path]:
    """Write sets for training, FORM.train and FORM.validation of each form.

    Args:
        pairs: what `pairs_from` found.
        folder: where the files go; those of the same names are replaced.
        forms: some of `FORMS`.
        file: "jsonl", or "parquet" (the extra `hub`).
        shape: "chat" writes prompts and replies as turns, a text as a user's; "plain" as text, turns with an empty
            line between; "auto" as each was asked.

    Returns:
        The files, in the order of the forms; none for a part that has no rows.

    Raises:
        ConfigError: an unknown form, file or shape, or the extra is not installed; before anything is written.
        DataError: some prompts are texts and some are chats, which one file cannot hold.
        StoreError: the disk refuses.
    """
    for name, value, known in (
        *(("form", f, FORMS) for f in forms),
        ("file", file, FILES),
        ("shape", shape, SHAPES),
    ):
        if value not in known:
            raise ConfigError(f"export: no {name} {value!r}; there are {', '.join(known)}")
    if file == "parquet":
        check_parquet()
    made = []
    for form in dict.fromkeys(forms):
        for part in ("train", "validation"):
            rows = list(rows_of(pairs, form, part == "validation", shape))
            if not rows:
                continue
            if len({isinstance(row["prompt"], str) for row in rows}) > 1:
                raise DataError(
                    f"export: {form}: some lessons were asked for as text and some in chats; choose shape chat or plain"
                )
            path = Path(folder) / f"{form}.{part}.{file}"
            with _whole(path) as partial:
                _write(rows, partial, file)
            made.append(path)
    return made


def rows_of(pairs: PairSet, form: str, validation: bool, shape: str = "auto") -> Iterator[Row]:
    """The rows of one form: those to train on, or those of the families kept for validation."""
    chosen = pairs.validation if validation else pairs.train
    lessons = [one for one in pairs.ranking if one.validation == validation]
    if form == "preference":
        yield from (_preference(pair, shape) for pair in chosen)
    elif form == "kto":
        yield from _kto(chosen, shape)
    elif form == "sft":
        yield from _sft(lessons, pairs.settings.margin, shape)
    else:
        yield from _grpo(lessons, shape)


def _preference(pair: Pair, shape: str) -> Row:
    return {
        "prompt": _asked(pair.prompt, shape),
        "chosen": _said(pair.prompt, pair.chosen.text, shape),
        "rejected": _said(pair.prompt, pair.rejected.text, shape),
        **_whence(pair),
        **_lesson(pair.chosen, "chosen_"),
        **_lesson(pair.rejected, "rejected_"),
        "difference": pair.difference,
        "difference_error": pair.error,
    }


def _kto(pairs: Sequence[Pair], shape: str) -> Iterator[Row]:
    """Each lesson of the pairs once. One that is better in one pair and worse in another is neither good nor bad."""
    found: dict[tuple[str, str, str], tuple[Pair, Side, set[bool]]] = {}
    for pair in pairs:
        for side, good in ((pair.chosen, True), (pair.rejected, False)):
            key = (pair.run, pair.problem, side.lesson)
            found.setdefault(key, (pair, side, set()))[2].add(good)
    for pair, side, labels in found.values():
        if len(labels) == 1:
            yield {
                "prompt": _asked(pair.prompt, shape),
                "completion": _said(pair.prompt, side.text, shape),
                "label": True in labels,
                **_whence(pair),
                **_lesson(side),
            }


def _sft(lessons: Sequence[Scored], least: float, shape: str) -> Iterator[Row]:
    """The best lesson of each problem, where it is worth more than the margin: the best of bad ones is still bad."""
    for one in lessons:
        if one.sides and one.sides[0].score > least:
            yield {
                "prompt": _asked(one.prompt, shape),
                "completion": _said(one.prompt, one.sides[0].text, shape),
                **_whence(one),
                **_lesson(one.sides[0]),
            }


def _grpo(lessons: Sequence[Scored], shape: str) -> Iterator[Row]:
    for one in lessons:
        known = [side.score for side in one.sides]
        yield {
            "prompt": _asked(one.prompt, shape),
            **_whence(one),
            "kind": one.kind,
            "gold": None if one.gold is None else _clean(one.gold),
            "lessons": len(known),
            "mean_score": sum(known) / len(known) if known else None,
        }


def _whence(one: Pair | Scored) -> Row:
    return {"run": one.run, "problem": _clean(one.problem), "family": one.family}


def _lesson(side: Side, prefix: str = "") -> Row:
    names = ("lesson", "sample", "correct", "lbt", "score")
    return {prefix + name: getattr(side, name) for name in names} | {prefix + "answer": _clean(side.answer)}


def _asked(prompt: Prompt, shape: str) -> str | list[dict[str, str]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": _clean(prompt)}] if shape == "chat" else _clean(prompt)
    if shape == "plain":
        return _JOINED.join(_clean(text) for _, text in prompt) + _JOINED
    return [{"role": role, "content": _clean(text)} for role, text in prompt]


def _said(prompt: Prompt, text: str, shape: str) -> str | list[dict[str, str]]:
    chat = shape == "chat" or (shape == "auto" and not isinstance(prompt, str))
    return [{"role": "assistant", "content": _clean(text)}] if chat else _clean(text)


def _clean(text: str) -> str:
    """Text that any reader of UTF-8 takes: lone surrogates, which models may write, become replacement characters."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_parquet() -> None:
    """Whether Parquet can be written here.

    Raises:
        ConfigError: it cannot; the message names the extra.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"export: Parquet needs pyarrow ({error}); pip install 'docendo[hub]', or choose jsonl"
        ) from error


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to be written beside its name and moved there."""
    partial = path.with_name(f".{path.name}.partial")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)


def _write(rows: Sequence[Row], path: Path, file: str) -> None:
    if file == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
        return
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
