"""Preference pairs as values: what makes them, the set of them, and what became of everything else.

A set can be written as plain values and read back. How pairs are found is left to `pairs`, and the forms that trainers
take to `export`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from docendo.errors import ConfigError, DataError
from docendo.tune.balance import digest
from docendo.tune.read import Side
from docendo.types import Prompt


@dataclass(frozen=True, slots=True)
class PairSettings:
    """What makes a pair.

    Attributes:
        lam: the share of LbT in a lesson's score; 0 is correctness alone (the baseline), 1 is LbT alone, which
            needs no gold answers of the taught problems and looks at none.
        margin: the least difference of scores, exclusive; 0 to 1.
        noise: the least difference in standard errors of it, for the luck of the exam answers; 1.645 is a one-sided
            test at 5 %, 0 switches it off.
        chosen_right: the better one's own answer must be right, where the problem has a gold answer.
        per_problem: most pairs of a problem.
        length_balance: the most by which the mean log ratio of lengths, better to worse, may be off 0; 1 switches
            balancing off.
        similar: two lessons of a problem with the same answer are near-duplicates from this likeness of their
            texts on (shared runs of three words, 0 to 1); above 1 none are.
        validation: the share of the problem families that is kept for validation.
        seed: of every choice among equals.
        prompts: the style in which lessons that came from a file are written out, see `read.studied`.
    """

    lam: float = 0.5
    margin: float = 0.3
    noise: float = 1.645
    chosen_right: bool = False
    per_problem: int = 4
    length_balance: float = 0.05
    similar: float = 0.95
    validation: float = 0.1
    seed: int = 0
    prompts: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values that no pairs could be made with."""
        for name, least, most in (
            ("lam", 0, 1),
            ("margin", 0, 1),
            ("noise", 0, 100),
            ("length_balance", 0, 1),
            ("similar", 0, 2),
            ("validation", 0, 0.9),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(f"pairs: {name}: {value} is out of range, {least} to {most}")
        if self.margin >= 1:
            raise ConfigError("pairs: margin: no two scores differ by more than 1; choose less")
        if self.per_problem < 1:
            raise ConfigError(f"pairs: per_problem: {self.per_problem} is too small, it must be at least 1")

    @property
    def remark(self) -> str | None:
        """What a user should know of the margin, if anything: a right answer alone may be enough to be preferred."""
        alone = 1 - self.lam
        if self.lam in (0, 1) or self.margin >= alone:
            return None
        said = (
            f"a right answer scores {alone:g} more than a wrong one even where no student learnt anything from it, so "
            f"with margin {self.margin:g} answers that are right by accident are preferred too; "
            f"above {alone:g} they are not"
        )
        if (self.lam, self.margin) == (0.5, 0.3):
            said += (
                " (on the school's development numbers, exploratory, margin 0.7 was 3.3 points ahead of correctness "
                "alone, this one 0.8, which is within chance: docs/study.md)"
            )
        return said


@dataclass(frozen=True, slots=True)
class Pair:
    """Two lessons of one problem, the better one first.

    Attributes:
        run: the folder of the run they are from.
        problem: the problem's id.
        family: what it is a variant of; None where that is not known.
        prompt: what the teacher was asked, exactly as it was sent: a text, or (role, content) turns.
        chosen, rejected: the better and the worse.
        difference: of their scores, above 0.
        error: its standard error for the luck of the exams.
    """

    run: str
    problem: str
    family: str | None
    prompt: Prompt
    chosen: Side
    rejected: Side
    difference: float
    error: float

    @property
    def log_ratio(self) -> float:
        """Of the lengths in characters, chosen to rejected; above 0 where the chosen one is longer."""
        return math.log(max(len(self.chosen.text), 1) / max(len(self.rejected.text), 1))


@dataclass(frozen=True, slots=True)
class Tally:
    """One problem on the way to its pairs: lessons that were compared, pairs that were kept, and what was not."""

    run: str
    problem: str
    question: str
    lessons: int
    kept: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PairSet:
    """Pairs to train on and to validate by, with what became of everything else.

    Attributes:
        train, validation: pairs; no family has pairs in both.
        settings: what made them.
        lessons: how many were left out before any comparison, by reason.
        pairs: how many comparisons came to no pair, by reason.
        compared: all comparisons.
        problems: one by one.
        ranking: every problem's lessons, best first, for exports that need no pairs.
        notes: what a reader should know of the runs.
    """

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    settings: PairSettings
    lessons: Mapping[str, int] = field(default_factory=dict)
    pairs: Mapping[str, int] = field(default_factory=dict)
    compared: int = 0
    problems: tuple[Tally, ...] = ()
    ranking: tuple[Scored, ...] = ()
    notes: tuple[str, ...] = ()

    def limited(self, count: int) -> PairSet:
        """The same with at most `count` training pairs, spread over as many problems as there are.

        For arms that are to be compared at equal numbers of pairs; the same pairs for the same seed.
        """
        turn: Counter[tuple[str, str]] = Counter()
        ranked = []
        for i, pair in enumerate(self.train):
            owner = (pair.run, pair.problem)
            ranked.append(
                (turn[owner], digest(self.settings.seed, "limit", pair.problem, pair.chosen.lesson), i)
            )
            turn[owner] += 1
        kept = sorted(i for *_, i in sorted(ranked)[: max(count, 0)])
        return replace(self, train=tuple(self.train[i] for i in kept))

    def json(self) -> dict[str, Any]:
        """As plain values, which `pairs_of` reads back."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scored:
    """All ranked lessons of one problem, best first, for exports that need no pairs."""

    run: str
    problem: str
    family: str | None
    kind: str
    gold: str | None
    prompt: Prompt
    sides: tuple[Side, ...]
    validation: bool = False


def pairs_of(values: Mapping[str, Any]) -> PairSet:
    """What `PairSet.json` gave, read back.

    Raises:
        DataError: it is not that.
    """
    try:
        return PairSet(
            train=tuple(map(_pair, values["train"])),
            validation=tuple(map(_pair, values["validation"])),
            settings=PairSettings(**values["settings"]),
            lessons=dict(values["lessons"]),
            pairs=dict(values["pairs"]),
            compared=values["compared"],
            problems=tuple(Tally(**tally) for tally in values["problems"]),
            ranking=tuple(
                Scored(**{**s, "prompt": _prompt(s["prompt"]), "sides": tuple(Side(**x) for x in s["sides"])})
                for s in values["ranking"]
            ),
            notes=tuple(values["notes"]),
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"these are not pairs that docendo wrote ({type(error).__name__}: {error})"
        ) from error


def _pair(values: Mapping[str, Any]) -> Pair:
    sides = {name: Side(**values[name]) for name in ("chosen", "rejected")}
    return Pair(**{**values, **sides, "prompt": _prompt(values["prompt"])})


def _prompt(value: Any) -> Prompt:
    return value if isinstance(value, str) else tuple((str(role), str(text)) for role, text in value)
