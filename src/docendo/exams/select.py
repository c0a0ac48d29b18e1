"""Which problems a lesson is examined on: variants, that is other problems of the taught one's family.

Asking and grading them is left to others, and so are other ways of finding exam problems.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from docendo.errors import ConfigError, DataError
from docendo.types import Problem


class ProblemPool:
    """Problems to make exams from, found by family; their order does not matter.

    Args:
        problems: one or several problem sets together. The same problem may be in more than one.

    Raises:
        DataError: two different problems share an id.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        by_id: dict[str, Problem] = {}
        families: dict[str, list[Problem]] = {}
        for problem in problems:
            known = by_id.setdefault(problem.id, problem)
            if known is not problem and known != problem:
                raise DataError(
                    f"exam pool: two different problems have the id {problem.id!r}; rename one of them"
                )
            if known is problem and problem.family is not None:
                families.setdefault(problem.family, []).append(problem)
        self._families = {family: tuple(members) for family, members in families.items()}

    def family(self, name: str | None) -> tuple[Problem, ...]:
        """Return the problems of one family; none for an unknown family or None."""
        return () if name is None else self._families.get(name, ())


def select_variants(problem: Problem, pool: ProblemPool, count: int, seed: int) -> tuple[Problem, ...]:
    """Choose the exam problems for one taught problem (paper, section 3: its functional variants).

    Left out: the taught problem itself, problems with its question or with the question of a problem chosen
    already (white space apart), and problems without a gold answer. The choice depends on the seed, the
    taught problem and the candidates alone, not on the pool's order, so that adding an unrelated problem
    changes no exam.

    Args:
        problem: the taught problem.
        pool: where the exam problems come from; may contain the taught one.
        count: how many to choose, at least 1.
        seed: the run's seed; another seed makes another choice.

    Returns:
        `count` problems, or all that are eligible where there are fewer.

    Raises:
        ConfigError: `count` is below 1.
        DataError: no problem is eligible.
    """
    if count < 1:
        raise ConfigError(f"an exam needs at least 1 problem, not {count}")
    ranked = sorted(pool.family(problem.family), key=lambda other: _rank(seed, problem.id, other.id))
    questions = {_words(problem.question)}
    chosen: list[Problem] = []
    for other in ranked:
        question = _words(other.question)
        if other.id == problem.id or not other.examinable or question in questions:
            continue
        questions.add(question)
        chosen.append(other)
        if len(chosen) == count:
            break
    if not chosen:
        raise DataError(_explain(problem))
    return tuple(chosen)


def _rank(seed: int, taught: str, other: str) -> bytes:
    # The lengths keep ("a", "bc") and ("ab", "c") apart.
    text = f"{seed}:{len(taught)}:{taught}:{other}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _words(question: str) -> str:
    return " ".join(question.split())


def _explain(problem: Problem) -> str:
    if problem.family is None:
        return (
            f"problem {problem.id!r} has no family, so no exam can be made for it: give it a 'family' that "
            f"it shares with problems whose answers are known, or add such problems as an exam pool"
        )
    return (
        f"problem {problem.id!r}: its family {problem.family!r} has no problem with another question and a "
        f"known answer, so no exam can be made for it: add some to the problem set or to an exam pool"
    )
