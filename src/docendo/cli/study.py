"""`docendo study`: run what was declared, and write its page."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from docendo.cli.ink import Ink, dim
from docendo.cli.progress import Progress
from docendo.cli.words import duration, plain
from docendo.solve.work import Watch
from docendo.study.analyse import analyse
from docendo.study.page import headlines, write_page, write_results
from docendo.study.plan import STUDIES, full_plan, quick_plan
from docendo.study.run import run_study

RESULTS = "results.json"


def study(arguments: argparse.Namespace) -> None:
    """Run a study, or go on with it, and write its page."""
    began = time.monotonic()
    declared = STUDIES[arguments.study]
    plan = quick_plan(declared) if arguments.quick else full_plan(arguments.schooling, declared)
    out = Path(arguments.out or f"runs/study-{declared.name}{'-quick' if arguments.quick else ''}")
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
        done = run_study(plan, out, watched)
    except BaseException as error:
        if out.exists():
            error.add_note(f"What was recorded is kept. To go on: {_again(arguments)}")
        raise
    if not arguments.quiet:
        errors.print(dim("comparing the runs"))
    results = analyse(done)
    write_results(results, out / RESULTS)
    page = write_page(plan, results, out)
    if arguments.page is not None:
        page = write_page(plan, results, arguments.page)
    console = Ink()
    for line in headlines(plan, results):
        console.print(line)
    console.print()
    for name, text in (("time", duration(time.monotonic() - began)), ("runs", str(out)), ("page", str(page))):
        console.print(dim(f"{name:8}").append(plain(text), style="not dim"), soft_wrap=True)


def _again(arguments: argparse.Namespace) -> str:
    words = ["docendo", "study", arguments.study, *(["--quick"] if arguments.quick else [])]
    for option in ("out", "schooling", "page"):
        value = getattr(arguments, option)
        if value is not None:
            words += [f"--{option}", value]
    return shlex.join(words)
