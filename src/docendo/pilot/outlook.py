"""What a pilot would ask and cost, before anything is asked (`docendo pilot --dry-run`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from docendo.pilot.run import COUNT, small_plan
from docendo.solve.forecast import Forecast, Range, Row, forecast
from docendo.solve.plan import Settings
from docendo.solve.run import Source
from docendo.types import Problem


def outlook(
    problems: Source | None = None,
    *,
    exams: Source | None = None,
    config: str | Path | None = None,
    count: int = COUNT,
    reply_tokens: int | None = None,
    **settings: Any,
) -> Forecast:
    """Reckon what `pilot` would ask with the same arguments, its controls included.

    Raises:
        DataError, ConfigError: as for `pilot`.
    """
    plan = small_plan(problems, exams, config, count, settings)
    found = forecast(plan.chosen, plan.pool, plan.settings, reply_tokens=reply_tokens)
    # Controls are whole exams, however many questions the lessons' exams have.
    whole = replace(plan.settings, allocation="fixed")
    like = forecast(plan.chosen, plan.pool, whole, reply_tokens=reply_tokens)
    return replace(found, rows=[*found.rows, *_controls(like, plan.chosen, plan.settings)])


def _controls(found: Forecast, chosen: Sequence[Problem], settings: Settings) -> list[Row]:
    """The exams without a lesson and after the reference, each call taken to be as long as one after a lesson.

    Without a lesson it is shorter, and an exam problem that several taught ones share is asked once.
    """
    each = settings.exam_problems * settings.repeats
    referred = sum(1 for problem in chosen if problem.solution and problem.answer is not None)
    most = each * (len(chosen) + referred)
    calls = Range(min(most, found.exam_problems * settings.repeats + each * referred), most, most)
    return [
        Row(
            row.model,
            "control",
            calls,
            _scaled(row.prompt, row.calls, calls),
            _scaled(row.shared, row.calls, calls),
            _scaled(row.completion, row.calls, calls),
            None if row.money is None else _scaled(row.money, row.calls, calls),
        )
        for row in found.rows
        if row.purpose in ("exam", "likelihood")
    ]


def _scaled(amount: Range, calls: Range, wanted: Range) -> Range:
    """What `wanted` calls come to, where `calls` come to `amount`."""
    return Range(
        *(
            (part / of * want if of else 0.0)
            for part, of, want in (
                (amount.low, calls.low, wanted.low),
                (amount.likely, calls.likely, wanted.likely),
                (amount.high, calls.high, wanted.high),
            )
        )
    )
