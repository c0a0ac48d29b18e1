"""Small runs through the real road, and the reports of them taken apart: what the tests here share."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from docendo.models.scripted import ScriptedModel
from docendo.report import write_report
from docendo.solve.run import score, solve
from docendo.solve.summary import Summary, summarise
from docendo.store import Store
from docendo.types import Call, Example, Problem

HOSTILE = (
    "</script><script>throw 1</script><!--<script>&amp;<img src=x onerror=throw(2)> \u2028\u2029\0\ud800 é🎓"
)
UNFIT = re.compile("[\0\ud800-\udfff]")  # what no page can hold; it comes as the replacement character
VOID = {"meta", "input", "br", "hr", "img", "link"}


# --- a small run ------------------------------------------------------------------------------------------


def problem(kind: str, family: int, number: int, **fields: Any) -> Problem:
    a, b = 3 + family + number, 2 + number
    given = {"answer": str(a + b), "cluster": f"c{family}", "group": ("odd", "even")[family % 2]} | fields
    return Problem(
        f"{kind}/{family}-{number}",
        f"A box holds {a} and then {b} more. How many?",
        family=f"f{family}",
        **given,
    )


def working(sign: str, question: str) -> str:
    a, b = (int(n) for n in re.findall(r"\d+", question)[:2])
    value = {"plus": a + b, "minus": abs(a - b), "times": a * b}[sign]
    return f" {a} {sign} {b} = {value}.\nAnswer: {value}"


def asked(call: Call) -> list[str]:
    assert isinstance(call.prompt, str)
    return [part.split("\n")[0] for part in call.prompt.split("Question: ")[1:]]


def teacher(call: Call) -> str:
    rng = random.Random(f"{call.request} {call.sample}")
    if rng.random() < 0.1:
        return " no idea"
    sign = rng.choices(("plus", "minus", "times"), (4, 3, 3))[0]
    return working(sign, asked(call)[-1])


def student(call: Call) -> str:
    """Does as the lesson does, mostly, and a wrong lesson's way is wrong in the exam as well."""
    rng = random.Random(f"{call.request} {call.sample} {call.model}")
    shown = re.search("plus|minus|times", str(call.prompt))
    sign = shown[0] if shown and rng.random() < 0.8 else rng.choice(("plus", "minus", "times"))
    return working(sign, asked(call)[-1])


def make(
    folder: Path,
    taught: Sequence[Problem] = (),
    *,
    teaching: Callable[[Call], Any] = teacher,
    studying: Callable[[Call], Any] = student,
    given: dict[str, list[Example]] | None = None,
    **settings: Any,
) -> Path:
    taught = taught or [problem("test", f, n) for f in range(6) for n in range(2)]
    families = {p.family for p in taught}
    exams = [problem("exam", f, n, group=None) for f in range(8) for n in range(4, 8) if f"f{f}" in families]
    students = settings.pop("students", ("pupil",))
    models = {name: ScriptedModel(name, studying, parameters=2_000_000) for name in students}
    shape: dict[str, Any] = {
        "students": students,
        "exam_problems": 2,
        "repeats": 2,
        "prompts": "school",
    } | settings
    if given is not None:
        score(given, problems=taught, exams=exams, out=folder, models=models, **shape)
        return folder
    models["master"] = ScriptedModel("master", teaching, parameters=3_000_000)
    for name, usual in (("teacher", "master"), ("lessons", 8)):
        shape.setdefault(name, usual)
    solve(taught, exams=exams, out=folder, models=models, **shape)
    return folder


def fit(text: str) -> str:
    return UNFIT.sub("\ufffd", text)


# --- reading a page ---------------------------------------------------------------------------------------


class Page(HTMLParser):
    """A page's elements, the text inside them, and whether its tags are in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.faults: list[str] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside: list[str] = []
        self.elements.append((tag, dict(attrs), inside))
        if tag not in VOID:
            self._open.append((tag, inside))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.faults.append(f"</{tag}> where {self._open[-1:]} is open")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for _, inside in self._open:
            inside.append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        return [
            (has, " ".join("".join(inside).split()))
            for name, has, inside in self.elements
            if name == tag
            and all(has.get(key.replace("_", "-")) == value for key, value in attributes.items())
        ]

    def text(self, tag: str, **attributes: str) -> str:
        ((_, text),) = self.all(tag, **attributes)
        return text

    def data(self) -> dict[str, Any]:
        ((text),) = ["".join(inside) for name, has, inside in self.elements if has.get("id") == "data"]
        value: dict[str, Any] = json.loads(text)
        return value


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def rows_of(text: str, table: str, key: str) -> dict[str, list[float]]:
    """The exact figures of a table's rows, by the row's name."""
    body = text.split(f'id="{table}"', 1)[1].split("</table>", 1)[0]
    rows = re.findall(rf'<tr[^>]* {key}="([^"]+)">(.*?)</tr>', body, re.DOTALL)
    return {
        name: [float(v) for v in re.findall(r'<data[^>]* value="([^"]+)"', row.replace("<data ", "<data  "))]
        for name, row in rows
    }


def summary_of(folder: Path) -> Summary:
    with Store.read(folder) as view:
        return summarise(view)
