"""`docendo prompts`: the styles that ship, a copy of one to change, and what a model would be asked in it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from rich.text import Text

from docendo.cli.ink import Ink, dim
from docendo.cli.words import many, plain
from docendo.data import Notes, load_problems
from docendo.errors import ConfigError
from docendo.prompts import STYLES, Prompts, copy_style, folder_of
from docendo.types import Example, Lesson, Problem, Prompt


def prompts(arguments: argparse.Namespace) -> None:
    """List the styles, copy one, or show what is asked in one.

    Raises:
        ConfigError: no such style, a template with a mistake, or a folder that is not empty.
        DataError: the problems to show it on cannot be read.
    """
    if arguments.style is None:
        if arguments.copy:
            raise ConfigError(f"prompts: which style is to be copied? Name one: {', '.join(STYLES)}")
        for name in STYLES:
            print(f"{name:12}{folder_of(name)}")
    elif arguments.copy:
        files = copy_style(arguments.style, arguments.copy)
        print(
            f"{many(files, 'file')} in {arguments.copy}; use it with --prompts {arguments.copy}",
            file=sys.stderr,
        )
    else:
        _show(Prompts(arguments.style), arguments.problems)


def _show(style: Prompts, source: str) -> None:
    """What the teacher of a set's first problem is asked, and a student about the second."""
    taught, *rest = load_problems(source, limit=2, notes=Notes())
    example = _example(taught)
    asked = [
        ("teacher", style.teach(taught)),
        ("student", style.examine(Lesson((example,)), rest[0] if rest else taught)),
    ]
    asked += _refining(style, taught, example)
    console = Ink()
    for role, prompt in asked:
        console.print(Text(f"What a {role} is asked", style="bold"))
        _print(console, prompt)
        console.print()
    if style.stop:
        console.print(dim(f"Replies end at {', '.join(map(repr, style.stop))}."))


def _refining(style: Prompts, problem: Problem, example: Example) -> list[tuple[str, Prompt]]:
    """What a teacher is asked by `docendo refine`, where the style has it and the problem is of a kind for it."""
    if problem.kind == "code" or problem.answer is None or not style.has("rewrite.j2"):
        return []
    from docendo.refine.nouns import Failure  # only here: it brings more than showing a prompt needs
    from docendo.refine.task import PARTS, Task

    pool, exam, kept, asked = ((replace(problem, id=part),) for part in PARTS)
    task = Task("task", str(problem.meta.get("instruction", "")), pool, exam, kept, asked)
    lesson = Lesson((example,))
    failures = [Failure("student", problem, "(the answer)", "(how it came there)", ("", 0))]
    found: list[tuple[str, Prompt]] = []
    if style.has("propose.j2"):
        found.append(("propose", style.propose(task, 8, [problem])))
    if style.has("reflect.j2"):
        found.append(("reflect", style.reflect(task, lesson, failures)))
    found.append(("rewrite", style.rewrite(task, lesson, failures, ["(what it made of them)"], 8)))
    return [(f"teacher who is to {name} (docendo refine)", prompt) for name, prompt in found]


def _example(problem: Problem) -> Example:
    """A lesson's example as a reference would have it, where there is one."""
    wrote = "(here stands what the teacher wrote)"
    if problem.kind == "code":
        return Example(problem.question, wrote, problem.solution or "...")
    return Example(problem.question, problem.solution or wrote, problem.answer or "...")


def _print(console: Ink, prompt: Prompt) -> None:
    turns = [("", prompt)] if isinstance(prompt, str) else prompt
    for role, text in turns:
        if role:
            console.print(dim(f"[{role}]"))
        console.print(Text(plain(text)), soft_wrap=True)  # as it is sent, line by line
