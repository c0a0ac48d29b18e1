"""Written exams on the school, by a real writer: what it writes, what its golds are worth, SUM - SC against the noise.

`python benchmarks/written.py --out DIR` runs what is declared below; `--tuning` the same on numbers kept for tuning.
Runs are ordinary run folders in DIR, gone on with when it is called again; models that do not ship are schooled there
first (extra `train`, some minutes). Prints three tables:

- writers: what `school:writer` writes, and what one does whose schooling was stopped early: read back by the
  world's own rules (`docendo.schoolhouse.reading`), of families that its schooling read and of those it left out.
- golds: the same lessons under exams of each writer, with true golds (by the world; what has no answer is dropped), and
  with golds by the agreement of the teacher, of the student, of another teacher (grown from another base), of both
  teachers, and of one that was schooled longer on all families alike, as someone might have who pays for golds; beside
  them the ordinary exams of variants. All by the ordinary road: guard, drops, abstention, cost.
- noise: the exams of `school:writer` with true golds, these made wrong at random, each to the commonest wrong answer of
  the students; recorded answers are graded again. The rows of the table before it belong into this one.

Declared before the report run: problems, seed, settings, and the primary comparison, which is SUM - SC under exams of
`school:writer` with golds by both teachers, at the default threshold; its interval is over clusters. All else is
secondary. What is used of the taught problem is its text alone.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from exams import facts_of, solved, told

import docendo
from docendo import _loop
from docendo.exams.guard import COPY
from docendo.exams.write import CANDIDATES, question_of
from docendo.grading import answer_key
from docendo.models.base import Model
from docendo.models.resolve import opened
from docendo.models.scripted import ScriptedModel
from docendo.prompts import Prompts
from docendo.schoolhouse.reading import SORTS, Reader, held_out
from docendo.schoolhouse.world import World
from docendo.solve.arms import Cost, Facts
from docendo.solve.plan import Settings
from docendo.solve.run import Run, resume
from docendo.stats import paired_difference
from docendo.study.read import rescored, unscored
from docendo.types import Call, Example, Problem, Reply

PROBLEMS, SEED, LIMIT = "school:m1", 20, 144
TUNING, TUNING_SEED, TUNING_LIMIT = "school:m1-dev", 10, 48
EARLY, OTHER, BETTER = "writer-early", "teacher-other", "teacher-better"
NOISES = (0.0, 0.1, 0.2, 0.3, 0.5)

TRUTH = "school:the-world"
READER = Reader(World())
_ASKED = re.compile(r"Question: (.*)\nWorking:\Z")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/written"))
    parser.add_argument("--tuning", action="store_true", help="numbers kept for tuning, another seed")
    parser.add_argument("--limit", type=int, help="only the first so many problems")
    arguments = parser.parse_args()
    source, seed, limit = (TUNING, TUNING_SEED, TUNING_LIMIT) if arguments.tuning else (PROBLEMS, SEED, LIMIT)
    limit = arguments.limit or limit
    out = arguments.out / ("tuning" if arguments.tuning else "declared")
    plans = [
        ("school:writer", "school:writer", "true", (TRUTH,)),
        ("school:writer", "school:writer", "both teachers", ("teacher", OTHER)),
        ("school:writer", "school:writer", "the teacher", ("teacher",)),
        ("school:writer", "school:writer", "another teacher", (OTHER,)),
        ("school:writer", "school:writer", "the student", ("students",)),
        ("stopped early", EARLY, "true", (TRUTH,)),
        ("stopped early", EARLY, "both teachers", ("teacher", OTHER)),
        ("school:writer", "school:writer", "a better teacher", (BETTER,)),
        ("stopped early", EARLY, "a better teacher", (BETTER,)),
    ]
    print(f"{source}, the first {limit} problems, seed {seed}")
    variants = solved(out / "variants", source, seed, limit)
    runs: dict[tuple[str, str], Run] = {}
    for name, writer, gold, by in plans:
        folder = out / f"{name}-{gold}".replace(" ", "-").replace(":", "-")
        models = [schooled(arguments.out / "schooling", model) for model in (writer, *by)]
        runs[name, gold] = examined(folder, source, variants, models[0], ",".join(models[1:]))
    print("\n## What the writers write: % of all that was asked for")
    print(f"| writer | families | asked for | {' | '.join(SORTS)} | copies and repetitions |")
    print("|---|---|---|" + "---|" * (len(SORTS) + 1))
    for name in ("school:writer", "stopped early"):
        written(name, runs[name, "true"])
    print("\n## Golds: SUM - SC in points, the same lessons")
    print(
        "| exams | golds by | exam problems | no exam | wrong golds | of another method, or none | SUM | SUM - SC "
        "| 95 % interval | cost, SC = 1 | of it writing and golds |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    row("variants", "known", variants, variants)
    for (name, gold), run in runs.items():
        row(name, gold, run, variants)
    print("\n## Noise: exams of school:writer, true golds made wrong at random")
    print("| wrong golds | SUM - SC | 95 % interval |")
    print("|---|---|---|")
    noise(runs["school:writer", "true"], variants)


def schooled(out: Path, name: str) -> str:
    """A model that does not ship, schooled where it is not there yet; any other name as it is."""
    if name not in (EARLY, OTHER, BETTER):
        return name
    folder = out / name / "model"
    if not (folder / "SHA256SUMS").is_file():
        from docendo.schoolhouse.schooling.__main__ import main as school

        school(["--out", str(out), "--only", name, "--threads", "1", "--no-compile"])
    return f"school:{folder.resolve()}"


def examined(folder: Path, source: str, run: Run, writer: str, golds: str) -> Run:
    """The lessons of a run under written exams."""
    with run.view() as view:
        plan = Settings.of(view.config["settings"])
        texts = {row.lesson.id: row.lesson.examples[0] for row in view.lessons()}
        lessons: dict[str, list[Example]] = defaultdict(list)
        for sample in view.samples():
            if sample.arm == "teach" and sample.lesson is not None:
                lessons[sample.problem].append(texts[sample.lesson])
    names = {writer, *plan.students}
    names |= {plan.teacher if g == "teacher" else g for g in golds.split(",") if g not in ("students", TRUTH)}
    with standing(names) as models:
        if (folder / "run.sqlite").is_file():
            return resume(folder, models=models)
        return docendo.score(
            lessons,
            problems=source,
            out=folder,
            seed=plan.seed,
            models=models,
            exam_select="written",
            exam_writer=writer,
            gold_by=golds,
        )


@contextmanager
def standing(names: set[str]) -> Iterator[Mapping[str, Model]]:
    """Open models, and the world as one that knows every answer; it weighs next to nothing in costs."""
    opening = opened(sorted(names))
    models = _loop.run(opening.__aenter__())
    try:
        yield {**models, TRUTH: ScriptedModel(TRUTH, _truly, parameters=1)}
    finally:
        _loop.run(opening.__aexit__(None, None, None))


def _truly(call: Call) -> Reply:
    """The answer by the world's rules; one that was cut, and so agrees with none, where there is none."""
    asked = _ASKED.match(str(call.prompt))
    answer = truth(asked[1]) if asked else None
    return Reply("", "length") if answer is None else Reply(f" by the world.\nAnswer: {answer}", "stop")


def truth(question: str) -> str | None:
    """A question's answer by the world."""
    return READER.judge(next(iter(READER.families)), question)[1]


# --- what is written --------------------------------------------------------------------------------------


def written(name: str, run: Run) -> None:
    """What came of every candidate that was asked for."""
    counts: dict[str, Counter[str]] = {"read": Counter(), "held out": Counter()}
    with run.view() as view:
        plan, prompts = Settings.of(view.config["settings"]), Prompts("school")
        for problem in view.problems():
            size = CANDIDATES * plan.exam_problems
            asked = [
                plan.call(
                    "write", prompts.write(problem), i, f"write {plan.writer} {problem.id}", size, plan.writer,
                    prompts.stop,
                )
                for i in range(size)
            ]  # fmt: skip
            seen = {problem.question}
            assert problem.family is not None
            own = counts["held out" if held_out(problem.family) else "read"]
            for reply in view.replies(asked):
                question = (reply and question_of(reply.text, begun=True)) or ""
                own[COPY if question in seen else READER.judge(problem.family, question)[0]] += 1
                seen.add(question)
    for families, own in counts.items():
        total = sum(own.values())
        shares = " | ".join(f"{100 * own[sort] / total:.1f}" for sort in (*SORTS, COPY))
        print(f"| {name} | {families} | {total:,} | {shares} |")


# --- what exams are worth ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exams:
    """A run's exam problems: how many there are, how many golds are wrong, how many ask another thing."""

    problems: int
    wrong: int
    strange: int

    @classmethod
    def of(cls, run: Run) -> Exams:
        """Read and judge them."""
        found: Counter[str] = Counter()
        with run.view() as view:
            for problem in view.problems():
                for p in view.exam_of(problem.id):
                    assert problem.family is not None
                    sort, answer = READER.judge(problem.family, p.question)
                    found["problems"] += 1
                    found["wrong"] += answer is None or key(answer) != key(p.answer or "")
                    found["strange"] += sort not in ("family", "method")
        return cls(found["problems"], found["wrong"], found["strange"])


def key(answer: str) -> str | None:
    return answer_key("math", answer)


def row(exams: str, golds: str, run: Run, lessons: Run) -> None:
    """A run in the table of golds, of whose lessons another one knows what they cost."""
    about, summary, facts = Exams.of(run), run.summary(), facts_of(run)
    vote = {f.problem.id: f for f in facts_of(lessons)}
    right = [float(f.correct["sum"]) for f in facts]
    sc = [float(vote[f.problem.id].correct["sc"]) for f in facts]
    d = paired_difference(right, sc, [f.problem.cluster for f in facts])
    taught = sum((vote[f.problem.id].costs["sc"] for f in facts), Cost()).cost
    writing = sum((f.writing for f in facts), Cost()).cost
    asked = sum((sum(f.lesson_costs, Cost()) for f in facts), Cost()).cost
    n = max(about.problems, 1)
    print(
        f"| {exams} | {golds} | {about.problems} | {summary.abstained / len(facts):.1%} | {about.wrong / n:.1%} "
        f"| {about.strange / n:.1%} | {np.mean(right):.1%} | {told(d)} | {(taught + writing + asked) / taught:.2f} "
        f"| {writing / taught:.2f} |",
        flush=True,
    )


# --- noise ------------------------------------------------------------------------------------------------


def noise(run: Run, lessons: Run) -> None:
    """SUM - SC where golds that were right are made wrong at random."""
    said: dict[tuple[str, str], list[tuple[str, str | None]]] = defaultdict(list)
    order: dict[str, list[str]] = defaultdict(list)
    with run.view() as view:
        exam: dict[str, Problem] = {p.id: p for p in view.problems("exam")}
        for answer in view.exam_answers():
            said[answer.problem, answer.lesson].append((answer.exam_problem, answer.grade.key))
        for lesson in view.lessons():
            order[lesson.problem].append(lesson.lesson.id)
    true = {id: key(p.answer or "") for id, p in exam.items()}
    wrong: dict[str, Counter[str]] = defaultdict(Counter)
    for answers in said.values():
        for id, given in answers:
            if given is not None and given != true[id]:
                wrong[id][given] += 1
    facts, vote = facts_of(run), {f.problem.id: f for f in facts_of(lessons)}
    sc = [float(vote[f.problem.id].correct["sc"]) for f in facts]
    for rate in NOISES:
        rng = np.random.default_rng(1)
        noisy = dict(true)
        for id in sorted(exam):
            if rng.random() < rate and wrong[id]:
                noisy[id] = wrong[id].most_common(1)[0][0]
        share = float(np.mean([noisy[id] != true[id] for id in exam]))
        right = [
            _right(f, [said[f.problem.id, lesson] for lesson in order[f.problem.id]], noisy) for f in facts
        ]
        d = paired_difference(right, sc, [f.problem.cluster for f in facts])
        print(f"| {share:.1%} | {told(d)} |", flush=True)


def _right(facts: Facts, said: list[list[tuple[str, str | None]]], golds: Mapping[str, str | None]) -> float:
    """Whether SUM is right where the lessons' exam answers are marked by these golds."""
    marks = [[float(given == golds[id]) for id, given in answers] for answers in said]
    scores = [sum(own) / len(own) if own else None for own in marks]
    return float(rescored(facts, unscored(facts), scores).correct["sum"])


if __name__ == "__main__":
    main()
