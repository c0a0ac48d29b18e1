"""What exam selection finds and what its guard keeps out, where it is known what is alike; and how long it takes.

`python benchmarks/exam_selection.py DATA [--embed MODEL]`, DATA being a folder with math_train.jsonl.gz,
math_test.jsonl.gz and math_functional.jsonl (rows as docendo's readers take them). Prints three tables:

- nearest: for every problem of MATH test with a functional variant in 2023-10, is that variant the nearest of all
  others (MATH test and the variants together)? Lexical index, and embeddings where a model is given.
- guard: the pairs across MATH train and test which it calls near-copies, and whether their golds agree; the guard never
  looks at golds. Beside it the usual rule: same numbers, and word trigrams alike by more than a threshold. The guard's
  words were chosen on pairs within train; `--show` prints the pairs across.
- time: processor seconds to select nearest exams for all problems, as a multiple of reading those problems, and the
  peak of memory.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from docendo.data import load_problems
from docendo.exams.nearest import Index, Lexical
from docendo.exams.select import ProblemPool, Selector
from docendo.exams.text import gist, is_number, tokens
from docendo.grading import answer_key
from docendo.types import Problem

ALIKE = (0.95, 0.9, 0.8, 0.7)
Pair = tuple[Problem, Problem]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--embed", metavar="MODEL", help="a sentence-transformers model")
    parser.add_argument("--show", action="store_true", help="print the near-copies across train and test")
    arguments = parser.parse_args()
    train = load_problems(f"math:{arguments.data}/math_train.jsonl.gz")
    test = load_problems(f"math:{arguments.data}/math_test.jsonl.gz")
    place = f"math-functional:{arguments.data}/math_functional.jsonl?snapshot=2023-10"
    nearest(test, load_problems(place), arguments.embed)
    guard(train, test, arguments.show)
    speed([*train, *test], arguments.data)


def nearest(test: Sequence[Problem], variants: Sequence[Problem], model: str | None) -> None:
    by_id = {problem.id: problem for problem in test}
    found = [
        v
        for v in variants
        if " ".join(v.question.split()) != " ".join(by_id[v.family or ""].question.split())
    ]
    texts = [*(p.question for p in test), *(v.question for v in found)]
    indexes: dict[str, Index] = {"lexical": Lexical(texts)}
    if model is not None:
        from docendo.exams.embedding import Embedded

        indexes["embeddings"] = Embedded(model, texts)
    where = {problem.id: number for number, problem in enumerate(test)}
    print(f"nearest: {len(found)} problems, each with its one variant among {len(texts) - 1} others")
    print(f"  {'index':<12}{'first':>8}{'in 3':>8}{'in 10':>8}")
    for name, index in indexes.items():
        ranks = []
        for number, variant in enumerate(found, start=len(test)):
            own = where[variant.family or ""]
            similar = index.similar(texts[own])
            similar[own] = -1.0
            ranks.append(int((similar > similar[number]).sum()))
        shares = [sum(rank < k for rank in ranks) / len(ranks) for k in (1, 3, 10)]
        print(f"  {name:<12}" + "".join(f"{100 * share:>7.1f}%" for share in shares))


def guard(train: Sequence[Problem], test: Sequence[Problem], show: bool) -> None:
    print("\nguard: pairs across MATH train and test, and those of them whose golds agree")
    print(f"  {'rule':<44}{'pairs':>7}{'agree':>7}{'share':>8}")
    copies = list(_copies(train, test))
    _row("the guard: one gist", copies)
    alike = list(_alike(train, test))
    for least in ALIKE:
        _row(f"same numbers, trigrams alike > {least}", [pair for pair, share in alike if share > least])
    missed = [pair for pair, share in alike if share > ALIKE[-1] and _agree(pair) and pair not in copies]
    print(
        f"  Same numbers, trigrams alike > {ALIKE[-1]}, golds agree, and no copy to the guard: {len(missed)}"
    )
    for title, pairs in (("near-copies", copies), ("not caught", missed)) if show else ():
        for one, other in pairs:
            print(f"\n  {title}, golds {one.answer!r} and {other.answer!r}")
            print(f"    {one.id}: {' '.join(one.question.split())}")
            print(f"    {other.id}: {' '.join(other.question.split())}")


def speed(problems: Sequence[Problem], data: str) -> None:
    print(f"\ntime: exams of 3 for {len(problems):,} problems out of the same {len(problems):,}")
    began = time.process_time()
    for part in ("train", "test"):
        load_problems(f"math:{data}/math_{part}.jsonl.gz")
    reading = time.process_time() - began
    began = time.process_time()
    selector = Selector(ProblemPool(problems), 3, how="nearest")
    excluded: Counter[str] = Counter()
    for problem in problems:
        excluded.update(selector.select(problem).excluded)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = 1000 * seconds / len(problems)
    print(f"  {seconds:.1f} s of the processor, {each:.2f} ms each; reading them took {reading:.1f} s")
    print(f"  {seconds / reading:.0f} times the reading; peak {peak:.0f} MB")
    print(f"  left out: {dict(excluded)}")


def _copies(train: Sequence[Problem], test: Sequence[Problem]) -> Iterator[Pair]:
    groups: dict[tuple[str, ...], list[Problem]] = defaultdict(list)
    for problem in train:
        groups[gist(problem.question)].append(problem)
    for problem in test:
        for other in groups.get(gist(problem.question), ()):
            yield problem, other


def _alike(train: Sequence[Problem], test: Sequence[Problem]) -> Iterator[tuple[Pair, float]]:
    """Pairs with the same numbers, each with the Jaccard similarity of their word trigrams."""
    groups: dict[tuple[tuple[str, int], ...], list[Problem]] = defaultdict(list)
    for problem in train:
        groups[_numbers(problem)].append(problem)
    for problem in test:
        own = _trigrams(problem)
        for other in groups.get(_numbers(problem), ()):
            theirs = _trigrams(other)
            share = len(own & theirs) / len(own | theirs)
            if share > ALIKE[-1]:
                yield (problem, other), share


def _numbers(problem: Problem) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(t for t in tokens(problem.question) if is_number(t)).items()))


def _trigrams(problem: Problem) -> frozenset[tuple[str, ...]]:
    found = tokens(problem.question)
    return frozenset(zip(found, found[1:], found[2:], strict=False)) or frozenset([found])


def _agree(pair: Pair) -> bool:
    one, other = (problem.answer and answer_key("math", problem.answer) for problem in pair)
    return one == other


def _row(rule: str, pairs: Sequence[Pair]) -> None:
    agree = sum(map(_agree, pairs))
    print(f"  {rule:<44}{len(pairs):>7}{agree:>7}{100 * agree / max(len(pairs), 1):>7.0f}%")


if __name__ == "__main__":
    main()
