"""How sets are refined: the settings of `docendo refine` beside those of the models, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from docendo.errors import ConfigError
from docendo.solve.plan import nearest

SEARCHES = ("reflect", "rewrite", "propose", "sample", "random")
STARTS = ("teacher", "train")
JUDGES = ("students", "teacher", "both")
SCORINGS = ("halving", "all")
RATIONALES = ("given", "teacher")


@dataclass(frozen=True, slots=True)
class Refining:
    """The settings of refining. Defaults are the paper's (Ning et al. 2024, section 5).

    Attributes:
        examples: examples a set.
        rounds: most rounds after round 0, in which the starting sets are examined.
        beam: sets that go on from each round.
        minibatch: exam problems a round.
        reflections: samples of failures that the teacher reflects on, for each set of the beam.
        rewrites: new sets for each of these.
        failures: failures in each sample.
        mix: reflections that are given together to whoever rewrites a set.
        search: where new sets come from. "reflect": the teacher reads failures, says what is wrong, and rewrites.
            "rewrite": it rewrites straight from the failures. "propose": it writes new sets without having seen any
            failure, and the students' results only select. "sample": sets are drawn from training problems, and
            selected likewise. "random": sets are drawn, each one asked the whole of validation, the best one kept: the
            usual random search, for comparison.
        candidates: new sets a round of the searches that read no failures; 0: as many as "reflect" would ask for, and
            for "random" as many as ask for as many calls.
        start: where the starting sets come from: "teacher", "train" (drawn from training problems), or a file of
            lessons, each set after an empty line or all lines one set.
        starts: starting sets; 0: as many as the beam holds.
        shown: training problems that the teacher is shown when it proposes a set.
        rationales: what examples drawn from training problems explain: "given" is what the problem's solution says, if
            there is one; "teacher" has the teacher work the problems, and takes those it gets right.
        judge: whose answers score a set: the "students", the "teacher", or "both".
        scoring: "halving" asks all new sets a few problems and only the better half more; "all" asks all of them all.
        repeats: times each model is asked each problem.
        balanced: whether labels must be about as frequent as one another in a set.
        positive: the label that F1 is of, where a task has two; empty: the second.
        patience: rounds in a row without a significant gain on validation after which to stop; 0: never.
        writing_tokens: the longest set or reflection; 0 is 512 for `school:` models, 4096 for others.
        bare: whether the models are also asked the test problems without any examples.
    """

    examples: int = 8
    rounds: int = 5
    beam: int = 4
    minibatch: int = 64
    reflections: int = 4
    rewrites: int = 1
    failures: int = 4
    mix: int = 1
    search: str = "reflect"
    candidates: int = 0
    start: str = "teacher"
    starts: int = 0
    shown: int = 4
    rationales: str = "given"
    judge: str = "students"
    scoring: str = "halving"
    repeats: int = 1
    balanced: bool = True
    positive: str = ""
    patience: int = 0
    writing_tokens: int = 0
    bare: bool = True

    def __post_init__(self) -> None:
        """Refuse values that no run could be done with."""
        for name in (
            "examples",
            "beam",
            "minibatch",
            "reflections",
            "rewrites",
            "failures",
            "mix",
            "repeats",
        ):
            _at_least(self, name, 1)
        for name in ("rounds", "candidates", "starts", "shown", "patience", "writing_tokens"):
            _at_least(self, name, 0)
        for name, known in (
            ("search", SEARCHES),
            ("judge", JUDGES),
            ("scoring", SCORINGS),
            ("rationales", RATIONALES),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"setting {name}: there is no {value!r}{nearest(value, known)}")
        if self.mix > self.reflections:
            raise ConfigError(
                f"setting mix: {self.mix} reflections cannot be mixed where there are {self.reflections} a set"
            )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Refining:
        """Settings from keyword arguments or a stored configuration.

        Raises:
            ConfigError: an unknown name, or a value of the wrong type.
        """
        known = {f.name: f.default for f in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"unknown setting {name!r}{nearest(name, list(known))}")
            wanted = type(known[name])
            if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
                raise ConfigError(f"setting {name}: {value!r} is not a {wanted.__name__}")
        return cls(**values)

    def stored(self) -> dict[str, Any]:
        """As kept in the run folder."""
        return asdict(self)

    @property
    def starting(self) -> int:
        """Sets that round 0 begins with."""
        return self.starts or self.beam

    @property
    def new_sets(self) -> int:
        """New sets a round."""
        if self.candidates and self.search in ("propose", "sample", "random"):
            return self.candidates
        return self.beam * self.reflections * self.rewrites

    @property
    def reads_failures(self) -> bool:
        """Whether what students get wrong is shown to the teacher."""
        return self.search in ("reflect", "rewrite")

    def rungs(self, size: int) -> list[int]:
        """How many problems the new sets have been asked after each step of scoring."""
        if self.scoring == "all":
            return [size]
        steps: list[int] = []
        rung = self.new_sets
        while rung > self.beam:
            steps.append(max(1, size // 2 ** len(steps)))
            rung = (rung + 1) // 2
        return sorted({*steps, size})


def _at_least(settings: Refining, name: str, least: int) -> None:
    value = getattr(settings, name)
    if value < least:
        raise ConfigError(f"setting {name}: {value} is too small, it must be at least {least}")
