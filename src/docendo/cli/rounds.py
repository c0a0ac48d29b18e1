"""A refining run in the terminal: its rounds as a table, what was gained, and the story of one set."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from docendo.cli.ink import dim, mark
from docendo.cli.words import listed, many, one_line, percent, plain, points, span
from docendo.errors import DataError
from docendo.refine.report.tree import HOW, Leaf, branches
from docendo.refine.summary import STUDENTS, Summary, summarise
from docendo.stats import Interval
from docendo.store import RunView
from docendo.types import Lesson


def show_run(console: Console, view: RunView, name: str | None) -> None:
    """A run's rounds, or the story of one set.

    Args:
        console: where to.
        view: the run.
        name: of the set, such as 2.3; None for all rounds.

    Raises:
        DataError: there is no such set.
    """
    summary = summarise(view)
    leaves = {leaf.name: leaf for branch in branches(summary, {}) for leaf in branch.leaves}
    if name is None:
        show(console, summary)
        if leaves:
            folder = shlex.quote(str(view.folder))
            best = next(n for n, leaf in leaves.items() if leaf.candidate.id == summary.rounds[-1].best)
            console.print()
            console.print(dim(f"Where it comes from: docendo show {plain(folder)} {best}"), soft_wrap=True)
        return
    if name not in leaves:
        raise DataError(
            f"{view.folder}: no set {plain(name)!r} in this run; there are {', '.join(leaves) or 'none yet'}"
        )
    tell_set(console, leaves[name])


def tell_set(console: Console, leaf: Leaf) -> None:
    """One set: what failed before it, what the teacher made of it, its examples, how it came out."""
    source = HOW[leaf.candidate.how] + (f" of {', '.join(leaf.parents)}" if leaf.parents else "")
    console.print(Text(f"Set {leaf.name}, {source}: {leaf.standing}", style="bold"))
    scores = [f"{what} {percent(share)} ({many(n, 'problem')})" for what, share, n in leaf.scores]
    console.print(dim("; ".join(scores) or "not examined"))
    for reflection, failures in leaf.reflections:
        console.print()
        console.print(Text("What failed", style="bold"))
        for each in failures:
            failure = each.failure
            said = f" {one_line(failure.student)} said {one_line(failure.answer)}, right is {one_line(failure.gold)}"
            console.print(mark(each.now).append(said, style="default not bold"))
            console.print(Padding(dim(one_line(failure.problem.question)), (0, 0, 0, 2)))
        console.print(Text("What the teacher made of it", style="bold"))
        console.print(Padding(Text(plain(reflection.text)), (0, 0, 0, 2)))
    console.print()
    examples = leaf.candidate.lesson
    _show_examples(console, examples, [example.state for example in leaf.examples])


def show(console: Console, summary: Summary) -> None:
    """The rounds as a table, what was gained, and the best set."""
    task = summary.task
    sizes = (
        f"{len(task.exam):,} exam, {len(task.validation):,} validation and {len(task.test):,} test problems"
    )
    console.print(Text(f"{one_line(task.name)}: {sizes}", style="bold"))
    if not summary.rounds:
        console.print("No round is whole yet, so there is no best set.")
        return
    console.print()
    console.print(rounds_table(summary, console.width))
    console.print()
    for line in verdicts(summary):
        console.print(line)
    for text in notes(summary):
        console.print(dim(text))
    best = summary.best
    assert best is not None
    console.print()
    console.print(Text(f"The best set, of round {summary.candidates[best.id].round}", style="bold"))
    _show_examples(console, best)


def rounds_table(summary: Summary, width: int) -> Table:
    """One row a round: what was made, validation, and every model's test results with the best set so far.

    Where `width` has no room for them, intervals are left out and models' names take several lines.
    """
    readers = len(summary.rounds[0].readouts)
    wide = width >= 44 + 24 * readers
    room = max(10, (width - 42) // max(readers, 1) - 2)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    labels = bool(summary.task.labels)
    heads = ["round", "sets", "no use", "validation"]
    for reader in summary.rounds[0].readouts:
        name = one_line(reader.model)  # without its kind: a table has a column for each
        heads.append(in_lines(f"{name.partition(':')[2] or name}: {'F1' if labels else 'right'}", room))
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i == 0 else "right", overflow="fold")
    if summary.bare:
        table.add_row("no examples", "", "", "", *(_result(r.f1 or r.accuracy, wide) for r in summary.bare))
    for each in summary.rounds:
        table.add_row(
            str(each.number),
            str(sum(each.made.values())),
            str(sum(each.rejected.values()) or ""),
            percent(each.validation.mean),
            *(_result(r.f1 or r.accuracy, wide) for r in each.readouts),
        )
    return table


def verdicts(summary: Summary) -> list[Text]:
    """What the last best set is better than the first, in words."""
    found = []
    if summary.changes and summary.unchanged:
        return [Text("The starting set is still the best on validation, so nothing was gained.")]
    for name, change in summary.changes.items():
        if name == STUDENTS and len(summary.settings.students) == 1:
            continue
        gain, what = (change.f1, "F1") if change.f1 is not None else (change.accuracy, "accuracy")
        if gain.mean is None:
            continue
        sure = gain.low is not None and (gain.low > 0 or (gain.high is not None and gain.high < 0))
        style = ("green" if gain.mean > 0 else "red") if sure else ""
        whom = "all students" if name == STUDENTS else name
        tail = "" if sure else "; no difference that is beyond chance"
        over = f"points of {what} over the starting set, {span(gain, signed=True)}"
        line = f"{one_line(whom)}: {points(gain.mean)} {over}"
        found.append(Text(line + tail, style=style))
    return found


def notes(summary: Summary) -> list[str]:
    """What else a reader should know."""
    found = ["Sets are chosen on validation problems, and read out on test problems that nothing else sees."]
    if summary.rejected:
        counts = [f"{count:,} {reason}" for reason, count in summary.rejected.most_common()]
        found.append(f"Replies of the teacher that were of no use: {listed(counts)}.")
    uncounted = sum(r.uncounted for each in summary.rounds[-1:] for r in each.readouts)
    if uncounted:
        found.append(
            f"{many(uncounted, 'test answer')} of the last round cut off or failed, and not counted."
        )
    for reason, count in summary.task.dropped.items():
        found.append(f"Left out: {count:,} {reason}.")
    if summary.rounds[-1].ended:
        found.append(f"It ended early: {summary.rounds[-1].ended}.")
    return found


def show_how_to_go_on(console: Console, summary: Summary, folder: Path) -> None:
    """Why a run is not complete, and what to type."""
    why = f"{summary.stopped}. " if summary.stopped else "The run is not complete. "
    again = f"docendo refine --resume {shlex.quote(str(folder))}"
    more = " --budget ..." if summary.stopped else ""
    console.print(Text(f"{why[0].upper()}{why[1:]}To go on: {again}{more}", style="bold"), soft_wrap=True)


def in_lines(name: str, room: int) -> str:
    """A name broken after a mark, and not within a word, where it is longer than `room`."""
    lines = [""]
    for piece in re.findall(r"[^-/_:. ]*[-/_:. ]+|[^-/_:. ]+", name):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > room:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _result(interval: Interval, wide: bool) -> str:
    ends = span(interval)
    return percent(interval.mean) + (f" ({ends})" if wide and ends != "–" else "")


def _show_examples(console: Console, lesson: Lesson, states: list[str] | None = None) -> None:
    for number, example in enumerate(lesson.examples, 1):
        state = f" ({states[number - 1]})" if states and states[number - 1] else ""
        console.print(Text(f"{number}. {one_line(example.question)}").append(state, style="dim"))
        said = f"{one_line(example.rationale)} " if example.rationale else ""
        console.print(Padding(dim(f"{said}→ {one_line(example.answer)}"), (0, 0, 0, 3)))
