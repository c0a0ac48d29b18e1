"""A reasoning model's reply taken apart: what it thought, and what it says."""

from __future__ import annotations

import re

_OPEN = re.compile(r"\s*<(think|thinking)>", re.IGNORECASE)
_CLOSE = re.compile(r"</(?:think|thinking)>", re.IGNORECASE)


def split(text: str) -> tuple[str, str]:
    """The hidden reasoning and the visible answer in a reply.

    Known are `<think>…</think>` at the start of the text; `</think>` alone, where the chat template itself wrote
    the opening tag; and `<think>` alone, where the reply was cut while it still thought (nothing is visible
    then). White space around both parts is dropped where there is reasoning, a text without any is left alone.

    Returns:
        (reasoning, visible text); the first is empty where the text has no such tags.
    """
    opened, closed = _OPEN.match(text), _CLOSE.search(text)
    if closed is None:
        return (text[opened.end() :].strip(), "") if opened else ("", text)
    start = opened.end() if opened and opened.end() <= closed.start() else 0
    return text[start : closed.start()].strip(), text[closed.end() :].strip()
