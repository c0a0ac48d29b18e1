"""What the answers still open are likely to be, from those there are: the model behind an adaptive exam's certainty.

It is the idea of learning by teaching, written down: at most one answer is right, and lessons that give it mostly
teach well, others mostly badly. Each student's chance p of passing after the lessons of one answer scatters
around that answer's mean m, p ~ Beta(ms, (1 - m)s), on a grid of means and scatters. The prior of m is `_STRONG`
for the right answer and `_WEAK` for all others; both keep a share of the other's, since wrong answers also come
from good methods with a slip, and students are not always able to follow. The prior chance of being right
goes by votes, `_NONE` of it to no answer at all. Constants were chosen on the school's tuning problems.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from docendo.exams.standing import Floats, Ints, Standing

DRAWS = 500
"""Draws of the open answers: a chance of 0.9 is known to about 0.013."""

_MEANS = (np.arange(20) + 0.5) / 20
_SCATTERS = np.array([2.0, 8.0, 32.0])
_A0 = np.outer(_MEANS, _SCATTERS).ravel()
_B0 = np.outer(1 - _MEANS, _SCATTERS).ravel()
_NONE = 0.3


def _curve(a: float, b: float) -> Floats:
    """A Beta(a, b) of the mean over the grid's points, all scatters alike; sums to 1."""
    weight = np.repeat(_MEANS ** (a - 1) * (1 - _MEANS) ** (b - 1), len(_SCATTERS))
    found: Floats = weight / weight.sum()
    return found


_HARDLY, _MOSTLY = _curve(0.4, 12), 0.5 * _curve(2, 1) + 0.5 * _curve(16, 1)
_WEAK = 0.98 * _HARDLY + 0.02 * _MOSTLY
_STRONG = 0.15 * _HARDLY + 0.85 * _MOSTLY
_LGAMMA = np.frompyfunc(math.lgamma, 1, 1)


@dataclass(frozen=True, slots=True)
class _Group:
    """One answer's posterior: Beta parameters (lessons, students, points), and weights (students, points)."""

    a: Floats
    b: Floats
    weak: Floats
    strong: Floats
    odds: float
    """How much likelier its answers are if it is right than if it is not."""


class Forecast:
    """The model, given a standing with at least one answer group."""

    def __init__(self, standing: Standing) -> None:
        dull = standing.dull()
        self._standing = standing
        right = np.where(dull, 0.0, standing.right).sum(axis=2)
        wrong = np.where(dull, 0, standing.counted).sum(axis=2) - right
        self._groups = [_group(right[own], wrong[own]) for own in standing.groups]
        votes = np.array([standing.votes[own].sum() for own in standing.groups], np.float64)
        best = (1 - _NONE) * votes / votes.sum() * np.array([g.odds for g in self._groups])
        self._best = np.append(best, _NONE) / (best.sum() + _NONE)
        # A dull question's open answers are taken to be as all before, for every lesson alike: left out, they
        # would favour whichever lessons were never asked them.
        passed = dull & (standing.right.sum(axis=0) > 0)
        self._open: Ints = np.where(dull, 0, standing.open).sum(axis=2)
        self._sure = standing.right.sum(axis=2) + np.where(passed, standing.open, 0).sum(axis=2)
        self._whole = (standing.counted.sum(axis=2) + standing.open.sum(axis=2)).astype(np.float64)

    @property
    def right(self) -> Floats:
        """The chance of each answer (groups) to be the right one."""
        found: Floats = self._best[:-1]
        return found

    def expected(self) -> Floats:
        """The score (lessons) that each lesson can be expected to end with; its very score where all was asked."""
        chance = np.zeros(self._open.shape)
        for i, own in enumerate(self._standing.groups):
            group = self._groups[i]
            mean = group.a / (group.a + group.b)
            weak, strong = ((weight * mean).sum(axis=2) for weight in (group.weak, group.strong))
            chance[own] = self._best[i] * strong + (1 - self._best[i]) * weak
        return self._standing.scores(self._sure + self._open * chance, self._whole)

    def draws(self, rng: np.random.Generator, count: int = DRAWS) -> Floats:
        """Scores (count, lessons) that the lessons may end with."""
        best = rng.choice(len(self._best), count, p=self._best)
        more = np.zeros((count, *self._open.shape))
        for i, own in enumerate(self._standing.groups):
            group = self._groups[i]
            for student in range(self._open.shape[1]):
                if not self._open[own, student].any():
                    continue
                points = group.a.shape[2]
                strong, weak = (
                    rng.choice(points, count, p=weight[student]) for weight in (group.strong, group.weak)
                )
                at = np.where(best == i, strong, weak)
                chance = rng.beta(group.a[:, student, at].T, group.b[:, student, at].T)
                more[:, own, student] = rng.binomial(self._open[own, student], chance)
        return self._standing.scores(self._sure + more, self._whole)


def _group(right: Floats, wrong: Floats) -> _Group:
    """The posterior of one answer from sums (lessons, students) of right and wrong exam answers."""
    a, b = _A0 + right[:, :, None], _B0 + wrong[:, :, None]
    log = (_log_beta(a, b) - _log_beta(_A0, _B0)).sum(axis=0)
    likely = np.exp(log - log.max(axis=1, keepdims=True))
    weak, strong = likely * _WEAK, likely * _STRONG
    of_weak, of_strong = weak.sum(axis=1, keepdims=True), strong.sum(axis=1, keepdims=True)
    return _Group(a, b, weak / of_weak, strong / of_strong, float(np.prod(of_strong / of_weak)))


def _log_beta(a: Floats, b: Floats) -> Floats:
    found: Floats = np.asarray(_LGAMMA(a) + _LGAMMA(b) - _LGAMMA(a + b), np.float64)
    return found
