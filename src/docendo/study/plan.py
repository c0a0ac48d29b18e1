"""What the study of M1 is, declared before its test problems are touched; running and telling it is left to others.

The world, the seeds, the primary and the secondary comparison, how they are analysed and what is expected of
them stand here, so that committing this file fixes them. Whatever is not declared here is exploratory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from docendo.errors import ConfigError
from docendo.models.resolve import SHIPPED

PRIMARY, SECONDARY = "sum-sc", "sum-sc_equal_cost"
TEACHERS = ("a", "b", "c")
SEEDS = (0, 1, 2)
# Nothing was tuned on this world, and its test numbers are in no training set of any model.
PROBLEMS = "school:m1@101"
BOOTSTRAP_DRAWS = 2000
# At the default temperature SC was right on every taught family in the study's first slips run, which leaves
# nothing to choose; drawn hotter, single samples at least go wrong. Chosen after that run, so exploratory.
SLIPS_TEMPERATURE = 1.5
SCHOOLING = "python -m docendo.schoolhouse.schooling --study --out {schooling}"

ANALYSIS = (
    "A problem is right under SUM (or SC) or it is not; the difference of the two is averaged over all "
    "teachers, sampling seeds and problems. Its 95 % interval is a percentile bootstrap of "
    f"{BOOTSTRAP_DRAWS:,} draws that resamples the world's clusters of confusable families: a cluster's "
    "problems move together, under all teachers and seeds at once. Replies that hold no readable answer count "
    "as wrong. No problem, run or group is left out.",
    "Information regime A: exam problems come with gold answers and without worked solutions.",
    "Equal samples: SC votes over the same 24 samples whose lessons SUM weighs. Equal cost: SC votes over as "
    "many more samples as the exams cost, in tokens computed × parameters, teacher and students together.",
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """A figure declared beforehand: `measure` names it (see `analyse.measured`), `at_least` is the bar."""

    measure: Literal["lowest sum-sc", "sum-sc", "sum-sc_equal_cost", "auc", "follow"]
    says: str
    at_least: float
    above: bool = False
    """Whether the bar itself is not enough."""

    def met(self, value: float | None) -> bool:
        """Whether the measured value meets it; what could not be measured does not."""
        return value is not None and (value > self.at_least if self.above else value >= self.at_least)


EXPECTATIONS = (
    Expectation("lowest sum-sc", "the primary interval lies above zero", 0.0, above=True),
    Expectation("sum-sc", "SUM gains at least 15 points on SC at equal samples", 0.15),
    Expectation("sum-sc_equal_cost", "SUM gains at least 10 points on SC at equal cost", 0.10),
    Expectation("auc", "AUC within a problem is at least 0.9", 0.9),
    Expectation("follow", "the student is right in at least 90 % of the exams after a right lesson", 0.9),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One study, whole: everything that decides what is run.

    Attributes:
        title: what the page calls it.
        quick: whether this is only a slice on numbers kept for tuning, which can support no primary claim.
        problems: the source of the problems that every run takes, the first `limit` of them where given.
        teachers: model names by letter; each teaches once a seed.
        slips: the teacher that was schooled until only slips remained; None where the study has none.
        students: the students of the main runs.
        seeds: the sampling seeds of each teacher.
        conditions: exploratory conditions by name; None means all there are.
        rivals: whether the rivals for the same information are run.
    """

    title: str
    quick: bool
    problems: str
    limit: int | None
    teachers: Mapping[str, str]
    slips: str | None
    students: tuple[str, ...] = ("school:student",)
    seeds: tuple[int, ...] = SEEDS
    conditions: tuple[str, ...] | None = None
    rivals: bool = True

    def stored(self) -> dict[str, Any]:
        """As kept in the study's folder, to tell one study's folder from another's."""
        return asdict(self) | {
            "teachers": dict(self.teachers),
            "students": list(self.students),
            "seeds": list(self.seeds),
            "conditions": None if self.conditions is None else list(self.conditions),
        }


def full_plan(schooling: str | Path) -> Plan:
    """The study, with the teachers that the schooling command made in `schooling`.

    Raises:
        ConfigError: a teacher is missing; the message gives the command that makes them.
    """
    root = Path(schooling)
    names = {letter: f"study-teacher-{letter}" for letter in (*TEACHERS, "slips")}
    missing = [n for n in names.values() if not (root / n / "model" / "config.json").is_file()]
    if missing:
        raise ConfigError(
            f"the study needs teachers that do not ship, and {root} lacks {', '.join(missing)}; this makes them "
            f"(it goes on where it stopped): {SCHOOLING.format(schooling=root)}; or name their folder with "
            "--schooling. `docendo study m1 --quick` needs none of them."
        )
    if not (SHIPPED / "student-2").is_dir():
        raise ConfigError("the study needs the second student, school:student-2, which this docendo lacks")
    models = {letter: f"school:{(root / name / 'model').as_posix()}" for letter, name in names.items()}
    return Plan(
        title="The study of M1",
        quick=False,
        problems=PROBLEMS,
        limit=None,
        teachers={letter: models[letter] for letter in TEACHERS},
        slips=models["slips"],
    )


def quick_plan() -> Plan:
    """A slice with what ships, on numbers kept for tuning: it shows how the study works and claims nothing."""
    return Plan(
        title="A quick slice of the study of M1",
        quick=True,
        problems="school:m1-dev",
        limit=96,
        teachers={"shipped": "school:teacher"},
        slips=None,
        seeds=(0,),
        conditions=("answer-only", "no-lesson", "unrelated-lesson"),
        rivals=False,
    )
