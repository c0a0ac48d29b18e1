"""The page's exploratory sections: rivals, the paper's insights, doubt, what scores say, and how much to ask.

Nothing here was declared beforehand, and every heading says so; what was is in `page`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docendo.report.numbers import NONE, count, tick, times
from docendo.stats import Interval
from docendo.study.analyse import Compared, Results
from docendo.study.words import (
    chance,
    compared,
    concluded,
    gain,
    insight_sentence,
    model,
    share,
    table,
)


def exploratory(results: Results, plots: Mapping[str, str]) -> list[str]:
    """The sections as Markdown; `plots` has each plot's Markdown by name."""
    return [
        *_rivals(results),
        *_insights(results, plots),
        *_doubt(results, plots),
        *_students(results, plots),
        *_effort(results, plots),
    ]


def _rivals(results: Results) -> list[str]:
    if not results.rivals:
        return []
    asks = "\n".join(f"- **{r.name}** (regime {r.regime}): {r.asks}" for r in results.rivals)
    main = results.rivals[0].main
    parts = [
        "## Exploratory: rivals for the same information",
        "Others that may use what the exam problems say. Regime A: golds only, as SUM has them. Regime B: worked "
        "solutions too, which SUM does not see; among these, likelihood exams are not sat but read. Each beside SUM "
        f"of the first run ({share(main)}), on the same problems.",
        _beside(results.rivals, regime=True),
        asks,
    ]
    best = max(
        (r for r in results.rivals if r.regime == "B"), key=lambda r: r.accuracy.mean or 0.0, default=None
    )
    if best is not None:
        parts.append(
            f"Of those in regime B the most accurate is {best.name}: "
            + compared(best.difference, "it", "SUM")
            + "."
        )
    return parts


def _beside(rows: Sequence[Compared], *, regime: bool = False) -> str:
    head = ("n", "accuracy", "less SUM", "less SC", "cost, SC = 1", "AUC within a problem")
    return table(
        ("", *(("regime",) if regime else ()), *head),
        [
            (
                row.name,
                *((row.regime,) if regime else ()),
                count(row.problems),
                share(row.accuracy),
                gain(row.difference),
                gain(row.gain),
                times(row.cost.cost / row.sc_cost.cost if row.sc_cost.cost else None),
                NONE
                if row.auc is None
                else f"{row.auc:.3f}"
                if row.ranking is None
                else chance(row.ranking.within),
            )
            for row in rows
        ],
    )


def _insights(results: Results, plots: Mapping[str, str]) -> list[str]:
    rows = [(insight.name, concluded(insight), insight_sentence(insight)) for insight in results.insights]
    parts = [
        "## Exploratory: the paper's insights",
        "Differences of SUM's accuracy in percentage points, with 95 % intervals: the same lessons of the first "
        "run, examined again with one thing changed. An insight is shown where all its intervals lie above zero.",
        table(("insight", "", "in words"), rows).replace("|---|---:|---:|", "|---|---|---|"),
    ]
    if results.conditions:
        asks = "\n".join(f"- **{c.name}**: {c.asks}" for c in results.conditions)
        main = results.conditions[0].main
        parts += [
            "### Every condition",
            f"SUM beside SUM of the first run ({share(main)}), on the problems that both have. Where a condition "
            "shows nothing of the lesson, or its answer alone, prompts coincide and are charged once a lesson: the "
            "cost of those rows is too high.",
            _beside(results.conditions),
            asks,
            plots.get("conditions", ""),
        ]
    return parts


def _doubt(results: Results, plots: Mapping[str, str]) -> list[str]:
    rows = [
        (f"{tick(d.low)} to {tick(d.high)}", count(d.problems), share(d.sc), share(d.sum), gain(d.gain))
        for d in results.doubt
        if d.problems
    ]
    return [
        "## Exploratory: gain against the teacher's doubt",
        "Problems by how large a share of the samples the most frequent answer has: the smaller, the more divided "
        "the teacher.",
        table(("share of the majority answer", "n", "SC", "SUM", "SUM − SC"), rows),
        plots.get("doubt", ""),
    ]


def _students(results: Results, plots: Mapping[str, str]) -> list[str]:
    rows = [
        (f"{model(f.student)}, main runs", *map(share, (f.right, f.reference, f.wrong)))
        for f in results.follow
    ]
    rows += [
        (f"{model(f.student)}, {c.name}", *map(share, (f.right, f.reference, f.wrong)))
        for c in results.conditions
        for f in c.follow
    ]
    bins = [
        (f"{b.low:.1f} to {b.high:.1f}", count(b.right.n), share(b.right))
        for b in results.calibration
        if b.right.n
    ]
    ranking = results.pooled.ranking
    return [
        "## Exploratory: what a score says of a lesson",
        f"AUC within a problem {chance(ranking.within)}; over lessons of all problems together "
        f"{chance(ranking.pooled)}.",
        "### Calibration",
        "Distinct lessons by LbT score, and how many of them have the right answer.",
        table(("LbT score", "lessons", "right"), bins),
        plots.get("scores", ""),
        plots.get("calibration", ""),
        "### Following",
        "The share of exam answers that are right, after lessons with a right answer, after those among them whose "
        "working is the reference solution (a right answer may come by a wrong way), and after lessons with a wrong "
        "answer.",
        table(("student, run", "after a right lesson", "after the reference", "after a wrong lesson"), rows),
    ]


def _effort(results: Results, plots: Mapping[str, str]) -> list[str]:
    sizes = [
        (
            f"{s.problems} × {s.repeats}",
            share(s.accuracy),
            gain(s.gain),
            NONE if s.auc is None else f"{s.auc:.3f}",
        )
        for s in results.exam_sizes
    ]
    lessons = [p for p in results.curves if p.arm in ("sc", "sum")]
    numbers = sorted({p.lessons for p in lessons if p.arm == "sum"})
    by = {(p.arm, p.lessons): p.accuracy for p in lessons}
    none = Interval(None, None, None, 0, 0)
    return [
        "## Exploratory: how much to ask",
        "### Size of the exam",
        "Smaller exams are parts of the recorded ones, and each figure is the mean over all such parts.",
        table(("problems × repeats", "SUM", "SUM − SC", "AUC within a problem"), sizes),
        "### Number of lessons",
        "Means over random subsets of the recorded samples.",
        table(
            ("lessons", "SC", "SUM"),
            [(str(n), share(by.get(("sc", n), none)), share(by.get(("sum", n), none))) for n in numbers],
        ),
        plots.get("by-lessons", ""),
        plots.get("by-cost", ""),
    ]
