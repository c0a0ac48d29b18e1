"""Building the report's one file: what goes on the page, and that it is safe and complete on its own.

The figures come from `solve.summary` and `solve.curves`, their wording from `words`, tables, plots and the
problems' stories from the modules named so; layout and looks are in page.html.j2, report.css and report.js.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from docendo import __version__
from docendo.errors import StoreError
from docendo.report import plots, stories, tables, words
from docendo.report.numbers import count, millions, percent, points, step, tick, times
from docendo.solve.curves import SUBSETS, curves
from docendo.solve.spent import bill
from docendo.solve.summary import summarise
from docendo.store import RunView, Store

HERE = Path(__file__).parent
NAME = "report.html"
DRAWS = 2000
"""Bootstrap draws of the tables' intervals."""

# `<` could end the element that the data is in; the separators end lines in old JavaScript.
_UNSAFE = re.compile("[<\u2028\u2029]")


def write_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run, finished or not, as one HTML file that needs no network.

    Everything on the page comes from the store, so the same store gives the same bytes.

    Args:
        folder: the run folder.
        out: the file to write, replaced where it exists; by default report.html in the run folder.

    Returns:
        The path of the file.

    Raises:
        StoreError: the folder is no run or cannot be read, or the file cannot be written.
    """
    with Store.read(folder) as view:
        if view.info.kind == "refine":
            from docendo.refine.report import render as render_rounds

            page = render_rounds(view)
        else:
            page = render(view)
    path = Path(folder) / NAME if out is None else Path(out)
    # Moved into place when whole, so that nobody opens half a page and a full disk spoils no earlier one.
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(page.encode("utf-8"))
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise StoreError(
            f"{path}: the report cannot be written ({error.strerror}); free some space or choose another "
            "place. The run itself is not touched."
        ) from error
    return path


def render(view: RunView) -> str:
    """The page as text."""
    summary = summarise(view, draws=DRAWS)
    found = curves(summary.facts)
    about = words.about(view, summary)
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {f.__name__: f for f in (percent, points, tick, step, count, millions, times)}
    page = environment.get_template("page.html.j2").render(
        about=about,
        summary=summary,
        headline=words.headline(summary, about),
        more=words.more(summary),
        notices=words.notices(summary, about),
        states=words.states(summary, about),
        arms=tables.arms(summary.overall, words.arm_notes(summary, about)),
        differences=tables.differences(summary.overall),
        groups=tables.groups(summary, about.school),
        agreement=words.agreement(summary, view),
        plots=plots.all_plots(summary, found),
        points_rows=tables.points(found, summary.overall),
        bill=bill(view),
        version=__version__,
        draws=DRAWS,
        subsets=SUBSETS,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        data=embedded(stories.collect(view, summary, words.groups(summary, about.school))),
    )
    return stories.fit(page)


def embedded(value: Mapping[str, Any]) -> Markup:
    """JSON that may stand inside a `<script>` element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _policy(style: str, script: str) -> str:
    """A content security policy: nothing is loaded, and only the report's own script and style count.

    So even a fault in escaping would not let a model's text run as a program.
    """

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
