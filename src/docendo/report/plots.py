"""The report's plots, drawn here as SVG so that the page needs no library.

What is drawn is decided in `solve.curves` and `solve.summary`. Lines carry their names at their ends instead of
a legend; dashes tell them apart where colours do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from docendo.report.numbers import count, percent, plural, tick
from docendo.report.svg import Scale, linear, logarithmic, path, tag, ticks
from docendo.report.words import LABELS
from docendo.solve.curves import Point
from docendo.solve.summary import Summary

WIDTH, HEIGHT = 460, 330
LEFT, RIGHT, TOP, BOTTOM = 46, 78, 14, 44
BINS = 10
LINE_GAP, NEAR = 16.0, 60.0
"""Least distance between the names of two lines, one above the other, that are near each other sideways."""

# Drawn in this order: what matters most lies on top.
ORDER = ("avg", "max", "sc", "sum")
BANDED = ("sc", "sum")


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its title, and what to see in it."""

    name: str
    title: str
    caption: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Mark:
    """An arm that is one place on a plot and no curve."""

    arm: str
    x: float
    y: float


def all_plots(summary: Summary, points: Sequence[Point]) -> list[Figure]:
    """The plots that this run has something to show in."""
    figures = []
    if len({p.lessons for p in points}) > 1:
        figures.append(_by_lessons(summary, points))
        if figure := _by_cost(summary, points):
            figures.append(figure)
    if summary.right_scores or summary.wrong_scores:
        figures.append(_scores(summary))
    return figures


def _by_lessons(summary: Summary, points: Sequence[Point]) -> Figure:
    most = max(p.lessons for p in points)
    scale = logarithmic(1, most, LEFT, WIDTH - RIGHT)
    arms, taught = summary.overall.arms, max(p.lessons for p in points if p.arm == "sum")
    round_ones = [n for n in (1 << k for k in range(16)) if n <= most and abs(scale(n) - scale(taught)) > 20]
    marks = [(scale(n), str(n)) for n in sorted([*round_ones, taught])]
    single = [Mark("greedy", 1, arms["greedy"].accuracy.mean or 0)] if "greedy" in arms else []
    single.append(Mark("oracle", taught, arms["oracle"].accuracy.mean or 0))
    drawing = _curves(points, lambda p: p.lessons, scale, marks, "samples a problem (N)", single)
    return Figure(
        "by-lessons",
        "Accuracy against the number of lessons",
        "Means over random subsets of the recorded samples, decided again by each rule; at the right end of "
        "MAX, SUM and AVG these are the run’s own decisions. Bands are 95% intervals over clusters of "
        "problems, drawn for SC and SUM; those of the others are in the figures below."
        + (" SC goes on with the samples of its equal-cost arm." if most > taught else ""),
        drawing,
    )


def _by_cost(summary: Summary, points: Sequence[Point]) -> Figure | None:
    arms, problems = summary.overall.arms, summary.judged
    unit = arms["sc"].cost.cost / problems
    drawn = [p for p in points if p.cost > 0]
    if unit <= 0 or len({p.arm for p in drawn}) < 2:
        return None
    single = [
        Mark(name, arms[name].cost.cost / problems / unit, arms[name].accuracy.mean or 0)
        for name in ("greedy", "sc_equal_cost")
        if name in arms and arms[name].cost.cost > 0
    ]
    places = [p.cost / unit for p in drawn] + [m.x for m in single]
    scale = logarithmic(min(places), max(places), LEFT, WIDTH - RIGHT)
    steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    inside = [s for s in steps if min(places) <= s <= max(places)]
    if len(inside) > 6:
        inside = [s for s in inside if f"{s:g}".strip("0.") in ("1",)]
    drawing = _curves(
        drawn,
        lambda p: p.cost / unit,
        scale,
        [(scale(s), f"{s:g}×") for s in inside],
        "cost a problem (SC with all taught samples = 1×)",
        single,
        leading="sc_undebugged" not in arms,  # it is then over samples as they were before
    )
    return Figure(
        "by-cost",
        "Accuracy against cost",
        "The same points by what they cost: tokens computed × parameters, teacher and students, exams "
        "included. At equal cost, compare along a vertical line.",
        drawing,
    )


def _curves(
    points: Sequence[Point],
    x_of: Callable[[Point], float],
    x: Scale,
    x_marks: Sequence[tuple[float, str]],
    x_name: str,
    single: Sequence[Mark],
    leading: bool = False,
) -> Markup:
    """Lines with bands, names at their ends, and single marks, on one pair of axes.

    `leading`: SC's line leads to the mark of SC at equal cost.
    """
    seen = [v for p in points for v in (p.accuracy.low, p.accuracy.mean, p.accuracy.high) if v is not None]
    y_ticks = ticks(min(seen + [m.y for m in single]), max(seen + [m.y for m in single]))
    y = linear(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    bands, lines, names = [], [], []
    for arm in ORDER:
        own = [p for p in points if p.arm == arm]
        if not own:
            continue
        xs, ys = [x(x_of(p)) for p in own], [y(p.accuracy.mean or 0) for p in own]
        if arm in BANDED and all(p.accuracy.low is not None for p in own):
            lows, highs = [y(p.accuracy.low or 0) for p in own], [y(p.accuracy.high or 0) for p in own]
            bands.append(
                tag("path", d=path([*xs, *xs[::-1]], [*highs, *lows[::-1]]) + "Z", class_=f"band {arm}")
            )
        lines.append(tag("path", d=path(xs, ys), class_=f"line {arm}"))
        for p, px, py in zip(own, xs, ys, strict=True):
            lines.append(tag("circle", tag("title", _said(p)), cx=px, cy=py, r=3, class_=f"dot {arm}"))
        names.append((xs[-1] + 7, ys[-1], arm))
    for mark in single:
        said = f"{LABELS[mark.arm]}: {percent(mark.y)}"
        place = x(mark.x), y(mark.y)
        lines.append(
            tag("circle", tag("title", said), cx=place[0], cy=place[1], r=4, class_=f"mark {mark.arm}")
        )
        leads = leading and mark.arm == "sc_equal_cost"
        if leads:  # where SC's line leads, so its name moves there
            names, end = [n for n in names if n[2] != "sc"], next(n for n in names if n[2] == "sc")
            lines.append(tag("line", x1=end[0] - 7, x2=place[0], y1=end[1], y2=place[1], class_="link sc"))
        below = 18 if mark.arm == "greedy" else 0  # the curves begin beside it
        names.append((place[0] + 8, place[1] + below, "sc" if leads else mark.arm))
    return _drawing(
        f"Accuracy by {x_name}",
        *_axes(y_ticks, y, tick, x_marks, x_name),
        *bands,
        *lines,
        *_names(names),
    )


def _scores(summary: Summary) -> Figure:
    """Two histograms back to back: right lessons upwards, wrong ones downwards."""
    right, wrong = _binned(summary.right_scores), _binned(summary.wrong_scores)
    top = max(*right, *wrong, 0.05)
    x = linear(0, 1, LEFT, WIDTH - 14)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    up, down = linear(0, top * 1.12, middle, TOP), linear(0, top * 1.12, middle, HEIGHT - BOTTOM)
    shapes = []
    for kind, shares, scale, scores in (
        ("right", right, up, summary.right_scores),
        ("wrong", wrong, down, summary.wrong_scores),
    ):
        for i, share in enumerate(shares):
            edge, end = sorted((middle, scale(share)))
            said = (
                f"{percent(share)} of the {kind} lessons ({count(share * len(scores))}) have an LbT score "
                f"from {i / BINS:.1f} to {(i + 1) / BINS:.1f}"
            )
            width = x(1 / BINS) - x(0) - 2
            box = {"x": x(i / BINS) + 1, "y": edge, "width": width, "height": end - edge}
            shapes.append(tag("rect", tag("title", said), class_=f"bin {kind}", **box))
        named = f"{kind} lessons ({count(len(scores))})"
        # Right lessons have high scores and wrong ones low ones, so the other corners are free.
        place = (LEFT + 6, TOP + 22, "") if kind == "right" else (WIDTH - 20, HEIGHT - BOTTOM - 14, " end")
        shapes.append(tag("text", named, x=place[0], y=place[1], class_=f"name {kind}{place[2]}"))
    steps = [s for s in ticks(0, top, 3) if s <= top * 1.12]
    marks = [(s, scale(s)) for scale in (up, down) for s in steps if s or scale is up]
    axes = [tag("line", x1=LEFT, x2=WIDTH - 14, y1=py, y2=py, class_="grid") for _, py in marks]
    axes += [tag("text", tick(s), x=LEFT - 6, y=py + 4, class_="tick end") for s, py in marks]
    scale_marks = [(x(k / 5), f"{k / 5:g}") for k in range(6)]
    axes += _below(scale_marks, "LbT score of a lesson", (LEFT + WIDTH - 14) / 2)
    lessons = len(summary.right_scores) + len(summary.wrong_scores)
    auc = "not defined" if summary.auc is None else f"{summary.auc:.2f}"
    pooled = "not defined" if summary.auc_pooled is None else f"{summary.auc_pooled:.2f}"
    base = tag("line", x1=LEFT, x2=WIDTH - 14, y1=middle, y2=middle, class_="axis")
    return Figure(
        "scores",
        "LbT scores of right and wrong lessons",
        f"Share of the lessons of each kind, over {plural(lessons, 'distinct lesson')} that have a score. Of "
        "a right and a wrong lesson for the same problem, the right one has the higher score with a chance "
        f"of {auc} (AUC within a problem; over all problems together {pooled}; ties count half).",
        _drawing("LbT scores of right and wrong lessons", *axes, *shapes, base),
    )


def _binned(scores: Sequence[float]) -> list[float]:
    """Share of the scores in each bin; a bin holds its lower end, the last one both."""
    bins = [0] * BINS
    for score in scores:
        bins[min(int(score * BINS + 1e-9), BINS - 1)] += 1
    return [n / max(len(scores), 1) for n in bins]


def _said(p: Point) -> str:
    band = f" ({percent(p.accuracy.low)} to {percent(p.accuracy.high)})" if p.accuracy.low is not None else ""
    return f"{LABELS[p.arm]} with {plural(p.lessons, 'sample')}: {percent(p.accuracy.mean)}{band}"


def _axes(
    y_ticks: Sequence[float],
    y: Scale,
    write: Callable[[float], str],
    x_marks: Sequence[tuple[float, str]],
    x_name: str,
) -> list[Markup]:
    shapes = []
    for value in y_ticks:
        shapes.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value), class_="grid"))
        shapes.append(tag("text", write(value), x=LEFT - 7, y=y(value) + 4, class_="tick end"))
    return shapes + _below(x_marks, x_name, (LEFT + WIDTH - RIGHT) / 2)


def _below(marks: Sequence[tuple[float, str]], name: str, middle: float) -> list[Markup]:
    floor = HEIGHT - BOTTOM
    shapes = [tag("text", text, x=px, y=floor + 18, class_="tick middle") for px, text in marks]
    shapes += [tag("line", x1=px, x2=px, y1=floor, y2=floor + 4, class_="axis") for px, _ in marks]
    return [*shapes, tag("text", name, x=middle, y=HEIGHT - 6, class_="tick middle")]


def _names(names: Sequence[tuple[float, float, str]]) -> list[Markup]:
    """Names beside places, moved apart where they would cover one another."""
    placed: list[tuple[float, float, str]] = []
    for px, py, arm in sorted(names, key=lambda n: n[1]):
        above = max((q[1] for q in placed if abs(q[0] - px) < NEAR), default=-LINE_GAP)
        placed.append((px, max(py, above + LINE_GAP), arm))
    floor: list[tuple[float, float, str]] = []
    for px, py, arm in reversed(placed):  # and up again, where that went below the axis
        below = min((q[1] for q in floor if abs(q[0] - px) < NEAR), default=HEIGHT - BOTTOM + LINE_GAP)
        floor.append((px, min(py, below - LINE_GAP), arm))
    return [tag("text", LABELS[arm], x=px, y=py + 4, class_=f"name {arm}") for px, py, arm in floor]


def _drawing(name: str, *shapes: Markup) -> Markup:
    return tag("svg", *shapes, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="plot", role="img", aria_label=name)
