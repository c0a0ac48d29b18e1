"""The work of a run: its problems go down the road many at a time, and every fact goes into its store.

What is to be done was settled before (`run`); here models are opened, asked whether they can do it, and driven,
while the budget lasts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from docendo.errors import ConfigError, DataError, ModelError, UnspeakableError
from docendo.exams.select import Selection
from docendo.exams.write import check_kind
from docendo.grading.sandbox import ready
from docendo.models.base import Ask, Model, Placed
from docendo.models.budget import Ledger, StopCondition, any_of, budget_of, not_asked
from docendo.models.gateway import Gateway
from docendo.models.meter import Meter
from docendo.models.resolve import opened
from docendo.models.spec import ENDPOINTS, ModelSpec, Prices
from docendo.prompts import PromptBook, Styles, fitted, styles_for
from docendo.solve.again import Anew
from docendo.solve.debug import check_debuggable
from docendo.solve.judge import Judge
from docendo.solve.plan import Settings, weights_of
from docendo.solve.record import facts_of
from docendo.solve.road import Road, Solved, Stage
from docendo.solve.teach import given
from docendo.store import ModelRow, PlaceRow, SelectionRow, Store
from docendo.types import Call, Example, Problem, Reply


class Watch(Protocol):
    """Whoever looks on. Called on the event loop's thread; must return at once."""

    def started(self, folder: Path, total: int, done: int, settings: Settings, meter: Meter) -> None:
        """The run begins or goes on: `done` of `total` problems are finished already."""

    def stage(self, problem: Problem, stage: Stage) -> None:
        """A problem reaches a stage."""

    def finished(self, solved: Solved) -> None:
        """A problem is finished and recorded."""


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a run and not kept in it.

    `anew` is what a run that is gone on with is told anew. `beside` is awaited for each problem at the end of the road,
    before it is recorded as finished: for further questions that belong to it.
    """

    models: Mapping[str, Model] | None = None
    watch: Watch | None = None
    stop: StopCondition | None = None
    anew: Anew = field(default_factory=Anew)
    beside: Callable[[Solved, Settings, PromptBook, Ask], Awaitable[None]] | None = None


async def create(
    kind: str,
    folder: Path,
    taught: Sequence[Problem],
    selected: Mapping[str, Selection],
    plan: Settings,
    more: Mapping[str, Any],
    around: Around,
    parent: str | None = None,
) -> None:
    """Check everything that can be known before the first call, make the folder, then work."""
    exam = list({p.id: p for selection in selected.values() for p in selection.problems}.values())
    exams = [
        SelectionRow(id, found.how, tuple(p.id for p in found.problems), found.excluded)
        for id, found in selected.items()
    ]
    models = around.models
    async with AsyncExitStack() as stack:
        if models is None:
            models = await stack.enter_async_context(opened(specs_of(plan, kind)))
        styles = styles_of(plan, models, models)
        if plan.writes_exams:
            _check_writing(plan, styles, taught)
        check_speakable(models, styles, [*taught, *exam])
        if kind != "score":
            check_debuggable(plan, styles, taught)
        if any(problem.kind == "code" for problem in (*taught, *exam)):
            await asyncio.to_thread(ready, plan.sandbox)
        if plan.exam_score == "likelihood":
            check_likelihood([models[name] for name in plan.students], exam)
        rows = [model_row(models[name], name, plan) for name in names_of(plan, kind)]
        config = {"settings": plan.stored(), **more}
        with Store.create(
            folder,
            kind=kind,
            config=config,
            seed=plan.seed,
            parent=parent,
            models=rows,
            taught=taught,
            exam=exam,
            exams=exams,
        ) as store:
            await work_on(store, replace(around, models=models))


async def work_on(store: Store, around: Around) -> None:
    """Bring every problem that is not done to the end of the road, `parallel` at a time, while the budget lasts."""
    config, models, watch = store.config, around.models, around.watch
    plan = around.anew.of(Settings.of(config["settings"]))
    lessons = {id: [Example(*fields) for fields in own] for id, own in config.get("given", {}).items()}
    taught, done = list(store.problems()), store.done_ids()
    todo = iter([p for p in taught if p.id not in done])
    sizes = weights_of({m.name: m.parameters for m in store.models()})
    async with AsyncExitStack() as stack:
        if models is None:
            specs = {name: fitted(plan.spec(name), plan.prompts) for name in sizes}
            models = await stack.enter_async_context(opened(specs))
        check_same(models, store)
        ledger = ledger_of(store, plan, around.stop)
        store.record_places(places_of(models, plan, store))
        gateway = await stack.enter_async_context(Gateway(models, store, ledger))
        road = Road(
            plan,
            styles_of(plan, sizes, models),
            lambda problem: store.exam_of(problem.id),
            gateway.ask,
            sizes,
            watch.stage if watch else None,
            Judge(plan.sandbox, store),
        )
        if watch is not None:
            watch.started(store.folder, len(taught), len(done), plan, gateway.meter)

        async def work() -> None:
            for problem in todo:
                if not ledger.may_leave():
                    return
                began = time.perf_counter()
                own = lessons.get(problem.id)
                cut = _Cut(gateway)
                way = replace(road, ask=cut.ask)
                solved = await (
                    way.walk(problem) if own is None else way.join(await given(problem, own, way.judge))
                )
                if around.beside is not None:
                    await around.beside(solved, plan, road.prompts, cut.ask)
                if cut.short:
                    _keep_provisional(store, solved)
                    continue
                store.finish_problem(problem.id, **facts_of(solved), seconds=time.perf_counter() - began)
                if watch is not None:
                    watch.finished(solved)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(plan.parallel, len(taught) - len(done))):
                    group.create_task(work())
        except ExceptionGroup as errors:
            # The first is the cause; the others are what it did to the problems beside it.
            raise errors.exceptions[0] from None
        if ledger.why is not None and len(store.done_ids()) < len(taught):
            store.record_stop(ledger.why)


class _Cut:
    """Asks for one problem, and notices where a budget left a part of it unasked."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.short = False

    async def ask(self, calls: Sequence[Call]) -> list[Reply]:
        replies = await self._gateway.ask(calls)
        self.short = self.short or any(not_asked(reply) for reply in replies)
        return replies


def _keep_provisional(store: Store, solved: Solved) -> None:
    """Keep what can be chosen from a part of a problem, until the run goes on; nothing where nothing can."""
    if any(choice.key is not None for choice in solved.choices.values()):
        store.record_provisional(solved.problem.id, facts_of(solved)["decisions"])


def ledger_of(store: Store, plan: Settings, stop: StopCondition | None) -> Ledger:
    """The run's ledger, with what earlier sessions spent on it."""
    prices = prices_of(plan)
    conditions = [budget_of(plan.budget, prices), stop]
    before = [(row.model, row.calls, row.usage) for row in store.totals()]
    before += [(row.model, 1, row.usage) for row in store.errors()]
    return Ledger(any_of(*(each for each in conditions if each is not None)), prices, before)


def prices_of(plan: Settings) -> dict[str, Prices]:
    """The prices of the models that have any, by name."""
    return {name: spec.prices for name, spec in plan.models.items() if spec.prices is not None}


def names_of(plan: Settings, kind: str) -> list[str]:
    """The models that a run of this kind asks, each once."""
    first = [] if kind == "score" else [plan.teacher]
    writing = [plan.writer, *plan.gold_models] if plan.writes_exams else []
    return list(dict.fromkeys([*first, *plan.students, *writing]))


def specs_of(plan: Settings, kind: str) -> dict[str, ModelSpec]:
    """What stands behind the names of the models that a run of this kind asks."""
    return {name: fitted(plan.spec(name), plan.prompts) for name in names_of(plan, kind)}


def model_row(model: Model, name: str, plan: Settings) -> ModelRow:
    """What a run's store keeps of a model."""
    roles = {"teacher": name == plan.teacher, "student": name in plan.students}
    able, said = model.capabilities, plan.models.get(name)
    parameters = (said.parameters if said else None) or able.parameters
    return ModelRow(name, parameters, (said.context if said else None) or able.context, able.digest, roles)


def check_same(models: Mapping[str, Model], store: Store) -> None:
    """Half a run by one model and half by another under its name would be a result of neither."""
    for row in store.models():
        now = models[row.name].capabilities.digest
        if row.digest is not None and now not in (None, row.digest, _digest_now(row, store)):
            raise ModelError(
                f"model {row.name!r} is not the one that {store.folder} was begun with: its files, or its mode or "
                f"extra fields, have changed ({row.digest[:12]} then, {now[:12]} now). Put the old ones back, or "
                "make a new run"
            )


def _digest_now(row: ModelRow, store: Store) -> str | None:
    """What the digest of an endpoint's model is, that was kept when its address was in it; None for all others."""
    plan = Settings.of(dict(store.info.config["settings"]))
    from docendo.models.endpoint.address import (
        identity,
        identity_before,
    )  # only here: many runs have no endpoint

    try:
        spec = fitted(plan.spec(row.name), plan.prompts)
    except ConfigError:  # an open model's own name
        return None
    return identity(spec) if spec.kind in ENDPOINTS and identity_before(spec) == row.digest else None


def places_of(models: Mapping[str, Model], plan: Settings, store: Store) -> list[PlaceRow]:
    """Where a session reaches the models of a run that are behind addresses, and what is said of them anew."""
    made = Settings.of(dict(store.info.config["settings"]))
    found = []
    for row in store.models():
        model = models[row.name]
        if isinstance(model, Placed):
            now = plan.models.get(row.name)
            moved = now is not None and now != made.models.get(row.name)
            spec = now.model_dump(mode="json", exclude_defaults=True) if now is not None and moved else None
            found.append(PlaceRow(row.name, model.place, spec))
    return found


def styles_of(plan: Settings, names: Iterable[str], models: Mapping[str, Model]) -> Styles:
    """How each of these models is spoken to."""
    known = {name: (plan.models.get(name), models[name].capabilities) for name in names}
    return styles_for(known, plan.prompts)


def check_speakable(models: Mapping[str, Model], styles: Styles, problems: Iterable[Problem]) -> None:
    """Whether every model can read every problem."""
    for problem in problems:
        for name, model in models.items():
            prompt = styles.of(name).teach(problem)
            text = prompt if isinstance(prompt, str) else "\n".join(said for _, said in prompt)
            try:
                model.check(text)
            except UnspeakableError as error:
                raise UnspeakableError(f"problem {problem.id!r}: {name}: {error}") from error


def _check_writing(plan: Settings, styles: PromptBook, taught: Iterable[Problem]) -> None:
    """Whether exams can be written, before the folder is made."""
    for problem in taught:
        check_kind(problem)
        styles.of(plan.writer).write(problem)
    if styles.of(plan.writer).style == "school":
        return
    for school in (n for n in (*plan.students, *plan.gold_models) if styles.of(n).style == "school"):
        raise ConfigError(
            f"setting exam_select: {school!r} knows only the school's words, so it cannot be asked what "
            f"{plan.writer!r} writes; select variants, or take --exam-writer school:writer"
        )


def check_likelihood(students: Iterable[Model], exam: Iterable[Problem]) -> None:
    """Whether likelihood exams can be held: before the folder is made, as nothing could be scored otherwise."""
    for student in students:
        if not student.capabilities.continuations:
            raise ModelError(
                f"{student.name}: cannot take exams by likelihood; school:, hf: and vllm: models can, and those in "
                "completion mode on servers that return the log-probabilities of a prompt. Examine it by answers"
            )
    bare = next((problem for problem in exam if not problem.solution), None)
    if bare is not None:
        raise DataError(
            f"exam problem {bare.id!r} has no worked solution, which exams by likelihood need; choose others by "
            "--exams or --exam-rule, or examine by answers"
        )
