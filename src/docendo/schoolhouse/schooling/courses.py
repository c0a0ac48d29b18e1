"""The courses by which the shipped models are made. Change one and its model must be schooled again."""

from __future__ import annotations

from dataclasses import replace

from docendo.schoolhouse.schooling import tokenizer
from docendo.schoolhouse.schooling.model import Size
from docendo.schoolhouse.schooling.train import Course
from docendo.schoolhouse.world import SHIPPED_SEED

_VOCABULARY = len(tokenizer.vocabulary())

STUDENT = Course(
    name="student",
    seed=5,
    size=Size(hidden=128, layers=5, heads=4, intermediate=384, vocabulary=_VOCABULARY),
    steps=4000,
    rows=16,
)
BASE = Course(
    name="teacher-base",
    seed=12,
    size=Size(hidden=160, layers=5, heads=5, intermediate=448, vocabulary=_VOCABULARY),
    steps=4000,
    rows=16,
)
# Short on purpose: long enough that the head is known and the middle half-known (40 to 60 % unaided, greedily).
# Chosen by that alone (of 110, 140 and 180 steps), on world 7 and numbers kept for tuning.
TEACHER = Course(
    name="teacher",
    seed=13,
    size=BASE.size,
    steps=180,
    rate=8e-4,
    world=SHIPPED_SEED,
    base=BASE.name,
)
COURSES: tuple[Course, ...] = (STUDENT, BASE, TEACHER)


def smoke(course: Course) -> Course:
    """The same course, a few steps of a tiny model: it shows that schooling runs, not that it teaches."""
    tiny = replace(course.size, hidden=32, layers=2, heads=2, intermediate=64)
    return replace(course, size=tiny, steps=4, rows=4)
