"""The plan of a run: its settings, checked, and what follows from them before any model is asked."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, fields
from typing import Any

from docendo.errors import ConfigError
from docendo.types import Call, Purpose, Sampling


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run is done. Defaults are the paper's shape at the school's size.

    Attributes:
        teacher: the model that teaches.
        students: the models that take the exams; the teacher may be among them.
        lessons: the teacher's samples a problem, N (the paper's number of rationales).
        exam_problems: problems an exam, drawn from the taught problem's family.
        repeats: times each student is asked each exam problem.
        temperature: of the teacher's samples; the greedy baseline is always 0.
        student_temperature: of the students' answers.
        top_p, top_k: of both; 1 and 0 switch them off.
        max_tokens: of any reply.
        equal_cost: also ask the teacher for as many more samples as exams cost, so that self-consistency is
            compared at equal cost; doubles what a run costs, and needs gold answers to be of use.
        prompts: a prompt style or the path of a folder with templates.
        parallel: problems under way at once.
        seed: fixes every draw of the run.
    """

    teacher: str = "school:teacher"
    students: tuple[str, ...] = ("school:student",)
    lessons: int = 24
    exam_problems: int = 3
    repeats: int = 3
    temperature: float = 0.7
    student_temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 128
    equal_cost: bool = True
    prompts: str = "school"
    parallel: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values no run could be done with."""
        for name, least in (
            ("lessons", 1),
            ("exam_problems", 1),
            ("repeats", 1),
            ("max_tokens", 1),
            ("parallel", 1),
        ):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"setting {name}: {getattr(self, name)} is too small, it must be at least {least}"
                )
        for name in ("temperature", "student_temperature"):
            if not 0 <= getattr(self, name) <= 10:
                raise ConfigError(f"setting {name}: {getattr(self, name)} is out of range, 0 to 10")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"setting top_p: {self.top_p} is out of range, above 0 and at most 1")
        if self.top_k < 0:
            raise ConfigError(f"setting top_k: {self.top_k} is negative; 0 switches it off")
        if not self.students:
            raise ConfigError("setting students: an exam needs at least one student")
        if len(set(self.students)) < len(self.students):
            raise ConfigError(f"setting students: named twice in {', '.join(self.students)}")

    @classmethod
    def of(cls, values: dict[str, Any]) -> Settings:
        """Settings from keyword arguments or a stored configuration.

        Raises:
            ConfigError: an unknown name (with the nearest known one) or a value of the wrong type.
        """
        known = {f.name: f.default for f in fields(cls)}
        for name, value in values.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
                raise ConfigError(f"unknown setting {name!r}{hint}")
            if not _fits(value, known[name]):
                wanted = "list of names" if name == "students" else type(known[name]).__name__
                raise ConfigError(f"setting {name}: {value!r} is not a {wanted}")
        if "students" in values:
            values = values | {"students": tuple(values["students"])}
        return cls(**values)

    def stored(self) -> dict[str, Any]:
        """As kept in the run folder."""
        return asdict(self) | {"students": list(self.students)}

    def sampling(self, purpose: Purpose) -> Sampling:
        """How a reply for this purpose is sampled."""
        heat = {"greedy": 0.0, "exam": self.student_temperature}.get(purpose, self.temperature)
        return Sampling(temperature=heat, top_p=self.top_p, top_k=self.top_k, max_tokens=self.max_tokens)

    def call(
        self, purpose: Purpose, prompt: str, sample: int, batch: str, size: int, model: str = ""
    ) -> Call:
        """A call of this run; the teacher's unless another model is named."""
        return Call(
            model=model or self.teacher,
            prompt=prompt,
            sampling=self.sampling(purpose),
            sample=sample,
            seed=self.seed,
            purpose=purpose,
            batch=batch,
            batch_size=size,
        )


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, tuple):
        return isinstance(value, (tuple, list)) and all(isinstance(v, str) for v in value)
    return isinstance(value, str)
