"""How many calls refining asks for, by its settings: for forecasts, and for searches that are to ask for as many."""

from __future__ import annotations

from collections.abc import Sequence

from docendo.refine.plan import Refining
from docendo.refine.task import Task


def judges_of(how: Refining, teacher: str, students: Sequence[str]) -> tuple[str, ...]:
    """Whose answers score a set."""
    who = {"students": tuple(students), "teacher": (teacher,), "both": (*students, teacher)}[how.judge]
    return tuple(dict.fromkeys(who))


def readers_of(teacher: str, students: Sequence[str]) -> tuple[str, ...]:
    """Who is asked the test problems: every student, and the teacher."""
    return tuple(dict.fromkeys((*students, teacher)))


def scoring_calls(how: Refining, task: Task, sets: int) -> int:
    """Calls of one judge for choosing the beam among `sets` new sets on a minibatch, at most."""
    if sets <= how.beam:
        return 0
    size = min(how.minibatch, len(task.exam))
    asked = last = 0
    for problems in how.rungs(size):
        asked += sets * (problems - last)
        last, sets = problems, max(how.beam, (sets + 1) // 2)
    return asked * how.repeats


def round_calls(how: Refining, task: Task, students: int, judges: int) -> dict[str, int]:
    """Calls of one round of a search that reads failures, by stage, at most and without read-outs."""
    size = min(how.minibatch, len(task.exam))
    new = how.beam * how.reflections * how.rewrites
    return {
        "minibatch": how.beam * size * students * how.repeats,
        "reflect": how.beam * how.reflections if how.search == "reflect" else 0,
        "rewrite": new,
        "scoring": scoring_calls(how, task, new) * judges,
        "validation": min(how.beam, new) * len(task.validation) * judges * how.repeats,
    }


def random_sets(how: Refining, task: Task, students: int, judges: int) -> int:
    """Sets a round that random search may ask the whole of validation for the calls of a round that reflects."""
    if how.candidates:
        return how.candidates
    as_reflecting = Refining.of(how.stored() | {"search": "reflect", "candidates": 0})
    calls = sum(round_calls(as_reflecting, task, students, judges).values())
    return max(1, calls // (len(task.validation) * judges * how.repeats))
