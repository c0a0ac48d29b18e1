"""What a failure means, and how long a server asks to wait."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.models.endpoint import faults

httpx2 = pytest.importorskip("httpx2")


def of(status: int, said: Any = "no", **headers: str) -> faults.Fault:
    body = json.dumps({"error": said if isinstance(said, dict) else {"message": said}}).encode()
    return faults.of_response(status, {k.replace("_", "-"): v for k, v in headers.items()}, body, now=1e9)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (429, "slow down", "rate"),
        (429, {"message": "You exceeded your quota", "code": "insufficient_quota"}, "fatal"),
        (503, "overloaded", "busy"),
        (529, "overloaded", "busy"),
        (408, "timeout", "passing"),
        (409, "conflict", "passing"),
        (500, "oops", "passing"),
        (502, "bad gateway", "passing"),
        (504, "too slow", "passing"),
        (400, "maximum context length is 8192 tokens", "lasting"),
        (413, "too large", "lasting"),
        (422, "not valid", "lasting"),
        (501, "not implemented", "lasting"),
        (401, "bad key", "fatal"),
        (402, "no credit", "fatal"),
        (403, "not yours", "fatal"),
        (403, "your input was flagged", "lasting"),
        (404, "no such model", "fatal"),
        (405, "not here", "fatal"),
        (301, "moved", "fatal"),
    ],
)
def test_a_status_says_whether_asking_again_helps(status: int, said: Any, kind: str) -> None:
    fault = of(status, said)
    assert (fault.kind, fault.status) == (kind, status)
    assert (said["message"] if isinstance(said, dict) else said) in fault.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "no such field", "param": "top_k"}}',
        b'{"message": "no such field", "param": "top_k"}',
        b'{"detail": "no such field", "param": "top_k"}',
    ],
)
def test_the_servers_words_and_the_field_it_names_are_found(body: bytes) -> None:
    fault = faults.of_response(400, {}, body)
    assert "no such field" in fault.message
    assert fault.field == "top_k"


def test_long_or_strange_words_are_made_short() -> None:
    assert len(faults.of_response(500, {}, b"<p>\xff" + b"x\n" * 10**6).message) < 600
    assert faults.of_response(500, {}, b"").message == "HTTP 500: no reason given"
    assert "field required" in faults.of_response(422, {}, b'{"detail": [{"msg": "field required"}]}').message


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.25"}, 0.25),
        ({"retry_after_ms": "250", "retry_after": "1"}, 0.25),
        ({"retry_after": "Sun, 09 Sep 2001 01:47:10 GMT"}, 30.0),
        ({"retry_after": "Sun, 09 Sep 2001 01:46:10 GMT"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
    ],
)
def test_a_server_may_ask_to_wait_in_seconds_or_until_a_date(headers: Any, wait: float | None) -> None:
    assert of(429, **headers).wait == wait


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "20s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000012000"}, 12.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "5"}, 5.0),
        ({"ratelimit-remaining": "0"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, None),
    ],
)
def test_rate_headers_say_when_there_is_room_again(headers: Any, pause: float | None) -> None:
    assert faults.pause_of(headers, now=1e9) == pause


@given(st.text(), st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text()))
def test_no_header_is_too_strange_to_be_read(text: str, headers: dict[str, str]) -> None:
    wait = faults.wait_of(headers)
    assert wait is None or 0 <= wait < float("inf")
    faults.pause_of({"x-ratelimit-remaining": text, "x-ratelimit-reset": text} | headers)
    faults.duration(text)


def test_exceptions_are_told_apart() -> None:
    kinds = {
        httpx2.ConnectError("refused"): "down",
        httpx2.ConnectTimeout("slow"): "down",
        httpx2.ReadTimeout("slow"): "passing",
        TimeoutError(): "passing",
        httpx2.RemoteProtocolError("peer closed connection"): "passing",
        httpx2.ReadError(""): "passing",
        httpx2.UnsupportedProtocol("ftp"): "fatal",
        httpx2.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"): "fatal",
    }
    assert {error: faults.of_exception(error).kind for error in kinds} == kinds


def test_a_certificate_that_cannot_be_verified_says_what_to_install() -> None:
    error = httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.__cause__ = ssl.SSLCertVerificationError("unable to get local issuer certificate")
    fault = faults.of_exception(error)
    assert fault.kind == "fatal"
    for what in ("ca-certificates", "certifi", "SSL_CERT_FILE"):
        assert what in fault.message
