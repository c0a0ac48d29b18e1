"""What is counted of calls as they are asked: by model and purpose, for displays, and never for what is decided.

Counting is the gateway's business; what a whole run has spent, by which it may have to stop, is in `budget`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from docendo.types import Purpose, Usage


@dataclass(slots=True)
class Count:
    """Calls of one model for one purpose since the gateway was made.

    `sent` left for the backend; of these `replied` came back well and `errors` did not; `cut` of the former
    ended at a limit. `replayed` were answered from the store and cost nothing now. `usage` is that of the calls
    that came back.
    """

    sent: int = 0
    replied: int = 0
    errors: int = 0
    cut: int = 0
    replayed: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def in_flight(self) -> int:
        """Calls that left and have not come back."""
        return self.sent - self.replied - self.errors


class Meter:
    """Counts by model and purpose, for a progress display to read at any time, from any thread."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Purpose], Count] = {}
        self._told: dict[str, int] = {}
        self._troubles: list[Callable[[], str | None]] = []

    def count(self, model: str, purpose: Purpose) -> Count:
        """The live count of one model and purpose."""
        return self._counts.setdefault((model, purpose), Count())

    def watch(self, trouble: Callable[[], str | None]) -> None:
        """Ask `trouble` from now on why no replies come."""
        self._troubles.append(trouble)

    def troubles(self) -> list[str]:
        """Why no replies come at the moment, each reason once; empty where all is well."""
        return list(dict.fromkeys(said for ask in list(self._troubles) if (said := ask()) is not None))

    def tell(self, model: str, tokens: int) -> None:
        """A backend has computed so many more tokens, for replies that are still to come."""
        self._told[model] = self._told.get(model, 0) + tokens

    def computed(self) -> int:
        """Tokens computed so far, those of replies still to come included where their backend tells of them."""
        by_model: dict[str, int] = dict(self._told)
        for model in {name for name, _ in self.counts()}:
            by_model[model] = max(by_model.get(model, 0), self.total(model=model).usage.computed)
        return sum(by_model.values())

    def counts(self) -> dict[tuple[str, Purpose], Count]:
        """A copy of every count."""
        return {key: replace(count) for key, count in list(self._counts.items())}

    def total(self, *, model: str | None = None, purpose: Purpose | None = None) -> Count:
        """The sum of the counts, of one model or purpose where named."""
        total = Count()
        for (name, what), count in self.counts().items():
            if model in (None, name) and purpose in (None, what):
                total.sent += count.sent
                total.replied += count.replied
                total.errors += count.errors
                total.cut += count.cut
                total.replayed += count.replayed
                total.usage += count.usage
        return total
