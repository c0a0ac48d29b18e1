"""The package as a user gets it: what it costs to import, what it ships, and what it says of itself."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import docendo

HEAVY = (
    "asyncio",
    "datasets",
    "httpx",
    "jinja2",
    "math_verify",
    "numpy",
    "openai",
    "pydantic",
    "rich",
    "safetensors",
    "sentence_transformers",
    "sympy",
    "tokenizers",
    "torch",
    "transformers",
)
TEXT = (".cff", ".css", ".html", ".j2", ".js", ".json", ".jsonl", ".md", ".py", ".toml", ".txt", ".yaml", "")
TOP = ("src", "tests", "docs", "scripts", "benchmarks", "examples", ".ci")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def texts_of(root: Path) -> list[Path]:
    """The repository's own text files; not what builds, environments and runs leave beside them."""
    inside = (path for top in TOP for path in (root / top).rglob("*"))
    found = [path for path in (*inside, *root.glob("*")) if path.is_file() and path.suffix in TEXT]
    return sorted(path for path in found if "__pycache__" not in path.parts and path.name != ".git")


class TestImport:
    def test_brings_in_nothing_heavy(self) -> None:
        done = run("-c", "import sys, docendo; print(*sys.modules)")
        assert done.returncode == 0, done.stderr
        modules = set(done.stdout.split())
        assert "docendo" in modules
        assert modules.isdisjoint(HEAVY), modules & set(HEAVY)
        assert not {module for module in modules if module.startswith("docendo.")}

    def test_command_line_help_brings_in_nothing_heavy_either(self) -> None:
        done = run("-X", "importtime", "-m", "docendo", "--help")
        assert done.returncode == 0, done.stderr
        assert "solve" in done.stdout
        imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
        assert "docendo.cli" in imported
        assert imported.isdisjoint(HEAVY), imported & set(HEAVY)

    @pytest.mark.parametrize("name", docendo.__all__)
    def test_every_public_name_resolves_and_is_listed(self, name: str) -> None:
        assert getattr(docendo, name) is not None
        assert name in dir(docendo)

    def test_type_checkers_see_the_names_that_exist_at_run_time(self) -> None:
        tree = ast.parse(Path(docendo.__file__).read_text(encoding="utf-8"))
        blocks = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
        imports = [n for block in blocks for n in block.body if isinstance(n, ast.ImportFrom)]
        seen = {alias.asname: node.module for node in imports for alias in node.names if alias.asname}
        assert seen == docendo._HOME

    def test_unknown_name_is_an_attribute_error_that_names_it(self) -> None:
        name = "nonesuch"
        with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
            getattr(docendo, name)

    def test_solve_stays_the_function_after_its_module_was_imported(self) -> None:
        code = (
            "import docendo.solve; from docendo import solve; print(callable(solve), docendo.solve is solve)"
        )
        assert run("-c", code).stdout.split() == ["True", "True"]


class TestDistribution:
    def test_version_is_the_one_that_is_installed(self) -> None:
        try:
            installed = importlib.metadata.version("docendo")
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("docendo is not installed, only on the path")
        assert docendo.__version__ == installed

    def test_every_file_of_the_source_package_is_in_the_installed_one(self, root: Path) -> None:
        source, installed = root / "src" / "docendo", Path(docendo.__file__).parent
        shipped = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert source / "py.typed" in shipped
        missing = [
            p.relative_to(source) for p in shipped if not (installed / p.relative_to(source)).is_file()
        ]
        assert not missing
        stale = [
            path.relative_to(source)
            for path in shipped
            if path.read_bytes() != (installed / path.relative_to(source)).read_bytes()
        ]
        assert not stale, "the installed docendo is not this checkout's: pip install '.[test]'"

    def test_core_dependencies_hold_no_training_library(self) -> None:
        try:
            needs = importlib.metadata.requires("docendo") or []
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("docendo is not installed, only on the path")
        core = {re.split(r"[^\w.-]", need)[0] for need in needs if "extra ==" not in need}
        assert core == {
            "httpx2",
            "jinja2",
            "math-verify",
            "numpy",
            "pydantic",
            "rich",
            "safetensors",
            "tokenizers",
        }


class TestDocuments:
    def test_command_line_reference_is_up_to_date(self, root: Path) -> None:
        done = run(str(root / "scripts" / "cli_reference.py"), "--check")
        assert done.returncode == 0, done.stderr

    def test_readme_starts_with_the_two_commands(self, root: Path) -> None:
        blocks = re.findall(r"```(?:sh)?\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.S)
        assert blocks[0].splitlines() == ["pip install . && docendo solve", "pip install '.[test]' && pytest"]

    def test_readme_maps_files_that_exist(self, root: Path) -> None:
        readme = (root / "README.md").read_text(encoding="utf-8")
        listing = re.search(r"## File map\n.*?```\n(.*?)```", readme, re.S)
        assert listing is not None
        named = [line.split()[0] for line in listing[1].splitlines() if line.strip()]
        assert len(named) > 10
        assert not [path for path in named if not (root / path).exists()]

    def test_links_between_pages_lead_somewhere(self, root: Path) -> None:
        pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
        links = [
            (page, link)
            for page in pages
            for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
            if "://" not in link
        ]
        assert len(links) > 5
        assert not [f"{page}: {link}" for page, link in links if not (page.parent / link).exists()]

    def test_nothing_names_the_machine_it_was_written_on(self, root: Path) -> None:
        # Home and mount folders, this checkout, and settings that bind an installation to one package index.
        here = "|".join(re.escape(str(folder)[1:]) for folder in (root, Path.home()) if folder != Path("/"))
        folders = rf"(?<![\w.:/}}])/(?:(?:home|Users|root|opt|work|mnt)/\w|(?:{here})/)"
        machine = re.compile(folders + r"|--(?:extra-)?index-url|--find-link[s]|pypi\.org|pythonhoste[d]")
        found = []
        for path in texts_of(root):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if machine.search(line):
                    found.append(f"{path.relative_to(root)}:{number}: {line.strip()[:120]}")
        assert not found
