"""The grader against public benchmarks: it accepts their gold answers and agrees with recorded judgements."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from docendo.grading import answer_key, grade
from docendo.types import Problem


def rows(path: Path) -> list[dict[str, Any]]:
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as file
    ):
        return [json.loads(line) for line in file]


@pytest.mark.parametrize("name", ["math500.jsonl", "gsm8k_test.jsonl", "math_functional.jsonl"])
def test_every_gold_answer_is_accepted_as_its_own_answer(shared_data: Path, name: str) -> None:
    wrong = []
    golds = {row["answer"]: row for row in rows(shared_data / name)}
    for gold, row in golds.items():
        problem = Problem(row["id"], row["question"], gold)
        for text in (
            f"Answer: {gold}",
            f"Answer: {gold}\n",
            f"So it is \\boxed{{{gold}}}.",
            f"The answer is ${gold}$.",
        ):
            if grade(problem, text).score != 1.0:
                wrong.append((row["id"], gold, text))
    assert wrong == []


@pytest.mark.parametrize(("name", "empty"), [("math_test.jsonl.gz", 0), ("math_train.jsonl.gz", 2)])
def test_every_gold_answer_of_math_is_accepted_in_a_box(shared_data: Path, name: str, empty: int) -> None:
    """But for the two that are empty in the source."""
    golds = [row["answer"] for row in rows(shared_data / name)]
    assert golds.count("") == empty
    for gold in set(golds) - {""}:
        result = grade(Problem("p", "q", gold), f"\\boxed{{{gold}}}")
        assert (result.score, result.key) == (1.0, answer_key("math", gold)), gold


def test_plain_number_golds_have_exact_keys(shared_data: Path) -> None:
    keys = [answer_key("math", row["answer"]) for row in rows(shared_data / "gsm8k_test.jsonl")]
    assert len(keys) > 1000
    assert all(key.startswith("n:") for key in keys)


def test_it_agrees_with_recorded_judgements_of_real_models(shared_data: Path) -> None:
    """Measured: 0.9921 on `recorded` rows, 0.9967 on `recomputed` ones; `benchmarks/grader.py` has the rest.

    All 121 disagreements were read. On 109 rows it accepts what its source did not read: "$42.00", "$118 000", the
    last box and not the first, the answer before "for 2 weeks". On most of the other 12 the text gives no answer, or
    another one than its source took from it.
    """
    seen: Counter[str] = Counter()
    same: Counter[str] = Counter()
    for row in rows(shared_data / "gsm8k_llm_responses.jsonl.gz"):
        problem = Problem(row["id"], row["question"], row["gold_answer"])
        for response in row["responses"]:
            seen[response["label"]] += 1
            same[response["label"]] += (grade(problem, response["response"]).score == 1.0) == response[
                "correct"
            ]
    shares = {label: same[label] / seen[label] for label in seen}
    print(f"agreement: {shares}")
    assert seen["recorded"] > 10_000
    assert shares["recorded"] >= 0.991
    assert shares["recomputed"] >= 0.995


def test_it_agrees_with_recorded_judgements_of_harder_mathematics(shared_data: Path) -> None:
    """Measured: 799 of 800; the other is a gold of 10{,}000, which its source did not read as 10000."""
    wrong = []
    for row in rows(shared_data / "math_qwen_maj8.jsonl"):
        problem = Problem(row["id"], row["question"], row["gold_answer"])
        for sample in row["samples"]:
            if (grade(problem, sample["response"]).score == 1.0) != sample["correct"]:
                wrong.append((row["gold_answer"], sample["pred"]))
    assert len(wrong) <= 4, wrong


def test_our_votes_give_the_recorded_majority(shared_data: Path) -> None:
    """The recorded maj@8 is 93 of 100; ours counts votes by key, ties going to the first answer given."""
    right = 0
    for row in rows(shared_data / "math_qwen_maj8.jsonl"):
        problem = Problem(row["id"], row["question"], row["gold_answer"])
        grades = [grade(problem, sample["response"]) for sample in row["samples"]]
        votes = Counter(g.key for g in grades if g.key is not None)
        winner = max(votes, key=lambda key: votes[key])
        right += any(g.key == winner and g.score == 1.0 for g in grades)
    assert right == 93


@pytest.mark.parametrize(
    ("name", "floor"), [("grader_labels.jsonl", 0.985), ("grader_labels_second.jsonl", 0.965)]
)
def test_it_agrees_with_hand_labels(shared_data: Path, root: Path, name: str, floor: float) -> None:
    """Measured: 449 of 454 on the sample that was read while the grader was made, 123 of 126 on the later one."""
    labels = {
        (row["problem_id"], row["model"], row["prompting"], row["snapshot"], row["response_sha256"]): row[
            "label"
        ]
        for row in rows(root / "benchmarks" / "data" / name)
    }
    recorded = rows(shared_data / "llm_math_responses.jsonl.gz")
    answers = [
        (
            row["problem_id"],
            row["model"],
            row["prompting"],
            row["snapshot"],
            row["response"],
            row["gold_answer"],
        )
        for row in recorded
    ]
    for row in rows(shared_data / "gsm8k_llm_responses.jsonl.gz"):
        answers += [
            (row["id"], x["model"], x["prompting"], None, x["response"], row["gold_answer"])
            for x in row["responses"]
        ]
    seen = agreed = 0
    for *where, text, gold in answers:
        digest = hashlib.sha256((text or "").encode()).hexdigest()[:16]
        label = labels.get((*where, digest))
        if label is not None:
            seen += 1
            agreed += (grade(Problem("p", "q", gold), text or "").score == 1.0) == (label == "right")
    assert seen == len(labels)
    assert agreed / seen >= floor
