"""Label tasks: a text and one of a few words as its answer: `labels:PATH`, and by name `liar:`, `bbh:`, `folio:`.

Rows may have any fields; the options say which hold what. A field that holds a list is read one item a line; of
several fields, each is headed by its name. Fields that are not used go into `meta`.

`labels=no,yes` names the words: a label that is a number is its place among them from 0, one that is text is a word
itself, whatever its case. Where a set mixes tasks with words of their own, `labels=no,yes|invalid,valid` lists the
alternatives, and a row's label picks the first that has it. LIAR's `yes` means that the statement is a lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from docendo.data.files import Raw, called
from docendo.errors import DataError
from docendo.grading.exact import key
from docendo.types import Problem

OPTIONS: Mapping[str, str] = {
    "text": "the field or fields of the text, with commas (default: text)",
    "label": "the field of the label (default: label)",
    "labels": "the words, from label 0 on, such as no,yes; alternatives with |",
    "id": "the field of the id (default: id; without one FILE/NUMBER from 0)",
    "ask": "a question put after every text",
    "only": "only rows whose FIELD is VALUE, as FIELD:VALUE",
}
PRESETS: Mapping[str, Mapping[str, str]] = {
    "liar": {"labels": "no,yes"},
    "bbh": {"label": "target", "labels": "no,yes|invalid,valid|false,true", "group": "task"},
    "folio": {"text": "premises,conclusion", "labels": "true,false,uncertain"},
}


def reader(options: Mapping[str, str]) -> Callable[[Raw], Problem | None]:
    """Return the function that makes a problem of one row.

    Raises:
        DataError: the options do not name the labels, or `only` is not FIELD:VALUE.
    """
    texts = options.get("text", "text").split(",")
    label_field, id_field = options.get("label", "label"), options.get("id", "id")
    if not options.get("labels"):
        raise DataError("labels: the option 'labels' is missing; it names the words, such as ?labels=no,yes")
    alternatives = [[word.strip() for word in part.split(",")] for part in options["labels"].split("|")]
    if any(not word for words in alternatives for word in words) or any(len(w) < 2 for w in alternatives):
        raise DataError(f"labels: {options['labels']!r} should name two words or more, such as no,yes")
    used = {*texts, label_field, id_field}
    field, colon, value = options.get("only", "").partition(":")
    if bool(field) != bool(colon):
        raise DataError(f"labels: only={field} should be FIELD:VALUE, such as only=task:web_of_lies")

    def make(raw: Raw) -> Problem | None:
        if raw.fault is not None:
            raise DataError(f"{raw.where}: {raw.fault}")
        if field and str(_field(raw, field)) != value:
            return None
        question = _question(raw, texts, options.get("ask"))
        answer, words = _label(raw, label_field, alternatives)
        rest = {name: value for name, value in raw.values.items() if name not in used}
        group = rest.get(options.get("group", ""))
        return Problem(
            _id(raw, id_field),
            question,
            answer=answer,
            kind="label",
            group=group if isinstance(group, str) else None,
            meta={**rest, "labels": words},
        )

    return make


def _question(raw: Raw, names: list[str], ask: str | None) -> str:
    parts = []
    for name in names:
        value = _field(raw, name)
        lines = value if isinstance(value, list) else [value]
        if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
            raise DataError(
                f"{raw.where}: field {name!r} should be a string or a list of strings, none of them empty, "
                f"not {called(value)}"
            )
        text = "\n".join(line.strip() for line in lines)
        parts.append(text if len(names) == 1 else f"{name.capitalize()}:\n{text}")
    return "\n\n".join([*parts, ask] if ask else parts)


def _label(raw: Raw, name: str, alternatives: list[list[str]]) -> tuple[str | None, list[str]]:
    """The word of a row's label, and the words it is among."""
    value = _field(raw, name)
    if value is None:
        return None, alternatives[0]
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)  # in CSV every value is text
    for words in alternatives:
        if isinstance(value, int) and 0 <= value < len(words):
            return words[value], words
        if isinstance(value, str):
            same = next((word for word in words if key(word) == key(value)), None)
            if same is not None:
                return same, words
    known = " or ".join(", ".join(words) for words in alternatives)
    raise DataError(f"{raw.where}: field {name!r} is {called(value)}, which is none of the labels {known}")


def _id(raw: Raw, name: str) -> str:
    value = raw.values.get(name)
    if value is None:
        return raw.name or f"{raw.file}/{raw.number}"
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise DataError(
            f"{raw.where}: field {name!r} should be a string or a whole number, not {called(value)}"
        )
    return str(value)


def _field(raw: Raw, name: str) -> Any:
    if name not in raw.values:
        have = ", ".join(raw.values) or "no fields"
        raise DataError(f"{raw.where}: field {name!r} is missing; the row has {have}")
    return raw.values[name]
