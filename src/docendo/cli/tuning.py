"""The options of `docendo tune`, and what was typed of them.

As in `settings`, defaults stand here a second time for the help alone; tests/cli hold them against `TuneSettings`.
"""

from __future__ import annotations

import argparse
from typing import Any

from docendo.cli.parser import Parser, command, positive
from docendo.cli.settings import DEFAULT_PROBLEMS, exams, output, settings

FORMS = ("preference", "kto", "sft", "grpo")

# (option, field of TuneSettings or of its tables, type, placeholder, default, help), by what they are about
Option = tuple[str, str, Any, str, Any, str]
OPTIONS: dict[str, tuple[Option, ...]] = {
    "pairs": (
        (
            "--lambda",
            "pairs.lam",
            float,
            "L",
            0.5,
            "share of LbT in a lesson's score; 0: correctness, 1: LbT alone",
        ),
        ("--margin", "pairs.margin", float, "D", 0.3, "by how much two scores must differ to make a pair"),
        ("--noise", "pairs.noise", float, "Z", 1.645, "and by how many standard errors of the exams"),
        (
            "--chosen-right",
            "pairs.chosen_right",
            bool,
            "",
            False,
            "the better one's answer must be right, where known",
        ),
        ("--per-problem", "pairs.per_problem", int, "N", 4, "most pairs of a problem"),
        (
            "--length-balance",
            "pairs.length_balance",
            float,
            "R",
            0.05,
            "how far the mean log ratio of lengths, better to worse, may be off 0; 1: no balancing",
        ),
        (
            "--similar",
            "pairs.similar",
            float,
            "S",
            0.95,
            "likeness from which two lessons are near-duplicates",
        ),
        (
            "--validation",
            "pairs.validation",
            float,
            "SHARE",
            0.1,
            "share of the problem families kept for validation",
        ),
        (
            "--given-style",
            "pairs.prompts",
            str,
            "STYLE",
            "auto",
            "prompt style of lessons that came from a file",
        ),
    ),
    "sets for other trainers": (
        (
            "--export",
            "export",
            str,
            "FORM",
            (),
            "write preference, kto, sft or grpo sets; repeat for several",
        ),
        ("--export-file", "export_file", str, "KIND", "jsonl", "jsonl, or parquet (extra hub)"),
        (
            "--export-shape",
            "export_shape",
            str,
            "SHAPE",
            "auto",
            "chat, plain, or auto: as the teacher was asked",
        ),
    ),
    "training": (
        ("--lora", "training.lora", int, "RANK", 0, "train an adapter of this rank; 0: all weights"),
        (
            "--rate",
            "training.rate",
            float,
            "LR",
            5e-5,
            "peak learning rate; with --lora ten times as much is usual",
        ),
        ("--beta", "training.beta", float, "B", 0.1, "how much the teacher is held to what it was (DPO)"),
        (
            "--likelihood",
            "training.likelihood",
            float,
            "W",
            0.1,
            "weight of the better reply's own likelihood beside DPO's loss",
        ),
        ("--epochs", "training.epochs", float, "N", 1.0, "passes over the pairs"),
        ("--steps", "training.steps", int, "N", None, "end after so many steps, whatever the epochs"),
        ("--batch", "training.batch", int, "N", 16, "pairs a step, on all devices together"),
        ("--micro", "training.micro", int, "N", None, "pairs at once on a device"),
        (
            "--max-length",
            "training.max_length",
            int,
            "N",
            2048,
            "longest prompt and reply in tokens; longer are left out",
        ),
        (
            "--evaluate-every",
            "training.evaluate_every",
            int,
            "N",
            25,
            "steps between looks at the validation pairs; 0: none",
        ),
        (
            "--patience",
            "training.patience",
            int,
            "N",
            4,
            "looks without an improvement after which training ends",
        ),
        (
            "--checkpoint-every",
            "training.checkpoint_every",
            int,
            "N",
            None,
            "steps between checkpoints; 0: none",
        ),
        ("--bf16", "training.bf16", bool, "", None, "compute in bfloat16"),
        ("--device", "training.device", str, "NAME", "auto", "auto, cpu or cuda"),
        (
            "--save-memory",
            "training.save_memory",
            bool,
            "",
            False,
            "compute activations twice instead of keeping them",
        ),
        ("--processes", "training.processes", int, "N", 1, "train on so many devices, a process each"),
        (
            "--accelerate-config",
            "training.accelerate_config",
            str,
            "FILE",
            "",
            "launch them by accelerate, with this file of its own",
        ),
        ("--threads", "training.threads", int, "N", None, "PyTorch's threads on a CPU"),
    ),
    "rounds and comparisons": (
        (
            "--rounds",
            "rounds",
            int,
            "K",
            1,
            "teach, examine and tune so often, each time with the best teacher so far",
        ),
        (
            "--earlier-students",
            "earlier_students",
            bool,
            "",
            False,
            "earlier teachers are students in later rounds",
        ),
        ("--held-out", "held_out", str, "SOURCE", "", "problems by which the best round is chosen"),
        (
            "--test",
            "test",
            str,
            "SOURCE",
            (),
            "compare the teacher before and after on these; repeat for several",
        ),
        ("--test-samples", "test_samples", int, "N", 8, "the teacher's samples a problem in comparisons"),
        ("--test-m1", "test_m1", bool, "", False, "compare M1 with either teacher on these, too"),
    ),
}
_TOLD = {
    "training.steps": "the epochs decide",
    "training.micro": "the whole step's",
    "training.checkpoint_every": "1 up to 50 million parameters, else 25",
    "training.bf16": "on GPUs that have it",
    "training.threads": "PyTorch's own choice",
    "training.accelerate_config": "none",
    "held_out": "the last round is kept",
    "export": "none",
    "test": "none",
}


def add(commands: Any, top: Parser) -> None:
    """Add the command."""
    added = command(
        commands,
        top,
        "tune",
        "tune the teacher on what its students learnt from",
        description="Rank a teacher's own lessons by what students could do after them, make preference pairs of them, "
        "and train the teacher on these (DPO; extra train). Without RUN, problems are taught and examined first.",
        epilog="A tuning that was cut goes on with --resume: nothing recorded is asked again, training goes on from "
        "its last checkpoint.",
    )
    what = added.add_argument_group("what is learnt from")
    what.add_argument("runs", nargs="*", metavar="RUN", help="the folder of a run of docendo solve or score")
    what.add_argument(
        "--problems",
        metavar="SOURCE",
        help=f"without RUN: what is taught, named like PROBLEMS of solve (default: {DEFAULT_PROBLEMS})",
    )
    exams(what)
    what.add_argument("--limit", type=positive, metavar="K", help="only the first K problems")
    what.add_argument(
        "--resume",
        metavar="DIR",
        help="go on with the tuning in this folder; --base-url and --config say where models are now",
    )
    what.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be asked and trained; ask nothing and write nothing",
    )
    what.add_argument(
        "--reply-tokens", type=positive, metavar="N", help="for --dry-run: how long a reply likely is"
    )
    what.add_argument(
        "--no-train", dest="train", action="store_false", help="pairs, sets and the page only; needs no extra"
    )
    for title, options in OPTIONS.items():
        group = added.add_argument_group(title)
        for option, field, kind, placeholder, default, text in options:
            shown = _TOLD.get(field) or (
                next(iter(default), "none") if isinstance(default, tuple) else default
            )
            if kind is bool:
                action = argparse.BooleanOptionalAction if default is None else "store_true"
                help = text if default is False else f"{text} (default: {shown})"
                group.add_argument(option, dest=field, action=action, default=None, help=help)
                continue
            several = "append" if isinstance(default, tuple) else "store"
            help = (
                f"{text} (default: {shown:g})" if isinstance(shown, float) else f"{text} (default: {shown})"
            )
            group.add_argument(option, dest=field, type=kind, metavar=placeholder, action=several, help=help)
    settings(added, skip=("equal_cost", "budget"))
    output(added, "tune")


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a tuning that were typed, by field, `pairs` and `training` as tables of their own.

    What is said of the seed is said of all that is drawn.
    """
    found: dict[str, Any] = {}
    for _, field, *_ in (option for options in OPTIONS.values() for option in options):
        value = getattr(arguments, field)
        if value is None:
            continue
        table, dot, name = field.partition(".")
        if dot:
            found.setdefault(table, {})[name] = value
        else:
            found[field] = tuple(value) if isinstance(value, list) else value
    if not arguments.train:
        found["train"] = False
    if arguments.seed is not None:
        for table in ("pairs", "training"):
            found.setdefault(table, {})["seed"] = arguments.seed
    return found


def typed(arguments: argparse.Namespace) -> list[str]:
    """The options of a tuning that were typed, as they are typed."""
    options = [option for group in OPTIONS.values() for option in group]
    return [option for option, field, *_ in options if getattr(arguments, field) is not None] + (
        [] if arguments.train else ["--no-train"]
    )
