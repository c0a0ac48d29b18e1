"""The page of a refining run: its rounds as a tree, in one HTML file that needs no network and no script."""

from docendo.refine.report.page import render

__all__ = ["render"]
