"""The grader's worker processes: bounded, replaced, few, safe from threads and event loops, gone with their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile import HOSTILE

from docendo.grading import agrade, answer_key, grade, judge
from docendo.types import GradeState, Problem

TOO_MUCH = ("16", "\\prod_{n=1}^{10^{9}} n")  # which math-verify would multiply out


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def run(script: str) -> str:
    """Run a script in a process of its own, as a user's would be."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numbers_words_and_labels_start_no_worker() -> None:
    run(
        """
        import sys
        from docendo.grading import answer_key, grade, judge
        from docendo.types import Problem
        for gold in ("16", "3/4", "1,000", "even", "B"):
            for answer in ("16", "0.75", "-3", "odd", "(B)", "NO_SOLUTION", "", "12 apples"):
                grade(Problem("p", "q", gold), "Answer: " + answer)
                grade(Problem("p", "q", gold, kind="exact"), "Answer: " + answer)
        assert judge.pids() == []
        assert not {"sympy", "mpmath", "math_verify", "asyncio.subprocess"} & set(sys.modules) - {"asyncio.subprocess"}
        assert answer_key("math", "1+x") == answer_key("math", "x+1")
        assert len(judge.pids()) == 1
        assert not {"sympy", "mpmath", "math_verify"} & set(sys.modules)
        """
    )


def test_a_hundred_hostile_answers_change_nothing() -> None:
    """Each is wrong or could not be graded, none is run, and the grader goes on; a hang would be minutes."""
    assert len(HOSTILE) >= 100
    marker = Path("/tmp/docendo-was-here")
    assert not marker.exists()
    for answer in HOSTILE:
        result = grade(Problem("p", "q", "16"), f"\\boxed{{{answer}}}")
        assert result.score == 0.0 or (result.state is GradeState.FAILED and result.detail)
    assert not marker.exists()
    assert grade(Problem("p", "q", "x+1"), "\\boxed{1+x}").score == 1.0
    assert len(judge.pids()) <= judge.WORKERS


def test_what_takes_too_long_fails_with_its_reason_and_the_worker_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("docendo.grading.math._is_bearable", lambda text: True)
    result = grade(Problem("p", "q", TOO_MUCH[0]), f"\\boxed{{{TOO_MUCH[1]}}}")
    assert (result.state, result.score) == (GradeState.FAILED, None)
    assert result.detail is not None
    assert "processor time" in result.detail
    again = grade(Problem("p", "q", TOO_MUCH[0]), f"\\boxed{{{TOO_MUCH[1]}}}")
    assert again == result  # remembered, so that it costs its time once
    assert answer_key("math", "x + 2 + y") == answer_key("math", "y+x+2")


def test_a_worker_that_was_killed_is_replaced() -> None:
    answer_key("math", "a+b")
    for pid in judge.pids():
        os.kill(pid, signal.SIGKILL)
    assert answer_key("math", "c+b") == answer_key("math", "b+c")
    judge.close()
    assert judge.pids() == []
    assert answer_key("math", "d+b") == answer_key("math", "b+d")


def test_many_threads_share_few_workers() -> None:
    judge.close()
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda i: answer_key("math", f"x^{{{i % 40}}} + {i % 7}y"), range(200)))
    assert keys == [answer_key("math", f"{i % 7}y + x^{{{i % 40}}}") for i in range(200)]
    assert 1 <= len(judge.pids()) <= judge.WORKERS


def test_the_event_loop_is_never_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a question waits for its worker, the loop goes on: the asking comes from another thread."""
    import threading

    asked_from = []
    ask = judge._Worker.ask

    def spy(self: judge._Worker, question: tuple[str, ...]) -> object:
        asked_from.append(threading.current_thread())
        return ask(self, question)

    monkeypatch.setattr(judge._Worker, "ask", spy)

    async def main() -> None:
        grades = await asyncio.gather(
            *(agrade(Problem("p", "q", f"x + {i} + z"), f"\\boxed{{{i} + z + x}}") for i in range(20))
        )
        assert all(result.score == 1.0 for result in grades)
        assert (await agrade(Problem("p", "q", "16"), "Answer: 16")).score == 1.0
        assert (await agrade(Problem("p", "q", "16"), "", failed=True)).state is GradeState.FAILED

    asyncio.run(main())
    assert asked_from
    assert threading.main_thread() not in asked_from


def test_workers_end_with_their_parent_however_it_ends() -> None:
    script = """
        import sys, time
        from docendo.grading import answer_key, judge
        answer_key("math", "x+y")
        print(*judge.pids(), flush=True)
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        pool.submit(judge.same, "16", "\\\\prod_{n=1}^{10^{9}} n")
        time.sleep(600)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids
    assert all(alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(6_000):  # it ends at once; a busy machine may need long to see it
        if not any(alive(pid) for pid in pids):
            break
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def test_a_forked_child_has_workers_of_its_own() -> None:
    run(
        """
        import os
        from docendo.grading import answer_key, judge
        key = answer_key("math", "x+y")
        parents = judge.pids()
        child = os.fork()
        if child == 0:
            ok = judge.pids() == [] and answer_key("math", "p+q") == answer_key("math", "q+p")
            ok = ok and not set(judge.pids()) & set(parents)
            judge.close()
            os._exit(0 if ok else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert answer_key("math", "y+z+x") == answer_key("math", "x+z+y")
        assert judge.pids() == parents
        """
    )


@pytest.mark.parametrize("attempt", ["eval('1')", "exec('x = 1')", "eval(compile('1', '<a>', 'eval'))"])
def test_the_worker_refuses_to_run_text(attempt: str) -> None:
    run(
        f"""
        import sys
        from docendo.grading import worker
        sys.addaudithook(worker._refuse)
        worker._shut = True
        try:
            {attempt}
        except RuntimeError as error:
            assert "refused" in str(error)
        else:
            sys.exit("it ran")
        """
    )


def test_no_text_reaches_the_parser_that_ends_in_eval() -> None:
    """sympy's `parse_expr` is called for every number that math-verify reads: ours stands in for it."""
    run(
        """
        import sys
        import sympy.parsing.sympy_parser as parser
        def stop(*args, **kwargs):
            sys.exit("a text was evaluated")
        from docendo.grading import worker
        same = worker._verifier()
        parser.eval_expr = stop
        sys.addaudithook(worker._refuse)
        worker._shut = True
        assert same("\\\\frac{1}{2}", "0.5")
        assert same("x^2+2x+1", "(x+1)^2")
        assert not same("\\\\frac{1}{2}", "0.25")
        for text in ("1+1", "2*(3+4)", "__import__('os')", "3**5", "(1+15)", "x = 5", "1/2 + 1/3", "5!", "1e5"):
            same(text, text + " ")
            same("\\\\frac{1}{2}", text)
        """
    )
