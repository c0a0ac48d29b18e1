"""The plan of a run: its settings, checked, and what follows from them before any model is asked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from docendo.errors import ConfigError
from docendo.exams.ways import GOLDS, WRITTEN, check_asking, check_selection, check_writing
from docendo.grading.sandbox.names import NAMES as SANDBOXES
from docendo.grading.sandbox.names import UNSAFE
from docendo.models.budget import Budget
from docendo.models.spec import ModelSpec
from docendo.types import Call, Prompt, Purpose, Sampling

SCHOOL_MAX_TOKENS, MAX_TOKENS = 128, 2048
"""The longest reply where none was said: the school's models never need more, others often need this much."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run is done. Defaults are the paper's shape at the school's size.

    Attributes:
        teacher: the name of the model that teaches.
        students: the names of the models that take the exams; the teacher may be among them.
        lessons: the teacher's samples a problem, N (the paper's number of rationales).
        exam_problems: problems an exam.
        exam_select: how they are found: "variants" of the taught problem's family, the "nearest" in wording, by
            "metadata", "fixed", or "written" by a model; "auto" is variants where the family has any, else nearest.
        exam_rule: which problems may be in an exam, such as "subject = taught, level <= taught"; empty: all.
        exam_ids: the problems of fixed exams, the first `exam_problems` that may be in the exam.
        exam_index: what nearest goes by: "lexical", or "embed:MODEL" (extra `embed`).
        exam_writer: the model that writes exams, of the run's or any other; empty: the teacher.
        gold_by: who answers written problems for their golds: "teacher", "students", "all" (both), names of other
            models, or several of these with commas between.
        gold_samples: times each of them answers each.
        gold_agreement: the share of these answers, above 0.5, that must be the same for it to be the gold.
        repeats: times each student is asked each exam problem.
        exam_score: what is asked of students: "answers" to the exam problems, or the "likelihood" of their worked
            solutions, which needs students that tell log-likelihoods.
        pooling: how several students make one score: their "mean", or "weighed" by what each one's answers tell.
        allocation: "fixed" asks every exam question after every lesson; "adaptive" asks in rounds, while the choice
            between the lessons' answers is open.
        certainty: the chance at which an adaptive exam's choice is certain enough, above 0.5; 1 stops only where no
            answer could change it.
        settle: the choice rule that an adaptive exam settles, "sum" or "max".
        temperature: of the teacher's samples; the greedy baseline is always 0.
        student_temperature: of the students' answers.
        top_p, top_k: of both; 1 and 0 switch them off.
        max_tokens: of any reply; None is 128 for `school:` models and 2048 for others.
        self_debug: show each program that fails a visible test back to the teacher, once, and take the revision unless
            it passes fewer of them; problems of kind code only.
        equal_cost: also ask the teacher for as many more samples as exams cost, so that self-consistency is
            compared at equal cost; doubles what a run costs, and needs gold answers to be of use.
        prompts: a prompt style or the path of a folder with templates; "auto" chooses one for each model.
        parallel: problems under way at once.
        seed: fixes every draw of the run.
        sandbox: where programs are run: "bubblewrap", "docker" or "podman"; "auto" for the first that works;
            "run-untrusted-code-without-sandbox" lets any program that a model writes do what this user may.
        budget: when to stop asking, as `Budget.parse` reads it ("5 USD, 2M tokens"); empty for never.
        models: what stands behind names of models that do not say everything themselves, by name.
    """

    teacher: str = "school:teacher"
    students: tuple[str, ...] = ("school:student",)
    lessons: int = 24
    exam_problems: int = 3
    exam_select: str = "auto"
    exam_rule: str = ""
    exam_ids: tuple[str, ...] = ()
    exam_index: str = "lexical"
    exam_writer: str = ""
    gold_by: str = "teacher"
    gold_samples: int = 8
    gold_agreement: float = 0.7
    repeats: int = 3
    exam_score: str = "answers"
    pooling: str = "mean"
    allocation: str = "fixed"
    certainty: float = 0.95
    settle: str = "sum"
    temperature: float = 0.7
    student_temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int | None = None
    self_debug: bool = False
    equal_cost: bool = True
    prompts: str = "auto"
    parallel: int = 8
    seed: int = 0
    sandbox: str = "auto"
    budget: str = ""
    models: Mapping[str, ModelSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values no run could be done with."""
        for name, least in (
            ("lessons", 1),
            ("exam_problems", 1),
            ("repeats", 1),
            ("gold_samples", 2),
            ("max_tokens", 1),
            ("parallel", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"setting {name}: {value} is too small, it must be at least {least}")
        for name in ("temperature", "student_temperature"):
            if not 0 <= getattr(self, name) <= 10:
                raise ConfigError(f"setting {name}: {getattr(self, name)} is out of range, 0 to 10")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"setting top_p: {self.top_p} is out of range, above 0 and at most 1")
        if self.top_k < 0:
            raise ConfigError(f"setting top_k: {self.top_k} is negative; 0 switches it off")
        if self.sandbox not in ("auto", *SANDBOXES, UNSAFE):
            raise ConfigError(
                f"setting sandbox: there is none named {self.sandbox!r}; known: auto, {', '.join(SANDBOXES)}"
            )
        if self.budget:
            Budget.parse(self.budget)
        if not self.students:
            raise ConfigError("setting students: an exam needs at least one student")
        if len(set(self.students)) < len(self.students):
            raise ConfigError(f"setting students: named twice in {', '.join(self.students)}")
        check_asking(self.exam_score, self.pooling, self.allocation, self.certainty, self.settle)
        check_selection(self.exam_select, self.exam_rule, self.exam_ids, self.exam_index)
        check_writing(self.exam_select, self.exam_score, self.gold_agreement)
        for setting, names, known in (
            ("exam_writer", (self.writer,), ""),
            ("gold_by", self.gold_models, f"none of {', '.join(GOLDS)}, and "),
        ):
            for name in names:
                self._check_model(setting, name, known)

    def _check_model(self, setting: str, name: str, known: str) -> None:
        """Refuse a name that is no model's: neither of the run's nor one that says what stands behind it."""
        models = tuple(dict.fromkeys((self.teacher, *self.students, *self.models)))
        if name in models:
            return
        try:
            ModelSpec.named(name)
        except ConfigError as error:
            raise ConfigError(
                f"setting {setting}: {name!r} is {known}no model of this run; its models are {', '.join(models)}, and "
                "any other is named KIND:NAME"
            ) from error

    @classmethod
    def of(cls, values: dict[str, Any]) -> Settings:
        """Settings from keyword arguments or a stored configuration.

        Raises:
            ConfigError: an unknown name (with the nearest known one) or a value of the wrong type.
        """
        known = {f.name: f.default for f in fields(cls) if f.name != "models"}
        models = values.get("models", {})
        values = {name: value for name, value in values.items() if name != "models"}
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"unknown setting {name!r}{nearest(name, list(known))}")
            wanted = _misfit(value, name, known[name])
            if wanted is not None:
                raise ConfigError(f"setting {name}: {value!r} is not {wanted}")
        listed = (name for name in ("students", "exam_ids") if name in values)
        values = values | {name: tuple(values[name]) for name in listed}
        specs = {name: ModelSpec.model_validate(spec) for name, spec in models.items()}
        return cls(**values, models=specs)

    def stored(self) -> dict[str, Any]:
        """As kept in the run folder: plain values, and no secret among them."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        models = {
            name: spec.model_dump(mode="json", exclude_defaults=True) for name, spec in self.models.items()
        }
        lists = {"students": list(self.students), "exam_ids": list(self.exam_ids)}
        return kept | lists | {"models": models}

    @property
    def writes_exams(self) -> bool:
        """Whether exams are written as the run goes, and not selected before."""
        return self.exam_select == WRITTEN

    @property
    def writer(self) -> str:
        """The model that writes exams, where they are written."""
        return self.exam_writer or self.teacher

    @property
    def gold_models(self) -> tuple[str, ...]:
        """The models whose agreement gives written problems their golds."""
        known = {"teacher": (self.teacher,), "students": self.students, "all": (self.teacher, *self.students)}
        words = (word.strip() for word in self.gold_by.split(","))
        return tuple(dict.fromkeys(name for word in words for name in known.get(word, (word,))))

    def spec(self, name: str) -> ModelSpec:
        """What stands behind a model's name.

        Raises:
            ConfigError: the name says nothing, and nothing is said of it.
        """
        return self.models[name] if name in self.models else ModelSpec.named(name)

    def sampling(self, purpose: Purpose, model: str = "", stop: tuple[str, ...] = ()) -> Sampling:
        """How a reply for this purpose is sampled, by the teacher unless another model is named.

        What is said of the model itself beats what is said of the run, and its stop strings those of the prompt
        style, `stop`; the greedy baseline is always greedy.
        """
        name = model or self.teacher
        own = self.models.get(name)
        school = (own.model if own else name).startswith("school:")
        longest = self.max_tokens or (SCHOOL_MAX_TOKENS if school else MAX_TOKENS)
        heat = self.student_temperature if purpose == "exam" else self.temperature
        drawn = Sampling(heat, self.top_p, self.top_k, longest, stop)
        if own is not None:
            said = {f: getattr(own, f) for f in ("temperature", "top_p", "top_k", "max_tokens", "stop")}
            drawn = replace(drawn, **{f: value for f, value in said.items() if value is not None})
        return replace(drawn, temperature=0.0) if purpose == "greedy" else drawn

    def call(
        self,
        purpose: Purpose,
        prompt: Prompt,
        sample: int,
        batch: str,
        size: int,
        model: str = "",
        stop: tuple[str, ...] = (),
    ) -> Call:
        """A call of this run, the teacher's unless another model is named; `stop` is the prompt style's."""
        return Call(
            model=model or self.teacher,
            prompt=prompt,
            sampling=self.sampling(purpose, model, stop),
            sample=sample,
            seed=self.seed,
            purpose=purpose,
            batch=batch,
            batch_size=size,
        )


def weights_of(parameters: Mapping[str, int | None]) -> dict[str, int]:
    """What a token of each model weighs in costs, by name: the model's parameters.

    Where the size of any is not known, a token of each weighs 1: beside a known size of millions, one that is taken as
    1 would cost nothing.
    """
    if any(size is None for size in parameters.values()):
        return dict.fromkeys(parameters, 1)
    return {name: size or 1 for name, size in parameters.items()}


def nearest(word: str, known: Sequence[str]) -> str:
    """What to say after a name that is not known: the nearest one that is, or all of them."""
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"


def _misfit(value: Any, name: str, default: Any) -> str | None:
    """What the value of a setting should have been, where it is something else."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, float):
        return None if isinstance(value, (int, float)) and not isinstance(value, bool) else "a number"
    if name == "max_tokens" and value is None:
        return None
    if isinstance(default, int) or name == "max_tokens":
        return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(default, tuple):
        listed = isinstance(value, (tuple, list)) and all(isinstance(v, str) for v in value)
        return None if listed else "a list of names"
    return None if isinstance(value, str) else "a text"
