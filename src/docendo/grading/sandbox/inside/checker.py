"""Runs a problem's tests against a program that runs elsewhere, and says of each test what came of it.

The program is in another sandbox (`runner`), reached through two pipes; what it returns arrives here as plain data, on
which comparisons cannot be tampered with. A test that needs the program's function is given a stand-in that sends the
arguments over and rebuilds what comes back. So a test passes here exactly if the outputs are right: a program cannot
patch what it does not share a process with.

One process serves job after job; each job is done in a fork, so that nothing is left of it, whatever it meets.
"""

from __future__ import annotations

import ast
import functools
import gc
import math
import os
import signal
import socket
import time

from docendo.grading.sandbox.inside import behaviour, extract, relay, rights, wire
from docendo.grading.sandbox.inside.link import Died, Inputs, Link, OutOfTime, Remote

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


ENOUGH_TIMEOUTS = 1  # of the tests of one list; the others then count as failed without being run
# Seconds of processor time to see how a program acts, on an input of the visible tests and on a changed one, which may
# be one on which it never ends.
GIVEN, CHANGED = 1.0, 0.25
EXTRACTION = 5.0  # seconds of processor time to find the program in a text
MOST_SHOWN = 300  # characters of a value in a description


def main(settings: dict[str, Any]) -> None:
    """Serve jobs from the socket on descriptor 0 until it closes; a job brings the program's two pipes with it.

    With the setting `relayed` there is no socket, and what the pipes carry comes and goes with everything else.
    """
    rights.give_up(settings)
    signal.signal(signal.SIGALRM, _late)
    signal.signal(signal.SIGVTALRM, _late)
    gc.freeze()  # so that a fork's collections do not touch, and thereby copy, what all forks share
    if settings["relayed"]:
        relay.serve(functools.partial(_do, settings))
        return
    with socket.socket(fileno=0) as door:
        while True:
            mark, pipes, _, _ = socket.recv_fds(door, 1, 2)
            if not mark:
                return
            job = wire.unpack(wire.read_frame(0) or b"")
            child = os.fork()
            if child == 0:
                try:
                    _do(settings, job, pipes[0], pipes[1], 0)
                finally:
                    os._exit(0)
            for fd in pipes:
                os.close(fd)
            os.waitpid(child, 0)
            wire.write_frame(0, wire.pack({"done": True}))


def _do(settings: dict[str, Any], job: dict[str, Any], target: int, source: int, results: int) -> None:
    """Do one job in this fork: talk to the program by two descriptors, write what came of it to a third."""
    rights.limit_cpu(int(settings["program_seconds"]) + 1)
    for result in _results(job, target, source, settings):
        wire.write_frame(results, wire.pack(result))


def _late(number: int, frame: object) -> None:
    raise OutOfTime


def _results(
    job: dict[str, Any], target: int, source: int, settings: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield {"program"} first, then {"list", "outcome", "detail"} of each test.

    Before these comes {"trouble"} where the program's side did not start; the behaviour key comes after the visible
    tests, as {"key"}.
    """
    known = extract.defined_names(job["setup"])
    signal.setitimer(signal.ITIMER_VIRTUAL, EXTRACTION)
    try:
        found = extract.find_program(job["text"], job["entry_point"], job["starter"], known)
    except OutOfTime:
        found = None
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if found is None or (job["truncated"] and not found.complete):
        yield {"program": None, "cut": found is not None}
        return
    yield {"program": found.source, "start": found.start}
    program = Link(target, source, settings, job)
    program.send_program(found.source)
    if program.dead:
        yield {"trouble": program.dead}
    inputs = Inputs()
    for name in ("visible", "hidden"):
        timeouts = 0
        for test in job[name]:
            if timeouts >= ENOUGH_TIMEOUTS:
                yield {"list": name, "outcome": "time", "detail": "not run, as one before it ran out of time"}
                continue
            outcome, detail = _outcome(test, program, job, inputs if name == "visible" else None)
            timeouts += outcome == "time"
            yield {"list": name, "outcome": outcome, "detail": detail}
        if name == "visible" and job["behaviour"]:
            yield {"key": _key(program, inputs, job["behaviour"], timeouts, found.source)}


def _outcome(
    test: dict[str, Any], program: Link, job: dict[str, Any], watch: Inputs | None
) -> tuple[str, str]:
    """What came of a test: "passed", "wrong", "error", "time" or "died", and why in words."""
    program.watch = watch
    signal.setitimer(signal.ITIMER_REAL, program.seconds + 4)
    try:
        if "stdin" in test:
            return _printed(test, program, watch)
        return _judged(test, _space(test, program, job), job)
    except OutOfTime:
        return "time", f"ran out of time: {_shown_test(test)}"
    except Died as error:
        return "died", f"{error}: {_shown_test(test)}"
    except BaseException as error:
        return "error", f"{_exception(error)}: {_shown_test(test)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        program.watch = None
        program.end()


def _space(test: dict[str, Any], program: Link, job: dict[str, Any]) -> dict[str, Any]:
    """The names that a test may use: those of the setup, and stand-ins for those of the program."""
    space: dict[str, Any] = {"__name__": "setup"}
    exec(compile(job["setup"], "setup", "exec"), space)
    program.records = {
        name: kind
        for name, kind in space.items()
        if isinstance(kind, type) and kind.__module__ == "setup" and kind.__name__ == name
    }
    wanted = set()
    source = test.get("assert") or test.get("check")
    if source:
        wanted = extract.missing_names(ast.parse(source)) - {"check"} - set(space)
    if job["entry_point"]:
        wanted.add(job["entry_point"])
    if job["entry_point"] and "args" not in test:
        wanted.discard("candidate")
    for name, value in program.load(sorted(wanted)).items():
        if isinstance(value, Remote):
            value = Remote(program, value.number, name)
        space[name] = value
        if name == job["entry_point"] and name.isidentifier():
            space["candidate"] = value
    return space


def _judged(test: dict[str, Any], space: dict[str, Any], job: dict[str, Any]) -> tuple[str, str]:
    if "args" in test:
        return _called(test, space[job["entry_point"]])
    try:
        exec(compile(test.get("assert") or test["check"], "test", "exec"), space)
        if "check" in test:
            space["check"](space[job["entry_point"]])
    except AssertionError as error:
        return "wrong", f"{_exception(error)}: {_shown_test(test)}"
    return "passed", ""


def _called(test: dict[str, Any], function: Callable[..., Any]) -> tuple[str, str]:
    # Copies by way of packing: what is told of the call below is what was put in.
    args, kwargs = wire.unpack(wire.pack([list(test["args"]), dict(test.get("kwargs", {}))]))
    got = function(*args, **kwargs)
    wanted, what = test.get("expected"), "returned"
    if "expected_args" in test:
        got, wanted, what = args, test["expected_args"], "left its arguments as"
    if same(got, wanted, test.get("unordered", False)):
        return "passed", ""
    shown = ", ".join([_shown(v) for v in test["args"]] + [f"{k}={_shown(v)}" for k, v in kwargs.items()])
    return "wrong", f"called with ({shown}) it {what} {_shown(got)}, not {_shown(wanted)}"


def _printed(test: dict[str, Any], program: Link, watch: Inputs | None) -> tuple[str, str]:
    if watch is not None and test["stdin"] not in watch.texts:
        watch.texts.append(test["stdin"])
    printed = program.run(test["stdin"])
    if _same_text(printed, test["stdout"]):
        return "passed", ""
    return (
        "wrong",
        f"given {_shown(test['stdin'])} it printed {_shown(printed)}, not {_shown(test['stdout'])}",
    )


def same(got: Any, wanted: Any, unordered: bool = False, depth: int = 0) -> bool:
    """Whether plain data are equal: lists and tuples alike, floats within one part in a billion."""
    if depth > 200:
        return False
    if isinstance(wanted, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(wanted):
            return False
        if unordered:
            left = list(got)
            for member in wanted:
                at = next((i for i, one in enumerate(left) if same(one, member, unordered, depth + 1)), None)
                if at is None:
                    return False
                del left[at]
            return True
        return all(same(a, b, False, depth + 1) for a, b in zip(got, wanted, strict=True))
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or got.keys() != wanted.keys():
            return False
        return all(same(got[k], wanted[k], unordered, depth + 1) for k in wanted)
    if isinstance(wanted, float) or isinstance(got, float):
        if not isinstance(got, (int, float)) or not isinstance(wanted, (int, float)):
            return False
        return got == wanted or math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-9)
    return not isinstance(got, Remote) and bool(got == wanted)


def _same_text(got: str, wanted: str) -> bool:
    """Line by line, white space at the ends apart; numbers that are written differently may be the same."""
    a, b = ([line.split() for line in text.rstrip().split("\n")] for text in (got, wanted))
    if len(a) != len(b):
        return False
    return all(len(x) == len(y) and all(map(_same_word, x, y)) for x, y in zip(a, b, strict=True))


def _same_word(a: str, b: str) -> bool:
    if a == b:
        return True
    if len(a) > 40 or len(b) > 40 or not ("." in a + b or "e" in a + b):
        return False
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-9)
    except ValueError:
        return False


def _exception(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}"[:MOST_SHOWN] if text else type(error).__name__


def _shown(value: Any) -> str:
    try:
        text = "an object" if isinstance(value, Remote) else repr(value)
    except Exception:
        text = "something"
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def _shown_test(test: dict[str, Any]) -> str:
    if "args" in test:
        return f"called with ({', '.join(_shown(v) for v in test['args'])})"
    if "stdin" in test:
        return f"given {_shown(test['stdin'])}"
    source = (test.get("assert") or "check(candidate)").strip()
    return source if len(source) <= MOST_SHOWN else source[:MOST_SHOWN] + "…"


# --- behaviour ----------------------------------------------------------------------------------------------


def _key(program: Link, inputs: Inputs, count: int, timeouts: int, source: str) -> str:
    if not inputs.calls and not inputs.texts:  # nothing is known of how it acts: only its like is like it
        return behaviour.key([("program", ast.dump(ast.parse(source)))])
    outcomes = [("fault", program.fault[0])] if program.fault else []
    for do in _actions(program, inputs, count):
        outcomes.append(_act(program, do))
        timeouts += outcomes[-1][0] == "time"
        if timeouts >= ENOUGH_TIMEOUTS or program.fault or program.dead:
            break
    program.end()
    return behaviour.key(outcomes)


def _actions(program: Link, inputs: Inputs, count: int) -> Iterator[Callable[[], Any]]:
    """What is done to see how a program acts, in a fixed order."""
    for text in inputs.texts:
        yield functools.partial(_words_printed, program, text, GIVEN)
    for text in behaviour.generated_texts(inputs.texts, count):
        yield functools.partial(_words_printed, program, text, CHANGED)
    calls = [wire.unpack(call, records=program.records) for call in inputs.calls]
    names, given = sorted({name for name, _, _ in calls}), len(calls)
    for name in names:
        own = [(args, kwargs) for called, args, kwargs in calls if called == name]
        new = behaviour.generated(own, count // len(names), tuple(program.records))
        calls += [[name, args, kwargs] for args, kwargs in new]
    session = Session(program, names)
    for i, (name, args, kwargs) in enumerate(calls):
        yield functools.partial(session.call, name, args, kwargs, GIVEN if i < given else CHANGED)


def _words_printed(program: Link, text: str, seconds: float) -> str:
    return " ".join(program.run(text, seconds).split())


class Session:
    """One process of the program for many calls, replaced when it dies and before its time can run out."""

    def __init__(self, program: Link, names: list[str]) -> None:
        self._program, self._names, self._until = program, names, 0.0
        self._functions: dict[str, Any] = {}

    def call(self, name: str, args: list[Any], kwargs: dict[str, Any], seconds: float) -> list[Any]:
        """Call a function of the program; returns its value, and its arguments where they changed."""
        if time.monotonic() > self._until:
            self._program.end()
            self._functions = self._program.load(self._names, GIVEN)
            self._until = time.monotonic() + self._program.seconds / 8
        self._until, until = (
            0.0,
            self._until,
        )  # a call that does not come back leaves no process to go on with
        try:
            function = self._functions[name]
            reply = self._program.ask({"call": function, "args": args, "kwargs": kwargs, "trial": seconds})
        except Exception:
            self._until = until
            raise
        self._until = until
        return [reply.get("value"), reply.get("after")]


def _act(program: Link, do: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "value", do()
    except OutOfTime:
        outcome = "time", None
    except Died:
        outcome = "died", None
    except Exception as error:
        return "error", type(error).__name__
    program.end()
    return outcome
