"""The report's sentences: what was run, what came out, and what a reader must know to trust it.

Everything said here is computed from the run; how it looks is left to the template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docendo.report.numbers import count, millions, percent, plural, points
from docendo.solve.facts import Facts
from docendo.solve.plan import Settings
from docendo.solve.summary import Summary
from docendo.stats import Interval
from docendo.store import RunView
from docendo.types import GradeState

LABELS = {
    "greedy": "greedy",
    "sc": "SC",
    "sample": "one sample",
    "sample_undebugged": "one sample, undebugged",
    "sc_undebugged": "SC, undebugged",
    "sc_equal_cost": "SC, equal cost",
    "max": "MAX",
    "sum": "SUM",
    "avg": "AVG",
    "oracle": "oracle",
}
SCHOOL_GROUPS = ("head", "middle", "tail", "untaught")
# Above this share of lost replies a reader should know of it before the first figure.
WORTH_A_NOTICE = 0.01


@dataclass(frozen=True, slots=True)
class About:
    """What was run. `lessons` says how many samples a problem had, in words."""

    name: str
    settings: Settings
    given: bool
    school: bool
    teacher: str
    students: Sequence[str]
    lessons: str
    exam: str
    problems: str
    when: str
    docendo: str

    @property
    def same(self) -> str:
        """The samples that SC and the rules share."""
        return (
            "the same given lessons" if self.given else f"the same {plural(self.settings.lessons, 'sample')}"
        )


def about(view: RunView, summary: Summary) -> About:
    """Read what was run from the store."""
    settings = Settings.of(view.config["settings"])
    given = view.info.kind == "score"
    models = {m.name: m for m in view.models()}
    named = {f.problem.group for f in summary.facts} - {None}
    ends = sorted(row.time for row in view.done())
    heat = f" at temperature {settings.temperature:g}"
    sampled = f"{plural(settings.lessons, 'sample')} a problem{heat}"
    answers = settings.exam_problems * settings.repeats * len(settings.students)
    return About(
        name=view.folder.resolve().name,
        settings=settings,
        given=given,
        school=bool(named) and named <= set(SCHOOL_GROUPS) and any(n.startswith("school:") for n in models),
        teacher="none: the lessons were given" if given else _model(settings.teacher, models),
        students=[_model(name, models) for name in settings.students],
        lessons=("as given" if given else sampled) + _distinct(summary),
        exam=f"{plural(settings.exam_problems, 'problem')} × {plural(settings.repeats, 'repeat')} × "
        f"{plural(len(settings.students), 'student')}: {plural(answers, 'answer')} a lesson"
        f" at temperature {settings.student_temperature:g}",
        problems=(f"{source}: " if (source := view.config.get("problems")) else "")
        + f"{count(summary.problems)} of {count(summary.planned)} finished, "
        f"{count(summary.judged)} with a gold answer",
        when=_when(view.info.created, ends[-1] if ends else None),
        docendo=view.info.docendo,
    )


def groups(summary: Summary, school: bool) -> list[str]:
    """The groups' names: the school's in the order of schooling, others in that of the problems."""
    found = list(dict.fromkeys(f.problem.group for f in summary.facts if f.problem.group is not None))
    return sorted(found, key=SCHOOL_GROUPS.index) if school else found


def headline(summary: Summary, about: About) -> str:
    """The run in one sentence: SUM against SC at equal samples, and never more than the interval allows."""
    if not summary.problems:
        return f"No problem is finished yet, of {count(summary.planned)} planned."
    difference = summary.overall.differences.get("sum-sc")
    if difference is None or difference.mean is None:
        return (
            f"SUM chose among the lessons of {plural(summary.problems, 'problem')} whose answers are not "
            "known, so nothing can be said of right or wrong."
        )
    sofar = "So far, " if summary.problems < summary.planned else ""
    arms = summary.overall.arms
    against = f"{percent(arms['sum'].accuracy.mean)} right against {percent(arms['sc'].accuracy.mean)}"
    over = f"over {plural(summary.judged, 'problem')}"
    if difference.low is None or difference.high is None:
        said = (
            f"SUM has {against} for SC with {about.same}, {over}; no interval can be given, so no difference "
            "is shown."
        )
    elif difference.low <= 0 <= difference.high:
        said = (
            f"no difference between SUM and SC was shown with {about.same}: {against} {over}, "
            f"{points(difference.mean)} points (95% interval {_span(difference)})."
        )
    else:
        more = "more" if difference.mean > 0 else "fewer"
        said = (
            f"SUM answers {abs(100 * difference.mean):.1f} percentage points {more} right than SC with "
            f"{about.same}: {against} {over} (95% interval of the difference {_span(difference)})."
        )
    return sofar + said if sofar else said[0].upper() + said[1:]


def more(summary: Summary) -> str:
    """What the headline alone would hide: what SUM cost, and how it stands against SC at equal cost."""
    arms = summary.overall.arms
    if "sum" not in arms or not arms["sc"].cost.cost:
        return ""
    dearer = arms["sum"].cost.cost / arms["sc"].cost.cost
    said = f"Exams make SUM {dearer:.1f} times as costly as SC. "
    difference = summary.overall.differences.get("sum-sc_equal_cost")
    if difference is None or difference.mean is None:
        return said + "This run has no samples to compare it with SC at equal cost."
    extra = sum(len(f.keys) + len(f.extra) for f in _judged(summary)) / summary.judged
    return (
        f"{said}Against SC given as many more samples as the exams cost (a mean of {extra:.0f} in all), "
        f"the difference is {points(difference.mean)} points"
        + (f" (95% interval {_span(difference)})" if difference.low is not None else "")
        + (": none is shown." if _unshown(difference) else ".")
    )


def notices(summary: Summary, about: About) -> list[str]:
    """What should be known before any figure is believed."""
    found = []
    if summary.stopped is not None and summary.problems < summary.planned:
        cut = (
            f"; {plural(summary.cut_short, 'problem')} cut short by it count in no table"
            if summary.cut_short
            else ""
        )
        found.append(f"The run was stopped: {summary.stopped}{cut}.")
    if summary.problems < summary.planned:
        found.append(
            f"This run is not finished: {count(summary.problems)} of {plural(summary.planned, 'problem')} "
            f"are. `docendo solve --resume {about.name}` goes on."
        )
    if 0 < summary.judged < summary.problems:
        found.append(
            f"{plural(summary.problems - summary.judged, 'finished problem')} without a gold answer can be "
            "looked at below and count in no accuracy."
        )
    kinds = (("the teacher’s samples", summary.states), ("the students’ exam answers", summary.exam_states))
    for what, states in kinds:
        lost = states["truncated"] + states["failed"]
        if lost > WORTH_A_NOTICE * sum(states.values()):
            found.append(
                f"{percent(lost / sum(states.values()))} of {what} were cut off by the token limit "
                f"({count(states['truncated'])}) or failed ({count(states['failed'])}) and are not counted."
            )
    difference = summary.overall.differences.get("sum-sc")
    if difference is not None and difference.note:
        found.append(f"Of the intervals: {difference.note}.")
    return found


def states(summary: Summary, about: About) -> list[str]:
    """The denominators, in words."""
    said = []
    if summary.judged:
        clusters = next(iter(summary.overall.arms.values())).accuracy.clusters
        said.append(
            f"Accuracy is over the {plural(summary.judged, 'finished problem')} with a gold answer, in "
            f"{plural(clusters, 'cluster')}; an arm that finds no readable answer is wrong."
        )
    if summary.problems:
        own = "given lessons" if about.given else "teacher’s samples"
        of, exam = summary.states, summary.exam_states
        said.append(
            f"Of the {count(sum(of.values()))} {own}, {count(of[GradeState.OK])} gave an answer; "
            f"{count(of[GradeState.UNGRADABLE])} gave none that could be read, "
            f"{count(of[GradeState.TRUNCATED])} were truncated before one and "
            f"{count(of[GradeState.FAILED])} failed: these make no lesson and have no vote."
        )
        said.append(
            f"Of the {count(sum(exam.values()))} exam answers by students, {count(exam[GradeState.OK])} gave "
            f"an answer; {count(exam[GradeState.UNGRADABLE])} gave none that could be read and count as "
            f"wrong; {count(exam[GradeState.TRUNCATED])} truncated and {count(exam[GradeState.FAILED])} "
            "failed ones are left out of the LbT score."
        )
    said += summary.exams_said()
    said += [
        f"{c.model} took {percent(c.cached / c.prompt)} of its prompt tokens from the server’s cache: "
        f"{percent(c.reached)} of what its prompts have in common."
        for c in summary.cache
    ]
    said += summary.failures_said()
    said += summary.notes
    return said


def arm_notes(summary: Summary, about: About) -> Mapping[str, str]:
    """What each arm is, in a few words."""
    judged = _judged(summary)
    total = sum(len(f.keys) + len(f.extra) for f in judged) / max(len(judged), 1)
    samples = "given lessons" if about.given else plural(about.settings.lessons, "sample")
    same = "SC, none of it revised," if about.settings.self_debug else "the same"
    return {
        "greedy": "one answer at temperature 0",
        "sample": "one sample, in the mean over them",
        "sample_undebugged": "the same, before revisions",
        "sc_undebugged": "SC over the samples before they were revised",
        "sc": f"self-consistency: most frequent answer of the {samples}",
        "sc_equal_cost": f"{same} over {total:.0f} samples in the mean, for the cost of SUM",
        "max": "answer of the lesson with the highest LbT score",
        "sum": "answer with the largest sum of LbT scores",
        "avg": "answer with the largest mean LbT score",
        "oracle": f"right if any of the {samples} is: a ceiling, no method",
    }


def agreement(summary: Summary, view: RunView) -> str:
    """What can be said where no answers are known: how often the exams changed the vote."""
    if summary.judged or not summary.problems:
        return ""
    chosen: dict[str, dict[str, str | None]] = {}
    for d in view.decisions():
        chosen.setdefault(d.problem, {})[d.choice.rule] = d.choice.key
    other = sum(keys.get("sum") != keys.get("maj") for keys in chosen.values())
    none = sum(keys.get("sum") is None for keys in chosen.values())
    scores = [s for f in summary.facts for s in f.scores if s is not None]
    mean = f"{sum(scores) / len(scores):.2f}" if scores else "not known"
    return (
        f"SUM chose another answer than SC for {count(other)} of {plural(len(chosen), 'problem')}, and found "
        f"no answer for {count(none)}. The mean LbT score of the {plural(summary.lessons, 'lesson')} is "
        f"{mean}."
    )


def _judged(summary: Summary) -> list[Facts]:
    return [f for f in summary.facts if f.problem.judgeable]


def _unshown(difference: Interval) -> bool:
    return (
        difference.low is not None and difference.high is not None and difference.low <= 0 <= difference.high
    )


def _span(interval: Interval) -> str:
    return f"{points(interval.low)} to {points(interval.high)}"


def _model(name: str, models: Mapping[str, object]) -> str:
    size = getattr(models.get(name), "parameters", None)
    return (
        f"{name} ({millions(size)} parameters)"
        if size
        else f"{name} (size not known, so a token of every model counts alike)"
    )


def _distinct(summary: Summary) -> str:
    if not summary.problems:
        return ""
    return f"; {count(summary.lessons)} distinct lessons, {summary.lessons / summary.problems:.1f} a problem"


def _when(start: str, end: str | None) -> str:
    """From one ISO 8601 time in UTC to another, to the minute."""
    began = f"{start[:10]} {start[11:16]}"
    if end is None:
        return f"begun {began} UTC"
    return f"{began} to {end[11:16] if end[:10] == start[:10] else f'{end[:10]} {end[11:16]}'} UTC"
