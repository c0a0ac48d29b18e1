"""A task: what is to be learnt, and four parts of problems that are kept apart.

Examples may be drawn from the `pool`; students fail at the `exam` problems; sets are chosen on `validation`; and
`test` is what nothing else sees. Problems that are alike (variants, near-copies, stories told twice) stay in one part.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from docendo.data import Notes, load_problems, parse
from docendo.errors import DataError
from docendo.grading.label import labels_of
from docendo.refine.similar import Guard, alike
from docendo.types import Kind, Problem

Part = Literal["pool", "exam", "validation", "test"]
PARTS: tuple[Part, ...] = ("pool", "exam", "validation", "test")
Source = str | Path | Iterable[Problem]

INSTRUCTIONS: Mapping[str, str] = {
    "liar": "Each text is a statement from public life, with what is known of who made it, and where. Say whether the "
    "statement is a lie.",
    "folio": "Each text gives premises and a conclusion. Say whether the conclusion is true, false or uncertain, "
    "going by the premises alone.",
    "fallacy": "Say whether the text is an instance of the logical fallacy named faulty generalization: a conclusion "
    "about all or many cases that is drawn from too few of them, or from cases unlike the others.",
    "bbh": "Answer the question.",
}
"""What is asked, by reader, where the user says nothing else."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be learnt from examples.

    `instruction` is what every prompt says of the task; it may be empty where examples say it all. `dropped` counts
    problems that were left out, by reason.
    """

    name: str
    instruction: str
    pool: tuple[Problem, ...]
    exam: tuple[Problem, ...]
    validation: tuple[Problem, ...]
    test: tuple[Problem, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no one task."""
        everything = self.problems()
        for part in ("exam", "validation", "test"):
            if not self.part(part):
                raise DataError(f"task {self.name}: there are no {part} problems")
        ids = Counter(problem.id for problem in everything)
        twice = next((id for id, count in ids.items() if count > 1), None)
        if twice is not None:
            raise DataError(f"task {self.name}: problem {twice!r} is there twice; give each an id of its own")
        for problem in everything:
            if problem.answer is None:
                raise DataError(f"task {self.name}: problem {problem.id!r} has no answer")
            if problem.kind == "code":
                raise DataError(
                    f"task {self.name}: problem {problem.id!r} is code, which sets are not refined for"
                )
            if problem.kind != self.kind or labels_of(problem) != self.labels:
                raise DataError(
                    f"task {self.name}: problem {problem.id!r} is answered otherwise than {everything[0].id!r}; a task "
                    "has one kind of answer and one list of labels (of a file with several tasks, choose one by "
                    "?only=FIELD:VALUE)"
                )

    @property
    def kind(self) -> Kind:
        """How its problems are answered."""
        return self.exam[0].kind

    @property
    def labels(self) -> tuple[str, ...]:
        """The words of a label task; empty for other kinds."""
        return labels_of(self.exam[0]) if self.kind == "label" else ()

    @property
    def said(self) -> str:
        """The instruction, and which answers there are."""
        if not self.instruction or not self.labels:
            return self.instruction
        return f"{self.instruction} The answer is one of: {', '.join(self.labels)}."

    def part(self, part: Part) -> tuple[Problem, ...]:
        """The problems of one part."""
        found: tuple[Problem, ...] = getattr(self, part)
        return found

    def problems(self) -> list[Problem]:
        """All of them, part by part."""
        return [problem for part in PARTS for problem in self.part(part)]


@dataclass(frozen=True, slots=True)
class Shares:
    """How one set of problems is cut: parts of the whole; what is not for validation or test is for training.

    Of the training problems `pool` is the share that examples may be drawn from. `validation_size` and `test_size`
    are the most problems of these parts, 0 for no limit.
    """

    validation: float = 0.25
    test: float = 0.35
    pool: float = 0.3
    validation_size: int = 0
    test_size: int = 0


def task_of(
    train: Source,
    validation: Source | None = None,
    test: Source | None = None,
    *,
    name: str = "",
    instruction: str | None = None,
    shares: Shares | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Task:
    """Make a task of problems.

    Where problems of one source say their part by `meta["split"]` (pool, exam, train, validation or test) that is it;
    else those without a source of their own are cut off `train`, what is alike staying together. Training and
    validation problems that are near-copies of one that comes after them (validation, test) are left out and counted.

    Args:
        train: a source as `docendo solve` takes it, or problems.
        validation: likewise; None: a share of `train`.
        test: likewise.
        name: of the task; by default the source's.
        instruction: what is asked; None for what the problems say by `meta["instruction"]`, or what is known of the
            source's reader.
        shares: how one set is cut.
        limit: only the first so many training problems.
        seed: of the cuts.

    Raises:
        DataError: a source cannot be read, or a part is left without problems.
    """
    shares = shares or Shares()
    notes = Notes()
    parts = {"train": _read(train, notes, limit)}
    for part, source in (("validation", validation), ("test", test)):
        if source is not None:
            parts[part] = _read(source, notes, None)
    if any("split" in problem.meta for problem in parts["train"]):
        _as_said(parts)
    rng = random.Random(f"{seed} parts")
    groups = _groups([p for own in parts.values() for p in own])
    whole = len(parts["train"])
    for part, share in (("test", shares.test), ("validation", shares.validation)):
        if part not in parts:
            parts[part], parts["train"] = _cut(parts["train"], share * whole, groups, rng)
    for part, most in (("validation", shares.validation_size), ("test", shares.test_size)):
        if most and len(parts[part]) > most:
            parts[part] = sorted(rng.sample(parts[part], most), key=parts[part].index)
    dropped: Counter[str] = Counter(notes.dropped)
    seen = {groups[p.id] for p in parts["test"]}
    for part in ("validation", *(p for p in ("exam", "train", "pool") if p in parts)):
        kept = [p for p in parts[part] if groups[p.id] not in seen]
        if len(kept) < len(parts[part]):
            dropped[f"{part} problems like others that come later"] += len(parts[part]) - len(kept)
        if part == "validation":
            seen |= {groups[p.id] for p in kept}
        parts[part] = kept
    if "pool" not in parts:
        train_left = parts.get("train", [])
        parts["pool"], rest = _cut(train_left, shares.pool * len(train_left), groups, rng)
        parts["exam"] = [*parts.get("exam", []), *rest]
    elif "exam" not in parts or parts.get("train"):
        parts["exam"] = [*parts.get("exam", []), *parts.get("train", [])]
    cut = {part: tuple(parts[part]) for part in PARTS}
    said = _instruction(train, cut["exam"]) if instruction is None else instruction
    return Task(name or _name(train), said, **cut, dropped=dict(dropped))


def without(task: Task, texts: Sequence[str]) -> Task:
    """The task without the problems that are copies of some texts (of sets that are given), those being counted.

    Raises:
        DataError: a part is left without problems.
    """
    guard = Guard((str(number), text) for number, text in enumerate(texts))
    parts = (task.exam, task.validation, task.test)
    exam, validation, test = (tuple(p for p in part if guard.copied(p.question) is None) for part in parts)
    lost = sum(map(len, parts)) - len(exam) - len(validation) - len(test)
    if not lost:
        return task
    dropped = {**task.dropped, "problems that are in the starting sets": lost}
    return replace(task, exam=exam, validation=validation, test=test, dropped=dropped)


def _read(source: Source, notes: Notes, limit: int | None) -> list[Problem]:
    found = load_problems(source, notes=notes) if isinstance(source, str | Path) else list(source)
    return found[:limit]


def _as_said(parts: dict[str, list[Problem]]) -> None:
    """Put the problems of one source into the parts that they name."""
    everything = parts.pop("train")
    for problem in everything:
        part = problem.meta.get("split", "train")
        if part not in (*PARTS, "train"):
            known = ", ".join((*PARTS, "train"))
            raise DataError(f"problem {problem.id!r}: meta.split is {part!r}; there are {known}")
        parts.setdefault(part, []).append(problem)
    parts.setdefault("train", [])


def _groups(problems: Sequence[Problem]) -> dict[str, str]:
    """What stays together, by problem id: variants of one family, and near-copies of one another."""
    numbers = alike([problem.question for problem in problems])
    by_family: dict[str, int] = {}
    joined = {number: number for number in numbers}

    def root(number: int) -> int:
        while joined[number] != number:
            number = joined[number]
        return number

    for problem, number in zip(problems, numbers, strict=True):
        if problem.family is not None:
            joined[root(number)] = root(by_family.setdefault(problem.family, number))
    return {problem.id: str(root(number)) for problem, number in zip(problems, numbers, strict=True)}


def _cut(
    problems: Sequence[Problem], size: float, groups: Mapping[str, str], rng: random.Random
) -> tuple[list[Problem], list[Problem]]:
    """About `size` of the problems, whole groups of them, and the others; both in their old order."""
    names = sorted({groups[problem.id] for problem in problems}, key=int)
    rng.shuffle(names)
    counts = Counter(groups[problem.id] for problem in problems)
    taken: set[str] = set()
    count = 0
    for name in names:
        if count + counts[name] / 2 > size:
            break
        taken.add(name)
        count += counts[name]
    return [p for p in problems if groups[p.id] in taken], [p for p in problems if groups[p.id] not in taken]


def _name(source: Source) -> str:
    if not isinstance(source, str | Path):
        return "task"
    found = parse(str(source))
    return found.path if found.reader in ("school", "hub") else Path(found.path).name


def _instruction(source: Source, problems: Sequence[Problem]) -> str:
    """What is known to be asked: what the problems say by `meta["instruction"]`, all the same, or of their reader."""
    told = {str(problem.meta.get("instruction", "")) for problem in problems}
    if len(told) == 1 and told != {""}:
        return told.pop()
    return INSTRUCTIONS.get(parse(source).reader, "") if isinstance(source, str) else ""
