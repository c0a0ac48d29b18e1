"""Writing a run: every fact as it happens, by one writer, each piece in one transaction.

Reading is left to `view`. What is written was committed when the call returns, and outlives a `kill -9`; an
error leaves the store as it was before the call.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from docendo import __version__
from docendo.errors import StoreError
from docendo.store import lock
from docendo.store.rounds import SHAPES, RoundFacts, tuples
from docendo.store.rows import (
    DecisionRow,
    ExamRow,
    LessonRow,
    ModelRow,
    PlaceRow,
    Role,
    SampleRow,
    SelectionRow,
    SittingRow,
)
from docendo.store.schema import FILE, FORMAT, LATER, TABLES, connect, explain, graded, utf8
from docendo.store.view import RunView
from docendo.types import Call, Grade, Problem, Reply

_UNFINISHED = FILE + ".new"


class Store(RunView):
    """A run, opened for writing (and reading) by this process alone; a context manager."""

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        kind: str,
        config: Mapping[str, Any],
        seed: int,
        parent: str | None = None,
        models: Iterable[ModelRow] = (),
        taught: Iterable[Problem] = (),
        exam: Iterable[Problem] = (),
        exams: Iterable[SelectionRow] = (),
        parts: Mapping[Role, Iterable[Problem]] | None = None,
    ) -> Self:
        """Make a run in a new or empty folder, with its whole plan, and open it.

        The run is there with all that is given here, or (after a kill at any moment) not at all, and then
        the same call works again. `parts` has the problems of further roles.

        Raises:
            StoreError: the folder holds something, is being written, or cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
        _refuse_filled(folder)
        held = lock.Lock(folder)
        try:
            _refuse_filled(folder)  # again: another process may have made a run between the two
            meta = {
                "format": FORMAT,
                "docendo": __version__,
                "kind": kind,
                "config": dict(config),
                "seed": seed,
                "created": _now(),
                "parent": parent,
            }
            _write_new(folder, meta, models, {"taught": taught, "exam": exam, **(parts or {})}, exams)
        except BaseException:
            held.release()
            raise
        return cls(folder, held)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a run to go on with it.

        Raises:
            StoreError: not a run folder, one of another format version, one that another process (named by
                its pid) is writing, or one that cannot be written.
        """
        return cls(folder)

    @staticmethod
    def read(folder: str | Path) -> RunView:
        """Open a run read-only, finished or not, also while it is being written."""
        return RunView(folder)

    def __init__(self, folder: str | Path, held: lock.Lock | None = None) -> None:
        """Use `create` or `open`."""
        self.folder = Path(folder)
        if held is None and (self.folder / FILE).is_file():  # elsewhere a lock would only leave dirt
            held = lock.Lock(self.folder)
        self._lock = held
        with contextlib.ExitStack() as undo:
            if held is not None:
                undo.callback(held.release)
            self._open("rw")
            undo.callback(self._db.close)
            self.session = self._begin_session()
            undo.pop_all()

    def _begin_session(self) -> int:
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            raise explain(error, self.folder) from error
        with self._transaction() as db:
            if self.info.format < FORMAT:
                for table in LATER:
                    db.execute(table)
                db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (json.dumps(FORMAT),))
            row = db.execute("INSERT INTO sessions (started, pid) VALUES (?, ?)", (_now(), os.getpid()))
        assert row.lastrowid is not None
        return row.lastrowid

    def close(self) -> None:
        """Fold everything into the one file and give the run free; safe to call twice.

        Where that is not possible just now (a reader is at it, the disk is full) nothing is lost: the file
        beside it holds the rest, and the next to open the run finds it.
        """
        if self._lock is None:
            return
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA busy_timeout = 100")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            # Not only that: a file that is no longer in WAL mode can be read from read-only places.
            self._db.execute("PRAGMA journal_mode = DELETE")
        super().close()
        self._lock.release()
        self._lock = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, and SQLite's faults explained."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise explain(error, self.folder) from error
            raise

    def add_models(self, models: Iterable[ModelRow]) -> None:
        """Add models to the plan."""
        with self._transaction() as db:
            _insert_models(db, models)

    def add_problems(self, problems: Iterable[Problem], role: Role = "taught") -> None:
        """Add problems to the plan, after those that are there.

        Raises:
            StoreError: an id is already there in that role; then none is added.
        """
        with self._transaction() as db:
            _insert_problems(db, problems, role)

    def record_sent(self, calls: Iterable[Call]) -> None:
        """Record that calls leave for a backend."""
        self.record(calls, ())

    def record_replies(self, replies: Iterable[tuple[Call, Reply]]) -> None:
        """Record replies, as `record` does."""
        self.record((), replies)

    def record_places(self, places: Iterable[PlaceRow]) -> None:
        """Record where this session reaches its models, and what is said of them now where that was changed."""
        rows = [
            (self.session, p.model, utf8(p.address), None if p.spec is None else json.dumps(dict(p.spec)))
            for p in places
        ]
        with self._transaction() as db:
            _insert(db, "places", "..t.", rows)

    def record_note(self, model: str, text: str) -> None:
        """Record what a user should know of how a model is asked."""
        with self._transaction() as db:
            _insert(db, "notes", ".t..", [(model, utf8(text), self.session, _now())])

    def record(self, sent: Iterable[Call], replies: Iterable[tuple[Call, Reply]]) -> None:
        """Record in one transaction that calls leave, and replies; those with `stop` "error" as errors.

        Raises:
            StoreError: a reply is recorded already (a fault in docendo), or the disk cannot take them.
        """
        left = [(call.request, call.sample, self.session) for call in sent]
        prompts: dict[str, tuple[str, str, bytes | None]] = {}
        good, bad, lost = [], [], []
        for call, reply in replies:
            prompt = _prompt(call)
            prompts[prompt[0]] = prompt
            asked = (call.request, call.sample, call.model, call.purpose, utf8(call.batch), prompt[0])
            usage = reply.usage
            tokens = (usage.prompt, usage.cached, usage.completion, usage.reasoning)
            cost = (*tokens, reply.seconds, self.session)
            if reply.given_up:
                key = (call.request, call.sample, call.model, call.purpose)
                lost.append((*key, reply.given_up, self.session))
            if reply.stop == "error":
                bad.append((*asked, utf8(reply.error or "no reason given"), reply.lasting, *cost, _now()))
            else:
                good.append((*asked, utf8(reply.text), utf8(reply.reasoning), reply.stop, *cost))
        with self._transaction() as db:
            db.executemany("INSERT INTO sent VALUES (?, ?, ?)", left)
            db.executemany("INSERT OR IGNORE INTO prompts VALUES (?, ?, CAST(? AS TEXT))", prompts.values())
            _insert(db, "replies", "....t.tt.......", good)
            _insert(db, "errors", "....t.t........", bad)
            _insert(db, "given_up", "......", lost)

    def record_verdict(self, key: str, problem: str, exam: bool, grade: Grade) -> None:
        """Record what a program came to, as soon as it was run; `key` is a digest of all that was judged."""
        row = (key, utf8(problem), exam, *graded(grade), self.session)
        with self._transaction() as db:
            # Two programs under way at once may be one: both verdicts are the same.
            marks = "?, CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?"
            db.execute(f"INSERT OR IGNORE INTO verdicts VALUES ({marks})", row)

    def finish_problem(
        self,
        problem: str,
        *,
        samples: Sequence[SampleRow] = (),
        lessons: Sequence[LessonRow] = (),
        exam_answers: Sequence[ExamRow] = (),
        decisions: Sequence[DecisionRow] = (),
        sitting: SittingRow | None = None,
        written: tuple[SelectionRow, Sequence[Problem]] | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Record all facts of one taught problem, and that it is done, at once.

        `written` is its exam, where that was not planned but written on the way.

        Raises:
            StoreError: the problem is not in the plan, is done already, or its facts do not fit together.
            ValueError: a row is of another problem.
        """
        rows: list[SampleRow | LessonRow | ExamRow | DecisionRow | SittingRow]
        rows = [*samples, *lessons, *exam_answers, *decisions, *([sitting] if sitting else [])]
        strange = next((row for row in rows if row.problem != problem), None)
        if strange is not None:
            raise ValueError(f"a row of problem {strange.problem!r} among those of problem {problem!r}")
        self.problem(problem)  # raises where it is not in the plan
        id = utf8(problem)
        with self._transaction() as db:
            db.execute("DELETE FROM provisional WHERE problem = CAST(? AS TEXT)", (id,))
            _insert(db, "done", "t..", [(id, seconds, _now())])
            if written is not None:
                _insert_problems(db, written[1], "exam")
                _insert(db, "exams", "t.t.", [_selection(written[0])])
            _insert(db, "lessons", "t....", [(id, *_lesson(row)) for row in lessons])
            _insert(db, "samples", "t......ttt", [(id, *_sample(row)) for row in samples])
            _insert(db, "exam_answers", "t.t......ttt", [(id, *_exam_answer(row)) for row in exam_answers])
            _insert(db, "decisions", "t.tt..", [(id, *_decision(row)) for row in decisions])
            if sitting is not None:
                s = sitting.sitting
                row = (id, s.planned, s.asked, s.rounds, s.ended, s.chance)
                _insert(db, "sittings", "t.....", [row])

    def record_provisional(self, problem: str, decisions: Sequence[DecisionRow]) -> None:
        """Record what was chosen of a problem that was cut short, in place of any earlier such choice."""
        self.problem(problem)  # raises where it is not in the plan
        id = utf8(problem)
        with self._transaction() as db:
            db.execute("DELETE FROM provisional WHERE problem = CAST(? AS TEXT)", (id,))
            _insert(db, "provisional", "t.tt..", [(id, *_decision(row)) for row in decisions])

    def finish_round(self, facts: RoundFacts) -> None:
        """Record all facts of one round of refining, and that it is done, at once.

        Raises:
            StoreError: the round is done already, or its facts do not fit together.
        """
        with self._transaction() as db:
            for table, rows in tuples(facts, _now()).items():
                _insert(db, table, SHAPES[table], rows)

    def record_stop(self, why: str) -> None:
        """Record why this session asks for no more."""
        with self._transaction() as db:
            db.execute("UPDATE sessions SET stopped = ? WHERE id = ?", (why, self.session))


def _refuse_filled(folder: Path) -> None:
    if (folder / FILE).exists():
        raise StoreError(
            f"{folder}: there is a run in this folder; go on with it by `docendo solve --resume {folder}`, "
            "or choose another folder"
        )
    # What a kill during an earlier `create` may leave is no content.
    found = sorted(
        path.name for path in folder.iterdir() if not path.name.startswith((_UNFINISHED, lock.NAME))
    )
    if found:
        raise StoreError(f"{folder}: the folder is not empty (it holds {found[0]!r}); choose another folder")


def _write_new(
    folder: Path,
    meta: Mapping[str, Any],
    models: Iterable[ModelRow],
    problems: Mapping[Role, Iterable[Problem]],
    exams: Iterable[SelectionRow],
) -> None:
    """Write a whole new run beside its name and move it there: a cut never leaves half a run."""
    path = folder / _UNFINISHED
    try:
        for rest in folder.glob(_UNFINISHED + "*"):
            rest.unlink()
        with contextlib.closing(connect(path, "rwc")) as db:
            db.executescript("BEGIN;" + TABLES + ";".join(LATER) + ";")
            db.executemany(
                "INSERT INTO meta VALUES (?, ?)", [(key, json.dumps(value)) for key, value in meta.items()]
            )
            _insert_models(db, models)
            for role, own in problems.items():
                _insert_problems(db, own, role)
            _insert(db, "exams", "t.t.", map(_selection, exams))
            db.execute("COMMIT")
        path.rename(folder / FILE)
    except sqlite3.IntegrityError as error:
        raise explain(error, folder) from error
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"{folder}: the run cannot be made here ({error}); free some space or choose another folder"
        ) from error


def _insert(db: sqlite3.Connection, table: str, shape: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows; `shape` has a letter a column, "t" for text given as `utf8` and "." for anything else."""
    values = ", ".join("CAST(? AS TEXT)" if letter == "t" else "?" for letter in shape)
    db.executemany(f"INSERT INTO {table} VALUES ({values})", rows)


def _insert_models(db: sqlite3.Connection, models: Iterable[ModelRow]) -> None:
    rows = [(m.name, m.parameters, m.context, m.digest, json.dumps(dict(m.roles))) for m in models]
    _insert(db, "models", ".....", rows)


def _insert_problems(db: sqlite3.Connection, problems: Iterable[Problem], role: Role) -> None:
    (count,) = db.execute("SELECT COUNT(*) FROM problems WHERE role = ?", (role,)).fetchone()
    rows = [(utf8(p.id), role, position, _problem(p)) for position, p in enumerate(problems, count)]
    _insert(db, "problems", "t...", rows)


def _selection(row: SelectionRow) -> tuple[Any, ...]:
    ids = utf8(json.dumps(row.problems, ensure_ascii=False))
    return utf8(row.problem), row.how, ids, json.dumps(dict(row.excluded))


def _problem(problem: Problem) -> str:
    values = {name: getattr(problem, name) for name in Problem.__dataclass_fields__}
    return json.dumps(values | {"meta": dict(problem.meta)})


def _lesson(row: LessonRow) -> tuple[Any, ...]:
    examples = json.dumps([[e.question, e.rationale, e.answer] for e in row.lesson.examples])
    return row.lesson.id, examples, row.score, json.dumps(dict(row.by_student))


def _sample(row: SampleRow) -> tuple[Any, ...]:
    return row.arm, row.sample, row.request, row.lesson, *graded(row.grade)


def _exam_answer(row: ExamRow) -> tuple[Any, ...]:
    asked = (row.lesson, utf8(row.exam_problem), row.student, row.repeat, row.request, row.sample)
    return *asked, *graded(row.grade)


def _decision(row: DecisionRow) -> tuple[Any, ...]:
    choice = row.choice
    return choice.rule, utf8(choice.answer), utf8(choice.key), choice.weight, row.correct


def _prompt(call: Call) -> tuple[str, str, bytes | None]:
    """A prompt's row: its hash, its form, its text."""
    if isinstance(call.prompt, str):
        form, text = "text", utf8(call.prompt)
    else:
        form, text = "chat", utf8(json.dumps(call.prompt))
    assert text is not None
    return hashlib.sha256(form.encode() + b"\0" + text).hexdigest(), form, text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
