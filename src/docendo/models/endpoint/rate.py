"""Requests and tokens a minute, kept to by spacing calls out."""

from __future__ import annotations

import asyncio

_BURST = 5.0  # seconds' worth of calls that may leave at once after a rest


class Rate:
    """A bound on something a minute: who takes some waits until it is free; first come, first served.

    What is taken is taken at once, so that the wait of the next is known; `give_back` corrects an estimate.
    """

    def __init__(self, per_minute: float | None) -> None:
        """No bound where `per_minute` is None."""
        self._each = None if per_minute is None else 60.0 / per_minute
        self._free_at = 0.0  # when all that was taken is paid off

    async def take(self, amount: float) -> None:
        """Wait for `amount` to be free."""
        if self._each is None:
            return
        now = asyncio.get_running_loop().time()
        # A call that is dearer than the whole burst still gets its turn, when nothing is owed.
        wait = self._free_at - now - max(0.0, _BURST - amount * self._each)
        self._free_at = max(self._free_at, now) + amount * self._each
        if wait > 0:
            await asyncio.sleep(wait)

    def give_back(self, amount: float) -> None:
        """Put right what was taken: less was used, or more where `amount` is negative."""
        if self._each is not None:
            self._free_at -= amount * self._each
