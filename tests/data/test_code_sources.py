"""Sources of programming problems: what each reader makes of a row, and that references pass and wrong ones do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docendo.data import load_problems
from docendo.errors import DataError

LEETCODE = {
    "task_id": "two-sum",
    "question_id": 1,
    "problem_description": "Find two numbers that add up to target.",
    "starter_code": "class Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        ",
    "prompt": "from typing import *",
    "test": "def check(candidate):\n    assert candidate(nums=[3, 3], target=6) == [0, 1]\n"
    "    assert candidate(nums=[2, 7], target=9) == [0, 1]\n    assert candidate([1, 2, 3], 5) == [1, 2]\n"
    "    assert candidate([5, 5, 1], 6) == [0, 2]\n",
    "tags": ["Array", "Hash Table"],
    "difficulty": "Easy",
    "completion": "class Solution: pass",
    "acceptance_rate": 0.5,
}
APPS = {
    "problem_id": 7,
    "question": "Add two numbers.",
    "input_output": json.dumps({"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}),
    "solutions": json.dumps(["print(sum(map(int, input().split())))"]),
    "difficulty": "introductory",
    "url": "somewhere",
}


def load(folder: Path, name: str, *rows: dict[str, Any]) -> list[Any]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader, _, options = name.partition("?")
    return load_problems(f"{reader}:{path}{'?' if options else ''}{options}")


def test_leetcode(tmp_path: Path) -> None:
    [problem] = load(tmp_path, "leetcode", LEETCODE)
    assert (problem.id, problem.kind, problem.family, problem.group) == (
        "two-sum",
        "code",
        "Array",
        "difficulty Easy",
    )
    assert problem.meta["entry_point"] == "Solution().twoSum"
    assert problem.meta["tags"] == ["Array", "Hash Table"]
    assert problem.meta["visible"][0] == "assert twoSum(nums=[3, 3], target=6) == [0, 1]"
    assert (len(problem.meta["visible"]), len(problem.meta["hidden"])) == (3, 1)


def test_leetcode_options(tmp_path: Path) -> None:
    [problem] = load(tmp_path, "leetcode?visible=1&family=difficulty", LEETCODE | {"tags": "Array, Math"})
    assert (problem.family, problem.meta["tags"]) == ("Easy", ["Array", "Math"])
    assert (len(problem.meta["visible"]), len(problem.meta["hidden"])) == (1, 3)
    [problem] = load(tmp_path, "leetcode?family=none&visible=9", LEETCODE)
    assert problem.family is None
    assert (len(problem.meta["visible"]), len(problem.meta["hidden"])) == (3, 1)


def test_a_check_that_is_more_than_assertions_stays_whole(tmp_path: Path) -> None:
    check = (
        "def check(candidate):\n    for i in range(3):\n        assert candidate([i, i], 2 * i) == [0, 1]\n"
    )
    [problem] = load(tmp_path, "leetcode", LEETCODE | {"test": check})
    assert problem.meta["visible"] == [{"check": check}]


def test_apps(tmp_path: Path) -> None:
    [problem] = load(tmp_path, "apps", APPS)
    assert (problem.id, problem.family) == ("apps/7", "introductory")
    assert problem.meta["visible"] == [{"stdin": "1 2\n", "stdout": "3\n"}]
    assert problem.meta["hidden"] == [{"stdin": "3 4\n", "stdout": "7\n"}]
    assert problem.solution == "print(sum(map(int, input().split())))"


def test_apps_with_a_function(tmp_path: Path) -> None:
    cases = {"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [[3], [7]]}
    [problem] = load(tmp_path, "apps", APPS | {"input_output": cases})
    assert problem.meta["entry_point"] == "add"
    assert problem.meta["visible"] == [{"args": [1, 2], "expected": 3}]


def test_mbpp(tmp_path: Path) -> None:
    tests = ["assert sum(1, 2) == 3", "assert sum(0, 0) == 0", "assert sum(1, 1) == 2"]
    row = {"task_id": 9, "prompt": "Add.", "code": "def sum(a, b): return a + b", "test_list": tests}
    [problem] = load(tmp_path, "mbpp", row | {"test_imports": ["import math"]})
    assert (problem.id, problem.meta["entry_point"], problem.meta["setup"]) == (
        "mbpp/9",
        "sum",
        "import math",
    )
    assert (problem.meta["visible"], problem.meta["hidden"]) == (tests[:1], tests[1:])


@pytest.mark.parametrize(
    ("reader", "row", "words"),
    [
        ("leetcode", {"question": "q"}, "'task_id' is missing"),
        ("leetcode", LEETCODE | {"test": None}, "'tests' is missing"),
        ("leetcode", LEETCODE | {"tags": [1]}, "'tags' should be a list of strings"),
        ("leetcode", LEETCODE | {"starter_code": 3}, "'starter_code' should be a string"),
        ("leetcode?family=colour", LEETCODE, "family='colour'"),
        ("leetcode?visible=0", LEETCODE, "visible='0'"),
        ("apps", APPS | {"input_output": "{"}, "'input_output' is not JSON"),
        ("apps", APPS | {"input_output": {"inputs": ["1"], "outputs": []}}, "the same length"),
        ("mbpp", {"task_id": 1, "prompt": "q", "test_list": ["assert f()"]}, "two tests or more"),
        ("humaneval", {"task_id": "a", "prompt": "x", "entry_point": "f", "test": "y"}, "does not begin"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, reader: str, row: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as error:
        load(tmp_path, reader, row)
    assert words in str(error.value)


def test_benchmarks_are_read_whole_with_visible_tests(shared_data: Path) -> None:
    human = load_problems(f"humaneval:{shared_data / 'humaneval.jsonl'}")
    basic = load_problems(f"mbpp:{shared_data / 'mbpp_sanitized.jsonl'}")
    assert (len(human), len(basic)) == (164, 427)
    assert [p.id for p in (*human, *basic) if not p.examinable] == ["HumanEval/38", "HumanEval/50"]
    assert all(p.meta["hidden"] and p.solution for p in (*human, *basic))
