"""What a pilot's store says: do students follow, how does the teacher err, are exams alike, what would it gain.

Figures only; what they mean is put into words by `advise`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from docendo.grading import grade
from docendo.models.budget import currency_of
from docendo.pilot.controls import Condition, recorded
from docendo.pilot.reckon import Full, Load, full_gain, reckon
from docendo.solve.facts import Facts
from docendo.solve.plan import Settings
from docendo.solve.summary import Summary, summarise
from docendo.stats import Interval, mean_ci, paired_difference
from docendo.store import ExamRow, RunView
from docendo.types import Problem


@dataclass(frozen=True, slots=True)
class StudentNote:
    """One student: shares in [0, 1] of exam answers that were right, as means over problems.

    `alone` without a lesson, `after_right` and `after_wrong` after lessons with a right and a wrong answer,
    `after_reference` after the problem's own solution. `lift` is after_right - alone, `telling` is after_right
    - after_wrong, each paired over the problems that have both.
    """

    name: str
    alone: Interval
    after_right: Interval
    after_wrong: Interval
    after_reference: Interval
    lift: Interval
    telling: Interval


@dataclass(frozen=True, slots=True)
class TeacherNote:
    """The teacher's samples.

    Attributes:
        right: share of samples that are right, the mean over problems.
        voted: accuracy of self-consistency.
        reachable: share of problems with any right sample (oracle); choosing better can gain up to
            `reachable - voted`.
        unanimous: share of problems whose samples all agree: there is nothing to choose there.
        repeated: of the wrong samples with an answer, the share whose answer another sample of the problem
            gave too; a wrong method repeats itself, slips scatter. None without wrong answers.
        cut: share of samples that the token limit cut.
    """

    right: Interval
    voted: Interval
    reachable: Interval
    unanimous: float
    repeated: float | None
    cut: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that a pilot says.

    `alike` is the mean overlap (Jaccard, of words without numbers) of a problem with its exam problems,
    `unlike` with other problems' exam problems. `gain` and `gain_max` are SUM - SC and MAX - SC over the pilot's
    problems, at the pilot's number of lessons; `full_gain` and `full_gain_max` at the full run's, as `reckon` has them.
    `needed` is how many problems would show a true gain of the size of `gain` in four runs of five (5 % level,
    two-sided); None without a gain. `loads` are a full run's, `tokens` and `money` (in `currency`; None without prices)
    all of them together. `exam_share` is what the pilot's adaptive exams asked of whole ones, and the loads suppose
    again; None where exams are whole.
    """

    problems: int
    planned: int
    full_problems: int
    lessons: int
    full_lessons: int
    students: Sequence[StudentNote]
    teacher: TeacherNote
    exam_cut: float
    alike: float
    unlike: float | None
    auc: float | None
    gain: Interval
    gain_max: Interval
    full_gain: Interval
    full_gain_max: Interval
    needed: int | None
    loads: Sequence[Load]
    tokens: Interval
    money: Interval | None
    currency: str | None = None
    exam_share: float | None = None

    def json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return asdict(self)


def diagnose(view: RunView) -> Diagnosis:
    """Read a pilot's store, finished or not.

    Raises:
        ConfigError, StoreError: as reading a run does.
    """
    settings = Settings.of(view.config["settings"])
    pilot = view.config["pilot"]
    summary = summarise(view)
    facts = [f for f in summary.facts if f.problem.judgeable]
    answers: dict[str, list[ExamRow]] = defaultdict(list)
    for row in view.exam_answers():
        answers[row.problem].append(row)
    exams = _exams(view, answers)
    controls = _controls(view, exams, settings.sandbox)
    right_lessons = _right_lessons(view)
    students = [
        _student(name, facts, answers, right_lessons, controls["alone"], controls["reference"])
        for name in settings.students
    ]
    gain, gain_max, needed = _gains(facts)
    alike, unlike = _similarity(facts, exams)
    full = Full(pilot["problems"], pilot["lessons"], pilot.get("equal_cost", False))
    prices = {name: spec.prices for name, spec in settings.models.items() if spec.prices is not None}
    reckoned = reckon(view, summary.facts, full, prices)
    return Diagnosis(
        problems=len(facts),
        planned=summary.planned,
        full_problems=full.problems,
        lessons=settings.lessons,
        full_lessons=full.lessons,
        students=students,
        teacher=_teacher(facts),
        exam_cut=_share(summary.exam_states, "truncated"),
        alike=alike,
        unlike=unlike,
        auc=summary.auc,
        gain=gain,
        gain_max=gain_max,
        full_gain=full_gain(facts, "sum", full.lessons),
        full_gain_max=full_gain(facts, "max", full.lessons),
        needed=needed,
        loads=reckoned.loads,
        tokens=reckoned.tokens,
        money=reckoned.money,
        currency=currency_of(prices),
        exam_share=_exam_share(settings, summary),
    )


def _exams(view: RunView, answers: Mapping[str, Sequence[ExamRow]]) -> dict[str, list[Problem]]:
    """Each problem's exam problems, as its answers show them."""
    known = {p.id: p for p in view.problems("exam")}
    return {
        id: [known[e] for e in dict.fromkeys(row.exam_problem for row in rows)]
        for id, rows in answers.items()
    }


def _controls(
    view: RunView, exams: Mapping[str, Sequence[Problem]], sandbox: str
) -> dict[Condition, dict[tuple[str, str], float]]:
    """Mean score of each (student, taught problem) under each condition; the replies are graded here.

    Alone, what is asked does not depend on the taught problem, and was asked once for all whose exam it is in.
    """
    known = {p.id: p for p in view.problems("exam")}
    marks: dict[tuple[Condition, str, str, str], list[float]] = defaultdict(list)
    for asked in recorded(view):
        reply = view.recorded([asked.call])[asked.call]
        cut = reply.stop == "length"
        judged = grade(known[asked.exam], reply.text, truncated=cut, exam=True, sandbox=sandbox)
        if judged.score is not None:
            taught = asked.taught if asked.condition == "reference" else ""
            marks[asked.condition, asked.student, taught, asked.exam].append(judged.score)
    found: dict[Condition, dict[tuple[str, str], float]] = {"alone": {}, "reference": {}}
    students = {student for _, student, _, _ in marks}
    for condition, scores in found.items():
        for student in students:
            for id, problems in exams.items():
                taught = id if condition == "reference" else ""
                keys = [(condition, student, taught, p.id) for p in problems]
                own = [fmean(marks[key]) for key in keys if key in marks]
                if own:
                    scores[student, id] = fmean(own)
    return found


def _right_lessons(view: RunView) -> dict[tuple[str, str], bool]:
    """Whether each (problem, lesson) has a right answer."""
    return {
        (s.problem, s.lesson): s.grade.score == 1.0
        for s in view.samples()
        if s.lesson is not None and s.grade.score is not None
    }


def _student(
    name: str,
    facts: Sequence[Facts],
    answers: Mapping[str, Sequence[ExamRow]],
    right_lessons: Mapping[tuple[str, str], bool],
    alone: Mapping[tuple[str, str], float],
    reference: Mapping[tuple[str, str], float],
) -> StudentNote:
    after: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for f in facts:
        marks: dict[bool, list[float]] = {True: [], False: []}
        for row in answers[f.problem.id]:
            if row.student == name and row.grade.score is not None:
                marks[right_lessons.get((row.problem, row.lesson), False)].append(row.grade.score)
        for side, own in marks.items():
            if own:
                after[side][f.problem.id] = fmean(own)
    owner = {f.problem.id: f.problem.cluster or f.problem.id for f in facts}
    bare, told = (
        {id: score for (student, id), score in found.items() if student == name and id in owner}
        for found in (alone, reference)
    )
    return StudentNote(
        name=name,
        alone=_mean(bare, owner),
        after_right=_mean(after[True], owner),
        after_wrong=_mean(after[False], owner),
        after_reference=_mean(told, owner),
        lift=_paired(after[True], bare, owner),
        telling=_paired(after[True], after[False], owner),
    )


def _teacher(facts: Sequence[Facts]) -> TeacherNote:
    clusters = [f.problem.cluster or f.problem.id for f in facts]
    again = wrong = 0
    for f in facts:
        count = Counter(f.keys)
        for key, right in zip(f.keys, f.right, strict=True):
            if key is not None and not right:
                wrong += 1
                again += count[key] > 1
    samples = max(sum(len(f.keys) for f in facts), 1)
    return TeacherNote(
        right=mean_ci([fmean(f.right) if f.right else 0.0 for f in facts], clusters),
        voted=mean_ci([float(f.correct.get("sc", False)) for f in facts], clusters),
        reachable=mean_ci([float(f.correct.get("oracle", False)) for f in facts], clusters),
        unanimous=fmean(len(set(f.keys)) == 1 for f in facts) if facts else 0.0,
        repeated=again / wrong if wrong else None,
        cut=sum(f.states["truncated"] for f in facts) / samples,
    )


def _gains(facts: Sequence[Facts]) -> tuple[Interval, Interval, int | None]:
    clusters = [f.problem.cluster or f.problem.id for f in facts]
    marks = {arm: [float(f.correct.get(arm, False)) for f in facts] for arm in ("sc", "sum", "max")}
    gain = paired_difference(marks["sum"], marks["sc"], clusters)
    gain_max = paired_difference(marks["max"], marks["sc"], clusters)
    differences = [a - b for a, b in zip(marks["sum"], marks["sc"], strict=True)]
    return gain, gain_max, _needed(differences, clusters)


def _needed(differences: Sequence[float], clusters: Sequence[str]) -> int | None:
    """Problems for a power of 0.8 at the 5 % level: ((1.96 + 0.84) sd / mean)^2.

    The variance is that of one problem's part in the mean of such a set: larger where the problems of a cluster move
    together, as each of them then says less; and never taken to be smaller, which so few clusters could not show.
    """
    if not differences or (mean := fmean(differences)) <= 0:
        return None
    together: defaultdict[str, float] = defaultdict(float)
    for difference, cluster in zip(differences, clusters, strict=True):
        together[cluster] += difference - mean
    variance = max(
        fmean((d - mean) ** 2 for d in differences),
        sum(off**2 for off in together.values()) / len(differences),
    )
    return max(1, round(variance * (2.8 / mean) ** 2))


def _similarity(facts: Sequence[Facts], exams: Mapping[str, Sequence[Problem]]) -> tuple[float, float | None]:
    words = {f.problem.id: _words(f.problem) for f in facts if f.problem.id in exams}
    asked = {id: [_words(p) for p in exams[id]] for id in words}
    own = [_jaccard(words[id], other) for id in words for other in asked[id]]
    ids = list(words)
    # The next problem's exam stands for a problem of no relation: not every pair, which grows as the square.
    strange = [
        _jaccard(words[id], other)
        for id, next_id in zip(ids, [*ids[1:], *ids[:1]], strict=True)
        for other in asked[next_id]
        if id != next_id
    ]
    return (fmean(own) if own else 0.0), (fmean(strange) if strange else None)


def _words(problem: Problem) -> frozenset[str]:
    return frozenset(w for w in problem.question.lower().split() if not any(c.isdigit() for c in w))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def _exam_share(settings: Settings, summary: Summary) -> float | None:
    if settings.allocation == "fixed" or not summary.questions:
        return None
    return summary.asked / summary.questions


def _share(states: Mapping[str, int], state: str) -> float:
    total = sum(states.values())
    return states.get(state, 0) / total if total else 0.0


def _mean(scores: Mapping[str, float], owner: Mapping[str, str]) -> Interval:
    return mean_ci(list(scores.values()), [owner[id] for id in scores])


def _paired(a: Mapping[str, float], b: Mapping[str, float], owner: Mapping[str, str]) -> Interval:
    both = [id for id in a if id in b]
    return paired_difference([a[id] for id in both], [b[id] for id in both], [owner[id] for id in both])
