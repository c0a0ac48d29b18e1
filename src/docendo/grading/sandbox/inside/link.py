"""The program under test as the tests see it: one process of it after another, and stand-ins for what is in it.

What is asked goes over one pipe and what comes back arrives by another, as plain data; `runner` is on their far side.
"""

from __future__ import annotations

import builtins
import time

from docendo.grading.sandbox.inside import extract, wire

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn


class OutOfTime(BaseException):
    """A test's time is over. No `Exception`, so that a test's own `except` cannot take it for an answer."""


class Died(BaseException):
    """The program's process ended while a test needed it."""


class ProgramError(Exception):
    """Something that the program raised and that is no exception of Python's own."""


class Inputs:
    """What the visible tests put into the program, in order, each once."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.texts: list[str] = []
        self._known: set[bytes] = set()

    def called(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], records: Iterable[str]
    ) -> None:
        """Take note of a call."""
        try:
            packed = wire.pack([name, list(args), kwargs], records=tuple(records))
        except wire.WireError:
            return
        if packed not in self._known:
            self._known.add(packed)
            self.calls.append(packed)


class Link:
    """The program under test, as seen from the tests: one process of it after another, a test each.

    `fault` is what the program's side tells of a program that cannot be compiled; `dead` says why nothing is heard from
    there any more.
    """

    def __init__(self, target: int, source: int, settings: dict[str, Any], job: dict[str, Any]) -> None:
        self._target, self._source, self._settings, self._job = target, source, settings, job
        self._deadline = 0.0
        self._state = "idle"  # or "loaded", "ending" (its process is over), "busy" (a reply is awaited)
        self.watch: Inputs | None = None
        self.fault: list[Any] | None = None
        self.dead: str | None = None
        self.records: dict[str, type] = {}
        self.seconds = settings["seconds"]

    def send_program(self, text: str) -> None:
        """Send the program over, to be compiled."""
        early = sorted(extract.imported(self._job["setup"]) | extract.imported(text))
        self._deadline = time.monotonic() + self._settings["seconds"] + 2
        try:
            reply = self._ask({"program": text, "setup": self._job["setup"], "imports": early})
            self._state, self.fault = "idle", reply.get("error")
        except (OutOfTime, Died):
            self.dead, self._state = "the program's process did not start, or died over its text", "idle"

    def load(self, names: Iterable[str], trial: float | None = None) -> dict[str, Any]:
        """Load the program in a fresh process, within `trial` seconds of processor time if given.

        Returns what these of its names stand for; raises what it raises, or that a name is not there.
        """
        reply = self._begin({"records": list(self.records), "names": list(names), "trial": trial})
        if reply.get("error"):
            reraise(reply["error"])
        found = reply.get("names")
        if type(found) is not dict or set(found) != set(names):
            raise Died("the program's process answers what was not asked")
        return found

    def run(self, text: str, trial: float | None = None) -> str:
        """Run the program whole in a fresh process, and return what it printed; raises what it raises."""
        reply = self._begin({"stdin": text, "trial": trial})
        self._state = "ending"
        if reply.get("error"):
            reraise(reply["error"])
        return str(reply.get("printed"))

    def _begin(self, message: dict[str, Any]) -> dict[str, Any]:
        self.end()
        if self.dead:
            raise Died(self.dead)
        if self.fault:
            reraise(self.fault)
        self._deadline = time.monotonic() + self._settings["seconds"] + 2
        return self._ask(message)

    def end(self) -> None:
        """Let the process go, if there is one; the link is ready for the next."""
        try:
            if self._state == "loaded":
                self._send(wire.pack("end"))
            elif self._state == "busy":
                raise wire.WireError("interrupted")
            while self._state != "idle":
                self._state = "idle" if "ended" in self._receive() else self._state
        except wire.WireError:
            self.dead, self._state = "the program's process no longer answers", "idle"

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """One request to the loaded program; raises what it raises."""
        reply = self._ask(message)
        if reply.get("error"):
            reraise(reply["error"])
        return reply

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._state = "busy"
        try:
            self._send(wire.pack(message, records=tuple(self.records), objects=(Remote,)))
            reply = self._receive()
        except wire.Late:
            raise OutOfTime from None
        except wire.WireError as error:
            raise Died(str(error)) from None
        self._state = "ending" if reply.get("dead") else "loaded"
        if reply.get("dead"):
            raise OutOfTime if reply["dead"] == "time" else Died("the program's process ended")
        return reply

    def _send(self, data: bytes) -> None:
        wire.write_frame(self._target, data, self._deadline)

    def _receive(self) -> dict[str, Any]:
        frame = wire.read_frame(self._source, self._deadline)
        if frame is None:
            raise wire.WireError("the program's process ended")
        reply = wire.unpack(frame, lambda left: Remote(self, left.number), self.records)
        if type(reply) is not dict:
            raise wire.WireError("a reply that is none")
        return reply


class Remote:
    """A function or object of the program: can be called, and asked for attributes; equal to nothing but itself."""

    def __init__(self, link: Link, number: int, name: str | None = None) -> None:
        self.__dict__.update(_link=link, number=number, _name=name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, and give the arguments that can change what it left in them."""
        link = self._link
        if link.watch is not None and self._name is not None:
            link.watch.called(self._name, args, kwargs, link.records)
        reply = link.ask({"call": self, "args": list(args), "kwargs": kwargs})
        for mine, now in zip(args, reply.get("after", ()), strict=False):
            _update(mine, now)
        return reply.get("value")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link.ask({"of": self, "attribute": name}).get("value")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"attributes of the program's objects cannot be set from a test ({name})")


def _update(mine: Any, now: Any) -> None:
    """Give an argument the contents it has in the program after the call."""
    if isinstance(mine, list) and isinstance(now, list):
        mine[:] = now
    elif isinstance(mine, (dict, set)) and type(now) is type(mine):
        mine.clear()
        mine.update(now)
    elif hasattr(mine, "__dict__") and type(now) is type(mine):
        vars(mine).clear()
        vars(mine).update(vars(now))


def reraise(error: list[Any]) -> NoReturn:
    """Raise what the program's side tells of: Python's own exceptions as themselves, others as `ProgramError`."""
    name, message, line = error
    kind: Any = getattr(builtins, str(name), None)
    at = f" (line {line} of the program)" if isinstance(line, int) else ""
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            raised = kind(f"{message}{at}")
        except Exception:
            raised = ProgramError(f"{name}: {message}{at}")
        raise raised
    raise ProgramError(f"{name}: {message}{at}")


# --- one test -----------------------------------------------------------------------------------------------
