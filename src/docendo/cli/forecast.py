"""What `docendo solve --dry-run` shows: a forecast as a table, and what it was reckoned from."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from docendo.cli.ink import FigureTable, dim
from docendo.cli.words import amount, listed, many, percent, plain
from docendo.solve.forecast import Forecast

_MUCH = 0.25  # share of samples for one more row of the table from which on a user may not want them


def forecast_table(found: Forecast) -> FigureTable:
    """One row a model and purpose with what is likely; then all of it, at least and at most."""
    priced = found.currency is not None
    heads = (
        "asked",
        "for",
        "calls",
        "tokens sent",
        "of these alike",
        "written",
        *([str(found.currency)] if priced else []),
    )
    table = FigureTable(*heads, names=2)
    for row in found.rows:
        amounts = (row.calls, row.prompt, row.shared, row.completion)
        sums = ["–" if row.money is None else f"{row.money.likely:.2f}"] if priced else []
        table.add_row(Text(plain(row.model)), row.purpose, *(amount(each.likely) for each in amounts), *sums)
    for name, end in (("likely", "all"), ("low", "at least"), ("high", "at most")):
        totals = [
            amount(getattr(found.total(what), name)) for what in ("calls", "prompt", "shared", "completion")
        ]
        sums = [f"{getattr(found.total('money'), name):.2f}"] if priced else []
        table.add_row("", end, *totals, *sums, style="bold" if name == "likely" else None)
    return table


def show_forecast(console: Console, found: Forecast) -> None:
    """The forecast of a run that solves problems, and what it was reckoned from."""
    counts = f"{many(found.problems, 'problem')}, {many(found.exam_problems, 'different exam problem')}"
    console.print(Text(f"{counts}; nothing was asked", style="bold"))
    console.print()
    console.print(forecast_table(found), crop=False)
    console.print()
    for line in _notes(found):
        console.print(dim(line))


def _share_of_more(found: Forecast) -> float:
    """The likely share that goes into samples for self-consistency at equal cost."""

    def likely(purposes: set[str]) -> float:
        rows = [row for row in found.rows if row.purpose in purposes]
        if found.currency is not None:
            return sum(row.money.likely for row in rows if row.money is not None)
        return sum(row.prompt.likely + row.completion.likely for row in rows)

    everything = likely({row.purpose for row in found.rows})
    return likely({"sc"}) / everything if everything else 0.0


def _notes(found: Forecast) -> list[str]:
    reply = found.reply
    notes = [
        f"A reply is taken to have {reply.likely:.0f} tokens ({found.reply_from}), at least {reply.low:.0f}, at most "
        f"{reply.high:.0f}.",
        "Identical lessons are examined once: the least is for one lesson a problem, what is likely for all different.",
        "Alike: what calls have in common, which a server with a prefix cache computes only once.",
    ]
    if found.exam_share is not None:
        source = "as on the built-in school's problems with 24 lessons; `docendo pilot` measures it on yours"
        notes.append(
            f"Exams are adaptive: likely {100 * found.exam_share:.0f} % of what whole ones ask ({source}), nothing "
            "where all lessons agree, and at most all of it."
        )
    more = _share_of_more(found)
    if more >= _MUCH:
        what = "money" if found.currency is not None else "tokens"
        notes.append(
            f"{percent(more)} of the {what} is for the further samples of sc_equal_cost (sc); --no-equal-cost "
            "leaves them out."
        )
    if found.guessed:
        notes.append(
            f"Tokens of {listed([plain(name) for name in found.guessed])} are guessed from characters."
        )
    if found.currency is None and found.guessed:
        notes.append(
            "No prices are known, so no money is forecast: say them in the run file (docs/budgets.md)."
        )
    return notes
