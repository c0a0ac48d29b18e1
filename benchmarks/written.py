"""Written exams on the school, by a real writer: what it writes, what its golds are worth, SUM - SC against the noise.

`python benchmarks/written.py --out DIR` runs what is declared below; `--tuning` the same on numbers kept for tuning.
Runs are ordinary run folders in DIR, gone on with when it is called again; models that do not ship are schooled there
first (extra `train`, some minutes). Prints five tables:

- writers: what `school:writer` writes, and what one does whose schooling was stopped early: read back by the
  world's own rules (`docendo.schoolhouse.reading`), of families that its schooling read and of those it left out.
- golds: the same lessons under exams of each writer, with true golds (by the world; what has no answer is dropped), and
  with golds by the agreement of the teacher, of the student, of another teacher (grown from another base), of both
  teachers, and of one that was schooled longer on all families alike, as someone might have who pays for golds; beside
  them the ordinary exams of variants. All by the ordinary road: guard, drops, abstention, cost.
- where there is an exam: how right the vote is there already, and what true golds would have made of it.
- echoes: how often students give a better teacher's golds, by whether these are right and the lesson is.
- noise: the exams of `school:writer` with true golds, these made wrong at random, each to the commonest wrong answer of
  the students; recorded answers are graded again. The rows of the table of golds belong into this one.

Declared before the report run: problems, seed, settings, and the primary comparison, which is SUM - SC under exams of
`school:writer` with golds by both teachers, at the default threshold; its interval is over clusters. All else is
secondary. What is used of the taught problem is its text alone.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
from docendo.schoolhouse.reading import GOOD, SORTS, Reader, held_out
from docendo.schoolhouse.world import World
from docendo.solve.facts import Cost, Facts
from docendo.solve.plan import Settings
from docendo.solve.run import Run, resume
from docendo.stats import paired_difference
from docendo.study.read import rescored, unscored
from docendo.types import Call, Example, Problem, Reply

# Seed 20 was declared; 21 was added when its figures had been seen, and nothing else was changed.
PROBLEMS, SEEDS, LIMIT = "school:m1", (20, 21), 144
TUNING, TUNING_SEEDS, TUNING_LIMIT = "school:m1-dev", (10,), 48
EARLY, OTHER, BETTER = "writer-early", "teacher-other", "teacher-better"
NOISES = (0.0, 0.1, 0.2, 0.3, 0.5)

TRUTH = "school:the-world"
READER = Reader(World())
_ASKED = re.compile(r"Question: (.*)\nWorking:\Z")

# Exams, golds, the model that writes, and those that answer.
PLANS = (
    ("school:writer", "true", "school:writer", (TRUTH,)),
    ("school:writer", "both teachers", "school:writer", ("teacher", OTHER)),
    ("school:writer", "the teacher", "school:writer", ("teacher",)),
    ("school:writer", "another teacher", "school:writer", (OTHER,)),
    ("school:writer", "the student", "school:writer", ("students",)),
    ("school:writer", "a better teacher", "school:writer", (BETTER,)),
    ("stopped early", "true", EARLY, (TRUTH,)),
    ("stopped early", "both teachers", EARLY, ("teacher", OTHER)),
    ("stopped early", "a better teacher", EARLY, (BETTER,)),
)


@dataclass(frozen=True, slots=True)
class Sitting:
    """One seed's run under some exams, with the run under exams of variants, whose lessons it took."""

    run: Run
    variants: Run

    def facts(self) -> list[tuple[Facts, Facts]]:
        """Each problem as this run has it, and as the other."""
        known = {f.problem.id: f for f in facts_of(self.variants)}
        return [(f, known[f.problem.id]) for f in facts_of(self.run)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/written"))
    parser.add_argument("--tuning", action="store_true", help="numbers kept for tuning, another seed")
    parser.add_argument("--limit", type=int, help="only the first so many problems")
    parser.add_argument("--seed", type=int, action="append", help="other seeds than those declared")
    given = parser.parse_args()
    source, seeds, limit = (TUNING, TUNING_SEEDS, TUNING_LIMIT) if given.tuning else (PROBLEMS, SEEDS, LIMIT)
    limit, seeds = given.limit or limit, given.seed or seeds
    runs: dict[tuple[str, str], list[Sitting]] = defaultdict(list)
    for seed in seeds:
        out = given.out / f"{'tuning' if given.tuning else 'declared'}-{seed}"
        variants = solved(out / "variants", source, seed, limit)
        runs["variants", "known"].append(Sitting(variants, variants))
        for name, gold, writer, by in PLANS:
            folder = out / f"{name}-{gold}".replace(" ", "-").replace(":", "-")
            models = [schooled(given.out / "schooling", model) for model in (writer, *by)]
            run = examined(folder, source, variants, models[0], ",".join(models[1:]))
            runs[name, gold].append(Sitting(run, variants))
    print(f"{source}, the first {limit} problems, seeds {', '.join(map(str, seeds))}")
    tables(runs)


def tables(runs: Mapping[tuple[str, str], list[Sitting]]) -> None:
    """Print all."""
    print("\n## What the writers write: % of all that was asked for")
    print(f"| writer | families | asked for | {' | '.join(SORTS)} | copies and repetitions |")
    print("|---|---|---|" + "---|" * (len(SORTS) + 1))
    for name in ("school:writer", "stopped early"):
        written(name, runs[name, "true"])
    print(
        "\n## Golds: SUM - SC in points, the same lessons; cost: SC = 1, and what of it is writing and golds"
    )
    print(
        "| exams | golds by | exam problems | no exam | wrong golds | asking another thing | SUM | SUM - SC "
        "| 95 % interval | by seed | cost | of it |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for (name, gold), found in runs.items():
        row(name, gold, found)
    print("\n## Where there is an exam: the vote, SUM, and SUM with true golds")
    print("| exams | golds by | problems | SC | SUM | with true golds |")
    print("|---|---|---|---|---|---|")
    for (name, gold), found in runs.items():
        if name != "variants":
            where(name, gold, found, runs[name, "true"])
    print("\n## Exam answers that are the gold of a better teacher, by what the gold is worth")
    print("| gold | after right lessons | after wrong lessons | answers |")
    print("|---|---|---|---|")
    echoes(runs["school:writer", "a better teacher"])
    print("\n## Noise: exams of school:writer, true golds made wrong at random")
    print("| wrong golds | SUM - SC | 95 % interval |")
    print("|---|---|---|")
    for rate in NOISES:
        noise(rate, runs["school:writer", "true"])


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


def written(name: str, found: Sequence[Sitting]) -> None:
    """What came of every candidate that was asked for."""
    counts: dict[str, Counter[str]] = {"read": Counter(), "held out": Counter()}
    for sitting in found:
        with sitting.run.view() as view:
            plan = Settings.of(view.config["settings"])
            for problem in view.problems():
                assert problem.family is not None
                own, seen = counts["held out" if held_out(problem.family) else "read"], {problem.question}
                for reply in view.replies(_asked(plan, problem)):
                    question = (reply and question_of(reply.text, begun=True)) or ""
                    own[COPY if question in seen else READER.judge(problem.family, question)[0]] += 1
                    seen.add(question)
    for families, own in counts.items():
        total = sum(own.values())
        shares = " | ".join(f"{100 * own[sort] / total:.1f}" for sort in (*SORTS, COPY))
        print(f"| {name} | {families} | {total:,} | {shares} |")


def _asked(plan: Settings, problem: Problem) -> list[Call]:
    """The calls by which the road had a problem's candidates written."""
    prompts, size = Prompts("school"), CANDIDATES * plan.exam_problems
    batch, writer = f"write {plan.writer} {problem.id}", plan.writer
    return [
        plan.call("write", prompts.write(problem), i, batch, size, model=writer, stop=prompts.stop)
        for i in range(size)
    ]


# --- what exams are worth ---------------------------------------------------------------------------------


def judged(run: Run) -> Counter[str]:
    """A run's exam problems: how many there are, how many golds are wrong, how many ask another thing or nothing."""
    found: Counter[str] = Counter()
    with run.view() as view:
        for problem in view.problems():
            for p in view.exam_of(problem.id):
                assert problem.family is not None
                sort, answer = READER.judge(problem.family, p.question)
                found["problems"] += 1
                found["wrong"] += answer is None or key(answer) != key(p.answer or "")
                found["strange"] += sort not in GOOD
    return found


def key(answer: str) -> str | None:
    return answer_key("math", answer)


def row(exams: str, golds: str, found: Sequence[Sitting]) -> None:
    """Some exams in the table of golds."""
    about = sum((judged(s.run) for s in found), Counter[str]())
    abstained = sum(s.run.summary().abstained for s in found)
    pairs = [pair for s in found for pair in s.facts()]
    right, sc = [float(f.correct["sum"]) for f, _ in pairs], [float(v.correct["sc"]) for _, v in pairs]
    d = paired_difference(right, sc, [f.problem.cluster for f, _ in pairs])
    seeds = [100 * np.mean([f.correct["sum"] - v.correct["sc"] for f, v in s.facts()]) for s in found]
    taught = sum((v.costs["sc"] for _, v in pairs), Cost()).cost
    writing = sum((f.writing for f, _ in pairs), Cost()).cost
    asked = sum((sum(f.lesson_costs, Cost()) for f, _ in pairs), Cost()).cost
    n = max(about["problems"], 1)
    print(
        f"| {exams} | {golds} | {about['problems']} | {abstained / len(pairs):.1%} | {about['wrong'] / n:.1%} "
        f"| {about['strange'] / n:.1%} | {np.mean(right):.1%} | {told(d)} | {', '.join(f'{x:+.1f}' for x in seeds)} "
        f"| {(taught + writing + asked) / taught:.2f} | {writing / taught:.2f} |",
        flush=True,
    )


def where(exams: str, golds: str, found: Sequence[Sitting], true: Sequence[Sitting]) -> None:
    """Of the problems that have an exam with these golds: is there anything to be gained, and was it?"""
    marks = []
    for sitting, known in zip(found, true, strict=True):
        best = {f.problem.id: f.correct["sum"] for f, _ in known.facts()}
        with sitting.run.view() as view:
            have = {p.id for p in view.problems() if view.exam_of(p.id)}
        marks += [
            (v.correct["sc"], f.correct["sum"], best[f.problem.id])
            for f, v in sitting.facts()
            if f.problem.id in have
        ]
    shares = " | ".join(f"{x:.1%}" for x in np.mean(marks, axis=0)) if marks else "- | - | -"
    print(f"| {exams} | {golds} | {len(marks)} | {shares} |")


def echoes(found: Sequence[Sitting]) -> None:
    """How often students give the golds, by whether these are right, and the lesson is."""
    marks: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for sitting in found:
        right = {f.problem.id: f.lesson_right for f, _ in sitting.facts()}
        with sitting.run.view() as view:
            golds = {p.id: (truth(p.question), p.answer or "") for p in view.problems("exam")}
            order: dict[str, list[str]] = defaultdict(list)
            for lesson in view.lessons():
                order[lesson.problem].append(lesson.lesson.id)
            for answer in view.exam_answers():
                true, gold = golds[answer.exam_problem]
                worth = (
                    "without an answer" if true is None else "right" if key(true) == key(gold) else "wrong"
                )
                good = right[answer.problem][order[answer.problem].index(answer.lesson)]
                marks[worth, good].append(answer.grade.score or 0.0)
    for worth in ("right", "wrong", "without an answer"):
        after = [marks[worth, good] for good in (True, False)]
        shares = " | ".join(f"{np.mean(own):.1%}" if own else "-" for own in after)
        print(f"| {worth} | {shares} | {sum(map(len, after)):,} |")


# --- noise ------------------------------------------------------------------------------------------------


def noise(rate: float, found: Sequence[Sitting]) -> None:
    """SUM - SC where this share of the golds, which were right, is made wrong at random."""
    rng = np.random.default_rng(1)
    mine, sc, clusters = [], [], []
    made, golds = 0, 0
    for sitting in found:
        said, order, true = _answers(sitting.run)
        wrong: dict[str, Counter[str]] = defaultdict(Counter)
        for answers in said.values():
            for id, given in answers:
                if given is not None and given != true[id]:
                    wrong[id][given] += 1
        noisy = {
            id: wrong[id].most_common(1)[0][0] if rng.random() < rate and wrong[id] else true[id]
            for id in sorted(true)
        }
        made, golds = made + sum(noisy[id] != true[id] for id in true), golds + len(true)
        for f, v in sitting.facts():
            mine.append(_right(f, [said[f.problem.id, lesson] for lesson in order[f.problem.id]], noisy))
            sc.append(float(v.correct["sc"]))
            clusters.append(f.problem.cluster)
    print(f"| {made / golds:.1%} | {told(paired_difference(mine, sc, clusters))} |", flush=True)


Answers = list[tuple[str, str | None]]


def _answers(run: Run) -> tuple[dict[tuple[str, str], Answers], dict[str, list[str]], dict[str, str | None]]:
    """The keys of exam answers by (problem, lesson), lessons in order, and the golds' keys by exam problem."""
    said: dict[tuple[str, str], Answers] = defaultdict(list)
    order: dict[str, list[str]] = defaultdict(list)
    with run.view() as view:
        true = {p.id: key(p.answer or "") for p in view.problems("exam")}
        for answer in view.exam_answers():
            said[answer.problem, answer.lesson].append((answer.exam_problem, answer.grade.key))
        for lesson in view.lessons():
            order[lesson.problem].append(lesson.lesson.id)
    return said, order, true


def _right(facts: Facts, said: Sequence[Answers], golds: Mapping[str, str | None]) -> float:
    """Whether SUM is right where the lessons' exam answers are marked by these golds."""
    marks = [[float(given == golds[id]) for id, given in answers] for answers in said]
    scores = [sum(own) / len(own) if own else None for own in marks]
    return float(rescored(facts, unscored(facts), scores).correct["sum"])


if __name__ == "__main__":
    main()
