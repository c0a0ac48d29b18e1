"""Reading a run: everything shown later comes from here, also while another process is writing the run.

Writing is left to `run`, and what the figures mean to the reports.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

from docendo import __version__
from docendo.errors import StoreError
from docendo.store.rounds import RoundsView
from docendo.store.rows import (
    DecisionRow,
    DoneRow,
    ErrorRow,
    ExamRow,
    Key,
    LessonRow,
    ModelRow,
    PlaceRow,
    ProblemRecord,
    ReplyRow,
    Role,
    RunInfo,
    SampleRow,
    SelectionRow,
    SessionRow,
    SittingRow,
    TotalRow,
    VerdictRow,
)
from docendo.store.schema import FAULTS, FILE, FORMAT, LACKING, LATER, connect, explain, utf8
from docendo.types import (
    Call,
    Choice,
    Example,
    Grade,
    GradeState,
    Lesson,
    Problem,
    Purpose,
    Reply,
    Sitting,
    Usage,
)

Chat = tuple[tuple[str, str], ...]

_KEYS = 500  # in one statement: SQLite bounds the values it may have
_TOKENS = "prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens"


def _nearby(folder: Path) -> str:
    """Where a folder that is no run leads: to a tuning's page, or to the runs inside it, the newest first."""
    if (folder / "tune.html").is_file():
        return f"; what docendo tune did here is told in {folder / 'tune.html'}"
    inside = sorted(folder.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return f", such as {', '.join(str(file.parent) for file in inside[:3])}" if inside else ""


class RunView(RoundsView):
    """A run, opened for reading; a context manager.

    Rows of all problems come in the order of the plan, not in that of finishing, so that whatever is
    computed from them is the same however the work was interleaved or interrupted. Every iterator reads as it
    goes; several reads that must agree while the run is being written belong inside `with view.snapshot()`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open `folder` read-only.

        Raises:
            StoreError: not a run folder, or one of another format version.
        """
        self.folder = Path(folder)
        self._open("ro")

    def _open(self, mode: str) -> None:
        path = self.folder / FILE
        if not path.is_file():
            what = f"it has no {FILE}" if self.folder.is_dir() else "there is no such folder"
            raise StoreError(
                f"{self.folder}: not a run of docendo ({what}); give the folder of a run{_nearby(self.folder)}"
            )
        try:
            try:
                self._db = connect(path, mode)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                    raise
                # A kill while the file was being opened or closed left a journal, which only a writer may undo.
                connect(path, "rw").close()
                self._db = connect(path, mode)
        except FAULTS as error:
            raise explain(error, self.folder) from error
        try:
            self.info = _read_info(self._db, self.folder)
            if self.info.format < FORMAT and mode == "ro":
                for table in LATER:  # this connection's own, and empty; a writer makes real ones
                    self._db.execute(table.replace("CREATE", "CREATE TEMP", 1))
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside sees the run as it was at the first read, whatever is written meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        try:
            yield from self._db.execute(sql, parameters)
        except FAULTS as error:
            raise explain(error, self.folder) from error

    def _row(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(sql, parameters).fetchone()
        except FAULTS as error:
            raise explain(error, self.folder) from error
        return row

    # --- the plan -----------------------------------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run was made with, its models as they were reached last; a resume goes by it.

        What else may be said of a model is as it was; `info` has the configuration as it was in all.
        """
        config = dict(self.info.config)
        moved = {
            model: json.loads(spec)
            for model, spec in self._rows(
                "SELECT model, spec FROM places WHERE spec IS NOT NULL "
                "AND (session, model) IN (SELECT MAX(session), model FROM places GROUP BY model)"
            )
        }
        if moved:
            settings = config["settings"]
            config["settings"] = {**settings, "models": {**settings["models"], **moved}}
        return config

    def sessions(self) -> list[SessionRow]:
        """Every opening of the run for writing, oldest first."""
        sql = "SELECT id, started, pid, stopped FROM sessions ORDER BY id"
        return [SessionRow(*row) for row in self._rows(sql)]

    def places(self) -> list[tuple[int, PlaceRow]]:
        """Where each session reached its models, as (session, place), oldest first."""
        sql = "SELECT session, model, address, spec FROM places ORDER BY session, rowid"
        return [
            (session, PlaceRow(model, address, None if spec is None else json.loads(spec)))
            for session, model, address, spec in self._rows(sql)
        ]

    def models(self) -> list[ModelRow]:
        """The models of the run, in the order in which they were added."""
        sql = "SELECT name, parameters, context, digest, roles FROM models ORDER BY rowid"
        return [ModelRow(*(*row[:4], json.loads(row[4]))) for row in self._rows(sql)]

    def problems(self, role: Role = "taught") -> Iterator[Problem]:
        """The problems that are taught, or those that exams are made of, in the order of the plan."""
        for (data,) in self._rows("SELECT data FROM problems WHERE role = ? ORDER BY position", (role,)):
            yield Problem(**json.loads(data))

    def problem(self, id: str, role: Role = "taught") -> Problem:
        """One problem.

        Raises:
            StoreError: there is none of that id.
        """
        sql = "SELECT data FROM problems WHERE id = CAST(? AS TEXT) AND role = ?"
        row = self._row(sql, (utf8(id), role))
        if row is None:
            first = self._rows("SELECT id FROM problems WHERE role = ? ORDER BY position LIMIT 3", (role,))
            some = ", ".join(repr(known) for (known,) in first) or "none"
            raise StoreError(f"{self.folder}: no {role} problem has the id {id!r}; the first ids are {some}")
        return Problem(**json.loads(row[0]))

    def selections(self) -> Iterator[SelectionRow]:
        """How the exam of each taught problem was selected, in the order of the plan."""
        sql = (
            "SELECT problem, how, exams.problems, excluded FROM exams JOIN problems AS p ON p.id = problem "
            "WHERE role = 'taught' ORDER BY position"
        )
        for row in self._rows(sql):
            yield SelectionRow(row[0], row[1], tuple(json.loads(row[2])), json.loads(row[3]))

    def exam_of(self, id: str) -> tuple[Problem, ...]:
        """The exam problems of one taught problem, in order.

        Raises:
            StoreError: none were planned for it.
        """
        row = self._row("SELECT problems FROM exams WHERE problem = CAST(? AS TEXT)", (utf8(id),))
        if row is None:
            raise StoreError(f"{self.folder}: no exam was planned for problem {id!r}")
        return tuple(self.problem(name, "exam") for name in json.loads(row[0]))

    # --- calls --------------------------------------------------------------------------------------------

    def reply(self, call: Call) -> Reply | None:
        """The recorded reply to a call, or None where it is still to be asked (again, after an error)."""
        return self.recorded([(call.request, call.sample)]).get((call.request, call.sample))

    def replies(self, calls: Sequence[Call]) -> list[Reply | None]:
        """`reply` for many calls, in their order."""
        keys = [(call.request, call.sample) for call in calls]
        found = self.recorded(keys)
        return [found.get(key) for key in keys]

    def recorded(self, keys: Sequence[Key]) -> dict[Key, Reply]:
        """The recorded replies among `(request, sample)` keys."""
        columns = f"text, stop, {_TOKENS}, seconds, reasoning"
        return {
            key: Reply(row[0], row[1], Usage(*row[2:6]), row[6], reasoning=row[7])
            for key, row in self._by_key(columns, "replies", keys)
        }

    def batch_of(self, keys: Sequence[Key]) -> dict[Key, str]:
        """The batch as part of which each recorded reply among `keys` was computed."""
        return {key: row[0] for key, row in self._by_key("batch", "replies", keys)}

    def failed(self, keys: Sequence[Key]) -> dict[Key, Reply]:
        """The last error of each call among `keys` that ever came back with one, as a reply."""
        columns = f"{_TOKENS}, seconds, error, lasting"
        return {  # of several the last in the table's order stays
            key: Reply("", "error", Usage(*row[:4]), row[4], row[5], lasting=bool(row[6]))
            for key, row in self._by_key(columns, "errors", keys, "ORDER BY errors.rowid")
        }

    def _by_key(
        self, columns: str, table: str, keys: Sequence[Key], order: str = ""
    ) -> Iterator[tuple[Key, tuple[Any, ...]]]:
        """Columns of a table's rows under `keys`, each with its key; a few statements for however many keys."""
        for start in range(0, len(keys), _KEYS):
            some = keys[start : start + _KEYS]
            wanted = ", ".join(["(?, ?)"] * len(some))
            sql = (
                f"WITH wanted (request, sample) AS (VALUES {wanted}) SELECT request, sample, {columns} "
                f"FROM wanted CROSS JOIN {table} USING (request, sample) {order}"
            )
            for row in self._rows(sql, [part for key in some for part in key]):
                yield (row[0], row[1]), row[2:]

    def lasting(self, keys: Sequence[Key]) -> dict[Key, Reply]:
        """The calls among `keys` whose last error asking again would only repeat, each with that error."""
        return {key: reply for key, reply in self.failed(keys).items() if reply.lasting}

    def prompt(self, key: Key) -> str | Chat | None:
        """What was asked under `key` (text, or (role, content) pairs); None where nothing came back yet."""
        for table in ("replies", "errors"):
            sql = (
                f"SELECT form, prompts.text FROM {table} JOIN prompts ON hash = prompt "
                "WHERE request = ? AND sample = ? LIMIT 1"
            )
            row = self._row(sql, key)
            if row is not None:
                form, text = row
                return text if form == "text" else tuple((role, said) for role, said in json.loads(text))
        return None

    def calls(self) -> Iterator[ReplyRow]:
        """Every recorded reply without its text, oldest first."""
        sql = (
            "SELECT request, sample, model, purpose, batch, prompt, stop, "
            f"{_TOKENS}, seconds, session FROM replies ORDER BY rowid"
        )
        for row in self._rows(sql):
            yield ReplyRow(*(*row[:7], Usage(*row[7:11]), *row[11:]))

    def errors(self) -> Iterator[ErrorRow]:
        """Every call that came back with an error, oldest first."""
        sql = (
            "SELECT request, sample, model, purpose, batch, prompt, error, lasting, "
            f"{_TOKENS}, seconds, session, time FROM errors ORDER BY rowid"
        )
        for row in self._rows(sql):
            yield ErrorRow(*(*row[:7], bool(row[7]), Usage(*row[8:12]), *row[12:]))

    def reasons(self) -> list[tuple[str, int]]:
        """Why calls that have no reply failed, and how many for each reason, the commonest first.

        Each call counts by its last error. Reasons that differ in their numbers alone are one, told as the first was.
        """
        sql = (
            "SELECT error, MAX(rowid) FROM errors AS e WHERE NOT EXISTS "
            "(SELECT 1 FROM replies AS r WHERE r.request = e.request AND r.sample = e.sample) "
            "GROUP BY request, sample ORDER BY MAX(rowid)"
        )
        first: dict[str, str] = {}
        found: Counter[str] = Counter()
        for text, _ in self._rows(sql):
            found[first.setdefault(re.sub(r"\d+", "0", text), text)] += 1
        return found.most_common()

    def sent(self) -> Iterator[tuple[Key, int]]:
        """Every call that left for a backend, with the session it left in, oldest first."""
        for request, sample, session in self._rows(
            "SELECT request, sample, session FROM sent ORDER BY rowid"
        ):
            yield (request, sample), session

    def prompts_in_order(self, model: str) -> Iterator[tuple[str, int]]:
        """Each different prompt that a model answered, with how often, in the order of their texts."""
        yield from self._rows(
            "SELECT prompts.text, COUNT(*) FROM replies JOIN prompts ON hash = prompt "
            "WHERE model = ? GROUP BY hash ORDER BY prompts.text",
            (model,),
        )

    def notes(self) -> list[tuple[str, str]]:
        """What a user should know of how models are asked: each different (model, text) once, oldest first.

        Last come the models that were reached at several addresses.
        """
        found = list(self._rows("SELECT model, text FROM notes GROUP BY model, text ORDER BY MIN(rowid)"))
        by_model: dict[str, list[str]] = {}
        for _, place in self.places():
            by_model.setdefault(place.model, []).append(place.address)
        for model, addresses in by_model.items():
            if places := list(dict.fromkeys(addresses))[1:]:
                text = f"{model} was reached at {addresses[0]} when the run began, and at {' and '.join(places)} later"
                found.append((model, text))
        return found

    def totals(self) -> list[TotalRow]:
        """Recorded replies summed by model and purpose, in the order of the plan and of the road.

        Not in that of recording: which of two calls is answered first differs from run to run.
        """
        sql = (
            "SELECT model, purpose, COUNT(*), SUM(prompt_tokens), SUM(cached_tokens), SUM(completion_tokens), "
            "SUM(reasoning_tokens), SUM(seconds) FROM replies GROUP BY model, purpose "
            "ORDER BY (SELECT rowid FROM models WHERE name = model), model"
        )
        rows = [TotalRow(*(*row[:3], Usage(*row[3:7]), row[7])) for row in self._rows(sql)]
        models, road = list(dict.fromkeys(row.model for row in rows)), get_args(Purpose)
        return sorted(rows, key=lambda row: (models.index(row.model), road.index(row.purpose)))

    def given_up(self) -> list[tuple[str, Purpose, int]]:
        """Requests that were given up after they had been sent, by model and purpose."""
        return list(
            self._rows(
                "SELECT model, purpose, SUM(requests) FROM given_up GROUP BY model, purpose ORDER BY MIN(rowid)"
            )
        )

    def cut_off(self) -> list[tuple[str, Purpose, int]]:
        """Calls on their way when a session was cut, and answered in a later one, by model and purpose."""
        if len(self.sessions()) < 2:
            return []  # looking for each call takes its time
        sql = (
            "SELECT model, purpose, COUNT(*) FROM sent JOIN replies USING (request, sample) "
            "WHERE replies.session > sent.session AND NOT EXISTS (SELECT 1 FROM errors WHERE "
            "(errors.request, errors.sample, errors.session) = (sent.request, sent.sample, sent.session)) "
            "GROUP BY model, purpose ORDER BY MIN(replies.rowid)"
        )
        return list(self._rows(sql))

    def verdict(self, key: str) -> Grade | None:
        """What a program came to that was judged before, by the digest of all that was judged."""
        row = self._row("SELECT state, score, answer, key, detail FROM verdicts WHERE hash = ?", (key,))
        return None if row is None else _grade(row)

    def verdicts(self) -> Iterator[VerdictRow]:
        """Every verdict on a program, oldest first."""
        sql = "SELECT problem, exam, session, state, score, answer, key, detail FROM verdicts ORDER BY rowid"
        for row in self._rows(sql):
            yield VerdictRow(row[0], bool(row[1]), row[2], _grade(row[3:]))

    # --- finished problems --------------------------------------------------------------------------------

    def done_ids(self) -> set[str]:
        """The ids of the problems whose facts are all here."""
        return {problem for (problem,) in self._rows("SELECT problem FROM done")}

    def done(self, problem: str | None = None) -> Iterator[DoneRow]:
        """When and how fast problems (or one) were finished."""
        for row in self._facts("problem, seconds, time", "done", problem):
            yield DoneRow(*row)

    def samples(self, problem: str | None = None) -> Iterator[SampleRow]:
        """The teacher's graded samples of the finished problems (or of one)."""
        columns = "problem, arm, sample, request, lesson, state, score, answer, key, detail"
        for row in self._facts(columns, "samples", problem):
            yield SampleRow(*(*row[:5], _grade(row[5:])))

    def lessons(self, problem: str | None = None) -> Iterator[LessonRow]:
        """The distinct lessons of the finished problems (or of one), with their LbT scores."""
        for id, examples, score, by_student in self._facts(
            "problem, examples, score, by_student", "lessons", problem
        ):
            lesson = Lesson(tuple(Example(*example) for example in json.loads(examples)))
            yield LessonRow(id, lesson, score, json.loads(by_student))

    def exam_answers(self, problem: str | None = None) -> Iterator[ExamRow]:
        """The students' graded exam answers of the finished problems (or of one)."""
        columns = "problem, lesson, exam_problem, student, repeat, request, sample, state, score, answer, key, detail"
        for row in self._facts(columns, "exam_answers", problem):
            yield ExamRow(*(*row[:7], _grade(row[7:])))

    def samples_spent(self) -> Iterator[tuple[SampleRow, str | None, Usage]]:
        """`samples` of all finished problems, each with the model that answered and what it cost."""
        columns = "problem, arm, fact.sample, fact.request, lesson, state, score, answer, key, detail, model"
        join = "LEFT JOIN replies ON (replies.request, replies.sample) = (fact.request, fact.sample)"
        for row in self._facts(f"{columns}, {_TOKENS}", "samples", None, join):
            usage = Usage() if row[10] is None else Usage(*row[11:])
            yield SampleRow(*(*row[:5], _grade(row[5:10]))), row[10], usage

    def exams_spent(self) -> Iterator[tuple[str, str, str, Usage]]:
        """What the exams after each lesson cost, by model: (problem, lesson, model, usage)."""
        sums = ", ".join(f"SUM({column})" for column in _TOKENS.split(", "))
        for row in self._rows(
            f"SELECT problem, lesson, model, {sums} FROM exam_answers AS fact "
            "JOIN replies ON (replies.request, replies.sample) = (fact.request, fact.sample) "
            "GROUP BY problem, lesson, model"
        ):
            yield row[0], row[1], row[2], Usage(*row[3:])

    def writing_spent(self) -> Iterator[tuple[str, str, Usage]]:
        """What it cost to write the finished problems' exams and to answer them for golds: (problem, model, usage)."""
        sums = ", ".join(f"SUM({column})" for column in _TOKENS.split(", "))
        done = self.done_ids()
        for batch, purpose, model, *tokens in self._rows(
            f"SELECT batch, purpose, model, {sums} FROM replies WHERE purpose IN ('write', 'gold') "
            "GROUP BY batch, purpose, model"
        ):
            problem = batch.removeprefix(f"{purpose} {model} ")
            if problem in done:
                yield problem, model, Usage(*tokens)

    def exam_states(self) -> Iterator[tuple[str, GradeState, int]]:
        """How the exam answers of each finished problem were graded: (problem, state, how many)."""
        sql = "SELECT problem, state, COUNT(*) FROM exam_answers GROUP BY problem, state"
        for problem, state, count in self._rows(sql):
            yield problem, GradeState(state), count

    def uncounted(self) -> tuple[int, int, int]:
        """How many lessons have exam answers that count neither way, being cut or failed.

        Of these, how many have none that counts of one student or more, but of others; and how many have none at all.
        """
        sql = (
            "SELECT COUNT(*), SUM(total > 0 AND least = 0), SUM(total = 0) FROM "
            "(SELECT SUM(counted) AS total, MIN(counted) AS least FROM "
            "(SELECT problem, lesson, SUM(state IN ('ok', 'ungradable')) AS counted FROM exam_answers "
            "WHERE (problem, lesson) IN "
            "(SELECT problem, lesson FROM exam_answers WHERE state IN ('truncated', 'failed')) "
            "GROUP BY problem, lesson, student) GROUP BY problem, lesson)"
        )
        lessons, without, none = next(iter(self._rows(sql)))
        return lessons, without or 0, none or 0

    def decisions(self, problem: str | None = None) -> Iterator[DecisionRow]:
        """What each choice rule picked for the finished problems (or for one)."""
        yield from self._chosen("decisions", problem)

    def provisional(self) -> Iterator[DecisionRow]:
        """What each choice rule picked, from what there was, for problems that a budget cut short."""
        yield from self._chosen("provisional", None)

    def _chosen(self, table: str, problem: str | None) -> Iterator[DecisionRow]:
        columns = "problem, rule, answer, key, weight, correct"
        for id, rule, answer, key, weight, correct in self._facts(columns, table, problem):
            right = None if correct is None else bool(correct)
            yield DecisionRow(id, Choice(rule, answer, key, weight), right)

    def sittings(self, problem: str | None = None) -> Iterator[SittingRow]:
        """How much was asked in the exams of the finished problems (or of one)."""
        for id, *said in self._facts("problem, planned, asked, rounds, ended, chance", "sittings", problem):
            yield SittingRow(id, Sitting(*said))

    def problem_record(self, id: str) -> ProblemRecord:
        """Everything of one finished problem; nothing else of the run is loaded.

        Raises:
            StoreError: the run has no such problem, or it is not finished.
        """
        problem = self.problem(id)
        done = next(self.done(id), None)
        if done is None:
            raise StoreError(
                f"{self.folder}: problem {id!r} is not finished; "
                f"`docendo solve --resume {self.folder}` goes on"
            )
        samples, exam_answers = tuple(self.samples(id)), tuple(self.exam_answers(id))
        calls = [*(row.call for row in samples), *(row.call for row in exam_answers)]
        keys = list(dict.fromkeys(call for call in calls if call is not None))
        replies = self.recorded(keys)
        replies |= self.failed([key for key in keys if key not in replies])
        exam = {
            name: self.problem(name, "exam") for name in dict.fromkeys(a.exam_problem for a in exam_answers)
        }
        return ProblemRecord(
            problem=problem,
            done=done,
            samples=samples,
            lessons=tuple(self.lessons(id)),
            exam_answers=exam_answers,
            decisions=tuple(self.decisions(id)),
            sitting=next((row.sitting for row in self.sittings(id)), None),
            exam=exam,
            replies=replies,
        )

    def _facts(self, columns: str, table: str, problem: str | None, join: str = "") -> Iterator[Any]:
        """Rows of one of the tables that hold a problem's facts, in the order of the plan."""
        if problem is not None:
            sql = f"SELECT {columns} FROM {table} WHERE problem = CAST(? AS TEXT) ORDER BY rowid"
            return self._rows(sql, (utf8(problem),))
        return self._rows(
            f"SELECT {columns} FROM problems JOIN {table} AS fact ON problem = problems.id {join} "
            "WHERE role = 'taught' ORDER BY position, fact.rowid"
        )


def _grade(row: Sequence[Any]) -> Grade:
    state, score, answer, key, detail = row
    return Grade(GradeState(state), score, answer, key, detail)


def _read_info(db: sqlite3.Connection, folder: Path) -> RunInfo:
    try:
        meta = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM meta")}
    except FAULTS as error:
        raise explain(error, folder) from error
    if meta.get("format") not in (FORMAT, *LACKING):
        raise StoreError(
            f"{folder}: this run has format version {meta.get('format')} (written by docendo "
            f"{meta.get('docendo')}), and this docendo ({__version__}) reads version {FORMAT}; "
            "use the docendo that wrote it, or start a new run"
        )
    return RunInfo(**meta)
