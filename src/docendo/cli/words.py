"""How figures and texts are put into words for a terminal; what is said is left to the callers.

Texts come from models and files: `plain` takes the sting out of control characters, so that nothing that was
sampled or read can move the cursor or recolour the screen.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docendo.stats import Interval

_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_ASCII = {"✓": "+", "✗": "-", "−": "-", "–": "-", "×": "x", "…": "...", "·": "|"}
_NAME = "docendo.ascii"


def plain(text: str | None, empty: str = "none") -> str:
    """`text` with control characters spelled out, new lines and tabs kept; `empty` where there is none."""
    if text is None:
        return empty
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str | None, empty: str = "none") -> str:
    """`plain` on a single line."""
    return " ".join(plain(text, empty).split())


def percent(share: float | None) -> str:
    """A share in [0, 1] as "70.1 %"."""
    return "–" if share is None else f"{100 * share:.1f} %"


def points(difference: float | None) -> str:
    """A difference of two shares as signed percentage points, "+4.2"."""
    if difference is None:
        return "–"
    shown = f"{100 * difference:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else shown.replace("-", "−")


def span(interval: Interval, *, signed: bool = False) -> str:
    """An interval's ends as "55.2 – 67.0" or, signed, "+1.1 to +7.3"; "–" where there is none."""
    if interval.low is None or interval.high is None:
        return "–"
    if signed:
        return f"{points(interval.low)} to {points(interval.high)}"
    return f"{100 * interval.low:.1f} – {100 * interval.high:.1f}"


def amount(number: float) -> str:
    """A count in at most five characters or so: "950", "12.3 k", "4.6 M", "1.2 G"."""
    for unit in ("", " k", " M", " G"):
        if number < 999.5:
            return f"{number:.{0 if not unit or number >= 99.95 else 1}f}{unit}"
        number /= 1000
    return f"{number:,.1f} T"


def duration(seconds: float) -> str:
    """Seconds as "0:42", "12:05" or "1:02:03"."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def listed(names: list[str]) -> str:
    """Names as a person would say them: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def many(count: int, noun: str) -> str:
    """A count with its noun: "1 lesson", "1,200 lessons"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def use_readable_streams() -> None:
    """Let stdout and stderr write something readable where their encoding lacks a character."""
    codecs.register_error(_NAME, _readable)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_NAME)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_ASCII.get(letter) or _nearest(letter) for letter in lost), error.end


def _nearest(letter: str) -> str:
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if base.isascii() else "?"
