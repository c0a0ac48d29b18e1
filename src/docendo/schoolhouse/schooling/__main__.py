"""`python -m docendo.schoolhouse.schooling`: remake the shipped models from their seeds.

Resumable (run it again) and logged (log.jsonl in each course's folder). Several courses may be made at once by
naming them in several processes; a teacher waits for nothing, so make its base first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from docendo.models.resolve import SHIPPED
from docendo.schoolhouse.families import SHIPPED_SEED
from docendo.schoolhouse.schooling.courses import COURSES, STUDY_COURSES, smoke
from docendo.schoolhouse.schooling.domains import FamilyDomain, WritingDomain
from docendo.schoolhouse.schooling.measure import (
    follow_rate,
    group_accuracy,
    label_rates,
    rewriting_rates,
    told_rate,
    writing_rates,
)
from docendo.schoolhouse.schooling.model import Llama, load_weights, save
from docendo.schoolhouse.schooling.train import Course, school

EVERY = (*COURSES, *STUDY_COURSES)


def base_of(course: Course, out: Path) -> Llama | None:
    """The weights a course starts from: of its base's checkpoint or, where there is none, of the base that ships."""
    if course.base is None:
        return None
    path = out / course.base / "checkpoint.pt"
    if not path.exists():
        own = SHIPPED / course.base
        if (
            own.is_dir()
            and json.loads((own / "config.json").read_text())["hidden_size"] == course.size.hidden
        ):
            return load_weights(own, course.size)
        raise SystemExit(f"{course.name} grows from {course.base}, which is not there yet: {path}")
    model = Llama(course.size)
    model.load_state_dict(torch.load(path, weights_only=True)["model"])
    return model


def card(course: Course, model: Llama, facts: dict[str, Any]) -> str:
    """The model card: what it read, how long it took, what it can do on what is held out for tuning."""
    parameters = sum(p.numel() for p in model.parameters())
    shape = course.size
    lines = [
        f"# {course.name}",
        "",
        f"A model of docendo's schoolhouse: trained from scratch on procedurally generated {course.taught.about}. It",
        "speaks the schoolhouse's few hundred words and nothing else; it foretells nothing of large models.",
        "",
        "| | |",
        "|---|---|",
        f"| parameters | {parameters:,} (hidden {shape.hidden}, {shape.layers} layers, {shape.heads} heads) |",
        f"| seed | {course.seed} |",
        f"| read | {facts['tokens']:,} tokens in {facts['steps']:,} steps, {facts['seconds'] / 60:.0f} minutes |",
        f"| grown from | {course.base or 'nothing'} |",
        *abilities(course, model),
    ]
    lines += ["", f"Remake: `python -m docendo.schoolhouse.schooling --only {course.name}`", ""]
    return "\n".join(lines)


def abilities(course: Course, model: Llama) -> list[str]:
    """The rows of the card that tell what the model can do."""
    domain, rows = course.taught, []
    if isinstance(domain, WritingDomain):
        found = writing_rates(model, domain, course.world or SHIPPED_SEED, count=288)
        row = "| writes a problem of the same method that has an answer (held-out numbers): {} families | {:.1%} |"
        return [f"| world | {course.world} |", *(row.format(name, share) for name, share in found.items())]
    if isinstance(domain, FamilyDomain):
        followed = follow_rate(model, domain, 1, 512)
        rows.append(f"| follows a shown method (held-out numbers, made-up families) | {followed:.1%} |")
        what = "writes the right working unaided: {} families"
    else:
        told = told_rate(model, domain, 1, 1024)
        rows.append(
            f"| works and labels a text as six examples show (held-out texts, made-up tasks) | {told:.1%} |"
        )
        what = "works and labels a text unaided: {} tasks"
    if course.world is not None:
        parts = "family" if isinstance(domain, FamilyDomain) else "task"
        rows.append(f"| world | {course.world}, {parts} frequency 1/rank^{course.zipf} |")
        known = (
            group_accuracy(model, domain, course.world, per_family=2)
            if isinstance(domain, FamilyDomain)
            else label_rates(model, domain, course.world)
        )
        rows += [f"| {what.format(group)} | {share:.1%} |" for group, share in known.items()]
        if not isinstance(domain, FamilyDomain):
            after = rewriting_rates(model, domain, course.world)
            rows += [
                f"| the same after a set that failed: {group} tasks | {x:.1%} |" for group, x in after.items()
            ]
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Make the courses asked for, in order."""
    parser = argparse.ArgumentParser(prog="python -m docendo.schoolhouse.schooling", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/schooling"), help="where checkpoints and models go"
    )
    parser.add_argument("--only", nargs="*", choices=[c.name for c in EVERY], help="make only these")
    parser.add_argument("--study", action="store_true", help="make those that do not ship too")
    parser.add_argument("--threads", type=int, default=2, help="PyTorch threads")
    parser.add_argument(
        "--smoke", action="store_true", help="a few steps of tiny models, to see that all runs"
    )
    parser.add_argument(
        "--no-compile", action="store_true", help="without torch.compile (no C++ compiler needed)"
    )
    given = parser.parse_args(arguments)
    for course in EVERY:
        if course.name not in given.only if given.only else course in STUDY_COURSES and not given.study:
            continue
        course = smoke(course) if given.smoke else course
        start = base_of(course, given.out)
        model, facts = school(
            course, given.out / course.name, threads=given.threads, start=start,
            say=lambda line: print(line, flush=True), compiled=not given.no_compile,
        )  # fmt: skip
        folder = given.out / course.name / "model"
        save(model, course.taught.tokenizer(), folder, card(course, model, facts))
        print(f"{course.name}: written to {folder}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
