"""Files of rows: JSONL, CSV, TSV and JSON lists, plain or gzipped, each row with the place it stands at.

What the fields of a row mean is left to the readers. A row that cannot be read does not end the reading: it
comes with its fault, so that a check of a whole file can name every bad row.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from docendo.errors import DataError

KINDS = ("jsonl", "csv", "tsv", "json")
SUFFIXES = tuple(f".{kind}{zipped}" for kind in KINDS for zipped in ("", ".gz"))


@dataclass(frozen=True, slots=True)
class Raw:
    """One row as it stands: its fields, or the fault that keeps them from being read.

    `where` is how errors name it, such as `FILE:LINE`; `line` is its line from 1 (its place from 1 where a
    source has no lines); `number` counts rows from 0; `name` is what the file calls the row, if anything.
    """

    where: str
    line: int
    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None
    name: str | None = None

    @property
    def file(self) -> str:
        """The name of the file, without folders and kind: what ids are made of where rows have none."""
        return stem(self.where.rpartition(":")[0] or self.where)


def read_raw(path: str | Path) -> Iterator[Raw]:
    """Yield the rows of a file, read as they are asked for; only a `.json` file is read whole.

    Raises:
        DataError: no such file, a directory, an unknown kind, not gzip, or no rows at all. A bad row does not
            raise: it is yielded with its fault.
    """
    path = Path(path)
    kind = _kind(path)
    with _faults(path):
        reading = {"jsonl": _jsonl, "json": _json}.get(kind)
        found = reading(path) if reading else _table(path, "," if kind == "csv" else "\t")
        empty = True
        for row in found:
            empty = False
            yield row
    if empty:
        each = "line should be one JSON object" if kind == "jsonl" else "row should be one problem"
        raise DataError(f"{path}: the file holds no rows; each {each}")


def stem(path: str | Path) -> str:
    """A file's name without the suffixes known here."""
    name = Path(path).name
    return next((name.removesuffix(s) for s in sorted(SUFFIXES, key=len)[::-1] if name.endswith(s)), name)


def read_object(path: Path) -> tuple[Mapping[str, Any], str | None]:
    """Return the one JSON object that a small file holds, or nothing and the fault."""
    with _faults(path):
        return _object(path.read_bytes())


def decoded(data: bytes) -> tuple[str, str | None]:
    """Return UTF-8 as text, or nothing and the fault."""
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return "", (
            f"not UTF-8 (byte {error.start + 1} of the line is 0x{data[error.start]:02x}); "
            "convert the file to UTF-8"
        )


def called(value: Any) -> str:
    """How JSON calls a value, with the value itself where it is short."""
    kinds = {dict: "an object", list: "a list", str: "the string", bool: "the value", type(None): "null"}
    kind = kinds.get(type(value), "the number")
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return kind if isinstance(value, dict | list) or value is None or len(shown) > 40 else f"{kind} {shown}"


def _kind(path: Path) -> str:
    endings = ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"
    if path.is_dir():
        raise DataError(f"{path}: is a directory; give a file ending in {endings}")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.name.endswith(SUFFIXES):
        more = (
            "; a folder of Parquet files is read by hub:FOLDER (extra hub)"
            if path.suffix == ".parquet"
            else ""
        )
        raise DataError(f"{path}: unknown kind of file; its name should end in {endings}{more}")
    return path.name.removesuffix(".gz").rpartition(".")[2]


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); compress it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines from 1, as bytes, without a byte-order mark."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def _jsonl(path: Path) -> Iterator[Raw]:
    number = 0
    for line, data in _lines(path):
        if data.strip():
            values, fault = _object(data)
            yield Raw(f"{path}:{line}", line, number, values, fault)
            number += 1


def _object(data: bytes) -> tuple[Mapping[str, Any], str | None]:
    text, fault = decoded(data.removeprefix(b"\xef\xbb\xbf"))
    if fault is not None:
        return {}, fault
    try:
        value = json.loads(text.strip(), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return {}, f"not JSON: {error.msg} at column {error.colno}; each line should be one JSON object"
    except (ValueError, RecursionError) as error:
        return {}, f"not usable JSON: {error}"
    if not isinstance(value, dict):
        example = '{"id": "a1", "question": "..."}'
        return {}, f"the row is {called(value)}; it should be a JSON object such as {example}"
    return value, None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _json(path: Path) -> Iterator[Raw]:
    """The objects of the list that the file holds, or of the one list in the object that it holds."""
    text, fault = decoded(b"".join(line for _, line in _lines(path)))
    if fault is not None:
        raise DataError(f"{path}: {fault}")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not usable JSON: {error}") from None
    lists = [v for v in value.values() if isinstance(v, list)] if isinstance(value, dict) else [value]
    if len(lists) != 1 or not isinstance(lists[0], list):
        raise DataError(f"{path}: should hold a list of objects, or an object with one such list")
    for number, item in enumerate(lists[0]):
        good = isinstance(item, dict)
        fault = None if good else f"the row is {called(item)}; it should be a JSON object"
        yield Raw(f"{path}: item {number + 1}", number + 1, number, item if good else {}, fault)


def _table(path: Path, delimiter: str) -> Iterator[Raw]:
    """Rows under a header; an empty cell is a field left out, and `meta.NAME` is the entry NAME of `meta`."""
    lines = _text_lines(path)
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line, number = 1, 0
    while True:
        try:
            cells = next(table, None)
        except csv.Error as error:
            if header is None:
                raise DataError(f"{path}:{line}: not CSV: {error}") from None
            yield Raw(f"{path}:{line}", line, number, {}, f"not CSV: {error}")
            number, line = number + 1, table.line_num + 1
            continue
        if cells is None:
            return
        at, line = line, table.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(f"{path}:{at}", cells)
            continue
        values, fault = _cells(header, cells)
        yield Raw(f"{path}:{at}", at, number, values, fault)
        number += 1


def _text_lines(path: Path) -> Iterator[str]:
    for line, data in _lines(path):
        text, fault = decoded(data)
        if fault is not None:
            raise DataError(f"{path}:{line}: {fault}")
        yield text


def _header(where: str, cells: Iterable[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    other = next((mark for mark in ";\t|" if len(names) == 1 and mark in names[0]), None)
    if other is not None:
        raise DataError(
            f"{where}: cells are parted by {other!r}; a .csv file's are by commas, a .tsv file's by tabs"
        )
    if names[0] == "" and "row" not in names:
        names[0] = "row"  # pandas writes the numbers of the rows like this
    if "" in names:
        raise DataError(f"{where}: column {names.index('') + 1} has no name; the first line names the fields")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{where}: two columns are named {twice!r}")
    return names


def _cells(header: list[str], cells: list[str]) -> tuple[Mapping[str, Any], str | None]:
    if len(cells) != len(header):
        return {}, f"has {len(cells)} cells, but the header names {len(header)} fields"
    values: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if not cell.strip():
            continue
        if name == "meta":
            try:
                found = json.loads(cell)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                return {}, f"field 'meta' should be a JSON object, not {called(cell)}"
            meta |= found
        elif name.startswith("meta."):
            meta[name.removeprefix("meta.")] = _scalar(cell)
        else:
            values[name] = cell
    return values | ({"meta": meta} if meta else {}), None


def _scalar(cell: str) -> Any:
    """A number, list or other JSON where the cell is some; else its text."""
    try:
        return json.loads(cell, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return cell
