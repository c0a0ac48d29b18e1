"""Values between processes as plain data: packed by one side, rebuilt by the other, never evaluated or unpickled.

A packed value is a flat table of nodes, each a tag, a length and a payload; containers name their members by index.
So deep nests need no recursion, lists that contain themselves survive, and whatever bytes a hostile program sends,
unpacking gives plain data or raises `WireError`: no method of the sender's ever runs on the receiver's side.
"""

from __future__ import annotations

import os
import select
import time

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

MOST_NODES = 200_000
MOST_BYTES = 8 << 20
MOST_DRAWN = 10_000  # members taken from an iterator, which may have no end

_MANY = {b"l": list, b"t": tuple, b"e": set, b"z": frozenset, b"g": list}
_FROZEN = (b"t", b"z")
# Numbers with exact texts; built by name on the other side, where their module is imported only if one comes.
_WRITTEN = {"Fraction": "fractions", "Decimal": "decimal"}
_DIGITS = set("-0123456789/")


class WireError(Exception):
    """Bytes that are no packed value, or a value that cannot be packed."""


class Object:
    """Something that is not plain data and stays with the sender: only its number travels."""

    def __init__(self, number: int, type_name: str) -> None:
        self.number, self.type_name = number, type_name


def pack(
    value: Any,
    keep: Callable[[Any], int] | None = None,
    records: Iterable[str] = (),
    objects: tuple[Any, ...] = (Object,),
) -> bytes:
    """Pack a value.

    Args:
        value: None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, Fraction, Decimal, an
            iterator (its first members), or an instance of a class whose name is in `records` (by its attributes).
        keep: called with anything else; returns the number by which it is known. Without it such a value is refused.
        records: names of classes that both sides have.
        objects: classes whose `number` already names something on the receiver's side.

    Raises:
        WireError: too large, or not plain data where `keep` is None.
    """
    todo: list[Any] = [value]
    seen: dict[int, int] = {}
    nodes: list[bytes] = []

    def number_of(member: Any) -> int:
        # Only what can change is shared: a tuple is written again each time, so that its members come after it.
        known = seen.get(id(member))
        if known is not None:
            return known
        if len(todo) >= MOST_NODES:
            raise WireError("the value is too large")
        todo.append(member)
        if isinstance(member, (list, dict, set)) or type(member).__name__ in records:
            seen[id(member)] = len(todo) - 1
        return len(todo) - 1

    if isinstance(value, (list, dict, set)) or type(value).__name__ in records:
        seen[id(value)] = 0
    index = size = 0
    while index < len(todo):
        node = _node(todo[index], number_of, keep, records, objects, todo, index)
        size += len(node)
        if size > MOST_BYTES:
            raise WireError("the value is too large")
        nodes.append(node)
        index += 1
    return b"".join(nodes)


def _node(
    v: Any,
    number_of: Callable[[Any], int],
    keep: Callable[[Any], int] | None,
    records: Iterable[str],
    objects: tuple[Any, ...],
    todo: list[Any],
    index: int,
) -> bytes:
    if v is None:
        return _piece(b"n")
    if isinstance(v, bool):
        return _piece(b"b", b"1" if v else b"0")
    if isinstance(v, int):
        return _piece(b"i", format(int(v), "x").encode())
    if isinstance(v, float):
        return _piece(b"f", float.__repr__(v).encode())
    if isinstance(v, complex):
        return _piece(b"c", f"{v.real!r} {v.imag!r}".encode())
    if isinstance(v, str):
        return _piece(b"s", str.encode(v, "utf-8", "surrogatepass"))
    if isinstance(v, (bytes, bytearray)):
        return _piece(b"y", bytes(v))
    if isinstance(v, objects):
        return _piece(b"O", str(v.number).encode())
    if type(v).__name__ in records and hasattr(v, "__dict__"):
        name = type(v).__name__.encode()
        return _piece(b"r", bytes([len(name)]) + name + _numbers([number_of(dict(v.__dict__))]))
    if isinstance(v, dict):
        return _piece(b"d", _numbers([number_of(m) for pair in list(v.items()) for m in pair]))
    for tag, kind in _MANY.items():
        if isinstance(v, kind):
            return _piece(tag, _numbers([number_of(m) for m in list(v)]))  # type: ignore[unreachable]
    if type(v).__name__ in _WRITTEN and type(v).__module__ == _WRITTEN[type(v).__name__]:
        return _piece(b"w", f"{type(v).__name__} {v}".encode())
    if hasattr(v, "__next__"):
        drawn = []
        for member in v:
            drawn.append(member)
            if len(drawn) == MOST_DRAWN:
                break
        todo[index] = drawn  # keeps the members alive: their addresses are in `seen`
        return _piece(b"g", _numbers([number_of(m) for m in drawn]))
    if keep is None:
        raise WireError(f"a value of type {type(v).__name__} is not plain data")
    return _piece(b"o", f"{keep(v)} {type(v).__name__}".encode("utf-8", "replace"))


def _piece(tag: bytes, payload: bytes = b"") -> bytes:
    return tag + len(payload).to_bytes(4, "big") + payload


def _numbers(values: list[int]) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def unpack(
    data: bytes,
    take: Callable[[Object], Any] | None = None,
    records: dict[str, type] | None = None,
    mine: Callable[[int], Any] | None = None,
) -> Any:
    """Rebuild a packed value.

    Args:
        data: the bytes.
        take: makes something of an `Object` that stayed with the sender; by default the `Object` itself.
        records: classes by name, of which instances are rebuilt by their attributes alone.
        mine: gives the receiver's own object of a number.

    Raises:
        WireError: not a packed value, or one that Python cannot hold (a list in a set).
    """
    try:
        nodes = _nodes(data)
        values: list[Any] = [
            None if tag in _FROZEN else _value(tag, p, take, records or {}, mine) for tag, p in nodes
        ]
        # From the last: a frozen container's frozen members come after it, all others are there by now.
        for i in range(len(nodes) - 1, -1, -1):
            tag, payload = nodes[i]
            if tag in _FROZEN:
                members = _read_numbers(payload)
                if any(m <= i and nodes[m][0] in _FROZEN for m in members):
                    raise WireError("not a packed value: a tuple before its container")
                values[i] = _MANY[tag](values[m] for m in members)
        for i in range(len(nodes) - 1, -1, -1):
            _fill(values[i], *nodes[i], values)
    except WireError:
        raise
    except Exception as error:
        raise WireError(f"not a packed value: {type(error).__name__}: {error}") from None
    return iter(values[0]) if nodes[0][0] == b"g" else values[0]


def _nodes(data: bytes) -> list[tuple[bytes, bytes]]:
    nodes: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        tag, size = data[at : at + 1], int.from_bytes(data[at + 1 : at + 5], "big")
        if at + 5 + size > len(data) or len(nodes) >= MOST_NODES:
            raise WireError("not a packed value: cut short or too large")
        nodes.append((tag, data[at + 5 : at + 5 + size]))
        at += 5 + size
    if not nodes:
        raise WireError("not a packed value: empty")
    return nodes


def _value(
    tag: bytes,
    payload: bytes,
    take: Callable[[Object], Any] | None,
    records: dict[str, type],
    mine: Callable[[int], Any] | None,
) -> Any:
    if tag == b"n":
        return None
    if tag == b"b":
        return payload == b"1"
    if tag == b"i":
        return int(payload, 16)
    if tag == b"f":
        return float(payload)
    if tag == b"c":
        real, imag = payload.split(b" ")
        return complex(float(real), float(imag))
    if tag == b"s":
        return payload.decode("utf-8", "surrogatepass")
    if tag == b"y":
        return payload
    if tag == b"w":
        name, text = payload.decode().split(" ", 1)
        if (
            name == "Fraction" and not set(text) <= _DIGITS
        ):  # "1e999999999" would be worked out, digit by digit
            raise WireError("not a packed value: a fraction that is not written as two whole numbers")
        return getattr(__import__(_WRITTEN[name]), name)(text)
    if tag == b"O":
        assert mine is not None
        return mine(int(payload))
    if tag == b"o":
        number, name = payload.decode().split(" ", 1)
        left = Object(int(number), name)
        return take(left) if take else left
    if tag == b"r":
        kind: Any = records[payload[1 : 1 + payload[0]].decode()]
        return kind.__new__(kind)
    return {b"l": list, b"g": list, b"d": dict, b"e": set}[tag]()


def _fill(value: Any, tag: bytes, payload: bytes, values: list[Any]) -> None:
    if tag == b"r":
        (attributes,) = _read_numbers(payload[1 + payload[0] :])
        vars(value).update(values[attributes])
    elif tag == b"d":
        members = [values[m] for m in _read_numbers(payload)]
        value.update(zip(members[::2], members[1::2], strict=True))
    elif tag == b"e":
        value.update(values[m] for m in _read_numbers(payload))
    elif tag in (b"l", b"g"):
        value.extend(values[m] for m in _read_numbers(payload))


def _read_numbers(payload: bytes) -> list[int]:
    return [int.from_bytes(payload[k : k + 4], "big") for k in range(0, len(payload), 4)]


def write_frame(fd: int, data: bytes, deadline: float | None = None) -> None:
    """Write one frame, its length first; raises `WireError` where the other side is gone or does not read."""
    left = memoryview(len(data).to_bytes(4, "big") + data)
    try:
        while left:
            _wait(fd, deadline, writing=True)
            left = left[os.write(fd, left[:65536]) :]
    except OSError as error:
        raise WireError(f"the other side is gone ({error.strerror})") from None


def read_frame(fd: int, deadline: float | None = None) -> bytes | None:
    """Read one frame; None where the other side closed before it.

    Raises:
        WireError: cut short or larger than `MOST_BYTES`.
        Late: not there by the deadline (of `time.monotonic`).
    """
    head = _read(fd, 4, deadline)
    if not head:
        return None
    size = int.from_bytes(head, "big")
    if len(head) < 4 or size > MOST_BYTES:
        raise WireError("a frame that is cut short or too large")
    data = _read(fd, size, deadline)
    if len(data) < size:
        raise WireError("a frame that is cut short")
    return data


def _read(fd: int, size: int, deadline: float | None) -> bytes:
    parts, left = [], size
    while left:
        _wait(fd, deadline)
        try:
            part = os.read(fd, min(left, 1 << 16))
        except OSError:
            break
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class Late(WireError):
    """The other side took too long."""


def _wait(fd: int, deadline: float | None, writing: bool = False) -> None:
    if deadline is None:
        return
    left = deadline - time.monotonic()
    ready = left > 0 and any(select.select([] if writing else [fd], [fd] if writing else [], [], left))
    if not ready:
        raise Late("the time is over")
