"""Accuracy and F1 with a set of examples, what changed since another set, and how sure one may be of either.

A problem that counts is one with a graded answer; answers that were cut or whose call failed do not count, and are
shown. An answer without any of the labels counts as wrong: it is missing from the recall of its gold label. Intervals
resample whole clusters of problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docendo.grading.exact import key
from docendo.refine.book import Book, Entry
from docendo.refine.task import Task
from docendo.stats import Interval, mean_ci, paired_difference
from docendo.types import Problem

DRAWS = 2000
LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Readout:
    """One model's results on the test problems with one set.

    `f1` is that of the positive label where there are two labels, the mean over labels elsewhere, and None where there
    are no labels. `uncounted` answers were cut or failed.
    """

    model: str
    accuracy: Interval
    f1: Interval | None
    macro: float | None
    uncounted: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one set is better than another, over the same problems: the mean over models of their differences."""

    accuracy: Interval
    f1: Interval | None


def readout(
    book: Book, task: Task, lesson: str, model: str, problems: Sequence[Problem], positive: str = ""
) -> Readout:
    """How a model does on problems after a set."""
    entries = book.entries(lesson, model, problems)
    counted = [e for e in entries if e.answer.grade.score is not None]
    clusters = _clusters(task)
    accuracy = mean_ci(
        [e.answer.grade.score or 0.0 for e in counted],
        [clusters[e.asked.problem] for e in counted],
        draws=DRAWS,
    )
    f1 = macro = None
    if task.labels and counted:
        golds = {p.id: p.answer or "" for p in problems}
        table = _table(counted, golds, task.labels)
        drawn = _draws(table, [clusters[e.asked.problem] for e in counted])
        wanted = _positive(task.labels, positive)
        values = _f1(drawn, wanted)
        f1 = _interval(float(_f1(table.sum(axis=0)[None], wanted)[0]), values, accuracy)
        macro = float(_f1(table.sum(axis=0)[None], None)[0])
    return Readout(model, accuracy, f1, macro, len(entries) - len(counted))


def change(
    book: Book,
    task: Task,
    now: str,
    then: str,
    models: Sequence[str],
    problems: Sequence[Problem],
    positive: str = "",
) -> Change:
    """What models gain on problems by one set over another; each model counts alike."""
    pairs = _pairs(book, task, now, then, models, problems)
    accuracy = paired_difference(
        [a for a, _, _ in pairs], [b for _, b, _ in pairs], [c for _, _, c in pairs], draws=DRAWS
    )
    if not task.labels or accuracy.mean is None:
        return Change(accuracy, None)
    golds = {p.id: p.answer or "" for p in problems}
    clusters, wanted = _clusters(task), _positive(task.labels, positive)
    means, drawn = [], []
    for model in models:
        sides = []
        for lesson in (now, then):
            counted = [e for e in book.entries(lesson, model, problems) if e.answer.grade.score is not None]
            if not counted:
                return Change(accuracy, None)
            table = _table(counted, golds, task.labels)
            names = [clusters[e.asked.problem] for e in counted]
            universe = [clusters[p.id] for p in problems]
            sides.append(
                (float(_f1(table.sum(axis=0)[None], wanted)[0]), _f1(_draws(table, names, universe), wanted))
            )
        means.append(sides[0][0] - sides[1][0])
        drawn.append(sides[0][1] - sides[1][1])
    return Change(accuracy, _interval(float(np.mean(means)), np.mean(np.array(drawn), axis=0), accuracy))


def mean_over(
    book: Book, task: Task, lesson: str, models: Sequence[str], problems: Sequence[Problem]
) -> Interval:
    """The share of problems that models get right after a set: of each that counts the mean over models."""
    clusters = _clusters(task)
    found = zip(problems, book.by_problem(lesson, problems, models), strict=True)
    counted = [(score, clusters[p.id]) for p, score in found if score is not None]
    return mean_ci([score for score, _ in counted], [cluster for _, cluster in counted], draws=DRAWS)


def gained(book: Book, task: Task, judges: Sequence[str], now: str, then: str) -> bool:
    """Whether one set beats another on validation by more than chance."""
    if now == then:
        return False
    pairs = _pairs(book, task, now, then, judges, task.validation)
    found = paired_difference(
        [a for a, _, _ in pairs], [b for _, b, _ in pairs], [c for _, _, c in pairs], draws=DRAWS
    )
    return found.low is not None and found.low > 0


def _pairs(
    book: Book, task: Task, now: str, then: str, models: Sequence[str], problems: Sequence[Problem]
) -> list[tuple[float, float, str]]:
    """For each problem that counts with both sets: the means over models, and the cluster.

    A model counts for a problem where it does with both sets: one that is cut off with one of them alone would else
    make that one better, or worse, by its absence.
    """
    clusters = _clusters(task)
    found = []
    for problem in problems:
        scores = [[book.score(lesson, [problem], model) for lesson in (now, then)] for model in models]
        both = [(a, b) for a, b in scores if a is not None and b is not None]
        if both:
            own, other = (sum(side) / len(both) for side in zip(*both, strict=True))
            found.append((own, other, clusters[problem.id]))
    return found


def _clusters(task: Task) -> dict[str, str]:
    """What each problem is resampled with."""
    return {p.id: p.cluster or p.family or p.id for p in task.problems()}


def _positive(labels: Sequence[str], said: str) -> int | None:
    """Which label F1 is of; None: the mean over all."""
    if len(labels) != 2:
        return None
    same = [i for i, word in enumerate(labels) if key(word) == key(said)]
    return same[0] if same else 1


def _table(entries: Sequence[Entry], golds: dict[str, str], labels: Sequence[str]) -> Floats:
    """(answers, gold labels, given labels): 1 where an answer is; the last column is for no label at all."""
    numbers = {key(word): i for i, word in enumerate(labels)}
    table = np.zeros((len(entries), len(labels), len(labels) + 1))
    for row, entry in enumerate(entries):
        given = entry.answer.grade.key
        column = numbers.get(given, len(labels)) if given is not None else len(labels)
        table[row, numbers[key(golds[entry.asked.problem])], column] = 1.0
    return table


def _draws(table: Floats, clusters: Sequence[str], universe: Sequence[str] | None = None) -> Floats:
    """Confusion tables (draws, gold, given) of resampled clusters; with one `universe` two tables' draws are paired."""
    names = list(dict.fromkeys(universe if universe is not None else clusters))
    numbers = {name: i for i, name in enumerate(names)}
    sums = np.zeros((len(names), *table.shape[1:]))
    np.add.at(sums, [numbers[name] for name in clusters], table)
    weights = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    drawn: Floats = np.tensordot(weights.astype(float), sums, axes=1)
    return drawn


def _f1(tables: Floats, positive: int | None) -> Floats:
    """F1 of one label, or the mean over labels, of confusion tables (n, gold, given)."""
    labels = tables.shape[1]
    right = np.einsum("nii->ni", tables[:, :, :labels])
    gold, given = tables.sum(axis=2), tables[:, :, :labels].sum(axis=1)
    whole = gold + given
    each: Any = np.where(whole > 0, 2 * right / np.where(whole > 0, whole, 1.0), 0.0)
    found: Floats = each.mean(axis=1) if positive is None else each[:, positive]
    return found


def _interval(mean: float, draws: Floats, like: Interval) -> Interval:
    """A percentile interval, over as many values and clusters as another one."""
    if like.clusters < 2:
        return Interval(mean, None, None, like.n, like.clusters, like.note)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean, float(low), float(high), like.n, like.clusters, like.note)
