"""Prompts for programming problems: what they ask for, and what they must not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from docendo.grading.sandbox.inside.extract import find_program
from docendo.prompts import Prompts, strategy_of
from docendo.types import Example, Lesson, Problem, Prompt

SECRET, REFERENCE = "assert double(1234567) == 2469134", "def double(n): return n << 1"
PROBLEM = Problem(
    "double",
    "Write double(n).",
    kind="code",
    solution=REFERENCE,
    meta={
        "entry_point": "double",
        "starter": "def double(n):\n    ",
        "visible": ["assert double(2) == 4", {"args": [5], "expected": 10}],
        "hidden": [SECRET],
    },
)
LESSON = Lesson((Example("Write triple(n).", "Multiply by three.", "def triple(n):\n    return 3 * n"),))


def said(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(text for _, text in prompt)


@pytest.mark.parametrize("style", ["chat", "completion", "school"])
def test_no_style_shows_hidden_tests_or_the_reference(style: str) -> None:
    prompts = Prompts(style)
    for text in (said(prompts.teach(PROBLEM)), said(prompts.examine(LESSON, PROBLEM))):
        assert "1234567" not in text
        assert REFERENCE not in text
        assert "Write double(n)." in text


def test_a_template_that_asks_for_all_gets_no_hidden_tests(tmp_path: Path) -> None:
    for name in ("teach.j2", "examine.j2"):
        (tmp_path / name).write_text("{{ problem }} {{ problem.meta }} {{ problem.solution }}")
    prompts = Prompts(str(tmp_path))
    for text in (said(prompts.teach(PROBLEM)), said(prompts.examine(LESSON, PROBLEM))):
        assert "double(2) == 4" in text
        assert "1234567" not in text
        assert REFERENCE not in text


@pytest.mark.parametrize("style", ["chat", "completion"])
def test_what_must_hold_is_shown_and_a_program_is_asked_for(style: str) -> None:
    text = said(Prompts(style).examine(LESSON, PROBLEM))
    assert "assert double(2) == 4" in text
    assert "double(5) == 10" in text
    assert "fenced block" in text
    assert "```python\ndef triple(n):\n    return 3 * n\n```" in text
    assert "boxed" not in text
    assert "Answer:" not in text


def test_the_chat_style_gives_the_starter_where_the_statement_does_not() -> None:
    assert "def double(n):" in said(Prompts("chat").teach(PROBLEM))


def test_a_lessons_strategy_is_what_stands_before_its_program() -> None:
    program = "def double(n):\n    return 2 * n"
    for text in (
        f"Twice is n + n.\n\n```python\n{program}\n```",
        f"Twice is n + n.\n{program}\n",
        f"Twice is n + n.\nAnswer:\n```\n{program}\n```",
    ):
        assert strategy_of(text) == "Twice is n + n."
        found = find_program(text, "double")
        assert found is not None
        assert found.source.strip() == program
