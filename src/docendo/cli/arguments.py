"""What can be typed: the commands and their options. What they do is left to the modules beside this one.

Light on purpose: `docendo --help` and a mistyped option must answer at once, so nothing here imports numpy,
rich or the road. That is why the defaults of `Settings` stand here a second time, for the help alone: an
option that was not typed is not passed on. tests/cli hold the two together.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from docendo import __version__

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
    ("--exam-writer", "exam_writer", str, "MODEL", "", "the model that writes exams (default: the teacher)"),
    (
        "--gold-by",
        "gold_by",
        str,
        "WHO",
        "teacher",
        "who answers written exam problems for their golds: teacher, students or all",
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
        0.9,
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

_TEACHING = ("teacher", "lessons", "temperature", "self_debug")

_EXITS = (
    "Exit codes: 0 done, 1 another error, 2 bad input or option, 3 a model cannot be used, 4 a run folder "
    "cannot be read or written, 5 programs cannot be run in a sandbox here, 70 a fault in docendo, "
    "130 interrupted, 141 the output's reader went away."
)


class Parser(argparse.ArgumentParser):
    """An argument parser without abbreviations, which names the nearest option for one that is not known."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **arguments})
        self.commands: dict[str, Parser] = {}

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it, but an unknown option is the command's error and not the program's."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            command = self.commands.get(found.command or "", self)
            command.commands.get(getattr(found, "action", ""), command).refuse(rest)
        return found

    def refuse(self, rest: Sequence[str]) -> NoReturn:
        """Exit for arguments that are not known."""
        word = next((word for word in rest if word.startswith("-")), None)
        if word is None:
            self.error(f"too many arguments: {' '.join(rest)}")
        options = [option for action in self._actions for option in action.option_strings]
        self.error(f"no such option: {word}{_nearest(word.split('=')[0], options)}")

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, the message, and where help is; without argparse's long usage."""
        wrong = re.search(r"invalid choice: (.*?) \(choose", message)
        if wrong is not None and self.commands:
            word = wrong[1].strip("'\"")
            known = list(self.commands)
            message = f"no such command: {word}{_nearest(word, known) or '; there are ' + ', '.join(known)}"
        self.exit(2, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


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
    for add in (_solve, _score, _pilot, _report, _show, _data, _study):
        add(commands, top)
    return top


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


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _command(commands: Any, top: Parser, name: str, summary: str, **texts: str) -> Parser:
    command: Parser = commands.add_parser(name, help=summary, **texts)
    top.commands[name] = command
    return command


def _solve(commands: Any, top: Parser) -> None:
    command = _command(
        commands,
        top,
        "solve",
        "teach, examine, choose",
        description="Teach every problem, examine the lessons, choose the answers; show progress, and end "
        "with the tables and an HTML report. Without PROBLEMS: the built-in school.",
        epilog="A run that was cut goes on with --resume; nothing that was recorded is asked again.",
    )
    what = command.add_argument_group("what is solved")
    what.add_argument(
        "problems",
        nargs="?",
        metavar="PROBLEMS",
        help=f"a file of problems (.jsonl, .csv), READER:PATH, or school:NAME (default: {DEFAULT_PROBLEMS})",
    )
    _exams(what)
    what.add_argument("--limit", type=_positive, metavar="K", help="only the first K problems")
    what.add_argument(
        "--resume", metavar="RUN", help="go on with the run in this folder, by the settings it was made with"
    )
    what.add_argument(
        "--dry-run",
        action="store_true",
        help="say what the run would ask and cost, in calls, tokens and money; ask nothing and write nothing",
    )
    what.add_argument(
        "--reply-tokens",
        type=_positive,
        metavar="N",
        help="for --dry-run: how long a reply likely is (default: judged from the problems' solutions)",
    )
    _settings(command, skip=())
    _output(command, "solve")


def _pilot(commands: Any, top: Parser) -> None:
    command = _command(
        commands,
        top,
        "pilot",
        "try a few problems: would a full run be worth it",
        description="Try the settings of a full run on a few of its problems, with controls, and say: do the students "
        "follow lessons; does the teacher err in method or only slip; are the exams like the problems; what gain and "
        "what cost to expect; what to set. Options are those of the full run.",
        epilog="A pilot that was cut goes on with --resume; nothing that was recorded is asked again.",
    )
    what = command.add_argument_group("what is tried")
    what.add_argument(
        "problems",
        nargs="?",
        metavar="PROBLEMS",
        help=f"the full run's problems, as for solve (default: {DEFAULT_PROBLEMS})",
    )
    _exams(what)
    what.add_argument("--count", type=_positive, metavar="K", help="problems that are tried (default: 30)")
    what.add_argument("--resume", metavar="RUN", help="go on with the pilot in this folder")
    _settings(command, skip=("equal_cost",))
    _output(command, "pilot", report=False)


def _score(commands: Any, top: Parser) -> None:
    command = _command(
        commands,
        top,
        "score",
        "examine lessons that exist already",
        description="Examine explanations that exist already, show their LbT scores, and choose among them.",
        epilog="A run that was cut goes on with: docendo solve --resume RUN",
    )
    what = command.add_argument_group("what is scored")
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
    _exams(what)
    _settings(command, skip=_TEACHING)
    _output(command, "score")


def _report(commands: Any, top: Parser) -> None:
    command = _command(
        commands,
        top,
        "report",
        "remake a run's HTML report",
        description="Remake the HTML report of a run, finished or not, and show its tables.",
    )
    command.add_argument("run", metavar="RUN", help="the run's folder")
    command.add_argument(
        "--out", metavar="FILE", help="where to write the page (default: report.html in the folder)"
    )


def _show(commands: Any, top: Parser) -> None:
    command = _command(
        commands,
        top,
        "show",
        "tell the story of one problem",
        description="Without PROBLEM: list the problems of a run, most telling first. With it: the question, "
        "what each rule chose and why, the lessons with their LbT scores, and an exam, marked.",
    )
    command.add_argument("run", metavar="RUN", help="the run's folder")
    command.add_argument("problem", nargs="?", metavar="PROBLEM", help="a problem's id")
    command.add_argument("--all", action="store_true", help="show the exam of every lesson, not of one")


def _data(commands: Any, top: Parser) -> None:
    command = _command(
        commands,
        top,
        "data",
        "check a problem set, or write it in docendo's format",
        description="Look at problems before any model is asked, or rewrite them (docs/data.md).",
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = _command(
        actions,
        command,
        "check",
        "say what is missing in a problem set, and whether the grader accepts its golds",
        description="Read a whole problem set: name bad rows, count what is missing or said twice, and put every gold "
        "answer before the grader as a model would state it. The exit code is 2 where there are errors.",
    )
    check.add_argument("source", metavar="SOURCE", help="named like PROBLEMS of solve")
    check.add_argument(
        "--exams", metavar="SOURCE", help="where variants are looked for (default: in SOURCE itself)"
    )
    check.add_argument("--limit", type=_positive, metavar="K", help="only the first K problems")
    check.add_argument(
        "--long",
        type=_positive,
        metavar="N",
        default=8000,
        help="characters from which a question is over-long (default: 8000)",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    convert = _command(
        actions,
        command,
        "convert",
        "write a problem set in docendo's format",
        description="Write the problems of any source as docendo's own rows.",
    )
    convert.add_argument("source", metavar="SOURCE", help="named like PROBLEMS of solve")
    convert.add_argument("out", metavar="OUT", help="the file to make, ending in .jsonl or .jsonl.gz")
    convert.add_argument("--limit", type=_positive, metavar="K", help="only the first K problems")


def _study(commands: Any, top: Parser) -> None:
    command = _command(
        commands,
        top,
        "study",
        "run a study of the method, whole",
        description="Run a study that was declared beforehand (docs/study.md), every run of it, and write its page, "
        "plots and results. Only --quick works with what ships.",
        epilog="A study that was cut goes on with the same command; runs that are complete are kept.",
    )
    command.add_argument("study", metavar="STUDY", choices=("m1", "code"), help="which study: m1 or code")
    command.add_argument(
        "--quick",
        action="store_true",
        help="a slice in some minutes: the shipped models, numbers kept for tuning, no claim",
    )
    command.add_argument(
        "--schooling",
        metavar="DIR",
        default="runs/schooling",
        help="where the study's own teachers are (default: runs/schooling)",
    )
    command.add_argument(
        "--out",
        metavar="DIR",
        help="the study's folder, new, empty, or to be gone on with (default: runs/study-STUDY, with --quick "
        "runs/study-STUDY-quick)",
    )
    command.add_argument("--page", metavar="DIR", help="write the page and its plots here as well")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def _exams(group: Any) -> None:
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


def _settings(command: Parser, skip: Sequence[str]) -> None:
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
        shown = _TOLD.get(field) or (next(iter(default), "none") if isinstance(default, tuple) else default)
        group.add_argument(
            option,
            dest=field,
            type=kind,
            metavar=placeholder,
            action="append" if isinstance(default, tuple) else "store",
            help=f"{text} (default: {shown})",
        )
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


def _output(command: Parser, name: str, *, report: bool = True) -> None:
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


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small, it must be at least 1")
    return number


_positive.__name__ = "int"  # argparse puts it into "invalid int value"
