"""What a failed request means: whether asking again can help, after how long, and what a user can do.

Pure functions of what came back; waiting, counting and giving up are `model`'s and `door`'s.
"""

from __future__ import annotations

import email.utils
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["rate", "busy", "down", "passing", "lasting", "fatal"]
"""`rate`: too many requests. `busy`: the server is overloaded. `down`: no connection. `passing`: anything else
that asking again may cure. `lasting`: this very call will never be answered. `fatal`: no call will be."""

_BUSY = (503, 529)
_PASSING = (408, 409, 423, 425)
_LATE = (408, 504, 524)  # whoever stands before the model did not wait for it any longer
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "account_deactivated")
_SHOWN = 500  # characters of a server's own words
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """A request that failed.

    `message` is for people. `wait` is how many seconds the server asks to stay away, None where it says nothing;
    `status` the HTTP status, None where there was none; `field` the request's field that the server refuses.
    `may_cost`: the request was sent whole and nobody refused it, so the server may have worked on it, and may bill it.
    """

    kind: Kind
    message: str
    wait: float | None = None
    status: int | None = None
    field: str | None = None
    may_cost: bool = False

    def said_by(self, who: str) -> Fault:
        """The same fault with a name before its message."""
        return replace(self, message=f"{who}: {self.message}")


def of_response(status: int, headers: Mapping[str, str], body: bytes, now: float | None = None) -> Fault:
    """What a response that is no success means.

    Args:
        status: HTTP status.
        headers: with lower-case names.
        body: as it came; any bytes.
        now: Unix time, for dates in headers.
    """
    code, said, field = _error_of(body)
    return _fault(status, code, said, field, wait_of(headers, now))


def in_body(error: Any) -> Fault:
    """An error that stands in the body of a successful response, as some routers send it."""
    code, said, field = _read(error)
    number = int(code) if code.isdigit() else 502
    return _fault(number if number >= 400 else 502, code, said, field, None)


def _fault(status: int, code: str, said: str, field: str | None, wait: float | None) -> Fault:
    words = said.lower()
    message = f"HTTP {status}" + (f" {code}" if code and code != str(status) else "") + f": {said}"
    kind: Kind
    if status == 429:
        kind = "fatal" if any(why in code or why in words for why in _NO_MONEY) else "rate"
    elif status in _BUSY:
        kind = "busy"
    elif status in _PASSING or (status >= 500 and status != 501):
        kind = "passing"
    elif status == 403 and ("moderation" in words or "flagged" in words):
        kind = "lasting"  # a router's verdict on this prompt, not on the key
    elif status in (401, 402, 403, 404, 405) or 300 <= status < 400:
        kind = "fatal"
    else:
        kind = "lasting"
    return Fault(kind, message, wait, status, field if kind == "lasting" else None, may_cost=status in _LATE)


def of_exception(error: BaseException) -> Fault:
    """What an exception of the HTTP library (or a timeout around it) means."""
    import httpx2

    why = f"{type(error).__name__}: {error}".removesuffix(": ") + _cause(error)
    if _is_tls(error):
        return Fault("fatal", f"the server's certificate cannot be verified ({why}). {TRUST}")
    if "WRONG_VERSION_NUMBER" in why:
        return Fault("fatal", f"the server does not speak https: write its address with http:// ({why})")
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError)):
        return Fault("fatal", f"the request cannot be made ({why})")
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)):
        return Fault("down", f"no connection ({why})")
    # Not where it broke off while it was sent: of a part of a request nobody makes anything.
    sent = isinstance(error, (httpx2.ReadTimeout, httpx2.ReadError, httpx2.RemoteProtocolError, TimeoutError))
    if isinstance(error, (httpx2.TimeoutException, TimeoutError)):
        return Fault("passing", f"no answer in time ({why})", may_cost=sent)
    return Fault("passing", f"the connection broke ({why})", may_cost=sent)


TRUST = (
    "A bare container has no trust store: install the system's (Debian: `apt-get install ca-certificates`), or "
    "`pip install certifi`, or name a bundle in SSL_CERT_FILE; for a private authority name its certificate there"
)


def _is_tls(error: BaseException | None) -> bool:
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _cause(error: BaseException) -> str:
    cause = error.__cause__
    while cause is not None and not str(cause):
        cause = cause.__cause__
    return f"; {cause}" if cause is not None and str(cause) not in str(error) else ""


def _error_of(body: bytes) -> tuple[str, str, str | None]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "", _short(body.decode("utf-8", "replace")), None
    if isinstance(value, dict) and "error" in value:
        return _read(value["error"])
    return _read(value)


def _read(error: Any) -> tuple[str, str, str | None]:
    """Code, words and refused field of an error object in any of the usual shapes."""
    if not isinstance(error, dict):
        return "", _short(error if isinstance(error, str) else json.dumps(error)), None
    said = next((error[k] for k in ("message", "detail", "error") if error.get(k)), error)
    said = said if isinstance(said, str) else json.dumps(said)
    param = error.get("param")
    code = error.get("code") or error.get("type") or ""
    return str(code), _short(said), param if isinstance(param, str) and param else None


def _short(text: str) -> str:
    text = " ".join(text.split()) or "no reason given"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


# --- how long a server asks to wait -----------------------------------------------------------------------


def wait_of(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that `retry-after-ms` or `Retry-After` (seconds or a date) ask to wait; None where neither does."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        then = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return max(0.0, then - (time.time() if now is None else now))


def pause_of(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds until a rate limit that its headers say is used up is filled again; None where none is.

    Read are `x-ratelimit-remaining-requests` and `-tokens` with their `x-ratelimit-reset-…` (as "1m2.5s"), and the
    plain `x-ratelimit-…` and `ratelimit-…` pairs, whose reset is seconds or a Unix time in seconds or milliseconds.
    """
    waits = []
    for prefix in ("x-ratelimit-", "ratelimit-"):
        for kind in ("-requests", "-tokens", ""):
            left = _number(headers.get(f"{prefix}remaining{kind}"))
            if left is not None and left < 1:
                waits.append(_reset(headers.get(f"{prefix}reset{kind}"), now))
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _reset(text: str | None, now: float | None) -> float | None:
    number = _number(text)
    if number is not None:
        at = number / 1000 if number > 1e11 else number
        return max(0.0, at - (time.time() if now is None else now)) if at > 1e8 else at
    return duration(text or "")


def duration(text: str) -> float | None:
    """Seconds of a text like "6m0s", "1.5s" or "20ms"; None where it is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None
