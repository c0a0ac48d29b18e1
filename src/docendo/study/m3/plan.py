"""What the study of M3 is, declared before its test problems are touched.

Tasks, arms, seeds, settings, the primary comparison and how it is analysed stand here, so that committing this file
fixes them. Whatever is not declared here is exploratory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from docendo.data import load_problems
from docendo.refine.task import Task, task_of

TEACHER = "school:verbal-teacher"
STUDENTS = ("school:verbal-student", "school:verbal-student-2")
SEEDS = (0, 1, 2, 3, 4)
ROUNDS = 5
BOOTSTRAP_DRAWS = 2000

# Of each cluster the first task. Settings were chosen on those of the first half; nothing was tuned on the others.
DEV_TASKS = tuple(f"v1-{number:02}-1" for number in range(1, 25))
TEST_TASKS = tuple(f"v1-{number:02}-1" for number in range(25, 47))


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of refining under comparison.

    Attributes:
        name: names it in tables and folders.
        says: what it is.
        students: who takes exams and judges sets.
        search: where new sets come from, as for `docendo refine`.
        settings: of `Refining`, where they differ from the study's.
        bootstrapped: whether training problems are explained by the teacher (see `run.bootstrapped`).
    """

    name: str
    says: str
    students: tuple[str, ...]
    search: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    bootstrapped: bool = False


ARMS = (
    Arm("several", "two students take the exams", STUDENTS, "propose"),
    Arm("one", "one student takes them", STUDENTS[:1], "propose"),
    Arm("teacher", "the teacher takes them itself", (TEACHER,), "propose"),
    Arm(
        "random",
        "sets of training examples drawn at random, the best one on validation kept; both students, as many calls",
        STUDENTS,
        "random",
        {"start": "train"},
        bootstrapped=True,
    ),
)
REFINING: Mapping[str, Any] = {
    "examples": 6,
    "rounds": ROUNDS,
    "beam": 1,
    "minibatch": 8,
    "reflections": 3,
    "failures": 4,
    "starts": 3,
}


ANALYSIS = (
    "Primary: F1 of “yes” on the test problems with the set that is best on validation after the last round, less "
    "that with the best of round 0, by the two students of the arm *several*. Counts are added up over all tasks, "
    "seeds and both students before F1 is taken; nothing is left out; an unreadable answer counts as wrong.",
    f"Its 95 % interval is a percentile bootstrap of {BOOTSTRAP_DRAWS:,} draws that resamples tasks: all seeds and "
    "readers of a task move together, in both rounds.",
    "The school's teacher proposes sets, and what students get wrong selects among them: no set is written from "
    "failures, which its models did not learn to do.",
    "Test problems choose nothing: sets are chosen on validation, failures come from exam problems, and texts of "
    "either or of the test may stand in no set.",
    "Random search draws from training problems whose workings are the teacher's own, where these end in the right "
    "label; it asks as many exam calls as the first arm would at most, and every set is asked the whole of validation.",
    "All else is exploratory: accuracy, the other arms and readers, groups and controls.",
    "These are small models of a made-up world. They show the mechanism and its limits, and do not foretell what a "
    "given large model will gain.",
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """A figure declared beforehand, which should be above `above`."""

    measure: str
    says: str
    above: float


EXPECTATIONS = (
    Expectation("primary, lowest", "the primary interval lies above zero", 0.0),
    Expectation("primary", "students' F1 gains at least 5 points over the rounds", 0.05),
    Expectation("several − teacher", "two students' failures do better for the teacher than its own", 0.0),
    Expectation("several − random", "refining is ahead of random search", 0.0),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One study, whole: everything that decides what is run.

    Attributes:
        title: what the page calls it.
        tasks: ids of the verbal world's tasks.
        seeds: the walks of each arm on each task.
        arms: what is compared.
        teacher: who writes sets.
        settings: of `Refining`, all arms'.
        sampling: of `Settings`.
        validation, test: how many problems of these parts are asked.
        quick: whether this is only a slice on tasks kept for tuning, which can support no claim.
    """

    title: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...] = ARMS
    teacher: str = TEACHER
    settings: Mapping[str, Any] = field(default_factory=lambda: dict(REFINING))
    sampling: Mapping[str, Any] = field(
        default_factory=lambda: {"temperature": 1.0, "student_temperature": 0.0}
    )
    validation: int = 12
    test: int = 20
    quick: bool = False

    @property
    def students(self) -> tuple[str, ...]:
        """Those of the first arm, whose gain is the primary comparison."""
        return self.arms[0].students

    @property
    def rounds(self) -> int:
        """Rounds after round 0."""
        return int(self.settings["rounds"])

    def group(self, id: str) -> str:
        """How well the teacher was taught a task."""
        return load_problems(f"school:verbal/{id}", limit=1)[0].group or ""

    @property
    def models(self) -> tuple[str, ...]:
        """All that are asked."""
        return tuple(dict.fromkeys((self.teacher, *(s for arm in self.arms for s in arm.students))))

    def task(self, id: str) -> Task:
        """A task with as many validation and test problems as the plan says."""
        whole = task_of(f"school:verbal/{id}")
        return replace(whole, validation=whole.validation[: self.validation], test=whole.test[: self.test])

    def stored(self) -> dict[str, Any]:
        """As kept in the study's folder, to tell one study's folder from another's."""
        return asdict(self)


def full_plan() -> Plan:
    """The study."""
    return Plan("The study of M3", TEST_TASKS, SEEDS)


def quick_plan() -> Plan:
    """A slice on tasks kept for tuning: it shows how the study works and claims nothing."""
    return Plan("A quick slice of the study of M3", DEV_TASKS[:6], SEEDS[:1], quick=True)


FULL, QUICK = full_plan(), quick_plan()
