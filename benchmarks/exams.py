"""Exams on the school: what adaptive ones cost and lose, how pooling stands a useless student, likelihood, noisy golds.

`python benchmarks/exams.py --out DIR` runs what is declared below; `--tuning` the same on numbers kept for tuning. Runs
are ordinary run folders in DIR, gone on with when it is called again. Prints four tables:

- allocation: fixed exams, and adaptive ones on the very same lessons: accuracy of SUM, the paired difference with its
  cluster bootstrap over problems and seeds at once, questions asked, and the cost of exams (tokens computed times
  parameters) as a share of the fixed ones'. Beside it self-consistency that stops when its majority is certain
  (Adaptive-Consistency), replayed over the recorded samples.
- pooling: a student alone, beside one that is useless, by the mean and weighed. Useless are the same student at a
  temperature at which it hardly forms a sentence (asked), and ones that pass at a fixed rate whatever the lesson says
  (drawn by the seed: for these nothing need be asked).
- likelihood: exams by log-likelihood of the exam problems' worked solutions (regime B): accuracy and tokens.
- golds: regime C. SUM - SC where the exams' golds are wrong with a given chance, the wrong one being what students
  wrongly answer most often; and where golds are what the teacher's own samples agree on, by threshold, exam problems
  without agreement being left out; or what the exam answers themselves agree on. Recorded exam answers are graded
  again; only the teacher's samples are asked, and not with `--replay`.

Declared before the report run: world, seeds, settings, and the primary comparison, which is SUM under adaptive exams
with the default certainty against SUM under fixed exams; not inferior if the 95 % interval lies above -2 points.

Declared again when the allocation was rebuilt (search first, each lesson one question; chosen by replays of the tuning
seeds 10 and 11 only, where it lost 0.52 points, -1.56 to +0.52, for 26.5 % of the cost): the same problems, seeds and
comparison at the new default certainty, 0.95; the aim is at most 30 % of the fixed exams' cost (`computed`). `kept` is
what the cost would be where a server keeps a problem's prefixes between rounds: replayed (`exams_replay`), not asked.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

import exams_replay
import numpy as np

import docendo
from docendo.exams.score import pooled, student_weights
from docendo.grading import answer_key, grade
from docendo.models.gateway import Gateway
from docendo.models.resolve import opened
from docendo.prompts import Prompts
from docendo.solve.choose import majority
from docendo.solve.facts import Cost, Facts, gather
from docendo.solve.plan import Settings
from docendo.solve.run import Run, resume
from docendo.stats import Interval, paired_difference
from docendo.store import ModelRow, Store
from docendo.study.read import Data, read, rescored, unscored
from docendo.types import Call, Example, Problem

PROBLEMS, SEEDS = "school:m1", (20, 21, 22)
TUNING, TUNING_SEEDS = "school:m1-dev", (10, 11)
MARGIN = -0.02
CERTAINTIES = (0.95, 0.99)
HOT = 6.0
POOLING_PROBLEMS = 96
LIKELIHOOD_PROBLEMS = 144
GOLD_SAMPLES = 8
RATES = (0.0, 0.1, 0.5, 0.9, 1.0)
NOISES = (0.0, 0.1, 0.2, 0.3, 0.5)
THRESHOLDS = (0.0, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/exams"))
    parser.add_argument("--tuning", action="store_true", help="numbers kept for tuning, other seeds")
    parser.add_argument("--limit", type=int, help="only the first so many problems")
    parser.add_argument(
        "--replay", action="store_true", help="golds without those that the teacher must be asked for"
    )
    parser.add_argument("--only", choices=("allocation", "pooling", "likelihood", "golds"), action="append")
    arguments = parser.parse_args()
    source, seeds = (TUNING, TUNING_SEEDS) if arguments.tuning else (PROBLEMS, SEEDS)
    wanted = arguments.only or ("allocation", "pooling", "likelihood", "golds")
    out = arguments.out / ("tuning" if arguments.tuning else "declared")
    fixed = {seed: solved(out / f"fixed-{seed}", source, seed, arguments.limit) for seed in seeds}
    print(f"{source}, seeds {', '.join(map(str, seeds))}")
    if "allocation" in wanted:
        allocation(out, source, fixed)
    first = seeds[0]
    if "pooling" in wanted:
        pooling(out, source, first, fixed[first])
    if "likelihood" in wanted:
        likely(out, source, fixed[first])
    if "golds" in wanted:
        golds(out, fixed[first], first, replay=arguments.replay)


def solved(folder: Path, source: str, seed: int, limit: int | None) -> Run:
    """The fixed run of a seed, whole."""
    if (folder / "run.sqlite").is_file():
        return resume(folder)
    return docendo.solve(source, out=folder, seed=seed, limit=limit, equal_cost=False)


def again(folder: Path, source: str, run: Run, limit: int | None = None, **settings: Any) -> Run:
    """The lessons of a run examined again, by other settings; the teacher is asked nothing."""
    if (folder / "run.sqlite").is_file():
        return resume(folder)
    with run.view() as view:
        lessons: dict[str, list[Example]] = defaultdict(list)
        texts = {row.lesson.id: row.lesson.examples[0] for row in view.lessons()}
        for sample in view.samples():
            if sample.arm == "teach" and sample.lesson is not None:
                lessons[sample.problem].append(texts[sample.lesson])
        seed = view.info.seed
        first = [p.id for p in view.problems()][:limit]
    given = {id: lessons[id] for id in first if lessons[id]}
    return docendo.score(given, problems=source, out=folder, seed=seed, **settings)


# --- allocation -------------------------------------------------------------------------------------------


def allocation(out: Path, source: str, fixed: Mapping[int, Run]) -> None:
    """Adaptive against fixed exams, and self-consistency that stops."""
    print("\n## Allocation: SUM under adaptive and under fixed exams")
    print(
        "| certainty | SUM, fixed | SUM, adaptive | difference | 95 % interval | questions | computed | kept |"
    )
    print("|---|---|---|---|---|---|---|---|")
    notes = []
    recorded = {seed: exams_replay.read(run) for seed, run in fixed.items()}
    whole_exams = [exams_replay.replay(one, adaptive=False) for one in recorded.values()]
    for certainty in CERTAINTIES:
        a, b, clusters = [], [], []
        spent, asked, questions = [0.0, 0.0], 0, 0
        ended: Counter[str] = Counter()
        replays = [exams_replay.replay(one, certainty=certainty) for one in recorded.values()]
        kept = exams_replay.share(replays, whole_exams, "kept")
        for (seed, run), replayed in zip(fixed.items(), replays, strict=True):
            folder = out / f"adaptive-{certainty:g}-{seed}"
            short = again(folder, source, run, allocation="adaptive", certainty=certainty)
            mine, whole = right_by_id(short, "sum"), right_by_id(run, "sum")
            for id, problem in problems_of(run).items():
                a.append(mine.get(id, whole[id]))
                b.append(whole[id])
                clusters.append(problem.cluster)
            spent[0] += exam_cost(short)
            spent[1] += exam_cost(run)
            summary = short.summary()
            asked, questions = asked + summary.asked, questions + summary.questions
            ended.update(summary.ended)
            notes.append(
                f"{certainty:g}, seed {seed}: {exams_replay.checked(short, recorded[seed], replayed)}"
            )
        d = paired_difference(a, b, clusters)
        print(
            f"| {certainty:g} | {np.mean(b):.1%} | {np.mean(a):.1%} | {told(d)} "
            f"| {asked / questions:.1%} | {spent[0] / spent[1]:.1%} | {kept:.1%} |"
        )
        notes.append(
            f"{certainty:g}: not inferior: {d.low is not None and d.low > MARGIN}; ended: {dict(ended)}"
        )
    print("\n" + "\n".join(notes))
    print(
        "\nSelf-consistency that stops when its majority is certain (Adaptive-Consistency, Beta posterior 0.95):"
    )
    rows = [stopped(f, 0.95) for run in fixed.values() for f in facts_of(run)]
    every = [f.correct["sc"] for run in fixed.values() for f in facts_of(run)]
    print(
        f"accuracy {np.mean([r for r, _ in rows]):.1%} with {np.mean([n for _, n in rows]):.1f} samples a problem; "
        f"all samples {np.mean(every):.1%}"
    )


def stopped(facts: Facts, certainty: float) -> tuple[bool, int]:
    """Whether stopping SC is right, and its samples: it stops when the first leads the second with that chance.

    The chance that the leader's share is above the second's, under a uniform prior, is that of a Beta(v1 + 1,
    v2 + 1) above one half (Aggarwal et al. 2023, arXiv 2305.11860).
    """
    counts: Counter[str] = Counter()
    drawn = 0
    for key in facts.keys:
        drawn += 1
        if key is not None:
            counts[key] += 1
        top = [n for _, n in counts.most_common(2)]
        if top and above_half(top[0], top[1] if len(top) > 1 else 0) >= certainty:
            break
    seen = facts.keys[:drawn]
    chosen = majority([None if k is None else (k, k) for k in seen]).key
    good = {k for k, right in zip(facts.keys, facts.right, strict=True) if right}
    return chosen in good, drawn


def above_half(first: int, second: int) -> float:
    """The chance that a Beta(first + 1, second + 1) is above one half: a binomial tail."""
    n = first + second + 1
    return float(sum(comb(n, k) for k in range(first + 1)) / 2**n)


def told(d: Interval) -> str:
    """A difference in points, and its interval."""
    low, high = d.low or 0.0, d.high or 0.0
    return f"{100 * (d.mean or 0.0):+.2f} | {100 * low:+.2f} to {100 * high:+.2f}"


def facts_of(run: Run) -> list[Facts]:
    with run.view() as view:
        return [f for f in gather(view) if f.problem.answer is not None]


def right_by_id(run: Run, arm: str) -> dict[str, float]:
    return {f.problem.id: float(f.correct.get(arm, False)) for f in facts_of(run)}


def problems_of(run: Run) -> dict[str, Problem]:
    with run.view() as view:
        return {p.id: p for p in view.problems()}


def exam_cost(run: Run) -> float:
    return sum((sum(f.lesson_costs, Cost()) for f in facts_of(run)), Cost()).cost


# --- pooling ----------------------------------------------------------------------------------------------


def pooling(out: Path, source: str, seed: int, fixed: Run) -> None:
    """One student, and the same beside others."""
    hot = {"name": "hot", "model": "school:student", "temperature": HOT}
    run = again(
        out / f"pool-{seed}",
        source,
        fixed,
        POOLING_PROBLEMS,
        students=["school:student", "school:student-2", hot],
    )
    data = read(run)
    print(f"\n## Pooling: SUM with several students, {len(data.facts)} problems")
    print("| students | mean | weighed | weights |")
    print("|---|---|---|---|")
    for name, columns in (
        ("student", [0]),
        ("student-2", [1]),
        ("hot", [2]),
        ("student, student-2", [0, 1]),
        ("student, hot", [0, 2]),
        ("student, student-2, hot", [0, 1, 2]),
    ):
        row(name, data, columns, None)
    for rate in RATES:
        row(f"student, one that passes {rate:.0%} whatever it reads", data, [0], rate)


def row(name: str, data: Data, columns: Sequence[int], rate: float | None) -> None:
    found = [sum_right(data, columns, rate, weighed=weighed) for weighed in (False, True)]
    shown = ", ".join(f"{w:.2f}" for w in found[1][1])
    print(f"| {name} | {found[0][0]:.1%} | {found[1][0]:.1%} | {shown} |")


def sum_right(
    data: Data, columns: Sequence[int], rate: float | None, *, weighed: bool
) -> tuple[float, np.ndarray]:
    """SUM's accuracy with some of the students and perhaps a made-up one, and their mean weights."""
    rng = np.random.default_rng(0)
    right, used = [], []
    for facts, exams in zip(data.facts, data.exams, strict=True):
        scores = exams.scores[:, list(columns)]
        if rate is not None:
            shape = (scores.shape[0], 1, *scores.shape[2:])
            scores = np.concatenate([scores, (rng.random(shape) < rate).astype(float)], axis=1)
        passed = np.nansum(scores, axis=(2, 3))
        counted = np.isfinite(scores).sum(axis=(2, 3)).astype(float)
        weights = student_weights(passed, counted)
        used.append(weights)
        found = pooled(passed, counted, weights if weighed else None)
        lessons = [None if np.isnan(s) else float(s) for s in found]
        right.append(rescored(facts, unscored(facts), lessons).correct["sum"])
    return float(np.mean(right)), np.mean(used, axis=0)


# --- likelihood -------------------------------------------------------------------------------------------


def likely(out: Path, source: str, fixed: Run) -> None:
    """Likelihood exams of the same lessons (regime B), beside answered ones (regime A)."""
    run = again(out / "likelihood", source, fixed, LIKELIHOOD_PROBLEMS, exam_score="likelihood")
    mine, whole, problems = right_by_id(run, "sum"), right_by_id(fixed, "sum"), problems_of(fixed)
    d = paired_difference(
        list(mine.values()), [whole[id] for id in mine], [problems[id].cluster for id in mine]
    )
    spent = [
        sum((sum(f.lesson_costs, Cost()) for f in facts_of(r) if f.problem.id in mine), Cost())
        for r in (run, fixed)
    ]
    print(
        f"\n## Likelihood exams (regime B) and answered ones (regime A), {len(mine)} problems, same lessons"
    )
    print(
        "| SUM by likelihood | SUM by answers | difference | 95 % interval | tokens computed | AUC of each |"
    )
    print("|---|---|---|---|---|---|")
    aucs = " and ".join(f"{auc:.2f}" for r in (run, fixed) if (auc := r.summary().auc) is not None)
    print(
        f"| {np.mean(list(mine.values())):.1%} | {np.mean([whole[id] for id in mine]):.1%} | {told(d)} "
        f"| {spent[0].computed / spent[1].computed:.1%} | {aucs} |"
    )


# --- golds ------------------------------------------------------------------------------------------------


def golds(out: Path, fixed: Run, seed: int, *, replay: bool = False) -> None:
    """SUM - SC against the noise of the exams' golds."""
    with fixed.view() as view:
        exam = {p.id: p for p in view.problems("exam")}
        said: dict[tuple[str, str], list[tuple[str, str | None]]] = defaultdict(list)
        for answer in view.exam_answers():
            said[answer.problem, answer.lesson].append((answer.exam_problem, answer.grade.key))
        order: dict[str, list[str]] = defaultdict(list)
        for lesson in view.lessons():
            order[lesson.problem].append(lesson.lesson.id)
    facts = facts_of(fixed)
    truth = {id: answer_key(p.kind, p.answer or "") for id, p in exam.items()}
    wrong: dict[str, Counter[str]] = defaultdict(Counter)
    for answers in said.values():
        for id, key in answers:
            if key is not None and key != truth[id]:
                wrong[id][key] += 1

    def gain(gold: Mapping[str, str]) -> str:
        """SUM - SC with these golds; exam problems without one are not in the exam, lessons without exams unscored."""
        mine, base = [], []
        for f in facts:
            scores: list[float | None] = []
            for lesson in order[f.problem.id]:
                marks = [float(k == gold[id]) for id, k in said[f.problem.id, lesson] if id in gold]
                scores.append(sum(marks) / len(marks) if marks else None)
            mine.append(float(rescored(f, unscored(f), scores).correct["sum"]))
            base.append(float(f.correct["sc"]))
        d = paired_difference(mine, base, [f.problem.cluster for f in facts])
        return told(d)

    print("\n## Noise of the golds (regime C): SUM - SC in points")
    print("| golds | kept | wrong among kept | SUM - SC | 95 % interval |")
    print("|---|---|---|---|---|")
    for noise in NOISES:
        rng = np.random.default_rng(1)
        noisy = dict(truth)
        for id in sorted(exam):
            if rng.random() < noise and wrong[id]:
                noisy[id] = wrong[id].most_common(1)[0][0]
        share = np.mean([noisy[id] != truth[id] for id in exam])
        print(f"| {noise:.0%} wrong | 100 % | {share:.1%} | {gain(noisy)} |")

    def rows(who: str, votes: Mapping[str, tuple[str | None, float]]) -> None:
        for threshold in THRESHOLDS:
            kept = {id: key for id, (key, share) in votes.items() if key is not None and share >= threshold}
            off = np.mean([kept[id] != truth[id] for id in kept]) if kept else float("nan")
            name = f"{who}, {threshold:.0%} agree"
            print(f"| {name} | {len(kept) / len(exam):.1%} | {off:.1%} | {gain(kept)} |", flush=True)

    rows("the exam answers themselves", answered(said, order, facts))
    if not replay:
        rows(f"the teacher's {GOLD_SAMPLES} samples", asyncio.run(agreed(out, exam.values(), seed)))


def answered(
    said: Mapping[tuple[str, str], Sequence[tuple[str, str | None]]],
    order: Mapping[str, Sequence[str]],
    facts: Sequence[Facts],
) -> dict[str, tuple[str | None, float]]:
    """What the exam answers agree on, each lesson counted as often as it was written: golds without one more call."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for f in facts:
        for i, lesson in enumerate(order[f.problem.id]):
            often = f.lesson.count(i)
            for id, key in said[f.problem.id, lesson]:
                total[id] += often
                if key is not None:
                    counts[id][key] += often
    found: dict[str, tuple[str | None, float]] = {}
    for id, own in counts.items():
        key, votes = own.most_common(1)[0]
        found[id] = (key, votes / total[id])
    return found


async def agreed(out: Path, exam: Iterable[Problem], seed: int) -> dict[str, tuple[str | None, float]]:
    """What the teacher's samples agree on for each exam problem, and the share of the samples that do."""
    problems = list(exam)
    settings, prompts = Settings(seed=seed), Prompts("school")
    folder = out / f"golds-{seed}"
    found: dict[str, tuple[str | None, float]] = {}
    async with opened([settings.teacher]) as models:
        if (folder / "run.sqlite").is_file():
            store = Store.open(folder)
        else:
            rows = [ModelRow(settings.teacher)]
            store = Store.create(folder, kind="golds", config={}, seed=seed, models=rows)
        with store:
            async with Gateway(models, store) as gateway:
                for start in range(0, len(problems), 16):
                    group = problems[start : start + 16]
                    calls: list[Call] = []
                    for p in group:
                        prompt = prompts.teach(p)
                        calls += [
                            settings.call("sc", prompt, i, f"gold {p.id}", GOLD_SAMPLES)
                            for i in range(GOLD_SAMPLES)
                        ]
                    replies = await gateway.ask(calls)
                    for i, p in enumerate(group):
                        own = replies[i * GOLD_SAMPLES : (i + 1) * GOLD_SAMPLES]
                        keys = [grade(p, r.text, truncated=r.stop == "length").key for r in own]
                        top = Counter(k for k in keys if k is not None).most_common(1)
                        found[p.id] = (top[0][0], top[0][1] / GOLD_SAMPLES) if top else (None, 0.0)
    return found


if __name__ == "__main__":
    main()
