"""How a program acts: inputs made from those of the visible tests, and one key for all that it gave back on them.

Programs that act alike on the visible and on the generated inputs share a key, and so count as one answer in a vote.
The inputs depend on the visible tests alone, so that all programs for one problem meet the same ones.
"""

from __future__ import annotations

import hashlib
import random

from docendo.grading.sandbox.inside import wire

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


GENERATED = 16
MOST_PART = 64  # members of a container that are looked at for a change


def generated(
    inputs: list[tuple[list[Any], dict[str, Any]]], count: int = GENERATED, records: tuple[str, ...] = ()
) -> list[tuple[list[Any], dict[str, Any]]]:
    """Return up to `count` new inputs, each a visible one with one value in it changed; none is a visible one.

    Args:
        inputs: (args, kwargs) of the visible tests' calls.
        count: how many at most.
        records: names of the setup's classes, whose instances may be among the inputs.
    """
    found: list[tuple[list[Any], dict[str, Any]]] = []
    known = {wire.pack(list(one), records=records) for one in inputs}
    draw = random.Random(hashlib.sha256(b"".join(sorted(known))).digest())
    for _ in range(count * 4):
        if len(found) == count or not inputs:
            break
        args, kwargs = inputs[draw.randrange(len(inputs))]
        places = len(args) + len(kwargs)
        if not places:
            break
        place = draw.randrange(places)
        args, kwargs = list(args), dict(kwargs)
        if place < len(args):
            args[place] = changed(args[place], draw)
        else:
            name = list(kwargs)[place - len(args)]
            kwargs[name] = changed(kwargs[name], draw)
        packed = wire.pack([args, kwargs], records=records)
        if packed not in known:
            known.add(packed)
            found.append((args, kwargs))
    return found


def changed(value: Any, draw: random.Random) -> Any:
    """Return a value of the same type that differs a little; the value itself where no change is known."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw.choice([value + 1, value - 1, value // 2, -value, value + draw.randrange(2, 10)])
    if isinstance(value, float):
        return draw.choice([value + 1.0, value / 2, -value, float(round(value))])
    if isinstance(value, str):
        return _changed_text(value, draw)
    if isinstance(value, (list, tuple)):
        return type(value)(_changed_members(list(value), draw)) if type(value) in (list, tuple) else value
    if isinstance(value, (set, frozenset)):
        members = sorted(value, key=repr)
        return type(value)(_changed_members(members, draw))
    if isinstance(value, dict) and value:
        key = draw.choice(list(value)[:MOST_PART])
        if draw.random() < 0.3:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: changed(value[key], draw)}
    return value


def _changed_text(value: str, draw: random.Random) -> str:
    if not value:
        return draw.choice(["a", "0", " "])
    i = draw.randrange(len(value))
    other = draw.choice(value)
    return draw.choice(
        [
            value[:i] + value[i + 1 :],
            value[:i] + other + value[i:],
            value[::-1],
            value.swapcase(),
            value + value[0],
        ]
    )


def _changed_members(members: list[Any], draw: random.Random) -> list[Any]:
    if not members:
        return members
    i = draw.randrange(min(len(members), MOST_PART))
    kind = draw.randrange(6)
    if kind == 0:
        return members[:i] + members[i + 1 :]
    if kind == 1:
        return [*members[: i + 1], members[i], *members[i + 1 :]]
    if kind == 2:
        return members[::-1]
    return [*members[:i], changed(members[i], draw), *members[i + 1 :]]


def changed_text_input(text: str, draw: random.Random) -> str:
    """Return a standard input in which one of the numbers after the first line's, or any word, is another."""
    lines = text.split("\n")
    rows = [i for i, line in enumerate(lines) if line.split()]
    if not rows:
        return text
    i = draw.choice(rows[1:] or rows)
    words = lines[i].split(" ")
    k = draw.choice([k for k, word in enumerate(words) if word])
    number = words[k].lstrip("-").isdigit() and len(words[k]) < 300
    words[k] = str(changed(int(words[k]), draw)) if number else changed(words[k], draw)
    return "\n".join([*lines[:i], " ".join(words), *lines[i + 1 :]])


def generated_texts(texts: list[str], count: int = GENERATED) -> list[str]:
    """Return up to `count` standard inputs that differ a little from those of the visible tests."""
    draw = random.Random(hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest())
    found: list[str] = []
    for _ in range(count * 4):
        if len(found) == count or not texts:
            break
        new = changed_text_input(draw.choice(texts), draw)
        if new not in found and new not in texts:
            found.append(new)
    return found


def key(outcomes: Iterable[tuple[str, Any]]) -> str:
    """Return the equivalence key of what a program gave back, in the order of the inputs.

    Args:
        outcomes: (kind, value): "value" with what was returned, "error" with the exception's name, "time", "died".
    """
    digest = hashlib.sha256()
    for outcome in outcomes:
        digest.update(hashlib.sha256(wire.pack(_plain(outcome, 0))).digest())
    return f"c:{digest.hexdigest()[:32]}"


def _plain(value: Any, depth: int) -> Any:
    """Lists for tuples, sorted lists for sets, numbers as they compare: what tests cannot tell apart, keys do not."""
    if depth > 50:
        return "deep"
    if isinstance(value, (list, tuple)):
        return [_plain(v, depth + 1) for v in value]
    if isinstance(value, (set, frozenset)):
        return ["set", *sorted((_plain(v, depth + 1) for v in value), key=repr)]
    if isinstance(value, dict):
        return [
            "dict",
            *sorted(([_plain(k, depth + 1), _plain(v, depth + 1)] for k, v in value.items()), key=repr),
        ]
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        rounded = float(f"{value:.9g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
    if value is None or isinstance(value, (int, str, bytes, complex)):
        return value
    attributes = getattr(value, "__dict__", None)
    return [type(value).__name__, _plain(attributes, depth + 1)] if attributes else type(value).__name__
