"""Forecast: what a run would ask and cost, before anything is sent (`docendo solve --dry-run`).

Calls are counted from the plan. Prompts are rendered and measured, with a lesson as long as replies are taken
to be; how long replies will be nobody knows, so every amount is a range. No model is asked or opened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from docendo.exams.select import ProblemPool
from docendo.exams.write import CANDIDATES
from docendo.models.base import Capabilities
from docendo.models.budget import currency_of, money
from docendo.models.spec import ModelSpec, Prices
from docendo.prompts import PromptBook, styles_for
from docendo.solve.debug import check_debuggable
from docendo.solve.plan import Settings, weights_of
from docendo.solve.road import MOST_EXTRA_SAMPLES
from docendo.solve.run import selector_of
from docendo.types import Example, Lesson, Problem, Purpose, Usage

MEASURED = 200
"""Problems whose prompts are rendered and measured, evenly over the set; the rest is taken to be alike."""

CHARACTERS_PER_TOKEN = 4.0
"""Of models whose tokenizer is not at hand. English text has about 4; other languages and formulas have fewer."""

_WORDS = re.compile(r"\w+|[^\w ]")

UNKNOWN_REPLY = 300
"""Tokens of a reply where the problems have no solutions to judge by."""

ADAPTIVE_SHARE, WITHOUT_DOUBT_SHARE = 0.12, 0.8
"""Of a whole exam's questions, what an adaptive one asked on the school's tuning problems (24 lessons, exams of 3 by
3): at certainty 0.95 (0.13 at 0.99), and at 1. What it will be elsewhere nobody knows before a pilot."""

LONGER_THAN_SOLUTIONS = 1.5
"""How much longer a model's working is taken to be than the reference solution."""


@dataclass(frozen=True, slots=True)
class Range:
    """An amount that is not known yet: at least, likely, at most."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def __mul__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else Range(other, other, other)
        return Range(self.low * by.low, self.likely * by.likely, self.high * by.high)


ZERO = Range(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """What one model is asked for one purpose: calls, and tokens of their prompts and replies.

    `shared` is the part of the prompts that calls have in common: at best it is computed, or paid in full, only
    once. `money` has it at the price of cached tokens at its low end and in full at the others.
    """

    model: str
    purpose: Purpose
    calls: Range
    prompt: Range
    shared: Range
    completion: Range
    money: Range | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would ask: rows by model and purpose, and what they were reckoned from.

    `reply` is how long a reply was taken to be, in tokens, and `reply_from` says why. `guessed` are the models
    whose tokens were guessed from characters. `exam_share` is the share of whole exams that adaptive ones are taken to
    ask, which is what is likely; at least they ask nothing, at most all. None where exams are whole.
    """

    problems: int
    exam_problems: int
    rows: Sequence[Row]
    reply: Range
    reply_from: str
    guessed: Sequence[str]
    currency: str | None
    exam_share: float | None = None

    def total(self, what: str) -> Range:
        """The sum over rows of "calls", "prompt", "shared", "completion" or "money"."""
        found = (getattr(row, what) for row in self.rows)
        return sum((amount for amount in found if amount is not None), ZERO)

    def json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        names = ("calls", "prompt", "shared", "completion", "money")
        return asdict(self) | {"total": {name: asdict(self.total(name)) for name in names}}


@dataclass(frozen=True, slots=True)
class _Problem:
    """Mean tokens over problems: the teacher's prompt; one student's, in its two parts."""

    teach: float
    lesson: Mapping[str, float]
    question: Mapping[str, float]


def forecast(
    problems: Sequence[Problem],
    pool: ProblemPool,
    settings: Settings,
    *,
    reply_tokens: int | None = None,
    lessons: int | None = None,
) -> Forecast:
    """Reckon what a run would ask.

    Args:
        problems: the taught ones.
        pool: where exams come from.
        settings: of the run.
        reply_tokens: how long a reply likely is; by default judged from the problems' solutions.
        lessons: how many lessons exist already, over all problems (`docendo score`); None where they are taught.

    Raises:
        DataError: a problem for which no exam can be made.
        ConfigError: prices in different currencies, a model that cannot be named, or self-debug where it cannot be.
    """
    writing = (settings.writer, *settings.gold_models) if settings.writes_exams else ()
    names = list(dict.fromkeys([settings.teacher, *settings.students, *writing]))
    prompts = styles_for(
        {n: (settings.models.get(n), able(settings.spec(n))) for n in names}, settings.prompts
    )
    if lessons is None:
        check_debuggable(settings, prompts, problems)
    selector = selector_of(settings, pool)
    # Exams that are still to be written are taken to be like the problem itself.
    own = settings.writes_exams
    exams = {p.id: (p,) * settings.exam_problems if own else selector.select(p).problems for p in problems}
    measured = problems[:: max(1, len(problems) // MEASURED)]
    count = {name: counter(settings.spec(name)) for name in names}
    prices = {name: found for name in names if (found := settings.spec(name).prices) is not None}
    reply, why = _reply(measured, count[settings.teacher], settings, reply_tokens)
    mean = _measure(measured, exams, prompts, settings, count)

    def row(model: str, purpose: Purpose, calls: Range, prompt: Range, shared: Range) -> Row:
        completion = calls * reply
        cost = money_range(prompt, shared, completion, prices.get(model))
        return Row(model, purpose, calls, prompt, shared, completion, cost)

    rows = []
    if lessons is None:
        samples, total = settings.lessons, _level(len(problems))
        prompt = total * mean.teach
        rows.append(row(settings.teacher, "greedy", total, prompt, ZERO))
        # The greedy call goes before: each sample's prompt can be had from it.
        rows.append(row(settings.teacher, "teach", total * samples, prompt * samples, prompt * samples))
        if settings.self_debug:
            calls = _debugged(problems, settings)
            rows.append(
                row(
                    settings.teacher, "debug", calls, calls * (_level(mean.teach) + reply), calls * mean.teach
                )
            )
    if own:
        rows += _writing(measured, len(problems), prompts, settings, count, row)
    share = _exam_share(settings)
    written = _level(lessons) if lessons is not None else _distinct(settings, len(problems))
    for student in settings.students:
        asked = fmean(len(exam) for exam in exams.values())
        repeats = settings.repeats if settings.exam_score == "answers" else 1
        times = asked * repeats
        shown = _level(mean.lesson[student]) + reply
        question = mean.question[student]
        prompt = written * (shown + _level(question)) * times
        shared = written * (shown * (times - 1) + _level(question * asked * (repeats - 1)))
        calls = written * times
        if share is not None:
            calls, prompt = _in_part(calls, share), _in_part(prompt, share)
            # Who is asked one question of a lesson has nothing to share it with.
            shared = _in_part(shared, share if settings.certainty >= 1 else 0.0)
        rows.append(row(student, "exam", calls, prompt, shared))
    if lessons is None and settings.equal_cost:
        calls = _equal_cost(rows, settings, len(problems))
        rows.append(row(settings.teacher, "sc", calls, calls * mean.teach, calls * mean.teach))
    guessed = [name for name in names if settings.spec(name).kind != "school"]
    used = len(problems) * settings.exam_problems if own else len({p.id for e in exams.values() for p in e})
    return Forecast(len(problems), used, rows, reply, why, guessed, currency_of(prices), share)


def _measure(
    problems: Sequence[Problem],
    exams: Mapping[str, Sequence[Problem]],
    prompts: PromptBook,
    settings: Settings,
    count: Mapping[str, Callable[[str], int]],
) -> _Problem:
    """Mean tokens of prompts, rendered with lessons that have no working yet."""
    lesson: dict[str, float] = {}
    question: dict[str, float] = {}
    for student in settings.students:
        whole, asked = [], []
        for problem in problems:
            shown = Lesson((Example(problem.question, "", problem.answer or "0"),))
            for other in exams[problem.id]:
                whole.append(count[student](flat(prompts.of(student).examine(shown, other))))
                asked.append(count[student](other.question))
        question[student] = fmean(asked)
        lesson[student] = fmean(whole) - question[student]
    teach = fmean(count[settings.teacher](flat(prompts.of(settings.teacher).teach(p))) for p in problems)
    return _Problem(teach, lesson, question)


def _writing(
    measured: Sequence[Problem],
    problems: int,
    prompts: PromptBook,
    settings: Settings,
    count: Mapping[str, Callable[[str], int]],
    row: Callable[[str, Purpose, Range, Range, Range], Row],
) -> list[Row]:
    """Rows for having exams written and answered: between one candidate that can be used and all of them."""
    writer = settings.writer
    size = CANDIDATES * settings.exam_problems
    each = fmean(count[writer](flat(prompts.of(writer).write(p))) for p in measured)
    calls = _level(problems * size)
    rows = [row(writer, "write", calls, calls * each, calls * (each * (size - 1) / size))]
    times = settings.gold_samples
    for model in settings.gold_models:
        each = fmean(count[model](flat(prompts.of(model).teach(p))) for p in measured)
        asked = Range(1, size, size) * problems * times
        rows.append(row(model, "gold", asked, asked * each, asked * (each * (times - 1) / times)))
    return rows


def _reply(
    problems: Sequence[Problem], count: Callable[[str], int], settings: Settings, said: int | None
) -> tuple[Range, str]:
    """How long replies are taken to be, and why."""
    most = settings.sampling("teach").max_tokens
    # Some sets have an answer where a solution should be: that says nothing of how long working is.
    solutions = [p.solution for p in problems if p.solution and len(p.solution) > len(p.answer or "") + 24]
    if said is not None:
        likely, why = float(said), "as given"
    elif solutions:
        likely = LONGER_THAN_SOLUTIONS * fmean(count(text) for text in solutions)
        why = f"{LONGER_THAN_SOLUTIONS:g} times the problems' solutions"
    else:
        likely, why = (
            float(UNKNOWN_REPLY),
            "a guess, as the problems have no solutions; say better by --reply-tokens",
        )
    likely = min(likely, most)
    return Range(likely / 2, likely, most), why


def _distinct(settings: Settings, problems: int) -> Range:
    """Distinct lessons: identical ones are examined once, and nobody knows how many will be."""
    most = settings.lessons if settings.sampling("teach").temperature > 0 else 1
    return Range(1, most, most) * problems


def _exam_share(settings: Settings) -> float | None:
    """The share of whole exams' questions that adaptive exams likely ask; None where exams are whole."""
    if settings.allocation == "fixed" or settings.exam_score != "answers":
        return None
    if settings.certainty < 1:
        return ADAPTIVE_SHARE
    weighed = settings.pooling == "weighed" and len(settings.students) > 1
    return 1.0 if weighed else WITHOUT_DOUBT_SHARE


def _in_part(whole: Range, share: float) -> Range:
    """What adaptive exams ask of it: nothing where lessons agree, and at most all."""
    return Range(0, whole.likely * share, whole.high)


def _debugged(problems: Sequence[Problem], settings: Settings) -> Range:
    """Programs that are shown back: at most each sample of a problem with visible tests, once."""
    most = settings.lessons * sum(p.kind == "code" and p.examinable for p in problems)
    return Range(0, most, most)


def _equal_cost(rows: Sequence[Row], settings: Settings, problems: int) -> Range:
    """Calls that cost as much as the exams: computed tokens times the models' sizes."""
    names = {settings.teacher, *settings.students, *(row.model for row in rows)}
    sizes = weights_of({name: settings.spec(name).parameters for name in names})

    def computed(row: Row, end: str) -> float:
        prompt, shared = getattr(row.prompt, end), getattr(row.shared, end)
        return float(prompt - shared + getattr(row.completion, end)) * sizes[row.model]

    def calls(end: str) -> float:
        exams = sum(computed(row, end) for row in rows if row.purpose in ("exam", "debug", "write", "gold"))
        taught = next(row for row in rows if row.purpose == "teach")
        each = computed(taught, end) / getattr(taught.calls, end)
        return min(math.ceil(exams / each), MOST_EXTRA_SAMPLES * problems) if each else 0.0

    found = [calls(end) for end in ("low", "likely", "high")]
    return Range(min(found), found[1], max(found))  # shorter replies make exams cheaper, and samples too


def money_range(prompt: Range, shared: Range, completion: Range, prices: Prices | None) -> Range | None:
    """What tokens cost at these prices: what is alike at the price of cached ones at the low end, in full elsewhere."""
    if prices is None:
        return None

    def cost(end: str, cached: float) -> float:
        usage = Usage(round(getattr(prompt, end)), round(cached), round(getattr(completion, end)))
        return money(usage, prices)

    return Range(cost("low", shared.low), cost("likely", 0), cost("high", 0))


def able(spec: ModelSpec) -> Capabilities:
    """What a model that was not opened is taken to be able to do."""
    if spec.kind == "school" or spec.mode == "completion":
        return Capabilities(completion=True)
    return Capabilities(chat=True)


def counter(spec: ModelSpec) -> Callable[[str], int]:
    """Counts a text's tokens: of the school's models by their words and marks, of others by characters."""
    if spec.kind == "school":
        return lambda text: len(_WORDS.findall(text))
    return lambda text: math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def _level(amount: float) -> Range:
    return Range(amount, amount, amount)


def flat(prompt: str | Sequence[tuple[str, str]]) -> str:
    """A prompt's texts as one."""
    return prompt if isinstance(prompt, str) else "\n".join(text for _, text in prompt)
