"""The nouns that travel the road: small frozen values without behaviour that needs an import.

A `Problem` is taught; what the teacher writes is an `Example`; examples shown to a student make a
`Lesson`; students take an `Exam` after it, each reply being an `ExamAnswer` with its `Grade`; the share
they get right is the lesson's LbT score (Ning et al. 2024, section 3). A `Call` is what is asked of a
model and a `Reply` what came back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Kind = Literal["math", "code", "label", "exact"]
KINDS: tuple[Kind, ...] = ("math", "code", "label", "exact")


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with, where known, a reference solution and a gold answer.

    `family` names the problems that are variants of one another (an exam is made of them); `cluster`
    names what makes families alike, and is what bootstrap intervals resample; `group` is the row a
    problem is reported in. `None` means not known.
    """

    id: str
    question: str
    answer: str | None = None
    solution: str | None = None
    kind: Kind = "math"
    family: str | None = None
    cluster: str | None = None
    group: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def judgeable(self) -> bool:
        """Whether right and wrong can be told: there is a gold answer or, for code, there are tests."""
        if self.kind == "code":
            return bool(self.meta.get("visible") or self.meta.get("hidden"))
        return self.answer is not None

    @property
    def examinable(self) -> bool:
        """Whether an exam can be made of it: what may be known of a code problem are its visible tests."""
        return bool(self.meta.get("visible")) if self.kind == "code" else self.answer is not None


@dataclass(frozen=True, slots=True)
class Example:
    """A problem's question with one rationale and one answer by somebody."""

    question: str
    rationale: str
    answer: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student is shown: one example (M1, M2) or an ordered set of them (M3).

    Two lessons with the same text are the same lesson, so `id` is a hash of the content.
    """

    examples: tuple[Example, ...]

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the examples."""
        return _digest([[e.question, e.rationale, e.answer] for e in self.examples])[:16]


class GradeState(StrEnum):
    """What happened when a text was graded.

    `ok`: an answer was read (its score is 0 or 1, or None where there is no gold to compare with).
    `ungradable`: the text is complete but holds no readable answer; where a gold exists this counts as 0.
    `truncated`: the text was cut by a limit before an answer could be read; not counted, but shown.
    `failed`: there is no text (the call failed) or the grader itself failed; not counted, but shown.
    """

    OK = "ok"
    UNGRADABLE = "ungradable"
    TRUNCATED = "truncated"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Grade:
    """The judgement of one text: `score` in [0, 1] or None where nothing can be said of right or wrong.

    `answer` is the extracted answer as written, `key` its equivalence key: answers with equal keys are
    the same answer when votes are counted. `detail` says what the judgement rests on, as JSON, where the key does not
    say all: of code, what came of the tests; of what the grader failed at, why.
    """

    state: GradeState
    score: float | None = None
    answer: str | None = None
    key: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch those filters off."""

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 2048
    stop: tuple[str, ...] = ()


Prompt = str | tuple[tuple[str, str], ...]
"""What a model is asked: a text to go on with (completion), or (role, content) pairs (chat)."""

Purpose = Literal[
    "greedy",
    "teach",
    "debug",
    "propose",
    "reflect",
    "rewrite",
    "exam",
    "likelihood",
    "readout",
    "sc",
    "control",
    "write",
    "gold",
]


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of a model: the final prompt, the parameters, and which of several samples this is.

    `prompt` is text (completion) or (role, content) pairs (chat). `seed` is the run's seed; together with
    the request and `sample` it fixes the call's randomness, whatever else is computed beside it.
    With a `continuation` nothing is written: it is asked how likely that text is as the reply, and the reply's text
    is the natural log-probability, as `repr` writes a float.
    `batch` names the calls which the plan asks for together and `batch_size` counts them: an engine that
    computes exactly such a batch at once gives the same replies however often the run was interrupted.
    """

    model: str
    prompt: Prompt
    sampling: Sampling
    sample: int = 0
    seed: int = 0
    purpose: Purpose = "teach"
    batch: str = ""
    batch_size: int = 1
    continuation: str | None = None

    request: str = field(init=False, repr=False, compare=False)
    """SHA-256 of the final request: model, prompt, parameters and seed, without the sample index."""

    def __post_init__(self) -> None:
        """Hash once: a call is looked up by its request many times on its way."""
        s = self.sampling
        parameters = [s.temperature, s.top_p, s.top_k, s.max_tokens, list(s.stop)]
        asked: list[Any] = [self.model, self.prompt, parameters, self.seed]
        if self.continuation is not None:
            asked.append(self.continuation)
        object.__setattr__(self, "request", _digest(asked))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call.

    `cached` is the part of `prompt` whose computation was shared with another call (a common prefix or a
    duplicated prompt); `computed` tokens are what cost counts. `reasoning` is the part of `completion` that a
    reasoning model spent before its visible answer, 0 where that is not reported.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def computed(self) -> int:
        """Tokens really computed: prompt without the shared part, and completion."""
        return self.prompt - self.cached + self.completion

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )


Stop = Literal["stop", "length", "error"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a call: the text, why it ended, and what it cost.

    `stop` is "stop" (the model ended or a stop string was met), "length" (cut by a limit) or "error"
    (`error` then says what happened and `text` is empty). `reasoning` is what a reasoning model wrote before
    its visible answer, kept apart from `text`; empty where there is none or it is hidden. `lasting` marks an
    error that asking again would only repeat (a prompt that is too long, a refused parameter). `given_up` counts the
    requests for it that were sent and then given up, so that the server may have worked on them, and may bill them: a
    fact of the asking and not of the reply.
    """

    text: str
    stop: Stop
    usage: Usage = Usage()
    seconds: float = 0.0
    error: str | None = None
    reasoning: str = ""
    lasting: bool = False
    given_up: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Exam:
    """The problems a lesson is examined on, by which students, and how many times each is asked."""

    problems: tuple[Problem, ...]
    students: tuple[str, ...]
    repeats: int = 3


@dataclass(frozen=True, slots=True)
class ExamAnswer:
    """One student's one rationale and answer to one exam problem after one lesson, with its grade.

    `request` is the hash of the call's request; with `repeat` (its sample index) it finds the recorded reply.
    """

    lesson: str
    problem: str
    student: str
    repeat: int
    text: str
    grade: Grade
    usage: Usage = Usage()
    request: str = ""


Ended = Literal["complete", "settled", "certain", "agreed", "dull", "abstained"]
"""Why no more was asked in an exam: nothing was left; no answer could change the choice; the choice was certain
enough; all lessons have one answer; what was left promises too little (lessons that failed, questions that every
lesson passes or fails); or no exam could be written."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """What was asked of one problem's lessons, of what the whole exam would have asked.

    `rounds` counts how often students were asked. `chance` is that of the whole exam giving no other answer a lead
    worth asking for, 1 where that is certain; None where nobody asked for it (a fixed allocation).
    """

    planned: int
    asked: int
    rounds: int
    ended: Ended
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredLesson:
    """A lesson with its exam behind it.

    `samples` are the indices of the teacher's samples that produced this very lesson (identical lessons
    are examined once). `score` in [0, 1] is the LbT score pooled over students, None where no exam answer
    counted; `by_student` gives each student's own.
    """

    lesson: Lesson
    grade: Grade
    samples: tuple[int, ...]
    score: float | None
    by_student: Mapping[str, float | None]
    answers: tuple[ExamAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer that one choice rule picks from scored lessons; `weight` is what won by that rule's measure."""

    rule: str
    answer: str | None
    key: str | None
    weight: float


def _digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
