"""How the worker talks with the checker: it hands the program's pipes over, or passes on what they carry.

The former needs a socket between the two processes, and a container engine has none to offer: see `inside.relay`.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from docendo.grading.sandbox.inside import relay, wire


@dataclass(slots=True)
class Pipes:
    """Our ends of a program's two pipes: it reads what is written to `target`, and `source` has what it says."""

    target: int
    source: int

    def close(self) -> None:
        """Close them; safe to call twice."""
        for fd in (self.target, self.source):
            if fd >= 0:
                os.close(fd)
        self.target = self.source = -1


class Door(Protocol):
    """To one checker, which is started with `stdin` and `stdout`."""

    stdin: int
    stdout: int

    def started(self) -> None:
        """The checker has its ends; ours alone stay open."""

    def begin(self, job: dict[str, Any], program: Pipes, deadline: float) -> None:
        """Have a job done with a program; raises `WireError` where the checker is gone, `Late` at the deadline."""

    def hear(self, deadline: float, until_closed: int | None) -> dict[str, Any]:
        """What the checker says next, the last of a job being {"done"}.

        Raises:
            WireError: the checker ended; `Late` at the deadline.
            SystemExit: `until_closed` was closed.
        """

    def close(self) -> None:
        """Close our ends; the checker ends upon that."""


class Handed:
    """A socket, over which the program's pipes are handed to the checker: nothing stands between the two."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.stdin, self.stdout = self._theirs.fileno(), subprocess.DEVNULL

    def started(self) -> None:
        """See `Door`."""
        self._theirs.close()

    def begin(self, job: dict[str, Any], program: Pipes, deadline: float) -> None:
        """See `Door`; the pipes are the checker's from then on."""
        socket.send_fds(self._ours, [b"J"], [program.target, program.source])
        wire.write_frame(self._ours.fileno(), wire.pack(job), deadline)
        program.close()

    def hear(self, deadline: float, until_closed: int | None) -> dict[str, Any]:
        """See `Door`."""
        _ready([self._ours.fileno()], deadline, until_closed)
        frame = wire.read_frame(self._ours.fileno(), deadline)
        if frame is None:
            raise wire.WireError("the checker ended")
        message: dict[str, Any] = wire.unpack(frame)
        return message

    def close(self) -> None:
        """See `Door`."""
        self._ours.close()


class Relayed:
    """Two pipes, over which whatever passes between checker and program is passed on by us."""

    def __init__(self) -> None:
        self.stdin, self._down = os.pipe()
        self._up, self.stdout = os.pipe()
        self._program: Pipes | None = None
        os.set_blocking(self._down, False)  # or a deadline would not hold in the midst of a frame

    def started(self) -> None:
        """See `Door`."""
        os.close(self.stdin)
        os.close(self.stdout)

    def begin(self, job: dict[str, Any], program: Pipes, deadline: float) -> None:
        """See `Door`; the pipes stay ours."""
        os.set_blocking(program.target, False)
        self._program = program
        relay.say(self._down, relay.JOB, wire.pack(job), deadline)

    def hear(self, deadline: float, until_closed: int | None) -> dict[str, Any]:
        """See `Door`."""
        while True:
            program = self._program
            watched = [self._up] if program is None else [self._up, program.source]
            ready = _ready(watched, deadline, until_closed)
            if program is not None and program.source in ready:
                self._pass_to_checker(program, deadline)
            if self._up in ready:
                found = relay.heard(self._up, deadline)
                if found is None:
                    raise wire.WireError("the checker ended")
                what, frame = found
                if what == relay.RESULT:
                    return self._result(frame, deadline)
                self._pass_to_program(frame, deadline)

    def _result(self, frame: bytes, deadline: float) -> dict[str, Any]:
        message: dict[str, Any] = wire.unpack(frame)
        if "done" in message:
            self._program = None
            relay.say(self._down, relay.OVER, deadline=deadline)
        return message

    def _pass_to_checker(self, program: Pipes, deadline: float) -> None:
        try:
            frame = wire.read_frame(program.source, deadline)
        except wire.Late:
            raise
        except wire.WireError:  # it ended within a frame
            frame = None
        if frame is not None:
            relay.say(self._down, relay.PROGRAM, frame, deadline)
            return
        self._program = None
        relay.say(self._down, relay.ENDED, deadline=deadline)

    def _pass_to_program(self, frame: bytes, deadline: float) -> None:
        if self._program is None:
            return
        try:
            wire.write_frame(self._program.target, frame, deadline)
        except wire.Late:
            raise
        except wire.WireError:  # it has ended: what it said last is still to be read, and then its end
            return

    def close(self) -> None:
        """See `Door`."""
        os.close(self._down)
        os.close(self._up)


def _ready(watched: Sequence[int], deadline: float, until_closed: int | None) -> list[int]:
    """Which of the descriptors have something to say."""
    more = [until_closed] if until_closed is not None else []
    ready, _, _ = select.select([*watched, *more], [], [], max(0.0, deadline - time.monotonic()))
    if until_closed in ready:
        raise SystemExit
    if not ready:
        raise wire.Late("the time is over")
    return ready
