"""The HTML report of a run: one page that explains itself and needs nothing beside it."""

from docendo.report.build import write_report

__all__ = ["write_report"]
