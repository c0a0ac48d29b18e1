"""`docendo tune`: pairs, training and comparisons, with what came of each."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from docendo.cli import settings as typed
from docendo.cli import tuning
from docendo.cli.forecast import show_forecast
from docendo.cli.ink import FigureTable, Ink, dim
from docendo.cli.progress import Progress
from docendo.cli.solve import in_domain
from docendo.cli.words import duration, many, one_line, percent, plain, points, span
from docendo.errors import ConfigError
from docendo.solve.forecast import forecast
from docendo.solve.run import new_folder, planned
from docendo.solve.work import Watch
from docendo.tune.evaluate import Change
from docendo.tune.outlook import outlook
from docendo.tune.pairs import pairs_from
from docendo.tune.pairset import PairSet
from docendo.tune.plan import FILE as PLAN
from docendo.tune.plan import Plan, recast
from docendo.tune.run import anew_in, go_on, plan_of
from docendo.tune.run import tune as tune_teacher
from docendo.tune.train import Step
from docendo.tune.tuned import Round, Tuned

_NAMES = {"greedy": "greedy", "mean": "mean of samples", "sc": "SC", "max": "MAX", "sum": "SUM", "avg": "AVG"}
_TOLD_SECONDS = 5.0


def tune(arguments: argparse.Namespace) -> None:
    """Tune a teacher, or go on with it."""
    began = time.monotonic()
    settings = typed.given_settings(arguments)
    look = _Look(Ink(stderr=True), quiet=arguments.quiet)
    if arguments.resume is not None:
        _refuse_with_resume(arguments)
        folder = Path(arguments.resume)
        with _kept(folder):
            tuned = go_on(folder, look, anew_in(folder, arguments.config, settings))
    else:
        if not arguments.runs:
            settings = in_domain(arguments, settings)
        elif arguments.domain is not None:
            raise ConfigError("--domain names problems of the school, and a run has its own; leave one out")
        said = (
            tuning.given(arguments),
            arguments.problems,
            arguments.exams,
            arguments.limit,
            arguments.config,
        )
        if arguments.dry_run:
            _show_outlook(arguments, plan_of(arguments.runs, *said, settings))
            return
        how, problems, exams, limit, config = said
        folder = Path(arguments.out) if arguments.out is not None else new_folder("tune")
        with _kept(folder):
            tuned = tune_teacher(
                *arguments.runs,
                how=how,
                problems=problems,
                exams=exams,
                limit=limit,
                config=config,
                out=folder,
                watch=look,
                **settings,
            )
    page = None
    if not arguments.no_report:
        from docendo.tune.page import write_pages  # only here: templates take their time to import

        page = write_pages(tuned)
    if arguments.json:
        print(json.dumps(tuned.json()), flush=True)
    if not (arguments.json and arguments.quiet):
        _show(Ink(stderr=True) if arguments.json else Ink(), tuned, page, time.monotonic() - began)


class _Look:
    """Shows a tuning's progress on stderr: runs by their own display, training by a line now and then."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._said = 0.0

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Watch]:
        """A stage that asks models."""
        if not self._quiet:
            self._console.print(dim(plain(title)))
        progress = Progress(title, self._console, quiet=self._quiet)
        with progress:
            yield progress.figures

    def paired(self, pairs: PairSet) -> None:
        """The pairs of a round."""
        if not self._quiet:
            counts = f"{many(len(pairs.train), 'pair')} to train on, {len(pairs.validation):,} for validation"
            self._console.print(dim(counts))

    def trained(self, step: Step) -> None:
        """A step of training: told where it is a look at validation, the first or the last, or it is time again."""
        if self._quiet:
            return
        now = time.monotonic()
        if step.validation or step.step in (1, step.steps) or now - self._said >= _TOLD_SECONDS:
            self._said = now
            what = "  validation" if step.validation else f"step {step.step:,}/{step.steps:,}"
            best = ", the best so far" if step.best else ""
            self._console.print(
                dim(
                    f"{what}: loss {step.loss:.3f}, margin {step.margin:+.3f}, accuracy {percent(step.accuracy)}, "
                    f"KL {step.kl:+.2f}{best}"
                )
            )


@contextlib.contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Leave word on an error after the tuning began of how to go on."""
    try:
        yield
    except BaseException as error:
        if (folder / PLAN).is_file() and "--resume" not in str(error):
            error.add_note(
                f"What was done is kept. To go on: docendo tune --resume {shlex.quote(str(folder))}"
            )
        raise


def _refuse_with_resume(arguments: argparse.Namespace) -> None:
    names = ("problems", "domain", "exams", "limit", "out", "dry_run", "reply_tokens")
    extra = ["RUN"] if arguments.runs else []
    extra += [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name, None)]
    extra += tuning.typed(arguments)
    if extra:
        raise ConfigError(
            f"--resume goes on with a tuning as it was planned; leave out {', '.join(extra)}, or start a new one"
        )


# --- what came of it ----------------------------------------------------------------------------------------


def _show(console: Console, tuned: Tuned, page: Path | None, seconds: float) -> None:
    for done in tuned.rounds:
        _show_round(console, done, several=len(tuned.rounds) > 1)
    for test in tuned.tests:
        show_changes(console, f"{test.problems}: the teacher alone", test.alone)
        if test.m1:
            show_changes(console, f"{test.problems}: M1 with either teacher", test.m1)
    notes = [*dict.fromkeys(note for done in tuned.rounds for note in done.pairs.notes), *tuned.notes]
    for note in notes:
        console.print(dim(one_line(f"Note: {note}")))
    places = [("time", duration(seconds)), ("tuning", str(tuned.folder))]
    if page is not None:
        places.append(("page", str(page)))
    places += [("set", str(path)) for done in tuned.rounds for path in done.exports]
    if tuned.teacher is not None:
        places.append(("teacher", tuned.teacher))
        places.append(("next", f"docendo solve --teacher {shlex.quote(tuned.teacher)}"))
    for name, text in places:  # never broken into lines: they are there to be copied
        console.print(dim(f"{name:8}").append(plain(text), style="not dim"), soft_wrap=True)


def _show_round(console: Console, done: Round, *, several: bool) -> None:
    pairs = done.pairs
    problems = len({(pair.run, pair.problem) for pair in (*pairs.train, *pairs.validation)})
    head = f"Round {done.number}: " if several else ""
    kept = f"{many(len(pairs.train), 'pair')} to train on and {len(pairs.validation):,} for validation"
    console.print(
        Text(f"{head}{kept}, of {problems:,} of {many(len(pairs.problems), 'problem')}", style="bold")
    )
    for counts, thing in ((pairs.lessons, "lesson"), (pairs.pairs, "comparison")):
        for reason, count in counts.items():
            console.print(dim(f"  {many(count, thing)} {reason}"))
    if done.trained is not None:
        t = done.trained
        kept = f", those of step {t.step:,} kept" if t.step < t.steps else ""
        left = f"; {many(t.long, 'pair')} too long" if t.long else ""
        console.print(
            f"Trained for {many(t.steps, 'step')}{kept}: {t.tokens:,} tokens in {duration(t.seconds)}{left}."
        )
    if done.held_out:
        show_changes(console, "held-out problems, against the first teacher", done.held_out)
    console.print()


def show_changes(console: Console, title: str, changes: Sequence[Change]) -> None:
    """Before and after, rule by rule."""
    table = FigureTable("", "before", "after", "points", "95 % interval")
    table.title, table.title_justify = Text(plain(title), style="bold"), "left"
    for change in changes:
        table.add_row(
            _NAMES[change.rule],
            percent(change.before.mean),
            percent(change.after.mean),
            points(change.difference.mean),
            span(change.difference, signed=True),
        )
    console.print(table, crop=False)
    first = changes[0].difference if changes else None
    if first is not None:
        console.print(
            dim(f"{many(first.n, 'problem')} in {many(first.clusters, 'cluster')}, the same before and after")
        )
    console.print()


# --- before it ----------------------------------------------------------------------------------------------


def _show_outlook(arguments: argparse.Namespace, plan: Plan) -> None:
    """What would be asked and trained, and nothing asked."""
    console = Ink()
    found = None
    pairs = pairs_from(*plan.runs, settings=plan.how.pairs) if plan.runs else None
    if not plan.runs:
        _, taught, pool, _ = planned(plan.problems, plan.exams, None, plan.limit, {})
        found = forecast(
            taught, pool, recast(plan.teach, equal_cost=False), reply_tokens=arguments.reply_tokens
        )
    known = outlook(plan, pairs, found.problems if found is not None else None)
    if arguments.json:
        print(
            json.dumps(known.json() | {"forecast": found.json() if found is not None else None}), flush=True
        )
        return
    if found is not None:
        show_forecast(console, found)
        console.print()
    for line in known.lines():
        console.print(line, soft_wrap=True)
