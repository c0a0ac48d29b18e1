"""Rows of a JSONL file, one at a time, each with its line number; every fault names file, line and field.

What the fields mean is left to the readers, which describe their rows as pydantic models.
"""

from __future__ import annotations

import difflib
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from docendo.errors import DataError

SUFFIXES = (".jsonl", ".jsonl.gz")


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


Text = Annotated[str, AfterValidator(_not_blank)]
"""A string with something in it."""
Answer = Annotated[Text, BeforeValidator(_written)]
"""A string with something in it, or a number, which becomes one."""

R = TypeVar("R", bound=Row)


def read_rows(path: str | Path, row: type[R]) -> Iterator[tuple[int, R]]:
    """Yield (line number from 1, row) for each line that is not blank.

    The file is read as it is asked for, so that its size does not matter.

    Raises:
        DataError: no such file, a directory, an unknown file type, not UTF-8, not gzip, bad JSON, or a row
            that does not have the fields of `row`; also where there is no row at all.
    """
    path = Path(path)
    empty = True
    for number, line in _lines(path):
        where = f"{path}:{number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{where}: not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x}); "
                f"convert the file to UTF-8"
            ) from None
        if text.strip():
            empty = False
            yield number, _row(where, text, row)
    if empty:
        raise DataError(f"{path}: the file holds no rows; each line should be one JSON object")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    endings = " or ".join(SUFFIXES)
    try:
        if path.is_dir():
            raise DataError(f"{path}: is a directory; give a file ending in {endings}")
        if not path.exists():
            raise DataError(f"{path}: no such file")
        if not path.name.endswith(SUFFIXES):
            raise DataError(f"{path}: unknown kind of file; its name should end in {endings}")
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield from enumerate(file, start=1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); compress it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _row(where: str, text: str, row: type[R]) -> R:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: not JSON: {error.msg} at column {error.colno}; each line should be one JSON object"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not usable JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(
            f"{where}: the row is {_name(value)}; it should be a JSON object such as "
            '{"id": "a1", "question": "..."}'
        )
    try:
        return row.model_validate(value)
    except ValidationError as error:
        raise DataError(f"{where}: {_explain(error.errors()[0], row)}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _explain(error: ErrorDetails, row: type[Row]) -> str:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"field {field!r} is missing"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field.lower(), row.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(row.model_fields)}"
        meta = "; anything else goes into 'meta'" if "meta" in row.model_fields else ""
        return f"unknown field {field!r}; {hint}{meta}"
    if error["type"] == "value_error":
        return f"field {field!r} {error['ctx']['error']}" if field else str(error["ctx"]["error"])
    wanted = {"string_type": "a string", "dict_type": "an object"}.get(error["type"])
    if wanted:
        return f"field {field!r} should be {wanted}, not {_name(error['input'])}"
    if error["type"] == "literal_error":
        return f"field {field!r} should be {error['ctx']['expected']}, not {_name(error['input'])}"
    return f"field {field!r}: {error['msg']}"


def _name(value: Any) -> str:
    """How JSON calls a value, with the value itself where it is short."""
    kinds = {dict: "an object", list: "a list", str: "the string", bool: "the value", type(None): "null"}
    kind = kinds.get(type(value), "the number")
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return kind if isinstance(value, dict | list) or value is None or len(shown) > 40 else f"{kind} {shown}"
