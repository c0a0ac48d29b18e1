"""The rows of the report's tables, ready to be laid out: figures of a summary, bars on a common scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from docendo.report import words
from docendo.report.svg import bar, ticks
from docendo.report.words import LABELS
from docendo.solve.arms import ARMS, Arm, Table
from docendo.solve.curves import Point
from docendo.solve.summary import Summary
from docendo.stats import Interval

# The comparisons that a run is made for come first; the others are looked at, not concluded from.
STANDING = {"sum-sc": "primary", "sum-sc_equal_cost": "secondary"}


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm; `relative` is its cost where SC's is 1, None where SC costs nothing."""

    name: str
    label: str
    note: str
    arm: Arm
    relative: float | None
    bar: Markup


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One paired difference; `verdict` is what its interval lets one say."""

    name: str
    label: str
    standing: str
    interval: Interval
    verdict: str
    bar: Markup


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with the ends of the scale that their bars share; `programs` says that arms have V- and S-scores."""

    low: float
    high: float
    rows: Sequence[ArmRow] | Sequence[DifferenceRow]
    programs: bool = False


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: its arms by name, the primary and secondary difference, and its whole tables."""

    name: str
    problems: int
    arms: Mapping[str, Arm]
    differences: Sequence[DifferenceRow]
    ends: tuple[float, float]
    full: Rows
    compared: Rows


@dataclass(frozen=True, slots=True)
class PointRow:
    """A point of a curve, with its cost where that of SC with all taught samples is 1."""

    label: str
    point: Point
    relative: float | None


def arms(table: Table, notes: Mapping[str, str]) -> Rows:
    """The table of arms, in the usual order."""
    present = [table.arms[name] for name in ARMS if name in table.arms]
    low, high = _ends((arm.accuracy for arm in present), (0.0, 1.0))
    unit = table.arms["sc"].cost.cost if "sc" in table.arms else 0.0
    return Rows(
        low,
        high,
        [
            ArmRow(
                name=arm.name,
                label=LABELS[arm.name],
                note=notes.get(arm.name, ""),
                arm=arm,
                relative=arm.cost.cost / unit if unit else None,
                bar=bar(arm.accuracy, low, high, arm.name),
            )
            for arm in present
        ],
        programs=any(arm.v_score or arm.s_score for arm in present),
    )


def differences(table: Table, ends: tuple[float, float] | None = None) -> Rows:
    """The paired differences, those that the run was made for first."""
    names = [*(n for n in STANDING if n in table.differences)]
    names += [n for n in table.differences if n not in STANDING]
    low, high = ends or _ends((table.differences[n] for n in names), (-1.0, 1.0))
    rows = []
    for name in names:
        interval = table.differences[name]
        one, other = name.split("-")
        rows.append(
            DifferenceRow(
                name=name,
                label=f"{LABELS[one]} − {LABELS[other]}",
                standing=STANDING.get(name, "exploratory"),
                interval=interval,
                verdict=_verdict(LABELS[one], interval),
                bar=bar(interval, low, high, one, difference=True),
            )
        )
    return Rows(low, high, rows)


def groups(summary: Summary, school: bool) -> list[GroupRow]:
    """A row a group that has problems with a gold answer."""
    names = [name for name in words.groups(summary, school) if name in summary.groups]
    every = [d for name in names for n, d in summary.groups[name].differences.items() if n in STANDING]
    ends = _ends(every, (-1.0, 1.0))
    rows = []
    for name in names:
        table = summary.groups[name]
        compared = differences(table, ends)
        rows.append(
            GroupRow(
                name=name,
                problems=table.problems,
                arms=table.arms,
                differences=[
                    r for r in compared.rows if isinstance(r, DifferenceRow) and r.standing != "exploratory"
                ],
                ends=ends,
                full=arms(table, {}),
                compared=differences(table),
            )
        )
    return rows


def points(found: Sequence[Point], overall: Table) -> list[PointRow]:
    """The figures under the curves."""
    unit = overall.arms["sc"].cost.cost / overall.problems if "sc" in overall.arms else 0.0
    return [PointRow(LABELS[p.arm], p, p.cost / unit if unit else None) for p in found]


def _ends(intervals: Iterable[Interval], bounds: tuple[float, float]) -> tuple[float, float]:
    """Round ends of a scale on which all intervals are whole; for differences, 0 as well."""
    values = [v for i in intervals for v in (i.low, i.mean, i.high) if v is not None]
    if bounds[0] < 0:
        values.append(0.0)
    if not values:
        return bounds
    marks = ticks(min(values), max(values))
    return max(marks[0], bounds[0]), min(marks[-1], bounds[1])


def _verdict(name: str, interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "no interval"
    if interval.low <= 0 <= interval.high:
        return "no difference shown"
    return f"{name} is ahead" if interval.low > 0 else f"{name} is behind"
