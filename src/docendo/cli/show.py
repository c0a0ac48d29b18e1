"""`docendo show` and `docendo report`: a run that is there already, in the terminal and as a page."""

from __future__ import annotations

import argparse
import difflib
import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from docendo.cli.ink import Ink, dim, mark
from docendo.cli.story import tell
from docendo.cli.tables import show_summary
from docendo.cli.words import many, one_line, plain
from docendo.errors import DataError
from docendo.solve.summary import summarise
from docendo.store import RunView, Store
from docendo.types import Choice, Problem


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a finished problem ended: what self-consistency and SUM chose, and whether any sample was right."""

    problem: Problem
    sc: Choice
    sum: Choice
    sc_right: bool | None
    sum_right: bool | None
    any_right: bool

    @property
    def interest(self) -> int:
        """0 where only SUM is right, 1 where only SC is, 2 where both missed a right sample, and so on."""
        if self.sum_right is None or self.sc_right is None:
            return 0 if self.sum.key != self.sc.key else 4
        if self.sum_right != self.sc_right:
            return 0 if self.sum_right else 1
        return 4 if self.sum_right else 2 if self.any_right else 3


def outcomes(view: RunView) -> list[Outcome]:
    """The finished problems, most telling first, else in the order of the plan."""
    done = view.done_ids()
    chosen: dict[str, dict[str, tuple[Choice, bool | None]]] = {}
    for row in view.decisions():
        chosen.setdefault(row.problem, {})[row.choice.rule] = (row.choice, row.correct)
    right = {row.problem for row in view.samples() if row.grade.score == 1.0}
    found = []
    for problem in view.problems():
        if problem.id in done:
            (sc, sc_right), (sum_, sum_right) = chosen[problem.id]["maj"], chosen[problem.id]["sum"]
            found.append(Outcome(problem, sc, sum_, sc_right, sum_right, problem.id in right))
    return sorted(found, key=lambda outcome: outcome.interest)


def show(arguments: argparse.Namespace) -> None:
    """List a run's problems, or tell the story of one."""
    console = Ink()
    with Store.read(arguments.run) as view, view.snapshot():
        if view.info.kind == "refine":
            from docendo.cli.rounds import show_run  # only here: it brings the whole of refining

            show_run(console, view, arguments.problem)
        elif arguments.problem is None:
            _list(console, view)
        else:
            _check_known(view, arguments.problem)
            tell(console, view.problem_record(arguments.problem), all_exams=arguments.all)


def report(arguments: argparse.Namespace) -> None:
    """Remake a run's page, and show its tables."""
    from docendo.report import write_report  # only here: plots and templates take their time to import

    console = Ink()
    with Store.read(arguments.run) as view:
        if view.info.kind == "refine":
            from docendo.cli.rounds import show_run

            show_run(console, view, None)
            console.print()
        elif (summary := summarise(view)).judged:
            show_summary(console, summary)
            console.print()
    page = write_report(arguments.run, arguments.out)
    console.print(Text.assemble(("report  ", "dim"), plain(str(page))), soft_wrap=True)


def show_command(folder: Path | str, problem: str) -> str:
    """What to type to see a problem's story."""
    return f"docendo show {shlex.quote(str(folder))} {shlex.quote(problem)}"


def _list(console: Ink, view: RunView) -> None:
    found = outcomes(view)
    planned = sum(1 for _ in view.problems())
    console.print(dim(f"{len(found):,} of {many(planned, 'problem')} finished; most telling first"))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    # An id that takes several lines cannot be copied into the next command: other columns give way first.
    longest = max((cell_len(one_line(outcome.problem.id)) for outcome in found), default=0)
    for name in ("problem", "group", "answer", "sc", "sum"):
        table.add_column(name, overflow="fold")
    table.columns[0].no_wrap = longest <= console.width // 2
    for outcome in found:
        problem = outcome.problem
        table.add_row(
            Text(one_line(problem.id)),
            Text(one_line(problem.group, "")),
            Text(one_line(problem.answer, "")),
            mark(outcome.sc_right).append(f" {one_line(outcome.sc.answer)}", style="default not bold"),
            mark(outcome.sum_right).append(f" {one_line(outcome.sum.answer)}", style="default not bold"),
        )
    console.print(table)
    if found:
        story = plain(show_command(view.folder, found[0].problem.id))
        console.print(dim(f"The first one's story: {story}"), soft_wrap=True)


def _check_known(view: RunView, id: str) -> None:
    """Raise with the nearest ids where the run has no such problem."""
    ids = [problem.id for problem in view.problems()]
    if id in ids:
        return
    near = (
        [known for known in ids if id in known][:3]
        or difflib.get_close_matches(id, ids, 3, cutoff=0.4)
        or ids[:3]
    )
    raise DataError(
        f"{view.folder}: no problem {plain(id)!r} in this run; the nearest ids are "
        f"{', '.join(map(repr, near))}; all are listed by: docendo show {shlex.quote(str(view.folder))}"
    )
