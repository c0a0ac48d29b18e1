"""Drawing in SVG: elements, scales, and the small interval bars of the tables.

No colours are set here: classes name what a shape is, and the style sheet gives them their colours, so that a
drawing follows the page from light to dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from docendo.report.numbers import percent, points
from docendo.stats import Interval

Scale = Callable[[float], float]
Number = float | int


def tag(name: str, *children: str | Markup, **attributes: Number | str) -> Markup:
    """An element; `class_` is the class, numbers are cut to a tenth, and texts are escaped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"' for key, value in attributes.items()
    )
    inside = Markup("").join(children)
    return Markup(f"<{name}{given}>{inside}</{name}>" if inside else f"<{name}{given}/>")


def path(xs: Sequence[float], ys: Sequence[float]) -> str:
    """The data of a path through some places."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """A scale from low..high to start..end."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """The same, by ratios; everything must be above 0."""
    inner = linear(math.log(low), math.log(high), start, end)
    return lambda value: inner(math.log(value))


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round shares that enclose low..high, at even steps."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= most:
            break
    return [round(k * step, 4) for k in range(first, max(last, first + 1) + 1)]


def bar(interval: Interval, low: float, high: float, kind: str, *, difference: bool = False) -> Markup:
    """A small drawing of an interval between the ends of its scale, with a line at 0 for differences."""
    if interval.mean is None:
        return Markup("")
    scale = linear(low, high, 4, 156)
    parts = [tag("line", x1=4, x2=156, y1=9, y2=9, class_="track")]
    if difference:
        parts.append(tag("line", x1=scale(0), x2=scale(0), y1=0, y2=18, class_="zero"))
    write = points if difference else percent
    said = write(interval.mean)
    if interval.low is not None and interval.high is not None:
        parts.append(tag("line", x1=scale(interval.low), x2=scale(interval.high), y1=9, y2=9, class_="reach"))
        said += f", 95% interval {write(interval.low)} to {write(interval.high)}"
    parts.append(tag("circle", cx=scale(interval.mean), cy=9, r=4, class_="dot"))
    return tag("svg", tag("title", said), *parts, class_=f"bar {kind}", viewBox="0 0 160 18", role="img")


def _text(value: Number | str) -> str:
    if isinstance(value, str):
        return str(escape(value))
    return f"{value:.1f}".removesuffix(".0")
