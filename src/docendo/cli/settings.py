"""The settings of a run as options, and what was typed of them.

The defaults of `Settings` stand here a second time, for the help alone, so that `docendo --help` need not import the
road: an option that was not typed is not passed on. tests/cli hold the two together.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from docendo.cli.parser import Parser

DEFAULT_PROBLEMS = "school:m1"
# The school's domains: problems, teacher and student where none is named.
DOMAINS = {
    "arithmetic": (DEFAULT_PROBLEMS, "school:teacher", "school:student"),
    "code": ("school:code", "school:code-teacher", "school:code-student"),
}

# (option, field of Settings, type, placeholder, default, help)
SETTINGS: tuple[tuple[str, str, type, str, Any, str], ...] = (
    ("--teacher", "teacher", str, "MODEL", "school:teacher", "the model that teaches, KIND:NAME"),
    (
        "--student",
        "students",
        str,
        "MODEL",
        ("school:student",),
        "a model that takes the exams; repeat for several",
    ),
    ("--lessons", "lessons", int, "N", 24, "the teacher's samples a problem"),
    ("--exam-problems", "exam_problems", int, "N", 3, "problems an exam"),
    (
        "--exam-select",
        "exam_select",
        str,
        "WAY",
        "auto",
        "how exam problems are found: variants, nearest, metadata, fixed, written, or auto (variants, else nearest)",
    ),
    (
        "--exam-rule",
        "exam_rule",
        str,
        "RULE",
        "",
        "which problems may be in an exam, such as 'subject = taught, level <= taught'",
    ),
    ("--exam-id", "exam_ids", str, "ID", (), "a problem of fixed exams; repeat for several"),
    (
        "--exam-index",
        "exam_index",
        str,
        "INDEX",
        "lexical",
        "what nearest goes by: lexical, or embed:MODEL (extra embed)",
    ),
    (
        "--exam-writer",
        "exam_writer",
        str,
        "MODEL",
        "",
        "the model that writes exams, of the run's or another (default: the teacher)",
    ),
    (
        "--gold-by",
        "gold_by",
        str,
        "WHO",
        "teacher",
        "who answers written exam problems for their golds: teacher, students, all, or models, with commas between",
    ),
    ("--gold-samples", "gold_samples", int, "N", 8, "times each of them answers each written problem"),
    (
        "--gold-agreement",
        "gold_agreement",
        float,
        "SHARE",
        0.7,
        "the share of these answers that must agree for one to be the gold",
    ),
    ("--repeats", "repeats", int, "N", 3, "times each student is asked each exam problem"),
    (
        "--exam-score",
        "exam_score",
        str,
        "WAY",
        "answers",
        "what students are asked: answers, or the likelihood of worked solutions",
    ),
    (
        "--pooling",
        "pooling",
        str,
        "WAY",
        "mean",
        "of several students: their mean, or weighed by what each one's answers tell",
    ),
    (
        "--allocation",
        "allocation",
        str,
        "WAY",
        "fixed",
        "fixed: every exam question after every lesson; adaptive: only while the choice is open",
    ),
    (
        "--certainty",
        "certainty",
        float,
        "P",
        0.95,
        "of the choice, at which an adaptive exam stops; 1: no doubt",
    ),
    ("--settle", "settle", str, "RULE", "sum", "the rule whose choice an adaptive exam settles: sum or max"),
    ("--temperature", "temperature", float, "T", 0.7, "of the teacher's samples"),
    ("--student-temperature", "student_temperature", float, "T", 0.7, "of the students' answers"),
    ("--top-p", "top_p", float, "P", 1.0, "nucleus sampling; 1 switches it off"),
    ("--top-k", "top_k", int, "K", 0, "draw among the K likeliest tokens; 0 switches it off"),
    ("--max-tokens", "max_tokens", int, "N", None, "longest reply"),
    (
        "--prompts",
        "prompts",
        str,
        "STYLE",
        "auto",
        "auto, school, chat, completion, or a folder with teach.j2 and examine.j2",
    ),
    ("--parallel", "parallel", int, "N", 8, "problems under way at once"),
    ("--seed", "seed", int, "N", 0, "fixes every draw of the run"),
    ("--sandbox", "sandbox", str, "NAME", "auto", "where programs run: auto, bubblewrap, docker or podman"),
    (
        "--budget",
        "budget",
        str,
        "LIMITS",
        "",
        'stop asking at a limit, such as "5 USD", "2M tokens", "10k calls", "30 min", or several with commas between',
    ),
)
_TOLD = {
    "exam_rule": "all",
    "max_tokens": "128 for the school's models, 2048 for others",
    "budget": "none",
}
"""Defaults that the help puts into words."""


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were typed, by field of `Settings`."""
    names = [*(setting[1] for setting in SETTINGS), "base_url", "equal_cost", "self_debug"]
    typed = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in typed.items() if value is not None}


def in_domain(domain: str, problems: str | None, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Problems and settings, those that were not typed being the domain's own."""
    own, teacher, student = DOMAINS[domain]
    return problems or own, {"teacher": teacher, "students": [student], **settings}


def option_of(field: str) -> str:
    """How a setting is typed."""
    others = {"base_url": "--base-url", "equal_cost": "--no-equal-cost", "self_debug": "--self-debug"}
    return others.get(field) or next(setting[0] for setting in SETTINGS if setting[1] == field)


def exams(group: Any) -> None:
    """Add where exam problems come from."""
    group.add_argument(
        "--domain",
        choices=tuple(DOMAINS),
        help="of the built-in school: which problems and models are meant where none are named "
        "(default: arithmetic)",
    )
    group.add_argument(
        "--exams",
        metavar="SOURCE",
        help="where exam problems come from, named like PROBLEMS (default: the school's own pool; for others, "
        "the problems themselves)",
    )


def settings(command: Parser, skip: Sequence[str], told: Mapping[str, str] | None = None) -> None:
    """Add the options of `Settings`, but for the fields to skip; `told` has defaults that are other ones here."""
    group = command.add_argument_group("settings")
    group.add_argument(
        "--config", metavar="FILE", help="a TOML file of models and settings; options typed here beat it"
    )
    group.add_argument(
        "--base-url", metavar="URL", help="where the openai: and azure: models are served, with its /v1"
    )
    for option, field, kind, placeholder, default, text in SETTINGS:
        if field in skip:
            continue
        shown = {**_TOLD, **(told or {})}.get(field) or (
            next(iter(default), "none") if isinstance(default, tuple) else default
        )
        group.add_argument(
            option,
            dest=field,
            type=kind,
            metavar=placeholder,
            action="append" if isinstance(default, tuple) else "store",
            help=text if shown == "" else f"{text} (default: {shown})",  # else the text says it itself
        )
    if "sandbox" not in skip:
        group.add_argument(
            "--run-untrusted-code-without-sandbox",
            dest="sandbox",
            action="store_const",
            const="run-untrusted-code-without-sandbox",
            help="let programs that models write do whatever this user may (docs/sandbox.md)",
        )
    if "self_debug" not in skip:
        group.add_argument(
            "--self-debug",
            action="store_true",
            default=None,
            help="show each program that fails a visible test back to the teacher, once, to be revised (docs/code.md)",
        )
    if not skip:
        group.add_argument(
            "--no-equal-cost",
            dest="equal_cost",
            action="store_false",
            default=None,
            help="leave out the further samples that give self-consistency the cost of the exams",
        )


def output(command: Parser, name: str, *, report: bool = True) -> None:
    """Add where a run goes and what is shown of it."""
    group = command.add_argument_group("output")
    group.add_argument(
        "--out", metavar="DIR", help=f"the run's folder, new or empty (default: runs/{name}-DATE-TIME)"
    )
    group.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout and nothing else there"
    )
    group.add_argument("--quiet", action="store_true", help="show no progress")
    if report:
        group.add_argument("--no-report", action="store_true", help="write no HTML report")
