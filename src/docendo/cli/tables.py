"""The tables at the end of a run, and what they say in words; every figure comes from a `Summary`.

Words are careful: an arm is said to beat another only where the whole interval of their difference is above
zero, and what is not known is said to be not known.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from docendo.cli.ink import FigureTable, dim
from docendo.cli.words import amount, listed, many, one_line, percent, points, span
from docendo.solve.arms import Table as Arms
from docendo.solve.spent import Bill
from docendo.solve.summary import Summary
from docendo.stats import FEW, Interval

_WIDE = 72  # columns that the whole tables need
_GROUP_ARMS = ("sc", "max", "sum", "oracle")
_MANY_CUT = 0.02  # share of replies cut by the token limit from which on that is more than a footnote
_FEW = "*"  # marks an interval that its note warns of


def show_summary(console: Console, summary: Summary) -> None:
    """All tables of a run that has a problem with a known answer, and what they say in words."""
    narrow = console.width < _WIDE
    tables = [arms_table(summary.overall, narrow=narrow)]
    if any(arm.s_score or arm.v_score for arm in summary.overall.arms.values()):
        tables.append(programs_table(summary.overall))
    if summary.overall.differences:
        tables.append(differences_table(summary.overall))
    if summary.groups:
        tables.append(groups_table(summary.groups, narrow=narrow))
    console.print(Text(_heading(summary), style="bold"))
    for table in tables:
        console.print()
        console.print(table, crop=False)
    console.print()
    for verdict in verdicts(summary):
        console.print(verdict)
    for line in (*state_lines(summary), *summary.exams_said(), *_notes(summary)):
        console.print(dim(line))


def arms_table(arms: Arms, *, narrow: bool = False) -> FigureTable:
    """One row an arm: accuracy, interval, tokens, and cost relative to self-consistency."""
    heads = ("accuracy", "95 % interval", "tokens")
    table = FigureTable("", *heads, *(["× sc"] if narrow else ["computed", "cost / sc"]))
    sc = arms.arms.get("sc")
    unit = sc.cost.cost if sc is not None else 0.0
    for name, arm in arms.arms.items():
        table.add_row(
            name,
            percent(arm.accuracy.mean),
            span(arm.accuracy) + _star(arm.accuracy),
            amount(arm.cost.tokens),
            *([] if narrow else [amount(arm.cost.computed)]),
            f"{arm.cost.cost / unit:.2f}" + ("" if narrow else " ×") if unit else "–",
        )
    return table


def programs_table(arms: Arms) -> FigureTable:
    """What the arms' programs pass: the mean shares of visible and of hidden tests, and how often all hidden ones."""
    table = FigureTable("programs", "V-score", "S-score", "95 % interval", "all passed")
    for name, arm in arms.arms.items():
        v, s = arm.v_score, arm.s_score
        table.add_row(
            name,
            "–" if v is None else percent(v.mean),
            *(("–", "–") if s is None else (percent(s.mean), span(s) + _star(s))),
            percent(arm.accuracy.mean),
        )
    return table


def differences_table(arms: Arms) -> FigureTable:
    """What the lesson arms gain on the baselines, in percentage points, over the same problems."""
    table = FigureTable("points gained", "", "95 % interval")
    for name, difference in arms.differences.items():
        table.add_row(name.replace("-", " − "), *_gain(difference))
    return table


def groups_table(groups: Mapping[str, Arms], *, narrow: bool = False) -> FigureTable:
    """Each group's accuracies, and what SUM gains on self-consistency there."""
    shown = [name for name in _GROUP_ARMS if any(name in g.arms for g in groups.values())]
    if narrow:
        shown = [name for name in shown if name in ("sc", "sum")]
    table = FigureTable("group", "n", *shown, "sum − sc", "95 % interval")
    for name, group in groups.items():
        shares = [percent(group.arms[arm].accuracy.mean) if arm in group.arms else "–" for arm in shown]
        gain = _gain(group.differences.get("sum-sc"))
        table.add_row(Text(one_line(name)), f"{group.problems:,}", *shares, *gain)
    return table


def verdicts(summary: Summary) -> list[Text]:
    """In words: whether SUM beat self-consistency, overall, on the groups, and at equal cost; and the AUC."""
    lines = []
    overall = summary.overall.differences.get("sum-sc")
    if overall is not None:
        lines.append(Text(f"SUM {_word(overall)} SC overall ({_figures(overall)}){_on_groups(summary)}."))
    equal = summary.overall.differences.get("sum-sc_equal_cost")
    if equal is not None:
        lines.append(Text(f"At equal cost, SUM {_word(equal)} SC ({_figures(equal)})."))
    if summary.auc is not None:
        chance = f"the right one has the higher LbT score with chance {summary.auc:.2f}"
        lines.append(Text(f"Of a right and a wrong lesson for one problem, {chance}."))
    return lines


def state_lines(summary: Summary) -> list[str]:
    """What must be seen besides the tables: replies that were cut or failed, caches, and how models were asked."""
    lines = []
    for who, states in (("teacher", summary.states), ("students", summary.exam_states)):
        if states.get("truncated", 0) or states.get("failed", 0):
            counts = ", ".join(f"{count:,} {state}" for state, count in states.items() if count)
            lines.append(f"Replies of the {who}: {counts}. Truncated and failed ones have no score.")
        if states.get("truncated", 0) > _MANY_CUT * sum(states.values()):
            share = percent(states["truncated"] / sum(states.values()))
            lines.append(
                f"{share} of the replies of the {who} were cut by the token limit: what is said above is of the "
                "others, which are the shorter ones. Raise --max-tokens (or max_tokens in the run file)."
            )
    lines += [one_line(line) for line in summary.failures_said()]
    lines += [
        f"{c.model} took {percent(c.cached / c.prompt)} of its prompt tokens from the server's cache, "
        f"{percent(c.reached)} of what prompts have in common."
        for c in summary.cache
    ]
    return lines + [one_line(f"Note: {note}") for note in summary.notes]


def stopped_lines(summary: Summary, folder: str) -> list[str]:
    """Why a run asked for no more, what that means for its problems, and how to go on."""
    if summary.stopped is None or summary.problems == summary.planned:
        return []
    cut = summary.cut_short
    left = summary.planned - summary.problems - cut
    parts = [f"{summary.problems:,} of {many(summary.planned, 'problem')} finished"]
    if cut:
        parts.append(f"{cut:,} cut short and answered from what there was, in no table")
    if left:
        parts.append(f"{left:,} without an answer")
    return [
        f"Stopped: {summary.stopped}; {', '.join(parts)}.",
        f"To go on: docendo solve --resume {folder} --budget LIMITS",
    ]


def show_bill(console: Console, bill: Bill) -> None:
    """What was paid by model and purpose; nothing for a run of built-in models alone, which cost no money."""
    if all(item.model.startswith("school:") for item in bill.items):
        return
    priced = bill.money is not None
    heads = ("calls", "sent", "cached", "written", *([bill.currency or ""] if priced else []))
    table = FigureTable("asked", "for", *heads, names=2)
    for item in bill.items:
        usage = item.usage
        written = amount(usage.completion)
        if usage.reasoning:
            written += f" ({amount(usage.reasoning)} hidden)"
        failed = f" ({item.failed:,} failed)" if item.failed else ""
        sums = ["–" if item.money is None else f"{item.money:.2f}"] if priced else []
        row = (f"{item.calls:,}{failed}", amount(usage.prompt), amount(usage.cached), written, *sums)
        table.add_row(Text(one_line(item.model)), item.purpose, *row)
    if priced:
        table.add_row("", "", "", "", "", "", f"{bill.money:.2f}")
    console.print()
    console.print(table, crop=False)
    if (unknown := bill.unknown()) is not None:
        console.print(dim(unknown))


def _heading(summary: Summary) -> str:
    judged, finished = summary.judged, summary.problems
    parts = [many(judged, "problem") + ("" if judged == finished else f" with known answers of {finished:,}")]
    if finished < summary.planned:
        parts.append(f"{summary.planned - finished:,} not finished yet")
    parts.append(f"{many(summary.samples, 'sample')}, {many(summary.lessons, 'different lesson')} examined")
    return ", ".join(parts)


def _gain(difference: Interval | None) -> tuple[Text, Text]:
    """A difference and its interval; green or red where the interval is all on one side of zero."""
    if difference is None:
        return Text("–"), Text("–")
    style = {"beat": "green", "lost to": "red"}.get(_word(difference), "")
    interval = span(difference, signed=True) + _star(difference)
    return Text(points(difference.mean), style=style), Text(interval, style=style)


def _word(difference: Interval) -> str:
    low, high = difference.low, difference.high
    if low is None or high is None:
        return "cannot be compared with"
    if low > 0:
        return "beat"
    if high < 0:
        return "lost to"
    return "did the same as" if low == high == 0 else "cannot be told from"


def _figures(difference: Interval) -> str:
    if difference.low is None:
        return f"{points(difference.mean)} points, {difference.note}"
    return (
        f"{points(difference.mean)} points, 95 % interval {span(difference, signed=True)}{_star(difference)}"
    )


def _on_groups(summary: Summary) -> str:
    by_word: dict[str, list[str]] = {}
    for name, group in summary.groups.items():
        if "sum-sc" in group.differences:
            by_word.setdefault(_word(group.differences["sum-sc"]), []).append(one_line(name))
    order = ("beat", "lost to", "did the same as", "cannot be told from", "cannot be compared with")
    said = [f"it {word} SC on {listed(by_word[word])}" for word in order if word in by_word]
    return "; " + "; ".join(said) if said else ""


def _star(interval: Interval) -> str:
    return _FEW if interval.note and interval.low is not None else ""


def _notes(summary: Summary) -> list[str]:
    """Each different warning of the intervals shown, once."""
    shown = [arm.accuracy for arm in summary.overall.arms.values()]
    shown += [arm.s_score for arm in summary.overall.arms.values() if arm.s_score is not None]
    for table in (summary.overall, *summary.groups.values()):
        shown += table.differences.values()
    starred = [i for i in shown if _star(i)]
    few = [
        f"{_FEW} {note}"
        for note in dict.fromkeys(i.note for i in starred if i.clusters >= FEW or i.low == i.high)
    ]
    small = sorted({i.clusters for i in starred if i.clusters < FEW and i.low != i.high})
    if small:
        counts = f"{small[0]}" if len(small) == 1 else f"{small[0]} to {small[-1]}"
        few.append(f"{_FEW} only {counts} clusters: the interval is too narrow")
    code = any(arm.s_score or arm.v_score for arm in summary.overall.arms.values())
    return [
        *few,
        *(
            ["V-score, S-score: share of visible and of hidden tests passed; no choice sees the latter."]
            * code
        ),
        "tokens: sent and written. computed: without what calls share. cost: computed × parameters.",
    ]
