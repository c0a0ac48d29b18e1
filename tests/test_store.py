"""The run store, from the outside: what was written is read back, once, whole, and whatever happens."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docendo.errors import StoreError
from docendo.store import DecisionRow, ExamRow, LessonRow, ModelRow, RunView, SampleRow, Store
from docendo.types import Call, Choice, Example, Grade, GradeState, Lesson, Problem, Reply, Sampling, Usage

CONFIG = {"teacher": "school:teacher", "lessons": 24, "temperature": 0.7, "students": ["a", "b"]}
TAUGHT = tuple(Problem(f"p{i}", f"How many? {i}", str(i), family="f", meta={"row": i}) for i in range(4))
EXAM = tuple(Problem(f"e{i}", f"And now? {i}", str(i), kind="exact") for i in range(3))


def call(prompt: Any = "Q: 1 + 1?", sample: int = 0, **more: Any) -> Call:
    return Call("school:teacher", prompt, Sampling(), sample=sample, **more)


def reply(text: str = "It is 2.", **more: Any) -> Reply:
    return Reply(text, "stop", Usage(10, 4, 5, 2), 0.25, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.create(folder, kind="solve", config=CONFIG, seed=7, taught=TAUGHT, exam=EXAM) as store:
        yield store


def facts(problem: str, *, samples: int = 2) -> dict[str, Any]:
    """A small but complete set of facts of one problem, with its replies' calls."""
    lesson = Lesson((Example(f"question of {problem}", "because", "2"),))
    right, none = Grade(GradeState.OK, 1.0, "2", "2"), Grade(GradeState.UNGRADABLE, 0.0)
    teach, exam = call(f"teach {problem}"), call(f"exam {problem}", purpose="exam")
    return {
        "samples": [SampleRow(problem, "teach", i, teach.request, lesson.id, right) for i in range(samples)],
        "lessons": [LessonRow(problem, lesson, 0.5, {"s": 0.5, "t": None})],
        "exam_answers": [
            ExamRow(problem, lesson.id, "e1", "s", i, exam.request, i, grade)
            for i, grade in enumerate((right, none))
        ],
        "decisions": [
            DecisionRow(problem, Choice("sum", "2", "2", 1.5), True),
            DecisionRow(problem, Choice("maj", None, None, 0.0), None),
        ],
    }


def spawn(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that runs `code`."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


# --- what was written is read back --------------------------------------------------------------------------


def test_the_plan_is_read_back_as_it_was_given(folder: Path) -> None:
    model = ModelRow("school:teacher", 10**12, 512, "sha256:1", {"teacher": {"temperature": 0.7}})
    with Store.create(
        folder,
        kind="score",
        config=CONFIG,
        seed=7,
        parent="runs/zero",
        models=[model],
        taught=TAUGHT,
        exam=EXAM,
    ):
        pass
    with Store.read(folder) as view:
        assert view.config == CONFIG
        assert (view.info.kind, view.info.seed, view.info.parent) == ("score", 7, "runs/zero")
        assert view.models() == [model]
        assert tuple(view.problems()) == TAUGHT
        assert tuple(view.problems("exam")) == EXAM
        assert view.problem("e2", "exam") == EXAM[2]
        assert view.done_ids() == set()
        with pytest.raises(
            StoreError, match="no taught problem has the id 'e2'; the first ids are 'p0', 'p1'"
        ):
            view.problem("e2")


def test_problems_may_be_added_later_but_an_id_only_once_a_role(store: Store) -> None:
    store.add_problems([Problem("p9", "?")])
    store.add_problems([Problem("p9", "?")], "exam")
    with pytest.raises(StoreError, match="twice"):
        store.add_problems([Problem("p10", "?"), Problem("p1", "?")])
    assert [problem.id for problem in store.problems()] == ["p0", "p1", "p2", "p3", "p9"]
    assert [problem.id for problem in store.problems("exam")] == ["e0", "e1", "e2", "p9"]


def test_replies_are_found_by_request_and_sample(store: Store) -> None:
    asked = [call(sample=0), call(sample=1), call("other")]
    store.record_sent(asked)
    store.record_replies([(asked[0], reply("a")), (asked[2], Reply("b", "length"))])
    assert store.replies(asked) == [reply("a"), None, Reply("b", "length")]
    assert store.reply(call(seed=1)) is None, "another seed is another request"
    assert [key for key, _ in store.sent()] == [(c.request, c.sample) for c in asked]
    rows = list(store.calls())
    assert [(row.call, row.stop, row.usage) for row in rows] == [
        ((asked[0].request, 0), "stop", Usage(10, 4, 5, 2)),
        ((asked[2].request, 0), "length", Usage()),
    ]


def test_prompts_are_kept_once_and_read_back_in_their_form(store: Store) -> None:
    chat = (("system", "Be brief."), ("user", 'Say "é"'))
    asked = [call("plain", sample=0), call("plain", sample=1), call(chat), call('[["user", "text"]]')]
    store.record_replies([(c, reply()) for c in asked])
    assert [store.prompt((c.request, c.sample)) for c in asked] == [c.prompt for c in asked]
    assert store.prompt(("0" * 64, 0)) is None
    assert len({row.prompt for row in store.calls()}) == 3


def test_totals_are_the_sums_of_the_replies(store: Store) -> None:
    store.record_replies([(call("exam", purpose="exam"), reply())])  # first, as may happen in a resumed run
    store.record_replies([(call(sample=i), reply()) for i in range(3)])
    assert [(t.purpose, t.calls, t.usage, t.seconds) for t in store.totals()] == [
        ("teach", 3, Usage(30, 12, 15, 6), 0.75),
        ("exam", 1, Usage(10, 4, 5, 2), 0.25),
    ]


ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udfff\0\n'\"")))


@settings(max_examples=40)  # each makes a run on disk
@given(text=ANY_TEXT, prompt=ANY_TEXT, batch=ANY_TEXT, id=ANY_TEXT)
def test_any_text_comes_back_as_it_went_in(text: str, prompt: str, batch: str, id: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        grade = Grade(GradeState.OK, 1.0, text, prompt)
        lesson = Lesson((Example(text, prompt, batch),))
        asked = call(prompt, batch=batch)
        broken = call((("user", prompt),), batch=batch)
        problem = Problem(id, text, prompt, meta={"note": batch})
        with Store.create(
            place, kind="solve", config={"x": text}, seed=0, taught=[problem], exam=[problem]
        ) as store:
            store.record_replies(
                [
                    (asked, Reply(text, "stop", reasoning=prompt)),
                    (broken, Reply("", "error", error=text or "?")),
                ]
            )
            samples = [SampleRow(id, "teach", 0, asked.request, lesson.id, grade)]
            answers = [ExamRow(id, lesson.id, id, "s", 0, broken.request, 0, grade)]
            decisions = [DecisionRow(id, Choice("sum", text, prompt, 1.0), False)]
            lessons = [LessonRow(id, lesson, 1.0, {"s": 1.0})]
            store.finish_problem(
                id, samples=samples, lessons=lessons, exam_answers=answers, decisions=decisions
            )
        with Store.read(place) as view:
            record = view.problem_record(id)
            assert view.config == {"x": text}
            assert record.problem == problem
            assert record.exam == {id: problem}
            assert [*record.samples, *record.lessons, *record.exam_answers, *record.decisions] == [
                *samples, *lessons, *answers, *decisions,
            ]  # fmt: skip
            assert record.reply(samples[0]) == Reply(text, "stop", reasoning=prompt)
            assert record.reply(answers[0]) == Reply("", "error", error=text or "?")
            assert view.prompt((asked.request, 0)) == prompt
            assert view.prompt((broken.request, 0)) == broken.prompt
            assert next(view.calls()).batch == batch


# --- a reply is recorded once, a problem whole --------------------------------------------------------------


def test_a_recorded_reply_is_never_replaced_and_its_transaction_fails_whole(store: Store) -> None:
    store.record_replies([(call(), reply("first"))])
    with pytest.raises(StoreError, match=r"twice.*report"):
        store.record_replies([(call("new"), reply()), (call(), reply("second"))])
    assert store.replies([call(), call("new")]) == [reply("first"), None]


def test_an_error_is_kept_but_the_call_is_still_to_be_asked(store: Store) -> None:
    for message in ("timeout", "refused"):
        store.record_replies([(call(), Reply("", "error", Usage(3, 0, 0), 1.0, message))])
    assert store.reply(call()) is None
    assert [(row.error, row.usage, row.session) for row in store.errors()] == [
        ("timeout", Usage(3, 0, 0), store.session),
        ("refused", Usage(3, 0, 0), store.session),
    ]
    key = (call().request, 0)
    assert store.failed([key, ("0" * 64, 0)]) == {key: Reply("", "error", Usage(3, 0, 0), 1.0, "refused")}
    store.record_replies([(call(), reply())])
    assert store.reply(call()) == reply()


def test_reasons_count_unanswered_calls_by_their_last_error(store: Store) -> None:
    def fails(prompt: str, why: str) -> None:
        store.record_replies([(call(prompt), Reply("", "error", error=why))])

    for length in (620, 618):
        fails(f"{length}", "timeout")
        fails(f"{length}", f"HTTP 400: {length} tokens are too many")
    fails("b", "refused")
    fails("c", "refused")
    store.record_replies([(call("c"), reply())])
    assert store.reasons() == [("HTTP 400: 620 tokens are too many", 2), ("refused", 1)]


def test_the_folder_of_all_runs_names_those_in_it(store: Store, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=rf"it has no run.sqlite.*such as {folder}$"):
        RunView(folder.parent)
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "tune.html").touch()
    with pytest.raises(StoreError, match="docendo tune did here is told in"):
        RunView(tmp_path / "tuned")


def test_the_last_error_says_whether_asking_again_is_of_use(store: Store) -> None:
    asked = [call("a"), call("b"), call("c")]
    too_long = Reply("", "error", error="too long", lasting=True)
    store.record_replies([(c, too_long) for c in asked[:2]])
    store.record_replies([(asked[1], Reply("", "error", error="busy"))])
    keys = [(c.request, c.sample) for c in asked]
    assert store.lasting(keys) == {keys[0]: too_long}
    assert [row.lasting for row in store.errors()] == [True, True, False]


def test_the_facts_of_a_problem_appear_together_or_not_at_all(store: Store, folder: Path) -> None:
    bad = facts("p1")
    bad["decisions"] = [bad["decisions"][0], bad["decisions"][0]]  # the last thing written cannot be
    with Store.read(folder) as view:
        with pytest.raises(StoreError, match="twice"):
            store.finish_problem("p1", **bad)
        assert not [*view.done(), *view.samples(), *view.lessons(), *view.exam_answers(), *view.decisions()]
        store.finish_problem("p1", **facts("p1"), seconds=2.5)
        assert view.done_ids() == {"p1"}
        assert [row.seconds for row in view.done("p1")] == [2.5]
        assert list(view.samples()) == facts("p1")["samples"]
        assert list(view.lessons()) == facts("p1")["lessons"]
        assert list(view.exam_answers("p1")) == facts("p1")["exam_answers"]
        assert list(view.decisions("p2")) == []
        with pytest.raises(StoreError, match="twice"):
            store.finish_problem("p1", **facts("p1"))
        assert list(view.decisions()) == facts("p1")["decisions"]


def test_facts_that_belong_elsewhere_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="'p2' among those of problem 'p1'"):
        store.finish_problem("p1", **facts("p2"))
    with pytest.raises(StoreError, match="no taught problem has the id 'e1'"):
        store.finish_problem("e1", **facts("e1"))
    with pytest.raises(StoreError, match="without its place"):
        store.finish_problem("p1", samples=facts("p1")["samples"])  # its lesson is missing
    assert store.done_ids() == set()


def test_rows_come_in_the_order_of_the_plan_however_the_problems_finished(store: Store) -> None:
    for problem in ("p3", "p0", "p2"):
        store.finish_problem(problem, **facts(problem))
    assert [row.problem for row in store.done()] == ["p0", "p2", "p3"]
    assert [(row.problem, row.sample) for row in store.samples()] == [
        (problem, i) for problem in ("p0", "p2", "p3") for i in range(2)
    ]
    assert [row.problem for row in store.lessons()] == ["p0", "p2", "p3"]


def test_a_problem_record_tells_everything_of_one_problem(store: Store) -> None:
    asked = [call("teach p1", sample=i) for i in range(2)]
    store.record_replies([(c, reply(f"sample {c.sample}")) for c in asked])
    exam = [call("exam p1", sample=i, purpose="exam") for i in range(2)]
    store.record_replies([(exam[0], reply("student")), (exam[1], Reply("", "error", error="too long"))])
    given = SampleRow("p1", "given", 0, None, None, Grade(GradeState.OK, 1.0, "2", "2"))
    told = facts("p1")
    store.finish_problem("p1", **told | {"samples": [*told["samples"], given]})
    store.finish_problem("p2", **facts("p2"))
    record = store.problem_record("p1")
    assert record.problem == TAUGHT[1]
    assert record.done.problem == "p1"
    assert list(record.exam.values()) == [EXAM[1]]
    replies = [record.reply(row) for row in (*record.samples, *record.exam_answers)]
    assert [r and (r.text or r.error) for r in replies] == [
        "sample 0",
        "sample 1",
        None,
        "student",
        "too long",
    ]
    assert set(record.replies) == {(c.request, c.sample) for c in (*asked, *exam)}
    with pytest.raises(StoreError, match="'p3' is not finished; `docendo solve --resume"):
        store.problem_record("p3")
    with pytest.raises(StoreError, match="no taught problem has the id 'p7'"):
        store.problem_record("p7")


# --- opening, closing, resuming -----------------------------------------------------------------------------


def test_a_closed_run_is_one_file_and_goes_on_where_it_stopped(folder: Path) -> None:
    with Store.create(folder, kind="solve", config=CONFIG, seed=7, taught=TAUGHT, exam=EXAM) as store:
        store.record_replies([(call(), reply())])
        store.finish_problem("p0", **facts("p0"))
    store.close()  # again: no harm
    assert [path.name for path in folder.iterdir()] == ["run.sqlite"]
    with Store.open(folder) as store:
        assert store.config == CONFIG
        assert store.reply(call()) == reply()
        store.record_replies([(call("more"), reply())])
        assert [row.session for row in store.calls()] == [1, 2]
        assert [(row.id, row.pid) for row in store.sessions()] == [(1, os.getpid()), (2, os.getpid())]
    with Store.read(folder) as view:
        assert len(view.sessions()) == 2, "reading is no session"
        assert view.done_ids() == {"p0"}
    assert [path.name for path in folder.iterdir()] == ["run.sqlite"]


def test_a_reader_sees_what_is_committed_while_the_run_is_written(store: Store, folder: Path) -> None:
    with Store.read(folder) as view:
        store.record_replies([(call(), reply())])
        assert view.reply(call()) == reply()
        with view.snapshot():
            assert view.done_ids() == set()
            store.finish_problem("p0", **facts("p0"))
            assert not [*view.done(), *view.samples()], "a snapshot stays as it was"
        assert view.done_ids() == {"p0"}
        store.close()
        assert view.done_ids() == {"p0"}
    with Store.read(folder) as view:
        assert view.done_ids() == {"p0"}


TORN = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = DELETE")
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN IMMEDIATE")
db.executemany("INSERT INTO prompts VALUES (?, 'text', ?)", ((str(i), "x" * 500) for i in range(2000)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_killed_while_it_was_opened_or_closed_can_be_read(folder: Path) -> None:
    """A run's file is out of WAL mode for moments then, and a kill leaves what a reader alone cannot undo."""
    Store.create(folder, kind="solve", config=CONFIG, seed=7, taught=TAUGHT).close()
    spawn(TORN, folder / "run.sqlite").communicate()
    assert (folder / "run.sqlite-journal").exists()
    with Store.read(folder) as view:
        assert tuple(view.problems()) == TAUGHT
        assert view._row("SELECT COUNT(*) FROM prompts", ()) == (0,)


def test_a_reading_view_cannot_write(store: Store, folder: Path) -> None:
    with Store.read(folder) as view:
        assert not isinstance(view, Store)
    with Store.read(folder) as view, pytest.raises(sqlite3.OperationalError, match="readonly"):
        view._db.execute("DELETE FROM problems")


def not_runs(place: Path) -> Iterator[tuple[Path, str]]:
    for name, content in {"text": b"this is no database " * 99, "empty": b""}.items():
        (place / name).mkdir()
        (place / name / "run.sqlite").write_bytes(content)
        yield place / name, "not a run of docendo"
    (place / "other").mkdir()
    db = sqlite3.connect(place / "other" / "run.sqlite")
    db.execute("CREATE TABLE t (x)")
    db.close()
    yield place / "other", "not a run of docendo"
    (place / "bare").mkdir()
    yield place / "bare", "it has no run.sqlite"
    yield place / "nowhere", "there is no such folder"


@pytest.mark.parametrize("opening", [Store.open, Store.read])
def test_what_is_no_run_is_said_to_be_none_and_left_alone(opening: Any, tmp_path: Path) -> None:
    for folder, message in not_runs(tmp_path):
        before = {path: path.read_bytes() for path in folder.rglob("*")}
        with pytest.raises(StoreError, match=message) as raised:
            opening(folder)
        assert str(folder) in str(raised.value)
        assert {path: path.read_bytes() for path in folder.rglob("*")} == before


@pytest.mark.parametrize("opening", [Store.open, Store.read])
def test_a_run_of_another_version_is_refused_and_left_alone(opening: Any, folder: Path) -> None:
    Store.create(folder, kind="solve", config={}, seed=0).close()
    db = sqlite3.connect(folder / "run.sqlite")
    db.execute("UPDATE meta SET value = '999' WHERE key = 'format'")
    db.execute("UPDATE meta SET value = '\"9.9.9\"' WHERE key = 'docendo'")
    db.commit()
    db.close()
    before = (folder / "run.sqlite").read_bytes()
    with pytest.raises(
        StoreError, match=r"format version 999 \(written by docendo 9\.9\.9\).*reads version \d+; use"
    ):
        opening(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == {folder / "run.sqlite": before}


@pytest.mark.parametrize("part", [0.01, 0.5])
def test_a_damaged_file_is_named_as_such(part: float, folder: Path) -> None:
    with Store.create(folder, kind="solve", config={}, seed=0, taught=TAUGHT) as store:
        store.record_replies([(call(f"prompt {i}"), reply("text " * 500)) for i in range(50)])
    path = folder / "run.sqlite"
    data = bytearray(path.read_bytes())
    start = int(part * len(data))
    data[start:] = random.Random(0).randbytes(len(data) - start)
    path.write_bytes(data)

    def read() -> object:
        with Store.read(folder) as view:
            return view.replies([call(f"prompt {i}") for i in range(50)])

    with pytest.raises(StoreError, match=r"run\.sqlite is damaged.*restore"):
        read()


def test_create_refuses_a_folder_with_content_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"not empty \(it holds 'notes.txt'\)"):
        Store.create(tmp_path, kind="solve", config={}, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(StoreError, match="cannot be made"):
        Store.create(tmp_path / "notes.txt", kind="solve", config={}, seed=0)
    Store.create(tmp_path / "run", kind="solve", config={}, seed=0).close()
    with pytest.raises(
        StoreError, match="there is a run in this folder; go on with it by `docendo solve --resume"
    ):
        Store.create(tmp_path / "run", kind="solve", config={}, seed=0)


def test_a_run_that_could_not_be_made_leaves_the_folder_usable(folder: Path) -> None:
    with pytest.raises(StoreError, match="twice"):
        Store.create(folder, kind="solve", config={}, seed=0, taught=[TAUGHT[0], TAUGHT[0]])
    with pytest.raises(StoreError, match="not a run"):
        Store.read(folder)
    with Store.create(folder, kind="solve", config={}, seed=0, taught=TAUGHT) as store:
        assert tuple(store.problems()) == TAUGHT


# --- one writer ---------------------------------------------------------------------------------------------

HOLD = """
import sys
from docendo.store import Store
store = Store.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_writer_learns_who_the_first_is(folder: Path) -> None:
    Store.create(folder, kind="solve", config={}, seed=0).close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=rf"written by process {holder.pid}\b"):
            Store.open(folder)
        with Store.read(folder) as view:
            assert len(view.sessions()) == 2
        holder.kill()
        holder.wait()
        with Store.open(folder) as store:  # the dead hold nothing
            assert len(store.sessions()) == 3
            with pytest.raises(StoreError, match=rf"written by process {os.getpid()}\b"):
                Store.open(folder)
            with pytest.raises(StoreError, match="there is a run"):
                Store.create(folder, kind="solve", config={}, seed=0)
            store.record_replies([(call(), reply())])  # and the first is undisturbed
        Store.open(folder).close()


# --- kill -9 ------------------------------------------------------------------------------------------------

RECORD = """
import sys
from docendo.store import Store
from docendo.types import *
folder, first = sys.argv[1], int(sys.argv[2])
with Store.open(folder) as store:
    for i in range(first, 10**9):
        calls = [Call("m", f"prompt {i}", Sampling(), sample=k) for k in range(1 + i % 20)]
        store.record_sent(calls)
        store.record_replies([(c, Reply(f"text {i} {c.sample} " * 30, "stop")) for c in calls])
        if i % 10 == 0:
            store.add_problems([Problem(f"k{i}", "?")])
            store.finish_problem(f"k{i}", seconds=i)
        print(i, flush=True)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_acknowledged_outlives_kill_9(seed: int, folder: Path) -> None:
    Store.create(folder, kind="solve", config={}, seed=0).close()
    rng, first = random.Random(seed), 0
    for _ in range(3):
        with spawn(RECORD, folder, first) as child:
            assert child.stdout is not None
            line = child.stdout.readline()  # so that it dies at work and not at its start
            time.sleep(rng.uniform(0, 0.15))
            child.kill()
            acknowledged = range(first, int((line + child.stdout.read()).split()[-1]) + 1)
        with Store.read(folder) as view:  # as the kill left it
            for i in acknowledged:
                calls = [Call("m", f"prompt {i}", Sampling(), sample=k) for k in range(1 + i % 20)]
                assert view.replies(calls) == [
                    Reply(f"text {i} {k} " * 30, "stop") for k in range(len(calls))
                ]
                assert i % 10 or list(view.done(f"k{i}"))
            counts: dict[str, int] = {}
            for row in view.calls():
                counts[row.request] = counts.get(row.request, 0) + 1
            whole = [Call("m", f"prompt {i}", Sampling()).request for i in range(len(counts))]
            assert counts == {request: 1 + i % 20 for i, request in enumerate(whole)}, "no half transaction"
        first = len(counts)


CREATE = """
import sys
from docendo.store import Store
from docendo.types import *
print("ready", flush=True)
problems = [Problem(f"p{i}", "?" * 100) for i in range(3000)]
Store.create(sys.argv[1], kind="solve", config={}, seed=0, taught=problems)
print("made", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_while_a_run_is_made_leaves_a_whole_run_or_none(seed: int, folder: Path) -> None:
    with spawn(CREATE, folder) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.08))
        child.send_signal(signal.SIGKILL)
        child.wait()
    made = (folder / "run.sqlite").exists()
    again = Store.open(folder) if made else Store.create(folder, kind="solve", config={}, seed=0)
    with again as store:
        assert len(list(store.problems())) == (3000 if made else 0)
    assert [path.name for path in folder.iterdir()] == ["run.sqlite"]


# --- disks --------------------------------------------------------------------------------------------------


def test_a_full_disk_loses_nothing_and_says_what_to_do(store: Store, folder: Path) -> None:
    store.record_replies([(call(), reply())])
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    big = [(call("big", sample=i), reply("long " * 9000)) for i in range(3)]
    with pytest.raises(
        StoreError, match=r"disk is full; nothing that was recorded is lost.*`docendo solve --resume"
    ):
        store.record_replies(big)
    with pytest.raises(StoreError, match="disk is full"):
        store.finish_problem("p0", **facts("p0", samples=2000))
    assert not [*store.done(), *store.lessons(), *store.samples()], (
        "the problem that did not fit left nothing"
    )
    store.close()
    with Store.open(folder) as store:  # space was freed
        assert store.replies([call(), big[0][0]]) == [reply(), None]
        store.record_replies(big)
        assert store.reply(big[2][0]) == big[2][1]


AS_NOBODY = """
import os, sys
from docendo.errors import StoreError
from docendo.store import Store
with Store.read(sys.argv[1]):
    pass  # so that all modules are loaded: nobody may not be allowed to read them
if os.getuid() == 0:  # whom no permission stops
    os.setuid(65534)
for opening in (Store.open, lambda f: Store.create(f + "/new", kind="solve", config={}, seed=0)):
    try:
        opening(sys.argv[1])
    except StoreError as error:
        print(error)
with Store.read(sys.argv[1]) as view:
    print([problem.id for problem in view.problems()])
"""


def test_a_read_only_folder_cannot_be_written_but_read(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:  # not below tmp_path, into which nobody else may look
        folder = Path(place) / "run"
        Store.create(folder, kind="solve", config={}, seed=0, taught=TAUGHT).close()
        os.chmod(place, 0o755)
        os.chmod(folder, 0o555)
        with spawn(AS_NOBODY, folder) as child:
            assert child.stdout is not None
            lines = child.stdout.read().splitlines()
        os.chmod(folder, 0o755)
    assert len(lines) == 3, lines
    assert "cannot be written (Permission denied); nothing that was recorded is lost" in lines[0]
    assert "docendo solve --resume" in lines[0]
    assert "cannot be made (Permission denied); choose another folder" in lines[1]
    assert lines[2] == str([problem.id for problem in TAUGHT])


def test_a_view_needs_no_more_than_the_one_file(folder: Path, tmp_path: Path) -> None:
    with Store.create(folder, kind="solve", config=CONFIG, seed=7, taught=TAUGHT, exam=EXAM) as store:
        store.finish_problem("p0", **facts("p0"))
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "run.sqlite").write_bytes((folder / "run.sqlite").read_bytes())
    with RunView(tmp_path / "copy") as view, RunView(folder) as original:
        assert dataclasses.asdict(view.problem_record("p0")) == dataclasses.asdict(
            original.problem_record("p0")
        )
