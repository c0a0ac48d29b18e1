"""The grader's worker process: answers questions about mathematical answers, one JSON line each.

Started by `judge.py` as `python -m docendo.grading.worker`. What models wrote is handed to a parser of our own
(`forms.py`, `gold.py`) and, where that cannot read it, to math-verify's, which is large, slow and not ours: so both run
here, where the kernel ends a question that takes too much processor time or memory, and where an audit hook refuses to
compile or run a text as a program. The process ends with its stdin, also in the middle of a question.

A line in is `["key", text]` or `["same", gold, answer]`; a line out is `{"answer": ...}`, or `{"failed": reason}`, or
`{"broken": reason}` where the installation is at fault.
"""

from __future__ import annotations

import json
import math
import os
import queue
import re
import resource
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

SECONDS = 3
"""Processor time that one question may take."""
MEMORY = 1 << 30
"""Bytes of address space."""

# Events of `sys.addaudithook` that no question may cause; `exec` is looked at more closely.
_FORBIDDEN = frozenset(
    ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.remove", "os.spawn", "os.system", "pty.spawn")
) | frozenset(("shutil.rmtree", "socket.connect", "subprocess.Popen"))
_shut = False


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that a library prints may look like an answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the limit is not kept or counts what is not ours
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    sys.addaudithook(_refuse)
    while True:
        reply = _reply(json.loads(lines.get()))
        answers.write(json.dumps(reply).encode() + b"\n")
        answers.flush()


def _listen(lines: queue.SimpleQueue[bytes]) -> None:
    """Pass lines on, and end the process with its parent, whatever it is computing."""
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def _reply(question: Sequence[str]) -> dict[str, Any]:
    global _shut
    try:
        from docendo.grading import gold  # imported before the clock starts
    except ImportError as error:
        return {"broken": str(error)}
    try:
        _limit_time()
        _shut = True
        if question[0] == "key":
            return {"answer": _key(question[1])}
        found = gold.same(question[1], question[2])
        if found is not None:
            return {"answer": found}
        _shut = False
        verify = _verifier()
        _limit_time()
        _shut = True
        return {"answer": verify(question[1], question[2])}
    except ImportError as error:
        return {"broken": str(error)}
    except MemoryError:
        return {"failed": f"it took more than {MEMORY >> 20} MB of memory"}
    except Exception as error:
        return {
            "failed": f"a fault in the grader, please report it: {type(error).__name__}: {str(error)[:200]}"
        }
    finally:
        _shut = False


def _key(text: str) -> str | None:
    from docendo.grading import forms
    from docendo.grading.arithmetic import Unreadable

    try:
        return forms.form(text).key
    except Unreadable:
        return None


def _limit_time() -> None:
    """From now on `SECONDS` of processor time, of which the kernel counts whole ones: then it ends us."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + SECONDS, hard))


_verify: Any = None


def _verifier() -> Any:
    """Import math-verify (a second of processor time, and 60 MB) with the first question that needs it."""
    global _verify
    if _verify is None:
        import logging

        import math_verify.parser
        from math_verify import LatexExtractionConfig, parse, verify
        from sympy.parsing import sympy_parser

        logging.disable(logging.CRITICAL)
        readers = [LatexExtractionConfig(boxed_match_priority=0)]

        def same(gold: str, answer: str) -> bool:
            pair = [
                parse(f"\\boxed{{{x}}}", readers, fallback_mode="no_fallback", parsing_timeout=None)
                for x in (gold, answer)
            ]
            return bool(pair[0] and pair[1] and verify(pair[0], pair[1], timeout_seconds=None))

        for examples in (
            ("x^2+1", "(x+1)^2-2x"),
            (r"\{1, 2\}", "[1, 2)"),
            ("x<2", "x+1<y"),
            ("y=x", "2y=2x+1"),
        ):
            same(*examples)  # so that what is imported late is imported now, with sympy as it is
        # sympy reads every text with this function, which ends in Python's `eval`; all that math-verify's reader of
        # LaTeX needs of it is numbers. Its reader of plain expressions needs more, and is not used.
        sympy_parser.parse_expr = math_verify.parser.parse_expr = _plain_number
        _verify = same
    return _verify


def _plain_number(text: str, *rest: Any, **options: Any) -> Any:
    """Stand in for sympy's `parse_expr`: a number is itself, and everything else is refused."""
    import sympy

    if re.fullmatch(r"[0-9]{1,400}", text):
        return sympy.Integer(int(text))
    if re.fullmatch(r"[0-9]{0,400}\.[0-9]{0,400}", text) and len(text) > 1:
        return sympy.Float(text)
    raise ValueError(f"not a number: {text[:40]!r}")


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse, while a question is answered, what only a text run as a program would do."""
    if not _shut:
        return
    code = getattr(arguments[0], "co_filename", "") if event == "exec" else ""
    # A module that is imported late is code from a file, or frozen; what `eval` and `exec` compile is from "<string>".
    made_up = code.startswith("<") and not code.startswith("<frozen")
    if event in _FORBIDDEN or made_up:
        raise RuntimeError(f"refused in the grader's worker: {event}")


if __name__ == "__main__":
    main()
