"""What a run's store holds, as small frozen values; nothing here knows SQL.

The same rows are written and read. Texts are not in them: they are replies, found by a row's `call`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from docendo.types import Choice, Grade, Lesson, Problem, Purpose, Reply, Sitting, Usage

Key = tuple[str, int]
"""What a reply is recorded under: `(call.request, call.sample)`."""

Role = Literal["taught", "exam", "pool", "validation", "test"]
SampleArm = Literal["greedy", "teach", "sc", "given", "draft", "debug"]
"""What a sample was drawn for; `given` ones came with the lessons and were not asked of a model here.

`debug` ones are revisions of programs, `sample` being that of the first one that had the program. Where one was taken,
`teach` is what the sample became, and `draft` what it was.
"""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What was fixed when the run was made: `created` is UTC (ISO 8601), `parent` the run it came from."""

    format: int
    docendo: str
    kind: str
    config: Mapping[str, Any]
    seed: int
    created: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One opening of the run for writing: the first and every resume.

    `stopped` says why it asked for no more, where a budget ended it and not the work or a cut.
    """

    id: int
    started: str
    pid: int
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """Where one session reached a model behind an address.

    `spec` is what was said of the model then (any JSON), where that is not what the run was made with.
    """

    model: str
    address: str
    spec: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model of the run; `roles` says what it is used as, with which settings (any JSON)."""

    name: str
    parameters: int | None = None
    context: int | None = None
    digest: str | None = None
    roles: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SelectionRow:
    """The exam of one taught problem as planned.

    `how` says by which way its problems (ids, in order) were found; `excluded` counts by reason those that the guard
    kept out of it.
    """

    problem: str
    how: str
    problems: tuple[str, ...]
    excluded: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One answer by the teacher, graded.

    `request` is None for a given sample, and of a revised one that of its draft; `lesson` is the id of the lesson that
    the sample became, if any.
    """

    problem: str
    arm: SampleArm
    sample: int
    request: str | None
    lesson: str | None
    grade: Grade

    @property
    def call(self) -> Key | None:
        """Where its reply is recorded."""
        return None if self.request is None else (self.request, self.sample)


@dataclass(frozen=True, slots=True)
class LessonRow:
    """A lesson with its LbT score in [0, 1], pooled and by student; None where no exam answer counted."""

    problem: str
    lesson: Lesson
    score: float | None
    by_student: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class ExamRow:
    """One student's one answer to one exam problem after one lesson, graded."""

    problem: str
    lesson: str
    exam_problem: str
    student: str
    repeat: int
    request: str
    sample: int
    grade: Grade

    @property
    def call(self) -> Key:
        """Where its reply is recorded."""
        return self.request, self.sample


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What one choice rule picked; `correct` is None where the problem has no gold answer."""

    problem: str
    choice: Choice
    correct: bool | None


@dataclass(frozen=True, slots=True)
class SittingRow:
    """How much was asked in the exams of one problem's lessons, and why no more."""

    problem: str
    sitting: Sitting


@dataclass(frozen=True, slots=True)
class DoneRow:
    """A finished problem: how long it was on the road, and when it was finished (UTC, ISO 8601)."""

    problem: str
    seconds: float
    time: str


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What one program came to when it was run; `exam`: only the visible tests were."""

    problem: str
    exam: bool
    session: int
    grade: Grade


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """A recorded reply without its text. `prompt` is the hash of its prompt."""

    request: str
    sample: int
    model: str
    purpose: Purpose
    batch: str
    prompt: str
    stop: Literal["stop", "length"]
    usage: Usage
    seconds: float
    session: int

    @property
    def call(self) -> Key:
        """What it is recorded under."""
        return self.request, self.sample


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A call that came back with an error; asked again when the run is resumed, unless the error is `lasting`."""

    request: str
    sample: int
    model: str
    purpose: Purpose
    batch: str
    prompt: str
    error: str
    lasting: bool
    usage: Usage
    seconds: float
    session: int
    time: str

    @property
    def call(self) -> Key:
        """What was asked."""
        return self.request, self.sample


@dataclass(frozen=True, slots=True)
class TotalRow:
    """What one model was asked for one purpose: recorded replies, their tokens and seconds, summed."""

    model: str
    purpose: Purpose
    calls: int
    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class ProblemRecord:
    """Everything of one finished problem, in the order in which it was recorded.

    `replies` has every text that its samples and exam answers refer to; where a call failed for good, the
    reply is its last error (`stop` "error"). `exam` has the exam problems by id.
    """

    problem: Problem
    done: DoneRow
    samples: tuple[SampleRow, ...]
    lessons: tuple[LessonRow, ...]
    exam_answers: tuple[ExamRow, ...]
    decisions: tuple[DecisionRow, ...]
    sitting: Sitting | None
    exam: Mapping[str, Problem]
    replies: Mapping[Key, Reply]

    def reply(self, row: SampleRow | ExamRow) -> Reply | None:
        """What the model wrote for a row of this record; None for a given sample."""
        return None if row.call is None else self.replies.get(row.call)
