"""The plan of a tuning: what is done with the pairs, how often, and how it is judged; checked before anything is.

How pairs are made is `pairset.PairSettings`, how a teacher is trained `train.TrainSettings`, how it teaches and is
examined `solve.plan.Settings`. A plan is kept in the tuning's folder, so that it can be gone on with from there alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from docendo import __version__
from docendo.errors import ConfigError, StoreError
from docendo.models.spec import ModelSpec
from docendo.solve.again import Anew
from docendo.solve.config import configured
from docendo.solve.plan import Settings, nearest
from docendo.solve.work import Around, Watch
from docendo.tune.export import FILES, FORMS, SHAPES
from docendo.tune.files import read_json, write_json
from docendo.tune.pairset import PairSettings
from docendo.tune.train import TrainSettings

FILE, FORMAT = "tune.json", 1
ANEW = "models.json"
"""What a tuning was told anew of how models are reached, when it was gone on with; its plan stays as it was."""
T = TypeVar("T", PairSettings, TrainSettings)


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """What is done beside teaching and examining.

    Attributes:
        pairs: what makes a pair.
        training: how a teacher is trained.
        train: whether one is; without it there are pairs, exports and the page alone.
        export: the forms of sets to write, some of preference, kto, sft and grpo.
        export_file: "jsonl" or "parquet".
        export_shape: how prompts and replies are written in them: "auto", "chat" or "plain".
        rounds: how often a teacher teaches, is examined and tuned; each round goes on from the best teacher so far.
        earlier_students: whether from the second round on the earlier teachers are among the students.
        held_out: problems by which the best round is chosen; empty keeps the last.
        test: sets of problems on which the first and the final teacher are compared, and nothing is chosen.
        test_samples: the teacher's samples a problem in every comparison.
        test_m1: whether M1 with either teacher is compared on these too, students and exams being those of the run.
    """

    pairs: PairSettings = field(default_factory=PairSettings)
    training: TrainSettings = field(default_factory=TrainSettings)
    train: bool = True
    export: tuple[str, ...] = ()
    export_file: str = "jsonl"
    export_shape: str = "auto"
    rounds: int = 1
    earlier_students: bool = False
    held_out: str = ""
    test: tuple[str, ...] = ()
    test_samples: int = 8
    test_m1: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no tuning could be done with."""
        checked: list[tuple[str, str, tuple[str, ...]]] = [("export", form, FORMS) for form in self.export]
        checked += [("export_file", self.export_file, FILES), ("export_shape", self.export_shape, SHAPES)]
        for name, value, known in checked:
            if value not in known:
                raise ConfigError(
                    f"tune: {name}: there is none named {value!r}{nearest(str(value), list(known))}"
                )
        for name in ("rounds", "test_samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"tune: {name}: {getattr(self, name)} is too small, it must be at least 1")
        idle = [name for name in ("held_out", "test", "test_m1") if getattr(self, name) and not self.train]
        if not self.train and self.rounds > 1:
            idle.append("rounds")
        if idle:
            raise ConfigError(f"tune: {idle[0]}: without training there is nothing to compare; leave it out")
        if self.test_m1 and not self.test:
            raise ConfigError("tune: test_m1: name the problems to compare on by test")

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str = "tune") -> TuneSettings:
        """Settings from plain values, as of a file's [tune] table; `pairs` and `training` are tables of their own.

        Raises:
            ConfigError: an unknown name (with the nearest known one), or a value that cannot be used.
        """
        values = dict(values)
        for name in ("export", "test"):
            if isinstance(values.get(name), str):
                values[name] = (values[name],)
            elif name in values:
                values[name] = tuple(values[name])
        tables: dict[str, Any] = {
            "pairs": _table(PairSettings, values.pop("pairs", {}), f"{where}: pairs"),
            "training": _table(TrainSettings, values.pop("training", {}), f"{where}: training"),
        }
        _check(values, cls, where)
        return cls(**values, **tables)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole tuning as planned.

    Attributes:
        runs: folders of finished runs that the first round learns from; without any it teaches its own.
        teach: how lessons are taught and examined; its teacher is the one that is tuned.
        problems, exams, limit: what is taught where there are no runs, and where exams come from.
        how: everything else.
        anew: how models are reached otherwise than when it was planned.
    """

    runs: tuple[str, ...]
    teach: Settings
    how: TuneSettings
    problems: str | None = None
    exams: str | None = None
    limit: int | None = None
    anew: Anew = field(default_factory=Anew)

    def around(self, watch: Watch | None) -> Around:
        """What is around each run of the tuning, new or gone on with."""
        return Around(watch=watch, anew=self.anew)

    @property
    def teacher(self) -> ModelSpec:
        """The model that is tuned."""
        return self.teach.spec(self.teach.teacher)

    def write(self, folder: Path) -> None:
        """Keep the plan in the tuning's folder.

        Raises:
            StoreError: the folder holds something else, or cannot be written.
        """
        values = {
            "format": FORMAT,
            "docendo": __version__,
            "runs": list(self.runs),
            "teach": self.teach.stored(),
            "how": asdict(self.how),
            "problems": self.problems,
            "exams": self.exams,
            "limit": self.limit,
        }
        values = json.loads(json.dumps(values))  # lists for tuples, as they are read back
        if (folder / FILE).is_file():
            if read_json(folder / FILE) != values:
                raise StoreError(
                    f"{folder}: there is another tuning in this folder; go on with it by "
                    f"`docendo tune --resume {folder}`, or choose another folder"
                )
            return
        found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        if any(not name.startswith(f".{FILE}") for name in found):
            raise StoreError(
                f"{folder}: the folder is not empty (it holds {found[0]!r}); choose another folder"
            )
        write_json(folder / FILE, values)

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """The plan of a tuning's folder.

        Raises:
            StoreError: there is none, or one of another version.
        """
        path = folder / FILE
        if not path.is_file():
            raise StoreError(f"{folder}: not a tuning of docendo (it has no {FILE}); give the folder of one")
        values = read_json(path)
        if values.get("format") != FORMAT:
            raise StoreError(
                f"{path}: has format version {values.get('format')}, and this docendo reads {FORMAT}"
            )
        anew = _anew_of(folder)
        return cls(
            tuple(values["runs"]),
            anew.of(Settings.of(values["teach"])),
            TuneSettings.of(values["how"]),
            values["problems"],
            values["exams"],
            values["limit"],
            anew,
        )


def keep_anew(folder: Path, anew: Anew) -> None:
    """Keep in a tuning's folder what it was told anew; what it was told earlier of other models stays."""
    models = {**_anew_of(folder).models, **anew.models}
    if models:
        kept = {name: spec.model_dump(mode="json", exclude_defaults=True) for name, spec in models.items()}
        write_json(folder / ANEW, kept)


def _anew_of(folder: Path) -> Anew:
    kept = read_json(folder / ANEW) if (folder / ANEW).is_file() else {}
    return Anew({name: ModelSpec.model_validate(spec) for name, spec in kept.items()})


def recast(plan: Settings, **given: Any) -> Settings:
    """Settings with others in their place, of which `teacher` and `students` may be `ModelSpec`s.

    Raises:
        ConfigError: a value that cannot be used.
    """
    own = {f.name: getattr(plan, f.name) for f in fields(plan) if f.name != "models"}
    own |= {"teacher": plan.spec(plan.teacher), "students": [plan.spec(name) for name in plan.students]}
    # Models that write exams or answer them go by the names they had, also one that was the teacher.
    others = {name: own.pop(name) for name in ("exam_writer", "gold_by") if name not in given}
    found = configured(None, own | given).settings
    asked = {name.strip() for words in others.values() for name in words.split(",")}
    specs = {name: spec for name, spec in plan.models.items() if name in asked} | dict(found.models)
    return replace(found, **others, models=specs)


def _table(kind: type[T], values: Any, where: str) -> T:
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: {values!r} is not a table of settings")
    _check(values, kind, where)
    return kind(**values)


def _check(values: Mapping[str, Any], kind: type[Any], where: str) -> None:
    """Whether names are known and values are of the types of the fields' defaults."""
    known = {f.name: f for f in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"{where}: unknown setting {name!r}{nearest(name, list(known))}")
        if not _fits(value, str(known[name].type)):
            raise ConfigError(f"{where}: {name}: {value!r} is not of type {known[name].type}")


def _fits(value: Any, wanted: str) -> bool:
    """Whether a value is of a field's type, as it is written there."""
    if value is None:
        return "None" in wanted
    if isinstance(value, bool):
        return "bool" in wanted
    if isinstance(value, int):
        return "int" in wanted or "float" in wanted
    if isinstance(value, float):
        return "float" in wanted
    if isinstance(value, str):
        return wanted == "str"
    return "tuple" in wanted and isinstance(value, tuple) and all(isinstance(v, str) for v in value)
