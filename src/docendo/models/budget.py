"""Budgets: when a run stops asking. What has been spent so far goes in, a reason to stop or None comes out.

Any callable of that shape is a stop condition, and `any_of` puts several together; `Budget` is the one that
users write as text ("5 USD, 2M tokens"). The gateway asks before a call leaves, and at no other time: what
is in flight is paid for already, so it is waited for and kept.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from docendo.errors import ConfigError
from docendo.models.spec import Prices
from docendo.types import Reply, Usage

NOT_ASKED = "not asked: "
"""How the error of a reply begins whose call never left, because a stop condition was met."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has cost: calls that left, their tokens, money in `currency`, and seconds since it (re)started.

    Calls in flight are in `usage` and `money` with the mean of what their model's calls have cost so far, so
    that a limit is met when they come back and not exceeded by them.
    """

    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    money: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens sent and written, those that a server had cached included."""
        return self.usage.prompt + self.usage.completion


StopCondition = Callable[[Spent], str | None]
"""Why no further call should start, or None."""


def any_of(*conditions: StopCondition) -> StopCondition:
    """A condition that is met as soon as one of `conditions` is."""

    def met(spent: Spent) -> str | None:
        return next((why for each in conditions if (why := each(spent)) is not None), None)

    return met


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on calls, tokens, money and seconds; None where there is none. Each must be above 0.

    `seconds` count from the start of the process's work on the run; the others over the whole run, resumed or
    not.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    seconds: float | None = None
    currency: str = "USD"

    def __call__(self, spent: Spent) -> str | None:
        """Why to stop, or None."""
        if self.calls is not None and spent.calls >= self.calls:
            return f"the budget of {self.calls:,} calls is used up"
        if self.tokens is not None and spent.tokens >= self.tokens:
            return f"the budget of {self.tokens:,} tokens is used up"
        if self.money is not None and spent.money >= self.money:
            return f"the budget of {self.money:g} {self.currency} is used up"
        if self.seconds is not None and spent.seconds >= self.seconds:
            return f"the time of {self.seconds:g} s is over"
        return None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read "5 USD, 2M tokens, 10k calls, 30 min": any of them, each once, a comma between two.

        Raises:
            ConfigError: the text has a part of another form; the message names it.
        """
        found: dict[str, float] = {}
        currency = "USD"
        for part in filter(None, (part.strip() for part in text.split(","))):
            amount, unit = _amount(part)
            what = _UNITS.get(unit.lower(), "money")
            if what in found:
                raise ConfigError(f"budget: two limits on {what} in {text!r}; give each once")
            if what == "seconds":
                amount *= _SECONDS[unit.lower()[0]]
            if what == "money":
                currency = _SIGNS.get(unit, unit.upper())
            if amount <= 0:
                raise ConfigError(f"budget: {part!r} leaves nothing to spend; it must be above 0")
            found[what] = amount
        if not found:
            raise ConfigError(f"budget: {text!r} has no limit; {_FORMS}")
        whole = {what: round(found[what]) for what in ("calls", "tokens") if what in found}
        return cls(**whole, money=found.get("money"), seconds=found.get("seconds"), currency=currency)


_FORMS = 'write it like "5 USD", "2M tokens", "10k calls", "30 min", or several with commas between'
_PART = re.compile(r"(?P<sign>[$€]?)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z $€]*)")
_CURRENCY = re.compile(r"[A-Za-z]{3}|[$€]")
_SIGNS = {"$": "USD", "€": "EUR"}
_SCALES = {"k": 1e3, "m": 1e6}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS = {
    **dict.fromkeys(("call", "calls"), "calls"),
    **dict.fromkeys(("token", "tokens", "tok"), "tokens"),
    **dict.fromkeys(
        ("s", "sec", "second", "seconds", "min", "minute", "minutes", "h", "hour", "hours"), "seconds"
    ),
}


def _amount(part: str) -> tuple[float, str]:
    """The number and the unit of one limit; "30 min" is no 30 million "in", so units come before scales."""
    match = _PART.fullmatch(part)
    if match is not None:
        number, unit = float(match["number"]), (match["sign"] or match["unit"]).strip()
        scale = 1.0
        if not _is_unit(unit) and unit[:1].lower() in _SCALES:
            scale, unit = _SCALES[unit[0].lower()], unit[1:].strip()
        if _is_unit(unit) and not (match["sign"] and match["unit"].strip()):
            return number * scale, unit
    raise ConfigError(f"budget: {part!r} is not understood; {_FORMS}")


def _is_unit(text: str) -> bool:
    return text.lower() in _UNITS or _CURRENCY.fullmatch(text) is not None


def money(usage: Usage, prices: Prices | None) -> float:
    """What a usage costs at these prices; nothing where no prices are known."""
    if prices is None:
        return 0.0
    cached = prices.prompt if prices.cached is None else prices.cached
    fresh = usage.prompt - usage.cached
    return (fresh * prices.prompt + usage.cached * cached + usage.completion * prices.completion) / 1e6


def currency_of(prices: Mapping[str, Prices]) -> str | None:
    """The currency of all prices; None where there are none.

    Raises:
        ConfigError: models are priced in different currencies, which cannot be added up.
    """
    known = {p.currency for p in prices.values()}
    if len(known) > 1:
        raise ConfigError(
            f"prices: models are priced in {' and '.join(sorted(known))}, which cannot be added up; "
            "convert them to one currency"
        )
    return known.pop() if known else None


def budget_of(text: str, prices: Mapping[str, Prices]) -> Budget | None:
    """The budget that a setting says, checked against the prices there are; None for an empty setting.

    Raises:
        ConfigError: it limits money, and no model has prices or they are in another currency.
    """
    if not text:
        return None
    budget = Budget.parse(text)
    currency = currency_of(prices)
    if budget.money is not None and currency != budget.currency:
        known = f"the prices are in {currency}" if currency else "no model has prices"
        raise ConfigError(
            f"budget: {text!r} limits money in {budget.currency}, but {known}; say prices in {budget.currency} in "
            "the run file ([teacher.prices]), or limit tokens or calls"
        )
    return budget


def not_asked(reply: Reply | None) -> bool:
    """Whether the call of this reply never left, because a stop condition was met."""
    return reply is not None and reply.error is not None and reply.error.startswith(NOT_ASKED)


@dataclass(slots=True)
class _Account:
    calls: int = 0
    came: int = 0
    usage: Usage = field(default_factory=Usage)


class Ledger:
    """What a run's models have cost, and whether another call may leave.

    Args:
        stop: the stop condition; None never stops.
        prices: by model name, for those that have them.
        before: what earlier sessions of the run spent, as (model, calls, usage).
    """

    def __init__(
        self,
        stop: StopCondition | None = None,
        prices: Mapping[str, Prices] | None = None,
        before: Iterable[tuple[str, int, Usage]] = (),
    ) -> None:
        self.why: str | None = None
        self._stop = stop
        self._prices = dict(prices or {})
        currency_of(self._prices)
        self._accounts: dict[str, _Account] = {}
        self._began = time.monotonic()
        for model, calls, usage in before:
            account = self._account(model)
            account.calls += calls
            account.came += calls
            account.usage += usage

    def may_leave(self) -> bool:
        """Whether another call may leave; once not, never again, and `why` then says why not."""
        if self.why is None and self._stop is not None:
            self.why = self._stop(self.spent())
        return self.why is None

    def left(self, model: str) -> None:
        """A call leaves for its model."""
        self._account(model).calls += 1

    def came(self, model: str, usage: Usage) -> None:
        """A call came back, well or not."""
        account = self._account(model)
        account.came += 1
        account.usage += usage

    def spent(self) -> Spent:
        """The whole run's so far, calls in flight at their model's mean."""
        calls, usage, total = 0, Usage(), 0.0
        for model, account in self._accounts.items():
            likely = (
                _stretched(account.usage, account.calls / account.came) if account.came else account.usage
            )
            calls += account.calls
            usage += likely
            total += money(likely, self._prices.get(model))
        return Spent(calls, usage, total, time.monotonic() - self._began)

    def _account(self, model: str) -> _Account:
        return self._accounts.setdefault(model, _Account())


def _stretched(usage: Usage, by: float) -> Usage:
    counts = (usage.prompt, usage.cached, usage.completion, usage.reasoning)
    return Usage(*(round(count * by) for count in counts))
