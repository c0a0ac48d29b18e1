"""`docendo data check` and `docendo data convert`: a problem set looked at, or rewritten, before anything is asked."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import islice

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from docendo.cli.ink import Ink, dim
from docendo.cli.words import many, one_line
from docendo.data import Notes, stream
from docendo.data.check import Checked, Finding, check
from docendo.data.convert import convert
from docendo.errors import DataError
from docendo.exams.guard import counted

_GROUPS = 20
"""Groups that are listed; `--json` has all."""


def data(arguments: argparse.Namespace) -> None:
    """Check or convert a source.

    Raises:
        DataError: the source cannot be used, or the check found an error.
    """
    (_check if arguments.action == "check" else _convert)(arguments)


def _check(arguments: argparse.Namespace) -> None:
    found = check(arguments.source, exams=arguments.exams, limit=arguments.limit, long=arguments.long)
    if arguments.json:
        print(json.dumps(found.json()), flush=True)
    else:
        _show(Ink(), found)
    wrong = sum(finding.count for finding in found.errors)
    if wrong:
        raise DataError(f"{arguments.source}: {many(wrong, 'error')}")


def _convert(arguments: argparse.Namespace) -> None:
    notes = Notes()
    count = convert(islice(stream(arguments.source, notes), arguments.limit), arguments.out)
    left = f"; left out: {counted(notes.dropped)}" if notes.dropped else ""
    print(f"{many(count, 'problem')} in {arguments.out}{left}", file=sys.stderr)


def _show(console: Ink, found: Checked) -> None:
    console.print(
        Text(f"{many(found.problems, 'problem')} in {one_line(found.source)}", style="bold"), soft_wrap=True
    )
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.kinds.most_common())
    facts = [
        ("kinds", kinds),
        ("families", f"{found.families:,} with two problems or more"),
        ("longest", f"{found.longest:,} characters"),
        ("golds", f"{found.graded:,} put before the grader"),
    ]
    if found.dropped:
        facts.append(("left out", counted(found.dropped)))
    for name, text in facts:
        console.print(dim(f"{name:10}").append(text, style="not dim"))
    if any(found.groups):
        console.print()
        console.print(_groups(found))
    for title, findings, style in (("Errors", found.errors, "red"), ("Remarks", found.remarks, "")):
        if findings:
            console.print()
            console.print(Text(title, style=f"bold {style}"))
            for finding in findings:
                _show_finding(console, finding)


def _groups(found: Checked) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("group")
    table.add_column("problems", justify="right")
    for name, count in found.groups.most_common(_GROUPS):
        table.add_row(Text(one_line(name) if name else "(none)"), f"{count:,}")
    rest = len(found.groups) - _GROUPS
    if rest > 0:
        table.add_row(dim(f"… {rest:,} more"), "")
    return table


def _show_finding(console: Ink, finding: Finding) -> None:
    console.print(Text(f"{finding.count:,} {finding.what}"))
    for case in finding.first[:3]:
        console.print(Padding(dim(one_line(case)), (0, 0, 0, 2), expand=False))
