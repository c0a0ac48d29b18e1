"""A process that judges programs one after another: it starts sandboxes, hands them to each other, and ends them.

It runs neither programs nor tests itself. For each job it starts a fresh sandbox for the program and passes its two
pipes to the checker, which waits in a sandbox of its own; what the checker says comes back to whoever started this
process, over standard input and output. Started as `python -m docendo.grading.sandbox.worker`.
"""

from __future__ import annotations

import contextlib
import functools
import marshal
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from docendo.grading.sandbox import cgroup
from docendo.grading.sandbox.base import Limits, Sandbox, Start
from docendo.grading.sandbox.choose import named
from docendo.grading.sandbox.door import Door, Handed, Pipes, Relayed
from docendo.grading.sandbox.inside import wire

_RUNNER = ("wire", "rights", "runner")
_CHECKER = ("wire", "rights", "extract", "behaviour", "link", "relay", "checker")
_HOME = "docendo.grading.sandbox.inside"
# Stands in for the packages above, of which nothing else is there.
_MODULES = (
    "p=''\n"
    f"for n in '{_HOME}'.split('.'):\n"
    " p+=n;k=sys.modules[p]=type(sys)(p);k.__path__=[];p+='.'\n"
    "h=k\n"
    "for n,c in m:\n"
    " k=sys.modules[p+n]=type(sys)(p+n);setattr(h,n,k);exec({},k.__dict__)\n"
    "k.main(s)"
)
_LOAD = "import sys,marshal\nm,s=marshal.loads(bytes.fromhex(''.join(sys.argv[1:])))\n" + _MODULES.format("c")
_COMPILE = "import sys,ast\nm,s=ast.literal_eval(''.join(sys.argv[1:]))\n" + _MODULES.format(
    "compile(c,n,'exec')"
)
_LONGEST = 100_000  # of one argument; the kernel takes 128 KiB
_PATIENCE = 2.0  # seconds for a container to end by itself


def command_of(start: Start, modules: tuple[str, ...], settings: dict[str, Any]) -> list[str]:
    """The whole command that starts a sandbox and in it some of the modules of `inside`; the last one's `main` runs."""
    own: dict[str, Any] = {"uid": start.uid, "relayed": start.relayed, "filters": tuple(start.filters)}
    if start.relayed:  # the engine counts a container's; the system would count all containers' together
        own["processes"] = None
    given = tuple(sorted((settings | own).items()))
    return [*start.command, *_sent(modules, given, start.same_python)]


@functools.lru_cache(8)
def _sent(modules: tuple[str, ...], settings: tuple[tuple[str, Any], ...], same_python: bool) -> list[str]:
    """What Python is given to run: a loader, and in the arguments after it the modules and the last one's settings."""
    if same_python:
        load, text = _LOAD, marshal.dumps(([(name, _code(name)) for name in modules], dict(settings))).hex()
    else:
        load, text = _COMPILE, repr(([(name, _source(name)) for name in modules], dict(settings)))
    return [load, *(text[i : i + _LONGEST] for i in range(0, len(text), _LONGEST))]


@functools.cache
def _source(name: str) -> str:
    return (resources.files("docendo.grading.sandbox") / "inside" / f"{name}.py").read_text("utf-8")


@functools.cache
def _code(name: str) -> Any:
    return compile(_source(name), name, "exec", dont_inherit=True, optimize=2)


@dataclass(slots=True)
class _Fresh:
    """A sandbox that no program has been in yet, with our ends of its two pipes; and when it was done with."""

    process: subprocess.Popen[bytes]
    start: Start
    pipes: Pipes
    over: float = 0.0

    def overdue(self) -> bool:
        """Whether it should have ended by now."""
        return time.monotonic() - self.over > _PATIENCE


class Judge:
    """One checker, kept from job to job, and a fresh sandbox for the program of each.

    Where jobs follow each other the next one's sandbox is started while the present one is at work, and the last one's
    end is waited for then too: starting and ending is waiting for the kernel for the most part.

    Args:
        sandbox: the isolation.
        limits: of each program.
    """

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self._sandbox, self._limits = sandbox, limits
        self._settings = {name: getattr(limits, name) for name in Limits.__slots__}
        self._checker: tuple[subprocess.Popen[bytes], Door, Start] | None = None
        self._next: _Fresh | None = None
        self._ending: list[_Fresh] = []
        self._jobs = 0

    def judge(self, job: dict[str, Any], until_closed: int | None = None) -> dict[str, Any]:
        """Judge one job; `until_closed` is a descriptor whose end means that nobody waits for the result any more.

        Returns:
            What `checker` yields, gathered, and "ended": "done", "late" (the time for the whole program was over) or
            "broken" (a sandbox did not start or died; "trouble" then has what it said).
        """
        door = self._door()
        own = self._fresh()
        result: dict[str, Any] = {"program": None, "start": 0, "cut": False, "key": None, "ended": "done"}
        result |= {"visible": [], "hidden": [], "trouble": ""}
        deadline = time.monotonic() + self._limits.program_seconds
        try:
            door.begin(job, own.pipes, deadline)
            self._meanwhile()
            while _gather(result, door.hear(deadline, until_closed)):
                pass
        except wire.Late:
            result["ended"] = "late"
        except (wire.WireError, OSError):
            result["ended"] = "broken"
        finally:
            own.pipes.close()
            if own.start.stop is None:
                _kill(own.process)
            own.over = time.monotonic()
            self._ending.append(own)
        if result["ended"] != "done":
            said = self._reap(patience=0.0)
            result["trouble"] = self.close(patience=0.0) or said
        elif result["program"] is not None and _never_started(result):
            result["trouble"] = self._reap() or result["trouble"]
        return result

    def _meanwhile(self) -> None:
        """What can be done while the checker is at work: see the last sandbox out, and start the next."""
        self._reap_ended()
        self._jobs += 1
        if self._jobs > 1:  # the first job is often the only one
            with contextlib.suppress(OSError):  # no fault of the job at work; the next one will tell of it
                self._next = self._started()

    def _fresh(self) -> _Fresh:
        """The sandbox that was started beforehand, unless it died while it waited, or a new one."""
        fresh, self._next = self._next, None
        if fresh is not None and fresh.process.poll() is not None:
            self._discard(fresh)
            fresh = None
        return fresh or self._started()

    def _reap(self, patience: float = _PATIENCE) -> str:
        """Wait for the end of the sandboxes that are not seen out yet; returns what the last one said."""
        said = ""
        while self._ending:
            over = self._ending.pop(0)
            said = _end(over.process, over.start, patience)
        return said

    def _reap_ended(self) -> None:
        """`_reap` where that takes no time: a container ends by itself, if it does, while the next job is done."""
        for over in list(self._ending):
            if over.start.stop is None or over.process.poll() is not None or over.overdue():
                self._ending.remove(over)
                _end(over.process, over.start, 0.0)

    def _discard(self, fresh: _Fresh) -> None:
        fresh.pipes.close()
        _end(fresh.process, fresh.start)

    def _door(self) -> Door:
        if self._checker is None:
            start = self._sandbox.start(self._limits, 0)
            door = Relayed() if start.relayed else Handed()
            try:
                process = _spawn(start, _CHECKER, self._settings, door.stdin, door.stdout)
            except BaseException:
                door.close()
                raise
            finally:
                door.started()
            self._checker = process, door, start
        return self._checker[1]

    def _started(self) -> _Fresh:
        down, target = os.pipe()
        source, up = os.pipe()
        # Two programs' sandboxes may be there at once, and get different users.
        start = self._sandbox.start(self._limits, 1 + self._jobs % 2)
        try:
            process = _spawn(start, _RUNNER, self._settings, down, up)
        finally:
            os.close(down)
            os.close(up)
        return _Fresh(process, start, Pipes(target, source))

    def close(self, patience: float = _PATIENCE) -> str:
        """End all there is, and return what the checker had to say (on standard error) of its end."""
        checker, self._checker = self._checker, None
        if checker is not None:
            checker[1].close()  # so that it may be ending while the others are waited for
        if self._next is not None:
            self._discard(self._next)
            self._next = None
        self._reap(patience)
        return _end(checker[0], checker[2], patience) if checker is not None else ""


def _never_started(result: dict[str, Any]) -> bool:
    return all(outcome == "died" for outcome, _ in (*result["visible"], *result["hidden"]))


def _gather(result: dict[str, Any], message: dict[str, Any]) -> bool:
    """Add what the checker said to the result; False once it has said all."""
    if "done" in message:
        return False
    if "list" in message:
        result[message["list"]].append((message["outcome"], message["detail"]))
    else:
        result.update(message)
    return True


def _spawn(
    start: Start, modules: tuple[str, ...], settings: dict[str, Any], stdin: int, stdout: int
) -> subprocess.Popen[bytes]:
    doors: list[int] = []
    try:
        doors = cgroup.entrances(start.groups)
        return subprocess.Popen(
            command_of(start, modules, settings),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=start.pass_fds,
            cwd=start.folder,
            start_new_session=True,
            # Safe here: this process has one thread. The child goes in itself, so that nothing of it starts outside.
            preexec_fn=functools.partial(_enter, doors) if doors else None,
        )
    except (OSError, subprocess.SubprocessError) as error:
        cgroup.remove(start.groups)
        raise OSError(f"a sandbox cannot be started ({error})") from error
    finally:
        for fd in (*doors, *start.pass_fds):
            os.close(fd)


def _enter(groups: list[int]) -> None:
    for group in groups:
        os.write(group, b"0")


def _end(process: subprocess.Popen[bytes], start: Start, patience: float = _PATIENCE) -> str:
    """End a sandbox with everything in it; return the end of what it wrote to standard error."""
    if start.stop is not None:
        _stop(process, start.stop, patience)
    _kill(process)
    process.wait()
    cgroup.remove(start.groups)
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    with process.stderr as stream:
        said = stream.read(4096) or b""
    return said.decode("utf-8", "replace").strip()[-500:]


def _stop(process: subprocess.Popen[bytes], command: Sequence[str], patience: float) -> None:
    """See a container out. Its input is closed, upon which it ends by itself, at a lower price than if it is made to.

    What started it is not killed while that can be helped: it may be about to make the container, or to remove it.
    """
    for seconds in (patience, 1.0, 5.0):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if process.returncode == 0:
            return
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if process.returncode is not None:
            return


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # not waited for, so that the number is still its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    """Judge jobs from standard input until it closes; the first frame says in which sandbox, within which limits."""
    settings = wire.unpack(wire.read_frame(0) or b"")
    judge = Judge(named(settings["sandbox"]), Limits(**settings["limits"]))
    try:
        while (frame := wire.read_frame(0)) is not None:
            wire.write_frame(1, wire.pack(judge.judge(wire.unpack(frame), until_closed=0)))
    finally:
        judge.close()


if __name__ == "__main__":
    main()
