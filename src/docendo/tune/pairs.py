"""Preference pairs: of one problem's lessons, which of two is better, where that is sure enough to be learnt.

The score of a lesson is (1 - lam) * correct + lam * LbT. A pair is kept where its scores differ by more than a margin
and by more than the luck of the exams explains; then near-duplicates go, each problem keeps its clearest pairs, and
the set is balanced so that the better ones are not the longer ones (or the shorter). Everything is fixed by the seed.
Reading runs is left to `read`, balancing to `balance`, showing what was done to `page`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from docendo.errors import ConfigError, DataError
from docendo.store import Store
from docendo.tune.balance import balanced, digest, families_apart, unlike
from docendo.tune.read import Candidate, Side, Studied, studied
from docendo.types import Problem, Prompt

NO_SCORE = "without an LbT score"
NO_GOLD = "without a gold answer to be judged by"
COPIES = "near-duplicates of another of the problem"
WITHIN_MARGIN = "closer than the margin"
WITHIN_NOISE = "closer than the luck of the exams explains"
WRONG = "whose better one has a wrong answer"
OVER_CAP = "beyond the cap a problem"
LENGTH = "left out to balance lengths"
TWICE = "already there from another run"


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


@dataclass(frozen=True, slots=True)
class _Ranked:
    side: Side
    key: str | None
    error: float


def pairs_from(
    *runs: str | Path,
    settings: PairSettings | None = None,
    scores: Mapping[tuple[str, str], float] | None = None,
) -> PairSet:
    """Preference pairs of finished problems of runs (solve, score or pilot).

    Args:
        runs: their folders; lessons of different runs are not compared, as they sat different exams.
        settings: what makes a pair; the defaults where None.
        scores: LbT scores in [0, 1] by (problem, lesson) instead of those of the runs, taken as free of noise.

    Raises:
        StoreError: not a run.
        DataError: there is no pair; the message says what there was instead.
    """
    plan = settings or PairSettings()
    if not runs:
        raise ConfigError(
            "pairs: no run was named; give the folders of runs that docendo solve or score made"
        )
    found, notes = [], []
    for run in dict.fromkeys(str(run) for run in runs):
        with Store.read(run) as view, view.snapshot():
            own = [_rescored(one, scores) for one in studied(view, plan.prompts)]
            planned = sum(1 for _ in view.problems())
            students = view.config["settings"]["students"]
        found += own
        if len(own) < planned:
            notes.append(
                f"{run}: {planned - len(own):,} of {planned:,} problems are not finished and not used"
            )
        if len(students) == 1 and plan.lam > 0:
            notes.append(
                f"{run}: one student ({students[0]}): what only it cannot follow counts as bad teaching"
            )
    return pairs_among(found, plan, [*notes, *([plan.remark] if plan.remark else [])])


def pairs_among(problems: Iterable[Studied], plan: PairSettings, notes: Sequence[str] = ()) -> PairSet:
    """As `pairs_from`, of problems that were read already."""
    lessons: Counter[str] = Counter()
    funnel: Counter[str] = Counter()
    tallies: list[Tally] = []
    pairs: list[Pair] = []
    ranking: list[Scored] = []
    seen: set[tuple[Prompt, str, str]] = set()
    compared = 0
    for one in problems:
        ranked, left_out = _ranked(one, plan)
        ranking.append(_scored(one, ranked))
        own, dropped = _pairs_of(one, ranked, plan)
        fresh = [pair for pair in own if _words(pair) not in seen]
        seen |= {_words(pair) for pair in fresh}
        if len(fresh) < len(own):
            dropped[TWICE] += len(own) - len(fresh)
        pairs += fresh
        lessons += left_out
        funnel += dropped
        compared += len(ranked) * (len(ranked) - 1) // 2
        tallies.append(
            Tally(one.run, one.problem.id, one.problem.question, len(ranked), len(fresh), dict(dropped))
        )
    kept = balanced(pairs, plan.length_balance, plan.seed)
    funnel[LENGTH] += len(pairs) - len(kept)
    held = families_apart([p.family or p.problem for p in kept], plan.validation, plan.seed)
    result = PairSet(
        train=tuple(p for p in kept if (p.family or p.problem) not in held),
        validation=tuple(p for p in kept if (p.family or p.problem) in held),
        settings=plan,
        lessons=dict(lessons),
        pairs={reason: count for reason, count in funnel.items() if count},
        compared=compared,
        problems=tuple(tallies),
        ranking=tuple(replace(s, validation=(s.family or s.problem) in held) for s in ranking),
        notes=tuple(notes),
    )
    if not result.train:
        raise DataError(_why_none(result))
    return result


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


def _rescored(one: Studied, scores: Mapping[tuple[str, str], float] | None) -> Studied:
    if scores is None:
        return one
    found = (replace(c, lbt=scores.get((one.problem.id, c.lesson)), error=0.0) for c in one.candidates)
    return replace(one, candidates=tuple(found))


def _pair(values: Mapping[str, Any]) -> Pair:
    sides = {name: Side(**values[name]) for name in ("chosen", "rejected")}
    return Pair(**{**values, **sides, "prompt": _prompt(values["prompt"])})


def _prompt(value: Any) -> Prompt:
    return value if isinstance(value, str) else tuple((str(role), str(text)) for role, text in value)


def _words(pair: Pair) -> tuple[Prompt, str, str]:
    return pair.prompt, pair.chosen.text, pair.rejected.text


def _ranked(one: Studied, plan: PairSettings) -> tuple[list[_Ranked], Counter[str]]:
    """A problem's lessons with their scores, best first, near-duplicates taken out; and what was left out."""
    dropped = Counter(one.dropped)
    found = []
    for candidate in one.candidates:
        if plan.lam > 0 and candidate.lbt is None:
            dropped[NO_SCORE] += 1
        elif plan.lam < 1 and candidate.correct is None:
            dropped[NO_GOLD] += 1
        else:
            found.append(_with_score(candidate, plan.lam))
    kept = unlike(found, lambda r: (r.key, r.side.text), plan.similar)
    if len(kept) < len(found):
        dropped[COPIES] += len(found) - len(kept)
    return sorted(kept, key=lambda r: (-r.side.score, r.side.sample)), dropped


def _with_score(candidate: Candidate, lam: float) -> _Ranked:
    # At either end the other measure is not touched at all: it may be missing, or be what one must not know.
    score = (1 - lam) * (candidate.correct or 0.0) * (lam < 1) + lam * (candidate.lbt or 0.0) * (lam > 0)
    side = Side(
        candidate.lesson,
        candidate.sample,
        candidate.text,
        candidate.answer,
        candidate.correct,
        candidate.lbt,
        score,
    )
    return _Ranked(side, candidate.key, lam * candidate.error)


def _scored(one: Studied, ranked: Sequence[_Ranked]) -> Scored:
    problem: Problem = one.problem
    sides = tuple(r.side for r in ranked)
    return Scored(one.run, problem.id, problem.family, problem.kind, problem.answer, one.prompt, sides)


def _pairs_of(one: Studied, ranked: Sequence[_Ranked], plan: PairSettings) -> tuple[list[Pair], Counter[str]]:
    """The pairs of one problem, clearest first, and why other comparisons are none."""
    dropped: Counter[str] = Counter()
    open_: list[Pair] = []
    for better, worse in combinations(ranked, 2):
        difference = better.side.score - worse.side.score
        error = math.hypot(better.error, worse.error)
        if difference <= plan.margin:
            dropped[WITHIN_MARGIN] += 1
        elif difference <= plan.noise * error:
            dropped[WITHIN_NOISE] += 1
        elif plan.chosen_right and better.side.correct is not None and better.side.correct < 1:
            dropped[WRONG] += 1
        else:
            pair = Pair(
                one.run,
                one.problem.id,
                one.problem.family,
                one.prompt,
                better.side,
                worse.side,
                difference,
                error,
            )
            open_.append(pair)
    kept = _clearest(open_, plan)
    if len(kept) < len(open_):
        dropped[OVER_CAP] += len(open_) - len(kept)
    return kept, dropped


def _clearest(pairs: Sequence[Pair], plan: PairSettings) -> list[Pair]:
    """At most `per_problem` pairs: those of the lessons used least so far first, of these the clearest."""
    uses: Counter[str] = Counter()
    rest = sorted(
        pairs,
        key=lambda p: (
            -round(p.difference, 9),
            digest(plan.seed, p.problem, p.chosen.lesson, p.rejected.lesson),
        ),
    )
    kept: list[Pair] = []
    while rest and len(kept) < plan.per_problem:
        best = min(rest, key=lambda p: max(uses[p.chosen.lesson], uses[p.rejected.lesson]))
        rest.remove(best)
        uses.update((best.chosen.lesson, best.rejected.lesson))
        kept.append(best)
    return kept


def _why_none(result: PairSet) -> str:
    """What to say and to do where there is no pair to train on."""
    plan = result.settings
    if not result.problems:
        return "pairs: no problem of these runs is finished; go on with them by docendo solve --resume"
    lessons = sum(tally.lessons for tally in result.problems)
    if result.validation:
        return "pairs: all pairs are of families kept for validation; keep fewer (validation), or add runs"
    if not lessons and result.lessons.get(NO_GOLD):
        return (
            f"pairs: no taught problem has a gold answer, and correctness counts {1 - plan.lam:g} of a lesson's "
            "score; rank by LbT alone (lambda 1), or use a run whose problems have answers"
        )
    if not lessons and result.lessons.get(NO_SCORE):
        return "pairs: no lesson has an LbT score: the run had no exams; use a run with exams, or lambda 0"
    if not result.compared:
        return f"pairs: no problem has two different lessons to compare ({lessons:,} lessons in all); sample more"
    scores = {round(s.score, 9) for one in result.ranking for s in one.sides}
    if len(scores) == 1:
        return f"pairs: all {lessons:,} lessons have the same score, {scores.pop():g}: none is better than another"
    why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(result.pairs.items()))
    return f"pairs: none of {result.compared:,} comparisons is a pair ({why}); lower the margin, or use more problems"
