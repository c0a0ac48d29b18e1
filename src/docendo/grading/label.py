"""Label answers: one of a few given words, such as yes and no.

Labels are found as whole words. A problem's labels are `meta["labels"]`; where it names none, its answer is
read like an exact one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from docendo.errors import DataError
from docendo.grading import exact
from docendo.grading.extract import Found, explicit_answer, last_line
from docendo.types import Problem


def labels_of(problem: Problem) -> tuple[str, ...]:
    """Return the labels that the problem allows; empty where it does not say.

    Raises:
        DataError: `meta["labels"]` is not a list of texts.
    """
    labels = problem.meta.get("labels", ())
    if not isinstance(labels, list | tuple) or not all(isinstance(x, str) and x.strip() for x in labels):
        raise DataError(
            f"problem {problem.id!r}: meta.labels must be a list of texts such as ['yes', 'no'], "
            f"not {labels!r}"
        )
    return tuple(labels)


def read(text: str, labels: Sequence[str]) -> Found | None:
    """Return the label a text gives.

    Looked for after the last answer label (or in the last box), then in the last line. Where that place
    begins with a label it is that one ("Answer: yes, for no bird is a fish"), else the last one there ("the
    answer is not yes but no").
    """
    if not labels:
        return exact.read(text)
    # Longer labels first, or "not entailed" would be read as "not".
    words = sorted((r"\s+".join(map(re.escape, x.split())) for x in labels), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)
    explicit = explicit_answer(text)
    for place in (explicit, Found(last_line(text), complete=False)):
        matches = list(pattern.finditer(place.text)) if place else []
        if place and matches:
            start = len(place.text) - len(place.text.lstrip(" \t\"'`*([{$"))
            match = matches[0] if matches[0].start() == start else matches[-1]
            return Found(match.group(), place.complete)
    return None
