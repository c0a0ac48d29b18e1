"""Preference pairs: of one problem's lessons, which of two is better, where that is sure enough to be learnt.

The score of a lesson is (1 - lam) * correct + lam * LbT. A pair is kept where its scores differ by more than a margin
and by more than the luck of the exams explains; then near-duplicates go, each problem keeps its clearest pairs, and
the set is balanced so that the better ones are not the longer ones (or the shorter). Everything is fixed by the seed.
What a pair and a set of them is says `pairset`; reading runs is left to `read`, balancing to `balance`, showing what
was done to `page`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from docendo.errors import ConfigError, DataError
from docendo.store import Store
from docendo.tune.balance import balanced, digest, families_apart, unlike
from docendo.tune.pairset import Pair, PairSet, Scored, Tally
from docendo.tune.pairset import PairSettings as PairSettings
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


def _rescored(one: Studied, scores: Mapping[tuple[str, str], float] | None) -> Studied:
    if scores is None:
        return one
    found = (replace(c, lbt=scores.get((one.problem.id, c.lesson)), error=0.0) for c in one.candidates)
    return replace(one, candidates=tuple(found))


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
