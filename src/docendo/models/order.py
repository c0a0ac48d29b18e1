"""The order in which calls leave, so that a server's prefix cache can work.

A server that keeps what it computed of a prompt's beginning saves that work for a later prompt which begins alike,
if that comes while the beginning is still kept, and after it was computed. So prompts that begin alike leave side
by side, and the first of each such group before all others, to have been read when those come.
"""

from __future__ import annotations

from collections.abc import Sequence

from docendo.types import Call

_ALIKE = 0.5
"""Share of a prompt that must be what its neighbour begins with, for the two to be of one group."""


def departure(calls: Sequence[Call]) -> list[Call]:
    """The same calls in the order in which they should leave: it depends on the calls, not on their order.

    Args:
        calls: to one model, by any method; nothing needs to be known of what they have in common.
    """
    if len(calls) < 3:
        return list(calls)
    texts = {id(call): text_of(call) for call in calls}
    # By text, so that what begins alike is side by side; then by all else, so that the order is always the same.
    ordered = sorted(calls, key=lambda call: (texts[id(call)], call.request, call.sample))
    first: list[Call] = []
    rest: list[Call] = []
    before: str | None = None
    for call in ordered:
        text = texts[id(call)]
        alike = before is not None and common(before, text) >= _ALIKE * max(len(text), 1)
        (rest if alike else first).append(call)
        before = text
    return first + rest


def text_of(call: Call) -> str:
    """A prompt as one text; turns of a chat are kept apart."""
    if isinstance(call.prompt, str):
        return call.prompt
    return "\0".join(f"{role}\n{said}" for role, said in call.prompt)


def common(a: str, b: str) -> int:
    """The length of what two texts both begin with, by halving: comparing slices is fast, characters are not."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
