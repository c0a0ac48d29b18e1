"""How many exam questions to ask of which lesson: adaptive exams, in rounds, until the choice is settled.

Nothing is asked here. The same answers give the same decisions, so a run that was cut goes on as it would have.
"""

from __future__ import annotations

import hashlib
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
    live = standing.open > 0
    if certainty < 1:
        live &= ~standing.dull()
    seats = _seats(standing, live, _tells(drawn, stays), whole=certainty >= 1)
    return Step(chance, None, seats) if seats else Step(chance, "dull")


def _tells(drawn: Floats, stays: Bools) -> Floats:
    """How much each lesson's score would say of whether the leader stays: their correlation over the draws."""
    scores = np.nan_to_num(drawn)
    scores = scores - scores.mean(axis=0)
    spread = np.sqrt((scores**2).mean(axis=0))
    together = np.abs((stays - stays.mean()) @ scores) / len(drawn)
    found: Floats = np.where(spread > 1e-9, together / np.maximum(spread, 1e-9), 0.0)
    return found


def _seats(standing: Standing, live: Bools, tells: Floats, *, whole: bool) -> tuple[Seat, ...]:
    """A round: of the most telling lessons, of each student as many questions again as it was asked already, or one.

    Fewer rounds that way, and whoever is asked again has more of a prompt to share. Exam problems come in turn, those
    asked least often first. `whole` asks all that is left of those lessons.
    """
    lessons = [int(i) for i in np.argsort(-tells, kind="stable") if live[i].any()]
    seats = []
    for lesson in lessons[:LESSONS_A_ROUND]:
        for student in np.flatnonzero(live[lesson].any(axis=1)).tolist():
            asked, may = standing.asked[lesson, student], live[lesson, student]
            left = [(int(r), int(p)) for p in np.flatnonzero(may) for r in range(asked[p], standing.repeats)]
            count = len(left) if whole else max(1, int(asked.sum()))
            seats += [Seat(student, lesson, problem, repeat) for repeat, problem in sorted(left)[:count]]
    return tuple(seats)
