"""Adaptive exams replayed over recorded whole ones: what another allocation would have asked, chosen and cost.

`python benchmarks/exams_replay.py FOLDER...` takes run folders of whole exams (fixed allocation) and asks no model: the
product's own code decides what to ask, every answer comes from the record, and the cost is reckoned from the prompts'
tokens as the engine counts them. So ways to allocate are compared on the same answers, in seconds.

Three costs, each as a share of the whole exams', tokens times parameters:

- computed: what is computed where each round is a batch of its own and shares nothing with others (the built-in
  engine; the one in the tables and in the declared comparison);
- kept: where a server keeps what it computed between the rounds of one problem's exam;
- uncached: a prompt is paid in full every time, as where nothing is cached at all.

`--check FOLDER` compares with a true adaptive run on the same lessons: questions, choices and cost must be equal.
Tokens are those of the built-in models, so only their runs can be replayed.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from docendo.exams.examine import Drafted, Examined, examine, examine_adaptively
from docendo.exams.ways import Settle
from docendo.models.engine.folder import read_config
from docendo.models.engine.text import Text
from docendo.models.resolve import folder_of
from docendo.prompts import Styles, styles_for
from docendo.solve.choose import choose
from docendo.solve.forecast import able
from docendo.solve.plan import Settings, weights_of
from docendo.solve.run import Run, resume
from docendo.stats import Interval, paired_difference
from docendo.store.rows import Key
from docendo.types import Call, Exam, Grade, Lesson, Problem, Reply


@dataclass(frozen=True, slots=True)
class Task:
    """One problem of a run: its lessons, their exam, and the keys of right answers."""

    problem: Problem
    lessons: tuple[Drafted, ...]
    exam: Exam
    right: frozenset[str | None]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run of whole exams, read: what was asked of whom, and every answer."""

    settings: Settings
    styles: Styles
    sizes: Mapping[str, int]
    tasks: Sequence[Task]
    replies: Mapping[Key, Reply]
    grades: Mapping[tuple[str, str], Grade]


@dataclass(slots=True)
class Spent:
    """What was asked for one problem: questions, rounds, why no more, and the three costs."""

    asked: int = 0
    planned: int = 0
    rounds: int = 0
    ended: str = ""
    computed: float = 0.0
    kept: float = 0.0
    uncached: float = 0.0


@dataclass(slots=True)
class Replay:
    """An allocation replayed: by problem its choice, whether that is right, and what it took."""

    chosen: dict[str, str | None] = field(default_factory=dict)
    correct: dict[str, float] = field(default_factory=dict)
    spent: dict[str, Spent] = field(default_factory=dict)
    questions: dict[str, frozenset[Key]] = field(default_factory=dict)

    def total(self, what: str) -> float:
        """The sum over problems of a field of `Spent`."""
        return float(sum(getattr(spent, what) for spent in self.spent.values()))


def read(run: Run) -> Recorded:
    """Read a run of whole exams."""
    with run.view() as view, view.snapshot():
        settings = Settings.of(view.config["settings"])
        sizes = weights_of({m.name: m.parameters for m in view.models()})
        done = view.done_ids()
        tasks, replies, grades = [], {}, {}
        for problem in view.problems():
            if problem.id not in done:
                continue
            record = view.problem_record(problem.id)
            own: dict[str, list[int]] = defaultdict(list)
            grade: dict[str, Grade] = {}
            right: set[str | None] = set()
            for sample in record.samples:
                if sample.arm == "teach" and sample.lesson is not None:
                    own[sample.lesson].append(sample.sample)
                    grade[sample.lesson] = sample.grade
                    if sample.grade.score == 1.0:
                        right.add(sample.grade.key)
            lessons = [
                (row.lesson, grade[row.lesson.id], tuple(own[row.lesson.id])) for row in record.lessons
            ]
            exam = Exam(view.exam_of(problem.id), settings.students, settings.repeats)
            tasks.append(Task(problem, tuple(lessons), exam, frozenset(right)))
            for answer in record.exam_answers:
                reply = record.reply(answer)
                if reply is not None and answer.call is not None:
                    replies[answer.call] = reply
                    grades[answer.exam_problem, reply.text] = answer.grade
        names = {name: (settings.models.get(name), able(settings.spec(name))) for name in sizes}
        return Recorded(settings, styles_for(names, settings.prompts), sizes, tasks, replies, grades)


def replay(
    recorded: Recorded, *, adaptive: bool = True, settle: Settle = "sum", certainty: float = 0.95
) -> Replay:
    """Examine every lesson again out of the record, by the product's own code."""
    return asyncio.run(_replay(recorded, adaptive=adaptive, settle=settle, certainty=certainty))


async def _replay(recorded: Recorded, *, adaptive: bool, settle: Settle, certainty: float) -> Replay:
    plan, found = recorded.settings, Replay()
    weighed = plan.pooling == "weighed"
    for task in recorded.tasks:
        room = _Room(recorded)
        name, lessons, exam = task.problem.id, task.lessons, task.exam
        if adaptive:
            examined = await examine_adaptively(
                name,
                lessons,
                exam,
                room.asking,
                room.ask,
                settle=settle,
                certainty=certainty,
                seed=plan.seed,
                weighed=weighed,
                judge=room.judge,
            )
        else:
            examined = await examine(
                name, lessons, exam, room.asking, room.ask, weighed=weighed, judge=room.judge
            )
        _note(found, task, examined, room, settle)
    return found


def _note(found: Replay, task: Task, examined: Examined, room: _Room, settle: Settle) -> None:
    id, sitting, spent = task.problem.id, examined.sitting, room.spent
    spent.asked, spent.planned = sitting.asked, sitting.planned
    spent.rounds, spent.ended = sitting.rounds, sitting.ended
    found.chosen[id] = choose(settle, examined.lessons).key
    found.correct[id] = float(found.chosen[id] in task.right)
    found.spent[id] = spent
    found.questions[id] = frozenset(room.asked)


class _Room:
    """One problem's exam room: answers out of the record, and counts tokens."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._kept: dict[str, Prefixes] = defaultdict(Prefixes)
        self.asked: list[Key] = []
        self.spent = Spent()

    def asking(
        self, student: str, lesson: Lesson, problem: Problem, repeat: int, batch: str, size: int
    ) -> Call:
        """As the road asks."""
        style = self._recorded.styles.of(student)
        prompt = style.examine(lesson, problem)
        plan = self._recorded.settings
        return plan.call("exam", prompt, repeat, batch, size, model=student, stop=style.stop)

    async def ask(self, calls: Sequence[Call]) -> list[Reply]:
        """The recorded replies; a round's cost is noted."""
        replies = [self._recorded.replies[call.request, call.sample] for call in calls]
        for student in {call.model for call in calls}:
            own = [(c, r) for c, r in zip(calls, replies, strict=True) if c.model == student]
            prompts = [
                tokens(self._recorded.settings.spec(student).model, str(call.prompt)) for call, _ in own
            ]
            written = sum(reply.usage.completion for _, reply in own)
            size = self._recorded.sizes[student]
            self.spent.computed += size * (Prefixes().new(prompts) + written)
            self.spent.kept += size * (self._kept[student].new(prompts) + written)
            self.spent.uncached += size * (sum(map(len, prompts)) + written)
        self.asked += [(call.request, call.sample) for call in calls]
        return replies

    async def judge(self, problem: Problem, text: str, *, truncated: bool, failed: bool, exam: bool) -> Grade:
        """The recorded grade: grades follow from the texts."""
        return self._recorded.grades[problem.id, text]


_READERS: dict[str, Text] = {}
_TOKENS: dict[tuple[str, str], list[int]] = {}


def tokens(model: str, text: str) -> list[int]:
    """A prompt as the built-in model reads it."""
    key = (model, text)
    if key not in _TOKENS:
        if model not in _READERS:
            folder = folder_of(model)
            _READERS[model] = Text(folder, read_config(folder).bos)
        _TOKENS[key] = _READERS[model].encode(text)
    return _TOKENS[key]


class Prefixes:
    """Distinct beginnings of prompts: what is computed once, however many prompts begin so."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], int] = {}

    def new(self, prompts: Iterable[Sequence[int]]) -> int:
        """Take prompts in; how many of their tokens no prompt before had at the same place after the same text."""
        before = len(self._known)
        for prompt in prompts:
            at = 0
            for token in prompt:
                at = self._known.setdefault((at, token), len(self._known) + 1)
        return len(self._known) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="run folders of whole exams")
    parser.add_argument("--certainty", type=float, action="append", help="0.95 if none is given")
    parser.add_argument("--settle", choices=("sum", "max"), default="sum")
    parser.add_argument("--check", type=Path, help="a true adaptive run on the lessons of the only folder")
    arguments = parser.parse_args()
    runs = [read(resume(folder)) for folder in arguments.folders]
    whole = [replay(run, adaptive=False, settle=arguments.settle) for run in runs]
    print(HEAD)
    short: list[Replay] = []
    for certainty in arguments.certainty or [0.95]:
        short = [replay(run, settle=arguments.settle, certainty=certainty) for run in runs]
        print(row(f"{certainty:g}", runs, short, whole), flush=True)
    if arguments.check is not None:
        print("\n" + checked(resume(arguments.check), runs[0], short[0]))


def checked(true: Run, recorded: Recorded, short: Replay) -> str:
    """Whether a replay is what a true run did on the same lessons, in words: questions, choices, cost."""
    asked: dict[str, set[Key]] = {id: set() for id in short.chosen}
    with true.view() as view:
        cost = 0.0
        for answer in view.exam_answers():
            asked[answer.problem].add(answer.call)
        for _, _, student, usage in view.exams_spent():
            cost += recorded.sizes[student] * usage.computed
        chosen = {row.problem: row.choice.key for row in view.decisions() if row.choice.rule == "sum"}
    same = [sum(asked[id] == own for id, own in short.questions.items())]
    same.append(sum(chosen.get(id) == key for id, key in short.chosen.items()))
    return (
        f"checked by a true run: the same questions on {same[0]} and the same choice on {same[1]} of "
        f"{len(short.chosen)} problems; cost {cost:.6g}, replayed {short.total('computed'):.6g}"
    )


COLUMNS = (
    "certainty",
    "whole",
    "adaptive",
    "difference",
    "95 % interval",
    "questions",
    "computed",
    "kept",
    "uncached",
    "rounds",
    "same choice",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def row(name: str, runs: Sequence[Recorded], short: Sequence[Replay], whole: Sequence[Replay]) -> str:
    """A line of the table: accuracy, paired difference over problems and runs, shares."""
    a = [right for part in short for right in part.correct.values()]
    b = [right for part in whole for right in part.correct.values()]
    d = difference(runs, short, whole)
    same = [p.chosen[id] == w.chosen[id] for p, w in zip(short, whole, strict=True) for id in w.chosen]
    shares = " | ".join(
        f"{share(short, whole, what):.1%}" for what in ("asked", "computed", "kept", "uncached")
    )
    rounds = np.mean([spent.rounds for part in short for spent in part.spent.values()])
    low, high = d.low or 0.0, d.high or 0.0
    return (
        f"| {name} | {np.mean(b):.1%} | {np.mean(a):.1%} | {100 * (d.mean or 0.0):+.2f} | {100 * low:+.2f} to "
        f"{100 * high:+.2f} | {shares} | {rounds:.1f} | {np.mean(same):.1%} |"
    )


def difference(runs: Sequence[Recorded], short: Sequence[Replay], whole: Sequence[Replay]) -> Interval:
    """Adaptive less whole, over clusters of problems."""
    a, b, clusters = [], [], []
    for run, part, all_ in zip(runs, short, whole, strict=True):
        for task in run.tasks:
            a.append(part.correct[task.problem.id])
            b.append(all_.correct[task.problem.id])
            clusters.append(task.problem.cluster)
    return paired_difference(a, b, clusters)


def share(short: Sequence[Replay], whole: Sequence[Replay], what: str) -> float:
    """What adaptive exams took of something, as a share of what whole ones did."""
    return sum(part.total(what) for part in short) / sum(part.total(what) for part in whole)


if __name__ == "__main__":
    main()
