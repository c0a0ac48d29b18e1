"""Hugging Face data sets: `hub:NAME?split=test&as=gsm8k` (extra `hub`), streamed; NAME may be a local folder.

`as` names the reader that the rows are for; without it columns are docendo's own fields, under their own names or
those that options give them (`question=problem&answer=target`), and all other columns go into `meta`. Where rows have
no id it is NAME/SPLIT/NUMBER from 0. No code of a data set is run: what needs some is refused by `datasets`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from docendo.data.files import Raw
from docendo.data.problems import ProblemRow
from docendo.data.rows import known_fields
from docendo.data.source import READERS, Dropped
from docendo.errors import DataError
from docendo.types import Problem

_FIELDS = tuple(name for name in ProblemRow.model_fields if name not in ("group", "meta", "kind"))
_OWN = {
    "as": "the reader that the rows are for (default: docendo's own fields)",
    "config": "the configuration, of sets that have several",
    "split": "which part (default: test)",
    "revision": "a commit, tag or branch (default: the newest)",
}


def options(given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the options that may stand with those given: `hub:`'s own, and those of the reader that `as` names."""
    module = _reader(given)
    columns = {name: f"the column that holds the {name}" for name in _FIELDS}
    return {**_OWN, **(columns if module is None else module.OPTIONS)}


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem | Dropped | None]:
    """Return the function that makes a problem of one row."""
    module = _reader(options) or import_module("docendo.data.problems")
    presets: Mapping[str, Mapping[str, str]] = getattr(module, "PRESETS", {})
    make: Callable[[Raw], Problem | Dropped | None] = module.reader(
        {**presets.get(options.get("as", ""), {}), **options}
    )
    return make


def rows(path: str, options: Mapping[str, str]) -> Iterator[Raw]:
    """Yield the rows of a data set.

    Raises:
        DataError: the extra is not installed, or the set, its configuration or split cannot be had.
    """
    split = options.get("split", "test")
    module = _reader(options)
    known = known_fields(module.ROW) if module is not None and hasattr(module, "ROW") else None
    found = _load(path, options.get("config"), split, options.get("revision"))
    try:
        for number, row in enumerate(found):
            name = f"{path.rstrip('/').rpartition('/')[2]}/{split}/{number}"
            if module is None:
                values = _renamed(row, options, name)
            else:
                values = {k: v for k, v in row.items() if known is None or k in known}
            yield Raw(f"hub:{path}, {split}, row {number}", number, number, values, name=name)
    except DataError:
        raise
    except Exception as error:  # a connection that ends midway, a file that is not what it says
        raise DataError(f"hub:{path}: reading the split {split!r} failed: {error}") from error


def _reader(options: Mapping[str, str]) -> ModuleType | None:
    name = options.get("as")
    if name is None:
        return None
    if name not in READERS or name in ("docendo", "hub"):
        others = ", ".join(known for known in READERS if known not in ("docendo", "hub"))
        raise DataError(f"hub: no reader is named {name!r}; as= takes {others}")
    return import_module(f"docendo.data.{READERS[name]}")


def _renamed(row: Mapping[str, Any], options: Mapping[str, str], name: str) -> dict[str, Any]:
    """Docendo's fields from their columns, all other columns in `meta`."""
    columns = {field: options.get(field, field) for field in (*_FIELDS, "kind", "group")}
    values = {field: row[column] for field, column in columns.items() if row.get(column) is not None}
    rest = {column: value for column, value in row.items() if column not in columns.values()}
    meta = rest.pop("meta", None)
    return {"id": name, **values, "meta": {**(meta if isinstance(meta, dict) else {}), **rest}}


def _load(path: str, config: str | None, split: str, revision: str | None) -> Any:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(f"hub:{path} needs the extra 'hub' ({error}): pip install 'docendo[hub]'") from None
    try:
        return load_dataset(path, config, split=split, revision=revision, streaming=True)
    except Exception as error:  # whatever the libraries below it raise
        first = str(error).strip().partition("\n")[0]
        raise DataError(
            f"hub:{path}: the split {split!r} cannot be had ({type(error).__name__}: {first}); options are "
            "?config=NAME&split=NAME&revision=NAME"
        ) from error
