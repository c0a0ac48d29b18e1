"""Checking a problem set before any model is asked: what cannot be read, what is missing, what the grader refuses.

The set is read once, as a stream; kept are ids, a digest of each question, and counts by family. What is an error and
what only a remark is decided here; showing it is left to the command line.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docendo.data.source import Notes, Source, stream
from docendo.errors import DataError, DocendoError
from docendo.exams.text import gist
from docendo.grading import answer_key, grade
from docendo.types import Problem

LONG = 8_000
"""Characters from which a question counts as over-long: some 2,000 tokens, beside a lesson as long again."""
NAMED = 10
"""Cases of one kind that are named; all are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is the matter with some of the problems: how many, and the first of them."""

    what: str
    count: int
    first: tuple[str, ...]


@dataclass(slots=True)
class Checked:
    """What is known of a set after reading it.

    `errors` keep problems from being used, or from being judged rightly; `remarks` only limit what can be done with
    them. `families` counts those that have two problems or more; `alone` the problems without a variant that has an
    answer. `longest` is in characters.
    """

    source: str
    problems: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    families: int = 0
    alone: int = 0
    longest: int = 0
    graded: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    errors: list[Finding] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The one object that `docendo data check --json` prints."""

        def found(findings: list[Finding]) -> list[dict[str, Any]]:
            return [{"what": f.what, "count": f.count, "first": list(f.first)} for f in findings]

        return {
            "source": self.source,
            "problems": self.problems,
            "kinds": dict(self.kinds),
            "groups": dict(self.groups),
            "families": self.families,
            "without_variants": self.alone,
            "longest": self.longest,
            "graded": self.graded,
            "dropped": dict(self.dropped),
            "errors": found(self.errors),
            "remarks": found(self.remarks),
        }


def check(
    source: str | Path | Source,
    *,
    exams: str | Path | None = None,
    limit: int | None = None,
    long: int = LONG,
) -> Checked:
    """Read a whole set and say what is the matter with it.

    Args:
        source: as for `load_problems`.
        exams: where variants are looked for; by default in the set itself.
        limit: only the first so many problems.
        long: characters from which a question is over-long.

    Raises:
        DataError: the source cannot be read at all, or has no problem.
    """
    checked, notes, look = Checked(str(source)), Notes(keep_going=True), _Look()
    for problem in stream(source, notes):
        if limit is not None and checked.problems == limit:
            break
        checked.problems += 1
        checked.kinds[problem.kind] += 1
        checked.groups[problem.group or ""] += 1
        checked.longest = max(checked.longest, len(problem.question))
        look.at(problem, long)
    relatives = look.families if exams is None else _families(exams)
    checked.families = sum(count > 1 for count in look.members.values())
    checked.alone = look.alone(relatives, own=exams is None)
    checked.graded, checked.dropped = look.graded, notes.dropped
    bad = Finding("rows that cannot be used", len(notes.bad), tuple(notes.bad[:NAMED]))
    checked.errors = [bad] if bad.count else []
    checked.errors += look.findings(errors=True)
    checked.remarks = look.findings(errors=False)
    if checked.alone:
        checked.remarks.append(Finding("without a variant whose answer is known", checked.alone, ()))
    return checked


def stated(problem: Problem) -> str | None:
    """Return the gold answer as a model would state it at the end of its working; None where there is none.

    For code that is the reference program.
    """
    if problem.kind == "code":
        return None if problem.solution is None else f"```python\n{problem.solution.strip()}\n```"
    if problem.answer is None:
        return None
    return (
        f"So the answer is $\\boxed{{{problem.answer}}}$."
        if problem.kind == "math"
        else f"Answer: {problem.answer}"
    )


class _Look:
    """What is found while problems go by."""

    ERRORS = (
        "gold answers that the grader does not accept",
        "solutions of code problems that fail their tests",
    )

    def __init__(self) -> None:
        self.members: Counter[str] = Counter()
        self.families: Counter[str] = Counter()
        self.graded = 0
        self._lonely: list[tuple[str | None, bool]] = []
        self._seen: dict[bytes, tuple[str, bytes | None]] = {}
        self._found: dict[str, Finding] = {}

    def at(self, problem: Problem, long: int) -> None:
        if problem.family is not None:
            self.members[problem.family] += 1
            self.families[problem.family] += problem.examinable
        self._lonely.append((problem.family, problem.examinable))
        if not problem.judgeable:
            self._note("without a known answer", problem.id)
        if problem.solution is None:
            self._note("without a worked solution", problem.id)
        if len(problem.question) > long:
            self._note(
                f"with a question over {long:,} characters", f"{problem.id} ({len(problem.question):,})"
            )
        digest = hashlib.sha256("\0".join(gist(problem.question)).encode("utf-8", "surrogatepass")).digest()[
            :16
        ]
        gold = None if problem.answer is None or problem.kind == "code" else _key(problem)
        first, other = self._seen.setdefault(digest, (problem.id, gold))
        if first != problem.id:
            differ = None not in (gold, other) and gold != other
            self._note(
                f"that ask the same as an earlier one{differ * ', with another answer'}",
                f"{problem.id} as {first}",
            )
        self._judge(problem)

    def alone(self, relatives: Counter[str], *, own: bool) -> int:
        """Problems whose family has no other problem to be examined on."""
        return sum(
            family is None or relatives[family] - (examinable and own) < 1
            for family, examinable in self._lonely
        )

    def findings(self, *, errors: bool) -> list[Finding]:
        return [found for what, found in self._found.items() if (what in self.ERRORS) == errors]

    def _judge(self, problem: Problem) -> None:
        text = stated(problem)
        if text is None:
            return
        try:
            found = grade(problem, text)
        except DataError as error:
            self._note(self.ERRORS[0], str(error))
            return
        except DocendoError as error:  # there is no sandbox here, say
            self._note("that cannot be graded here", f"{problem.id}: {error}")
            return
        self.graded += 1
        if found.score != 1.0:
            read = f"read as {found.answer!r}" if found.answer is not None else f"is {found.state.value}"
            code = problem.kind == "code"
            self._note(self.ERRORS[code], problem.id if code else f"{problem.id}: {problem.answer!r} {read}")

    def _note(self, what: str, case: str) -> None:
        old = self._found.get(what, Finding(what, 0, ()))
        first = (*old.first, case) if len(old.first) < NAMED else old.first
        self._found[what] = Finding(what, old.count + 1, first)


def _key(problem: Problem) -> bytes:
    return hashlib.sha256(
        answer_key(problem.kind, problem.answer or "").encode("utf-8", "surrogatepass")
    ).digest()[:8]


def _families(exams: str | Path) -> Counter[str]:
    return Counter(p.family for p in stream(exams) if p.family is not None and p.examinable)
