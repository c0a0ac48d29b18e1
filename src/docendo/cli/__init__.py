"""The command line: parse, call the API, show. No logic of the method is here.

This module turns what went wrong into a message and an exit code; the commands are imported when they run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module

from docendo.cli.arguments import parser
from docendo.cli.words import plain, use_readable_streams
from docendo.errors import DocendoError

__all__ = ["main", "parser"]

_HOME = {
    "solve": "solve",
    "score": "solve",
    "refine": "refine",
    "report": "show",
    "show": "show",
    "study": "study",
    "pilot": "pilot",
    "tune": "tune",
    "data": "data",
    "prompts": "prompts",
}
_TRACEBACK = "DOCENDO_TRACEBACK"
_FAULT, _INTERRUPTED, _BROKEN_PIPE, _TERMINATED = 70, 130, 141, 143


class _Terminated(KeyboardInterrupt):
    """SIGTERM: a cluster's time limit, a container that is stopped. What Ctrl-C ends well this does, too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments, by default those of the process.

    Returns:
        The exit code: 0, the error's own (see `docendo.errors`), 70 for a fault in docendo, 130 after Ctrl-C,
        141 where whoever read the output went away, 143 after SIGTERM.

    Raises:
        SystemExit: from argparse, after --help and --version (0) and for wrong arguments (2).
    """
    use_readable_streams()
    top = parser()
    arguments = top.parse_args(argv)
    if arguments.command is None:
        top.print_help(sys.stderr)
        return 2
    try:
        with _sigterm_raises():
            command = getattr(import_module(f"docendo.cli.{_HOME[arguments.command]}"), arguments.command)
            command(arguments)
            sys.stdout.flush()
        return 0
    except BrokenPipeError:
        # Python flushes stdout once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except DocendoError as error:
        _say(error, str(error))
        return error.exit_code
    except _Terminated as error:
        _say(error, "ended by SIGTERM")
        return _TERMINATED
    except KeyboardInterrupt as error:
        _say(error, "interrupted")
        return _INTERRUPTED
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            traceback.print_exception(error)
        where = "" if os.environ.get(_TRACEBACK) else f"; {_TRACEBACK}=1 shows where"
        _say(error, f"a fault in docendo: {type(error).__name__}: {error}{where}. Please report it.")
        return _FAULT


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """The first SIGTERM is an exception, a second one ends the process; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)  # None: not Python's own


def _say(error: BaseException, message: str) -> None:
    """The message and what to do next, which the commands leave as notes on the error."""
    for line in (f"docendo: {message}", *getattr(error, "__notes__", ())):
        print(plain(line), file=sys.stderr)
