"""Prompts: Jinja2 templates as files a user can copy and change, rendered the same way for every model.

A style is a folder with `teach.j2` (sees `problem`), `examine.j2` (sees `lesson` and the exam `problem`) and, where
programs are shown back to their writer, `debug.j2` (sees `problem`, `program`, `test` and `fault`), and for models that
write exams `write.j2` (sees `problem`, without its answer and solution). For sets of examples (docs/refine.md) there
are `propose.j2` (sees `task`, `count` and `shown`), `reflect.j2` (`task`, `lesson`, `failures`) and `rewrite.j2`
(these, and `reflections` and `count`); `examine.j2` then sees as `instruction` what all problems ask. What a
template gives is the text that a model goes on with; a template that speaks in turns, each a
`{% call user() %}…{% endcall %}` (or `system`, `assistant`), gives a chat. `{% set stop = ["…"] %}` names texts at
which a reply ends. What is sent is exactly what the template gives, so a changed template is a changed request.

Which style suits which model is chosen here too (`styles_for`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, meta, nodes

from docendo.errors import ConfigError
from docendo.models.base import Capabilities
from docendo.models.spec import ModelSpec
from docendo.types import Lesson, Problem, Prompt

if TYPE_CHECKING:
    from docendo.refine.nouns import Failure
    from docendo.refine.task import Task

STYLES = ("school", "chat", "completion")
AUTO = "auto"
_FILES = ("teach.j2", "examine.j2")
_DEBUG = "debug.j2"
_WRITE = "write.j2"
_REFINING = ("propose.j2", "reflect.j2", "rewrite.j2")
_ROLES = ("system", "user", "assistant")
# "Answer: 5", "Final answer: \boxed{5}", "**Final Answer:** 5", "### Answer: 5"
_ANSWER_LINE = re.compile(
    r"^[ \t>#*_]{0,8}(?:the[ \t]+)?(?:final[ \t]+)?answer[*_]{0,3}[ \t]{0,4}:", re.IGNORECASE | re.MULTILINE
)

_CODE = re.compile(r"^[ \t]*(?:```|~~~)|^(?:def |class |import \w|from \w+ import |@\w)", re.MULTILINE)


class Prompts:
    """The templates of one style.

    Args:
        style: a style that ships with docendo, or the path of a folder with the same files.

    Raises:
        ConfigError: no such style or folder, or a file is missing or is not a valid template.
    """

    def __init__(self, style: str = "school") -> None:
        folder = folder_of(style)
        environment = Environment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            keep_trailing_newline=False,
            autoescape=False,
        )
        self.style = style
        self.stop: tuple[str, ...] = ()
        self.chat = False
        self._templates: dict[str, Template] = {}
        self._stops: dict[str, tuple[str, ...]] = {}
        for name in (*_FILES, *(n for n in (_DEBUG, _WRITE, *_REFINING) if (folder / n).is_file())):
            try:
                self._templates[name] = environment.get_template(name)
                tree = environment.parse((folder / name).read_text(encoding="utf-8"))
            except (TemplateError, OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"prompts: {folder}: {type(error).__name__}: {error}; a style needs {' and '.join(_FILES)}"
                ) from error
            self.chat = self.chat or bool(meta.find_undeclared_variables(tree) & set(_ROLES))
            self._stops[name] = tuple(_stops(tree, folder / name))
            if name not in _REFINING:  # whose replies are long: what ends an answer does not end a set
                self.stop += tuple(text for text in self._stops[name] if text not in self.stop)

    def of(self, model: str) -> Prompts:
        """The style for a model: this one, for each."""
        return self

    def teach(self, problem: Problem) -> Prompt:
        """What the teacher is asked; of a text, up to where its rationale begins."""
        return self._render("teach.j2", problem=shown(problem))

    def examine(self, lesson: Lesson, problem: Problem, instruction: str = "") -> Prompt:
        """What a student is asked: the lesson, then the exam problem; `instruction` says what all problems ask."""
        return self._render("examine.j2", lesson=lesson, problem=shown(problem), instruction=instruction)

    def check_debug(self) -> None:
        """Whether this style can show a program back to its writer.

        Raises:
            ConfigError: it has no template for that.
        """
        if _DEBUG not in self._templates:
            raise ConfigError(
                f"prompts: style {self.style!r} has no {_DEBUG}, which self-debug asks by; leave self-debug out, or "
                "choose a style with one (chat, completion); the built-in school's models never learnt to revise"
            )

    def debug(self, problem: Problem, program: str, failed: int, fault: str) -> Prompt:
        """What the writer of a program is asked where it fails a test.

        Args:
            problem: of kind code.
            program: what was written.
            failed: which of the visible tests it fails, from 0.
            fault: what happened there, in words.

        Raises:
            ConfigError: the style has no template for it.
        """
        self.check_debug()
        known = shown(problem)
        test = known.meta["examples"][failed]
        return self._render(_DEBUG, problem=known, program=program.rstrip(), test=test, fault=fault)

    def write(self, problem: Problem) -> Prompt:
        """What a writer of exams is asked: one more problem like this one.

        Raises:
            ConfigError: the style has no template for it.
        """
        if _WRITE not in self._templates:
            raise ConfigError(
                f"prompts: style {self.style!r} has no {_WRITE}, so its model cannot write exams; name another model "
                "by --exam-writer, another style (chat, completion) by --prompts, or add the file to your folder"
            )
        return self._render(_WRITE, problem=shown(replace(problem, answer=None, solution=None)))

    def check_refining(self, names: Iterable[str]) -> None:
        """Whether this style has the templates for writing sets of examples that are named ("propose", "rewrite").

        Raises:
            ConfigError: one is missing.
        """
        for name in names:
            if f"{name}.j2" not in self._templates:
                raise ConfigError(
                    f"prompts: style {self.style!r} has no {name}.j2, by which the teacher is asked to {name} sets of "
                    "examples; choose another --search or --start, another style (chat, completion) by --prompts, or "
                    "add the file to your folder"
                )

    def propose(self, task: Task, count: int, shown: Sequence[Problem]) -> Prompt:
        """What the teacher is asked: a set of `count` examples for a task, some of whose problems are shown."""
        return self._render("propose.j2", task=task, count=count, shown=tuple(shown))

    def reflect(self, task: Task, lesson: Lesson, failures: Sequence[Failure]) -> Prompt:
        """What the teacher is asked: why students fail after these examples."""
        return self._render("reflect.j2", task=task, lesson=lesson, failures=tuple(failures))

    def rewrite(
        self,
        task: Task,
        lesson: Lesson,
        failures: Sequence[Failure],
        reflections: Sequence[str],
        count: int,
    ) -> Prompt:
        """What the teacher is asked: a better set of `count` examples."""
        values = {"failures": tuple(failures), "reflections": tuple(reflections), "count": count}
        return self._render("rewrite.j2", task=task, lesson=lesson, **values)

    def has(self, name: str) -> bool:
        """Whether the style has a template of that file name."""
        return name in self._templates

    def stops(self, name: str) -> tuple[str, ...]:
        """The texts at which replies to one template end."""
        return self._stops.get(name, ())

    def _render(self, name: str, **values: Any) -> Prompt:
        said: list[tuple[str, str]] = []

        def turn(role: str) -> Callable[..., str]:
            def say(caller: Callable[[], str]) -> str:
                said.append((role, caller().strip()))
                return ""

            return say

        turns = {role: turn(role) for role in _ROLES}
        try:
            text = self._templates[name].render(**values, **turns)
        except (TemplateError, TypeError) as error:  # TypeError: a turn that was not opened by a call
            raise ConfigError(f"prompts: {self.style}: {name}: {error}") from error
        if not self.chat:
            return text
        if text.strip() or not said:
            what = f"text outside of the turns ({text.strip()[:40]!r})" if said else "no turn"
            raise ConfigError(f"prompts: {self.style}: {name}: a style that speaks in turns gave {what}")
        return tuple(said)


class PromptBook(Protocol):
    """Which style each model is asked in: one for all (`Prompts`), or each its own (`Styles`)."""

    def of(self, model: str) -> Prompts:
        """The style for the model of that name."""


class Styles:
    """The style of each model of a run, by the model's name."""

    def __init__(self, by_model: Mapping[str, Prompts]) -> None:
        self._by_model = by_model

    def of(self, model: str) -> Prompts:
        """The style for a model."""
        return self._by_model[model]


def styles_for(models: Mapping[str, tuple[ModelSpec | None, Capabilities]], style: str) -> Styles:
    """Choose each model's style: its own, else the run's, else (`auto`) one that suits it.

    `auto` is `school` for the built-in school's models and others like them, `chat` for models that chat, and
    `completion` for the rest.

    Args:
        models: what was said of each model, and what it can do, by name.
        style: the run's.

    Raises:
        ConfigError: no such style, or one that a model cannot be asked in.
    """
    made: dict[str, Prompts] = {}
    chosen: dict[str, Prompts] = {}
    for name, (spec, able) in models.items():
        wanted = (spec.prompts if spec and spec.prompts else style) or AUTO
        if wanted == AUTO:
            wanted = _suiting(name, spec, able)
        prompts = made.setdefault(wanted, Prompts(wanted))
        if not (able.chat if prompts.chat else able.completion):
            form, other = ("turns", "completion") if prompts.chat else ("one text", "chat")
            raise ConfigError(
                f"prompts: style {wanted!r} speaks in {form}, which model {name!r} cannot be asked in; "
                f"choose --prompts {AUTO}, {other}, or a folder of your own, or another mode for the model"
            )
        chosen[name] = prompts
    return Styles(chosen)


def fitted(spec: ModelSpec, style: str) -> ModelSpec:
    """The model, in the mode that the style wants where one was named and no mode was: chat or completion."""
    wanted = spec.prompts or style
    if spec.mode != "auto" or wanted == AUTO or spec.kind == "school":
        return spec
    return spec.model_copy(update={"mode": "chat" if Prompts(wanted).chat else "completion"})


def _suiting(name: str, spec: ModelSpec | None, able: Capabilities) -> str:
    if (spec.kind if spec else name.partition(":")[0]) == "school":
        return "school"
    completes = spec is not None and spec.mode == "completion"
    return "completion" if completes or not able.chat else "chat"


def folder_of(style: str) -> Path:
    """Where a style's files are.

    Raises:
        ConfigError: no such style or folder.
    """
    folder = Path(__file__).parent / style if style in STYLES else Path(style)
    if not folder.is_dir():
        raise ConfigError(
            f"prompts: no style or folder {style!r}; styles that ship: {', '.join((AUTO, *STYLES))}"
        )
    return folder


def copy_style(style: str, folder: str | Path) -> int:
    """Copy a style's templates into a folder, to be changed there.

    Args:
        style: one that ships, or a folder.
        folder: where to; made where it is not there.

    Returns:
        How many files were copied.

    Raises:
        ConfigError: no such style, or the folder has files in it or cannot be written.
    """
    files = sorted(folder_of(style).glob("*.j2"))
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if next(target.iterdir(), None) is not None:
            raise ConfigError(f"prompts: {target} has files in it; name a folder that is new or empty")
        for file in files:
            (target / file.name).write_bytes(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"prompts: {target} cannot be written ({error}); name another folder") from error
    return len(files)


def shown(problem: Problem) -> Problem:
    """A code problem as prompts may see it: without its hidden tests and its reference, whatever a template asks for.

    `meta["examples"]` has the visible tests as text, a line each.
    """
    if problem.kind != "code":
        return problem
    kept = {name: value for name, value in problem.meta.items() if name != "hidden"}
    name = (kept.get("entry_point") or "").removeprefix("Solution().")
    examples = [_example(name, test) for test in kept.get("visible", ())]
    kept = {"starter": "", "setup": "", **kept, "examples": examples}
    return replace(problem, solution=None, meta=kept)


def _example(name: str, test: Any) -> str:
    if isinstance(test, str):
        return test
    if "args" in test:
        parts = [*map(repr, test["args"]), *(f"{k}={v!r}" for k, v in test.get("kwargs", {}).items())]
        call = f"{name}({', '.join(parts)})"
        if "expected" in test:
            return f"{call} == {test['expected']!r}"
        return f"after {call} the arguments are {test['expected_args']!r}"
    if "stdin" in test:
        return f"Input:\n{test['stdin'].rstrip()}\nOutput:\n{test['stdout'].rstrip()}"
    return str(test.get("assert") or test["check"])


def strategy_of(text: str) -> str:
    """The strategy in a reply to a code problem: what stands before its program.

    That is what stands before the first fence, or the first line that begins like code; without either, the rationale.
    """
    begins = _CODE.search(text)
    return rationale_of(text if begins is None else text[: begins.start()])


def rationale_of(text: str) -> str:
    """The rationale in a reply: what stands before its last "Answer:" line, or the whole text where there is none."""
    lines = list(_ANSWER_LINE.finditer(text))
    return (text[: lines[-1].start()] if lines else text).strip()


def _stops(tree: nodes.Template, path: Path) -> list[str]:
    """What a template's `{% set stop = [...] %}` names."""
    for node in tree.find_all(nodes.Assign):
        if isinstance(node.target, nodes.Name) and node.target.name == "stop":
            try:
                value: Any = node.node.as_const() if isinstance(node.node, nodes.Expr) else None
            except nodes.Impossible:
                value = None
            if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
                raise ConfigError(f"prompts: {path}: stop must be a list of texts, as in ['\\nProblem:']")
            return value
    return []
