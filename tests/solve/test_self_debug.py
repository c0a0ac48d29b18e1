"""Self-debug on the whole road: what a failing program's writer is shown, what is taken, and what tables say of it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import docendo
from docendo.cli import main
from docendo.errors import ConfigError, ModelError
from docendo.grading import sandbox
from docendo.models.scripted import ScriptedModel
from docendo.prompts import Prompts
from docendo.solve.forecast import forecast
from docendo.solve.plan import Settings
from docendo.solve.run import Run, planned
from docendo.types import Call, Problem

needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="running programs needs bubblewrap (apt-get install bubblewrap)"
)

SECRET = 918273
"""In every hidden test and in no other place."""

FACTORS = (2, 3, 5)
PLAN: dict[str, Any] = {
    "teacher": "t",
    "students": ("s",),
    "lessons": 4,
    "exam_problems": 2,
    "repeats": 1,
    "prompts": "chat",
    "parallel": 1,
}


@pytest.fixture(autouse=True, scope="module")
def _workers() -> Iterator[None]:
    yield
    sandbox.close_all()


def times(factor: int) -> Problem:
    name = f"times{factor}"
    return Problem(
        name,
        f"Write {name}(n), which returns {factor} times n.",
        kind="code",
        family="times",
        meta={
            "entry_point": name,
            "visible": [{"args": [0], "expected": 0}, {"args": [1], "expected": factor}],
            "hidden": [{"args": [SECRET], "expected": SECRET * factor}],
        },
    )


PROBLEMS = [times(factor) for factor in FACTORS]

Write = Callable[[str, int, Call], str]
"""What a teacher writes for a name, a factor and a call."""


def fenced(name: str, body: str, strategy: str = "Multiply.") -> str:
    return f"{strategy}\n```python\ndef {name}(n):\n    {body}\n```"


def scripted(write: Write) -> dict[str, ScriptedModel]:
    def asked(call: Call) -> tuple[str, int]:
        factor = int(str(call.prompt).rpartition("Write times")[2].partition("(")[0])
        return f"times{factor}", factor

    def student(call: Call) -> str:
        name, factor = asked(call)
        return fenced(name, f"return {factor} * n")

    return {
        "t": ScriptedModel("t", lambda call: write(*asked(call), call)),
        "s": ScriptedModel("s", student),
    }


def mends(name: str, factor: int, call: Call) -> str:
    """One sample of four is right at first, the others add where they should multiply; every revision is right."""
    if call.purpose == "debug" or (call.purpose == "teach" and call.sample == 1):
        return fenced(name, f"return {factor} * n")
    # Two samples write the same wrong program, after different strategies.
    return fenced(name, f"return n + {10 + call.sample % 2}", f"Add, way {call.sample}.")


def ran(write: Write, folder: Path, **plan: Any) -> tuple[Run, dict[str, ScriptedModel]]:
    models = scripted(write)
    given = {"self_debug": True, "equal_cost": False} | PLAN | plan
    return docendo.solve(PROBLEMS, out=folder, models=models, **given), models


def purposes(model: ScriptedModel) -> Counter[str]:
    return Counter(call.purpose for call in model.seen)


@needs_sandbox
class TestMending:
    def test_both_rows_of_one_sample_and_of_sc_are_in_the_table(self, tmp_path: Path) -> None:
        run, models = ran(mends, tmp_path / "run", equal_cost=True)
        table = run.summary().overall
        accuracy = {name: arm.accuracy.mean for name, arm in table.arms.items()}
        assert accuracy["sample_undebugged"] == pytest.approx(0.25)
        assert (accuracy["sc_undebugged"], accuracy["greedy"], accuracy["sc_equal_cost"]) == (0, 0, 0)
        assert (accuracy["sample"], accuracy["sc"], accuracy["sum"]) == (1, 1, 1)
        # A wrong program passes no test here, so shares of tests passed are shares of programs that are right.
        for name in accuracy:
            arm = table.arms[name]
            assert arm.v_score.mean == arm.s_score.mean == pytest.approx(accuracy[name])
        assert table.differences["sample-sample_undebugged"].mean == pytest.approx(0.75)
        assert table.differences["sc-sc_undebugged"].mean == 1
        assert {"sc-sc_undebugged", "sum-sc"} <= set(run.summary().json()["differences"])  # type: ignore[call-overload]
        # Two samples share a wrong program and one has another: two calls a problem, not three.
        assert purposes(models["t"])["debug"] == 2 * len(PROBLEMS)

    def test_revisions_are_charged_to_those_arms_that_use_them(self, tmp_path: Path) -> None:
        run, _ = ran(mends, tmp_path / "run", equal_cost=True)
        arms = run.summary().overall.arms
        with run.view() as view:
            spent = {row.purpose: row.usage.computed for row in view.totals() if row.model == "t"}
            exams = sum(row.usage.computed for row in view.totals() if row.model == "s")
        assert spent["debug"] > 0
        assert arms["sc"].cost.computed - arms["sc_undebugged"].cost.computed == spent["debug"]
        assert arms["sum"].cost.computed == spent["teach"] + spent["debug"] + exams
        assert arms["sc_equal_cost"].cost.computed == spent["teach"] + spent["sc"]
        assert arms["sc_equal_cost"].cost.computed >= arms["sum"].cost.computed
        assert arms["sample"].cost.computed > arms["sample_undebugged"].cost.computed

    def test_no_prompt_knows_a_hidden_test_and_a_revision_sees_the_failing_one(self, tmp_path: Path) -> None:
        run, models = ran(mends, tmp_path / "run")
        assert all(str(SECRET) not in str(call.prompt) for model in models.values() for call in model.seen)
        with run.view() as view:
            assert all(str(SECRET) not in str(view.prompt(row.call)) for row in view.calls())
        shown = [
            str(c.prompt) for c in models["t"].seen if c.purpose == "debug" and "times3(n)" in str(c.prompt)
        ]
        assert len(shown) == 2
        for prompt in shown:
            assert "return n + 1" in prompt
            told = prompt.partition("This program fails a test")[2]
            assert "times3(0) == 0" in told  # the first that fails, and no later one
            assert "times3(1) == 3" not in told
            assert "What happened" in told

    def test_originals_and_revisions_are_kept(self, tmp_path: Path) -> None:
        run, _ = ran(mends, tmp_path / "run")
        with run.view() as view:
            rows = {
                arm: [r for r in view.samples("times2") if r.arm == arm]
                for arm in ("teach", "draft", "debug")
            }
            lessons = {row.lesson.id: row.lesson for row in view.lessons("times2")}
        assert [row.sample for row in rows["draft"]] == [0, 2, 3]
        assert [row.sample for row in rows["debug"]] == [0, 3]
        assert all("n + 1" in (row.grade.answer or "") for row in rows["draft"])
        assert all(row.grade.score == 1.0 for row in (*rows["teach"], *rows["debug"]))
        # What is examined is the revision, its own strategy with it.
        assert {lesson.examples[0].rationale for lesson in lessons.values()} == {"Multiply."}

    def test_show_and_report_tell_of_it(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run, _ = ran(mends, tmp_path / "run", equal_cost=True)
        assert main(["report", str(run.folder)]) == 0
        assert main(["show", str(run.folder), "times2"]) == 0
        out = "".join(capsys.readouterr())
        assert "sc_undebugged" in out
        assert "before they were revised" in out
        page = (run.folder / "report.html").read_text(encoding="utf-8")
        assert "SC, undebugged" in page
        assert "SC, none of it revised, over" in page


@needs_sandbox
class TestKeeping:
    @pytest.mark.parametrize(
        "revision",
        [
            "I see no mistake.",
            "def times2(n): return (",
            fenced("times2", "return 99").replace("times2", "{name}"),
        ],
        ids=["unreadable", "broken", "worse"],
    )
    def test_a_revision_that_is_no_better_is_not_taken(self, revision: str, tmp_path: Path) -> None:
        def write(name: str, factor: int, call: Call) -> str:
            # Passes the first visible test and not the second.
            return revision.replace("{name}", name) if call.purpose == "debug" else fenced(name, "return 0")

        run, models = ran(write, tmp_path / "run")
        assert purposes(models["t"])["debug"] == len(PROBLEMS)
        arms = run.summary().overall.arms
        assert arms["sc"].cost.computed > arms["sc_undebugged"].cost.computed  # asked, and so paid
        with run.view() as view:
            rows = list(view.samples())
        assert not [row for row in rows if row.arm == "draft"]
        assert all("return 0" in (row.grade.answer or "") for row in rows if row.arm == "teach")

    def test_programs_that_pass_what_is_visible_cost_nothing(self, tmp_path: Path) -> None:
        """They are wrong where only hidden tests look: nothing may come of that."""
        run, models = ran(
            lambda name, factor, _: fenced(name, f"return {factor} * min(n, 9)"), tmp_path / "run"
        )
        assert purposes(models["t"])["debug"] == 0
        arms = run.summary().overall.arms
        assert arms["sc"].accuracy == arms["sc_undebugged"].accuracy
        assert arms["sc"].accuracy.mean == 0
        assert arms["sc"].cost == arms["sc_undebugged"].cost

    def test_without_visible_tests_nothing_is_shown_back(self, tmp_path: Path) -> None:
        blind = replace(times(7), meta={**times(7).meta, "visible": []})
        models = scripted(lambda name, factor, call: fenced(name, "return 1"))
        plan = {"self_debug": True, "equal_cost": False} | PLAN
        docendo.solve([blind], exams=PROBLEMS, out=tmp_path / "run", models=models, **plan)
        assert purposes(models["t"]) == {"teach": 4, "greedy": 1}


@needs_sandbox
def test_a_killed_run_asks_no_revision_twice(tmp_path: Path) -> None:
    whole, _ = ran(mends, tmp_path / "whole")

    def dies(name: str, factor: int, call: Call) -> str:
        if call.purpose == "debug" and factor == FACTORS[1]:
            raise RuntimeError("the machine is gone")
        return mends(name, factor, call)

    with pytest.raises(ModelError, match="the machine is gone"):
        ran(dies, tmp_path / "cut")
    with Run(tmp_path / "cut").view() as view:
        recorded = {row.call for row in view.calls()}
        judged = sum(1 for _ in view.verdicts())
    assert recorded
    assert judged
    models = scripted(mends)
    run = docendo.resume(tmp_path / "cut", models=models)
    again = {(call.request, call.sample) for model in models.values() for call in model.seen}
    assert again
    assert not again & recorded
    assert purposes(models["t"])["debug"] == 2 * (len(PROBLEMS) - 1)
    assert run.summary().json() == whole.summary().json()


class TestBefore:
    def test_a_dry_run_counts_at_most_one_revision_a_sample(self) -> None:
        settings = {
            "teacher": "openai:m",
            "students": ["openai:m"],
            "lessons": 4,
            "base_url": "http://127.0.0.1:1/v1",
        }
        rows = {}
        for on in (False, True):
            plan, taught, pool, _ = planned(PROBLEMS, None, None, None, settings | {"self_debug": on})
            rows[on] = {row.purpose: row for row in forecast(taught, pool, plan).rows}
        assert "debug" not in rows[False]
        calls = rows[True]["debug"].calls
        assert (calls.low, calls.high) == (0, 4 * len(PROBLEMS))

    def test_a_style_without_the_template_is_refused_before_anything_is_asked(self, tmp_path: Path) -> None:
        models = scripted(mends)
        plan = PLAN | {"prompts": "school", "self_debug": True}
        with pytest.raises(ConfigError, match=r"style 'school' has no debug\.j2"):
            docendo.solve(PROBLEMS, out=tmp_path / "run", models=models, **plan)
        assert not models["t"].seen
        assert not (tmp_path / "run").exists()

    def test_a_run_without_programs_is_refused(self, tmp_path: Path) -> None:
        sums = [Problem(str(n), f"{n} + {n}?", str(2 * n), family="sums") for n in range(3)]
        models = scripted(mends)
        with pytest.raises(ConfigError, match="only programs are debugged"):
            docendo.solve(sums, out=tmp_path / "run", models=models, **PLAN | {"self_debug": True})
        assert not models["t"].seen

    @pytest.mark.parametrize("style", ["chat", "completion"])
    def test_prompts_show_the_program_the_test_and_what_happened(self, style: str) -> None:
        problem = times(3)
        said = Prompts(style).debug(problem, "def times3(n):\n    return n", 1, "it is 1")
        text = json.dumps(said)
        for part in (problem.question, "return n", "times3(1) == 3", "it is 1"):
            assert part in text
        assert str(SECRET) not in text
        assert Settings().self_debug is False
