"""Two drawings of a run: results by round, and which set was made from which."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from docendo.refine.report.tree import Branch
from docendo.refine.summary import Summary
from docendo.report.numbers import percent, tick
from docendo.report.svg import Scale, linear, path, tag, ticks
from docendo.stats import Interval

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 122, 14, 40
COLOURS = ("sum", "max", "avg", "right", "wrong", "sc")
GAP = 15.0
"""Least distance of two names, one above the other."""


def results(summary: Summary) -> Markup:
    """Every model's test results by round, with intervals, and without examples as dashes."""
    series: dict[str, list[Interval]] = {}
    for each in summary.rounds:
        for r in each.readouts:
            series.setdefault(r.model, []).append(r.f1 or r.accuracy)
    bare = {r.model: (r.f1 or r.accuracy).mean for r in summary.bare}
    ends = [v for own in series.values() for i in own for v in (i.low, i.mean, i.high) if v is not None]
    ends += [value for value in bare.values() if value is not None]
    if not ends:
        return Markup("")
    marks = ticks(min(ends), max(ends))
    most = max(summary.rounds[-1].number, 1)
    x = linear(0, most, LEFT, WIDTH - RIGHT)
    y = linear(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    parts = _frame(
        x_marks=[(x(n), str(n)) for n in range(most + 1)], y_marks=[(y(m), tick(m)) for m in marks]
    )
    names: list[tuple[float, str, str]] = []
    for number, (model, own) in enumerate(series.items()):
        kind = COLOURS[number % len(COLOURS)]
        parts += _line(model, own, bare.get(model), kind, x, y)
        if own[-1].mean is not None:
            names.append((y(own[-1].mean), model, kind))
    for at, model, kind in _apart(names):
        parts.append(tag("text", _short(model), x=WIDTH - RIGHT + 8, y=at + 4, class_=f"name {kind}"))
    what = "F1" if summary.task.labels else "accuracy"
    label = f"Test {what} by round: " + "; ".join(_said(m, own[-1]) for m, own in series.items())
    return tag("svg", *parts, class_="plot", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def _line(
    model: str, own: Sequence[Interval], bare: float | None, kind: str, x: Scale, y: Scale
) -> list[Markup]:
    """One model's results: band, dashes for none of the examples, line and dots."""
    parts = []
    band = [(x(n), i.low, i.high) for n, i in enumerate(own) if i.low is not None and i.high is not None]
    if len(band) > 1:
        xs = [at for at, _, _ in band] + [at for at, _, _ in reversed(band)]
        ys = [y(low) for _, low, _ in band] + [y(high) for _, _, high in reversed(band)]
        parts.append(tag("path", d=path(xs, ys) + "Z", class_=f"band {kind}"))
    if bare is not None:
        said = tag("title", f"{model} without examples: {percent(bare)}")
        ends = {"x1": LEFT, "x2": WIDTH - RIGHT, "y1": y(bare), "y2": y(bare)}
        parts.append(tag("line", said, class_=f"link {kind}", **ends))
    places = [(x(n), y(i.mean), i) for n, i in enumerate(own) if i.mean is not None]
    if len(places) > 1:
        line = path([at for at, _, _ in places], [height for _, height, _ in places])
        parts.append(tag("path", d=line, class_=f"line {kind}"))
    for at, height, i in places:
        parts.append(
            tag("circle", tag("title", _said(model, i)), cx=at, cy=height, r=3.5, class_=f"dot {kind}")
        )
    return parts


def lineage(tree: Sequence[Branch]) -> Markup:
    """Sets as dots, by round and by their score on validation (or, where that was not asked, on the minibatch)."""
    scored = [
        (leaf, b.round.number, next((s for s in reversed(leaf.scores) if s[0] != "test"), None))
        for b in tree
        for leaf in b.leaves
    ]
    known = [(leaf, number, score) for leaf, number, score in scored if score is not None]
    if not known:
        return Markup("")
    wide = max(WIDTH, 90 * (len(tree) + 1))
    marks = ticks(min(s[1] for _, _, s in known), max(s[1] for _, _, s in known))
    x = linear(0, max(len(tree) - 1, 1), LEFT + 20, wide - 60)
    y = linear(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)
    parts = _frame([(x(n), str(n)) for n in range(len(tree))], [(y(m), tick(m)) for m in marks], wide)
    spots: dict[str, tuple[float, float]] = {}
    seen: dict[tuple[int, int], int] = {}
    for leaf, number, score in known:
        height = y(score[1])
        place = (number, round(height / 6))
        aside = seen.get(place, 0)
        seen[place] = aside + 1
        spots[leaf.name] = (x(number) + ((aside + 1) // 2) * (8 if aside % 2 else -8), height)
    for leaf, _, _ in known:
        for parent in leaf.parents:
            if parent in spots:
                (x1, y1), (x2, y2) = spots[parent], spots[leaf.name]
                kind = "sum" if leaf.standing in ("best so far", "in the beam") else "greedy"
                parts.append(tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"link {kind}"))
    for leaf, _, score in known:
        at, height = spots[leaf.name]
        kind = {"best so far": "right", "in the beam": "sum"}.get(leaf.standing, "greedy")
        said = f"set {leaf.name}: {percent(score[1])} on {score[0]}, {leaf.standing}"
        shape = "dot" if score[0] == "validation" else "mark"
        dot = tag("circle", tag("title", said), cx=at, cy=height, r=5, class_=f"{shape} {kind}")
        parts.append(tag("a", dot, href=f"#set-{leaf.name}", aria_label=said))
    label = "Which set was made from which, by round and score"
    return tag("svg", *parts, class_="plot", viewBox=f"0 0 {wide} {HEIGHT}", role="img", aria_label=label)


def _frame(
    x_marks: Sequence[tuple[float, str]], y_marks: Sequence[tuple[float, str]], width: float = WIDTH
) -> list[Markup]:
    parts = []
    for at, name in y_marks:
        parts.append(
            tag("line", x1=LEFT, x2=width - (RIGHT if width == WIDTH else 30), y1=at, y2=at, class_="grid")
        )
        parts.append(tag("text", name, x=LEFT - 8, y=at + 4, class_="end"))
    for at, name in x_marks:
        parts.append(tag("text", name, x=at, y=HEIGHT - BOTTOM + 18, class_="middle"))
    middle = (x_marks[0][0] + x_marks[-1][0]) / 2
    parts.append(tag("text", "round", x=middle, y=HEIGHT - 4, class_="middle"))
    return parts


def _apart(names: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Names one above the other, none on another."""
    found: list[tuple[float, str, str]] = []
    for at, model, kind in sorted(names):
        if found:
            at = max(at, found[-1][0] + GAP)
        found.append((at, model, kind))
    return found


def _short(name: str) -> str:
    tail = name.partition(":")[2] or name
    return tail if len(tail) <= 14 else f"{tail[:13]}…"


def _said(model: str, i: Interval) -> str:
    if i.low is None or i.high is None:
        return f"{model} {percent(i.mean)}"
    return f"{model} {percent(i.mean)} ({percent(i.low)} to {percent(i.high)})"
