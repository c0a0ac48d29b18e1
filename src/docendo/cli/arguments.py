"""What can be typed: the commands and their options. What they do is left to the modules beside this one.

Light on purpose: `docendo --help` and a mistyped option must answer at once, so nothing here imports numpy,
rich or the road. The options that every run has are `settings`'.
"""

from __future__ import annotations

import argparse
from typing import Any

from docendo import __version__
from docendo.cli import refining, tuning
from docendo.cli.parser import Parser, command, positive
from docendo.cli.settings import DEFAULT_PROBLEMS, exams, output, settings

_TEACHING = ("teacher", "lessons", "temperature", "self_debug")

_EXITS = (
    "Exit codes: 0 done, 1 another error, 2 bad input or option, 3 a model cannot be used, 4 a run folder "
    "cannot be read or written, 5 programs cannot be run in a sandbox here, 70 a fault in docendo, "
    "130 interrupted, 141 the output's reader went away, 143 ended by SIGTERM."
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(
        prog="docendo",
        description="Make a language model reason better by having it teach: its explanations are scored by "
        "what students can do after reading them, and the scores choose its answers.",
        epilog=_EXITS,
    )
    top.add_argument(
        "--version", action="version", version=f"docendo {__version__}", help="print the version"
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for add in (_solve, _score, _pilot, tuning.add, refining.add, _report, _show, _prompts, _data, _study):
        add(commands, top)
    return top


def _solve(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "solve",
        "teach, examine, choose",
        description="Teach every problem, examine the lessons, choose the answers; show progress, and end "
        "with the tables and an HTML report. Without PROBLEMS: the built-in school.",
        epilog="A run that was cut goes on with --resume; nothing that was recorded is asked again.",
    )
    what = added.add_argument_group("what is solved")
    what.add_argument(
        "problems",
        nargs="?",
        metavar="PROBLEMS",
        help=f"a file of problems (.jsonl, .csv), READER:PATH, or school:NAME (default: {DEFAULT_PROBLEMS})",
    )
    exams(what)
    what.add_argument("--limit", type=positive, metavar="K", help="only the first K problems")
    what.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with the run in this folder, by the settings it was made with; --base-url and --config say where "
        "models are now, --budget and --parallel may be others",
    )
    _dry_run(what, "run")
    settings(added, skip=())
    output(added, "solve")


def _dry_run(what: Any, name: str) -> None:
    what.add_argument(
        "--dry-run",
        action="store_true",
        help=f"say what the {name} would ask and cost, in calls, tokens and money; ask nothing and write nothing",
    )
    what.add_argument(
        "--reply-tokens",
        type=positive,
        metavar="N",
        help="for --dry-run: how long a reply likely is (default: judged from the problems' solutions)",
    )


def _pilot(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "pilot",
        "try a few problems: would a full run be worth it",
        description="Try the settings of a full run on a few of its problems, with controls, and say: do the students "
        "follow lessons; does the teacher err in method or only slip; are the exams like the problems; what gain and "
        "what cost to expect; what to set. Options are those of the full run.",
        epilog="A pilot that was cut goes on with --resume; nothing that was recorded is asked again.",
    )
    what = added.add_argument_group("what is tried")
    what.add_argument(
        "problems",
        nargs="?",
        metavar="PROBLEMS",
        help=f"the full run's problems, as for solve (default: {DEFAULT_PROBLEMS})",
    )
    exams(what)
    what.add_argument("--count", type=positive, metavar="K", help="problems that are tried (default: 30)")
    what.add_argument(
        "--resume", metavar="RUN", help="go on with the pilot in this folder, as solve --resume does"
    )
    _dry_run(what, "pilot")
    settings(added, skip=("equal_cost",))
    output(added, "pilot", report=False)


def _score(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "score",
        "examine lessons that exist already",
        description="Examine explanations that exist already, show their LbT scores, and choose among them.",
        epilog="A run that was cut goes on with: docendo solve --resume RUN",
    )
    what = added.add_argument_group("what is scored")
    what.add_argument(
        "lessons_file",
        metavar="LESSONS",
        help="a .jsonl file, each line with a question, a rationale and an answer",
    )
    what.add_argument(
        "--problems",
        metavar="SOURCE",
        help="the problems that the lessons are about, named like PROBLEMS of solve "
        f"(default: {DEFAULT_PROBLEMS})",
    )
    exams(what)
    settings(added, skip=_TEACHING)
    output(added, "score")


def _report(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "report",
        "remake a run's HTML report",
        description="Remake the HTML report of a run, finished or not, and show its tables.",
    )
    added.add_argument("run", metavar="RUN", help="the run's folder")
    added.add_argument(
        "--out", metavar="FILE", help="where to write the page (default: report.html in the folder)"
    )


def _show(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "show",
        "tell the story of one problem",
        description="Without PROBLEM: list the problems of a run, most telling first. With it: the question, "
        "what each rule chose and why, the lessons with their LbT scores, and an exam, marked. Of a run that refines: "
        "its rounds, and with the name of a set such as 2.3 in place of PROBLEM where that comes from.",
    )
    added.add_argument("run", metavar="RUN", help="the run's folder")
    added.add_argument("problem", nargs="?", metavar="PROBLEM", help="a problem's id, or a set's name")
    added.add_argument("--all", action="store_true", help="show the exam of every lesson, not of one")


def _prompts(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "prompts",
        "list, show or copy what models are asked",
        description="Without STYLE: list the prompt styles that ship. With it: show what a teacher and a student are "
        "asked in that style, or copy its templates into a folder, to be changed there and used with --prompts.",
    )
    added.add_argument(
        "style", nargs="?", metavar="STYLE", help="school, chat, completion, or a folder of yours"
    )
    added.add_argument("--copy", metavar="DIR", help="copy the templates into this folder, new or empty")
    added.add_argument(
        "--problems",
        metavar="SOURCE",
        default=DEFAULT_PROBLEMS,
        help=f"the problems to show it on, named like PROBLEMS of solve (default: {DEFAULT_PROBLEMS})",
    )


def _data(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "data",
        "check a problem set, or write it in docendo's format",
        description="Look at problems before any model is asked, or rewrite them (docs/data.md).",
    )
    actions = added.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = command(
        actions,
        added,
        "check",
        "say what is missing in a problem set, and whether the grader accepts its golds",
        description="Read a whole problem set: name bad rows, count what is missing or said twice, and put every gold "
        "answer before the grader as a model would state it. The exit code is 2 where there are errors.",
    )
    check.add_argument("source", metavar="SOURCE", help="named like PROBLEMS of solve")
    check.add_argument(
        "--exams", metavar="SOURCE", help="where variants are looked for (default: in SOURCE itself)"
    )
    check.add_argument("--limit", type=positive, metavar="K", help="only the first K problems")
    check.add_argument(
        "--long",
        type=positive,
        metavar="N",
        default=8000,
        help="characters from which a question is over-long (default: 8000)",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    convert = command(
        actions,
        added,
        "convert",
        "write a problem set in docendo's format",
        description="Write the problems of any source as docendo's own rows.",
    )
    convert.add_argument("source", metavar="SOURCE", help="named like PROBLEMS of solve")
    convert.add_argument("out", metavar="OUT", help="the file to make, ending in .jsonl or .jsonl.gz")
    convert.add_argument("--limit", type=positive, metavar="K", help="only the first K problems")


def _study(commands: Any, top: Parser) -> None:
    added = command(
        commands,
        top,
        "study",
        "run a study of the method, whole",
        description="Run a study that was declared beforehand (docs/study.md), every run of it, and write its page, "
        "plots and results. m2, m3, and any with --quick, work with what ships; m2 needs the extra train.",
        epilog="A study that was cut goes on with the same command; runs that are complete are kept.",
    )
    added.add_argument(
        "study",
        metavar="STUDY",
        choices=("m1", "code", "m2", "m3"),
        help="which study: m1, code, m2 (tuning) or m3 (refining)",
    )
    added.add_argument(
        "--quick",
        action="store_true",
        help="a slice in some minutes: the shipped models, numbers kept for tuning, no claim",
    )
    added.add_argument(
        "--schooling",
        metavar="DIR",
        default="runs/schooling",
        help="where the own teachers of m1 and code are (default: runs/schooling)",
    )
    added.add_argument(
        "--out",
        metavar="DIR",
        help="the study's folder, new, empty, or to be gone on with (default: runs/study-STUDY, with --quick "
        "runs/study-STUDY-quick)",
    )
    added.add_argument("--page", metavar="DIR", help="write the page and its plots here as well")
    added.add_argument("--quiet", action="store_true", help="show no progress")
