"""How figures are written: rounded for reading, with a true minus sign."""

from __future__ import annotations

NONE = "–"


def percent(share: float | None) -> str:
    """A share as a percentage."""
    return NONE if share is None else f"{100 * share:.1f}%"


def tick(share: float) -> str:
    """A round share, as at a scale."""
    return f"{round(100 * share, 2):g}%"


def step(difference: float) -> str:
    """A round difference in percentage points, as at a scale."""
    return f"{round(100 * difference, 2):+g}".replace("-", "−") if difference else "0"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, signed."""
    if difference is None:
        return NONE
    text = f"{100 * difference:+.1f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def count(number: float) -> str:
    """A whole number, thousands apart."""
    return f"{round(number):,}"


def plural(number: int, thing: str) -> str:
    """A number of things."""
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def millions(number: float) -> str:
    """A large number to three digits: 541 k, 1.44 M, 3.2 G, ..."""
    units = ["", " k", " M", " G", " T", " P", " E"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        units.pop(0)
    unit = units[0]
    digits = 0 if number >= 99.95 or not unit else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f}{unit}"


def times(factor: float | None) -> str:
    """How many times as much."""
    return NONE if factor is None else f"{factor:.2f}×" if factor < 9.995 else f"{factor:.1f}×"
