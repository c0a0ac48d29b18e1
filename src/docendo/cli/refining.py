"""The options of `docendo refine`.

The defaults of `Refining` stand here a second time, for the help alone, as those of `Settings` do in `settings`.
"""

from __future__ import annotations

import argparse
from typing import Any

from docendo.cli.parser import Parser, command, positive
from docendo.cli.settings import SETTINGS, output, settings

# (option, field of Refining, type, placeholder, default, help)
REFINING: tuple[tuple[str, str, type, str, Any, str], ...] = (
    ("--examples", "examples", int, "K", 8, "examples a set"),
    ("--rounds", "rounds", int, "N", 5, "most rounds after round 0, in which the starting sets are examined"),
    ("--beam", "beam", int, "N", 4, "sets that go on from each round"),
    ("--minibatch", "minibatch", int, "N", 64, "exam problems a round"),
    (
        "--reflections",
        "reflections",
        int,
        "N",
        4,
        "samples of failures that are read, for each set of the beam",
    ),
    ("--rewrites", "rewrites", int, "N", 1, "new sets for each of these"),
    ("--failures", "failures", int, "N", 4, "failures in each sample"),
    ("--mix", "mix", int, "N", 1, "reflections that are given together to whoever rewrites a set"),
    (
        "--search",
        "search",
        str,
        "WAY",
        "reflect",
        "where new sets come from: reflect (on failures, then rewrite), rewrite (straight from failures), propose "
        "(without failures: results only select), sample (drawn from training problems, selected likewise), or random "
        "(drawn, each asked the whole of validation)",
    ),
    (
        "--candidates",
        "candidates",
        int,
        "N",
        0,
        "new sets a round of propose, sample and random; 0: as many as reflect has, or as ask for as many calls",
    ),
    (
        "--start",
        "start",
        str,
        "WHAT",
        "teacher",
        "the starting sets: written by the teacher, drawn from training problems (train), or a file of lessons",
    ),
    ("--starts", "starts", int, "N", 0, "starting sets; 0: as many as the beam holds"),
    ("--shown", "shown", int, "N", 4, "training problems that the teacher is shown when it proposes a set"),
    (
        "--rationales",
        "rationales",
        str,
        "WHOSE",
        "given",
        "what drawn examples explain: given (the problems' solutions), or teacher (which works them, and is right)",
    ),
    ("--judge", "judge", str, "WHO", "students", "whose answers score a set: students, teacher or both"),
    (
        "--scoring",
        "scoring",
        str,
        "WAY",
        "halving",
        "halving: all new sets a few problems, the better half more; all: all of them all",
    ),
    ("--repeats", "repeats", int, "N", 1, "times each model is asked each problem"),
    (
        "--positive",
        "positive",
        str,
        "LABEL",
        "",
        "the label that F1 is of, where there are two (default: the second)",
    ),
    (
        "--patience",
        "patience",
        int,
        "N",
        0,
        "stop after so many rounds without a significant gain on validation; 0: never",
    ),
    (
        "--writing-tokens",
        "writing_tokens",
        int,
        "N",
        0,
        "the longest set or reflection; 0: 512 for the school's models, 4096 for others",
    ),
)
SWITCHES = (
    ("--unbalanced", "balanced", "take sets with too much of one label, too"),
    ("--no-bare", "bare", "do not ask the test problems without examples"),
)
_TASK = ("validation", "test", "instruction")
_ASKED = (
    "teacher",
    "students",
    "temperature",
    "student_temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "prompts",
    "seed",
    "budget",
)
_SIZES: tuple[tuple[str, str, type, str, str], ...] = (
    (
        "--validation-share",
        "validation_share",
        float,
        "SHARE",
        "of the problems without a source of their own, for validation",
    ),
    (
        "--test-share",
        "test_share",
        float,
        "SHARE",
        "of the problems without a source of their own, for the test",
    ),
    (
        "--pool-share",
        "pool_share",
        float,
        "SHARE",
        "of the training problems, those that examples may be drawn from",
    ),
    ("--validation-size", "validation_size", int, "N", "most validation problems; 0: no limit"),
    ("--test-size", "test_size", int, "N", "most test problems; 0: no limit"),
)


def add(commands: Any, top: Parser) -> None:
    """Add the command."""
    added = command(
        commands,
        top,
        "refine",
        "improve a set of examples by reading where students fail",
        description="Improve the examples that a task is taught by: students are examined after each set, the teacher "
        "reads what they get wrong and writes better sets, and the best go on. Chosen on validation problems, read "
        "out on test problems (docs/refine.md).",
        epilog="A run that was cut goes on with --resume; nothing that was recorded is asked again.",
    )
    what = added.add_argument_group("what is learnt")
    what.add_argument(
        "train",
        nargs="?",
        metavar="TASK",
        help="problems with answers: a file, or READER:PATH such as liar:train.jsonl (default: a task of the built-in "
        "school, with its models)",
    )
    what.add_argument(
        "--validation", metavar="SOURCE", help="what sets are chosen on (default: a share of TASK)"
    )
    what.add_argument(
        "--test", metavar="SOURCE", help="what results are read out on (default: a share of TASK)"
    )
    what.add_argument(
        "--instruction", metavar="TEXT", help="what is asked (default: what is known of the reader)"
    )
    what.add_argument("--limit", type=positive, metavar="K", help="only the first K training problems")
    for option, field, kind, placeholder, text in _SIZES:
        what.add_argument(option, dest=field, type=kind, metavar=placeholder, help=text)
    what.add_argument(
        "--resume", metavar="RUN", help="go on with the run in this folder, as solve --resume does"
    )
    what.add_argument(
        "--dry-run",
        action="store_true",
        help="say what the run would ask and cost, in calls, tokens and money; ask nothing and write nothing",
    )
    what.add_argument(
        "--reply-tokens", type=positive, metavar="N", help="for --dry-run: how long an answer likely is"
    )
    group = added.add_argument_group("how it is refined")
    for option, field, kind, placeholder, default, text in REFINING:
        shown = "" if "(default:" in text else f" (default: {default})"
        group.add_argument(option, dest=field, type=kind, metavar=placeholder, help=text + shown)
    for option, field, text in SWITCHES:
        group.add_argument(option, dest=field, action="store_const", const=False, help=text)
    skip = [s[1] for s in SETTINGS if s[1] not in _ASKED]
    settings(added, skip=(*skip, "self_debug", "sandbox"), told={"student_temperature": "0.0"})
    output(added, "refine")


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were typed, of models, of refining and of the task."""
    names = [*_ASKED, "base_url", "instruction", *(r[1] for r in REFINING), *(s[1] for s in SWITCHES)]
    names += [size[1] for size in _SIZES]
    typed = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in typed.items() if value is not None}
