"""Exploratory conditions: the same lessons examined once more with one thing changed, each an ordinary run folder.

The lessons are those of a finished main run, so a condition differs from it in how they are examined and in
nothing else: the votes, the taught problems and the draws of a student asked the same are the main run's. What
the changes show is left to the analysis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from docendo.errors import DataError
from docendo.solve.plan import Settings
from docendo.solve.run import Run, resume, score
from docendo.solve.work import Watch
from docendo.store import RunView
from docendo.store.schema import FILE
from docendo.types import Example, Problem

PROMPTS = Path(__file__).parent / "prompts"
"""Prompt folders of the controls: forms that students were schooled on, so that what they measure is information."""

THE_TEACHER, FIRST, SECOND = "the teacher", "the student", "the second student"
"""Stand among a condition's students for whoever taught the main run, and for the study's own students."""

Family = Literal["own", "confusable", "unrelated"]
Lessons = Mapping[str, Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing changed in how a main run's lessons are examined; what is left out is as in the main run.

    Attributes:
        name: names the run folder.
        asks: which insight of the paper it tests, and what would be expected.
        students: who takes the exams.
        prompts: a folder in `PROMPTS`.
        family: whose problems the exam has: the taught family's own, those of another family of its cluster, or
            those of a family of another cluster.
        foreign: whether students are shown lessons for problems of other clusters in place of the own ones.
    """

    name: str
    asks: str
    students: tuple[str, ...] = ()
    prompts: str | None = None
    family: Family = "own"
    foreign: bool = False

    def run(self, main: Run, out: Path, watch: Watch | None = None, second: str | None = None) -> Run:
        """Examine the lessons of `main` in the run folder `out`: begin it, go on with it, or leave it if complete.

        `second` is the model behind `SECOND`; behind `FIRST` is the first student of `main`.

        Problems for which the main run has no exam problems of the wanted family (the first part of a problem
        set may hold one family of a cluster) are left out.

        Raises:
            DataError: the main run is not finished, or no problem is left.
            StoreError, ModelError: as for `docendo.score`.
        """
        if (out / FILE).is_file():
            found = Run(out)
            return found if found.complete else resume(out, watch=watch)
        if not main.complete:
            raise DataError(
                f"{main.folder}: this run is not finished; resume it before examining its lessons again"
            )
        with main.view() as view:
            settings = Settings.of(view.config["settings"])
            problems = list(view.problems())
            exams = _exams_of(problems, list(view.problems("exam")), self.family)
            lessons = taught_lessons(view)
        if self.foreign:
            lessons = _exchanged(problems, lessons)
        examined = {p.family for p in exams}
        problems = [p for p in problems if p.family in examined]
        if not problems:
            raise DataError(f"{main.folder}: its exams have no {self.family} family for any of its problems")
        if self.students:
            behind = {THE_TEACHER: settings.teacher, FIRST: settings.students[0], SECOND: second or SECOND}
            students = tuple(behind.get(s, s) for s in self.students)
            settings = replace(settings, students=students)
        if self.prompts is not None:
            settings = replace(settings, prompts=str(PROMPTS / self.prompts))
        own = {p.id: lessons[p.id] for p in problems}
        more = {field.name: getattr(settings, field.name) for field in fields(settings)}
        del more["lessons"]  # how many the teacher samples: `score` has the lessons themselves by that name
        said = more.pop("models")
        more["teacher"] = said.get(settings.teacher, settings.teacher)
        more["students"] = [said.get(name, name) for name in settings.students]
        return score(own, problems=problems, exams=exams, out=out, watch=watch, **more)


CONDITIONS = (
    Condition(
        "second-student",
        "Do other students judge as well? Student 2, of another size and schooling, examined in place of student 1.",
        students=(SECOND,),
    ),
    Condition(
        "both-students",
        "Do diverse students judge better together? Their pooled score should be at least as good as either's.",
        students=(FIRST, SECOND),
    ),
    Condition(
        "teacher-as-student",
        "Can the teacher be its own student? It should follow lessons less well where it has beliefs of its own.",
        students=(THE_TEACHER,),
    ),
    Condition(
        "answer-only",
        "Does the rationale matter? A lesson without it should tell students hardly anything.",
        prompts="answer-only",
    ),
    Condition(
        "rationale-only",
        "Is the rationale enough? A lesson without its answer should tell students as much as the whole.",
        prompts="rationale-only",
    ),
    Condition(
        "no-lesson",
        "What do students know unaided? All lessons then score alike, so SUM is SC: the floor of every gain.",
        prompts="none",
    ),
    Condition(
        "unrelated-lesson",
        "Is it this lesson that counts? Another cluster's lesson in its place should tell nothing.",
        # That folder shows no answer, so the answer shown can stand at the rationale's end: see `_exchanged`.
        prompts="rationale-only",
        foreign=True,
    ),
    Condition(
        "confusable-exams",
        "Must exams be similar? Exams of a family told alike with another method should reward the wrong lessons.",
        family="confusable",
    ),
    Condition(
        "unrelated-exams",
        "Must exams be similar? Exams of a family of another cluster should tell nothing of a lesson.",
        family="unrelated",
    ),
)


def taught_lessons(view: RunView) -> dict[str, list[Example]]:
    """A run's lessons by problem: one example a taught sample, in their order, so that SUM counts each sample.

    Samples without a readable answer became no lesson and are left out: they have no vote either.
    """
    lessons: dict[str, list[Example]] = {p.id: [] for p in view.problems()}
    known = {(row.problem, row.lesson.id): row.lesson.examples[0] for row in view.lessons()}
    for sample in view.samples():
        if sample.arm in ("teach", "given") and sample.lesson is not None:
            lessons[sample.problem].append(known[sample.problem, sample.lesson])
    return lessons


def _exams_of(problems: Sequence[Problem], exams: Sequence[Problem], kind: Family) -> list[Problem]:
    """Exam problems for every taught family that can have some.

    Those of the main run give the very same exams again: what was chosen from a larger pool is chosen from
    any part of it that still holds it.
    """
    if kind == "own":
        return list(exams)
    cluster_of = {p.family: p.cluster for p in problems if p.family is not None}
    chosen = []
    for family in sorted(cluster_of):
        other = _other_family(family, cluster_of, kind)
        chosen += [
            # Posing as the taught family's, so that the road selects them; graded by their own answers.
            replace(exam, id=f"{exam.id} for {family}", family=family)
            for exam in exams
            if other is not None and exam.family == other
        ]
    return chosen


def _other_family(family: str, cluster_of: Mapping[str, str | None], kind: Family) -> str | None:
    """The next family in the same cluster, or the next of another cluster half-way round all families."""
    ring = sorted(cluster_of)
    place = ring.index(family) + (1 if kind == "confusable" else len(ring) // 2)
    for other in (*ring[place % len(ring) :], *ring[: place % len(ring)]):
        same = cluster_of[other] == cluster_of[family]
        if other != family and same == (kind == "confusable"):
            return other
    return None


def _exchanged(problems: Sequence[Problem], lessons: Lessons) -> dict[str, list[Example]]:
    """Every distinct lesson's place taken by another one of a problem of another cluster; its vote stays its own.

    An example's answer is what votes. What is shown is written so that the rationale-only prompt, which leaves
    the answer out, gives the whole foreign lesson, its own answer included.
    """
    exchanged = {}
    for place, problem in enumerate(problems):
        foreign = _foreign_lessons([*problems[place + 1 :], *problems[:place]], problem.cluster, lessons)
        shown: dict[Example, Example] = {}
        for own in lessons[problem.id]:
            if own not in shown:
                other = next(foreign, None)
                if other is None:
                    raise DataError(
                        f"problem {problem.id!r}: there are too few lessons of other clusters to show"
                    )
                code = problem.kind == "code"
                answer = f"\n```python\n{other.answer.rstrip()}\n```" if code else f" {other.answer}"
                both = f"{other.rationale}\nAnswer:{answer}"
                shown[own] = Example(other.question, both, own.answer)
        exchanged[problem.id] = [shown[own] for own in lessons[problem.id]]
    return exchanged


def _foreign_lessons(others: Sequence[Problem], cluster: str | None, lessons: Lessons) -> Iterator[Example]:
    """The distinct lessons of the problems that follow in the plan, as far as they are of another cluster."""
    for other in others:
        if other.cluster != cluster:
            yield from dict.fromkeys(lessons[other.id])
