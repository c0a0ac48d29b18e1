"""What the commands draw with: consoles that show texts as they are, and the sign for right and wrong."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


class Ink(Console):
    """A rich console to which `[red]` in a question is text, and a reader who went away an error as ever."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=False)

    def on_broken_pipe(self) -> None:
        """Leave it to `main`; rich would end the process with a code of its own."""
        raise BrokenPipeError


def mark(right: bool | None) -> Text:
    """A sign for right and for wrong; room for one where it is not known."""
    if right is None:
        return Text(" ")
    return Text("✓", style="bold green") if right else Text("✗", style="bold red")


def dim(text: str) -> Text:
    """A side remark."""
    return Text(text, style="dim")
