"""The page of a refining run, from its store: figures, drawings, and the tree of sets; layout is in the template."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import docendo.report
from docendo import __version__
from docendo.refine.report import drawing
from docendo.refine.report.tree import HOW, branches, name_sets
from docendo.refine.summary import STUDENTS, Summary, summarise
from docendo.report.numbers import count, percent, plural, points
from docendo.solve.spent import bill
from docendo.stats import Interval
from docendo.store import RunView

HERE = Path(__file__).parent

REASONS = {
    "failed": "the call failed",
    "cut off": "cut off by the token limit",
    "refused": "refused",
    "empty": "empty",
    "unreadable": "no examples to be read",
    "too few examples": "too few examples",
    "label out of range": "a label that the task has not",
    "unbalanced": "too much of one label",
    "copied": "text of exam, validation or test problems",
    "an example twice": "one example twice",
    "seen before": "a set that was there already",
    "unspeakable": "words that a model cannot read",
}


def render(view: RunView) -> str:
    """The page as text; the same store gives the same text."""
    summary = summarise(view)
    replies = view.recorded([r.call for r in view.rejections()])
    tree = branches(summary, replies)
    style = (Path(docendo.report.__file__).parent / "report.css").read_text(encoding="utf-8")
    style += (HERE / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {f.__name__: f for f in (percent, points, count, plural, span, difference)}
    return environment.get_template("page.html.j2").render(
        name=view.folder.resolve().name,
        info=view.info,
        summary=summary,
        task=summary.task,
        students=summary.settings.students,
        teacher=summary.settings.teacher,
        headline=headline(summary),
        tree=tree,
        names=name_sets(summary),
        how=HOW,
        reasons=REASONS,
        measure="F1" if summary.task.labels else "accuracy",
        results=drawing.results(summary) if summary.rounds else Markup(""),
        lineage=drawing.lineage(tree),
        changes=[(("all students" if m == STUDENTS else m), c) for m, c in _changes(summary)],
        bill=bill(view),
        version=__version__,
        style=Markup(style),
        policy=f"default-src 'none'; style-src 'sha256-{_digest(style)}'; base-uri 'none'; form-action 'none'",
    )


def headline(summary: Summary) -> str:
    """What came of it in one sentence, no surer than the figures are."""
    if not summary.rounds:
        return "No round is whole yet"
    last = summary.rounds[-1].number
    change = summary.changes.get(STUDENTS)
    if change is not None and summary.unchanged:
        return f"After {plural(last, 'round')} the starting set is still the best on validation"
    if change is None:
        return f"The starting sets of {summary.task.name} are examined; no set was rewritten yet"
    gain, what = (change.f1, "F1") if change.f1 is not None else (change.accuracy, "accuracy")
    if gain.mean is None:
        return f"After {plural(last, 'round')}: no test problem could be graded"
    said = (
        f"After {plural(last, 'round')} students’ {what} on the test problems is {points(gain.mean)} points"
    )
    said += " over that of the starting set"
    if gain.low is None or gain.high is None:
        return said
    sure = gain.low > 0 or gain.high < 0
    return f"{said} ({difference(gain)})" + ("" if sure else ", which may be chance")


def span(interval: Interval) -> str:
    """An interval's ends."""
    if interval.low is None or interval.high is None:
        return "–"
    return f"{percent(interval.low)[:-1]}–{percent(interval.high)}"


def difference(interval: Interval) -> str:
    """The ends of a difference's interval."""
    if interval.low is None or interval.high is None:
        return "no interval"
    return f"95% interval {points(interval.low)} to {points(interval.high)}"


def _changes(summary: Summary) -> list[tuple[str, object]]:
    alone = len(summary.settings.students) == 1
    return [(m, c) for m, c in summary.changes.items() if not (alone and m == STUDENTS)]


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
