"""How well the grader of mathematics judges recorded answers of real models, and what it costs.

For every response of `llm_math_responses` and `gsm8k_llm_responses`: docendo's grade beside normalised string match and
math-verify alone (on the whole text), each held against the hand labels in `benchmarks/data` and against the labels
that came with the data. Then the recorded maj@8 of `math_qwen_maj8` from our votes, and what a hundred hostile answers
cost.

Run: `python benchmarks/grader.py [--data FOLDER] [--without math-verify] [--show]`, with the benchmark data beside the
checkout; about five minutes on one calm core, of which math-verify takes most. `--show` prints every disagreement
with a hand label.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from time import perf_counter
from typing import Any

from docendo.grading import grade
from docendo.types import Grade, GradeState, Problem

HERE = Path(__file__).resolve().parent
LABELS = {"first": "grader_labels.jsonl", "second": "grader_labels_second.jsonl"}
LONGEST = 20_000  # characters of a text that math-verify is given


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded response: `label` is its source's judgement; `key` finds its hand label."""

    file: str
    gold: str
    text: str
    label: bool
    key: tuple[str | None, ...]


def read(path: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from map(json.loads, file)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rows(data: Path) -> Iterator[Row]:
    for row in read(data / "llm_math_responses.jsonl.gz"):
        text = row["response"] or ""
        key = ("math", row["problem_id"], row["model"], row["prompting"], row["snapshot"], digest(text))
        yield Row("math", row["gold_answer"], text, bool(row["correct_norm"]), key)
    for row in read(data / "gsm8k_llm_responses.jsonl.gz"):
        for one in row["responses"]:
            text = one["response"] or ""
            key = ("gsm8k", row["id"], one["model"], one["prompting"], None, digest(text))
            yield Row("gsm8k", row["gold_answer"], text, bool(one["correct"]), key)


def hand_labels(name: str) -> dict[tuple[str | None, ...], Mapping[str, Any]]:
    fields = ("file", "problem_id", "model", "prompting", "snapshot", "response_sha256")
    return {tuple(row[field] for field in fields): row for row in read(HERE / "data" / LABELS[name])}


# --- rivals -------------------------------------------------------------------------------------------------------


def normalised(answer: str) -> str:
    answer = answer.strip().strip("$").rstrip(".").strip("$").lower()
    answer = re.sub(r"\\(left|right|!|,|;|text\s*\{|mathrm\{)", "", answer)
    answer = answer.replace("dfrac", "frac").replace("tfrac", "frac")
    return re.sub(r"[\s{}]|\\$", "", answer)


def string_match(row: Row) -> bool:
    boxes = list(re.finditer(r"\\boxed\{", row.text))
    if boxes:
        found, depth = row.text[boxes[-1].end() :], 1
        for i, sign in enumerate(found):
            depth += (sign == "{") - (sign == "}")
            if depth == 0:
                found = found[:i]
                break
    else:
        labels = list(re.finditer(r"(?:answer is:?|Answer:|####)", row.text, re.IGNORECASE))
        found = row.text[labels[-1].end() :].strip().split("\n")[0] if labels else ""
    return normalised(found) == normalised(row.gold) != ""


class MathVerify:
    """math-verify as its users call it: on the whole text, in the main thread, with its own time limits."""

    def __init__(self) -> None:
        from math_verify import parse, verify

        self._parse, self._verify = parse, verify
        self._golds: dict[str, Any] = {}

    def __call__(self, row: Row) -> bool:
        if row.gold not in self._golds:
            self._golds[row.gold] = self._parse(f"\\boxed{{{row.gold}}}")
        return bool(self._verify(self._golds[row.gold], self._parse(row.text[-LONGEST:])))


# --- measuring ----------------------------------------------------------------------------------------------------


def interval(hits: int, of: int) -> str:
    """A share with its 95 % Wilson interval, in percent."""
    if of == 0:
        return "-"
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return f"{100 * share:.2f} [{100 * (middle - half):.2f}, {100 * (middle + half):.2f}] {hits:,}/{of:,}"


def docendo(row: Row) -> Grade:
    return grade(Problem("p", "q", row.gold), row.text)


def compare(data: Path, without: str | None, show: bool) -> None:
    judges: dict[str, Callable[[Row], bool]] = {"string match": string_match}
    if without != "math-verify":
        judges["math-verify"] = MathVerify()
    hand = {name: hand_labels(name) for name in LABELS}
    hits: dict[tuple[str, str, str], int] = defaultdict(int)
    seen: Counter[tuple[str, str]] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    states: Counter[GradeState] = Counter()
    slowest = (0.0, "")
    for row in rows(data):
        start = perf_counter()
        result = docendo(row)
        took = perf_counter() - start
        seconds["docendo"] += took
        slowest = max(slowest, (took, (result.answer or "")[:60]))
        states[result.state] += 1
        found = {"docendo": result.score == 1.0}
        for name, judge in judges.items():
            start = perf_counter()
            found[name] = judge(row)
            seconds[name] += perf_counter() - start
        found["source's label"] = row.label
        truths = {"source": row.label}
        for name, labels in hand.items():
            if row.key in labels:
                truths[name] = labels[row.key]["label"] == "right"
                if show and found["docendo"] != truths[name]:
                    print(
                        name,
                        labels[row.key]["label"],
                        "| gold",
                        row.gold,
                        "| read",
                        result.answer,
                        "|",
                        row.key[1],
                    )
        for truth, right in truths.items():
            seen[truth, row.file] += 1
            for name, value in found.items():
                hits[truth, row.file, name] += value == right
    total = sum(seen["source", file] for file in ("math", "gsm8k"))
    for truth in ("first", "second", "source"):
        print(
            f"\nagreement with the {truth} hand sample"
            if truth != "source"
            else "\nagreement with the source's labels"
        )
        for name in [*judges, "docendo", *(["source's label"] if truth != "source" else [])]:
            shares = [interval(hits[truth, file, name], seen[truth, file]) for file in ("math", "gsm8k")]
            print(f"  {name:<15} math {shares[0]:<38} gsm8k {shares[1]}")
    print("\nseconds for", f"{total:,}", "responses (and ms each):")
    for name, took in seconds.items():
        print(f"  {name:<15} {took:7.1f} s  {1000 * took / total:6.2f} ms")
    print("  slowest for docendo:", f"{slowest[0]:.2f} s,", slowest[1])
    print("states:", {state.value: count for state, count in states.items()})


def majority(data: Path) -> None:
    """maj@8 by our keys: a problem counts by its most voted answer, ties by the first to appear."""
    right = agree = samples = 0
    for row in read(data / "math_qwen_maj8.jsonl"):
        problem = Problem(row["id"], row["question"], row["gold_answer"])
        grades = [grade(problem, sample["response"]) for sample in row["samples"]]
        samples += len(grades)
        agree += sum((g.score == 1.0) == s["correct"] for g, s in zip(grades, row["samples"], strict=True))
        votes = Counter(g.key for g in grades if g.key is not None)
        winner = max(votes, key=lambda key: votes[key]) if votes else None
        right += any(g.key == winner and g.score == 1.0 for g in grades)
    print(
        f"\nmath_qwen_maj8: maj@8 by our votes {right} (recorded: 93); grades agree on {agree} of {samples}"
    )


def hostile() -> None:
    sys.path.insert(0, str(HERE.parent / "tests" / "grading"))
    from hostile import HOSTILE  # type: ignore[import-not-found]

    start = perf_counter()
    taken, outcomes = [], Counter[str]()
    for answer in HOSTILE:
        before = perf_counter()
        result = grade(Problem("p", "q", "16"), f"\\boxed{{{answer}}}")
        taken.append(perf_counter() - before)
        outcomes[f"{result.state.value} {result.score}"] += 1
    print(
        f"\n{len(HOSTILE)} hostile answers: {perf_counter() - start:.1f} s in all, {max(taken):.1f} s at most;",
        dict(outcomes),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--without", choices=["math-verify"], help="leave this rival out")
    parser.add_argument("--show", action="store_true", help="print every disagreement with a hand label")
    options = parser.parse_args()
    compare(options.data, options.without, options.show)
    majority(options.data)
    hostile()


if __name__ == "__main__":
    main()
