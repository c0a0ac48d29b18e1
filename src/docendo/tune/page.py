"""The page of a tuning: which pairs were kept and why, how training went, and what it was worth; one file, no network.

Looks are the report's (`report.css`); texts of models are shown and never run: the page has no script at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from docendo import __version__
from docendo.report.numbers import count, percent, plural, points
from docendo.report.svg import linear, path, tag
from docendo.tune.balance import digest
from docendo.tune.files import write_text
from docendo.tune.pairset import Pair, PairSet
from docendo.tune.plan import Plan
from docendo.tune.train import Step
from docendo.tune.tuned import Round, Tuned
from docendo.types import Prompt

NAME = "tune.html"
SHOWN, LISTED = 60, 400
"""Pairs and problems on the page; the sets have all of them."""

NAMES = {"greedy": "Greedy", "mean": "Mean of samples", "sc": "SC", "max": "MAX", "sum": "SUM", "avg": "AVG"}
_HERE = Path(__file__).parent
_STYLE = """
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 0.75rem; }
.side { border-left: 3px solid var(--c); padding-left: 0.75rem; }
pre { white-space: pre-wrap; font: 0.875rem/1.45 var(--code); margin: 0 0 0.75rem; }
pre.asked { color: var(--soft); }
details { border-top: 1px solid var(--line); padding: 0.4rem 0; }
details > summary { cursor: pointer; }
svg.plot { max-width: 40rem; width: 100%; height: auto; }
svg.plot path { fill: none; stroke: var(--sum); stroke-width: 1.5; }
svg.plot circle { fill: var(--wrong); }
svg.plot rect { fill: var(--sum); }
svg.plot line { stroke: var(--line); }
svg.plot text { fill: var(--soft); font-size: 11px; }
"""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 560, 190, 46, 24


def write_pages(tuned: Tuned) -> Path:
    """Write the page of a tuning into its folder.

    Returns:
        The file.

    Raises:
        StoreError: it cannot be written.
    """
    place = tuned.folder / NAME
    write_text(place, render(tuned, Plan.read(tuned.folder)))
    return place


def render(tuned: Tuned, plan: Plan) -> str:
    """The page as text; lone surrogates of models are replaced."""
    style = (_HERE.parent / "report" / "report.css").read_text(encoding="utf-8") + _STYLE
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {f.__name__: f for f in (percent, points, count, plural)} | {"asked": asked}
    notes = [*dict.fromkeys(note for done in tuned.rounds for note in done.pairs.notes), *tuned.notes]
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = environment.get_template("page.html.j2").render(
        name=tuned.folder.name,
        headline=_headline(tuned),
        notes=notes,
        plan=plan,
        how=plan.how,
        tuned=tuned,
        rounds=[_round(done) for done in tuned.rounds],
        names=NAMES,
        version=__version__,
        style=Markup(style),
        policy=f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'",
    )
    return page.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def asked(prompt: Prompt) -> str:
    """A prompt as it is shown."""
    return prompt if isinstance(prompt, str) else "\n\n".join(f"[{role}] {text}" for role, text in prompt)


def _headline(tuned: Tuned) -> str:
    pairs = sum(len(done.pairs.train) for done in tuned.rounds)
    if tuned.best is None:
        return f"{plural(pairs, 'pair')} to train on"
    if not tuned.tests:
        return f"Tuned on {plural(pairs, 'pair')}"
    change = next(c for c in tuned.tests[0].alone if c.rule == "greedy")
    return (
        f"Tuned on {plural(pairs, 'pair')}: greedy {percent(change.before.mean)} before, "
        f"{percent(change.after.mean)} after, on {tuned.tests[0].problems}"
    )


def _round(done: Round) -> Mapping[str, Any]:
    pairs = done.pairs
    both = (*pairs.train, *pairs.validation)
    drawn = sorted(both, key=lambda p: digest(pairs.settings.seed, "page", p.problem, p.chosen.lesson))
    shown = [pair for pair in both if pair in set(drawn[:SHOWN])]
    steps = done.trained.rows if done.trained is not None else ()
    return {
        "done": done,
        "pairs": pairs,
        "kept": len(both),
        "with_pairs": len({(p.run, p.problem) for p in both}),
        "longer": sum(p.log_ratio > 0 for p in both) / max(len(both), 1),
        "lean": sum(p.log_ratio for p in both) / max(len(both), 1),
        "by_lbt": sum(_equal(p) for p in both),
        "against": sum(_against(p) for p in both),
        "differences": _histogram([p.difference for p in both]),
        "curve": _curve(steps) if len(steps) > 1 else "",
        "last": _last(steps),
        "examples": shown,
        "shown": len(shown),
        "listed": _listed(pairs),
    }


def _equal(pair: Pair) -> bool:
    return pair.chosen.correct == pair.rejected.correct


def _against(pair: Pair) -> bool:
    chosen, rejected = pair.chosen.correct, pair.rejected.correct
    return chosen is not None and rejected is not None and chosen < rejected


def _listed(pairs: PairSet) -> Sequence[Any]:
    return sorted(pairs.problems, key=lambda tally: -tally.kept)[:LISTED]


def _histogram(values: Sequence[float]) -> Markup:
    """How many pairs have which difference, in twenty steps from 0 to 1."""
    if not values:
        return Markup("")
    bins = [0] * 20
    for value in values:
        bins[min(int(value * 20), 19)] += 1
    across, up = linear(0, 20, _LEFT, _WIDTH - 8), linear(0, max(bins), _HEIGHT - _BOTTOM, 10)
    bars = [
        tag("rect", tag("title", f"{i / 20:g} to {(i + 1) / 20:g}: {n}"), x=across(i) + 1, y=up(n),
            width=across(1) - across(0) - 2, height=up(0) - up(n))
        for i, n in enumerate(bins) if n
    ]  # fmt: skip
    marks = [
        tag("text", f"{i / 20:g}", x=across(i), y=_HEIGHT - 6, text_anchor="middle") for i in range(0, 21, 4)
    ]
    most = tag("text", count(max(bins)), x=_LEFT - 6, y=up(max(bins)) + 4, text_anchor="end")
    return _plot("Differences of scores", *bars, *marks, most)


def _curve(steps: Sequence[Step]) -> Markup:
    """Loss by step, with the looks at validation as dots."""
    losses = [step.loss for step in steps]
    across = linear(1, max(step.steps for step in steps), _LEFT, _WIDTH - 8)
    up = linear(min(losses), max(losses), _HEIGHT - _BOTTOM - 4, 12)
    made = [step for step in steps if not step.validation]
    line = (
        tag("path", d=path([across(s.step) for s in made], [up(s.loss) for s in made]))
        if made
        else Markup("")
    )
    dots = [
        tag("circle", tag("title", f"step {s.step}: {s.loss:.3f}"), cx=across(s.step), cy=up(s.loss), r=3.5)
        for s in steps if s.validation
    ]  # fmt: skip
    marks = [
        tag("text", f"{loss:.3f}", x=_LEFT - 6, y=up(loss) + 4, text_anchor="end")
        for loss in dict.fromkeys((min(losses), max(losses)))
    ]
    marks += [
        tag("text", count(step), x=across(step), y=_HEIGHT - 6, text_anchor="middle")
        for step in dict.fromkeys((1, steps[-1].steps))
    ]
    return _plot("Loss by step", line, *dots, *marks)


def _last(steps: Sequence[Step]) -> str:
    looks = [step for step in steps if step.validation] or list(steps)
    if not looks:
        return ""
    last = looks[-1]
    on = "on the validation pairs" if last.validation else "on its batch"
    return f"At step {last.step} {on}: margin {last.margin:+.3f}, accuracy {percent(last.accuracy)}, KL {last.kl:+.2f}."


def _plot(title: str, *parts: Markup) -> Markup:
    ground = tag("line", x1=_LEFT, x2=_WIDTH - 8, y1=_HEIGHT - _BOTTOM, y2=_HEIGHT - _BOTTOM)
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    return tag("svg", tag("title", title), ground, *parts, class_="plot", viewBox=box, role="img")
