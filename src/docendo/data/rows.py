"""A row's fields, checked; every fault names place and field.

The readers describe their rows as pydantic models; what the fields mean is left to them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from docendo.data.files import Raw, called, read_raw
from docendo.errors import DataError


class Row(BaseModel):
    """A row's fields; unknown ones and silent conversions ("7" for 7) are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _written(value: Any) -> Any:
    """Numbers stand for their text; true and false do not, as it is unknown which label they mean."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; fill it, or leave it out where it may be left out")
    return value


def _counted(value: Any) -> Any:
    """Whole numbers stand for their text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, AfterValidator(_not_blank)]
"""A string with something in it."""
Name = Annotated[Text, BeforeValidator(_counted)]
"""A string with something in it, or a whole number, which becomes one: what ids are."""
Answer = Annotated[Text, BeforeValidator(_written)]
"""A string with something in it, or a number, which becomes one."""

R = TypeVar("R", bound=Row)

_SHOWN = 12  # field names of a row that an error names
_OTHERS = (
    ". A file of another format is named with its reader: math:PATH, gsm8k:PATH, labels:PATH (docs/data.md)"
)


def known_fields(row: type[Row]) -> frozenset[str]:
    """Return every name under which `row` knows a field."""
    names: set[str] = set()
    for name, field in row.model_fields.items():
        alias = field.validation_alias
        names |= {str(choice) for choice in alias.choices} if isinstance(alias, AliasChoices) else {name}
    return frozenset(names)


def fields(raw: Raw, row: type[R]) -> R:
    """Return a row's fields as `row` describes them.

    Raises:
        DataError: the row could not be read or does not have those fields; names place and field.
    """
    if raw.fault is not None:
        raise DataError(f"{raw.where}: {raw.fault}")
    try:
        return row.model_validate(raw.values)
    except ValidationError as error:
        raise DataError(f"{raw.where}: {_explain(error.errors()[0], row, list(raw.values))}") from None


def read_rows(path: str | Path, row: type[R]) -> Iterator[tuple[int, R]]:
    """Yield (line number from 1, row) for each row of a file, read as it is asked for.

    Raises:
        DataError: see `read_raw`; also for the first row that does not have the fields of `row`.
    """
    for raw in read_raw(path):
        yield raw.line, fields(raw, row)


def _explain(error: ErrorDetails, row: type[Row], have: Sequence[str]) -> str:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"field {field!r} is missing" + (f"; the row has {', '.join(have[:_SHOWN])}" if have else "")
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field.lower(), row.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(row.model_fields)}"
        meta = "; anything else goes into 'meta'" if "meta" in row.model_fields else ""
        named = "" if near else _OTHERS if "meta" in row.model_fields else ""
        return f"unknown field {field!r}; {hint}{meta}{named}"
    if error["type"] == "value_error":
        return f"field {field!r} {error['ctx']['error']}" if field else str(error["ctx"]["error"])
    wanted = {"string_type": "a string", "dict_type": "an object"}.get(error["type"])
    if wanted:
        return f"field {field!r} should be {wanted}, not {called(error['input'])}"
    if error["type"] == "literal_error":
        return f"field {field!r} should be {error['ctx']['expected']}, not {called(error['input'])}"
    return f"field {field!r}: {error['msg']}"
