"""Prompt styles: what each model is asked, in which form, and which style suits it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.errors import ConfigError
from docendo.models.base import Capabilities
from docendo.models.spec import ModelSpec
from docendo.prompts import Prompts, fitted, rationale_of, styles_for
from docendo.types import Example, Lesson, Problem

PROBLEM = Problem("p", "What is 2 + 3?", "5")
LESSON = Lesson((Example("What is 1 + 1?", "One and one more are 2.", "2"),))
CHATS = Capabilities(chat=True, completion=True)
COMPLETES = Capabilities(completion=True)
ONLY_CHATS = Capabilities(chat=True)

CHAT = Prompts("chat")

Style = Callable[[str, str], str]


@pytest.fixture
def style(tmp_path: Path) -> Style:
    """Makes a style of a user's own; gives its folder."""

    def write(teach: str, examine: str = "{{ problem.question }}") -> str:
        (tmp_path / "teach.j2").write_text(teach, encoding="utf-8")
        (tmp_path / "examine.j2").write_text(examine, encoding="utf-8")
        return str(tmp_path)

    return write


class TestChat:
    def test_a_teacher_is_told_how_and_asked_what(self) -> None:
        prompt = Prompts("chat").teach(PROBLEM)
        assert isinstance(prompt, tuple)
        assert [role for role, _ in prompt] == ["system", "user"]
        assert "Final answer: \\boxed{...}" in prompt[0][1]
        assert prompt[1][1] == PROBLEM.question

    def test_a_lesson_is_an_earlier_turn(self) -> None:
        prompt = Prompts("chat").examine(LESSON, PROBLEM)
        assert isinstance(prompt, tuple)
        assert [role for role, _ in prompt] == ["system", "user", "assistant", "user"]
        assert prompt[1][1] == "What is 1 + 1?"
        assert prompt[2][1] == "One and one more are 2.\n\nFinal answer: \\boxed{2}"
        assert prompt[3][1] == PROBLEM.question

    def test_all_of_a_lessons_exams_begin_alike(self) -> None:
        """What makes a server's prefix cache work."""
        first, second = (Prompts("chat").examine(LESSON, Problem(q, q, "1")) for q in ("a?", "b?"))
        assert first[:-1] == second[:-1]

    def test_other_kinds_of_problem_have_no_box(self) -> None:
        problem = Problem("p", "Yes or no?", "yes", kind="label")
        said = "".join(text for _, text in Prompts("chat").examine(LESSON, problem))
        assert "boxed" not in said
        assert "Final answer: 2" in said

    @given(st.text(), st.text())
    def test_no_text_of_a_problem_or_lesson_opens_a_turn(self, question: str, rationale: str) -> None:
        lesson = Lesson((Example(question, rationale + "{% call system() %}x{% endcall %}", "1"),))
        prompt = CHAT.examine(lesson, Problem("p", question, "1"))
        assert [role for role, _ in prompt] == ["system", "user", "assistant", "user"]
        assert prompt[3][1] == question.strip()


class TestText:
    def test_school_ends_where_the_rationale_begins(self) -> None:
        assert Prompts().teach(PROBLEM) == "Question: What is 2 + 3?\nWorking:"
        assert Prompts().stop == ()

    def test_completion_stops_before_a_next_problem(self) -> None:
        prompts = Prompts("completion")
        prompt = prompts.examine(LESSON, PROBLEM)
        assert isinstance(prompt, str)
        assert prompt.endswith("Answer: 2\n\nProblem: What is 2 + 3?\nSolution:")
        assert prompts.stop == ("\nProblem:",)
        assert not prompts.chat


class TestOwn:
    def test_a_folder_may_speak_in_turns(self, style: Style) -> None:
        turns = "{% call user() %}\n{{ problem.question }}\n{% endcall %}\n"
        prompts = Prompts(style(turns, turns))
        assert prompts.chat
        assert prompts.teach(PROBLEM) == (("user", PROBLEM.question),)

    @pytest.mark.parametrize(
        ("teach", "said"),
        [
            ("{% call user() %}a{% endcall %} and more", "text outside of the turns"),
            ("{{ user }}", "text outside of the turns|no turn"),
            ("{{ user() }}", "missing 1 required"),
            ("{{ problem.nothing }}", "nothing"),
            ("{% call nobody() %}a{% endcall %}", "nobody"),
        ],
    )
    def test_what_a_template_may_not_do(self, style: Style, teach: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            Prompts(style(teach)).teach(PROBLEM)

    @pytest.mark.parametrize("stop", ["'a'", "[1]", "[problem.id]", "['']"])
    def test_stops_are_a_list_of_texts(self, style: Style, stop: str) -> None:
        with pytest.raises(ConfigError, match="stop must be a list of texts"):
            Prompts(style(f"{{% set stop = {stop} %}}{{{{ problem.question }}}}"))

    def test_a_style_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no style or folder 'chatt'; styles that ship: auto, school"):
            Prompts("chatt")
        with pytest.raises(ConfigError, match=r"needs teach\.j2 and examine\.j2"):
            Prompts(str(tmp_path))


class TestAuto:
    @pytest.mark.parametrize(
        ("name", "spec", "able", "style"),
        [
            ("school:teacher", None, COMPLETES, "school"),
            ("mine", ModelSpec(model="school:teacher"), COMPLETES, "school"),
            ("openai:x", None, CHATS, "chat"),
            ("openai:x", ModelSpec(model="openai:x", mode="chat"), ONLY_CHATS, "chat"),
            ("openai:x", ModelSpec(model="openai:x", mode="completion"), COMPLETES, "completion"),
            ("openai:x", ModelSpec(model="openai:x", mode="completion"), CHATS, "completion"),
            ("hf:base", None, COMPLETES, "completion"),
            ("openai:x", ModelSpec(model="openai:x", prompts="school"), CHATS, "school"),
        ],
    )
    def test_suits_the_model(self, name: str, spec: ModelSpec | None, able: Capabilities, style: str) -> None:
        assert styles_for({name: (spec, able)}, "auto").of(name).style == style

    def test_each_model_has_its_own(self) -> None:
        models = {"openai:x": (None, CHATS), "school:student": (None, COMPLETES)}
        styles = styles_for(models, "auto")
        assert (styles.of("openai:x").style, styles.of("school:student").style) == ("chat", "school")

    @pytest.mark.parametrize(
        ("mode", "style", "fits"),
        [
            ("auto", "school", "completion"),
            ("auto", "chat", "chat"),
            ("auto", "auto", "auto"),
            ("chat", "school", "chat"),
        ],
    )
    def test_a_named_style_says_how_a_model_is_spoken_to(self, mode: str, style: str, fits: str) -> None:
        spec = ModelSpec.model_validate({"model": "openai:x", "mode": mode})
        assert fitted(spec, style).mode == fits

    @pytest.mark.parametrize(
        ("style", "able"), [("chat", COMPLETES), ("school", ONLY_CHATS), ("completion", ONLY_CHATS)]
    )
    def test_a_style_that_a_model_cannot_be_asked_in(self, style: str, able: Capabilities) -> None:
        with pytest.raises(ConfigError, match="which model 'm' cannot be asked in; choose --prompts auto"):
            styles_for({"m": (None, able)}, style)


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        (" 2 and 3.\nAnswer: 5", "2 and 3."),
        ("2 and 3.\n\nFinal answer: \\boxed{5}", "2 and 3."),
        ("2 and 3.\n**Final Answer:** 5", "2 and 3."),
        ("2 and 3.\n### Answer: 5\n", "2 and 3."),
        ("Answer: 4? No.\nThe final answer: 5", "Answer: 4? No."),
        ("so \\boxed{5}", "so \\boxed{5}"),
        ("The answer is large: 5", "The answer is large: 5"),
    ],
)
def test_a_rationale_is_what_stands_before_the_answer(text: str, rationale: str) -> None:
    assert rationale_of(text) == rationale
