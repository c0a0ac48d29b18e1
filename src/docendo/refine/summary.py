"""What a run of refining came to, read back from its store: rounds, read-outs, what changed since the start.

The best set is chosen on validation problems, and so its result there is too good (the best of several is lucky, too);
what counts is read out on the test problems, where nothing was chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from docendo.refine.book import Book
from docendo.refine.counts import judges_of, readers_of
from docendo.refine.measures import Change, Readout, change, mean_over, readout
from docendo.refine.nouns import Candidate, Round
from docendo.refine.plan import Refining
from docendo.refine.record import state_of, task_of
from docendo.refine.task import PARTS, Task
from docendo.refine.walk import BARE, State
from docendo.solve.plan import Settings
from docendo.stats import Interval
from docendo.store import RunView
from docendo.types import Lesson

STUDENTS = "students"


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """One round in figures.

    `made` counts its sets by where they come from, `rejected` its replies that made none by reason. `validation` is
    the best set's, over all judges.
    """

    number: int
    best: str
    made: Mapping[str, int]
    rejected: Mapping[str, int]
    reflections: int
    validation: Interval
    readouts: tuple[Readout, ...]
    calls: int
    seconds: float
    ended: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in figures. `changes` has what the last best set is better than the first, by model and for all students.

    `bare` are the read-outs without any examples. `stopped` says why the run asked for no more, if a budget ended it.
    """

    task: Task
    settings: Settings
    how: Refining
    rounds: tuple[RoundSummary, ...]
    candidates: Mapping[str, Candidate]
    state: State
    book: Book
    bare: tuple[Readout, ...]
    changes: Mapping[str, Change]
    stopped: str | None

    @property
    def best(self) -> Lesson | None:
        """The best set on validation; None where not even round 0 is whole."""
        return self.candidates[self.rounds[-1].best].lesson if self.rounds else None

    @property
    def unchanged(self) -> bool:
        """Whether the best set is still that of round 0."""
        return bool(self.rounds) and self.rounds[-1].best == self.rounds[0].best

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.rounds) and (
            self.rounds[-1].number >= self.how.rounds or bool(self.rounds[-1].ended)
        )

    @property
    def rejected(self) -> Counter[str]:
        """Replies that made no set and no reflection, by reason."""
        total: Counter[str] = Counter()
        for each in self.rounds:
            total.update(each.rejected)
        return total

    def json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        best = self.best
        return {
            "task": {"name": self.task.name, "instruction": self.task.instruction},
            "problems": {part: len(self.task.part(part)) for part in PARTS},
            "rounds": [asdict(each) for each in self.rounds],
            "without examples": [asdict(each) for each in self.bare],
            "changes": {name: asdict(each) for name, each in self.changes.items()},
            "rejected": dict(self.rejected),
            "complete": self.complete,
            "stopped": self.stopped,
            "best": None if best is None else [asdict(example) for example in best.examples],
        }


def summarise(view: RunView) -> Summary:
    """Figures of a run, finished or not."""
    task = task_of(view)
    config = view.info.config
    plan, how = Settings.of(config["settings"]), Refining.of(config["refine"])
    state = state_of(view, task)
    book = book_of(task, plan, how, state)
    readers = readers_of(plan.teacher, plan.students)
    judges = judges_of(how, plan.teacher, plan.students)
    seconds = {row.round: row.seconds for row in view.rounds()}
    rounds = tuple(
        _round(each, task, how, book, judges, readers, seconds[each.number]) for each in state.rounds
    )
    candidates = {c.id: c for each in state.rounds for c in each.candidates}
    bare: tuple[Readout, ...] = ()
    if BARE.id in candidates:
        bare = tuple(readout(book, task, BARE.id, m, task.test, how.positive) for m in readers)
    changes = {}
    if len(rounds) > 1:
        first, last = rounds[0].best, rounds[-1].best
        whom: dict[str, Sequence[str]] = {m: [m] for m in readers}
        for name, models in ({STUDENTS: plan.students} | whom).items():
            changes[name] = change(book, task, last, first, models, task.test, how.positive)
    stopped = next((s.stopped for s in reversed(list(view.sessions()))), None)
    return Summary(task, plan, how, rounds, candidates, state, book, bare, changes, stopped)


def book_of(task: Task, plan: Settings, how: Refining, state: State) -> Book:
    """The answers of a run that is over, or of its whole rounds; it cannot ask."""
    book = Book(task, plan, None, None, repeats=how.repeats)
    for entry in state.entries:
        book.add(entry, new=False)
    return book


def _round(
    each: Round,
    task: Task,
    how: Refining,
    book: Book,
    judges: Sequence[str],
    readers: Sequence[str],
    seconds: float,
) -> RoundSummary:
    return RoundSummary(
        each.number,
        each.best,
        dict(Counter(c.how for c in each.candidates if c.how != "none")),
        dict(Counter(r.reason for r in each.rejections)),
        len(each.reflections),
        mean_over(book, task, each.best, judges, task.validation),
        tuple(readout(book, task, each.best, m, task.test, how.positive) for m in readers),
        sum(each.calls.values()),
        seconds,
        each.ended,
    )
