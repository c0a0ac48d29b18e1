"""The documentation holds together: every relative link and anchor leads somewhere, every command shown is one."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import docendo
from docendo.cli.arguments import parser

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text), re.MULTILINE):
        plain = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def commands(page: str) -> Iterator[list[str]]:
    """The words of every `docendo` command in a page's shell blocks."""
    for language, block in FENCE.findall(text_of(page)):
        if language not in ("sh", "bash", "console"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\||;", line) if "'" not in line and '"' not in line else [line]:
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=\S*|time|\$", words[0]):
                    words = words[1:]
                if words and words[0] == "docendo":
                    yield words[1:]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = text_of(page)
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target} leads nowhere"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page}: {target}: no such heading"


def refused(words: list[str]) -> bool:
    """Whether the command line does not take these words; `--help` and `--version` end well."""
    try:
        parser().parse_args(words)
    except SystemExit as end:
        return end.code != 0
    return False


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_commands(page: str) -> None:
    assert [shlex.join(words) for words in commands(page) if refused(words)] == []


@pytest.mark.parametrize("page", PAGES)
def test_options_named_in_a_sentence_are_options(page: str) -> None:
    known = {"--help", *re.findall(r"--[a-z][a-z0-9-]*", text_of("docs/cli.md"))}
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(page))):
        if code.startswith("docendo "):
            unknown = [
                option for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", code) if option not in known
            ]
            assert not unknown, f"{page}: `{code}`"


@pytest.mark.parametrize("page", PAGES)
def test_python_is_python_and_its_names_are_there(page: str) -> None:
    for language, block in FENCE.findall(text_of(page)):
        if language == "python":
            tree = ast.parse(textwrap.dedent(block))
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("docendo"):
                    module = importlib.import_module(node.module or "")
                    assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "docendo"
                ):
                    assert hasattr(docendo, node.attr), f"{page}: docendo.{node.attr}"


def test_every_page_is_on_the_map() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(index.read_text())
    }
    missing = [p for p in (ROOT / "docs").rglob("*.md") if p != index and p.resolve() not in linked]
    assert not missing


def test_the_checks_see_what_they_check() -> None:
    assert len([words for page in PAGES for words in commands(page)]) > 40
    assert "how-many-questions" not in anchors("```sh\n# how many questions\n```\n## `a` and [b](c): *d*!\n")
    assert anchors("## `a` and [b](c.md): d!\n## x\n## x\n") == {"a-and-b-d", "x", "x-1"}
