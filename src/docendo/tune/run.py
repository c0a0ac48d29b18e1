"""M2, as it is asked for: teach, examine, prefer, train; as often as wanted; and see whether it helped.

Every stage leaves something whole in the tuning's folder and is skipped where that is there, so that a tuning that was
cut goes on where it stopped: runs from their stores, trainings from their last checkpoint. What each stage does is left
to the modules beside this one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from docendo.errors import ConfigError, DataError
from docendo.exams.select import ProblemPool
from docendo.exams.text import tokens
from docendo.models.spec import ModelSpec
from docendo.solve.again import Anew, said_anew
from docendo.solve.config import Vocabulary, beside, configured
from docendo.solve.plan import Settings
from docendo.solve.run import DEFAULT_PROBLEMS, continued, new_folder, new_run, planned
from docendo.solve.work import Watch
from docendo.store import Store
from docendo.store.schema import FILE as STORE_FILE
from docendo.tune.encode import base_of
from docendo.tune.evaluate import (
    ALONE,
    WITH_EXAMS,
    compare,
    evaluate,
    evaluate_m1,
    problems_of,
    right,
)
from docendo.tune.export import check_parquet, export
from docendo.tune.files import read_json, write_json
from docendo.tune.pairs import pairs_from
from docendo.tune.pairset import PairSet, pairs_of
from docendo.tune.plan import Plan, TuneSettings, keep_anew, recast
from docendo.tune.train import Step, check_extra, train
from docendo.tune.tuned import Round, Tested, Tuned
from docendo.types import Problem

PAIRS, EXPORTS, TRAINING, RESULT = "pairs.json", "export", "training", "result.json"


class TuneWatch(Protocol):
    """Whoever looks on."""

    def stage(self, title: str) -> AbstractContextManager[Watch | None]:
        """A stage that asks models begins; it is told of its problems, where that is wanted."""

    def paired(self, pairs: PairSet) -> None:
        """The pairs of a round are there."""

    def trained(self, step: Step) -> None:
        """A training made a step."""


class Unwatched:
    """Looks at nothing."""

    def stage(self, title: str) -> AbstractContextManager[Watch | None]:
        """Nobody is told."""
        return contextlib.nullcontext(None)

    def paired(self, pairs: PairSet) -> None:
        """Nobody is told."""

    def trained(self, step: Step) -> None:
        """Nobody is told."""


def tune(
    *runs: str | Path,
    how: TuneSettings | Mapping[str, Any] | None = None,
    problems: str | Path | None = None,
    exams: str | Path | None = None,
    limit: int | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    watch: TuneWatch | None = None,
    **settings: Any,
) -> Tuned:
    """M2: tune a teacher on which of its own lessons its students learnt from (paper, section 4).

    Args:
        runs: folders of finished runs of docendo solve or score to learn from; without any, `problems` are taught and
            examined first.
        how: what is done with them (`TuneSettings`, or its fields by name).
        problems: what is taught where there are no runs: the name of a source, as for `solve`.
        exams: the name of where exam problems come from, as for `solve`.
        limit: only the first so many problems.
        config: a TOML file as for `solve`, with a [tune] table; what is given here beats it.
        out: the tuning's folder, new or empty, or that of the same tuning to go on with; by default
            runs/tune-DATE-TIME.
        watch: is told of progress.
        **settings: fields of `Settings`, as for `solve`. With runs they stand beside those of the (first) run, and
            `teacher` names the weights that are tuned, where that is not the run's own teacher.

    Raises:
        ConfigError, DataError, ModelError, StoreError: what is wrong is said before anything is written, where it can
            be known.
    """
    plan = plan_of(runs, how, problems, exams, limit, config, settings)
    check(plan)
    folder = Path(out) if out is not None else new_folder("tune")
    pairs = pairs_from(*plan.runs, settings=plan.how.pairs) if plan.runs else None  # none: nothing is written
    plan.write(folder)
    if pairs is not None and pairs_in(here := _folder_of(plan, folder, 1)) is None:
        write_json(here / PAIRS, pairs.json())
    return go_on(folder, watch)


def plan_of(
    runs: Sequence[str | Path],
    how: TuneSettings | Mapping[str, Any] | None,
    problems: str | Path | None,
    exams: str | Path | None,
    limit: int | None,
    config: str | Path | None,
    settings: Mapping[str, Any],
) -> Plan:
    """A tuning's plan; arguments and errors are those of `tune`."""
    if runs and (problems is not None or limit is not None):
        raise ConfigError(
            "tune: problems are taught where there are no runs to learn from; name one or the other"
        )
    for source in (problems, exams):
        if source is not None and not isinstance(source, (str, Path)):
            raise ConfigError(
                "tune: name problems by a file or a source, so that the tuning can be gone on with"
            )
    said = configured(config, settings, Vocabulary(own=("tune",)))
    if not isinstance(how, TuneSettings):
        how = TuneSettings.of(merged(_table(config, said.own), how or {}))
    if runs:
        with Store.read(runs[0]) as view:
            teach, given = Settings.of(view.config["settings"]), view.info.kind == "score"
        if given and "teacher" not in settings:
            raise ConfigError(
                f"tune: the lessons of {runs[0]} came from a file; name the model to tune as the teacher"
            )
        teach = recast(teach, **settings) if settings else teach
        return Plan(
            tuple(str(Path(run).resolve()) for run in runs), teach, how, None, _text(exams or said.exams)
        )
    return Plan(
        (),
        said.settings,
        how,
        _text(problems or said.problems or DEFAULT_PROBLEMS),
        _text(exams or said.exams),
        limit or said.limit,
    )


def _table(config: str | Path | None, own: Mapping[str, Any]) -> Mapping[str, Any]:
    """The [tune] table of a file, its sources as seen from the working folder."""
    table = own.get("tune", {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{config}: tune: write a [tune] table")
    moved: dict[str, Any] = {}
    for name in ("held_out", "test"):
        value = table.get(name, "")
        if isinstance(value, str) and value:
            moved[name] = beside(Path(config or ""), value)
        elif isinstance(value, list):
            moved[name] = [beside(Path(config or ""), v) if isinstance(v, str) else v for v in value]
    return {**table, **moved}


def merged(file: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A file's [tune] table with what was given beside it, table by table."""
    found = {**file, **given}
    for name in ("pairs", "training"):
        if isinstance(file.get(name), Mapping) and isinstance(given.get(name), Mapping):
            found[name] = {**file[name], **given[name]}
    return found


def check(plan: Plan) -> None:
    """Whether the plan can be carried out, as far as that can be known without asking a model.

    Raises:
        ConfigError: the extra is missing, or the teacher cannot be trained here.
        DataError: there is nothing to compare by.
    """
    if plan.how.train:
        base_of(plan.teacher.model)
        check_extra()
    if plan.how.export and plan.how.export_file == "parquet":
        check_parquet()
    for source in (plan.how.held_out, *plan.how.test):
        if source:
            problems_of(source)


def anew_in(folder: str | Path, config: str | Path | None, settings: Mapping[str, Any]) -> Anew:
    """What a tuning is told anew of how its models are reached; arguments and errors as for `docendo.resume`.

    Raises:
        ConfigError: a budget, too: it ends the teaching, and the tuning goes on from there with what was taught.
    """
    plan = Plan.read(Path(folder))
    found = said_anew(plan.teach, config, settings, Vocabulary(own=("tune",)))
    if found.settings.get("budget", plan.teach.budget) != plan.teach.budget:
        raise ConfigError(
            f"{folder}: the pairs of a tuning are those of what its budget let be taught; leave --budget out, or learn "
            "from a run of docendo solve that was gone on with"
        )
    return found


def go_on(folder: str | Path, watch: TuneWatch | None = None, anew: Anew | None = None) -> Tuned:
    """Carry out the plan in a folder, from where it stopped.

    Args:
        folder: the tuning's.
        watch: is told of progress.
        anew: how its models are reached from now on; kept in the folder.

    Raises:
        StoreError: it is not a tuning's folder.
    """
    folder = Path(folder)
    if anew is not None:
        keep_anew(folder, anew)
    plan, look = Plan.read(folder), watch or Unwatched()
    if anew is not None and "parallel" in anew.settings:  # for now only, as for a run
        plan = replace(plan, anew=replace(plan.anew, settings={"parallel": anew.settings["parallel"]}))
    held = _held_out(plan, folder, look)
    rounds: list[Round] = []
    notes: list[str] = []
    teacher, best, best_mean = plan.teacher, 0, held.first_mean
    for number in range(1, plan.how.rounds + 1):
        here = _folder_of(plan, folder, number)
        earlier = [spec for r in rounds if (spec := _spec(plan, r)) is not None]
        try:
            done = _round(plan, number, here, teacher, earlier, look)
        except DataError as error:
            if number == 1:
                raise
            notes.append(f"round {number} found nothing to learn: {error}")
            break
        if done.trained is not None:
            done, mean = held.judge(done, plan, here)
            if mean is None or best_mean is None or mean > best_mean:
                best, best_mean = number, mean
                teacher = _spec(plan, done) or teacher
        rounds.append(done)
    tests: list[Tested] = []
    notes += _known_already(plan, rounds)
    if plan.how.train and not best:
        notes.append("no round was better than the first teacher on the held-out problems: that one stays")
    elif plan.how.train:
        tests = [_tested(plan, folder, i, teacher, look) for i in range(len(plan.how.test))]
    tuned = Tuned(folder, tuple(rounds), best if plan.how.train else None, tuple(tests), tuple(notes))
    write_json(folder / RESULT, tuned.json())
    return tuned


def _known_already(plan: Plan, rounds: Sequence[Round]) -> list[str]:
    """What a reader must know of sets that teachers are compared on: how much of them was taught."""
    sources = [source for source in (plan.how.held_out, *plan.how.test) if source]
    taught: set[tuple[str, ...]] = set()
    for run in dict.fromkeys(run for done in rounds for run in done.runs if sources):
        with Store.read(run) as view:
            taught.update(tokens(problem.question) for problem in view.problems())
    notes = []
    for source in dict.fromkeys(sources):
        problems = problems_of(source)
        known = sum(tokens(problem.question) in taught for problem in problems)
        if known:
            notes.append(
                f"{known:,} of the {len(problems):,} problems of {source} were also taught: what is compared on them "
                "is no test of new ones"
            )
    return notes


def pairs_in(folder: Path) -> PairSet | None:
    """The pairs that a round's folder has; None before they are made."""
    return pairs_of(read_json(folder / PAIRS)) if (folder / PAIRS).is_file() else None


def _folder_of(plan: Plan, folder: Path, number: int) -> Path:
    return folder if plan.how.rounds == 1 else folder / f"round-{number}"


def _round(
    plan: Plan, number: int, here: Path, teacher: ModelSpec, earlier: Sequence[ModelSpec], look: TuneWatch
) -> Round:
    runs = (
        plan.runs if number == 1 and plan.runs else (str(_teach(plan, number, here, teacher, earlier, look)),)
    )
    pairs = pairs_in(here)
    if pairs is None:
        pairs = pairs_from(*runs, settings=plan.how.pairs)
        write_json(here / PAIRS, pairs.json())
    look.paired(pairs)
    how = plan.how
    exports = (
        export(pairs, here / EXPORTS, how.export, file=how.export_file, shape=how.export_shape)
        if how.export
        else []
    )
    trained = train(teacher.model, pairs, here / TRAINING, how.training, look) if how.train else None
    return Round(number, here, runs, pairs, tuple(exports), trained)


def _teach(
    plan: Plan, number: int, here: Path, teacher: ModelSpec, earlier: Sequence[ModelSpec], look: TuneWatch
) -> Path:
    """A round's own run: the same problems taught by this round's teacher, with draws of its own."""
    folder = here / "run"
    with look.stage(
        f"round {number}: teach and examine" if plan.how.rounds > 1 else "teach and examine"
    ) as watch:
        around = plan.around(watch)
        if (folder / STORE_FILE).is_file():
            return continued(folder, around).folder
        taught, pool, more = _taught(plan)
        students = [plan.teach.spec(name) for name in plan.teach.students]
        if plan.how.earlier_students:
            students += [spec for spec in earlier if spec not in students]
        how = recast(
            plan.teach,
            teacher=teacher,
            students=students,
            equal_cost=False,
            seed=plan.teach.seed + number - 1,
        )
        parent = (
            plan.runs[0]
            if plan.runs
            else None
            if number == 1
            else str(here.parent / f"round-{number - 1}" / "run")
        )
        return new_run("solve", taught, pool, how, more, folder, around, parent).folder


def _taught(plan: Plan) -> tuple[list[Problem], ProblemPool, Mapping[str, Any]]:
    """What is taught in a round without a run of its own, and where its exams come from."""
    if not plan.runs:
        _, taught, pool, more = planned(plan.problems, plan.exams, None, plan.limit, {})
        return taught, pool, more
    known: dict[str, Problem] = {}
    exam: dict[str, Problem] = {}
    for run in plan.runs:
        with Store.read(run) as view:
            known |= {problem.id: problem for problem in view.problems()}
            exam |= {problem.id: problem for problem in view.problems("exam")}
    return list(known.values()), ProblemPool(exam.values()), {"problems": None, "dropped": {}}


@dataclass(slots=True)
class _HeldOut:
    """How rounds are told apart: nothing is, without held-out problems, and the last one is kept."""

    look: TuneWatch
    problems: list[Problem] = field(default_factory=list)
    first: Path | None = None

    @property
    def first_mean(self) -> float | None:
        """The first teacher's mean over samples."""
        return None if self.first is None else _mean(self.first)

    def judge(self, done: Round, plan: Plan, here: Path) -> tuple[Round, float | None]:
        """A round with its teacher's comparison, and that teacher's mean over samples."""
        spec = _spec(plan, done)
        if self.first is None or spec is None:
            return done, None
        with self.look.stage(f"round {done.number}: held-out problems") as watch:
            run = evaluate(
                plan.teach, spec, self.problems, here / "held-out", plan.around(watch), plan.how.test_samples
            )
        changes = compare(right(self.first), right(run.folder), ALONE)
        return replace(done, held_out=changes), _mean(run.folder)


def _held_out(plan: Plan, folder: Path, look: TuneWatch) -> _HeldOut:
    if not plan.how.held_out:
        return _HeldOut(look)
    problems = problems_of(plan.how.held_out)
    with look.stage("held-out problems, the first teacher") as watch:
        run = evaluate(
            plan.teach,
            plan.teacher,
            problems,
            folder / "held-out-first",
            plan.around(watch),
            plan.how.test_samples,
        )
    return _HeldOut(look, problems, run.folder)


def _mean(folder: Path) -> float:
    values = right(folder).by_rule["mean"]
    return sum(values) / max(len(values), 1)


def _spec(plan: Plan, done: Round) -> ModelSpec | None:
    """A round's teacher, with all that was said of the first one."""
    if done.trained is None:
        return None
    name = f"tuned-{done.number}" if plan.teacher.name else None
    # Kept in run folders, so not by a path that is only right in this working folder.
    model = f"{done.trained.kind}:{done.trained.model.resolve()}"
    return plan.teacher.model_copy(update={"model": model, "name": name})


def _tested(plan: Plan, folder: Path, index: int, teacher: ModelSpec, look: TuneWatch) -> Tested:
    """The first teacher and the one that was kept on one set of test problems."""
    source, here = plan.how.test[index], folder / f"test-{index + 1}"
    problems = problems_of(source)
    alone, m1 = [], []
    for name, spec in (("before", plan.teacher), ("after", teacher)):
        with look.stage(f"{source}, {name}") as watch:
            run = evaluate(plan.teach, spec, problems, here / name, plan.around(watch), plan.how.test_samples)
            alone.append(right(run.folder))
        if plan.how.test_m1:
            with look.stage(f"{source}, M1 {name}") as watch:
                run = evaluate_m1(
                    plan.teach, spec, source, plan.exams, here / f"m1-{name}", plan.around(watch)
                )
                m1.append(right(run.folder))
    return Tested(source, compare(alone[0], alone[1], ALONE), compare(m1[0], m1[1], WITH_EXAMS) if m1 else ())


def _text(source: str | Path | None) -> str | None:
    return None if source is None else str(source)
