"""How much of what prompts have in common a server took from its cache, against the most that it could have.

The most is taken from the recorded prompts themselves: put in order, what each begins with like its neighbour
needs to be computed only once. That counts characters, not tokens, and a cache without bounds; servers also share
whole blocks only (vLLM 16 tokens, OpenAI 128 after the first 1,024), so that the last few per cent are out of
reach of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from docendo.models.order import common
from docendo.store import RunView


@dataclass(frozen=True, slots=True)
class CacheShare:
    """One model's prompts: tokens sent, those taken from the cache, and the share of them that could have been."""

    model: str
    prompt: int
    cached: int
    possible: float

    @property
    def reached(self) -> float:
        """Tokens taken from the cache as a share of those that could have been, at most 1."""
        most = self.prompt * self.possible
        return min(1.0, self.cached / most) if most else 0.0


def cache_shares(view: RunView) -> list[CacheShare]:
    """The share for every model whose server reports cached tokens; those of this machine are left out."""
    prompt: dict[str, int] = {}
    cached: dict[str, int] = {}
    for row in view.totals():
        prompt[row.model] = prompt.get(row.model, 0) + row.usage.prompt
        cached[row.model] = cached.get(row.model, 0) + row.usage.cached
    return [
        CacheShare(model, prompt[model], tokens, possible(view, model))
        for model, tokens in cached.items()
        if tokens and not model.startswith("school:")
    ]


def possible(view: RunView, model: str) -> float:
    """The share, in [0, 1), of all characters sent to a model that an earlier prompt began with too."""
    total, new, before = 0, 0, ""
    for text, times in view.prompts_in_order(model):
        total += len(text) * times
        new += len(text) - common(before, text)
        before = text
    return 1 - new / total if total else 0.0
