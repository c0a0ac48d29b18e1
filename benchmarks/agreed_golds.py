"""How often a gold that real models agree on is wrong, on recorded answers: the noise that written exams would have.

    python benchmarks/agreed_golds.py ../shared/data

A written exam problem's gold is the answer that enough of its sampled answers give (docs/exams.md). Whether that is
right is seen only where the true gold is known: on benchmarks. So panels of models that answered GSM8K and MATH
problems, as they are recorded in DATA, vote by the very rule of `docendo.exams.write`, and are held against the true
golds. What this leaves out is the writer: a problem that it wrote may have no answer at all.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grader import interval, read

from docendo.grading import grade
from docendo.types import Problem

THRESHOLDS = (0.5, 0.7, 0.9)  # of which a gold needs more than a half, or at least so many
Answers = list[tuple[str, str]]  # who answered, and what
Panel = Callable[[str], bool]  # whether somebody is on it


def gsm8k(folder: Path) -> list[tuple[Problem, Answers]]:
    return [
        (
            Problem(r["id"], r["question"], answer=r["gold_answer"]),
            [(a["model"], a["response"]) for a in r["responses"]],
        )
        for r in read(folder / "gsm8k_llm_responses.jsonl.gz")
    ]


def maths(folder: Path) -> list[tuple[Problem, Answers]]:
    """Of the static problems: the 2023-10 forms differ in their numbers alone."""
    problems: dict[str, Problem] = {}
    answers: defaultdict[str, Answers] = defaultdict(list)
    for r in read(folder / "llm_math_responses.jsonl.gz"):
        if r["snapshot"] == "static":
            id = r["problem_id"]
            problems.setdefault(id, Problem(id, r["question"], answer=r["gold_answer"]))
            answers[id].append((r["model"], r["response"]))
    return [(problem, answers[id]) for id, problem in problems.items()]


def samples(folder: Path) -> list[tuple[Problem, Answers]]:
    return [
        (
            Problem(r["id"], r["question"], answer=r["gold_answer"]),
            [("one", s["response"]) for s in r["samples"]],
        )
        for r in read(folder / "math_qwen_maj8.jsonl")
    ]


def judged(item: tuple[Problem, Answers]) -> list[tuple[str, str | None, bool]]:
    """Who gave which answer (its key; None where none was read), and whether it was right."""
    problem, answers = item
    found = []
    for who, text in answers:
        mark = grade(problem, text or "", failed=not text)
        found.append((who, mark.key, mark.score == 1.0))
    return found


def agreed(said: Sequence[tuple[str, str | None, bool]], threshold: float) -> bool | None:
    """Whether the gold that so many agree on is right; None where there is none."""
    counts = Counter(key for _, key, _ in said if key is not None)
    if not counts:
        return None
    key, votes = counts.most_common(1)[0]
    if votes / len(said) < threshold or votes * 2 <= len(said):
        return None
    return any(right for _, own, right in said if own == key)


def table(
    name: str, found: Sequence[Sequence[tuple[str, str | None, bool]]], panels: Mapping[str, Panel]
) -> None:
    print(f"\n## {name}: {len(found)} problems")
    print("| who answers | answers each | one is right | at least | kept | wrong among kept, % |")
    print("|---|---|---|---|---|---|")
    for panel, on in panels.items():
        said = [[a for a in answers if on(a[0])] for answers in found]
        said = [answers for answers in said if len(answers) > 1]
        right = [a[2] for answers in said for a in answers]
        for threshold in THRESHOLDS:
            kept = [v for answers in said if (v := agreed(answers, threshold)) is not None]
            wrong = kept.count(False)
            print(
                f"| {panel} | {max(map(len, said))} | {sum(right) / len(right):.0%} | {threshold:.0%} | "
                f"{len(kept) / len(said):.0%} | {interval(wrong, len(kept))} |",
                flush=True,
            )


def one_of(*names: str) -> Panel:
    return lambda model: any(model.startswith(name) for name in names)


def everyone(model: str) -> bool:
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="the folder of recorded answers")
    parser.add_argument("--limit", type=int, help="only so many problems of each set")
    arguments = parser.parse_args()
    panels: dict[str, tuple[Callable[[Path], list[tuple[Problem, Answers]]], dict[str, Panel]]] = {
        "GSM8K": (
            gsm8k,
            {
                "GPT-3, fine-tuned": one_of("gpt3-"),
                "davinci-001 and -002": one_of("code-davinci", "text-davinci-002"),
                "text-davinci-003": one_of("text-davinci-003"),
                "gpt-3.5-turbo": one_of("gpt-3.5"),
                "all": everyone,
            },
        ),
        "MATH": (maths, {"all": everyone}),
        "MATH, eight samples of one model": (samples, {"one": everyone}),
    }
    with ThreadPoolExecutor(2) as pool:
        for name, (load, who) in panels.items():
            items = load(arguments.data)[: arguments.limit]
            table(name, list(pool.map(judged, items)), who)


if __name__ == "__main__":
    main()
