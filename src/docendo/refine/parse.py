r"""Reading a set of examples out of what a model wrote; never evaluated, never trusted.

Models write lists in many ways, whatever they were asked for. Understood are JSON (alone, in a fence, with prose around
it, one object a line, with commas too many), and text in which each example has fields at the start of lines
("Question: … Reasoning: … Answer: …", with numbers and stars). The field that begins an example is the first known one
that stands in the text, so a question may itself begin with "Statement:".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from docendo.types import Example

QUESTION = ("question", "text", "input", "problem", "example", "statement", "argument", "passage")
RATIONALE = ("rationale", "reasoning", "working", "explanation", "reason", "thought", "solution", "why")
ANSWER = ("answer", "final answer", "label", "output", "target", "verdict")
_NAMES = (*QUESTION, *RATIONALE, *ANSWER)

MOST = 1_000_000
"""Characters of a reply that are looked at."""

_FIELD = re.compile(
    r"^[ \t>*_#•+-]{0,12}(?:\(?\d{1,3}[.):][ \t]*)?[*_#\t ]{0,8}"
    rf"(?P<name>{'|'.join(sorted(map(re.escape, _NAMES), key=len, reverse=True))})"
    r"(?:[ \t]*#?\d{1,3})?[*_ \t]{0,4}:[*_ \t]{0,4}",
    re.IGNORECASE | re.MULTILINE,
)
_ITEM = re.compile(r"^[ \t]{0,8}\(?(?P<number>\d{1,3})[.)][ \t]+", re.MULTILINE)
_LABELLED = re.compile(
    rf"[\s(\[*_]*\b(?:{'|'.join(map(re.escape, ANSWER))})\b[*_ \t]*[:=][*_ \t]*(?P<answer>[^\n)\]]{{1,80}})",
    re.IGNORECASE,
)
_ARROW = re.compile(r"\s*(?:->|=>|→|⇒)\s*(?P<answer>[^\n]{1,80})$", re.MULTILINE)
_TRAILING_COMMA = re.compile(r",(?=\s*[\]}])")
_REFUSAL = re.compile(
    r"\b(?:i(?:'|’)?m sorry|i am sorry|i can(?:'|’)?t|i can ?not|i(?:'|’)?m (?:not able|unable)"
    r"|i am (?:not able|unable)|i won(?:'|’)?t|as an ai|unable to (?:help|assist|comply))\b",
    re.IGNORECASE,
)


def read_examples(text: str) -> list[Example]:
    """The examples in a reply, in order; none where nothing could be read. Fields that are missing are empty."""
    text = text[:MOST]
    return _of_json(text) or max(_of_fields(text), _of_items(text), key=len)


def refuses(text: str) -> bool:
    """Whether a reply without examples says that it will not do it."""
    return _REFUSAL.search(text[:400]) is not None


def _of_json(text: str) -> list[Example]:
    """The longest list of examples that stands in the text as JSON."""
    best: list[Example] = []
    loose: list[Example] = []
    for value in _values(text):
        if isinstance(value, dict) and _question(value):
            loose += _examples([value])  # one object a line, or a list that was cut off
            continue
        found = max((_examples(rows) for rows in _lists(value)), key=len, default=[])
        best = max(best, found, key=len)
    return max(best, loose, key=len)


def _values(text: str) -> Iterator[Any]:
    """Every JSON value with brackets in the text, one after another."""
    decoder = json.JSONDecoder(strict=False)
    at, tries = 0, 0
    while tries < 2000:
        starts = [place for place in (text.find("[", at), text.find("{", at)) if place >= 0]
        if not starts:
            return
        start, tries = min(starts), tries + 1
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            mended = _mended(text, start)
            if mended is None:
                at = start + 1
                continue
            value, at = mended
        yield value


def _mended(text: str, start: int) -> tuple[Any, int] | None:
    """The value at `start` with commas too many taken out, and where the text goes on after it."""
    if _TRAILING_COMMA.search(text, start) is None or text[start] != "[":
        return None
    end = text.rfind("]", start)
    try:
        return json.JSONDecoder(strict=False).decode(_TRAILING_COMMA.sub("", text[start : end + 1])), end + 1
    except (ValueError, RecursionError):
        return None


def _lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, list):
        yield value
    elif isinstance(value, dict):
        yield from (inner for inner in value.values() if isinstance(inner, list))


def _examples(rows: Sequence[Any]) -> list[Example]:
    found = []
    for row in rows:
        question = _question(row) if isinstance(row, dict) else ""
        if question:
            found.append(Example(question, _first(row, RATIONALE), _first(row, ANSWER)))
    return found


def _question(row: dict[str, Any]) -> str:
    """The text of an example; premises and a conclusion are written as the problems' own are."""
    found = _first(row, QUESTION)
    parts = [(name, _first(row, (name,))) for name in ("premises", "conclusion")]
    if not found and all(text for _, text in parts):
        found = "\n\n".join(f"{name.capitalize()}:\n{text}" for name, text in parts)
    return found


def _first(row: dict[str, Any], names: Sequence[str]) -> str:
    """The first of these fields that is there, as text."""
    lower = {str(name).strip().casefold().replace("_", " "): value for name, value in row.items()}
    for name in names:
        value = lower.get(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, list) and all(isinstance(line, str) for line in value):
            value = "\n".join(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _of_fields(text: str) -> list[Example]:
    """Examples whose fields begin lines.

    A reply may also begin in the middle of a question, as that of a model which goes on with a text does.
    """
    fields = list(_FIELD.finditer(text))
    names = [found["name"].casefold() for found in fields]
    first = next((name for name in QUESTION if name in names), None)
    if not any(name in ANSWER for name in names):
        return []
    found: list[dict[str, str]] = []
    current: dict[str, str] = {}
    leading = text[: fields[0].start()].strip()
    if names[0] not in QUESTION and leading:
        current = {"question": leading}
    for number, (field, name) in enumerate(zip(fields, names, strict=True)):
        end = fields[number + 1].start() if number + 1 < len(fields) else len(text)
        said = text[field.end() : end].strip()
        if name in QUESTION and name != first and "question" in current and "answer" not in current:
            # "Statement: …" inside of a question: a part of it.
            part = "question" if "rationale" not in current else "rationale"
            current[part] = f"{current[part]}\n{text[field.start() : end].strip()}".strip()
        elif name == first or (name in QUESTION and "answer" in current):
            if current.get("question"):
                found.append(current)
            current = {"question": said}
        elif name in ANSWER:
            current["answer"] = said.split("\n")[0].strip() if said else ""
        elif name in RATIONALE:
            current["rationale"] = f"{current.get('rationale', '')}\n{said}".strip()
    found.append(current)
    return [
        Example(_bare(row["question"]), row.get("rationale", "").strip(), _bare(row.get("answer", "")))
        for row in found
        if row.get("question")
    ]


def _of_items(text: str) -> list[Example]:
    """Numbered items, each a text and its label after "Label:" or an arrow."""
    starts = [found for found in _ITEM.finditer(text)]
    found = []
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(text)
        body = text[start.end() : end].strip()
        label = _LABELLED.search(body) or _ARROW.search(body)
        if label is not None:
            found.append(Example(_bare(body[: label.start()]), "", _bare(label["answer"])))
    return [example for example in found if example.question]


def _bare(text: str) -> str:
    """Without the stars, dashes and quotation marks that stand around it."""
    text = text.strip().strip("*_").strip()
    text = re.sub(r"[\s–—-]+$", "", text)
    for left, right in (('"', '"'), ("“", "”"), ("'", "'")):
        if len(text) > 1 and text[0] == left and text[-1] == right and left not in text[1:-1]:
            text = text[1:-1].strip()
    return text
