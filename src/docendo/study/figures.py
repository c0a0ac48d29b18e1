"""The plots of the study's page, as SVG files that stand alone; what they show is computed in `analyse`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from docendo.report.numbers import percent, points, step, tick
from docendo.report.plots import all_plots
from docendo.report.svg import linear, tag, ticks
from docendo.solve.summary import Summary
from docendo.stats import Interval
from docendo.study.analyse import Results
from docendo.study.plan import PRIMARY

# Fixed colours on white: a page may show the file on any ground, and it must be legible there.
_STYLE = """
svg { background: #fff; }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: #59636e; }
.greedy, .oracle { --c: #6b7480; } .sc, .sc_equal_cost { --c: #474d54; } .max { --c: #8a3c9f; }
.sum { --c: #0b5cad; } .avg { --c: #8a6100; } .right { --c: #08734f; } .wrong { --c: #b03e0b; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: #dde1e6; } .axis, .zero { stroke: #59636e; }
.band { fill: var(--c); opacity: 0.15; } .line { fill: none; stroke: var(--c); stroke-width: 2; }
.link { stroke: var(--c); stroke-width: 1.5; stroke-dasharray: 3 4; }
.line.max { stroke-dasharray: 7 3; } .line.avg { stroke-dasharray: 2 3; }
.dot { fill: var(--c); } .mark { fill: #fff; stroke: var(--c); stroke-width: 2; }
.name { fill: var(--c); font-weight: 600; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
.bin { fill: var(--c); opacity: 0.85; } .reach { stroke: var(--c); stroke-width: 2; }
.strong { font-weight: 600; fill: #1c2126; }
"""
# In a report this one refers to a table that the page has not.
_CAPTIONS = {
    "by-lessons": "Means over random subsets of the recorded samples, decided again by each rule, over all runs. Bands "
    "are 95 % intervals over clusters, for SC and SUM. SC goes on with the samples of its equal-cost arm."
}
_WIDTH, _ROW, _LABELS, _EDGE = 620, 24, 230, 24


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with its title and what to see in it."""

    title: str
    caption: str
    svg: str


def drawings(results: Results) -> dict[str, Plot]:
    """The plots that these results have something to show in, by name."""
    found = {"runs": _runs(results)}
    if results.conditions:
        rows = [(c.name, c.difference, False) for c in results.conditions]
        found["conditions"] = Plot(
            "SUM under each condition, less SUM in the first run",
            "SUM's accuracy with one thing changed, less its accuracy in the first run: percentage points with 95 % "
            "intervals. Left of the line: the change took something away.",
            _forest(rows, "percentage points"),
        )
    doubt = [(f"{tick(d.low)}–{tick(d.high)}", d.gain) for d in results.doubt if d.problems]
    if doubt:
        found["doubt"] = Plot(
            "SUM − SC by how divided the teacher is",
            "The gain in percentage points with 95 % intervals, by the share of samples that the most frequent "
            "answer has.",
            _upright(doubt, "share of the most frequent answer", difference=True),
        )
    bins = [(f"{b.low:.1f}–{b.high:.1f}", b.right) for b in results.calibration if b.right.n]
    if bins:
        found["calibration"] = Plot(
            "Right lessons by LbT score",
            "The share of distinct lessons that have the right answer, with 95 % intervals.",
            _upright(bins, "LbT score"),
        )
    for figure in all_plots(_summary(results), results.curves):
        caption = _CAPTIONS.get(figure.name, figure.caption)
        found[figure.name] = Plot(figure.title, caption, alone(figure.drawing))
    return found


def _runs(results: Results) -> Plot:
    rows = [(f"teacher {r.teacher}, seed {r.seed}", r.whole.table.differences, False) for r in results.runs]
    rows.append(("all runs", results.pooled.table.differences, True))
    rows += [(f"all runs: {g.name}", g.table.differences, False) for g in results.groups]
    if results.slips is not None:
        rows.append(("teacher that only slips", results.slips.whole.table.differences, False))
    return Plot(
        "SUM − SC at equal samples",
        "Run by run, pooled, and by group: percentage points with 95 % intervals.",
        _forest(
            [(name, found[PRIMARY], strong) for name, found, strong in rows if PRIMARY in found], "points"
        ),
    )


def _forest(rows: Sequence[tuple[str, Interval, bool]], unit: str) -> str:
    """Intervals of differences, one below the other, on a common scale with a line at zero."""
    ends = [v for _, i, _ in rows for v in (i.low, i.mean, i.high) if v is not None]
    marks = ticks(min([0.0, *ends]), max([0.0, *ends]))
    height = _ROW * len(rows) + 50
    x = linear(marks[0], marks[-1], _LABELS, _WIDTH - _EDGE)
    shapes = [
        tag("line", x1=x(m), x2=x(m), y1=6, y2=height - 40, class_="grid" if m else "zero") for m in marks
    ]
    shapes += [tag("text", step(m), x=x(m), y=height - 24, class_="middle") for m in marks]
    shapes.append(tag("text", unit, x=(_LABELS + _WIDTH - _EDGE) / 2, y=height - 6, class_="middle"))
    for row, (name, interval, strong) in enumerate(rows):
        y = _ROW * row + 20
        shapes.append(tag("text", name, x=_LABELS - 12, y=y + 4, class_="end strong" if strong else "end"))
        shapes += _bar(interval, x, y, upright=False)
    return alone(tag("svg", *shapes, viewBox=f"0 0 {_WIDTH} {height}", role="img"))


def _upright(columns: Sequence[tuple[str, Interval]], name: str, *, difference: bool = False) -> str:
    """Intervals side by side."""
    ends = [v for _, i in columns for v in (i.low, i.mean, i.high) if v is not None]
    marks = ticks(min([0.0, *ends]), max([0.0, *ends]))
    y = linear(marks[0], marks[-1], 270, 16)
    width = (_WIDTH - 60 - _EDGE) / len(columns)
    shapes = [
        tag("line", x1=60, x2=_WIDTH - _EDGE, y1=y(m), y2=y(m), class_="grid" if m else "zero") for m in marks
    ]
    write = step if difference else tick
    shapes += [tag("text", write(m), x=52, y=y(m) + 4, class_="end") for m in marks]
    for place, (label, interval) in enumerate(columns):
        x = 60 + (place + 0.5) * width
        shapes.append(tag("text", label, x=x, y=292, class_="middle"))
        shapes += _bar(interval, y, x, upright=True, difference=difference)
    shapes.append(tag("text", name, x=(60 + _WIDTH - _EDGE) / 2, y=316, class_="middle"))
    return alone(tag("svg", *shapes, viewBox=f"0 0 {_WIDTH} 326", role="img"))


def _bar(
    interval: Interval, scale: object, at: float, *, upright: bool, difference: bool = True
) -> list[Markup]:
    """One interval with its mean."""
    assert callable(scale)
    if interval.mean is None:
        return []
    write = points if difference else percent
    said, shapes = write(interval.mean), []
    if interval.low is not None and interval.high is not None:
        low, high = scale(interval.low), scale(interval.high)
        said += f", 95 % interval {write(interval.low)} to {write(interval.high)}"
        ends = (
            {"x1": at, "x2": at, "y1": low, "y2": high}
            if upright
            else {"x1": low, "x2": high, "y1": at, "y2": at}
        )
        shapes.append(tag("line", class_="reach sum", **ends))
    middle = scale(interval.mean)
    place = {"cx": at, "cy": middle} if upright else {"cx": middle, "cy": at}
    return [*shapes, tag("circle", tag("title", said), r=4, class_="dot sum", **place)]


def _summary(results: Results) -> Summary:
    """All main runs as the one summary that the report's own plots are drawn from."""
    ranking = results.pooled.ranking
    right, wrong = results.scores
    return Summary(
        problems=results.pooled.table.problems,
        planned=results.pooled.table.problems,
        overall=results.pooled.table,
        groups={},
        auc=ranking.within.mean,
        auc_pooled=ranking.pooled.mean,
        right_scores=right,
        wrong_scores=wrong,
        states={},
        exam_states={},
        lessons=len(right) + len(wrong),
        samples=0,
        facts=(),
    )


def alone(drawing: Markup) -> str:
    """A drawing as a file of its own: named as SVG, with a size and its style inside."""
    text = str(drawing)
    box = text.split('viewBox="', 1)[1].split('"', 1)[0].split()
    size = f'xmlns="http://www.w3.org/2000/svg" width="{box[2]}" height="{box[3]}"'
    return text.replace("<svg ", f"<svg {size} ", 1).replace(">", f"><style>{_STYLE}</style>", 1) + "\n"
