"""A run as the user says it: a TOML file, keyword values or typed options, put together into `Settings`.

What stands in the file is looked at strictly: an unknown key or a value of the wrong type is an error that names
the file and the key. What is given beside the file beats it. Opening the models is left to `models.resolve`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from docendo.errors import ConfigError
from docendo.models.spec import ENDPOINTS, Limits, ModelSpec, Prices
from docendo.solve.plan import Settings, nearest

SOURCES = ("problems", "exams", "limit")
"""What a file may say beside the settings: where problems come from."""

OTHERS = "others"
"""Models of a file that neither teach nor learn: they write exams, or answer what was written."""

# How a setting of the run is called in a model's own table, and of whom it speaks.
_OWN = {
    "temperature": ("temperature", "teacher"),
    "student_temperature": ("temperature", "student"),
    "top_p": ("top_p", ""),
    "top_k": ("top_k", ""),
    "max_tokens": ("max_tokens", ""),
    "prompts": ("prompts", ""),
}
_TABLES: dict[str, type[BaseModel]] = {"limits": Limits, "prices": Prices}

Role = ModelSpec | str
"""A model with a role: as configured, or by its bare name."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What may be said of a command's run, in its file and beside it.

    `settings` are fields of `Settings`, all where empty; `sources` may be said in the file alone; `own` is what the
    command reads itself, some of it `paths`. `defaults` stand in for the defaults of `Settings`.
    """

    settings: tuple[str, ...] = ()
    sources: tuple[str, ...] = SOURCES
    own: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("problems", "exams", "prompts", "exam_index")
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> list[str]:
        """The settings, the command's own among them."""
        return [*(self.settings or _setting_names()), *self.own]


@dataclass(frozen=True, slots=True)
class Configured:
    """What a run is to do.

    `problems`, `exams` and `limit` are those of the file, None where it has none; `own` is what the command reads
    itself, of the file and given beside it.
    """

    settings: Settings
    problems: str | None = None
    exams: str | None = None
    limit: int | None = None
    own: Mapping[str, Any] = field(default_factory=dict)


def configured(
    file: str | Path | None, given: Mapping[str, Any], words: Vocabulary | None = None
) -> Configured:
    """Settings from a file and from what was given beside it.

    Args:
        file: a TOML file (docs/models.md), or None.
        given: fields of `Settings`, of which `teacher` and each of `students` may also be a `ModelSpec` or a
            mapping of its fields; and `base_url`, for the `openai:` and `azure:` models that have none of
            their own. All of it beats the file: a model given here replaces the file's whole, and a
            temperature given here also replaces that of the file's models.
        words: what may be said; by default what `docendo solve` takes.

    Raises:
        ConfigError: an unknown key, a wrong type or value, or a file that cannot be read.
    """
    words = words or Vocabulary()
    values = {} if file is None else read_file(Path(file), words)
    given = dict(given)
    base_url = given.pop("base_url", None)
    check_known(given, [*words.known, "base_url"], "setting", "")
    sources = {name: values.pop(name, None) for name in words.sources}
    others = values.pop(OTHERS, [])
    own = {name: values.pop(name) for name in words.own if name in values}
    own |= {name: given.pop(name) for name in words.own if name in given}
    values = {**words.defaults, **values}
    teacher, students = _models(values, given, base_url)
    if base_url is not None:
        others += _unsaid(base_url, {**values, **given}, (teacher, *students, *others))
    teaching, examined, specs = _named(teacher, students, others)
    cast = {"teacher": teaching, "students": examined, "models": specs}
    values = {name: value for name, value in values.items() if name not in cast}
    try:
        said = Settings.of({**values, "models": specs})
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    plan = Settings.of(values | given | cast)
    asked = {*examined, teaching, said.writer, *said.gold_models, plan.writer, *plan.gold_models}
    idle = [name for name in specs if name not in asked]
    if idle:
        raise ConfigError(
            f"{file}: [[{OTHERS}]]: {idle[0]!r} is asked for nothing; name it by exam_writer or gold_by, or take it out"
        )
    return Configured(plan, **sources, own=own)


def spec_of(values: Mapping[str, Any], where: str) -> ModelSpec:
    """A model's table as a `ModelSpec`.

    Args:
        values: by key.
        where: names the table in messages.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type or value, each with its key.
    """
    _check_table(values, ModelSpec, where)
    for name, table in _TABLES.items():
        if isinstance(values.get(name), Mapping):
            _check_table(values[name], table, f"{where}: {name}")
    try:
        # As JSON, where strict types still take lists and tables: TOML has what JSON has, and dates.
        return ModelSpec.model_validate_json(json.dumps(values), strict=True)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {key}: {said}" if key else f"{where}: {said}") from None


def read_file(path: Path, words: Vocabulary) -> dict[str, Any]:
    """The file's values by key; `teacher` and `students` as models, paths as seen from the working folder."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin with a mark
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{path}: not a TOML file ({error})") from error
    others = [OTHERS] if "exam_writer" in words.known else []
    check_known(values, [*words.sources, *words.known, *others], "key", f"{path}: ")
    for name, wanted, kind in (("problems", str, "text"), ("exams", str, "text"), ("limit", int, "number")):
        if name in values and (not isinstance(values[name], wanted) or isinstance(values[name], bool)):
            raise ConfigError(f"{path}: {name}: {values[name]!r} is not a {kind}")
    if values.get("limit", 1) < 1:
        raise ConfigError(f"{path}: limit: {values['limit']} is too small, it must be at least 1")
    for name in words.paths:
        if isinstance(values.get(name), str):
            values[name] = beside(path, values[name])
    if "teacher" in values:
        values["teacher"] = role_of(values["teacher"], f"{path}: [teacher]", path)
    for name in ("students", OTHERS):
        if name not in values:
            continue
        if not isinstance(values[name], list):
            raise ConfigError(f"{path}: {name}: write [[{name}]] tables, or a list of model names")
        values[name] = [
            role_of(value, f"{path}: [[{name}]] {i}", path) for i, value in enumerate(values[name], 1)
        ]
    return values


def role_of(value: Any, where: str, path: Path | None = None) -> Role:
    """One model as the user may write it."""
    if isinstance(value, ModelSpec):
        return value
    if isinstance(value, str):
        return value if path is None else beside(path, value)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {value!r} is no model; give a name such as openai:NAME, or a table")
    if path is not None:
        moved = {key: beside(path, value[key]) for key in ("model", "prompts") if _is_text(value, key)}
        value = {**value, **moved}
    return spec_of(value, where)


def _is_text(values: Mapping[str, Any], key: str) -> bool:
    return isinstance(values.get(key), str)


def beside(path: Path, text: str) -> str:
    """A relative path of a file as seen from the working folder: it is meant from beside the file.

    `text` is a path or KIND:PATH, with options after a question mark whose values may be paths too. Names such as
    `school:m1` or `openai:x` stay: a path is only what begins with "./" or "../", or is there.
    """
    name, query, options = text.partition("?")
    kind, colon, target = name.rpartition(":")
    name = kind + colon + _moved(path, target)
    pairs = [part.partition("=") for part in options.split("&")]
    return name + query + "&".join(key + equals + _moved(path, value) for key, equals, value in pairs)


def _moved(path: Path, text: str) -> str:
    there = text.startswith(("./", "../")) or (text != "" and (path.parent / text).exists())
    return str(path.parent / text) if there else text


def _models(
    values: Mapping[str, Any], given: Mapping[str, Any], base_url: str | None
) -> tuple[Role, list[Role]]:
    """Teacher and students: those given, else the file's with what was given for them, else the school's."""

    def own(role: Role, who: str) -> Role:
        if isinstance(role, str):
            return role
        beaten = {key for name, (key, whose) in _OWN.items() if name in given and whose in ("", who)}
        return role.model_copy(update=dict.fromkeys(beaten, None))

    school = Settings()
    teacher: Role = own(values.get("teacher", school.teacher), "teacher")
    students: Sequence[Role] = [own(role, "student") for role in values.get("students", school.students)]
    if base_url is not None:
        teacher, students = _at(base_url, teacher), [_at(base_url, role) for role in students]
    if "teacher" in given:
        teacher = _fill(base_url, role_of(given["teacher"], "setting teacher"))
    if "students" in given:
        if isinstance(given["students"], str | Mapping) or not isinstance(given["students"], Iterable):
            raise ConfigError(f"setting students: {given['students']!r} is not a list of models")
        students = [_fill(base_url, role_of(s, "setting students")) for s in given["students"]]
    if base_url is not None and not any(
        isinstance(r, ModelSpec) and r.base_url for r in (teacher, *students)
    ):
        raise ConfigError(
            f"base_url {base_url}: there is no {': or '.join(ENDPOINTS)}: model that it could be for"
        )
    return teacher, list(students)


def _at(base_url: str, role: Role) -> Role:
    """A role at another address; models that have none stay."""
    name = role if isinstance(role, str) else role.model
    if name.partition(":")[0] not in ENDPOINTS:
        return role
    old = {"model": role} if isinstance(role, str) else role.model_dump(mode="json", exclude_unset=True)
    return spec_of(old | {"base_url": base_url}, f"model {name!r}")


def _unsaid(base_url: str, values: Mapping[str, Any], said: Sequence[Role]) -> list[Role]:
    """The models that only `exam_writer` and `gold_by` name: those that are endpoints are at this address too."""
    known = {role if isinstance(role, str) else role.label for role in said}
    words = [values.get("exam_writer", ""), *str(values.get("gold_by", "")).split(",")]
    names = dict.fromkeys(str(word).strip() for word in words)
    return [
        _at(base_url, name)
        for name in names
        if name not in known and name.partition(":")[0] in ENDPOINTS and name.partition(":")[2]
    ]


def _fill(base_url: str | None, role: Role) -> Role:
    has_own = isinstance(role, ModelSpec) and role.base_url is not None
    return role if base_url is None or has_own else _at(base_url, role)


def _named(
    teacher: Role, students: Sequence[Role], others: Sequence[Role]
) -> tuple[str, tuple[str, ...], dict[str, ModelSpec]]:
    """Give every model a name of its own, and say what stands behind it where that is more than the name says.

    The same model in two roles is one model if all that is said of it is the same, and two otherwise: a teacher
    may be its own student at another temperature.
    """
    known: dict[str, ModelSpec | None] = {}
    roles: list[str] = []
    for i, role in enumerate((teacher, *students, *others)):
        if isinstance(role, str) or role == ModelSpec(model=role.model):
            bare = role if isinstance(role, str) else role.model
            known.setdefault(bare, None)
            roles.append(bare)
            continue
        name, number = role.label, 1
        while name in known and known[name] != role.model_copy(update={"name": name}):
            if role.name is not None:
                raise ConfigError(f"two different models have the name {role.name!r}; give one another name")
            whose = "teacher" if i == 0 else "student" if i <= len(students) else "other"
            name = f"{role.model} ({whose}{f' {number}' if number > 1 else ''})"
            number += 1
        known[name] = role.model_copy(update={"name": name})
        roles.append(name)
    specs = {name: spec for name, spec in known.items() if spec is not None}
    return roles[0], tuple(roles[1 : 1 + len(students)]), specs


def _setting_names() -> list[str]:
    return [field.name for field in fields(Settings) if field.name != "models"]


def check_known(values: Iterable[str], known: Sequence[str], noun: str, where: str) -> None:
    """Refuse names that are not among those that may be said.

    Raises:
        ConfigError: such a name, with the nearest known one.
    """
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}unknown {noun} {key!r}{nearest(key, known)}")


def _check_table(values: Mapping[str, Any], table: type[BaseModel], where: str) -> None:
    known = list(table.model_fields)
    for key in values:
        if key not in known:
            secret = "; name the environment variable that holds the key by key_env" if "key" in key else ""
            raise ConfigError(f"{where}: unknown key {key!r}{secret or nearest(key, known)}")
