"""Prompts: Jinja2 templates as files a user can copy and change, rendered the same way for every model.

A style is a folder with `teach.j2` (sees `problem`) and `examine.j2` (sees `lesson` and the exam `problem`).
What is sent is exactly what the template gives, so a changed template is a changed request.
"""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from docendo.errors import ConfigError
from docendo.types import Lesson, Problem

STYLES = ("school",)
_ANSWER_LINE = re.compile(r"^\s*(?:final\s+)?answer\s*:", re.IGNORECASE | re.MULTILINE)


class Prompts:
    """The templates of one style.

    Args:
        style: a style that ships with docendo, or the path of a folder with the same files.

    Raises:
        ConfigError: no such style or folder, or a file is missing or is not a valid template.
    """

    def __init__(self, style: str = "school") -> None:
        folder = Path(__file__).parent / style if style in STYLES else Path(style)
        if not folder.is_dir():
            raise ConfigError(f"prompts: no style or folder {style!r}; styles that ship: {', '.join(STYLES)}")
        environment = Environment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            keep_trailing_newline=False,
            autoescape=False,
        )
        try:
            self._teach = environment.get_template("teach.j2")
            self._examine = environment.get_template("examine.j2")
        except TemplateError as error:
            raise ConfigError(
                f"prompts: {folder}: {type(error).__name__}: {error}; a style needs teach.j2 and examine.j2"
            ) from error

    def teach(self, problem: Problem) -> str:
        """What the teacher is asked, ending where its rationale begins."""
        return self._render("teach.j2", problem=problem)

    def examine(self, lesson: Lesson, problem: Problem) -> str:
        """What a student is asked: the lesson, then the exam problem."""
        return self._render("examine.j2", lesson=lesson, problem=problem)

    def _render(self, name: str, **values: Problem | Lesson) -> str:
        template = self._teach if name == "teach.j2" else self._examine
        try:
            return template.render(**values)
        except TemplateError as error:
            raise ConfigError(f"prompts: {name}: {error}") from error


def rationale_of(text: str) -> str:
    """The rationale in a reply: what stands before its last "Answer:" line, or the whole text where there is none."""
    lines = list(_ANSWER_LINE.finditer(text))
    return (text[: lines[-1].start()] if lines else text).strip()
