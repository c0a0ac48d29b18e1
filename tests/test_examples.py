"""The run files in examples/: each loads, and plans the paper's problems with exams of their variants."""

from __future__ import annotations

import json
import runpy
import shutil
import tomllib
from pathlib import Path

import pytest

from docendo.cli import main
from docendo.data import load_problems
from docendo.exams.select import ProblemPool, Selector
from docendo.refine.config import planned
from docendo.solve.config import configured

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FILES = sorted(EXAMPLES.glob("m1-math-*.toml"))
CODE = EXAMPLES / "m1-code-leetcode.toml"
TUNING = EXAMPLES / "m2-math-llama3-8b.toml"
REFINING = sorted(EXAMPLES.glob("m3-*.toml"))


def test_there_are_some() -> None:
    assert len(FILES) >= 6


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_run_file_loads_with_the_papers_settings(file: Path) -> None:
    found = configured(file, {})
    settings = found.settings
    assert found.problems is not None
    assert found.problems.startswith(f"math500:{EXAMPLES}/data/math500.jsonl?ids={EXAMPLES}/data/")
    assert found.exams == f"math-functional:{EXAMPLES}/data/math_functional"
    assert (settings.lessons, settings.exam_problems, settings.repeats) == (256, 3, 3)
    assert (settings.exam_select, settings.temperature) == ("variants", 0.7)
    for name in (settings.teacher, *settings.students):
        sampling = settings.sampling("exam", name)
        assert sampling.temperature == 0.7
        # OpenAI's own endpoint has no top-k, and the paper gives none for its models.
        assert sampling.top_k == (0 if "gpt-" in name else 20)


@pytest.mark.parametrize("file", [*FILES, CODE, *REFINING], ids=lambda file: file.stem)
def test_the_readme_lists_it_and_says_the_same(file: Path) -> None:
    row = next(line for line in (EXAMPLES / "README.md").read_text().splitlines() if file.name in line)
    students = tomllib.loads(file.read_text())["students"]
    assert row.rsplit("|", 2)[1].count(",") + 1 == len(students)


def test_the_code_run_file_examines_on_problems_with_a_common_tag(tmp_path: Path) -> None:
    found = configured(CODE, {})
    settings = found.settings
    assert (settings.lessons, len(settings.students), settings.sandbox) == (8, 1, "auto")
    tags = {"a": ["Array", "Hash Table"], "b": ["Hash Table"], "c": ["Tree"], "d": ["Array"], "e": ["Tree"]}
    rows = [
        {
            "task_id": name,
            "question": f"Write {word}.",
            "entry_point": word,
            "tests": [f"assert {word}(1) == 1", f"assert {word}(2) == 2"],
            "tags": own,
        }
        for (name, own), word in zip(
            tags.items(), ("sums", "pairs", "depth", "rotate", "mirror"), strict=True
        )
    ]
    (tmp_path / "leetcode.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = load_problems(f"leetcode:{tmp_path / 'leetcode.jsonl'}")
    pool = ProblemPool(problems)
    selector = Selector(pool, settings.exam_problems, how=settings.exam_select, rule=settings.exam_rule)
    exams = {p.id: {q.id for q in selector.select(p).problems} for p in problems}
    assert exams == {"a": {"b", "d"}, "b": {"a"}, "c": {"e"}, "d": {"a"}, "e": {"c"}}


def test_the_tuning_file_plans_the_papers_shape_from_its_own_training_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    file = Path(shutil.copy(TUNING, tmp_path))
    rows = [
        {"problem": f"What is {n} plus {n} times {n + 1}?", "solution": f"$\\boxed{{{n + n * (n + 1)}}}$"}
        | {"level": "Level 2", "type": "Algebra", "unique_id": f"train/algebra/{n}.json"}
        for n in range(2, 1602)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("math_train.jsonl", "math500.jsonl"):
        (tmp_path / "data" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "--config", file.name, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    asked = {row["purpose"]: row["calls"]["high"] for row in found["forecast"]["rows"]}
    assert found["forecast"]["problems"] == 1564
    assert (asked["teach"], asked["exam"]) == (1564 * 32, 1564 * 32 * 4)
    assert found["teacher"] == "vllm:models/Meta-Llama-3-8B-Instruct"
    assert found["compared"] == ["math500:data/math500.jsonl"]
    assert {path.name for path in tmp_path.iterdir()} == {"data", file.name}


def test_the_papers_problems_get_their_variants(shared_data: Path, tmp_path: Path) -> None:
    math500 = Path(shutil.copy(shared_data / "math500.jsonl", tmp_path))
    functional = shared_data / "math_functional.jsonl"
    runpy.run_path(str(EXAMPLES / "prepare_math.py"))["main"](str(math500), str(functional))
    ids = tmp_path / "math500_functional_ids.json"
    taught = load_problems(f"math500:{math500}?ids={ids}")
    assert len(taught) == 181
    pool = ProblemPool(load_problems(f"math-functional:{functional}?ids={ids}"))
    exams = [Selector(pool, 3, how="variants").select(problem) for problem in taught]
    assert sorted(len(exam.problems) for exam in exams) == [2] * 12 + [3] * 169
    assert not any(exam.excluded for exam in exams)


@pytest.mark.parametrize("file", REFINING, ids=lambda file: file.stem)
def test_a_refining_run_file_is_forecast_with_the_papers_sizes(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(file, tmp_path)
    (tmp_path / "data").mkdir()
    for part, count in (("train", 400), ("test", 40)):
        rows = [{"text": f"Statement {part} {i}.", "label": i % 2} for i in range(count)]
        liar = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "data" / f"liar_{part}.jsonl").write_text(liar)
        names = ("faulty generalization", "ad hominem")
        table = "".join(f"Text {part} {i}.,{names[i % 2]}\n" for i in range(count))
        (tmp_path / "data" / f"edu_{part}.csv").write_text(f"source_article,updated_label\n{table}")
    plan = planned(None, None, None, tmp_path / file.name, None, {})
    how = plan.how
    assert (how.examples, how.beam, how.rounds, how.minibatch, how.reflections) == (8, 4, 5, 64, 4)
    assert plan.task.labels == ("no", "yes")
    assert "generalization" in plan.task.instruction or "lie" in plan.task.instruction
    assert main(["refine", "--config", str(tmp_path / file.name), "--dry-run", "--json"]) == 0
    forecast = json.loads(capsys.readouterr().out)
    reflect = next(row for row in forecast["rows"] if row["purpose"] == "reflect")
    assert reflect["calls"]["high"] == 5 * 4 * 4
