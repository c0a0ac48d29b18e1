"""Which problems a lesson is examined on: one interface, several ways.

- **variants**: other problems of the taught one's family, drawn by the seed (paper, section 3: functional variants);
- **nearest**: the problems worded most alike (`nearest.py`, or embeddings);
- **metadata**: those that meet a rule (`rules.py`), drawn by the seed;
- **fixed**: the same named problems for all;
- **auto**: variants where the family has any, else nearest.

A sixth, **written**, selects from nothing: `write.py`.

A rule may also narrow variants and nearest. In every way the guard (`guard.py`) decides what may be in an exam, and
what it keeps out is counted. What is selected does not depend on the order of the pool. Asking and grading are left
to others.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from docendo.errors import ConfigError, DataError
from docendo.exams.guard import ITSELF, TWICE, counted, kept_out, same_question
from docendo.exams.nearest import Index, Lexical
from docendo.exams.rules import Rules
from docendo.exams.ways import EMBED, LEXICAL, WRITTEN, check_selection
from docendo.types import Problem


@dataclass(frozen=True, slots=True)
class Selection:
    """The exam problems for one taught problem.

    `how` is the way in which they were found (never "auto"); `excluded` counts, by reason, the problems that would have
    been in the exam but for the guard.
    """

    problems: tuple[Problem, ...]
    how: str
    excluded: Mapping[str, int] = field(default_factory=dict)


class ProblemPool:
    """Problems to make exams from, in the order of their ids; the order in which they come does not matter.

    Args:
        problems: one or several problem sets together. The same problem may be in more than one.

    Raises:
        DataError: two different problems share an id.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        by_id: dict[str, Problem] = {}
        families: dict[str, list[Problem]] = {}
        for problem in problems:
            known = by_id.setdefault(problem.id, problem)
            if known is not problem and known != problem:
                raise DataError(
                    f"exam pool: two different problems have the id {problem.id!r}; rename one of them"
                )
            if known is problem and problem.family is not None:
                families.setdefault(problem.family, []).append(problem)
        self.problems = tuple(by_id[id] for id in sorted(by_id))
        self._by_id = by_id
        self._families = {family: tuple(members) for family, members in families.items()}

    def family(self, name: str | None) -> tuple[Problem, ...]:
        """Return the problems of one family; none for an unknown family or None."""
        return () if name is None else self._families.get(name, ())

    def named(self, id: str) -> Problem:
        """Return a problem by its id.

        Raises:
            ConfigError: there is none; names the nearest ids.
        """
        if id not in self._by_id:
            near = difflib.get_close_matches(id, self._by_id, 3) or list(self._by_id)[:3]
            raise ConfigError(
                f"no exam problem has the id {id!r}; the nearest are {', '.join(map(repr, near))}"
            )
        return self._by_id[id]


@dataclass(frozen=True)
class Selector:
    """Selects the exams of a run.

    Attributes:
        pool: where exam problems come from; may contain the taught ones.
        count: problems an exam, at least 1.
        seed: the run's; another seed draws other variants.
        how: the way.
        rule: which problems may be in an exam, for every way but fixed; empty allows all.
        ids: the problems of fixed exams, in order; the first `count` that the guard lets pass are taken.
        index: what nearest goes by: `lexical`, or `embed:MODEL`.

    Raises:
        ConfigError: on use, where these do not go together.
    """

    pool: ProblemPool
    count: int
    seed: int = 0
    how: str = "auto"
    rule: str = ""
    ids: tuple[str, ...] = ()
    index: str = LEXICAL

    def __post_init__(self) -> None:
        """Refuse what no exam could be made by."""
        if self.count < 1:
            raise ConfigError(f"an exam needs at least 1 problem, not {self.count}")
        check_selection(self.how, self.rule, self.ids, self.index)

    def select(self, problem: Problem) -> Selection:
        """Choose the exam problems for one taught problem.

        Returns:
            `count` problems, or all that may be in the exam where there are fewer.

        Raises:
            DataError: none may.
            ConfigError: a fixed exam names a problem that is not in the pool, or the index cannot be had.
        """
        ways: Mapping[str, Callable[[Problem], Iterable[Problem]]] = {
            "variants": self._variants,
            "nearest": self._nearest,
            "metadata": self._by_rule,
            "fixed": lambda _: [self.pool.named(id) for id in self.ids],
        }
        if self.how == WRITTEN:
            raise ConfigError("written exams are selected from no pool: the road has them written as it goes")
        excluded: Counter[str] = Counter()
        for way in ("variants", "nearest") if self.how == "auto" else (self.how,):
            chosen = self._walk(problem, ways[way](problem), excluded)
            if chosen:
                return Selection(chosen, way, dict(excluded))
        raise DataError(self._explain(problem, excluded))

    def _walk(
        self, problem: Problem, ranked: Iterable[Problem], excluded: Counter[str]
    ) -> tuple[Problem, ...]:
        """The first `count` that the guard lets pass."""
        chosen: list[Problem] = []
        for other in ranked:
            reason = kept_out(problem, other)
            if reason is None and any(same_question(other, earlier) for earlier in chosen):
                reason = TWICE
            if reason is not None:
                excluded[reason] += 1
                continue
            chosen.append(other)
            if len(chosen) == self.count:
                break
        return tuple(chosen)

    def _variants(self, problem: Problem) -> list[Problem]:
        members = self.pool.family(problem.family)
        if self.rule and members:
            allowed = Rules(self.rule, members).allowed(problem)
            members = tuple(member for member, fits in zip(members, allowed, strict=True) if fits)
        return sorted(members, key=lambda other: _rank(self.seed, problem.id, other.id))

    def _nearest(self, problem: Problem) -> Iterator[Problem]:
        # Rounded, so that the last bit of a sum does not decide; ties go by id, as the pool does.
        similar = np.round(self._index.similar(problem.question), 6)
        places = np.flatnonzero(self._allowed(problem))
        for place in _descending(similar, places, 8 * self.count + 8):
            yield self.pool.problems[place]

    def _by_rule(self, problem: Problem) -> Iterator[Problem]:
        places = np.flatnonzero(self._allowed(problem))
        own = int.from_bytes(_rank(self.seed, problem.id, "")[:8], "little")
        for place in places[np.argsort(_mixed(self._keys[places] ^ np.uint64(own)), kind="stable")]:
            yield self.pool.problems[place]

    def _allowed(self, problem: Problem) -> NDArray[np.bool_]:
        same_kind: NDArray[np.bool_] = self._kinds == problem.kind
        return same_kind & self._rules.allowed(problem) if self.rule else same_kind

    @cached_property
    def _rules(self) -> Rules:
        return Rules(self.rule, self.pool.problems)

    @cached_property
    def _kinds(self) -> NDArray[np.str_]:
        return np.array([problem.kind for problem in self.pool.problems], dtype=np.str_)

    @cached_property
    def _keys(self) -> NDArray[np.uint64]:
        digests = (hashlib.sha256(p.id.encode("utf-8", "surrogatepass")).digest() for p in self.pool.problems)
        return np.array([int.from_bytes(digest[:8], "little") for digest in digests], dtype=np.uint64)

    @cached_property
    def _index(self) -> Index:
        texts = [problem.question for problem in self.pool.problems]
        if self.index == LEXICAL:
            return Lexical(texts)
        from docendo.exams.embedding import Embedded

        return Embedded(self.index.removeprefix(EMBED), texts)

    def _explain(self, problem: Problem, excluded: Mapping[str, int]) -> str:
        others = {reason: n for reason, n in excluded.items() if reason != ITSELF}
        out = f" (left out: {counted(others)})" if others else ""
        if self.how == "variants" and problem.family is None:
            return (
                f"problem {problem.id!r} has no family, so no exam can be made of its variants{out}: give it a "
                "'family' that it shares with problems whose answers are known, here or in an exam pool, or "
                "select the nearest"
            )
        if self.how == "variants":
            return (
                f"problem {problem.id!r}: its family {problem.family!r} has no problem with another question "
                f"and a known answer, so no exam can be made for it{out}: add some to the problem set or to an "
                "exam pool, or select the nearest"
            )
        by = f" by the rule {self.rule!r}" if self.rule else ""
        return (
            f"problem {problem.id!r}: no other problem of kind {problem.kind} with a known answer may be in its "
            f"exam{by}{out}: add some to the problem set, name an exam pool (--exams), or have exams written "
            "by a model (--exam-select written)"
        )


def select_variants(problem: Problem, pool: ProblemPool, count: int, seed: int) -> tuple[Problem, ...]:
    """Choose variants as exam problems; see `Selector`.

    Raises:
        ConfigError: `count` is below 1.
        DataError: no problem is eligible.
    """
    return Selector(pool, count, seed, "variants").select(problem).problems


def _rank(seed: int, taught: str, other: str) -> bytes:
    # The lengths keep ("a", "bc") and ("ab", "c") apart.
    text = f"{seed}:{len(taught)}:{taught}:{other}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _descending(values: NDArray[np.float64], places: NDArray[np.intp], first: int) -> Iterator[int]:
    """Places by falling value, ties as they come; the first so many without sorting the others."""
    if len(places) > first:
        least = np.partition(values[places], len(places) - first)[len(places) - first]
        better = values[places] >= least
        yield from _descending(values, places[better], len(places))
        places = places[~better]
    yield from places[np.argsort(-values[places], kind="stable")].tolist()


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A well-spread order of 64-bit keys (the finaliser of SplitMix64): a draw for every taught problem at once."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
