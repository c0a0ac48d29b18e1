"""A refining run as the user says it: a TOML file and what is given beside it, put together.

The models and how they are asked are said as for `docendo solve` (docs/models.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from docendo.data import read_lessons
from docendo.errors import ConfigError, DataError
from docendo.refine.check import Checker
from docendo.refine.plan import STARTS, Refining
from docendo.refine.task import Shares, Source, Task, task_of, without
from docendo.solve.config import Vocabulary, configured
from docendo.solve.plan import Settings
from docendo.types import Lesson

ASKING = (
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
"""The fields of `Settings` that mean something here."""

PARTS = ("train", "validation", "test")
_SHARES = tuple(f"{f.name}_share" if "_" not in f.name else f.name for f in fields(Shares))
_OWN = (*(f.name for f in fields(Refining)), *PARTS, "instruction", "name", *_SHARES)
SCHOOL_TASK = "school:verbal/v1-02-1"
"""What is refined for where no task is named: a task of the built-in school, among those kept for tuning."""
SCHOOL: Mapping[str, Any] = {
    "teacher": "school:verbal-teacher",
    "students": ("school:verbal-student", "school:verbal-student-2"),
    "temperature": 1.0,
    # Its teacher did not learn to rewrite from failures: it proposes, and students' failures select.
    "search": "propose",
    "examples": 6,
    "beam": 1,
    "starts": 3,
    "reflections": 3,
    "minibatch": 8,
}
"""The settings of that run and of the other tasks of that world, as the study of M3 has them."""
WORDS = Vocabulary(
    settings=ASKING,
    sources=("limit",),
    own=_OWN,
    paths=(*PARTS, "prompts"),
    defaults={"student_temperature": 0.0},
)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run is to do: everything that its folder keeps."""

    task: Task
    settings: Settings
    how: Refining
    given: tuple[Lesson, ...] = ()


def planned(
    train: Source | Task | None,
    validation: Source | None,
    test: Source | None,
    config: str | Path | None,
    limit: int | None,
    given: Mapping[str, Any],
) -> Planned:
    """Settings and task of a run.

    Args:
        train: a task, or where its problems come from; None for what the file says, or without a file the school's.
        validation: of the task, where it has a source of its own.
        test: likewise.
        config: a TOML file.
        limit: only the first so many training problems.
        given: settings, which beat those of the file.

    Raises:
        ConfigError: a setting that does not exist or cannot be.
        DataError: problems or starting sets that cannot be used.
    """
    if train is None and config is None:
        train = SCHOOL_TASK
    if isinstance(train, str) and train.startswith("school:verbal/") and config is None:
        given = {**SCHOOL, **given}
    said = configured(config, given, WORDS)
    own = dict(said.own)
    shares = Shares(**{name.removesuffix("_share"): own.pop(name) for name in _SHARES if name in own})
    sources = {name: own.pop(name, None) for name in PARTS}
    named = {name: own.pop(name) for name in ("instruction", "name") if name in own}
    start = own.get("start", "teacher")
    if config is not None and "start" not in given and start not in STARTS and isinstance(start, str):
        own["start"] = str(Path(config).parent / start)
    how = Refining.of(own)
    if isinstance(train, Task):
        task = train
    else:
        source = train if train is not None else sources["train"]
        if source is None:
            raise ConfigError(
                f"{config}: there is no task: name a source of problems, or `train` in the file"
            )
        task = task_of(
            source,
            validation if validation is not None else sources["validation"],
            test if test is not None else sources["test"],
            name=named.get("name", ""),
            instruction=named.get("instruction"),
            shares=shares,
            limit=limit or said.limit,
            seed=said.settings.seed,
        )
    given_sets = starting_sets(how)
    if given_sets:
        task = without(task, [e.question for own in given_sets for e in own.examples])
    return Planned(task, said.settings, how, _checked(given_sets, how, task))


def starting_sets(how: Refining) -> tuple[Lesson, ...]:
    """The sets that a run starts with, where they are the user's own: of a file, `examples` after another a set.

    Raises:
        DataError: the file cannot be read, or has no whole number of sets.
    """
    if how.start in STARTS:
        return ()
    examples = [example for _, _, example in read_lessons(how.start)]
    if not examples or len(examples) % how.examples:
        raise DataError(
            f"{how.start}: {len(examples)} examples make no whole number of sets of {how.examples}; say by "
            "--examples how many a set has"
        )
    sets = [examples[i : i + how.examples] for i in range(0, len(examples), how.examples)]
    return tuple(Lesson(tuple(own)) for own in sets)


def _checked(sets: Sequence[Lesson], how: Refining, task: Task) -> tuple[Lesson, ...]:
    """The user's own sets, labels written as the task writes them."""
    checker = Checker(task, how.examples, balanced=False)
    found = []
    for number, own in enumerate(sets, 1):
        lesson = checker.checked(own.examples)
        if not isinstance(lesson, Lesson):
            raise DataError(f"{how.start}: set {number}: {': '.join(filter(None, lesson))}")
        found.append(lesson)
    return tuple(found)
