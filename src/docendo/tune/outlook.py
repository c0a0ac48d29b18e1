"""What a tuning would do, before anything is asked: how many pairs and steps, and what is compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from docendo.tune.pairset import PairSet
from docendo.tune.plan import Plan


@dataclass(frozen=True, slots=True)
class Outlook:
    """A tuning as foreseen.

    Attributes:
        teacher: the model whose weights are tuned.
        pairs: to train on; at most, where lessons are still to be taught.
        exact: whether the pairs are known.
        validation: pairs for validation, where they are known.
        steps: of training in a round, at most; 0 where nothing is trained.
        rounds: how many.
        compared: sets on which teachers are compared.
        remark: what a user should know of the settings of the pairs, if anything.
    """

    teacher: str
    pairs: int
    exact: bool
    validation: int | None
    steps: int
    rounds: int
    compared: tuple[str, ...]
    remark: str | None = None

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"compared": list(self.compared)}

    def lines(self) -> list[str]:
        """In words."""
        most = "" if self.exact else "at most "
        held = f", {self.validation:,} for validation" if self.validation is not None else ""
        said = [f"Pairs to train on: {most}{self.pairs:,}{held}; nothing was written."]
        if self.steps:
            again = f", in each of {self.rounds} rounds" if self.rounds > 1 else ""
            said.append(f"Training of {self.teacher}: {most}{self.steps:,} steps{again}.")
        said += [f"Compared before and after on {source}." for source in self.compared]
        return said + ([f"Note: {self.remark}."] if self.remark else [])


def outlook(plan: Plan, pairs: PairSet | None, problems: int | None) -> Outlook:
    """What a plan comes to.

    Args:
        plan: of the tuning.
        pairs: of the runs that it learns from; None where lessons are still to be taught.
        problems: then, how many are taught.
    """
    how = plan.how
    if pairs is not None:
        count = len(pairs.train)
    else:
        each = min(how.pairs.per_problem, plan.teach.lessons * (plan.teach.lessons - 1) // 2)
        count = each * (problems or 0)
    steps = math.ceil(math.ceil(count / how.training.batch) * how.training.epochs)
    steps = min(steps, how.training.steps or steps)
    sets = tuple(source for source in (how.held_out, *how.test) if source)
    return Outlook(
        plan.teacher.model,
        count,
        pairs is not None,
        len(pairs.validation) if pairs is not None else None,
        steps if how.train else 0,
        how.rounds,
        sets,
        how.pairs.remark,
    )
