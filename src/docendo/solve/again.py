"""Going on with a run: what may be said anew, and what must be as it was.

A recorded reply is good for what was asked of the model, and how the model was reached is no part of that. So a server
may move, and may be asked faster or slower; a run of half one plan and half another would be a result of neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from docendo.errors import ConfigError
from docendo.models.spec import ENDPOINTS, REACH, ModelSpec
from docendo.solve.config import OTHERS, Role, Vocabulary, check_known, read_file, role_of, spec_of
from docendo.solve.plan import Settings

FREE = ("budget", "parallel")
"""Settings that may change: when to ask no more, and how many problems are under way at once."""


@dataclass(frozen=True, slots=True)
class Anew:
    """What a run that is gone on with is told anew.

    `models` are those that are reached otherwise, by name; `settings` those of `FREE` that were said.
    """

    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of(self, plan: Settings) -> Settings:
        """The plan of a run with what is said anew of its models; of those that it has not nothing is said."""
        mine = {name: spec for name, spec in self.models.items() if name in names_in(plan)}
        return replace(plan, models={**plan.models, **mine}, **self.settings)


def names_in(plan: Settings) -> list[str]:
    """Every model that a run with these settings may ask, each once."""
    writing = (plan.writer, *plan.gold_models) if plan.writes_exams else ()
    return list(dict.fromkeys((plan.teacher, *plan.students, *writing, *plan.models)))


def said_anew(
    plan: Settings,
    file: str | Path | None,
    given: Mapping[str, Any],
    words: Vocabulary | None = None,
    also: Mapping[str, Any] | None = None,
) -> Anew:
    """What may change, of a file and of what was given beside it; what may not must be said as it was, or not at all.

    Args:
        plan: the run's settings, as it was gone on with last.
        file: a TOML file of models and settings, or None. Of its `problems`, `exams` and `limit` nothing is taken: the
            run has its own. What is not said of a model stays as it was.
        given: as for `config.configured`; `base_url` is for every `openai:` and `azure:` model.
        words: what may be said, as for `configured`.
        also: settings of the run beside those of `plan`, likewise to be said as they were.

    Raises:
        ConfigError: something is said that may not change (the message names it), or cannot be used.
    """
    words = words or Vocabulary()
    values = {} if file is None else read_file(Path(file), words)
    given = dict(given)
    base_url = given.pop("base_url", None)
    check_known(given, [*words.known, "base_url"], "setting", "")
    said = {**values, **given}
    was = {**{name: getattr(plan, name) for name in plan.__dataclass_fields__}, **(also or {})}
    changed = [
        f"{name} was {was[name]!r} and cannot become {now!r}"
        for name, now in said.items()
        if name in was and name not in ("teacher", "students", "models", *FREE) and _plain(now) != was[name]
    ]
    moved: dict[str, ModelSpec] = {}
    for name, where, role in _roles(plan, values, given):
        changed += _changed(plan, name, where, role, given)
        reached = {key: value for key, value in role.items() if key in REACH}
        if reached:
            new = _reached(plan.spec(name), reached, where)
            if moved.setdefault(name, new) != new:
                raise ConfigError(f"{where}: {name!r} is in the file twice, and reached in two ways there")
    if base_url is not None:
        for name in _endpoints(plan, base_url):
            moved[name] = _reached(moved.get(name, plan.spec(name)), {"base_url": base_url}, "base_url")
    if changed:
        raise ConfigError(
            f"a run is gone on with as it was planned: {'; '.join(changed)}. Leave that out, or start a new run; what "
            f"may change is how models are reached ({', '.join(REACH)}), {' and '.join(FREE)}"
        )
    free = {name: said[name] for name in FREE if said.get(name) is not None}
    return Anew({name: new for name, new in moved.items() if new != plan.spec(name)}, free)


def _roles(
    plan: Settings, values: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The models that something is said of: their names in the run, where it is said, and what, by key."""
    for said, where in ((given, "setting"), (values, "")):
        beaten = given if said is values else {}
        if "teacher" in said and "teacher" not in beaten:
            yield plan.teacher, f"{where} teacher".strip(), _said(said["teacher"])
        if "students" in said and "students" not in beaten:
            students = list(said["students"])
            if len(students) != len(plan.students):
                raise ConfigError(
                    f"a run is gone on with as it was planned: it has {len(plan.students)} students, "
                    f"{', '.join(plan.students)}, and cannot have {len(students)}. Leave them out, or start a new run"
                )
            for i, (name, role) in enumerate(zip(plan.students, students, strict=True), 1):
                yield name, f"{where} students {i}".strip(), _said(role)
    for role in values.get(OTHERS, ()):
        label = role if isinstance(role, str) else role.label
        if label not in names_in(plan):
            raise ConfigError(
                f"[[{OTHERS}]]: the run has no model {label!r}; it has {', '.join(map(repr, names_in(plan)))}"
            )
        yield label, f"others {label!r}", _said(role)


def _said(role: Role | Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a model, by key, and nothing that is not."""
    spec = role_of(role, "setting")
    if isinstance(spec, str):
        return {"model": spec}
    return spec.model_dump(mode="json", exclude_unset=True)


def _changed(
    plan: Settings, name: str, where: str, role: Mapping[str, Any], given: Mapping[str, Any]
) -> list[str]:
    """What is said of a model otherwise than it was, in words; a setting that is typed beats the model's own."""
    old = plan.spec(name).model_dump(mode="json")
    short = {"temperature": "student_temperature"} if name != plan.teacher else {}
    return [
        f"{where}: {key} was {old[key]!r} and cannot become {now!r}"
        for key, now in role.items()
        if key not in (*REACH, "name") and short.get(key, key) not in given and now != old[key]
    ] + ([f"{where}: {name!r} cannot become {role['name']!r}"] if role.get("name", name) != name else [])


def _reached(old: ModelSpec, new: Mapping[str, Any], where: str) -> ModelSpec:
    """A model reached otherwise; of its limits those that are said."""
    kept = old.model_dump(mode="json", exclude_unset=True)
    limits = {**kept.get("limits", {}), **new.get("limits", {})}
    return spec_of({**kept, **new, **({"limits": limits} if limits else {})}, where)


def _endpoints(plan: Settings, base_url: str) -> list[str]:
    found = [name for name in names_in(plan) if plan.spec(name).kind in ENDPOINTS]
    if not found:
        raise ConfigError(
            f"base_url {base_url}: the run has no {': or '.join(ENDPOINTS)}: model that it could be for"
        )
    return found


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
