"""Running the study of M2: lessons once, then pairs, trainings and read-outs, each kept where it is complete.

What is run stands in `plan`; what it says is left to `analyse`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from docendo.data import load_problems
from docendo.errors import DataError
from docendo.solve.run import Run, resume, score, solve
from docendo.solve.work import Watch
from docendo.store import Store
from docendo.store.schema import FILE
from docendo.study.claim import claim
from docendo.study.m2.method import Methods
from docendo.study.m2.plan import UNTUNED, Arm, Plan
from docendo.study.m2.readout import Answered, read_out
from docendo.study.run import Watched, unwatched
from docendo.tune.pairs import pairs_among
from docendo.tune.pairset import PairSet, PairSettings
from docendo.tune.read import Studied, studied
from docendo.tune.train import Trained, TrainSettings, check_extra, train
from docendo.types import Example, Problem

LESSONS, LIKELIHOOD, TEST = "lessons", "likelihood", "test.json"


@dataclass(frozen=True, slots=True)
class Tuned:
    """One training: its pairs, what came of it, and what the tuned teacher answers by problem."""

    arm: Arm
    seed: int
    pairs: PairSet
    trained: Trained
    answers: Mapping[str, Answered]


@dataclass(frozen=True)
class Study:
    """A study of M2, complete.

    Attributes:
        plan: what was run.
        folder: where.
        lessons: the run that made the lessons and examined them.
        tested: the problems that teachers were asked.
        untuned: what the teacher answered before.
        tuned: every training, by arm and seed.
        methods: tells sound workings from others.
    """

    plan: Plan
    folder: Path
    lessons: Run
    tested: Sequence[Problem]
    untuned: Mapping[str, Answered]
    tuned: Sequence[Tuned]
    methods: Methods

    @cached_property
    def ranked(self) -> list[Studied]:
        """The taught problems with their lessons and LbT scores."""
        return read_lessons(self.lessons)

    @cached_property
    def problems(self) -> Mapping[str, Problem]:
        """The taught problems by id."""
        return {one.problem.id: one.problem for one in self.ranked}


def run_study(plan: Plan, out: str | Path, watched: Watched = unwatched) -> Study:
    """Bring every part of the study to its end; called again after any stop, it goes on where it was.

    Args:
        plan: what is run.
        out: the study's folder: new, empty, or one of the same plan.
        watched: makes the watch of each run, and says which part it is.

    Raises:
        StoreError: the folder holds another study, or something else.
        ConfigError: the extra `train` is not installed.
        DocendoError: as for `docendo.solve`.
    """
    check_extra()
    folder = Path(out)
    claim(folder, plan.stored())
    titles = _titles(plan)
    taught, exams = load_problems(plan.taught)[: plan.limit], load_problems(plan.exams)
    tested = load_problems(plan.tested)[: plan.limit]
    methods = Methods(exams)
    with watched(next(titles)) as watch:
        lessons = _lessons(plan, taught, exams, folder / LESSONS, watch)
    scored = {"answers": lessons}
    if any(arm.exams == "likelihood" for arm in plan.arms):
        with watched(next(titles)) as watch:
            scored["likelihood"] = _by_likelihood(plan, lessons, taught, exams, folder / LIKELIHOOD, watch)
    sets = _pairs(plan, {exam: read_lessons(run) for exam, run in scored.items()})

    def asked(model: str, name: str) -> Mapping[str, Answered]:
        return read_out(
            model,
            tested,
            methods,
            folder / name / TEST,
            samples=plan.samples,
            temperature=plan.temperature,
        )

    with watched(next(titles)):
        untuned = asked(plan.teacher, UNTUNED)
    tuned = []
    for (arm, seed), pairs in sets.items():
        with watched(next(titles)):
            name = f"{arm.name}-{seed}"
            trained = train(plan.teacher, pairs, folder / name, settings_of(plan, seed))
            tuned.append(Tuned(arm, seed, pairs, trained, asked(trained.spec, name)))
    return Study(plan, folder, lessons, tested, untuned, tuned, methods)


def settings_of(plan: Plan, seed: int) -> TrainSettings:
    """How every arm is trained: no looks at validation pairs, which could end one sooner than another."""
    own = {"evaluate_every": 0, "checkpoint_every": 10, "epochs": 100, "threads": 1, "device": "cpu"}
    return TrainSettings(**{**own, "seed": seed, **plan.training})


def read_lessons(run: Run) -> list[Studied]:
    """A run's problems with their scored lessons."""
    with Store.read(run.folder) as view, view.snapshot():
        return list(studied(view))


def _titles(plan: Plan) -> Iterator[str]:
    parts = ["lessons and their exams"]
    if any(arm.exams == "likelihood" for arm in plan.arms):
        parts.append("the lessons examined by likelihood")
    parts.append("read-out of the untuned teacher")
    parts += [f"{arm.name}, seed {seed}: training and read-out" for arm in plan.arms for seed in plan.seeds]
    return (f"study {i}/{len(parts)} {part}" for i, part in enumerate(parts, 1))


def _lessons(
    plan: Plan, taught: Sequence[Problem], exams: Sequence[Problem], folder: Path, watch: Watch | None
) -> Run:
    """The run that teaches and examines, complete."""
    if not (folder / FILE).is_file():
        return solve(
            taught,
            exams=exams,
            out=folder,
            teacher=plan.teacher,
            students=list(plan.students),
            equal_cost=False,
            watch=watch,
            **plan.lessons,
        )
    run = Run(folder)
    return run if run.complete else resume(folder, watch=watch)


def _by_likelihood(
    plan: Plan,
    lessons: Run,
    taught: Sequence[Problem],
    exams: Sequence[Problem],
    folder: Path,
    watch: Watch | None,
) -> Run:
    """The same lessons before the same exams, scored by how likely these make the exam problems' solutions."""
    if (folder / FILE).is_file():
        run = Run(folder)
        return run if run.complete else resume(folder, watch=watch)
    given: defaultdict[str, list[Example]] = defaultdict(list)
    with lessons.view() as view:
        for row in view.lessons():
            given[row.problem].append(row.lesson.examples[0])
    settings: dict[str, Any] = {
        "students": list(plan.students),
        "exam_problems": plan.lessons["exam_problems"],
        "exam_score": "likelihood",
        "equal_cost": False,
    }
    return score(dict(given), problems=taught, exams=exams, out=folder, watch=watch, **settings)


def _pairs(plan: Plan, ranked: Mapping[str, list[Studied]]) -> dict[tuple[Arm, int], PairSet]:
    """The pairs of every arm and seed, as many for each as the arm with the fewest has.

    Raises:
        DataError: an arm has no pair at all.
    """
    sets = {}
    for arm in plan.arms:
        for seed in plan.seeds:
            settings = PairSettings(
                lam=arm.lam, margin=plan.margin, per_problem=plan.per_problem, validation=0.0, seed=seed
            )
            try:
                sets[arm, seed] = pairs_among(ranked[arm.exams], settings)
            except DataError as error:
                raise DataError(f"arm {arm.name}: {error}") from error
    count = min(plan.pairs, *(len(pairs.train) for pairs in sets.values()))
    return {key: pairs.limited(count) for key, pairs in sets.items()}
