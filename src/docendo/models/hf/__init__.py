"""Models that transformers runs in this process (`hf:PATH`); needs the extra `hf`."""

from docendo.models.hf.model import HFModel

__all__ = ["HFModel"]
