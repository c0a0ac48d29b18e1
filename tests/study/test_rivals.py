"""Rivals see what they are said to see and nothing more, are judged by what they wrote, and are asked once."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path

import pytest

from docendo.data import load_problems
from docendo.errors import StoreError
from docendo.solve.run import Run, solve
from docendo.store import Store
from docendo.study.likelihood import likelihood
from docendo.study.rivals import Rival, rivals
from docendo.types import Problem

LESSONS = 5


@functools.cache
def taught() -> list[Problem]:
    return load_problems("school:m1-dev@2")[:5]


def main_run(out: Path, **more: int) -> Run:
    return solve(
        taught(),
        exams=load_problems("school:m1-dev-exams@2"),
        out=out,
        equal_cost=False,
        **({"lessons": LESSONS, "repeats": 1} | more),
    )


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return main_run(tmp_path_factory.mktemp("study") / "main")


@pytest.fixture(scope="module")
def asked(main: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Rival]]:
    folder = tmp_path_factory.mktemp("rivals")
    return folder, rivals(main, folder)


def test_each_rival_is_shown_what_its_regime_allows(main: Run, asked: tuple[Path, dict[str, Rival]]) -> None:
    folder, found = asked
    with main.view() as view:
        exam = {p.question: p for p in view.problems("exam")}
    questions = {p.question: p for p in taught()}
    seen: dict[tuple[str, str], set[str]] = {}
    with Store.read(folder / "rivals") as view:
        for call in view.calls():
            who, shots, problem = call.batch.split(" ")
            prompt = view.prompt(call.call)
            assert isinstance(prompt, str)
            *shown, last = prompt.split("Question: ")[1:]
            own = questions[last.removesuffix("\nWorking:")]
            assert own.id == problem
            seen.setdefault((who, shots), set()).update(shown)
            for text in shown:
                other = exam[text.split("\n")[0]]
                assert other.family == own.family
                working = f"\nWorking: {other.solution}" if shots == "solutions" else ""
                assert text == f"{other.question}{working}\nAnswer: {other.answer}\n\n"
    assert not seen["student", "zero-shot"]
    # Together the samples see every exam problem.
    for shots in ("answers", "solutions"):
        assert {text.split("\n")[0] for text in seen["teacher", shots]} == set(exam)
    assert ("teacher", "zero-shot") not in seen
    assert {(r.name.split()[1], r.regime) for r in found.values()} == {
        ("zero-shot", "A"),
        ("answers", "A"),
        ("solutions", "B"),
    }


def test_a_rival_is_right_where_its_greedy_answer_or_its_majority_is(
    asked: tuple[Path, dict[str, Rival]],
) -> None:
    folder, found = asked
    golds = {p.id: p.answer for p in taught()}
    written: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    with Store.read(folder / "rivals") as view:
        for call in view.calls():
            who, shots, problem = call.batch.split(" ")
            text = view.recorded([call.call])[call.call].text
            answer = text.rsplit("Answer:", 1)[1].strip() if "Answer:" in text else ""
            way = "greedy" if call.purpose == "greedy" else "sc"
            written.setdefault((f"{who} {shots} {way}", problem, way), []).append((call.call[1], answer))
    assert len(written) == len(found) * len(golds)
    for (name, problem, way), answers in written.items():
        assert len(answers) == (1 if way == "greedy" else LESSONS)
        counts = Counter(answer for _, answer in sorted(answers) if answer)
        majority = counts.most_common(1)[0][0] if counts else None
        assert found[name].correct[problem] == float(majority == golds[problem])


def test_costs_count_a_shared_prompt_once_and_the_size_of_the_model(
    asked: tuple[Path, dict[str, Rival]],
) -> None:
    folder, found = asked
    with Store.read(folder / "rivals") as view:
        sizes = {m.name: m.parameters for m in view.models()}
        tokens: Counter[str] = Counter()
        for call in view.calls():
            who, shots, _ = call.batch.split(" ")
            way = "greedy" if call.purpose == "greedy" else "sc"
            tokens[f"{who} {shots} {way}"] += call.usage.prompt + call.usage.completion
    for rival in found.values():
        size = sizes[f"school:{rival.name.split()[0]}"]
        assert rival.cost.tokens == tokens[rival.name]
        assert rival.cost.cost == rival.cost.computed * (size or 0)
        if rival.name.endswith("sc"):
            assert rival.cost.computed < rival.cost.tokens
        else:
            assert rival.cost.computed == rival.cost.tokens


def test_results_are_kept_and_lost_results_ask_no_model_again(
    main: Run, asked: tuple[Path, dict[str, Rival]]
) -> None:
    folder, first = asked
    assert rivals(main, folder) == first
    with Store.read(folder / "rivals") as view:
        sent = len(list(view.sent()))
    (folder / "rivals.json").unlink()
    assert rivals(main, folder) == first
    with Store.read(folder / "rivals") as view:
        assert len(list(view.sent())) == sent


def test_results_of_another_main_run_are_refused(
    asked: tuple[Path, dict[str, Rival]], tmp_path: Path
) -> None:
    folder, _ = asked
    other = main_run(tmp_path / "other", lessons=1, exam_problems=1)
    with pytest.raises(StoreError, match="another main run"):
        rivals(other, folder)


def test_likelihood_tells_right_lessons_from_wrong_ones_and_is_kept(main: Run, tmp_path: Path) -> None:
    found = likelihood(main, tmp_path)
    assert set(found) == {"likelihood student max", "likelihood student sum"}
    with main.view() as view:
        able = {s.problem for s in view.samples() if s.arm == "teach" and s.grade.score == 1.0}
    for rival in found.values():
        assert rival.correct.keys() == {p.id for p in taught()}
        # Nobody can choose an answer that no lesson gives.
        assert {id for id, right in rival.correct.items() if right} <= able
        assert rival.auc is not None
        assert rival.auc > 0.5
    assert likelihood(main, tmp_path) == found
