"""`docendo solve` and `docendo score`: run, watch, and show what came of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from docendo.cli import settings as typed
from docendo.cli.forecast import show_forecast
from docendo.cli.ink import Ink, dim
from docendo.cli.progress import Progress
from docendo.cli.show import outcomes, show_command
from docendo.cli.story import tell_lessons
from docendo.cli.tables import show_bill, show_summary, state_lines, stopped_lines
from docendo.cli.words import duration, one_line, plain
from docendo.errors import ConfigError
from docendo.solve.forecast import forecast
from docendo.solve.run import Run, planned, resume
from docendo.solve.run import score as score_lessons
from docendo.solve.run import solve as solve_problems
from docendo.solve.summary import Summary
from docendo.solve.work import Watch
from docendo.store import RunView

_SHOWN = 20
"""Problems whose answers or lessons are printed; the store and the report have the rest."""


def solve(arguments: argparse.Namespace) -> None:
    """Run or resume M1."""
    settings = typed.given_settings(arguments)
    if arguments.resume is not None:
        refuse_with_resume(arguments)
        folder, config = arguments.resume, arguments.config
        _finish(arguments, "solve", lambda watch: resume(folder, config=config, watch=watch, **settings))
        return
    settings = in_domain(arguments, settings)
    if arguments.dry_run:
        _show_forecast(arguments, settings)
        return
    _finish(
        arguments,
        "solve",
        lambda watch: solve_problems(
            arguments.problems,
            exams=arguments.exams,
            config=arguments.config,
            out=arguments.out,
            limit=arguments.limit,
            watch=watch,
            **settings,
        ),
    )


def score(arguments: argparse.Namespace) -> None:
    """Examine lessons that exist already."""
    settings = in_domain(arguments, typed.given_settings(arguments))
    _finish(
        arguments,
        "score",
        lambda watch: score_lessons(
            arguments.lessons_file,
            problems=arguments.problems,
            exams=arguments.exams,
            config=arguments.config,
            out=arguments.out,
            watch=watch,
            **settings,
        ),
    )


def _finish(arguments: argparse.Namespace, title: str, work: Callable[[Watch], Run]) -> None:
    """Do the work under the progress display, then show what came of it.

    Args:
        arguments: as typed.
        title: what the display says is being done.
        work: does it, and gives the run.
    """
    began = time.monotonic()
    errors = Ink(stderr=True)
    progress = Progress(title, errors, quiet=arguments.quiet)
    with kept(progress):
        with progress:
            run = work(progress.figures)
        summary = run.summary()
        if arguments.json:  # first, so that a disk too full for the report does not cost the result
            found = summary.json() | {"bill": run.bill().json(), "answers": run.answers()}
            print(json.dumps(found), flush=True)
        console = errors if arguments.json else Ink()
        silent = arguments.json and arguments.quiet
        if not silent:
            _show(console, run, summary)
        page = None if arguments.no_report else _write_report(run.folder)
        if not silent:
            _show_places(console, run, page, time.monotonic() - began)


@contextlib.contextmanager
def kept(progress: Progress, again: str = "docendo solve --resume") -> Iterator[None]:
    """Leave word on any error after the run began of what was kept, and how to go on with it."""
    try:
        yield
    except BaseException as error:
        folder = progress.figures.folder
        if folder is not None:
            line = f"{again} {shlex.quote(str(folder))}"
            error.add_note(f"What was recorded is kept. To go on: {line}")
        raise


def in_domain(arguments: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, and the problems among the arguments, with the school's own where a domain was named."""
    if arguments.domain is None:
        return settings
    if arguments.config is not None:
        raise ConfigError(
            "--domain names problems and models of the school, and --config a file with others; leave one out"
        )
    arguments.problems, settings = typed.in_domain(arguments.domain, arguments.problems, settings)
    return settings


def refuse_with_resume(arguments: argparse.Namespace) -> None:
    """Refuse options that a resumed run cannot take; what settings may be said anew is left to `solve.again`."""
    options = ("problems", "domain", "exams", "limit", "out", "count", "dry_run", "reply_tokens")
    names = [name for name in options if getattr(arguments, name, None)]
    extra = [name.upper() if name == "problems" else f"--{name.replace('_', '-')}" for name in names]
    if extra:
        raise ConfigError(
            f"--resume goes on with a run as it was planned; leave out {', '.join(extra)}, or start a new run"
        )


def _show_forecast(arguments: argparse.Namespace, settings: dict[str, object]) -> None:
    """What the run would ask, and nothing asked."""
    given = (arguments.problems, arguments.exams, arguments.config, arguments.limit)
    plan, taught, pool, _ = planned(*given, settings)
    found = forecast(taught, pool, plan, reply_tokens=arguments.reply_tokens)
    if arguments.json:
        print(json.dumps(found.json()), flush=True)
    else:
        show_forecast(Ink(), found)


def _write_report(folder: Path) -> Path:
    from docendo.report import write_report  # only here: plots and templates take their time to import

    return write_report(folder)


def _show(console: Ink, run: Run, summary: Summary) -> None:
    """The tables, and what was asked for where no answer is known: the choices, or the lessons' scores."""
    with run.view() as view, view.snapshot():
        if view.info.kind == "score":
            _show_lessons(console, view)
        elif summary.judged < summary.problems:
            _show_answers(console, view)
    if summary.judged:
        show_summary(console, summary)
    else:
        for line in (*state_lines(summary), *summary.exams_said()):
            console.print(dim(line))
    show_bill(console, run.bill())
    for line in stopped_lines(summary, shlex.quote(str(run.folder))):
        console.print(Text(line, style="bold"))


def _show_lessons(console: Ink, view: RunView) -> None:
    done = [outcome.problem.id for outcome in outcomes(view)]
    for id in done[:_SHOWN]:
        tell_lessons(console, view.problem_record(id))
    _show_rest(console, view, len(done))


def _show_answers(console: Ink, view: RunView) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), expand=True)
    for name in ("problem", "sum", "sc"):
        table.add_column(name, overflow="fold", max_width=24)
    table.add_column("question", no_wrap=True, overflow="ellipsis", ratio=1)
    unknown = [outcome for outcome in outcomes(view) if not outcome.problem.judgeable]
    for outcome in unknown[:_SHOWN]:
        texts = (outcome.problem.id, outcome.sum.answer, outcome.sc.answer, outcome.problem.question)
        table.add_row(*(Text(one_line(text)) for text in texts))
    console.print(Text("Answers chosen where none is known", style="bold"))
    console.print(table)
    _show_rest(console, view, len(unknown))


def _show_rest(console: Ink, view: RunView, count: int) -> None:
    if count > _SHOWN:
        console.print(dim(f"… and {count - _SHOWN:,} more: docendo show {shlex.quote(str(view.folder))}"))
    console.print()


def _show_places(console: Ink, run: Run, page: Path | None, seconds: float) -> None:
    with run.view() as view:
        first = next((outcome.problem.id for outcome in outcomes(view)), None)
    places = [("time", duration(seconds)), ("run", str(run.folder))]
    if page is not None:
        places.append(("report", str(page)))
    if first is not None:
        places.append(("next", show_command(run.folder, first)))
    console.print()
    for name, text in places:  # never broken into lines: they are there to be copied
        console.print(dim(f"{name:8}").append(plain(text), style="not dim"), soft_wrap=True)
