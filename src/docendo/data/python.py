"""Reading Python that stands in problem files (tests, references) as syntax; nothing is run."""

from __future__ import annotations

import ast
import warnings


def parsed(source: str) -> ast.Module | None:
    r"""The syntax tree of a source, None where it does not parse; what Python would warn of ("\w") goes unsaid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def renamed(statement: ast.stmt, name: str) -> str:
    """A statement about `candidate` as one about the function by its own name."""
    return ast.unparse(_Renamed(name).visit(statement))


class _Renamed(ast.NodeTransformer):
    """`candidate` under its own name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._name, node.ctx) if node.id == "candidate" else node
