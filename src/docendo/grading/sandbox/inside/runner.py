"""Runs one program under test: a supervisor, and for each test a fresh fork of it in which the program is loaded.

It is given inputs and gives back outputs as data; what the outputs should be is never sent here, so there is nothing in
this process tree that a program could read, patch or print to pass a test that it does not pass. All it can do is
compute outputs, or fail to.

Frames come in on descriptor 0 and go out on descriptor 1; the program itself sees `/dev/null` or its test's own files.
"""

from __future__ import annotations

import gc
import os
import sys
import time

from docendo.grading.sandbox.inside import rights, wire

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import CodeType
    from typing import Any
else:
    import _signal as signal  # the enumerations of `signal` take longer than all else that starts here


MOST_OUTPUT = 1 << 20
_END, _ENDED = wire.pack("end"), wire.pack({"ended": True})


class suppress:
    """`contextlib.suppress` without the import."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._kind)


def main(settings: dict[str, Any]) -> None:
    """Give up rights, then serve the checker until it closes.

    Args:
        settings: what `rights.give_up` needs, and `cpu_seconds` and `seconds` of one test.
    """
    rights.give_up(settings)
    source, target = _move_channel()
    code = failure = None
    setup = ""
    while (frame := wire.read_frame(source)) is not None:
        message = wire.unpack(frame)
        if "program" in message:
            setup, (code, failure) = message["setup"], _compiled(message["program"])
            _import_early(message["imports"])
            gc.freeze()  # so that a fork's collections do not touch, and thereby copy, what all forks share
            wire.write_frame(target, wire.pack({"error": failure}))
        elif code is not None and ("records" in message or "stdin" in message):
            _one_test(message, frame, code, setup, source, target, settings)


def _move_channel() -> tuple[int, int]:
    source, target = os.dup(0), os.dup(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1):  # standard error is for the supervisor's own last words; a program gets it closed
        os.dup2(nothing, fd)
    os.close(nothing)
    return source, target


def _compiled(text: str) -> tuple[CodeType | None, list[Any] | None]:
    try:
        return compile(text, "program", "exec", dont_inherit=True), None
    except BaseException as error:
        return None, _described(error)


def _import_early(names: list[str]) -> None:
    """Import what the program will, once and not again in each fork; the checker names nothing but known modules."""
    for name in names:
        with suppress(ImportError):
            __import__(name)


def _described(error: BaseException) -> list[Any]:
    """What is told of an exception: its class's name, where the class comes from, its message, its line."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "program":
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        message = str(error)[:500]
    except BaseException:
        message = ""
    return [type(error).__name__, message, line]


def _one_test(
    message: dict[str, Any],
    frame: bytes,
    code: CodeType,
    setup: str,
    source: int,
    target: int,
    settings: dict[str, Any],
) -> None:
    """Fork, and relay frames between checker and fork until the test ends or its time is over."""
    deadline = time.monotonic() + settings["seconds"]
    cpu_seconds = settings["cpu_seconds"]
    down, up = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.dup2(0, 2)
            for fd in (source, target, down[1], up[0]):
                os.close(fd)
            rights.limit_cpu(cpu_seconds)
            if message["trial"]:
                rights.limit_trial(message["trial"])
            if "stdin" in message:
                _as_script(message["stdin"], code, setup, up[1])
            else:
                _serve(code, setup, message, down[0], up[1])
        finally:
            os._exit(0)
    os.close(down[0])
    os.close(up[1])
    os.set_blocking(down[1], False)
    dead = _relay(message, source, target, down[1], up[0], deadline)
    for fd in (down[1], up[0]):
        os.close(fd)
    out_of_cpu = _ended(child, cpu_seconds)
    if dead:
        late = dead == "time" or out_of_cpu
        wire.write_frame(target, wire.pack({"dead": "time" if late else "died"}))
    wire.write_frame(target, _ENDED)


def _ended(child: int, seconds: int) -> bool:
    """End a fork and its process group; return whether its processor time was over."""
    for kill in (os.killpg, os.kill):
        with suppress(OSError):
            kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    with suppress(ChildProcessError):  # orphans are ours, where we are the first process of a container
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    # One that ignores the signal is killed a second later, and looks as if it had been killed here.
    signalled = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGPROF)
    return signalled or used.ru_utime + used.ru_stime >= seconds


def _relay(
    message: dict[str, Any], source: int, target: int, down: int, up: int, deadline: float
) -> str | None:
    """Pass on what the fork says: first that the program is loaded (or ran to its end), then a frame for each request.

    Returns:
        Why it says no more, "time" or "died"; None where it was let go.
    """
    while True:
        try:
            answer = wire.read_frame(up, deadline)
        except wire.Late:
            return "time"
        except wire.WireError:
            return "died"
        if answer is None:
            return "died"
        wire.write_frame(target, answer)
        if "stdin" in message:
            return None
        frame = wire.read_frame(source)
        if frame is None or frame == _END:
            return None
        with suppress(wire.WireError):  # the next read says what became of it
            wire.write_frame(down, frame, deadline)


def _as_script(text: str, code: CodeType, setup: str, up: int) -> None:
    """Run the program whole, with `text` as its standard input, and send what it printed."""
    stdin, stdout = _scratch(text.encode("utf-8", "surrogatepass")), _scratch(b"")
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w")):
        file = open(fd, mode, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        setattr(sys, name, file)
    failure: list[Any] | None = None
    space: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(setup, space)
        exec(code, space)
    except SystemExit as error:
        failure = None if error.code in (None, 0) else _described(error)
    except BaseException as error:
        failure = _described(error)
    try:
        sys.stdout.flush()
    except BaseException as error:
        failure = failure or _described(error)
    size = os.fstat(stdout).st_size
    if size > MOST_OUTPUT:
        failure = ["OutputLimit", f"more than {MOST_OUTPUT} bytes were printed", None]
    printed = os.pread(stdout, min(size, MOST_OUTPUT), 0).decode("utf-8", "surrogateescape")
    wire.write_frame(up, wire.pack({"printed": printed, "error": failure}))


def _scratch(content: bytes) -> int:
    fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
    while content:
        content = content[os.write(fd, content) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _serve(code: CodeType, setup: str, message: dict[str, Any], down: int, up: int) -> None:
    """Load the program and give the names asked for with it, then answer one request after another.

    A request gets an attribute, or calls something.
    """
    kept: list[Any] = []
    space: dict[str, Any] = {"__name__": "program"}
    records = message["records"]

    def keep(value: Any) -> int:
        kept.append(value)
        return len(kept) - 1

    def answer(values: dict[str, Any]) -> None:
        try:
            packed = wire.pack(values, keep, records)
        except BaseException as error:
            packed = wire.pack({"error": _described(error)})
        wire.write_frame(up, packed)

    loaded: dict[str, Any]
    try:
        exec(setup, space)
        exec(code, space)
        loaded = {"names": {name: _found(space, name) for name in message["names"]}}
    except BaseException as error:
        loaded = {"error": _described(error)}
    answer(loaded)
    while (frame := wire.read_frame(down)) is not None:
        kinds = {name: space[name] for name in records if isinstance(space.get(name), type)}
        try:
            message = wire.unpack(frame, records=kinds, mine=kept.__getitem__)
            if message.get("trial"):
                rights.limit_trial(message["trial"])
            reply = _done(message, keep, records)
        except BaseException as error:
            reply = {"error": _described(error)}
        answer(reply)


def _done(message: dict[str, Any], keep: Callable[[Any], int], records: list[str]) -> dict[str, Any]:
    if "attribute" in message:
        return {"value": getattr(message["of"], message["attribute"])}
    args, kwargs = message["args"], message["kwargs"]
    before = wire.pack(args, keep, records)
    value = message["call"](*args, **kwargs)
    after = wire.pack(args, keep, records)
    return {"value": value} if before == after else {"value": value, "after": args}


def _found(space: dict[str, Any], name: str) -> Any:
    """A name of the program; a method's where only a class `Solution` has it, of a new instance."""
    kind, dot, method = name.partition("().")
    if dot:
        if kind in space or method not in space:
            return getattr(space[kind](), method)
        return space[method]
    if name not in space and isinstance(space.get("Solution"), type) and hasattr(space["Solution"], name):
        return getattr(space["Solution"](), name)
    if name not in space:
        raise NameError(f"name {name!r} is not defined")
    return space[name]
