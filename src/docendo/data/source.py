"""How a source of problems is named, and the one way in which all of them are read.

A source is `PATH` (docendo's own rows), `READER:PATH`, `school:NAME` or `hub:NAME`, each with options after a
question mark: `math:MATH/train?group=level`, `hub:openai/gsm8k?split=test&as=gsm8k`. A reader is a module of this
package with two names:

- `OPTIONS`, what may stand after the question mark, each with a line of help;
- `reader(options)`, which returns a function from one `Raw` row to a `Problem`, to `Dropped` where the problem is left
  out for a reason to be counted, or to None where it was not asked for. It raises `DataError` for a bad row.

It may also have `rows(path, options)`, which yields the rows where they do not stand in one file; `PRESETS`, options
by reader where one module is several; `ROW`, the model of its rows; and `options(given)` in place of `OPTIONS`. Options
for all readers are here: `ids=FILE` and `group=FIELD`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

from docendo.data.files import Raw, read_raw
from docendo.errors import DataError
from docendo.types import Problem

READERS: Mapping[str, str] = {
    "docendo": "problems",
    "math": "math",
    "math500": "math",
    "math-functional": "functional",
    "gsm8k": "gsm8k",
    "labels": "labels",
    "liar": "labels",
    "bbh": "labels",
    "folio": "labels",
    "fallacy": "fallacy",
    "humaneval": "humaneval",
    "mbpp": "mbpp",
    "leetcode": "leetcode",
    "apps": "apps",
    "hub": "hub",
}
"""Readers by name, each with the module it is in."""
SCHOOL = "school"
_QUERY = re.compile(r"\?(?=[a-z_]+=)")
COMMON = {
    "ids": "a file of ids (JSON list, JSON object with `ids`, or lines): only problems with such an id or family",
    "group": "a field of `meta` to report the problems by, such as level",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A source as named: which reader, where, with which options."""

    reader: str
    path: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A problem that a reader leaves out, and why."""

    problem: Problem
    reason: str


@dataclass(slots=True)
class Notes:
    """What reading a source left out, by reason, and, where `keep_going` is set, which rows were bad."""

    keep_going: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)


def parse(text: str) -> Source:
    """Read how a source is named.

    Raises:
        DataError: no such reader, or options that are not `name=value`.
    """
    path, *rest = _QUERY.split(text, maxsplit=1)
    query = rest[0] if rest else ""
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if not equals or not name or name in options:
            raise DataError(f"{text}: {part!r} should be an option NAME=VALUE, each name once")
        options[name] = unquote(value)
    scheme, colon, place = path.partition(":")
    if not colon or Path(path).exists():
        return Source("docendo", path, options)
    known = (*READERS, SCHOOL)
    if scheme not in known:
        near = difflib.get_close_matches(scheme, known, 1)
        hint = f"did you mean {near[0]}:?" if near else f"there are {', '.join(f'{k}:' for k in known)}"
        raise DataError(f"{text}: no such file, and no reader is named {scheme!r}; {hint}")
    return Source(scheme, place, options)


def stream(source: str | Path | Source, notes: Notes | None = None) -> Iterator[Problem]:
    """Yield the problems of a source in its order, reading it as they are asked for.

    Of what was read only ids are kept, to find duplicates.

    Args:
        source: a source, or how it is named (this module's docstring); a `Path` is always docendo's own rows.
        notes: is told what was left out, and of bad rows, where it says to go on after them.

    Raises:
        DataError: the source cannot be read, has no problems, or (unless `notes.keep_going`) has a row that
            cannot be used or an id that was used before; names file, line and field.
    """
    notes = Notes() if notes is None else notes
    if not isinstance(source, Source):
        source = Source("docendo", str(source)) if isinstance(source, Path) else parse(source)
    if source.reader == SCHOOL:
        yield from _chosen(_school(source), _check_options(source, {}), notes, source.path)
        return
    module = import_module(f"docendo.data.{READERS[source.reader]}")
    own = module.options(source.options) if hasattr(module, "options") else module.OPTIONS
    options = _check_options(source, own)
    make = module.reader({**_defaults(module, source.reader), **options})
    yield from _chosen(_made(_rows(module, source), make, notes), options, notes, source.path)


def _rows(module: ModuleType, source: Source) -> Iterator[Raw]:
    reading = getattr(module, "rows", None)
    return reading(source.path, source.options) if reading is not None else read_raw(source.path)


def _made(
    rows: Iterator[Raw], make: Callable[[Raw], Problem | Dropped | None], notes: Notes
) -> Iterator[Problem | Dropped]:
    """Problems of rows, each id once; a bad row ends it or is noted."""
    lines: dict[str, int] = {}
    for raw in rows:
        try:
            made = make(raw)
            if isinstance(made, Problem) and made.id in lines:
                raise DataError(
                    f"{raw.where}: the id {made.id!r} was already used on line {lines[made.id]}; "
                    "give every problem an id of its own"
                )
        except DataError as error:
            if not notes.keep_going:
                raise
            notes.bad.append(str(error))
            continue
        if isinstance(made, Problem):
            lines[made.id] = raw.line
        if made is not None:
            yield made


def _chosen(
    made: Iterator[Problem | Dropped], options: Mapping[str, str], notes: Notes, where: str
) -> Iterator[Problem]:
    """What the options for all readers leave, never nothing."""
    wanted = read_ids(options["ids"]) if "ids" in options else None
    by, empty = options.get("group"), True
    for one in made:
        problem = one.problem if isinstance(one, Dropped) else one
        if wanted is not None and problem.id not in wanted and problem.family not in wanted:
            continue
        if isinstance(one, Dropped):
            notes.dropped[one.reason] += 1
            continue
        empty = False
        value = None if by is None else problem.meta.get(by)
        yield problem if by is None else replace(problem, group=None if value is None else f"{by} {value}")
    if empty and not notes.bad:
        named = "&".join(f"{name}={value}" for name, value in options.items())
        raise DataError(f"{where}: there is no problem such as {named} asks for")


def read_ids(path: str | Path) -> frozenset[str]:
    """Return the ids that a file lists: a JSON list, a JSON object with the list `ids`, or one a line.

    Raises:
        DataError: it cannot be read, or lists no ids.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the list of ids cannot be read ({why})") from None
    try:
        value = json.loads(text) if text.lstrip()[:1] in ("[", "{") else text.split("\n")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: the list of ids is not JSON: {error}") from None
    value = value.get("ids") if isinstance(value, dict) else value
    whole = isinstance(value, list) and all(type(item) in (str, int) for item in value)
    if not isinstance(value, list) or not whole:
        raise DataError(f"{path}: should list ids, each a string or a whole number")
    ids = frozenset(str(item).strip() for item in value if str(item).strip())
    if not ids:
        raise DataError(f"{path}: lists no ids")
    return ids


def _check_options(source: Source, own: Mapping[str, str]) -> Mapping[str, str]:
    known = [*own, *COMMON]
    for name in source.options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise DataError(f"{source.reader}:{source.path}: no option {name!r}; {hint}")
    return source.options


def _defaults(module: ModuleType, reader: str) -> dict[str, str]:
    """What a reader's name alone says, where one module has several."""
    presets: Mapping[str, Mapping[str, str]] = getattr(module, "PRESETS", {})
    return dict(presets.get(reader, {}))


def _school(source: Source) -> Iterator[Problem | Dropped]:
    from docendo.schoolhouse.sets import problems

    return iter(problems(source.path))
