"""`docendo study`: run what was declared, and write its page."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from docendo.cli.ink import Ink, dim
from docendo.cli.progress import Progress
from docendo.cli.words import duration, plain
from docendo.solve.work import Watch
from docendo.study.analyse import analyse
from docendo.study.page import headlines, write_page, write_results
from docendo.study.plan import STUDIES, full_plan, quick_plan
from docendo.study.run import Watched, run_study

RESULTS = "results.json"


def study(arguments: argparse.Namespace) -> None:
    """Run a study, or go on with it, and write its page."""
    began = time.monotonic()
    out = Path(arguments.out or f"runs/study-{arguments.study}{'-quick' if arguments.quick else ''}")
    errors = Ink(stderr=True)

    @contextlib.contextmanager
    def watched(title: str) -> Iterator[Watch]:
        # Said here too: a piece that is complete, or that asks its models without a run, shows no progress.
        if not arguments.quiet:
            errors.print(dim(title))
        progress = Progress(title, errors, quiet=arguments.quiet)
        with progress:
            yield progress.figures

    try:
        of = _of_arms if arguments.study in ("m2", "m3") else _of_choosing
        lines, page = of(arguments, out, watched, errors)
    except BaseException as error:
        if out.exists():
            error.add_note(f"What was recorded is kept. To go on: {_again(arguments)}")
        raise
    console = Ink()
    for line in lines:
        console.print(line)
    console.print()
    for name, text in (("time", duration(time.monotonic() - began)), ("runs", str(out)), ("page", str(page))):
        console.print(dim(f"{name:8}").append(plain(text), style="not dim"), soft_wrap=True)


def _of_choosing(
    arguments: argparse.Namespace, out: Path, watched: Watched, errors: Ink
) -> tuple[list[str], Path]:
    """The studies of M1: what they found, and where their page is."""
    declared = STUDIES[arguments.study]
    plan = quick_plan(declared) if arguments.quick else full_plan(arguments.schooling, declared)
    done = run_study(plan, out, watched)
    _say(arguments, errors, "comparing the runs")
    results = analyse(done)
    write_results(results, out / RESULTS)
    page = write_page(plan, results, out)
    if arguments.page is not None:
        page = write_page(plan, results, arguments.page)
    return headlines(plan, results), page


def _of_arms(
    arguments: argparse.Namespace, out: Path, watched: Watched, errors: Ink
) -> tuple[list[str], Path]:
    """The studies of M2 and M3, likewise; each is a package of its own with the same four modules."""
    parts = ("analyse", "page", "plan", "run")
    analyse, page, plan, run = (import_module(f"docendo.study.{arguments.study}.{part}") for part in parts)
    asked = plan.QUICK if arguments.quick else plan.FULL
    done = run.run_study(asked, out, watched)
    _say(arguments, errors, "comparing the arms")
    results = analyse.analyse(done)
    page.write_results(results, out / RESULTS)
    written: Path = page.write_page(asked, results, out)
    if arguments.page is not None:
        written = page.write_page(asked, results, arguments.page)
    lines: list[str] = page.headlines(asked, results)
    return lines, written


def _say(arguments: argparse.Namespace, errors: Ink, text: str) -> None:
    if not arguments.quiet:
        errors.print(dim(text))


def _again(arguments: argparse.Namespace) -> str:
    words = ["docendo", "study", arguments.study, *(["--quick"] if arguments.quick else [])]
    for option in ("out", "schooling", "page"):
        value = getattr(arguments, option)
        if value is not None:
            words += [f"--{option}", value]
    return shlex.join(words)
