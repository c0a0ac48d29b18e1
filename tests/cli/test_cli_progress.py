"""The progress display: what it counts, and how it looks with and without a terminal."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from docendo.cli.figures import Figures
from docendo.cli.ink import Ink
from docendo.cli.live import drawing
from docendo.cli.progress import PlainFace, Progress
from docendo.grading import grade
from docendo.models.meter import Meter
from docendo.solve.plan import Settings
from docendo.solve.road import Solved
from docendo.solve.teach import Sample
from docendo.store import DecisionRow, Store
from docendo.types import Choice, Exam, Problem, Sitting, Usage

QUESTION = (
    "A baker begins with 7 loaves, 5 pies and 2 trays. The trays are gone from each. What is the count?"
)


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def solved(number: int, *, sc: str = "20", sum_: str = "21", answer: str | None = "21") -> Solved:
    problem = Problem(f"p{number}", QUESTION, answer)
    chosen = {"greedy": "20", "maj": sc, "max": sum_, "sum": sum_, "avg": sum_}
    grades = {said: grade(problem, f"Answer: {said}") for said in chosen.values()}
    choices = {rule: Choice(rule, said, grades[said].key, 1.0) for rule, said in chosen.items()}
    samples = tuple(Sample("teach", i, each, None) for i, each in enumerate(grades.values()))
    return Solved(problem, Exam((), ("s",)), samples, (), Sitting(0, 0, 0, "complete"), choices)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def begun(clock: Clock, total: int = 40, parallel: int = 2) -> Figures:
    figures = Figures(clock)
    figures.started(Path("runs/solve-1"), total, 0, Settings(parallel=parallel), Meter())
    return figures


class TestFigures:
    def test_accuracies_are_over_the_finished_problems_with_a_known_answer(self, clock: Clock) -> None:
        figures = begun(clock)
        assert figures.accuracies() == {}
        figures.finished(solved(1))
        figures.finished(solved(2, sc="21"))
        figures.finished(solved(3, answer=None))
        assert (figures.done, figures.judged) == (3, 2)
        assert figures.accuracies() == {"greedy": 0.0, "SC": 0.5, "SUM": 1.0}

    def test_arms_that_a_run_does_not_have_are_left_out(self, clock: Clock) -> None:
        figures = begun(clock)
        one = solved(1)
        given = {rule: choice for rule, choice in one.choices.items() if rule != "greedy"}
        figures.finished(replace(one, choices=given))
        assert figures.accuracies() == {"SC": 0.0, "SUM": 1.0}

    def test_problems_under_way_are_counted_by_stage(self, clock: Clock) -> None:
        figures = begun(clock)
        one, two = solved(1), solved(2)
        figures.stage(one.problem, "teach")
        figures.stage(two.problem, "teach")
        figures.stage(one.problem, "examine")
        assert figures.under_way() == {"teach": 1, "examine": 1}
        figures.finished(one)
        assert figures.under_way() == {"teach": 1}

    def test_time_left_follows_the_recent_rate(self, clock: Clock) -> None:
        figures = begun(clock, total=200, parallel=2)
        for i in range(100):
            clock.now += 10.0 if i < 50 else 1.0
            figures.finished(solved(i))
        assert figures.left() == pytest.approx(100.0)
        clock.now += 40.0  # nothing finished for a while: it takes longer
        assert figures.left() == pytest.approx(200.0)

    def test_time_left_is_not_guessed_from_the_first_few(self, clock: Clock) -> None:
        figures = begun(clock, total=40, parallel=4)
        for i in range(4):
            assert figures.left() is None
            clock.now += 3.0
            figures.finished(solved(i))
        assert figures.left() == pytest.approx(36 * 3.0)

    def test_replies_a_second_are_those_of_late(self, clock: Clock) -> None:
        figures = begun(clock)
        assert figures.meter is not None
        count = figures.meter.count("m", "exam")
        figures.rate()
        for _ in range(100):
            clock.now += 1.0
            count.replied += 50
            figures.rate()
        for _ in range(40):
            clock.now += 1.0
            count.replied += 10
            rate = figures.rate()
        assert rate == pytest.approx(10.0)

    def test_tokens_a_second_count_those_of_replies_still_to_come(self, clock: Clock) -> None:
        figures = begun(clock)
        assert figures.meter is not None
        figures.token_rate()
        clock.now += 2.0
        figures.meter.tell("m", 600)
        assert figures.token_rate() == pytest.approx(300.0)
        clock.now += 1.0
        figures.meter.count("m", "exam").usage += Usage(prompt=500, cached=0, completion=100)  # the same ones
        figures.meter.count("endpoint", "exam").usage += Usage(prompt=250, cached=0, completion=50)
        assert figures.token_rate() == pytest.approx(300.0)

    def test_what_was_finished_before_a_resume_counts(self, clock: Clock, tmp_path: Path) -> None:
        problems = [Problem(f"p{i}", QUESTION, "21") for i in range(3)]
        with Store.create(tmp_path / "run", kind="solve", config={}, seed=0, taught=problems) as store:
            choices = [DecisionRow("p0", Choice("maj", "20", "n:20", 1), False)]
            choices += [DecisionRow("p0", Choice("sum", "21", "n:21", 1), True)]
            store.finish_problem("p0", decisions=choices)
            figures = Figures(clock)
            figures.started(store.folder, 3, 1, Settings(), Meter())
        figures.finished(solved(1, sc="21"))
        assert (figures.done, figures.judged) == (2, 2)
        assert figures.accuracies()["SC"] == 0.5
        assert figures.accuracies()["SUM"] == 1.0


WHY = "http://127.0.0.1:1/v1 has answered nothing for 12 s: no connection (All connection attempts failed)"


def hindered(clock: Clock) -> Figures:
    figures = begun(clock)
    assert figures.meter is not None
    figures.meter.watch(lambda: WHY)
    figures.meter.watch(lambda: WHY)
    figures.meter.watch(lambda: None)
    return figures


class TestPlainFace:
    def test_says_a_line_for_each_tenth(self, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        face, figures = PlainFace("solve"), Figures(clock)
        face.look(figures)
        assert capsys.readouterr().err == ""
        figures.started(Path("runs/solve-1"), 100, 0, Settings(), Meter())
        for i in range(100):
            face.look(figures)
            figures.finished(solved(i))
        face.close(figures)
        out, err = capsys.readouterr()
        lines = err.splitlines()
        assert not out
        assert lines[0] == "solve: 100 problems, in runs/solve-1"
        assert [line.split("/")[0] for line in lines[1:]] == [f"{n}0" for n in range(1, 11)]
        assert "right so far: greedy 0.0 %, SC 0.0 %, SUM 100.0 %" in lines[-1]
        assert all(line.isprintable() for line in lines)

    def test_a_resume_says_what_was_there(self, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        figures = begun(clock)
        figures.done = 12
        PlainFace("solve").look(figures)
        assert (
            capsys.readouterr().err.splitlines()[0]
            == "solve: 40 problems, 12 finished already, in runs/solve-1"
        )

    def test_says_why_nothing_comes(self, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        figures = hindered(clock)
        face = PlainFace("solve")
        face.look(figures)
        figures.finished(solved(0))
        face.close(figures)
        assert f"waiting: {WHY}" in capsys.readouterr().err.splitlines()[-1]


class TestLiveFace:
    def test_says_why_nothing_comes_in_full(self, clock: Clock) -> None:
        console = Console(file=io.StringIO(), width=60, color_system=None)
        console.print(drawing("solve", hindered(clock)))
        assert isinstance(console.file, io.StringIO)
        said = console.file.getvalue()
        assert said.count("waiting") == 1, "two models of one server have one trouble"
        assert WHY.split()[-1] in said

    @pytest.mark.parametrize("width", [40, 60, 80, 200])
    def test_every_line_fits_and_few_are_needed(self, width: int, clock: Clock) -> None:
        figures = begun(clock)
        for i in range(30):
            clock.now += 5000.0
            figures.stage(solved(i + 100).problem, "examine")
            figures.finished(solved(i))
        assert figures.meter is not None
        for purpose in ("greedy", "teach", "exam", "sc"):
            figures.meter.count("m", purpose).sent = 123_456
            figures.meter.count("m", purpose).replied = 120_000
            figures.meter.count("m", purpose).replayed = 20_000
        console = Console(file=io.StringIO(), width=width, color_system=None)
        console.print(drawing("solve", figures))
        assert isinstance(console.file, io.StringIO)
        lines = console.file.getvalue().splitlines()
        assert len(lines) <= 10
        assert max(map(len, lines)) <= width
        if width >= 60:
            text = "\n".join(lines)
            assert "30/40" in text
            assert "75 %" in text
            assert "SC 0.0 %  SUM 100.0 %" in text
            assert "✗ SC 20   ✓ SUM 21" in text

    def test_says_something_before_the_run_begins(self, clock: Clock) -> None:
        console = Console(file=io.StringIO(), width=60)
        console.print(drawing("solve", Figures(clock)))
        assert isinstance(console.file, io.StringIO)
        assert "opening the models" in console.file.getvalue()


class TestProgress:
    def test_a_display_that_cannot_write_does_not_hurt_the_run(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = io.StringIO()
        closed.close()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", io.StringIO())
            progress = Progress("solve", Ink(stderr=True))
            patch.setattr(sys, "stderr", closed)
            with progress:
                progress.figures.started(Path("run"), 1, 0, Settings(), Meter())
                progress.figures.finished(solved(1))
        assert progress.figures.done == 1
