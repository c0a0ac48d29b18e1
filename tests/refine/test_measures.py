"""What changes between two sets, where some answers do not count."""

from __future__ import annotations

import pytest
from colours import task

from docendo.refine.book import Book, Entry
from docendo.refine.measures import change, gained
from docendo.refine.nouns import Asked
from docendo.solve.plan import Settings
from docendo.types import ExamAnswer, Grade, GradeState

RIGHT, WRONG = Grade(GradeState.OK, 1.0, "yes", "s:yes"), Grade(GradeState.OK, 0.0, "no", "s:no")
CUT = Grade(GradeState.TRUNCATED)


def book(**models: dict[str, Grade | list[Grade]]) -> Book:
    """The answers of models after sets "now" and "then", to all validation problems; a list: to each of them."""
    found = Book(task(), Settings(), None, None)
    for model, sides in models.items():
        for lesson, given in sides.items():
            for i, problem in enumerate(task().validation):
                grade = given[i] if isinstance(given, list) else given
                asked = Asked(lesson, problem.id, "validation", model, 0, 0)
                found.add(Entry(asked, ExamAnswer(lesson, problem.id, model, 0, "", grade)))
    return found


def test_a_model_that_is_cut_off_with_one_set_makes_it_no_better() -> None:
    """The weak one's wrong answers do not count with the new set, and nothing else is new."""
    known = book(strong={"now": RIGHT, "then": RIGHT}, weak={"now": CUT, "then": WRONG})
    found = change(known, task(), "now", "then", ["strong", "weak"], task().validation)
    assert found.accuracy.mean == 0
    assert not gained(known, task(), ["strong", "weak"], "now", "then")


def test_each_model_counts_alike_where_all_count() -> None:
    half = [RIGHT, WRONG] * (len(task().validation) // 2)
    known = book(one={"now": RIGHT, "then": half}, other={"now": half, "then": half})
    found = change(known, task(), "now", "then", ["one", "other"], task().validation)
    assert found.accuracy.mean == pytest.approx(0.25)
    assert found.accuracy.n == len(task().validation)
