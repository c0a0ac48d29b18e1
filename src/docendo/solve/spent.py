"""What a run was asked to pay: calls, tokens and money by model and purpose, read from the store.

What an arm *would* cost alone is in `facts`; this is the bill, failed calls included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docendo.models.budget import currency_of, money
from docendo.models.spec import ENDPOINTS, ModelSpec, Prices
from docendo.solve.plan import Settings
from docendo.store import RunView
from docendo.types import Usage


@dataclass(frozen=True, slots=True)
class Item:
    """What one model was asked for one purpose. `money` is None where the model has no prices.

    `given_up` counts requests that were sent and then given up (no answer in time, a connection that broke, an answer
    that could not be read), `cut_off` calls that were on their way when the run was cut and that were asked again. The
    server may bill both; what they cost nobody said, so they are in none of the other figures.
    """

    model: str
    purpose: str
    calls: int
    failed: int
    usage: Usage
    money: float | None
    given_up: int = 0
    cut_off: int = 0


@dataclass(frozen=True, slots=True)
class Bill:
    """All items of a run, and their currency (None where no model has prices)."""

    items: Sequence[Item]
    currency: str | None

    @property
    def money(self) -> float | None:
        """The sum of what has a price; None where nothing has."""
        known = [item.money for item in self.items if item.money is not None]
        return sum(known) if known else None

    def unknown(self) -> str | None:
        """In words: what the server may bill beside this; None where there is no such thing."""
        given_up, cut_off = (sum(getattr(i, which) for i in self.items) for which in ("given_up", "cut_off"))
        parts = [f"{given_up:,} requests were given up after they had been sent"] if given_up else []
        parts += (
            [f"{cut_off:,} calls were on their way when the run was cut, and asked again"] if cut_off else []
        )
        if not parts:
            return None
        return f"{'; '.join(parts)}. The server may have billed them too; they are not in this bill."

    def json(self) -> dict[str, object]:
        """Plain values, for `--json`."""
        return {
            "money": self.money,
            "currency": self.currency,
            "items": [
                {
                    "model": item.model,
                    "purpose": item.purpose,
                    "calls": item.calls,
                    "failed": item.failed,
                    "prompt": item.usage.prompt,
                    "cached": item.usage.cached,
                    "completion": item.usage.completion,
                    "reasoning": item.usage.reasoning,
                    "money": item.money,
                    "given_up": item.given_up,
                    "cut_off": item.cut_off,
                }
                for item in self.items
            ],
        }


def bill(view: RunView) -> Bill:
    """Read a run's bill."""
    specs = Settings.of(view.config["settings"]).models
    prices = {name: spec.prices for name, spec in specs.items() if spec.prices is not None}
    calls: dict[tuple[str, str], tuple[int, int, Usage]] = {}
    for row in view.totals():
        calls[row.model, row.purpose] = (row.calls, 0, row.usage)
    for error in view.errors():
        key = error.model, error.purpose
        good, failed, usage = calls.get(key, (0, 0, Usage()))
        calls[key] = (good, failed + 1, usage + error.usage)
    given_up: Counter[tuple[str, str]] = Counter()
    for model, purpose, count in view.given_up():
        given_up[model, purpose] = count
    cut_off: Counter[tuple[str, str]] = Counter()
    for model, purpose, count in view.cut_off():
        if _billed(model, specs):
            cut_off[model, purpose] = count
    items = [
        Item(
            model,
            purpose,
            good + failed,
            failed,
            usage,
            _money(usage, model, prices),
            given_up[model, purpose],
            cut_off[model, purpose],
        )
        for (model, purpose), (good, failed, usage) in calls.items()
    ]
    return Bill(items, currency_of(prices))


def _billed(model: str, specs: Mapping[str, ModelSpec]) -> bool:
    """Whether somebody else computes for a model."""
    return (specs[model].kind if model in specs else model.partition(":")[0]) in ENDPOINTS


def _money(usage: Usage, model: str, prices: Mapping[str, Prices]) -> float | None:
    return money(usage, prices[model]) if model in prices else None
