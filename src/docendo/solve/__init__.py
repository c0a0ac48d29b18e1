"""M1: teach, examine, choose, and compare the arms (paper, section 3)."""

from docendo.solve.run import Run, Watch, asolve, resume, score, solve

__all__ = ["Run", "Watch", "asolve", "resume", "score", "solve"]
