"""GSM8K (Cobbe et al. 2021): `gsm8k:PATH`.

| field | |
|---|---|
| `question` | required |
| `answer` | required: the worked solution, then `#### 18`; or, in a row with a `solution`, the answer alone |
| `solution` | the worked solution |
| `id` | by default `gsm8k/test/0`, from the file's name and the row's place from 0 |

The calculator's marks `<<16-3-4=9>>` are taken out of solutions, and thousands commas out of answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from docendo.data.files import Raw
from docendo.data.rows import Answer, Name, Row, Text, fields
from docendo.errors import DataError
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {}

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")


class Gsm8kRow(Row):
    """One problem of GSM8K; the module's docstring says what each field is for."""

    question: Text
    answer: Answer
    solution: Text | None = None
    id: Name | None = None


ROW = Gsm8kRow


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem]:
    """Return the function that makes a problem of one row."""

    def make(raw: Raw) -> Problem:
        row = fields(raw, Gsm8kRow)
        solution, answer = row.solution, row.answer
        if solution is None:
            solution, mark, answer = row.answer.rpartition("####")
            if not mark or not answer.strip():
                raise DataError(f"{raw.where}: field 'answer' should end in '#### ' and the answer")
        id = (
            row.id
            or raw.name
            or f"gsm8k/{raw.file.removeprefix('gsm8k_').removeprefix('gsm8k-')}/{raw.number}"
        )
        return Problem(
            id,
            row.question,
            answer=_THOUSANDS.sub("", answer.strip()),
            solution=_CALCULATOR.sub("", solution).strip() or None,
        )

    return make
