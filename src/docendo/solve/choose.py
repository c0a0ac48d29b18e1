"""How one answer is chosen from scored lessons: the choice rules MAJ, MAX, SUM and AVG (paper, section 3).

Lessons are grouped by their answers' equivalence keys; a lesson without a key has no answer and no vote. A
lesson that the teacher wrote more than once counts once for each sample. A lesson without a score has no
weight under MAX, SUM and AVG, so where no lesson has one these rules fall back to the majority by their ties.

Ties: equal weights are decided by the group's number of samples, then by its first sample. MAJ, which is
self-consistency and must not see exam scores, knows only the last two. Weights that differ by less than a
billionth of the largest are equal: they are sums of shares such as 1/9, and rounding must not decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from docendo.errors import ConfigError
from docendo.types import Choice, ScoredLesson

_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """All lessons that give one answer.

    `answer` is as its first sample wrote it, `first` that sample's index, `count` the number of samples.
    `total` is the sum of the lessons' LbT scores and `mean` their mean, each sample counted and lessons
    without a score left out; `max` is the highest. All three are 0 where no lesson has a score.
    """

    key: str
    answer: str | None
    lessons: tuple[ScoredLesson, ...]
    count: int
    first: int
    total: float
    mean: float
    max: float


_WEIGHTS: dict[str, Callable[[AnswerGroup], float]] = {
    "maj": lambda group: group.count,
    "max": lambda group: group.max,
    "sum": lambda group: group.total,
    "avg": lambda group: group.mean,
}
RULES: tuple[str, ...] = tuple(_WEIGHTS)


def choose(rule: str, lessons: Sequence[ScoredLesson]) -> Choice:
    """Choose an answer by one rule.

    Args:
        rule: `maj` (most samples), `max` (the answer of the lesson with the highest LbT score), `sum`
            (largest sum of scores) or `avg` (largest mean score).
        lessons: the scored lessons of one problem, in any order.

    Returns:
        The choice; its `weight` is what won by the rule's measure. Without any lesson that has an answer,
        `answer` and `key` are None and the weight is 0.

    Raises:
        ConfigError: no such rule.
    """
    if rule not in _WEIGHTS:
        raise ConfigError(f"unknown choice rule {rule!r}; the rules are {', '.join(RULES)}")
    groups = answer_groups(lessons)
    if not groups:
        return Choice(rule, None, None, 0.0)
    weight = _WEIGHTS[rule]
    best = max(map(weight, groups))
    tied = [group for group in groups if weight(group) >= best * (1 - _SAME)]
    winner = min(tied, key=lambda group: (-group.count, group.first))
    return Choice(rule, winner.answer, winner.key, float(weight(winner)))


def answer_groups(lessons: Sequence[ScoredLesson]) -> list[AnswerGroup]:
    """Group lessons by answer, in the order of their first samples; those without a key are left out."""
    by_key: dict[str, list[ScoredLesson]] = {}
    for lesson in sorted(lessons, key=lambda lesson: min(lesson.samples, default=0)):
        if lesson.grade.key is not None and lesson.samples:
            by_key.setdefault(lesson.grade.key, []).append(lesson)
    return [_group(key, members) for key, members in by_key.items()]


def majority(answers: Sequence[tuple[str, str | None] | None]) -> Choice:
    """Self-consistency over plain samples: the most frequent key, of equally frequent ones the first.

    Args:
        answers: (key, answer as written) of each sample in order; None for a sample without an answer.
    """
    counts: dict[str, int] = {}
    written: dict[str, str | None] = {}
    for answer in answers:
        if answer is not None:
            counts[answer[0]] = counts.get(answer[0], 0) + 1
            written.setdefault(*answer)
    if not counts:
        return Choice("maj", None, None, 0.0)
    key = max(counts, key=counts.__getitem__)  # the first of equals, as dicts keep the order of insertion
    return Choice("maj", written[key], key, float(counts[key]))


def _group(key: str, lessons: Sequence[ScoredLesson]) -> AnswerGroup:
    scored = [(lesson.score, len(lesson.samples)) for lesson in lessons if lesson.score is not None]
    total = math.fsum(score * count for score, count in scored)
    return AnswerGroup(
        key=key,
        answer=lessons[0].grade.answer,
        lessons=tuple(lessons),
        count=sum(len(lesson.samples) for lesson in lessons),
        first=min(lessons[0].samples),
        total=total,
        mean=total / sum(count for _, count in scored) if scored else 0.0,
        max=max((score for score, _ in scored), default=0.0),
    )
