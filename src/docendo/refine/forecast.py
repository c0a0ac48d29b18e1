"""What a run of refining would ask and cost, before anything is sent (`docendo refine --dry-run`).

Calls follow from the settings, but for what nobody knows: how many of the teacher's sets can be used, and in how many
rounds there is a better set to read out. Prompts are rendered with sets as long as they are taken to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from docendo.models.budget import currency_of
from docendo.prompts import styles_for
from docendo.refine.config import Planned
from docendo.refine.counts import judges_of, random_sets, readers_of, round_calls, scoring_calls
from docendo.refine.nouns import Failure
from docendo.refine.run import check
from docendo.refine.write import WAVES, writing
from docendo.solve.forecast import Forecast, Range, Row, able, counter, flat, money_range
from docendo.solve.work import prices_of
from docendo.types import Example, Lesson, Problem, Purpose

RATIONALE = 60
"""Tokens of an example's reasoning where nothing is known of it; exam answers are taken to have twice as many."""

REFLECTION = 250
"""Tokens of a reflection."""

MEASURED = 50
"""Problems whose prompts are rendered and measured."""


def forecast(plan: Planned, *, reply_tokens: int | None = None) -> Forecast:
    """Reckon what a run would ask for.

    Args:
        plan: the run.
        reply_tokens: how long an answer to an exam problem likely is; None for what is usual.

    Raises:
        ConfigError: the run could not be done.
    """
    return _Reckoning(plan, reply_tokens).found()


class _Reckoning:
    def __init__(self, plan: Planned, reply_tokens: int | None) -> None:
        self.task, self.how, self.settings, self.given = plan.task, plan.how, plan.settings, plan.given
        teacher, students = self.settings.teacher, self.settings.students
        self.judges = judges_of(self.how, teacher, students)
        self.readers = readers_of(teacher, students)
        names = self.readers
        specs = {name: self.settings.spec(name) for name in names}
        self.styles = styles_for(
            {n: (self.settings.models.get(n), able(spec)) for n, spec in specs.items()}, self.settings.prompts
        )
        check(self.task, self.settings, self.how, self.styles, bool(self.given))
        self.count: Mapping[str, Callable[[str], int]] = {n: counter(spec) for n, spec in specs.items()}
        self.guessed = [name for name in names if specs[name].kind != "school"]
        self.prices = prices_of(self.settings)
        self.lesson = self._usual_set()
        likely = min(reply_tokens or 2 * RATIONALE, self.settings.sampling("exam").max_tokens)
        self.reply = Range(likely / 2, likely, self.settings.sampling("exam").max_tokens)
        self.why = "as given" if reply_tokens else "a guess; say better by --reply-tokens"
        self.rows: list[Row] = []

    def found(self) -> Forecast:
        how, task = self.how, self.task
        students, judges = len(self.settings.students), len(self.judges)
        rounds = how.rounds
        if how.start == "teacher" and not self.given:
            self._writing("propose", Range(how.starting, how.starting, how.starting * WAVES))
        starts = len(self.given) or how.starting
        exams = _fixed(starts * len(task.validation) * judges * how.repeats)
        if how.search in ("reflect", "rewrite"):
            each = round_calls(how, task, students, judges)
            if each["reflect"]:
                self._writing("reflect", Range(0, each["reflect"], each["reflect"]) * rounds)
            self._writing("rewrite", Range(0, each["rewrite"], each["rewrite"]) * rounds)
            most = each["scoring"] + each["validation"]
            exams += (Range(0, most, most) + _fixed(each["minibatch"])) * rounds
        elif how.search == "random":
            sets = random_sets(how, task, students, judges)
            exams += _fixed(sets * len(task.validation) * judges * how.repeats * rounds)
        else:
            if how.search == "propose":
                self._writing("propose", _fixed(how.new_sets * rounds))
            most = scoring_calls(how, task, how.new_sets) * judges
            most += min(how.beam, how.new_sets) * len(task.validation) * judges * how.repeats
            exams += Range(0 if how.search == "propose" else most, most, most) * rounds
        if how.rationales == "teacher":
            self._asking("teach", self.settings.teacher, _fixed(len(task.pool)), Lesson(()), task.pool)
        for model in self.judges:
            self._asking("exam", model, exams * (1 / judges), self.lesson, task.exam)
        for model in self.readers:
            once = len(task.test) * how.repeats
            if how.bare:
                self._asking("readout", model, _fixed(once), Lesson(()), task.test)
            times = Range(1, 1 + rounds / 2, 1 + rounds) * once
            self._asking("readout", model, times, self.lesson, task.test)
        shown = len(task.exam) + len(task.validation) + len(task.test)
        currency = currency_of(self.prices)
        return Forecast(
            len(task.pool), shown, _merged(self.rows), self.reply, self.why, self.guessed, currency
        )

    def _usual_set(self) -> Lesson:
        """A set as long as sets are taken to be."""
        if self.given:
            return self.given[0]
        pool = [*self.task.pool, *self.task.exam]
        own = [pool[i % len(pool)] for i in range(self.how.examples)]
        working = "word " * RATIONALE
        return Lesson(tuple(Example(p.question, p.solution or working, p.answer or "") for p in own))

    def _asking(
        self, purpose: Purpose, model: str, calls: Range, lesson: Lesson, problems: Sequence[Problem]
    ) -> None:
        """Calls that put problems to a model after a set."""
        some = problems[:: max(1, len(problems) // MEASURED)][:MEASURED]
        style, count = self.styles.of(model), self.count[model]
        whole = fmean(count(flat(style.examine(lesson, p, self.task.said))) for p in some)
        question = fmean(count(p.question) for p in some)
        self._add(model, purpose, calls, whole, max(0.0, whole - question), self.reply)

    def _writing(self, purpose: Purpose, calls: Range) -> None:
        """Calls that have the teacher write sets or reflections."""
        teacher = self.settings.teacher
        style, count, how = self.styles.of(teacher), self.count[teacher], self.how
        failures = [
            Failure(self.settings.students[0], p, p.answer or "", "word " * RATIONALE, ("", 0))
            for p in self.task.exam[: how.failures]
        ]
        if purpose == "propose":
            prompt = style.propose(self.task, how.examples, self.task.pool[: how.shown])
        elif purpose == "reflect":
            prompt = style.reflect(self.task, self.lesson, failures)
        else:
            said = ["word " * REFLECTION] * (how.mix if how.search == "reflect" else 0)
            prompt = style.rewrite(self.task, self.lesson, failures, said, how.examples)
        set_ = sum(count(f"{e.question} {e.rationale} {e.answer}") + 20 for e in self.lesson.examples)
        likely = REFLECTION if purpose == "reflect" else set_
        most = writing(self.settings, how, self.styles, purpose).max_tokens
        reply = Range(min(likely / 2, most), min(likely, most), most)
        self._add(teacher, purpose, calls, count(flat(prompt)), 0.0, reply)

    def _add(
        self, model: str, purpose: Purpose, calls: Range, prompt: float, shared: float, reply: Range
    ) -> None:
        prices = self.prices.get(model)
        sent, alike, written = calls * prompt, calls * shared, calls * reply
        self.rows.append(
            Row(model, purpose, calls, sent, alike, written, money_range(sent, alike, written, prices))
        )


def _fixed(amount: float) -> Range:
    return Range(amount, amount, amount)


def _merged(rows: Sequence[Row]) -> list[Row]:
    """One row a model and purpose."""
    found: dict[tuple[str, Purpose], Row] = {}
    for row in rows:
        old = found.get((row.model, row.purpose))
        if old is not None:
            money = None if old.money is None or row.money is None else old.money + row.money
            row = Row(
                row.model,
                row.purpose,
                old.calls + row.calls,
                old.prompt + row.prompt,
                old.shared + row.shared,
                old.completion + row.completion,
                money,
            )
        found[row.model, row.purpose] = row
    return list(found.values())
