"""The progress display's face on a terminal: a few lines, each cut to the width, redrawn in place.

When a run ends the lines go away, and the tables take their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from docendo.cli.figures import SHOWN, Figures
from docendo.cli.ink import mark
from docendo.cli.words import amount, duration, one_line, percent
from docendo.types import Purpose

if TYPE_CHECKING:
    from docendo.models.meter import Meter
    from docendo.solve.road import Solved

_STAGES = {"teach": "teaching", "examine": "examining", "choose": "choosing"}
_PURPOSES: dict[str, tuple[Purpose, ...]] = {
    "teach": ("greedy", "teach", "debug"),
    "writing": ("write", "gold"),
    "exam": ("exam", "likelihood"),
    "more SC": ("sc",),
}


class LiveFace:
    """Draws figures in place on the console, and takes them away when closed."""

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        # Redrawn by whoever looks: rich's own refreshing would be a second thread with nothing new to show.
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def look(self, figures: Figures) -> None:
        """Draw the figures."""
        # Room at the right for the ^C that a terminal echoes: wrapped, it would leave a line behind.
        width = max(1, self._live.console.width - 4)
        self._live.update(Constrain(drawing(self._title, figures), width), refresh=True)

    def close(self, figures: Figures) -> None:
        """Give the terminal back."""
        self._live.stop()


def drawing(title: str, figures: Figures) -> RenderableType:
    """The figures as lines of a label and what it says."""
    if figures.folder is None or figures.meter is None:
        return Text(
            f"docendo {title}: reading the problems, opening the models … {duration(figures.elapsed)}"
        )
    lines = Table.grid(padding=(0, 2, 0, 0), expand=True)
    lines.add_column(style="dim", no_wrap=True, min_width=12)  # fixed, so that nothing jumps to the side
    lines.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    lines.add_row("problems", _bar(figures))
    lines.add_row("now", _now(figures))
    lines.add_row("replies", _replies(figures.meter, figures.rate()))
    lines.add_row("tokens", _tokens(figures.meter, figures.token_rate()))
    lines.add_row("time", _time(figures))
    for said in figures.meter.troubles():
        lines.add_row(Text("waiting", style="yellow"), Text(one_line(said), no_wrap=False, overflow="fold"))
    if figures.judged:
        lines.add_row("right so far", _right(figures))
    if figures.last is not None:
        lines.add_row("last", Text(one_line(figures.last.problem.question)))
        lines.add_row("", _marks(figures.last))
    head = Text.assemble((f"docendo {title}", "bold"), "  ", (one_line(str(figures.folder)), "dim"))
    head.no_wrap, head.overflow = True, "ellipsis"
    return Group(head, lines)


def _bar(figures: Figures) -> RenderableType:
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True)
    share = figures.done / figures.total if figures.total else 1.0
    bar = ProgressBar(total=max(1, figures.total), completed=figures.done, complete_style="cyan")
    row.add_row(bar, f"{figures.done:,}/{figures.total:,}  {100 * share:.0f} %")
    return row


def _now(figures: Figures) -> str:
    under_way, meter = figures.under_way(), figures.meter
    parts = [f"{_STAGES[stage]} {under_way[stage]}" for stage in _STAGES if under_way[stage]]
    if meter is not None:
        parts.append(f"{meter.total().in_flight:,} calls in flight")
    return " · ".join(parts)


def _replies(meter: Meter, rate: float) -> str:
    parts = []
    for name, purposes in _PURPOSES.items():
        replied = sum(meter.total(purpose=purpose).replied for purpose in purposes)
        if replied:
            parts.append(f"{name} {amount(replied)}")
    total = meter.total()
    parts.append(f"{amount(rate)}/s")
    if total.replayed:
        parts.append(f"{amount(total.replayed)} from the store")
    if total.errors:
        parts.append(f"{total.errors:,} failed")
    if total.cut:
        parts.append(f"{total.cut:,} cut by the token limit")
    return " · ".join(parts)


def _tokens(meter: Meter, rate: float) -> str:
    usage = meter.total().usage
    everything = usage.prompt + usage.completion
    said = f"{amount(everything)} read and written, {amount(usage.computed)} of them computed"
    return f"{said} · {amount(rate)}/s"


def _time(figures: Figures) -> str:
    left = figures.left()
    return (
        f"{duration(figures.elapsed)}, about {duration(left)} left"
        if left is not None
        else duration(figures.elapsed)
    )


def _right(figures: Figures) -> str:
    shares = "  ".join(f"{name} {percent(share)}" for name, share in figures.accuracies().items())
    return f"{shares}  of {figures.judged:,}"


def _marks(solved: Solved) -> Text:
    line = Text("")
    if solved.problem.answer is not None:
        line.append(f"answer {one_line(solved.problem.answer)}   ")
    for rule, name in SHOWN.items():
        choice = solved.choices.get(rule)
        if choice is not None and rule != "greedy":
            line.append_text(mark(solved.correct(choice)))
            line.append(f" {name} {one_line(choice.answer)}   ")
    return line
