"""Logical fallacies: `fallacy:PATH`, the CSV files of the LOGIC data set (Jin et al. 2022) as they are published.

The task is the paper's (Ning et al. 2024): is the text an instance of *faulty generalization*, yes or no. Texts are cut
at 700 characters, as there. Of a row the reader takes `source_article` and, as the label, `updated_label` or
`logical_fallacies`, whichever is there; which fallacy the row names stays in `meta["fallacy"]`. The data has no
licence, so none of it is in this package or its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from docendo.data.files import Raw, called
from docendo.errors import DataError
from docendo.grading.exact import key
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {
    "fallacy": "which fallacy is asked about (default: faulty generalization)",
    "cut": "characters of a text that are kept, 0 for all (default: 700)",
}
TEXT = "source_article"
LABELS = ("updated_label", "logical_fallacies")


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row.

    Raises:
        DataError: `cut` is no whole number.
    """
    wanted, cut = options.get("fallacy", "faulty generalization"), options.get("cut", "700")
    if not cut.isdecimal():
        raise DataError(f"fallacy: cut={cut} should be a whole number")

    def make(raw: Raw) -> Problem:
        if raw.fault is not None:
            raise DataError(f"{raw.where}: {raw.fault}")
        text, named = _text(raw, TEXT), _text(raw, next((n for n in LABELS if n in raw.values), LABELS[0]))
        return Problem(
            raw.name or f"{raw.file}/{raw.number}",
            text[: int(cut)].rstrip() if int(cut) else text,
            answer="yes" if key(named) == key(wanted) else "no",
            kind="label",
            meta={"fallacy": named, "labels": ["no", "yes"]},
        )

    return make


def _text(raw: Raw, name: str) -> str:
    if name not in raw.values:
        have = ", ".join(raw.values) or "no fields"
        raise DataError(f"{raw.where}: field {name!r} is missing; the row has {have}")
    value: Any = raw.values[name]
    if not isinstance(value, str) or not value.strip():
        raise DataError(
            f"{raw.where}: field {name!r} should be a text that is not empty, not {called(value)}"
        )
    return value.strip()
