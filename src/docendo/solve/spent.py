"""What a run was asked to pay: calls, tokens and money by model and purpose, read from the store.

What an arm *would* cost alone is in `facts`; this is the bill, failed calls included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docendo.models.budget import currency_of, money
from docendo.models.spec import Prices
from docendo.solve.plan import Settings
from docendo.store import RunView
from docendo.types import Usage


@dataclass(frozen=True, slots=True)
class Item:
    """What one model was asked for one purpose. `money` is None where the model has no prices."""

    model: str
    purpose: str
    calls: int
    failed: int
    usage: Usage
    money: float | None


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
    items = [
        Item(model, purpose, good + failed, failed, usage, _money(usage, model, prices))
        for (model, purpose), (good, failed, usage) in calls.items()
    ]
    return Bill(items, currency_of(prices))


def _money(usage: Usage, model: str, prices: Mapping[str, Prices]) -> float | None:
    return money(usage, prices[model]) if model in prices else None
