"""The SQLite file behind a run: its tables, how a connection to it is opened, and its faults in plain words.

What is written into the tables and read out of them is left to those who read (`view`) and write (`run`).

Text that models and users wrote may hold lone surrogates, which SQLite's binding of `str` refuses, and NULs.
So such text is bound as UTF-8 bytes (`utf8`), cast to TEXT in the statement, and read back by the
connection's `text_factory`: what comes out is what went in, and a replayed reply equals the one first given.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docendo.errors import StoreError
from docendo.types import Grade, GradeState

FORMAT = 6
"""Version of the tables below; a run folder of another version is refused, never guessed at."""

LACKING = (5,)
"""Versions whose runs lack only the tables in `LATER`: read with these empty, and given them by whoever writes."""

FILE = "run.sqlite"

# Every fact of a round of refining refers to its row in `refine_rounds`, likewise in one transaction.
# Every fact of one problem refers to its row in `done`, written in the same transaction: a problem is there
# whole or not at all. `prompts` and `replies` come before, as the replies arrive. `provisional` is what was chosen
# of a problem that a budget cut short, until it is done.
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, pid INTEGER NOT NULL, stopped TEXT
);
CREATE TABLE models (
    name TEXT PRIMARY KEY, parameters INTEGER, context INTEGER, digest TEXT, roles TEXT NOT NULL
);
CREATE TABLE problems (
    id TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('taught', 'exam', 'pool', 'validation', 'test')),
    position INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (id, role)
);
CREATE UNIQUE INDEX problems_in_order ON problems (role, position);
CREATE TABLE exams (
    problem TEXT PRIMARY KEY, how TEXT NOT NULL, problems TEXT NOT NULL, excluded TEXT NOT NULL
);
CREATE TABLE prompts (
    hash TEXT PRIMARY KEY, form TEXT NOT NULL CHECK (form IN ('text', 'chat')), text TEXT NOT NULL
);
CREATE TABLE sent (
    request TEXT NOT NULL, sample INTEGER NOT NULL, session INTEGER NOT NULL REFERENCES sessions (id)
);
CREATE TABLE notes (
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    session INTEGER NOT NULL REFERENCES sessions (id),
    time TEXT NOT NULL
);
CREATE TABLE replies (
    request TEXT NOT NULL,
    sample INTEGER NOT NULL,
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    batch TEXT NOT NULL,
    prompt TEXT NOT NULL REFERENCES prompts (hash),
    text TEXT NOT NULL,
    reasoning TEXT NOT NULL,
    stop TEXT NOT NULL CHECK (stop IN ('stop', 'length')),
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    session INTEGER NOT NULL REFERENCES sessions (id),
    PRIMARY KEY (request, sample)
);
CREATE TABLE errors (
    request TEXT NOT NULL,
    sample INTEGER NOT NULL,
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    batch TEXT NOT NULL,
    prompt TEXT NOT NULL REFERENCES prompts (hash),
    error TEXT NOT NULL,
    lasting INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    session INTEGER NOT NULL REFERENCES sessions (id),
    time TEXT NOT NULL
);
CREATE INDEX errors_by_call ON errors (request, sample);
CREATE TABLE done (problem TEXT PRIMARY KEY, seconds REAL NOT NULL, time TEXT NOT NULL);
CREATE TABLE lessons (
    problem TEXT NOT NULL REFERENCES done (problem),
    id TEXT NOT NULL,
    examples TEXT NOT NULL,
    score REAL,
    by_student TEXT NOT NULL,
    PRIMARY KEY (problem, id)
);
CREATE TABLE samples (
    problem TEXT NOT NULL REFERENCES done (problem),
    arm TEXT NOT NULL,
    sample INTEGER NOT NULL,
    request TEXT,
    lesson TEXT,
    state TEXT NOT NULL,
    score REAL,
    answer TEXT,
    key TEXT,
    detail TEXT,
    PRIMARY KEY (problem, arm, sample),
    FOREIGN KEY (problem, lesson) REFERENCES lessons (problem, id)
);
CREATE TABLE exam_answers (
    problem TEXT NOT NULL,
    lesson TEXT NOT NULL,
    exam_problem TEXT NOT NULL,
    student TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    request TEXT NOT NULL,
    sample INTEGER NOT NULL,
    state TEXT NOT NULL,
    score REAL,
    answer TEXT,
    key TEXT,
    detail TEXT,
    PRIMARY KEY (problem, lesson, exam_problem, student, repeat),
    FOREIGN KEY (problem, lesson) REFERENCES lessons (problem, id)
);
CREATE TABLE sittings (
    problem TEXT PRIMARY KEY REFERENCES done (problem),
    planned INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    rounds INTEGER NOT NULL,
    ended TEXT NOT NULL,
    chance REAL
);
CREATE TABLE decisions (
    problem TEXT NOT NULL REFERENCES done (problem),
    rule TEXT NOT NULL,
    answer TEXT,
    key TEXT,
    weight REAL NOT NULL,
    correct INTEGER,
    PRIMARY KEY (problem, rule)
);
CREATE TABLE verdicts (
    hash TEXT PRIMARY KEY,
    problem TEXT NOT NULL,
    exam INTEGER NOT NULL,
    state TEXT NOT NULL,
    score REAL,
    answer TEXT,
    key TEXT,
    detail TEXT,
    session INTEGER NOT NULL REFERENCES sessions (id)
);
CREATE TABLE refine_rounds (
    round INTEGER PRIMARY KEY, best TEXT NOT NULL, data TEXT NOT NULL, seconds REAL NOT NULL, time TEXT NOT NULL
);
CREATE TABLE refine_sets (
    id TEXT PRIMARY KEY,
    round INTEGER NOT NULL REFERENCES refine_rounds (round),
    how TEXT NOT NULL,
    examples TEXT NOT NULL,
    parents TEXT NOT NULL,
    reflections TEXT NOT NULL,
    request TEXT,
    sample INTEGER
);
CREATE TABLE refine_reflections (
    id TEXT PRIMARY KEY,
    round INTEGER NOT NULL REFERENCES refine_rounds (round),
    parent TEXT NOT NULL REFERENCES refine_sets (id),
    failures TEXT NOT NULL,
    request TEXT NOT NULL,
    sample INTEGER NOT NULL
);
CREATE TABLE refine_rejections (
    round INTEGER NOT NULL REFERENCES refine_rounds (round),
    how TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    parents TEXT NOT NULL,
    request TEXT NOT NULL,
    sample INTEGER NOT NULL
);
CREATE TABLE refine_answers (
    lesson TEXT NOT NULL REFERENCES refine_sets (id),
    problem TEXT NOT NULL,
    part TEXT NOT NULL,
    model TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    round INTEGER NOT NULL REFERENCES refine_rounds (round),
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    score REAL,
    answer TEXT,
    key TEXT,
    detail TEXT,
    PRIMARY KEY (lesson, problem, model, repeat)
);
CREATE TABLE provisional (
    problem TEXT NOT NULL,
    rule TEXT NOT NULL,
    answer TEXT,
    key TEXT,
    weight REAL NOT NULL,
    correct INTEGER,
    PRIMARY KEY (problem, rule)
);
"""


# `places` is where each session reached its models behind addresses, and what was said of them (as JSON) where that
# is not what the run was made with. `given_up` counts the requests for a call that were sent and came to nothing.
LATER = (
    """CREATE TABLE places (
    session INTEGER NOT NULL, model TEXT NOT NULL, address TEXT NOT NULL, spec TEXT, PRIMARY KEY (session, model)
)""",
    """CREATE TABLE given_up (
    request TEXT NOT NULL,
    sample INTEGER NOT NULL,
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    requests INTEGER NOT NULL,
    session INTEGER NOT NULL
)""",
)


def utf8(text: str | None) -> bytes | None:
    """Text as bytes for a `CAST(? AS TEXT)`, lone surrogates included."""
    return None if text is None else text.encode("utf-8", "surrogatepass")


def graded(grade: Grade) -> tuple[Any, ...]:
    """A grade as its columns state, score, answer, key and detail take it."""
    return grade.state.value, grade.score, utf8(grade.answer), utf8(grade.key), utf8(grade.detail)


def grade_of(columns: Sequence[Any]) -> Grade:
    """The grade that these columns hold."""
    state, score, answer, key, detail = columns
    return Grade(GradeState(state), score, answer, key, detail)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open an SQLite file in `mode` "ro", "rw" or "rwc"; without a BEGIN each statement commits itself.

    The connection may be handed to another thread (a private event loop), but is for one thread at a time.
    """
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=10.0,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")  # with WAL: a commit outlives the process, whatever ends it
    except BaseException:
        db.close()
        raise
    db.text_factory = functools.partial(str, encoding="utf-8", errors="surrogatepass")
    return db


FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What reading may raise; the latter where a damaged file yields text that is none."""


def explain(error: sqlite3.Error | UnicodeDecodeError, folder: Path) -> StoreError:
    """What an SQLite fault means for whoever started the run, and what to do next."""
    again = f"then `docendo solve --resume {folder}`"
    kept = "nothing that was recorded is lost"
    code = getattr(error, "sqlite_errorcode", None)
    code = None if code is None else code & 0xFF  # the primary code, without its extension
    if code == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(
            f"{folder}: refused to record the same fact twice or a fact without its place ({error}); {kept}. "
            "This is a fault in docendo: please report it."
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"{folder}: the disk is full; {kept}. Free some space, {again}.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return StoreError(
            f"{folder}: {FILE} cannot be opened or written ({error}); {kept}. Make the folder writable, "
            f"or copy it to a place that is, {again}."
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):  # no tables, or not those of docendo
        return StoreError(f"{folder}: not a run of docendo ({FILE}: {error}); give the folder of a run")
    if code == sqlite3.SQLITE_CORRUPT or isinstance(error, UnicodeDecodeError):
        return StoreError(
            f"{folder}: {FILE} is damaged ({error}); restore it from a copy, or start a new run"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{folder}: {FILE} is in use ({error}); {kept}. End its other users, {again}.")
    return StoreError(
        f"{folder}: {FILE} cannot be used ({error}); {kept}. "
        f"See that the disk is in order and has free space, {again}."
    )
