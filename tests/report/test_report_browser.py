"""The report in a real browser: it opens, deep links lead to problems, and nothing in it breaks the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pytest
from report_runs import Page, page_of

from docendo.report import write_report

CHROME = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=20000 --dump-dom"
)


def shown(url: str, scratch: Path) -> Page:
    assert CHROME is not None
    command = [CHROME, *FLAGS.split(), f"--user-data-dir={scratch / 'profile'}", url]
    done = subprocess.run(command, capture_output=True, timeout=300, check=True)
    return Page(done.stdout.decode("utf-8", "replace"))


def unguarded(page: Path, scratch: Path, script: str) -> Path:
    """A copy of a page without its content security policy, with another script at its end."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    copy = scratch / "copy.html"
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return copy


@pytest.mark.skipif(CHROME is None, reason="needs Chromium or Chrome")
class TestBrowser:
    @pytest.mark.parametrize("form", ["problem-{}", "{}"])
    def test_a_link_opens_its_problem(self, run: Path, tmp_path: Path, form: str) -> None:
        page = shown(f"{write_report(run).as_uri()}#{form.format('test/4-1')}", tmp_path)
        root = page.all("html")[0][0]
        assert root.get("data-ready") == "true"
        assert "data-errors" not in root
        assert page.text("h3", data_problem="test/4-1") == "test/4-1"
        story = page.text("article", id="story")
        assert "A box holds 8 and then 3 more. How many?" in story
        assert "Gold answer 11" in story
        (current,) = page.all("a", aria_current="true")
        assert "test/4-1" in current[1]
        assert len(page.all("a", aria_current="true")) == 1
        assert page.text("output") == "12 of 12 problems"

    def test_everything_opens_and_hostile_texts_stay_texts(self, hostile: Path, tmp_path: Path) -> None:
        opening = """addEventListener("load", () => {
          for (const details of document.querySelectorAll("details")) details.open = true;
        });"""
        page = shown(unguarded(write_report(hostile), tmp_path, opening).as_uri(), tmp_path)
        root = page.all("html")[0][0]
        assert root.get("data-ready") == "true"
        assert "data-errors" not in root
        assert not page.all("img")
        assert len(page.all("script")) == 3
        story = page.text("article", id="story")
        data = page_of(hostile).data()
        exams = sum(len(lesson["e"]) for g in data["problems"][0]["k"] for lesson in g["l"])
        assert exams > 0
        assert story.count("repeat ") == exams
        assert "</script><script>throw 1</script>" in story

    @pytest.mark.parametrize("name", ["run", "hostile"])
    def test_a_narrow_phone_does_not_scroll_sideways(
        self, name: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        telling = """addEventListener("load", () => {
          for (const details of document.querySelectorAll("details")) details.open = true;
          setTimeout(() => parent.postMessage([innerWidth, document.documentElement.scrollWidth], "*"), 500);
        });"""
        copy = unguarded(write_report(request.getfixturevalue(name)), tmp_path, telling)
        frame = tmp_path / "frame.html"
        frame.write_text(
            "<!doctype html><script>onmessage = (e) => { document.documentElement.dataset.widths = e.data; };"
            '</script><iframe width="360" height="800" frameborder="0" '
            f'src="{escape(copy.as_uri())}"></iframe>'
        )
        root = shown(frame.as_uri(), tmp_path).all("html")[0][0]
        inner, scroll = (int(n) for n in (root.get("data-widths") or "0,0").split(","))
        assert inner == 360
        assert scroll <= inner
