"""docendo's own problem format: rows of JSONL, CSV, TSV or a JSON list, one problem each.

| field | | |
|---|---|---|
| `id` | string or whole number | names the problem, no two the same; by default FILE/NUMBER, from 0 |
| `question` | string, required | what is asked, as the model will read it |
| `answer` | string or number | the gold answer; without it nothing can be scored |
| `solution` | string | a worked reference solution |
| `kind` | `math` (default), `label`, `exact`, `code` | how answers are read and compared |
| `family` | string | problems of one family are variants of one another: the exams of each other |
| `cluster` | string | what makes families alike; intervals resample it |
| `group` | string | the row of the tables that a problem is reported in |
| `meta` | object | anything else; `labels` (a list of strings) names the answers a label problem allows |

A code problem has no `answer`: it is judged by the tests in its `meta`; `grading/code/spec.py` has the fields.

An optional field may be `null`, which means not known. In a table of text (CSV, TSV) an empty cell means that, and
a column `meta.NAME` is the entry NAME of `meta`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from docendo.data.files import Raw
from docendo.data.rows import Answer, Name, Row, Text, fields
from docendo.grading.code.spec import CodeSpec
from docendo.grading.exact import key
from docendo.types import Kind, Problem

OPTIONS: Mapping[str, str] = {}


class ProblemRow(Row):
    """One line of a problem file; the module's docstring says what each field is for."""

    id: Name | None = None
    question: Text
    answer: Answer | None = None
    solution: Text | None = None
    kind: Kind = "math"
    family: Name | None = None
    cluster: Name | None = None
    group: Name | None = None
    meta: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _code(self) -> Self:
        """A code problem's gold is its tests: one without them, or with a test of no known form, judges nothing."""
        if self.kind == "code":
            CodeSpec.read(self.meta)
            if self.answer is not None:
                raise ValueError(
                    "field 'answer' has no use in a code problem, which is judged by its tests; a reference "
                    "program goes into 'solution'"
                )
        return self

    @model_validator(mode="after")
    def _labels(self) -> Self:
        """A gold answer that is no label would make every answer wrong without a word."""
        labels = self.meta.get("labels") if self.kind == "label" else None
        if labels is None:
            return self
        if not isinstance(labels, list) or not all(isinstance(x, str) and x.strip() for x in labels):
            raise ValueError("field 'meta.labels' should be a list of strings")
        if self.answer is not None and key(self.answer) not in {key(x) for x in labels}:
            raise ValueError(f"field 'answer' is {self.answer!r}, which is not in 'meta.labels': {labels}")
        return self


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row."""

    def make(raw: Raw) -> Problem:
        row = fields(raw, ProblemRow)
        values = {name: getattr(row, name) for name in ProblemRow.model_fields}
        return Problem(**values | {"id": row.id or raw.name or f"{raw.file}/{raw.number}"})

    return make
