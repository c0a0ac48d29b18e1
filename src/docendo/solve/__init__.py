"""M1: teach, examine, choose, and compare the arms (paper, section 3)."""

from docendo.solve.run import Run, asolve, resume, score, solve
from docendo.solve.work import Watch

__all__ = ["Run", "Watch", "asolve", "resume", "score", "solve"]
