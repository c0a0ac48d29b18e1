"""Figures and texts in words."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.cli.words import (
    amount,
    duration,
    listed,
    many,
    one_line,
    percent,
    plain,
    points,
    span,
    use_readable_streams,
)
from docendo.stats import Interval


@given(st.text(st.characters()))
def test_plain_text_cannot_steer_a_terminal(text: str) -> None:
    shown = plain(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    shown.encode("utf-8")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf"])))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_what_was_there_can_still_be_read() -> None:
    assert plain("a\x1b[31mb") == r"a\x1b[31mb"
    assert plain("left\u202eright") == r"left\u202eright"
    assert plain(None) == "none"


@given(st.text(st.characters()))
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        *((0, "0"), (999, "999"), (999.6, "1.0 k"), (1234, "1.2 k"), (99_940, "99.9 k"), (99_960, "100 k")),
        *((123_456, "123 k"), (12_345_678, "12.3 M"), (2e9, "2.0 G"), (3.1e12, "3.1 T")),
    ],
)
def test_amounts(number: float, shown: str) -> None:
    assert amount(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0:00"), (0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3723, "1:02:03")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_shares_points_and_spans() -> None:
    assert percent(0.7012) == "70.1 %"
    assert percent(None) == "–"
    assert [points(x) for x in (0.042, -0.042, 0.0001, -0.0001, None)] == ["+4.2", "−4.2", "0.0", "0.0", "–"]
    interval = Interval(0.5, -0.1, 0.25, 9, 9)
    assert span(interval, signed=True) == "−10.0 to +25.0"
    assert span(Interval(0.5, 0.4, 0.6, 9, 9)) == "40.0 – 60.0"
    assert span(Interval(0.5, None, None, 1, 1)) == "–"


def test_lists_and_counts() -> None:
    assert [listed(list(names)) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
    assert [many(n, "lesson") for n in (0, 1, 1200)] == ["0 lessons", "1 lesson", "1,200 lessons"]


def test_a_stream_without_unicode_gets_letters_that_can_be_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    use_readable_streams()
    print("✓ ✗ 1 × é 漢", flush=True)
    assert raw.getvalue().decode("ascii") == "+ - 1 x e ?\n"
