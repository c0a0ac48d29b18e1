"""Similarity by meaning: sentence embeddings behind `nearest` (extra `embed`), in place of the lexical index.

Memory is texts × dimensions. On one machine the order is the same however often it is asked; another machine's last
bits may order near-ties differently, which is why a run keeps what was selected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from docendo.errors import ConfigError


class Embedded:
    """Unit vectors of texts by a sentence-transformers model.

    Args:
        model: the path or name of the model.
        texts: what is searched.

    Raises:
        ConfigError: the extra is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str, texts: Sequence[str]) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(
                f"exam index embed:{model} needs the extra 'embed' ({error}): pip install 'docendo[embed]'"
            ) from None
        try:
            self._model = SentenceTransformer(model, device="cpu")
        except Exception as error:  # whatever the libraries below it raise
            raise ConfigError(f"exam index embed:{model}: the model cannot be loaded: {error}") from error
        self._vectors = self._encode(list(texts))
        self._known = {text: place for place, text in enumerate(texts)}

    def similar(self, question: str) -> NDArray[np.float64]:
        """Return the cosine, in [-1, 1], of a question with each text."""
        place = self._known.get(question)
        vector = self._vectors[place] if place is not None else self._encode([question])[0]
        return np.asarray(self._vectors @ vector, dtype=np.float64)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        found = self._model.encode(
            texts, batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(found, dtype=np.float32)
