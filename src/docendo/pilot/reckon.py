"""What a full run would gain and cost, reckoned from the pilot's own samples.

A pilot has fewer samples of a problem than its full run, and two things do not grow in step with them: identical
lessons are examined once, and among more lessons can be chosen better. How they grow is read off the pilot by thinning
its samples: each doubling is taken to multiply the distinct lessons by the same factor (Heaps' law, as of the words of
a text), and to add as many points to the gain, as the last doublings within the pilot did.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from docendo.models.budget import money
from docendo.models.spec import Prices
from docendo.solve.curves import thinned
from docendo.solve.facts import Facts
from docendo.solve.plan import weights_of
from docendo.solve.road import MOST_EXTRA_SAMPLES
from docendo.stats import Interval, function_ci, mean_ci
from docendo.store import RunView, TotalRow
from docendo.types import Purpose, Usage

Floats = NDArray[np.float64]

FAR = 4.0
"""So many times the pilot's samples a gain is taken to go on growing; further nobody can see from a pilot."""

SUBSETS = 200
"""Random thinnings of a problem's samples."""


@dataclass(frozen=True, slots=True)
class Full:
    """The run that a pilot is for: its problems, samples of each, and whether SC gets more of them at equal cost."""

    problems: int
    lessons: int
    equal_cost: bool


@dataclass(frozen=True, slots=True)
class Load:
    """Mean tokens of one call of a model for a purpose, how many such calls a full run has, and what they cost.

    `low` and `high` bound the calls (95 %, over the pilot's problems); they are `calls` where the plan fixes these.
    `money` is of all these calls together; None where the model has no prices.
    """

    model: str
    purpose: Purpose
    calls: int
    low: int
    high: int
    prompt: float
    cached: float
    completion: float
    seconds: float
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What a full run would ask, by model and purpose, and in all, with intervals over the pilot's problems.

    `tokens` are those sent and written together; `money` is None where no model has prices.
    """

    loads: Sequence[Load]
    tokens: Interval
    money: Interval | None


def full_gain(facts: Sequence[Facts], arm: str, lessons: int) -> Interval:
    """`arm` - SC with so many lessons: the pilot's own, and for each doubling as many points more as it gained by one.

    Args:
        facts: the pilot's problems that can be judged.
        arm: "sum" or "max".
        lessons: the full run's.
    """
    judged = [f for f in facts if f.keys]
    taught = max((len(f.keys) for f in judged), default=1)
    few = max(taught // 4, 1)
    doublings = math.log(min(max(lessons / taught, 1.0), FAR)) / (math.log(taught / few) or 1.0)
    gains = []
    for right in thinned(judged, (few, taught), subsets=SUBSETS):
        less, more = right[arm] - right["sc"]
        gains.append(float(more + (more - less) * doublings))
    return mean_ci(gains, [f.problem.cluster or f.problem.id for f in judged])


def full_lessons(facts: Sequence[Facts], lessons: int) -> Interval:
    """Distinct lessons of a problem among so many samples.

    Args:
        facts: the pilot's problems.
        lessons: samples of each in the full run.
    """
    return _Scale(facts, Full(len(facts), lessons, equal_cost=False)).distinct()


def reckon(view: RunView, facts: Sequence[Facts], full: Full, prices: Mapping[str, Prices]) -> Reckoned:
    """Reckon a full run from a pilot's store.

    Args:
        view: the pilot's.
        facts: its finished problems.
        full: what it is a pilot for.
        prices: of the models that have any.
    """
    totals = [row for row in view.totals() if row.purpose != "control"]
    scale = _Scale(facts, full)
    calls, samples = _calls(view), _samples_worth(view, facts)
    loads = []
    for row in totals:
        price = prices.get(row.model)
        if (own := calls.get((row.model, row.purpose))) is not None:
            loads.append(_load(row, row.purpose, scale.around(row.calls, own), price))
        else:
            likely = row.calls * scale.problems * (scale.samples if row.purpose == "teach" else 1.0)
            loads.append(_load(row, row.purpose, (likely, likely, likely), price))
        if row.purpose == "teach" and full.equal_cost and samples:
            loads.append(_load(row, "sc", scale.around(sum(samples.values()), samples), price))
    tokens = scale.over(
        _spent(view, lambda _, usage: usage.prompt + usage.completion), samples if full.equal_cost else {}
    )
    paid = None
    if prices:
        spent = _spent(view, lambda model, usage: money(usage, prices[model]) if model in prices else 0.0)
        paid = scale.over(spent, samples if full.equal_cost else {})
    return Reckoned(loads, tokens, paid)


def _load(row: TotalRow, purpose: Purpose, calls: tuple[float, float, float], price: Prices | None) -> Load:
    """So many calls (likely, at least, at most), each as the mean of those in `row`."""
    n, (likely, low, high) = max(row.calls, 1), map(round, calls)
    mean = row.usage.prompt / n, row.usage.cached / n, row.usage.completion / n
    cost = None if price is None else money(row.usage, price) / n * likely
    return Load(row.model, purpose, likely, low, high, *mean, row.seconds / n, cost)


@dataclass(slots=True)
class _Spent:
    """What one problem took: whatever its number of samples, for each sample, and for its lessons."""

    once: float = 0.0
    samples: float = 0.0
    lessons: float = 0.0


class _Scale:
    """How what a pilot's problems took is scaled to the full run, and how sure that is."""

    def __init__(self, facts: Sequence[Facts], full: Full) -> None:
        self._ids = [f.problem.id for f in facts]
        self._clusters = [f.problem.cluster or f.problem.id for f in facts]
        self._count = [len(f.keys) for f in facts]
        self._distinct = np.array([_distinct(f) for f in facts]).reshape(-1, 2)
        self._taught = max(self._count, default=1)
        self._full = full
        self.problems = full.problems / max(len(facts), 1)
        self.samples = full.lessons / max(self._taught, 1)

    def distinct(self) -> Interval:
        """Distinct lessons of a problem in the full run."""
        rows = self._distinct.tolist()
        return function_ci(lambda means: self._growth(means) * means[:, 0], rows, self._clusters)

    def around(self, total: float, own: Mapping[str, float]) -> tuple[float, float, float]:
        """What the pilot has `total` of, `own` by problem, in step with lessons: likely, at least, at most."""
        columns = np.column_stack([self._distinct, [own.get(id, 0.0) for id in self._ids]])
        found = function_ci(lambda means: self._growth(means) * means[:, 2], columns.tolist(), self._clusters)
        growth = float(self._growth(self._distinct.mean(axis=0)[None, :])[0]) if len(self._ids) else 1.0
        likely = total * self.problems * growth
        if not found.mean or found.low is None or found.high is None:
            return likely, likely, likely
        return likely, likely * found.low / found.mean, likely * found.high / found.mean

    def over(self, spent: Mapping[str, _Spent], more: Mapping[str, float]) -> Interval:
        """The full run's sum of what problems took, with so many `more` samples of each in step with its lessons."""
        rows = []
        for id, count, distinct in zip(self._ids, self._count, self._distinct.tolist(), strict=True):
            own = spent.get(id, _Spent())
            extra = more.get(id, 0.0) * own.samples / max(count, 1)
            rows.append([*distinct, own.once, own.samples, own.lessons + extra])

        def of(means: Floats) -> Floats:
            return self._full.problems * (
                means[:, 2] + means[:, 3] * self.samples + means[:, 4] * self._growth(means)
            )

        return function_ci(of, rows, self._clusters)

    def _growth(self, means: Floats) -> Floats:
        """By how much distinct lessons grow, from their mean numbers among all of the samples and half of them."""
        half = max(self._taught // 2, 1)
        if self.samples <= 1 or half == self._taught:
            return np.full(len(means), self.samples)
        some = np.maximum(means[:, 1], 1e-9)
        power = np.clip(
            np.log(np.maximum(means[:, 0], 1e-9) / some) / math.log(self._taught / half), 0.0, 1.0
        )
        grown: Floats = self.samples**power
        return grown


def _distinct(f: Facts) -> tuple[float, float]:
    """Distinct lessons among a problem's samples, and how many are to be expected among half of them."""
    n = len(f.keys)
    half = max(n // 2, 1)
    copies = Counter(i for i in f.lesson if i >= 0).values()
    expected = sum(1 - math.comb(n - same, half) / math.comb(n, half) for same in copies) if n else 0.0
    return float(len(copies)), expected


def _calls(view: RunView) -> dict[tuple[str, str], dict[str, float]]:
    """Calls in step with lessons, by model and purpose: of each problem."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in view.exam_answers():
        for purpose in ("exam", "likelihood"):
            found[row.student, purpose][row.problem] += 1
    for sample, model, _ in view.samples_spent():
        if sample.arm == "debug" and model is not None:
            found[model, "debug"][sample.problem] += 1
    return {key: dict(counts) for key, counts in found.items()}


def _spent(view: RunView, worth: Callable[[str, Usage], float]) -> dict[str, _Spent]:
    """What each finished problem took, in tokens or money."""
    found: defaultdict[str, _Spent] = defaultdict(_Spent)
    for sample, model, usage in view.samples_spent():
        own, cost = found[sample.problem], worth(model or "", usage)
        if sample.arm == "greedy":
            own.once += cost
        elif sample.arm == "debug":
            own.lessons += cost
        elif sample.arm != "draft":
            own.samples += cost
    for id, _, model, usage in view.exams_spent():
        found[id].lessons += worth(model, usage)
    for id, model, usage in view.writing_spent():
        found[id].once += worth(model, usage)
    return found


def _samples_worth(view: RunView, facts: Sequence[Facts]) -> dict[str, float]:
    """How many more samples of each judged problem cost what its exams cost, as `solve` reckons it (`road`)."""
    sizes = weights_of({m.name: m.parameters for m in view.models()})
    computed: defaultdict[str, list[int]] = defaultdict(list)
    for sample, model, usage in view.samples_spent():
        if sample.arm not in ("greedy", "draft", "debug"):
            computed[sample.problem].append(usage.computed * sizes.get(model or "", 1))
    found: dict[str, float] = {}
    for f in facts:
        later = computed[f.problem.id][1:] or computed[f.problem.id]
        if f.problem.judgeable and sum(later) > 0:
            exams = math.fsum(cost.cost for cost in (*f.lesson_costs, f.writing, f.debugged))
            found[f.problem.id] = min(exams / (sum(later) / len(later)), MOST_EXTRA_SAMPLES)
    return found
