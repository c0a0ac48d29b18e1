"""The page of the study of M3: no sentence with a figure is written by hand, whichever way the figures fall."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from docendo.report.numbers import count
from docendo.report.svg import linear, path, tag, ticks
from docendo.stats import Interval
from docendo.study.figures import alone
from docendo.study.m3.analyse import CONTROLS, MEASURES, Line, Results
from docendo.study.m3.plan import ANALYSIS, EXPECTATIONS, Expectation, Plan
from docendo.study.words import compared, gain, sentence, share, table, verdict

NAME = "study-m3"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 620, 330, 46, 190, 14, 44
# The colours of the study's other plots, by arm.
_CLASSES = ("sum", "avg", "right", "max", "sc")


def write_page(plan: Plan, results: Results, folder: str | Path) -> Path:
    """Write the page, its plot and, beside them, every figure as JSON; returns the page's path."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawing = folder / f"{NAME}-rounds.svg"
    drawing.write_text(_plot(results), encoding="utf-8")
    page = folder / f"{NAME}.md"
    page.write_text("\n\n".join(_page(plan, results, drawing.name)) + "\n", encoding="utf-8")
    return page


def write_results(results: Results, path: Path) -> None:
    """Every figure, as JSON."""
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


def headlines(plan: Plan, results: Results) -> list[str]:
    """What the study found, in a few lines."""
    main = _main(plan, results)
    lines = [f"Primary: {_primary(results.primary)}"]
    for line in results.lines:
        rounds = line.rounds["F1"]
        lines.append(
            f"{line.arm}, read by {line.reader}: F1 {share(rounds[0])} in round 0, {share(rounds[-1])} in the last"
        )
    lines.append(f"Without examples the students have F1 {share(main.controls['none']['F1'])}.")
    return [line.replace("\\*", "*") for line in lines]  # the star of few tasks, which Markdown wants escaped


def _page(plan: Plan, results: Results, drawing: str) -> list[str]:
    return [
        f"# {plan.title}",
        "This page was written by `docendo study m3`; [study.md](study.md) says how the study is run, and "
        "[schoolhouse.md](schoolhouse.md#verbal) what its tasks and models are.",
        *(
            [
                "A quick slice on tasks that settings were chosen on: it shows how the study works and claims nothing."
            ]
            if plan.quick
            else []
        ),
        "## What was found",
        sentence(_primary(results.primary)) + f" Verdict: {verdict(results.primary)}.",
        *_expected(plan, results),
        "## By round",
        f"![F1 by round]({drawing})",
        "F1 of “yes” and accuracy on the test problems with each round's best set so far, all tasks and seeds "
        "together, with 95 % intervals over tasks. Readers are an arm's own students, or the teacher.",
        *(_by_round(results, measure) for measure in MEASURES),
        "## Beside random search and the other arms",
        "The first arm's last round, less the other's last round, with the readers that both have.",
        _against(results),
        *_equal(results),
        "## Controls",
        "The same readers without any examples (which the students never read, so that this measures surprise); with "
        "the last round's best set, its labels turned round; and told, with training problems and their true workings, "
        "which is the most that a set can do.",
        _controls(results),
        "## Exploratory: how well the teacher was taught the task",
        "The primary comparison among the tasks that schooling showed the teacher often (head), a little (middle), "
        "hardly (tail) or never (untaught).",
        table(
            ("group", "tasks", "F1, last round − round 0"),
            [(name, count(tasks), gain(found)) for name, (tasks, found) in results.groups.items()],
        ),
        "## What was asked",
        _spent(results),
        "## How it was done",
        "\n".join(f"- {line}" for line in [*_arms(plan), *ANALYSIS]),
    ]


def _primary(found: Interval) -> str:
    return compared(found, "students' F1 in the last round", "their F1 in round 0")


def _main(plan: Plan, results: Results) -> Line:
    return next(line for line in results.lines if (line.arm, line.reader) == (plan.arms[0].name, "students"))


def _expected(plan: Plan, results: Results) -> list[str]:
    if plan.quick:
        return []
    low = results.primary.low
    measured = {
        "primary": results.primary,
        "primary, lowest": replace(results.primary, mean=low, low=None, high=None),
    }
    measured |= {f"{d.one} − {d.other}": d.by["F1"] for d in results.differences}
    rows = [(e.says, gain(measured.get(e.measure)), _met(e, measured.get(e.measure))) for e in EXPECTATIONS]
    return ["Declared beforehand:", table(("expected", "found, points of F1", ""), rows)]


def _met(expectation: Expectation, found: Interval | None) -> str:
    """Whether the figure is above the bar; and whether its interval is, where it has one."""
    if found is None or found.mean is None or found.mean <= expectation.above:
        return "not met"
    sure = found.low is None or found.low > expectation.above
    return "met" if sure else "met in the mean, but not shown"


def _by_round(results: Results, measure: str) -> str:
    head = (measure, *(f"round {n}" for n in range(len(results.lines[0].rounds[measure]))), "last − first")
    return table(
        head,
        [
            (
                f"{line.arm}, read by {line.reader}",
                *map(share, line.rounds[measure]),
                gain(line.change[measure]),
            )
            for line in results.lines
        ],
    )


def _against(results: Results) -> str:
    return table(
        ("difference, points", *MEASURES),
        [
            (f"{d.one} − {d.other}", *(gain(d.by[measure]) for measure in MEASURES))
            for d in results.differences
        ],
    )


def _equal(results: Results) -> list[str]:
    found = results.equal
    if found is None:
        return []
    return [
        "Random search was declared with as many calls as the first arm would ask at most, and asked more than it "
        "did, as sets that lose early are asked little. Exploratory, decided after the test: the first arm's last "
        f"round ({found.first:.0f} calls a walk without read-outs) less random search's round {found.round}, until "
        f"which that had asked {found.calls:.0f}: {gain(found.by['F1'])} points of F1, "
        f"{gain(found.by['accuracy'])} of accuracy."
    ]


def _controls(results: Results) -> str:
    return table(
        ("readers", *(f"{name}: {measure}" for name in CONTROLS for measure in MEASURES)),
        [
            (
                f"{line.arm}, read by {line.reader}",
                *(share(line.controls[name][measure]) for name in CONTROLS for measure in MEASURES),
            )
            for line in results.lines
        ],
    )


def _spent(results: Results) -> str:
    purposes = sorted({purpose for spent in results.spent for purpose in spent.calls})
    return "\n\n".join(
        [
            "Calls a walk, and the walks that ended with another set than the best of round 0:",
            table(
                ("arm", *purposes, "another set"),
                [
                    (s.arm, *(f"{s.calls.get(p, 0):.0f}" for p in purposes), f"{100 * s.changed:.0f} %")
                    for s in results.spent
                ],
            ),
            "Replies of the teacher that made no set: "
            + (
                "; ".join(
                    f"{s.arm}: " + ", ".join(f"{n} {reason}" for reason, n in sorted(s.rejected.items()))
                    for s in results.spent
                    if s.rejected
                )
                or "none"
            )
            + ".",
        ]
    )


def _arms(plan: Plan) -> list[str]:
    return [
        f"Arm *{arm.name}*: {arm.says} (search `{arm.search}`"
        + "".join(f", {name} {value}" for name, value in arm.settings.items())
        + ")."
        for arm in plan.arms
    ] + [
        f"Tasks: {len(plan.tasks)} of the verbal world, each with a hidden rule; seeds: "
        f"{', '.join(map(str, plan.seeds))}; {plan.validation} validation and {plan.test} test problems a task.",
        "Settings: " + ", ".join(f"{name} {value}" for name, value in plan.settings.items()) + ".",
    ]


def _plot(results: Results) -> str:
    """F1 by round: a line an arm, read by its own students or, where it has none, by the teacher."""
    lines = {line.arm: line for line in reversed(results.lines)}
    lines = {arm: lines[arm] for arm in dict.fromkeys(line.arm for line in results.lines)}
    ends = [
        v for x in lines.values() for i in x.rounds["F1"] for v in (i.low, i.mean, i.high) if v is not None
    ]
    marks = ticks(min(ends), max(ends))
    y = linear(marks[0], marks[-1], _HEIGHT - _BOTTOM, _TOP)
    last = len(results.lines[0].rounds["F1"]) - 1
    x = linear(0, max(last, 1), _LEFT, _WIDTH - _RIGHT)
    shapes = [tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(m), y2=y(m), class_="grid") for m in marks]
    shapes += [tag("text", f"{100 * m:.0f}%", x=_LEFT - 7, y=y(m) + 4, class_="end") for m in marks]
    shapes += [
        tag("text", str(n), x=x(n), y=_HEIGHT - _BOTTOM + 18, class_="middle") for n in range(last + 1)
    ]
    shapes.append(tag("text", "round", x=(_LEFT + _WIDTH - _RIGHT) / 2, y=_HEIGHT - 6, class_="middle"))
    names: list[tuple[float, str, str]] = []
    for kind, (arm, line) in zip(_CLASSES, lines.items(), strict=False):
        found = line.rounds["F1"]
        xs, ys = [x(n) for n in range(last + 1)], [y(i.mean or 0) for i in found]
        lows, highs = [y(i.low or 0) for i in found], [y(i.high or 0) for i in found]
        shapes.append(
            tag("path", d=path([*xs, *xs[::-1]], [*highs, *lows[::-1]]) + "Z", class_=f"band {kind}")
        )
        shapes.append(tag("path", d=path(xs, ys), class_=f"line {kind}"))
        shapes += [tag("circle", tag("title", f"{arm}: {share(i)}"), cx=px, cy=py, r=3, class_=f"dot {kind}")
                   for i, px, py in zip(found, xs, ys, strict=True)]  # fmt: skip
        names.append((ys[-1], arm, kind))
    floor = 0.0
    for at, arm, kind in sorted(names):
        floor = max(at, floor + 16)
        shapes.append(tag("text", arm, x=x(last) + 10, y=floor + 4, class_=f"name {kind}"))
    return alone(tag("svg", *shapes, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img"))
