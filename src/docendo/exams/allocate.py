"""How many exam questions to ask of which lesson: adaptive exams, in rounds, until the choice is settled.

Nothing is asked here. The same answers give the same decisions, so a run that was cut goes on as it would have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from docendo.exams.forecast import Forecast
from docendo.exams.standing import Bools, Floats, Seat, Standing
from docendo.exams.ways import Settle
from docendo.types import Ended

MARGIN: dict[Settle, float] = {"sum": 0.5, "max": 0.25}
"""Leads below this are not worth asking for, in units of a lesson that passes its whole exam: where all lessons
fail, which of them passes one question by luck decides a whole exam's choice, and asking would only follow luck."""

LESSONS_A_ROUND = 4
"""Lessons asked about in a round: more share the beginning of their prompts, fewer are chosen with more knowledge."""

TRIAL = 3
"""Questions, or each exam problem once if that is more, after which a lesson that passed any is known well enough
for others to be asked about before it is asked more. More than one of a visit share the reading of the lesson."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: stop because it `ended`, or ask `seats`; `chance` as in `Sitting`."""

    chance: float
    ended: Ended | None
    seats: tuple[Seat, ...] = ()


def plan_next(standing: Standing, settle: Settle, certainty: float, randomness: str) -> Step:
    """Say whether to stop, or what to ask in the next round.

    Args:
        standing: what was answered.
        settle: the rule whose choice is to be settled.
        certainty: stop at this chance; 1 stops only where nothing can change the choice.
        randomness: seeds the draws; the same text and answers give the same decision.
    """
    if len(standing.groups) < 2:
        return Step(1.0, "agreed")
    if not standing.open.any():
        return Step(1.0, "complete")
    if standing.settled(settle) is not None:
        return Step(1.0, "settled")
    seed = int.from_bytes(hashlib.sha256(randomness.encode("utf-8", "surrogatepass")).digest()[:16], "big")
    forecast = Forecast(standing)
    drawn = forecast.draws(np.random.Generator(np.random.Philox(key=seed)))
    ends = standing.group_weights(drawn, settle)
    leader = standing.choice(forecast.expected(), settle)
    stays = ends[:, leader] >= ends.max(axis=1) - (MARGIN[settle] if certainty < 1 else 0.0)
    chance = float(stays.mean())
    if certainty < 1 and chance >= certainty:
        return Step(chance, "certain")
    # What tells nothing may still change the choice, so whoever wants no doubt must have it asked.
    tells = _tells(drawn, stays)
    if certainty >= 1:
        seats = _most_telling(standing, standing.open > 0, tells)
    else:
        live = (standing.open > 0) & ~standing.dull()
        seats = _search(standing, live, leader, forecast.right) or _contest(standing, live, tells)
    return Step(chance, None, seats) if seats else Step(chance, "dull")


def _tells(drawn: Floats, stays: Bools) -> Floats:
    """How much each lesson's score would say of whether the leader stays: their correlation over the draws."""
    scores = np.nan_to_num(drawn)
    scores = scores - scores.mean(axis=0)
    spread = np.sqrt((scores**2).mean(axis=0))
    together = np.abs((stays - stays.mean()) @ scores) / len(drawn)
    found: Floats = np.where(spread > 1e-9, together / np.maximum(spread, 1e-9), 0.0)
    return found


def _search(standing: Standing, live: Bools, leader: int, right: Floats) -> tuple[Seat, ...]:
    """A round of the search for an answer whose lessons teach; nothing once every lesson had its chance.

    First whatever passed a question gets the rest of its trial, two questions a visit, and the leading answer's first
    lesson with it. Else lessons that were never asked get one question each, those with the most votes first. Else, but
    once only, the likeliest of those that failed get a second.
    """
    asked = standing.asked.sum(axis=2).max(axis=1)
    passed = standing.right.sum(axis=(1, 2)) > 0
    may = live.any(axis=(1, 2))
    problems = live.shape[2]
    on_trial = may & (asked > 0) & (asked < max(problems, min(TRIAL, problems * standing.repeats)))
    found = np.flatnonzero(on_trial & passed).tolist()
    if found:
        own = [i for i in standing.groups[leader].tolist() if on_trial[i] and not passed[i]]
        own.sort(key=lambda i: -standing.votes[i])
        return _of(standing, live, [*found, *own[:1]], lambda asked: 2)
    fresh = np.flatnonzero(may & (asked == 0)).tolist()
    if fresh:
        fresh.sort(key=lambda i: -standing.votes[i])
        return _of(standing, live, fresh[:LESSONS_A_ROUND], lambda asked: 1)
    failed = ~passed & (asked > 0)
    if (failed & (asked > 1)).any():
        return ()
    answer = {i: group for group, own in enumerate(standing.groups) for i in own.tolist()}
    again = np.flatnonzero(failed & may).tolist()
    again.sort(key=lambda i: (-right[answer[i]], answer[i], -standing.votes[i]))
    return _of(standing, live, again[:LESSONS_A_ROUND], lambda asked: 1)


def _contest(standing: Standing, live: Bools, tells: Floats) -> tuple[Seat, ...]:
    """A round between lessons that passed something: of the most telling, as many questions again as were asked."""
    passed = standing.right.sum(axis=(1, 2)) > 0
    lessons = [
        int(i) for i in np.argsort(-tells, kind="stable") if passed[i] and tells[i] > 0 and live[i].any()
    ]
    return _of(standing, live, lessons[:LESSONS_A_ROUND], lambda asked: max(1, asked))


def _most_telling(standing: Standing, live: Bools, tells: Floats) -> tuple[Seat, ...]:
    """All that is left of the lessons that would say most: for whoever wants no doubt."""
    lessons = [int(i) for i in np.argsort(-tells, kind="stable") if live[i].any()]
    return _of(
        standing, live, lessons[:LESSONS_A_ROUND], lambda asked: standing.asked.size * standing.repeats
    )


def _of(
    standing: Standing, live: Bools, lessons: Sequence[int], count: Callable[[int], int]
) -> tuple[Seat, ...]:
    """Questions about lessons: of each student `count` by how many it was asked, the least asked problems first."""
    seats = []
    for lesson in lessons:
        for student in np.flatnonzero(live[lesson].any(axis=1)).tolist():
            asked, may = standing.asked[lesson, student], live[lesson, student]
            left = [(int(r), int(p)) for p in np.flatnonzero(may) for r in range(asked[p], standing.repeats)]
            seats += [
                Seat(student, lesson, problem, repeat)
                for repeat, problem in sorted(left)[: count(int(asked.sum()))]
            ]
    return tuple(seats)
