"""Runs small Llama-format models on the CPU without torch; `Engine` is all there is to use from outside."""

from docendo.models.engine.generate import Engine
from docendo.models.engine.request import LogLikelihood, Request, Result

__all__ = ["Engine", "LogLikelihood", "Request", "Result"]
