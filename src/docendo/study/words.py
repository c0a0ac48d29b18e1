"""How the study's page says its figures: cells, verdicts and sentences, each computed from an interval.

What stands where is left to `page`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from docendo.report.numbers import NONE, percent, points
from docendo.solve.arms import Table
from docendo.stats import Interval
from docendo.study.analyse import Insight


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def share(interval: Interval | None) -> str:
    """A share with its interval: "45.3% (40.1–50.2)"."""
    if interval is None or interval.mean is None:
        return NONE
    if interval.low is None or interval.high is None:
        return percent(interval.mean)
    return f"{percent(interval.mean)} ({100 * interval.low:.1f}–{100 * interval.high:.1f}){_star(interval)}"


def gain(interval: Interval | None) -> str:
    """A difference in points with its interval: "+22.1 (+17.9 to +26.0)"."""
    if interval is None or interval.mean is None:
        return NONE
    if interval.low is None or interval.high is None:
        return points(interval.mean)
    return f"{points(interval.mean)} ({points(interval.low)} to {points(interval.high)}){_star(interval)}"


def chance(interval: Interval | None) -> str:
    """An AUC with its interval: "0.92 (0.90–0.94)"."""
    if interval is None or interval.mean is None:
        return NONE
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f} ({interval.low:.3f}–{interval.high:.3f}){_star(interval)}"


def model(name: str) -> str:
    """A model's name for readers: where its folder is says nothing to them."""
    folders = [part for part in name.partition(":")[2].split("/") if part not in ("", "model")]
    return folders[-1] if folders else name


def accuracy(of: Table, arm: str) -> str:
    """An arm's accuracy with its interval."""
    return share(of.arms[arm].accuracy) if arm in of.arms else NONE


def difference(of: Table, name: str) -> str:
    """One of a table's differences with its interval."""
    return gain(of.differences.get(name))


def verdict(interval: Interval) -> str:
    """Whether a difference that was claimed to be above zero is so: "shown", "not shown" or "reversed"."""
    if interval.low is None or interval.high is None:
        return "not shown"
    return "shown" if interval.low > 0 else "reversed" if interval.high < 0 else "not shown"


def concluded(insight: Insight) -> str:
    """An insight's verdict over all its evidence, the least of it."""
    verdicts = {verdict(e.interval) for e in insight.evidence}
    if not verdicts:
        return "not measured here"
    return next(v for v in ("reversed", "not shown", "shown") if v in verdicts)


def insight_sentence(insight: Insight) -> str:
    """One honest sentence on an insight."""
    if not insight.evidence:
        return f"Not measured here: that {insight.claims}."
    parts = [f"{e.says} {gain(e.interval)} points, {verdict(e.interval)}" for e in insight.evidence]
    opening = {
        "shown": f"In this world, {insight.claims}",
        "not shown": f"It was not shown that {insight.claims}",
        "reversed": f"Against the claim that {insight.claims}",
    }[concluded(insight)]
    return f"{opening}: {'; '.join(parts)}."


def compared(interval: Interval, one: str, other: str) -> str:
    """A clause on a difference, never more than its interval allows."""
    if interval.mean is None or interval.low is None or interval.high is None:
        return f"no interval can be given for {one} against {other}"
    said = f"95 % interval {points(interval.low)} to {points(interval.high)}"
    if interval.low > 0 or interval.high < 0:
        more = "ahead of" if interval.mean > 0 else "behind"
        return f"{one} is {100 * abs(interval.mean):.1f} points {more} {other} ({said})"
    return f"{one} cannot be told from {other} ({points(interval.mean)} points, {said})"


def sentence(clause: str) -> str:
    """A clause as a sentence."""
    return clause[0].upper() + clause[1:] + "."


def _star(interval: Interval) -> str:
    """Marks an interval that its note warns of; the page says what the star means."""
    return "\\*" if interval.note else ""
