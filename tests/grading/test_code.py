"""Code grades: the forms of tests, the two scores, and which programs count as one answer."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from docendo.grading import agrade, grade, sandbox
from docendo.types import Grade, GradeState, Problem

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="running programs needs bubblewrap (apt-get install bubblewrap)"
)


@pytest.fixture(autouse=True, scope="module")
def _workers() -> Iterator[None]:
    yield
    sandbox.close_all()


def problem(
    *tests: Any, visible: tuple[Any, ...] = (), entry_point: str | None = "f", **meta: Any
) -> Problem:
    tests = tests or ("assert True",)
    meta = {"entry_point": entry_point, "visible": list(visible), "hidden": list(tests), **meta}
    return Problem("p", "Write f.", kind="code", meta=meta)


def judged(task: Problem, program: str, **how: Any) -> Grade:
    return grade(task, f"```python\n{program}\n```", **how)


def detail(grade: Grade) -> dict[str, Any]:
    assert grade.detail is not None
    said: dict[str, Any] = json.loads(grade.detail)
    return said


NODES = """
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next

def listed(values):
    node = None
    for value in reversed(values):
        node = ListNode(value, node)
    return node

def values(node):
    found = []
    while node:
        found.append(node.val)
        node = node.next
    return found
"""
REVERSED = """
def f(head):
    last = None
    while head:
        head.next, last, head = last, head, head.next
    return last
"""

PASSES = {
    "assert": ("assert f(2) == 4", "def f(n): return 2 * n"),
    "assert that it raises": (
        "try:\n    f(None)\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError",
        "def f(n): return 2 + n",
    ),
    "check": ({"check": "def check(candidate):\n    assert candidate(2) == 4"}, "def f(n): return 2 * n"),
    "call": ({"args": [2], "expected": 4}, "def f(n): return 2 * n"),
    "call by name": ({"args": [], "kwargs": {"n": 2}, "expected": 4}, "def f(n): return 2 * n"),
    "tuple for list": ({"args": [2], "expected": [2, [4]]}, "def f(n): return n, (n * 2,)"),
    "close float": ({"args": [], "expected": 0.3}, "def f(): return 0.1 + 0.2"),
    "any order": (
        {"args": [], "expected": [[1, 2], [3]], "unordered": True},
        "def f(): return [[3], [2, 1]]",
    ),
    "in place": ({"args": [[3, 1, 2]], "expected_args": [[1, 2, 3]]}, "def f(xs): xs.sort()"),
    "in place, asserted": ("xs = [3, 1]\nassert f(xs) is None\nassert xs == [1, 3]", "def f(xs): xs.sort()"),
    "values of every kind": (
        "assert f() == [None, True, -7, 1e300, 'ä\\ud800', b'x', (1,), {2}, {3: [4]}, frozenset({5}), 1j]",
        "def f(): return [None, True, -7, 1e300, 'ä\\ud800', b'x', (1,), {2}, {3: [4]}, frozenset({5}), 1j]",
    ),
    "big number": ("assert f() == 3 ** 5000", "def f(): return 3 ** 5000"),
    "generator": ("assert list(f(3)) == [0, 1, 2]", "def f(n): yield from range(n)"),
    "counter": (
        "assert f('aab') == {'a': 2, 'b': 1}",
        "import collections\ndef f(s): return collections.Counter(s)",
    ),
    "fraction": (
        "import fractions\nassert f() == fractions.Fraction(1, 3)",
        "from fractions import Fraction\ndef f(): return Fraction(1, 3)",
    ),
    "deep list": (
        "x = f()\nfor _ in range(3000):\n    x = x[0]\nassert x == []",
        "def f():\n x = []\n for _ in range(3000): x = [x]\n return x",
    ),
    "list in itself": ("x = f()\nassert x[0] is x", "def f():\n x = []\n x.append(x)\n return x"),
    "method": ("assert f(2) == 4", "class Solution:\n    def f(self, n): return 2 * n"),
    "class by name": (
        "c = Counter_()\nc.add(2)\nc.add(3)\nassert c.total() == 5\nassert c.parts == [2, 3]",
        "class Counter_:\n    def __init__(self): self.parts = []\n    def add(self, n): self.parts.append(n)\n"
        "    def total(self): return sum(self.parts)\ndef f(): pass",
    ),
    "a second function": ("assert g(f(1)) == 3", "def f(n): return n + 1\ndef g(n): return n + 1"),
    "a main block": ("assert f(1) == 1", "def f(n): return n\nif __name__ == '__main__':\n    f(1, 2, 3)"),
    "prints besides": ("assert f(1) == 1", "def f(n):\n    print('at', n)\n    return n"),
}
FAILS = {
    "wrong value": ({"args": [2], "expected": 4}, "def f(n): return n"),
    "text for number": ({"args": [2], "expected": 4}, "def f(n): return '4'"),
    "none": ({"args": [2], "expected": 4}, "def f(n): return None"),
    "wrong order": ({"args": [], "expected": [1, 2]}, "def f(): return [2, 1]"),
    "one of two, any order": ({"args": [], "expected": [1, 2], "unordered": True}, "def f(): return [1, 1]"),
    "raises": ("assert f(1) == 1", "def f(n): raise ValueError(n)"),
    "fails while loading": ("assert f(1) == 1", "def f(n): return n\n1 / 0"),
    "not in place": ({"args": [[3, 1]], "expected_args": [[1, 3]]}, "def f(xs): return sorted(xs)"),
    "an object that is none": ("assert f() == 4", "def f(): return object()"),
    "state left by another test": (
        "assert f() == 2",
        "seen = []\ndef f():\n    seen.append(1)\n    return len(seen)",
    ),
}


@pytest.mark.parametrize("name", PASSES)
def test_what_is_right_passes(name: str) -> None:
    test, program = PASSES[name]
    graded = judged(problem("assert True", test), program)
    assert (graded.state, graded.score) == (GradeState.OK, 1.0), graded


@pytest.mark.parametrize("name", FAILS)
def test_what_is_wrong_fails(name: str) -> None:
    test, program = FAILS[name]
    graded = judged(problem(test, visible=("assert f",)), program)
    assert (graded.state, graded.score) == (GradeState.OK, 0.0), graded


def test_linked_lists_go_over_and_come_back() -> None:
    test = "assert values(f(listed([1, 2, 3]))) == [3, 2, 1]"
    long = "assert values(f(listed(range(2000)))) == list(reversed(range(2000)))"
    assert judged(problem(test, long, setup=NODES), REVERSED).score == 1.0
    own_class = NODES.split("def listed")[0] + REVERSED
    assert judged(problem(test, setup=NODES), own_class).score == 1.0


def test_whole_programs_read_and_print() -> None:
    tests = [{"stdin": "2\n3\n", "stdout": "5"}, {"stdin": "1\n1\n", "stdout": "2.0\n"}]
    task = problem(*tests, visible=(tests[0],), entry_point=None)
    adds = "a = int(input())\nb = int(input())\nprint(a + b)\n"
    assert judged(task, adds).score == 1.0
    assert judged(task, "import sys\nprint(sum(map(int, sys.stdin)))\nsys.exit(0)\n").score == 1.0
    assert judged(task, "print(5)\n").score == 0.5
    assert judged(task, adds + "raise SystemExit(1)\n").score == 0.0
    guarded = "def main():\n    a, b = int(input()), int(input())\n    print(a + b)\n"
    guarded += "if __name__ == '__main__':\n    main()\n"
    assert judged(task, guarded).score == 1.0
    same = judged(task, "print(sum(int(input()) for _ in range(2)))\n")
    assert same.key == judged(task, adds).key
    assert same.key != judged(task, "print(int(input()) * int(input()))").key


def test_an_exam_is_scored_by_visible_tests_and_never_runs_hidden_ones() -> None:
    task = problem("assert f(3) == 6", visible=("assert f(2) == 4", "assert f(0) == 0", "assert f(1) == 2"))
    square = "def f(n): return n * n"
    exam, taught = judged(task, square, exam=True), judged(task, square)
    assert exam.score == pytest.approx(2 / 3)  # the V-score
    assert taught.score == 0.0  # the S-score
    assert detail(exam)["visible"] == [2, 3]
    assert "hidden" not in detail(exam)
    assert detail(taught)["hidden"] == [0, 1]
    assert exam.key == taught.key  # what counts as one answer does not depend on hidden tests
    assert "f(1) == 2" in detail(exam)["fault"]


def test_hidden_tests_change_no_key_and_no_description() -> None:
    task = problem("assert f(3) == 6", visible=("assert f(2) == 4",))
    other = problem("assert f(1234567) == 0", visible=("assert f(2) == 4",))
    a, b = judged(task, "def f(n): return n * n"), judged(other, "def f(n): return n * n")
    assert a.key == b.key
    assert "1234567" not in (b.detail or "")


def test_programs_that_act_alike_are_one_answer() -> None:
    task = problem("assert f([1]) == 1", visible=({"args": [[3, 1, 2]], "expected": 6},))
    alike = [
        "def f(xs): return sum(xs)",
        "def f(values):\n    total = 0\n    for v in values:\n        total += v\n    return total",
        "from functools import reduce\ndef f(xs): return reduce(lambda a, b: a + b, xs, 0)",
        "def f(xs): return float(sum(xs))",
    ]
    keys = {judged(task, program).key for program in alike}
    assert len(keys) == 1
    others = ["def f(xs): return 6", "def f(xs): return sum(set(xs))", "def f(xs): return xs[0] * 2"]
    assert all(judged(task, program).score is not None for program in others)
    different = {judged(task, program).key for program in others}
    assert len(different) == 3
    assert not different & keys


def test_a_key_is_the_same_each_time() -> None:
    task = problem(visible=("assert f('banana')",))
    program = "def f(s): return [c for c in set(s)]"
    assert judged(task, program).key == judged(task, program).key


def test_each_given_input_has_its_own_time_to_show_how_a_program_acts() -> None:
    task = problem(visible=("assert f(1000) is not None", "assert f(2000) is not None"))
    slow = """
import time
def f(n):
    until = time.process_time() + (0.55 if n in (1000, 2000) else 0)
    while time.process_time() < until:
        pass
    return {}
"""
    # Together they take longer than one input may: the changed inputs, on which these differ, are still reached.
    assert (
        judged(task, slow.format("n")).key != judged(task, slow.format("n if n in (1000, 2000) else 0")).key
    )


def test_programs_that_never_end_on_a_changed_input_are_alike_there() -> None:
    task = problem(visible=("assert f(1000) == 1000",))
    endless = "def f(n):\n    while n != 1000:\n        {}\n    return n"
    stubborn = "signal.setitimer(signal.ITIMER_PROF, 0)"  # until the limit that holds ends it
    keys = {
        judged(task, endless.format("pass")).key,
        judged(task, endless.format("n + 1")).key,
        judged(task, f"import signal\n{endless.format(stubborn)}").key,
    }
    assert len(keys) == 1
    assert keys != {judged(task, "def f(n): return n").key}


def test_texts_without_a_program() -> None:
    task = problem(visible=("assert f(1)",))
    assert grade(task, "I cannot solve this.") == Grade(GradeState.UNGRADABLE, 0.0)
    assert grade(task, "```python\ndef g(n): return n\n```").state is GradeState.UNGRADABLE
    assert grade(task, "", failed=True).state is GradeState.FAILED


def test_a_cut_text_is_judged_only_where_its_program_was_whole() -> None:
    task = problem("assert f(1) == 1")
    whole = "```python\ndef f(n):\n    return n\n```\nThis works since"
    assert grade(task, whole, truncated=True).score == 1.0
    cut = "```python\ndef f(n):\n    return n"
    assert grade(task, cut, truncated=True).state is GradeState.TRUNCATED
    assert grade(task, "Let me think about", truncated=True).state is GradeState.TRUNCATED


def test_hostile_texts_are_parsed_in_the_sandbox_too() -> None:
    task = problem("assert f(1) == 1")
    for text in (
        "```python\ndef f(n): return " + "(" * 60_000 + "n" + ")" * 60_000 + "\n```",
        "```python\ndef f(n): return " + "-" * 150_000 + "n\n```",
        "def f(n): return n" + "+n" * 80_000,
        "```" * 50_000,
        "def f(\n" * 25_000,
        "\0def f(n): return n",
    ):
        assert grade(task, text).score in (0.0, 1.0)
    assert judged(task, "def f(n): return n").score == 1.0  # and the workers go on


def test_several_are_judged_at_once_and_in_order() -> None:
    task = problem({"args": [], "expected": 3})

    async def main() -> list[Grade]:
        texts = [f"```python\ndef f(): return {i}\n```" for i in range(6)]
        return await asyncio.gather(*(agrade(task, text) for text in texts))

    scores = [g.score for g in asyncio.run(main())]
    assert scores == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
