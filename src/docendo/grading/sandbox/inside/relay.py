"""Serves jobs where descriptors cannot travel: a container engine copies nothing but the bytes of two streams.

So the program's two pipes end outside, with whoever started both sandboxes. What is said to the program and what it
says back passes through this process's own standard input and output, among jobs and results: each frame comes after
another one that says whose it is.
"""

from __future__ import annotations

import os

from docendo.grading.sandbox.inside import wire

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Any

JOB, PROGRAM, ENDED, RESULT, OVER = b"job", b"program", b"program ended", b"result", b"over"
"""A job comes in; frames of the program go both ways until it ended or the job is over; results go out."""


def say(fd: int, what: bytes, frame: bytes = b"", deadline: float | None = None) -> None:
    """Write a frame and before it what it is; raises what `wire.write_frame` does."""
    wire.write_frame(fd, what, deadline)
    wire.write_frame(fd, frame, deadline)


def heard(fd: int, deadline: float | None = None) -> tuple[bytes, bytes] | None:
    """What comes next, and its frame; None at the end. Raises what `wire.read_frame` does."""
    what = wire.read_frame(fd, deadline)
    frame = None if what is None else wire.read_frame(fd, deadline)
    return None if what is None or frame is None else (what, frame)


def serve(do: Callable[[dict[str, Any], int, int, int], None]) -> None:
    """Do jobs until standard input ends, each in a fork.

    Args:
        do: does a job with descriptors to write to the program, to read from it, and to write results to.
    """
    while (found := heard(0)) is not None:
        if found[0] == JOB:
            _one(wire.unpack(found[1]), do)


def _one(job: dict[str, Any], do: Callable[[dict[str, Any], int, int, int], None]) -> None:
    import threading  # only here: other checkers start without it

    asked, told, results = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for fd in (asked[0], told[1], results[0]):
                os.close(fd)
            do(job, asked[1], told[0], results[1])
        finally:
            os._exit(0)
    for fd in (asked[1], told[0], results[1]):
        os.close(fd)
    # Threads, as any of the three may have to wait for its reader while the others must go on.
    lock = threading.Lock()
    asking = threading.Thread(target=_pass_out, args=(asked[0], PROGRAM, lock))
    asking.start()
    ending = threading.Thread(target=_end, args=(results[0], asking, child, lock))
    ending.start()
    _pass_in(told[1])
    ending.join()


def _pass_out(source: int, what: bytes, lock: threading.Lock) -> None:
    """Pass on what the fork says until it has ended."""
    try:
        while (frame := wire.read_frame(source)) is not None:
            with lock:
                say(1, what, frame)
    except wire.WireError:  # it was killed within a frame, or nobody listens any more
        pass
    finally:
        os.close(source)


def _end(results: int, asking: threading.Thread, child: int, lock: threading.Lock) -> None:
    """Pass on the results; then say that the job is done, after all that was said to the program in it."""
    _pass_out(results, RESULT, lock)
    asking.join()
    os.waitpid(child, 0)
    with lock:
        say(1, RESULT, wire.pack({"done": True}))


def _pass_in(target: int) -> None:
    """Pass on what the program says, until it has ended, or until we are told that nobody waits for it any more."""
    while (found := heard(0)) is not None:
        what, frame = found
        if what == PROGRAM and target >= 0:
            try:
                wire.write_frame(target, frame)
                continue
            except wire.WireError:  # the fork has ended
                what = ENDED
        if what in (ENDED, OVER) and target >= 0:
            os.close(target)
            target = -1
        if what == OVER:
            return
