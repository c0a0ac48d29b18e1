"""`docendo pilot`: run the pilot, watch, and say what it found."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from docendo.cli import settings as typed
from docendo.cli.forecast import show_forecast
from docendo.cli.ink import FigureTable, Ink, dim
from docendo.cli.progress import Progress
from docendo.cli.solve import in_domain, kept, refuse_with_resume
from docendo.cli.tables import show_bill
from docendo.cli.words import amount, duration, many, plain
from docendo.pilot.advise import findings
from docendo.pilot.advise import settings as advised
from docendo.pilot.diagnose import Diagnosis
from docendo.pilot.outlook import outlook
from docendo.pilot.run import COUNT
from docendo.pilot.run import pilot as run_pilot
from docendo.pilot.run import resume as resume_pilot
from docendo.stats import Interval

_MARKS = {"good": ("✓", "green"), "bad": ("✗", "red"), "unsure": ("?", "yellow")}


def pilot(arguments: argparse.Namespace) -> None:
    """Run or resume a pilot."""
    settings = typed.given_settings(arguments)
    if arguments.dry_run and arguments.resume is None:
        _show_outlook(arguments, in_domain(arguments, settings))
        return
    began = time.monotonic()
    errors = Ink(stderr=True)
    progress = Progress("pilot", errors, quiet=arguments.quiet)
    with kept(progress, "docendo pilot --resume"), progress:
        if arguments.resume is not None:
            refuse_with_resume(arguments)
            found = resume_pilot(
                arguments.resume, config=arguments.config, watch=progress.figures, **settings
            )
        else:
            settings = in_domain(arguments, settings)
            found = run_pilot(
                arguments.problems,
                exams=arguments.exams,
                config=arguments.config,
                out=arguments.out,
                count=arguments.count or COUNT,
                watch=progress.figures,
                **settings,
            )
    diagnosis = found.diagnosis()
    if arguments.json:
        said = [
            {"question": f.question, "verdict": f.verdict, "answer": f.answer} for f in findings(diagnosis)
        ]
        more = {"findings": said, "settings": advised(diagnosis), "bill": found.bill().json()}
        print(json.dumps(diagnosis.json() | more), flush=True)
        return
    console = Ink()
    show(console, diagnosis)
    show_bill(console, found.bill())
    console.print()
    for name, text in (("time", duration(time.monotonic() - began)), ("run", str(found.folder))):
        console.print(dim(f"{name:8}").append(plain(text), style="not dim"), soft_wrap=True)


def _show_outlook(arguments: argparse.Namespace, settings: dict[str, object]) -> None:
    """What the pilot would ask, and nothing asked."""
    found = outlook(
        arguments.problems,
        exams=arguments.exams,
        config=arguments.config,
        count=arguments.count or COUNT,
        reply_tokens=arguments.reply_tokens,
        **settings,
    )
    if arguments.json:
        print(json.dumps(found.json()), flush=True)
    else:
        show_forecast(Ink(), found)


def show(console: Console, diagnosis: Diagnosis) -> None:
    """Findings, settings worth changing, and what a full run would ask."""
    d = diagnosis
    heading = f"Pilot: {many(d.problems, 'problem')} of {d.full_problems:,}, {d.lessons} lessons each"
    if d.problems < d.planned:
        heading += f"; {d.planned - d.problems} not finished"
    console.print(Text(heading, style="bold"))
    for finding in findings(d):
        mark, style = _MARKS[finding.verdict]
        console.print()
        console.print(Text(f"{mark} ", style=style).append(plain(finding.question), style="bold"))
        console.print(Padding(Text(plain(finding.answer)), (0, 0, 0, 2), expand=False))
    changes = advised(d)
    if changes:
        console.print()
        console.print(Text("Worth changing in the run file", style="bold"))
        for name, value in changes.items():
            console.print(Text(f"  {name} = {json.dumps(value)}"))
    console.print()
    console.print(loads(d), crop=False)
    console.print(
        dim(
            f"{_in_all(d)}. Reckoned from the pilot's calls; distinct lessons, which alone are examined, go on "
            "growing as they did from half of its samples to all. Intervals (95 %) are over its problems."
        )
    )
    if d.exam_share is not None:
        console.print(
            dim(
                f"The pilot's exams were adaptive and asked {100 * d.exam_share:.0f} % of what whole ones would have; "
                f"the full run's are taken to ask that share too.{_at_most(d)}"
            )
        )


def _in_all(d: Diagnosis) -> str:
    """Tokens and money of the full run, with their intervals."""
    parts = [_between(d.tokens, amount) + " tokens"]
    if d.money is not None and d.currency is not None:
        parts.append(_between(d.money, lambda n: f"{n:.2f}") + f" {d.currency}")
    return "In all " + ", ".join(parts)


def _between(found: Interval, say: Callable[[float], str]) -> str:
    if found.low is None or found.high is None or found.low == found.high:
        return say(found.mean or 0.0)
    return f"{say(found.mean or 0.0)} ({say(found.low)} to {say(found.high)})"


def _at_most(d: Diagnosis) -> str:
    """How many exam questions the full run has if its adaptive exams come to ask everything."""
    asked = sum(load.calls for load in d.loads if load.purpose == "exam")
    return f" At most, all were asked: {asked / d.exam_share:,.0f} calls." if d.exam_share else ""


def loads(d: Diagnosis) -> FigureTable:
    """What the full run would ask, by model and purpose."""
    heads = (
        f"a full run: {d.full_problems:,} × {d.full_lessons}",
        "for",
        "calls",
        "95 % interval",
        "tokens sent",
        "cached",
        "written",
        *([d.currency] if d.currency else []),
    )
    table = FigureTable(*heads, names=2)
    for load in d.loads:
        sums = (load.prompt, load.cached, load.completion)
        cost = ["–" if load.money is None else f"{load.money:.2f}"] if d.currency else []
        table.add_row(
            Text(plain(load.model)),
            load.purpose,
            f"{load.calls:,}",
            "" if load.low == load.high else f"{load.low:,} – {load.high:,}",
            *(amount(load.calls * mean) for mean in sums),
            *cost,
        )
    if d.currency:
        table.add_row(*[""] * 7, f"{sum(load.money or 0.0 for load in d.loads):.2f}")
    return table
