"""What the commands draw with: consoles that show texts as they are, tables of figures, signs."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_NAME = 10  # columns that a name has at least, however narrow the window


class Ink(Console):
    """A rich console to which `[red]` in a question is text, and a reader who went away an error as ever."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=False)

    def on_broken_pipe(self) -> None:
        """Leave it to `main`; rich would end the process with a code of its own."""
        raise BrokenPipeError


class FigureTable(Table):
    """A table of names and figures: where it is narrow names take several lines, and no figure is ever cut.

    Print it with `crop=False`: what still does not fit stands beyond the window, rather than half of a number in it.
    """

    def __init__(self, *heads: str, names: int = 1) -> None:
        super().__init__(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for i, head in enumerate(heads):
            if i < names:
                self.add_column(head, overflow="fold")
            else:
                self.add_column(head, justify="right", no_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for column in self.columns:
            cells = (column.header, *column.cells)
            widest = max(Measurement.get(console, options, cell).maximum for cell in cells)
            column.min_width = widest if column.no_wrap else min(widest, _NAME)
        least = sum(column.min_width or 0 for column in self.columns) + 2 * len(self.columns)
        yield from super().__rich_console__(console, options.update(width=max(options.max_width, least)))


def mark(right: bool | None) -> Text:
    """A sign for right and for wrong; room for one where it is not known."""
    if right is None:
        return Text(" ")
    return Text("✓", style="bold green") if right else Text("✗", style="bold red")


def dim(text: str) -> Text:
    """A side remark."""
    return Text(text, style="dim")
