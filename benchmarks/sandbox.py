"""Programs judged a second, in the sandbox and without one, side by side; and whether references pass and mutants fail.

    python benchmarks/sandbox.py                        # one small program, over and over
    python benchmarks/sandbox.py humaneval:FILE mbpp:FILE
    python benchmarks/sandbox.py humaneval:FILE mbpp:FILE --mutants
    python benchmarks/sandbox.py --sandbox podman --count 40

Beside the sandbox stands plain `subprocess`: one new Python a program, which runs program and tests in one file as this
user, as many at once as the sandbox runs, in turns with it. With --mutants each reference is also judged with one
operator, constant or return value changed; a mutant that passes is shown, for whoever wants to know whether it does the
same or the tests do not notice.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from docendo.data import load_problems
from docendo.grading.code import CodeSpec, agrade, fenced
from docendo.grading.sandbox import close_all, pool_of, ready
from docendo.types import Grade, Problem

SMALL = Problem(
    "double",
    "Write double(n).",
    kind="code",
    solution="def double(n):\n    return 2 * n\n",
    meta={
        "entry_point": "double",
        "visible": ["assert double(2) == 4"],
        "hidden": ["assert double(0) == 0", "assert double(-3) == -6"],
    },
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources", nargs="*", metavar="SOURCE")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="programs a round (default: 200)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of each (default: 3)")
    parser.add_argument(
        "--sandbox", default="auto", metavar="NAME", help="which (default: the first that works)"
    )
    parser.add_argument("--mutants", action="store_true", help="judge references and their mutants instead")
    arguments = parser.parse_args()
    problems = [p for source in arguments.sources for p in load_problems(source)] or [SMALL]
    name = ready(arguments.sandbox)
    try:
        if arguments.mutants:
            mutants(problems, name)
        else:
            speed(name, (problems * arguments.count)[: arguments.count], arguments.rounds)
    finally:
        close_all()


def speed(name: str, problems: Sequence[Problem], rounds: int) -> None:
    workers = pool_of(name).size
    print(
        f"{name}, {workers} at once on {len(os.sched_getaffinity(0))} processors, {len(problems)} programs a round"
    )
    asyncio.run(judged(problems[: 2 * workers], name))  # workers start
    for i in range(rounds):
        seconds = {}
        order = ("sandbox", "subprocess") if i % 2 == 0 else ("subprocess", "sandbox")
        for way in order:
            began = time.perf_counter()
            if way == "sandbox":
                asyncio.run(judged(problems, name))
            else:
                plainly(problems, workers)
            seconds[way] = time.perf_counter() - began
        rates = {way: len(problems) / taken for way, taken in seconds.items()}
        shown = ", ".join(f"{way} {rate:.1f} programs/s" for way, rate in sorted(rates.items()))
        times = seconds["sandbox"] / seconds["subprocess"]
        print(f"round {i + 1}: {shown}; ratio of times {times:.2f}", flush=True)


async def judged(
    problems: Sequence[Problem], sandbox: str, programs: Sequence[str] | None = None
) -> list[Grade]:
    texts = programs or [problem.solution or "" for problem in problems]
    pairs = zip(problems, texts, strict=True)
    return await asyncio.gather(*(agrade(problem, fenced(text), sandbox=sandbox) for problem, text in pairs))


def plainly(problems: Sequence[Problem], workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as threads:
        for i, problem in enumerate(problems):
            (Path(folder) / f"{i}.py").write_text(script(problem))

        def run(i: int) -> int:
            return subprocess.run(
                [sys.executable, f"{folder}/{i}.py"], capture_output=True, check=False
            ).returncode

        failed = sum(map(bool, threads.map(run, range(len(problems)))))
    if failed:
        print(f"  ({failed} programs did not pass without the sandbox)")


def script(problem: Problem) -> str:
    spec = CodeSpec.of(problem)
    parts = [spec.setup, problem.solution or ""]
    for test in (*spec.visible, *spec.hidden):
        if "check" in test:
            parts.append(f"{test['check']}\ncheck({spec.entry_point})")
        elif "assert" in test:
            parts.append(test["assert"])
        else:
            sys.exit(f"{problem.id}: only assertions and checks can be run without the sandbox")
    return "\n".join(parts)


def mutants(problems: Sequence[Problem], sandbox: str) -> None:
    references = asyncio.run(judged(problems, sandbox))
    failing = [p.id for p, grade in zip(problems, references, strict=True) if grade.score != 1.0]
    print(
        f"references: {len(problems) - len(failing)} of {len(problems)} pass all hidden tests; not: {failing}"
    )
    # Of each the first mutant that fails is enough; several are tried, as some do the same as the original.
    left = {p.id: (p, list(mutated(p.solution or ""))) for p in problems}
    unnoticed: dict[str, list[str]] = {id: [] for id in left}
    tried = 0
    while left:
        now = {id: one for id, one in left.items() if one[1]}
        pairs = [(p, programs.pop(0)) for p, programs in now.values()]
        grades = asyncio.run(judged([p for p, _ in pairs], sandbox, [text for _, text in pairs]))
        tried += len(pairs)
        for (problem, text), grade in zip(pairs, grades, strict=True):
            if grade.score == 1.0:
                unnoticed[problem.id].append(text)
            else:
                del left[problem.id]
        left = {id: one for id, one in left.items() if one[1]}
    never = [
        p.id
        for p in problems
        if p.id in unnoticed and len(unnoticed[p.id]) == len(list(mutated(p.solution or "")))
    ]
    print(
        f"mutants: {tried} judged; a mutant fails for {len(problems) - len(never)} of {len(problems)} problems"
    )
    print(f"no mutant was noticed, or there is none: {never}")
    several = {id: len(texts) for id, texts in unnoticed.items() if texts and id not in never}
    print(f"{len(several)} problems had a mutant that passed before one that failed: {several}")


def mutated(source: str, most: int = 8) -> Iterator[str]:
    """Up to `most` programs with one thing changed: an operator, a comparison, a constant, a returned value."""
    tree = ast.parse(source)
    places = [node for node in ast.walk(tree) if isinstance(node, _CHANGED)]
    places.sort(
        key=lambda node: _CHANGED.index(type(node))
    )  # a changed return comes last: it is easily noticed
    returned = [node for node in places if isinstance(node, ast.Return)]
    for node in [*[node for node in places if node not in returned][: most - 1], *returned[:1]]:
        twin = copy.deepcopy(tree)
        at = next(n for n in ast.walk(twin) if _same_place(n, node))
        _change(at)
        yield ast.unparse(ast.fix_missing_locations(twin))


_CHANGED = (ast.Compare, ast.BinOp, ast.Constant, ast.Return)
_TWINS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def _same_place(a: ast.AST, b: ast.AST) -> bool:
    at = ("lineno", "col_offset", "end_lineno", "end_col_offset")
    return type(a) is type(b) and all(getattr(a, name) == getattr(b, name) for name in at)


def _change(node: ast.AST) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = _TWINS.get(type(node.ops[0]), ast.NotEq)()  # type: ignore[call-overload]
    elif isinstance(node, ast.BinOp):
        node.op = _TWINS.get(type(node.op), ast.Add)()  # type: ignore[assignment]
    elif isinstance(node, ast.Constant):
        value = node.value
        node.value = (
            (not value) if isinstance(value, bool) else value + 1 if isinstance(value, int) else "changed"
        )
    elif isinstance(node, ast.Return):
        node.value = ast.Tuple([node.value or ast.Constant(None), ast.Constant(1)], ast.Load())


if __name__ == "__main__":
    main()
