"""What the studies are, declared before their test problems are touched; running and telling them is left to others.

A study's world, seeds, primary and secondary comparison, how they are analysed and what is expected of them stand
here, so that committing this file fixes them. Whatever is not declared here is exploratory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from docendo.errors import ConfigError
from docendo.models.resolve import shipped

PRIMARY, SECONDARY = "sum-sc", "sum-sc_equal_cost"
SEEDS = (0, 1, 2)
BOOTSTRAP_DRAWS = 2000
# At the default temperature SC was right on every taught family in the study's first slips run, which leaves
# nothing to choose; drawn hotter, single samples at least go wrong. Chosen after that run, so exploratory.
SLIPS_TEMPERATURE = 1.5

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
    """A figure declared beforehand.

    Attributes:
        measure: names the figure (see `analyse.measured`).
        says: it in words.
        at_least: the bar.
        above: whether the bar itself is not enough.
        under: the condition that it is measured under; None for the main runs. "lowest main-condition" is of SUM in the
            first main run less SUM under the condition.
    """

    measure: Literal["lowest sum-sc", "sum-sc", "sum-sc_equal_cost", "auc", "follow", "lowest main-condition"]
    says: str
    at_least: float
    above: bool = False
    under: str | None = None

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
class Declared:
    """One study as it was declared: everything but where its models are.

    Attributes:
        name: names its command, page and folder.
        title: what its page calls it.
        problems: the test problems' source.
        teachers: the courses that make its teachers, by letter.
        slips: the course of the teacher that was schooled until only slips remained; None where the study has none.
        student: the student of the main runs.
        second: the one that conditions put in its place or beside it; None leaves those conditions out.
        rivals: whether the rivals for the same information are run.
        tuning: problems kept for tuning, and the shipped teacher, for the quick slice.
        schooling: the command that makes its teachers.
        made: how the teachers came to be.
        analysis, expectations: as declared.
        notes: what else is to be known of the whole study; it does not hold of its quick slice.
        limit: only the first so many problems.
        pool: exam problems that stand ready of each family, the same for every seed; None means all of the set.
        settings: of its runs, where they are not the defaults.
        conditions: the exploratory conditions that are run; None means all there are.
        answers_tell: whether an answer alone shows how it was come by, as a program does; a lesson without its
            rationale then says nothing of whether rationales matter.
        more: differences beside the two declared ones that the verdict tells, with the names of both sides.
    """

    name: str
    title: str
    problems: str
    teachers: Mapping[str, str]
    slips: str | None
    student: str
    second: str | None
    rivals: bool
    tuning: tuple[str, str]
    schooling: str
    made: str
    analysis: tuple[str, ...] = ANALYSIS
    expectations: tuple[Expectation, ...] = EXPECTATIONS
    notes: tuple[str, ...] = ()
    limit: int | None = None
    pool: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    conditions: tuple[str, ...] | None = None
    answers_tell: bool = False
    more: tuple[tuple[str, str, str], ...] = ()


M1 = Declared(
    name="m1",
    title="The study of M1",
    # Nothing was tuned on this world, and its test numbers are in no training set of any model.
    problems="school:m1@101",
    teachers={letter: f"study-teacher-{letter}" for letter in ("a", "b", "c")},
    slips="study-teacher-slips",
    student="school:student",
    second="school:student-2",
    rivals=True,
    tuning=("school:m1-dev", "school:teacher"),
    schooling="python -m docendo.schoolhouse.schooling --study --out {schooling}",
    made="The teachers were schooled in that world, each from a base of its own; the students know no family of any "
    "world.",
)
CODE = Declared(
    name="code",
    title="The study of M1 on code",
    # Nothing was tuned on this world, and its test tasks are in no training set of any model.
    problems="school:code@101",
    teachers={"a": "study-code-teacher"},
    slips=None,
    student="school:code-student",
    second=None,
    rivals=False,
    tuning=("school:code-dev", "school:code-teacher"),
    schooling="python -m docendo.schoolhouse.schooling --only code-teacher-first code-teacher-base study-code-teacher "
    "--out {schooling}",
    made="The teacher was schooled in that world, from a base of its own; the students know no family of any world.",
    analysis=(
        ANALYSIS[0],
        "Programs run in the sandbox. An exam's score is the share of its visible tests passed (V-score); an answer "
        "is right if it passes all of its hidden tests (S-score 1), which nothing but this page sees. Programs that "
        "act alike on the visible tests' inputs and on inputs made from them are one answer, for SC as for SUM.",
        "The taught problem's own tests choose nothing: neither SC nor SUM runs them. Whoever may run them should; "
        "the oracle bounds what that gives.",
        ANALYSIS[1],
        ANALYSIS[2].replace("24", "12"),
    ),
    expectations=(
        Expectation("lowest sum-sc", "the primary interval lies above zero", 0.0, above=True),
        Expectation("sum-sc", "SUM gains at least 10 points on SC at equal samples", 0.10),
        Expectation("sum-sc_equal_cost", "SUM gains at least 5 points on SC at equal cost", 0.05),
        Expectation("auc", "AUC within a problem is at least 0.85", 0.85),
        Expectation(
            "follow", "after a right lesson, exam programs pass at least 85 % of visible tests", 0.85
        ),
        # A program says all that a strategy says, and in this world the strategy nearly all that the program does.
        Expectation(
            "lowest sum-sc", "SUM still gains when students see the program alone", 0.0, True, "answer-only"
        ),
        Expectation(
            "lowest sum-sc",
            "SUM still gains when students see the strategy alone",
            0.0,
            True,
            "rationale-only",
        ),
        Expectation("lowest main-condition", "SUM loses with no lesson shown", 0.0, True, "no-lesson"),
        Expectation(
            "lowest main-condition",
            "SUM loses with a lesson for an unrelated problem shown",
            0.0,
            True,
            "unrelated-lesson",
        ),
        Expectation(
            "lowest main-condition",
            "SUM loses with exams of a confusable family",
            0.0,
            True,
            "confusable-exams",
        ),
        Expectation(
            "lowest main-condition",
            "SUM loses with exams of an unrelated family",
            0.0,
            True,
            "unrelated-exams",
        ),
    ),
    notes=(
        "The exam tasks of a family are the same two for every seed.",
        "These runs are the plan's second. In the first the teacher lay in another folder, and as what a model draws "
        "hangs on its name, its draws were others: SUM was +7.6 points ahead of SC at equal samples (95 % interval "
        "+4.1 to +11.9) and +5.6 at equal cost (+3.0 to +8.6).",
        "Six controls take the lessons of the first seed. They, and what is expected of them, were declared after the "
        "plan's first run and before its second. The control without a lesson follows from the main run: SUM is SC "
        "there.",
        "The student was schooled on every form that the controls use, but each was only about 2 % of its documents: a "
        "lesson's program alone, its strategy alone, no lesson, one for another problem. Program and strategy each say "
        "all that is to be done. As far as the student follows right lessons more rarely in one of these two forms "
        "than in whole ones (see Following), that control measures how strange the form is to it, and not what "
        "rationales are worth.",
    ),
    # Small, because every program is run in a process of its own.
    limit=150,
    pool=2,
    settings={"lessons": 12, "exam_problems": 2, "repeats": 2},
    conditions=(
        "answer-only",
        "rationale-only",
        "no-lesson",
        "unrelated-lesson",
        "confusable-exams",
        "unrelated-exams",
    ),
    answers_tell=True,
    more=(("max-sc", "MAX", "SC at equal samples"),),
)
STUDIES = {declared.name: declared for declared in (M1, CODE)}


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
        declared: the study that this is, or is a slice of.
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
    declared: Declared = M1

    def stored(self) -> dict[str, Any]:
        """As kept in the study's folder, to tell one study's folder from another's."""
        kept = {own.name: getattr(self, own.name) for own in fields(self)}
        return kept | {
            "teachers": dict(self.teachers),
            "students": list(self.students),
            "seeds": list(self.seeds),
            "conditions": None if self.conditions is None else list(self.conditions),
            "declared": self.declared.name,
        }


def full_plan(schooling: str | Path, declared: Declared = M1) -> Plan:
    """A study, with the teachers that the schooling command made in `schooling`.

    Raises:
        ConfigError: a teacher is missing; the message gives the command that makes them.
    """
    root = Path(schooling)
    slips = {} if declared.slips is None else {"slips": declared.slips}
    names = {**declared.teachers, **slips}
    missing = [n for n in names.values() if not (root / n / "model" / "config.json").is_file()]
    if missing:
        raise ConfigError(
            f"the study needs teachers that do not ship, and {root} lacks {', '.join(missing)}; this makes them "
            f"(it goes on where it stopped): {declared.schooling.format(schooling=root)}; or name their folder with "
            f"--schooling. `docendo study {declared.name} --quick` needs none of them."
        )
    if declared.second is not None and not _ships(declared.second):
        raise ConfigError(f"the study needs the second student, {declared.second}, which this docendo lacks")
    models = {letter: f"school:{(root / name / 'model').as_posix()}" for letter, name in names.items()}
    return Plan(
        title=declared.title,
        quick=False,
        problems=declared.problems,
        limit=declared.limit,
        teachers={letter: models[letter] for letter in declared.teachers},
        slips=models.get("slips"),
        students=(declared.student,),
        conditions=declared.conditions,
        rivals=declared.rivals,
        declared=declared,
    )


def quick_plan(declared: Declared = M1) -> Plan:
    """A slice with what ships, on numbers kept for tuning: it shows how the study works and claims nothing."""
    problems, teacher = declared.tuning
    return Plan(
        title=f"A quick slice of {declared.title[0].lower()}{declared.title[1:]}",
        quick=True,
        problems=problems,
        limit=96,
        teachers={"shipped": teacher},
        slips=None,
        students=(declared.student,),
        seeds=(0,),
        conditions=("answer-only", "no-lesson", "unrelated-lesson"),
        rivals=False,
        declared=declared,
    )


def _ships(name: str) -> bool:
    return name.partition(":")[2] in shipped()
