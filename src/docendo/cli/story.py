"""One problem's story for the terminal: what each rule chose and why, the lessons, and an exam, marked.

All of it is read from the problem's record; a lesson's place among the answers is `solve.choose`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from docendo.cli.ink import dim, mark
from docendo.cli.words import many, one_line, percent, plain
from docendo.solve.choose import AnswerGroup, answer_groups
from docendo.solve.summary import ENDED
from docendo.store import DecisionRow, ExamRow, ProblemRecord
from docendo.types import Grade, Problem, ScoredLesson, Sitting

_FEW_LINES = 3

# In the order of the tables, by the name that the tables use.
_NAMES = {
    "greedy": "greedy",
    "maj": "sc",
    "sc_undebugged": "sc_undebugged",
    "sc_equal_cost": "sc_equal_cost",
    "max": "max",
    "sum": "sum",
    "avg": "avg",
}


def tell(console: Console, record: ProblemRecord, *, all_exams: bool = False) -> None:
    """Tell a finished problem's story.

    Args:
        console: where to.
        record: everything of the problem.
        all_exams: show the exam of every lesson, and not only of the best one behind SUM's answer.
    """
    problem, lessons = record.problem, scored_lessons(record)
    console.print(_facts(problem))
    console.print(_title("What was chosen"))
    console.print(Padding(_choices(record, lessons), (0, 0, 0, 2)))
    console.print(_title("Lessons, by answer").append(_columns(lessons), style="not bold dim"))
    for part in lessons_by_answer(lessons):
        console.print(Padding(part, (0, 0, 0, 2)))
    sitting = record.sitting
    if sitting is not None and (sitting.asked < sitting.planned or sitting.ended == "abstained"):
        console.print(Padding(_asked(sitting), (0, 0, 0, 2)))
    lost = sum(1 for row in record.samples if row.arm in ("teach", "given") and row.lesson is None)
    if lost:
        console.print(Padding(dim(f"no readable answer: {many(lost, 'sample')}"), (0, 0, 0, 2)))
    ranked = _best_first(lessons)
    shown = ranked if all_exams else _telling(record, ranked)
    for lesson in shown:
        console.print(_title("Exam after the lesson"))
        for part in _exam(record, lesson):
            console.print(Padding(part, (0, 0, 0, 2)))
    if len(lessons) > len(shown):
        console.print()
        console.print(dim(f"--all shows the exams of all {many(len(lessons), 'lesson')}."))


def tell_lessons(console: Console, record: ProblemRecord) -> None:
    """The short story, for `docendo score`: the question, the lessons by answer, and the choice."""
    lessons = scored_lessons(record)
    console.print(
        Text.assemble((one_line(record.problem.id), "bold"), "  ", one_line(record.problem.question))
    )
    for part in lessons_by_answer(lessons):
        console.print(Padding(part, (0, 0, 0, 2)))
    console.print(Padding(_choices(record, lessons), (0, 0, 1, 2)))


def scored_lessons(record: ProblemRecord) -> list[ScoredLesson]:
    """The lessons as the choice rules saw them, without their exam answers."""
    grades: dict[str, Grade] = {}
    samples: dict[str, list[int]] = {}
    for row in record.samples:
        if row.arm in ("teach", "given") and row.lesson is not None:
            grades.setdefault(row.lesson, row.grade)
            samples.setdefault(row.lesson, []).append(row.sample)
    return [
        ScoredLesson(
            row.lesson, grades[row.lesson.id], tuple(samples[row.lesson.id]), row.score, row.by_student
        )
        for row in record.lessons
    ]


def lessons_by_answer(lessons: list[ScoredLesson]) -> Iterator[RenderableType]:
    """Each answer with its lessons, best first: LbT score, how often it was written, what it says."""
    for group in sorted(answer_groups(lessons), key=lambda group: (-group.total, -group.count, group.first)):
        yield _group_line(group)
        table = _grid(3)
        for lesson in _best_first(group.lessons):
            often = f"{len(lesson.samples)}×"
            table.add_row(_score(lesson), often, Text(plain(_rationale(lesson))))
        yield Padding(table, (0, 0, 0, 2))


def _facts(problem: Problem) -> RenderableType:
    table = _grid(2)
    table.add_row(dim("problem"), Text(one_line(problem.id), style="bold"))
    places = [(name, getattr(problem, name)) for name in ("group", "family", "cluster")]
    if any(value for _, value in places):
        table.add_row(
            dim("in"), Text(", ".join(f"{name} {one_line(value)}" for name, value in places if value))
        )
    table.add_row(dim("question"), Text(plain(problem.question)))
    table.add_row(dim("answer"), Text(plain(problem.answer, "not known")))
    if problem.solution is not None:
        table.add_row(dim("solution"), Text(plain(problem.solution)))
    return table


def _asked(sitting: Sitting) -> RenderableType:
    """How much of the whole exam was asked, and why no more."""
    if sitting.ended == "abstained":
        return dim(f"{ENDED[sitting.ended]}, so the vote decided")
    share = (
        f"{sitting.asked:,} of {many(sitting.planned, 'exam question')} in {many(sitting.rounds, 'round')}"
    )
    chance = "" if sitting.ended != "certain" or sitting.chance is None else f" ({sitting.chance:.2f})"
    return dim(f"asked {share}: {ENDED[sitting.ended]}{chance}")


def _choices(record: ProblemRecord, lessons: list[ScoredLesson]) -> RenderableType:
    found = {row.choice.rule: row for row in record.decisions}
    table = _grid(4)
    for rule, name in _NAMES.items():
        row = found.get(rule)
        if row is not None:
            answer = Text(one_line(row.choice.answer), style="bold")
            table.add_row(
                dim(name), mark(row.correct), answer, Text(_why(row, record, answer_groups(lessons)))
            )
    return table


def _why(row: DecisionRow, record: ProblemRecord, groups: list[AnswerGroup]) -> str:
    """What won by the rule's measure, and by how much."""
    rule, choice = row.choice.rule, row.choice
    if choice.key is None:
        return "no readable answer"
    if rule == "greedy":
        return "the one most likely answer"
    if rule == "sc_equal_cost":
        count = sum(1 for sample in record.samples if sample.arm in ("teach", "sc"))
        return f"written by {choice.weight:.0f} of {many(count, 'sample')}"
    if rule == "sc_undebugged":
        count = sum(1 for sample in record.samples if sample.arm == "teach")
        return f"written by {choice.weight:.0f} of {many(count, 'sample')}, before they were revised"
    won = _measure(rule, choice.weight, record)
    others = [group for group in groups if group.key != choice.key]
    if not others:
        return f"{won}; the only answer"
    second = max(others, key=lambda group: (_weight(rule, group), group.count, -group.first))
    weight = _weight(rule, second)
    tie = ""
    if weight >= choice.weight * (1 - 1e-9):  # as near as `choose` calls equal
        count = next(group.count for group in groups if group.key == choice.key)
        tie = " (equal: more samples)" if count > second.count else " (equal: it came first)"
    return f"{won}; next {one_line(second.answer)} with {_figure(rule, weight)}{tie}"


def _weight(rule: str, group: AnswerGroup) -> float:
    return {"maj": float(group.count), "max": group.max, "sum": group.total, "avg": group.mean}[rule]


def _figure(rule: str, weight: float) -> str:
    return f"{weight:.0f}" if rule == "maj" else f"{weight:.2f}" if rule == "sum" else percent(weight)


def _measure(rule: str, weight: float, record: ProblemRecord) -> str:
    """What a rule goes by, with the winner's figure."""
    if rule == "maj":
        count = sum(1 for sample in record.samples if sample.arm in ("teach", "given"))
        return f"written by {weight:.0f} of {many(count, 'sample')}"
    names = {"max": "best LbT score", "sum": "sum of LbT scores", "avg": "mean LbT score"}
    return f"{names[rule]} {_figure(rule, weight)}"


def _group_line(group: AnswerGroup) -> Text:
    graded = [lesson.grade.score for lesson in group.lessons]
    right = None if None in graded else 1.0 in graded
    line = Text.assemble(mark(right), " ", (one_line(group.answer), "bold"))
    scores = f"sum {group.total:.2f}, mean {percent(group.mean)}, best {percent(group.max)}"
    return line.append(f"   {many(group.count, 'sample')}, {scores}", style="dim")


def _score(lesson: ScoredLesson) -> Text:
    """The LbT score; each student's own beside it where there are several."""
    text = Text(percent(lesson.score).rjust(7))
    if len(lesson.by_student) > 1:
        text.append(
            " (" + ", ".join(percent(score) for score in lesson.by_student.values()) + ")", style="dim"
        )
    return text


def _columns(lessons: list[ScoredLesson]) -> str:
    """What the figures before a lesson are."""
    students = [one_line(name) for name in lessons[0].by_student] if lessons else []
    of = f" ({', '.join(students)})" if len(students) > 1 else ""
    return f": LbT score{of}, samples, working"


def _best_first(lessons: Iterable[ScoredLesson]) -> list[ScoredLesson]:
    """By LbT score; those without one last."""
    return sorted(lessons, key=lambda lesson: -1.0 if lesson.score is None else lesson.score, reverse=True)


def _rationale(lesson: ScoredLesson) -> str:
    return "\n".join(example.rationale for example in lesson.lesson.examples)


def _telling(record: ProblemRecord, ranked: list[ScoredLesson]) -> list[ScoredLesson]:
    """The best lesson behind SUM's answer."""
    chosen = next((row.choice.key for row in record.decisions if row.choice.rule == "sum"), None)
    return [lesson for lesson in ranked if lesson.grade.key == chosen][:1] or ranked[:1]


def _exam(record: ProblemRecord, lesson: ScoredLesson) -> Iterator[RenderableType]:
    """The lesson, then each exam problem with what every student wrote."""
    head = _grid(2)
    head.add_row(_score(lesson), Text(f"{plain(_rationale(lesson))}\nAnswer: {plain(lesson.grade.answer)}"))
    yield head
    by_problem: dict[str, list[ExamRow]] = {}
    for row in record.exam_answers:
        if row.lesson == lesson.lesson.id:
            by_problem.setdefault(row.exam_problem, []).append(row)
    several = len({row.student for row in record.exam_answers}) > 1
    for number, (id, rows) in enumerate(by_problem.items(), start=1):
        problem = record.exam[id]
        yield Text(f"\n{number}. {plain(problem.question)} ").append(
            f"answer {plain(problem.answer)}", style="dim"
        )
        sheet = _grid(3 if several else 2)
        for row in rows:
            student = [dim(one_line(row.student))] if several else []
            sheet.add_row(_graded(row.grade), *student, Text(_written(record, row)))
        yield Padding(sheet, (0, 0, 0, 3))


def _graded(grade: Grade) -> Text:
    if grade.score is not None:
        return mark(grade.score == 1.0)
    return dim(grade.state.value)


def _written(record: ProblemRecord, row: ExamRow) -> str:
    reply = record.reply(row)
    if reply is None:
        return ""
    text = plain(reply.error if reply.stop == "error" else reply.text).strip()
    # A short working reads best on one line, a long one in the lines it was written in.
    return text if text.count("\n") > _FEW_LINES else one_line(text)


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _grid(columns: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns - 1):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
