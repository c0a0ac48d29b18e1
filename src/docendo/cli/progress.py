"""The progress display, on stderr: where a run is, how fast, and how long still.

On a terminal a few lines are redrawn four times a second (`live`); elsewhere a plain line is printed now and
then, with no control codes. Drawing has a thread of its own, so that the event loop never waits for a
terminal. What is shown comes from `figures`.
"""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from docendo.cli.figures import Figures
from docendo.cli.words import duration, many, one_line, percent

if TYPE_CHECKING:
    from rich.console import Console

_REFRESH = 0.25  # seconds between two looks at the figures
_PLAIN_SECONDS = 10.0
_PLAIN_STEPS = 10


class Face(Protocol):
    """A way of showing figures; all of it is called on one thread."""

    def look(self, figures: Figures) -> None:
        """Show the figures as they are now, if it is time to."""

    def close(self, figures: Figures) -> None:
        """Show what is still to be shown, and leave the terminal as it was."""


class Progress:
    """Shows `figures` while it is entered; a context manager.

    Args:
        title: the command's name.
        console: stderr's.
        quiet: show nothing; the figures are kept all the same.
    """

    def __init__(self, title: str, console: Console, *, quiet: bool = False) -> None:
        self.figures = Figures()
        self._title = title
        self._console = console
        self._quiet = quiet
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="docendo progress", daemon=True)

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if not self._quiet:
            self._thread.join()

    def _draw(self) -> None:
        try:
            face = self._face()
            try:
                while not self._stop.wait(_REFRESH):
                    face.look(self.figures)
            finally:
                face.close(self.figures)
        except (OSError, ValueError):
            return  # stderr is gone or closed: a run is worth more than its display

    def _face(self) -> Face:
        # Not rich's own opinion of what is a terminal: variables such as FORCE_COLOR move that.
        if sys.stderr.isatty() and not self._console.is_dumb_terminal:
            from docendo.cli.live import LiveFace

            return LiveFace(self._title, self._console)
        return PlainFace(self._title)


class PlainFace:
    """A line at the start, then one for every tenth of the problems or every ten seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._said: float | None = None
        self._done = 0

    def look(self, figures: Figures) -> None:
        """Say where the run is, if it is time to."""
        figures.rate()  # asked at every look, so that it is of late when it is said
        if figures.folder is None:
            return
        if self._said is None:
            already = f", {figures.done:,} finished already" if figures.done else ""
            self._say(
                figures, f"{self._title}: {many(figures.total, 'problem')}{already}, in {figures.folder}"
            )
        step = max(1, figures.total // _PLAIN_STEPS)
        waited = time.monotonic() - (self._said or 0.0)
        if figures.done // step > self._done // step or waited >= _PLAIN_SECONDS:
            self._say(figures, self._line(figures))

    def close(self, figures: Figures) -> None:
        """Say how far the run came, if that was not said yet."""
        if figures.folder is not None and figures.done != self._done:
            self._say(figures, self._line(figures))

    def _say(self, figures: Figures, line: str) -> None:
        print(one_line(line), file=sys.stderr, flush=True)
        self._said, self._done = time.monotonic(), figures.done

    def _line(self, figures: Figures) -> str:
        left = figures.left()
        count = figures.meter.total() if figures.meter is not None else None
        parts = [
            f"{figures.done:,}/{figures.total:,} problems",
            f"{duration(figures.elapsed)} so far" + (f", about {duration(left)} left" if left else ""),
            f"{count.replied:,} replies, {figures.rate():.0f}/s" if count else "",
            f"{count.errors:,} calls failed" if count and count.errors else "",
            f"{count.cut:,} replies cut by the token limit" if count and count.cut else "",
            "right so far: "
            + ", ".join(f"{name} {percent(share)}" for name, share in figures.accuracies().items())
            if figures.judged
            else "",
            *(f"waiting: {said}" for said in (figures.meter.troubles() if figures.meter is not None else ())),
        ]
        return "; ".join(part for part in parts if part)
