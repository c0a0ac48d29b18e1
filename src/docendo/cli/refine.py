"""`docendo refine`: run, watch, and show what came of it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from docendo.cli import refining as typed
from docendo.cli.forecast import forecast_table
from docendo.cli.ink import Ink, dim
from docendo.cli.rounds import show, show_how_to_go_on
from docendo.cli.tables import show_bill
from docendo.cli.words import duration, listed, many, one_line, plain
from docendo.errors import ConfigError
from docendo.refine.config import planned
from docendo.refine.export import FOLDER, export
from docendo.refine.forecast import forecast
from docendo.refine.nouns import Round
from docendo.refine.run import Refinement, begin
from docendo.refine.run import resume as resume_run
from docendo.solve.forecast import Forecast

if TYPE_CHECKING:
    from docendo.models.meter import Meter
    from docendo.refine.walk import Stage

_WAITING_SECONDS = 5.0  # between two looks at why nothing comes


class Progress:
    """Says on stderr, a line a stage, where a run is; a `Watch`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.folder: Path | None = None
        self._quiet = quiet
        self._meter: Meter | None = None
        self._began = time.monotonic()
        self._over = threading.Event()

    def started(self, folder: Path, rounds: int, done: int, meter: Meter) -> None:
        """The run begins or goes on."""
        self.folder, self._meter = folder, meter
        already = f", {many(done, 'round')} whole already" if done else ""
        self._say(f"refine: {many(rounds, 'round')}{already}, in {folder}")
        threading.Thread(target=self._wait, name="docendo waiting", daemon=True).start()

    def close(self) -> None:
        """The run is over."""
        self._over.set()

    def _wait(self) -> None:
        """Say now and then why no replies come, where none do."""
        while not self._over.wait(_WAITING_SECONDS):
            for said in self._meter.troubles() if self._meter is not None else ():
                self._say(f"waiting: {said}")

    def stage(self, round: int, stage: Stage) -> None:
        """A stage begins."""
        self._say(f"round {round}: {stage}{self._so_far()}")

    def finished(self, whole: Round) -> None:
        """A round is whole."""
        made = [c for c in whole.candidates if c.how != "none"]
        lost = f", {len(whole.rejections):,} of no use" if whole.rejections else ""
        self._say(f"round {whole.number}: {many(len(made), 'new set')}{lost}")

    def _so_far(self) -> str:
        count = self._meter.total() if self._meter is not None else None
        failed = f", {count.errors:,} calls failed" if count and count.errors else ""
        replies = f"; {count.replied:,} replies{failed}" if count else ""
        return f"{replies}, {duration(time.monotonic() - self._began)} so far"

    def _say(self, line: str) -> None:
        if not self._quiet:
            print(one_line(line), file=sys.stderr, flush=True)


def refine(arguments: argparse.Namespace) -> None:
    """Run or resume M3."""
    settings = typed.given(arguments)
    began = time.monotonic()
    progress = Progress(quiet=arguments.quiet)
    try:
        if arguments.resume is not None:
            _refuse_with_resume(arguments)
            run = resume_run(arguments.resume, config=arguments.config, watch=progress, **settings)
        else:
            sources = (arguments.train, arguments.validation, arguments.test)
            plan = planned(*sources, arguments.config, arguments.limit, settings)
            if arguments.dry_run:
                _show_forecast(arguments, forecast(plan, reply_tokens=arguments.reply_tokens))
                return
            run = begin(plan, arguments.out, watch=progress)
    except BaseException as error:
        if progress.folder is not None:
            again = f"docendo refine --resume {shlex.quote(str(progress.folder))}"
            error.add_note(f"What was recorded is kept. To go on: {again}")
        raise
    finally:
        progress.close()
    _finish(arguments, run, time.monotonic() - began)


def _finish(arguments: argparse.Namespace, run: Refinement, seconds: float) -> None:
    """Show what came of it, and write the best set and the page."""
    summary = run.summary()
    if arguments.json:  # first, so that a disk too full for the report does not cost the result
        print(json.dumps(summary.json() | {"bill": run.bill().json()}), flush=True)
    files = export(summary, run.folder / FOLDER)
    page = None
    if not arguments.no_report:
        from docendo.report import write_report  # only here: templates take their time to import

        page = write_report(run.folder)
    if arguments.json and arguments.quiet:
        return
    console = Ink(stderr=arguments.json)
    show(console, summary)
    show_bill(console, run.bill())
    if not summary.complete:
        show_how_to_go_on(console, summary, run.folder)
    console.print()
    places = [("time", duration(seconds)), ("run", str(run.folder))]
    places += [("best", str(files[0].parent))] if files else []
    places += [("report", str(page))] if page is not None else []
    for name, text in places:
        console.print(dim(f"{name:8}").append(plain(text), style="not dim"), soft_wrap=True)


def _refuse_with_resume(arguments: argparse.Namespace) -> None:
    names = [n for n in ("train", "validation", "test", "limit", "out") if getattr(arguments, n, None)]
    names += ["dry_run"] if arguments.dry_run else []
    if names:
        options = ", ".join("TASK" if n == "train" else f"--{n.replace('_', '-')}" for n in names)
        raise ConfigError(
            f"--resume goes on with a run as it was planned; leave out {options}, or start a new run"
        )


def _show_forecast(arguments: argparse.Namespace, found: Forecast) -> None:
    if arguments.json:
        print(json.dumps(found.json()), flush=True)
        return
    console = Ink()
    console.print(Text(f"{many(found.exam_problems, 'problem')}; nothing was asked", style="bold"))
    console.print()
    console.print(forecast_table(found), crop=False)
    console.print()
    lines = [
        f"An answer is taken to have {found.reply.likely:.0f} tokens ({found.reply_from}).",
        "The least is for a teacher none of whose later sets can be used, and one read-out; the most for a new best "
        "set in every round.",
        "Alike: what calls have in common, which a server with a prefix cache computes only once.",
    ]
    if found.guessed:
        lines.append(f"Tokens of {listed([plain(n) for n in found.guessed])} are guessed from characters.")
    for line in lines:
        console.print(dim(line))
