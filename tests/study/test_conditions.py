"""Conditions change one thing in how lessons are examined, and what they change is what they say."""

from __future__ import annotations

import functools
import random
from collections import Counter
from pathlib import Path

import pytest

from docendo.data import load_problems
from docendo.errors import DataError
from docendo.prompts import Prompts
from docendo.schoolhouse.families import Variant
from docendo.schoolhouse.schooling.curriculum import Piece, draw, written
from docendo.schoolhouse.schooling.domains import DOMAINS, Domain
from docendo.solve.plan import Settings
from docendo.solve.road import Solved, Stage
from docendo.solve.run import Run, solve
from docendo.study.conditions import CONDITIONS, PROMPTS, Condition
from docendo.types import Example, Lesson, Problem

# The domains whose lessons are one example. The verbal one's are sets, which M3 refines and no condition changes; the
# writing one's are problems.
STUDIED = {name: DOMAINS[name] for name in ("arithmetic", "code")}
BY_NAME = {condition.name: condition for condition in CONDITIONS}


@functools.cache
def everything() -> list[Problem]:
    return load_problems("school:m1-dev@3")


@functools.cache
def exam_pool() -> list[Problem]:
    return load_problems("school:m1-dev-exams@3")


def two_clusters() -> list[Problem]:
    """Three problems of each of two clusters."""
    first, second, *_ = sorted({p.cluster or "" for p in everything()})
    return [p for c in (first, second) for p in [q for q in everything() if q.cluster == c][:3]]


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return solve(
        two_clusters(),
        exams=exam_pool(),
        out=tmp_path_factory.mktemp("study") / "main",
        lessons=5,
        exam_problems=2,
        repeats=2,
        equal_cost=False,
        seed=4,
    )


def scores(run: Run) -> dict[tuple[str, str], float | None]:
    with run.view() as view:
        return {(row.problem, row.lesson.id): row.score for row in view.lessons()}


def chosen(run: Run, rule: str) -> dict[str, str | None]:
    with run.view() as view:
        return {d.problem: d.choice.key for d in view.decisions() if d.choice.rule == rule}


def exam_prompts(run: Run) -> list[tuple[str, str]]:
    """(taught problem, what a student was asked) of every exam answer."""
    with run.view() as view:
        found = []
        for answer in view.exam_answers():
            prompt = view.prompt(answer.call)
            assert isinstance(prompt, str)
            found.append((answer.problem, prompt))
    return found


class Cut:
    """A watch that ends the run after a few problems, as a kill would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def started(self, folder: Path, total: int, done: int, settings: Settings, meter: object) -> None:
        """Look on."""

    def stage(self, problem: Problem, stage: Stage) -> None:
        """Look on."""

    def finished(self, solved: Solved) -> None:
        self.left -= 1
        if not self.left:
            raise InterruptedError("cut")


def _lesson(variant: Variant) -> Lesson:
    return Lesson((Example(variant.question, variant.working, variant.answer),))


def _problem(domain: Domain, variant: Variant) -> Problem:
    return Problem("p", variant.question, kind="code" if domain.name == "code" else "math")


# --- the forms --------------------------------------------------------------------------------------------


FORMS = {"school": "full", "answer-only": "answer", "rationale-only": "working"}


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize("domain", STUDIED.values(), ids=STUDIED)
@pytest.mark.parametrize("folder", FORMS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_lesson_is_shown_in_exactly_the_form_that_students_were_schooled_on(
    domain: Domain, folder: str, seed: int
) -> None:
    rng = random.Random(seed)
    family = domain.made_up(rng)
    first, second = draw(rng, family), draw(rng, family)
    schooled = text_of(written(domain, first, 1, 1, FORMS[folder]) + written(domain, second, 1, 1))
    prompts = Prompts(folder if folder == "school" else str(PROMPTS / folder))
    asked = prompts.examine(_lesson(first), _problem(domain, second))
    assert asked + f" {second.working}{domain.answer.format(second.answer)}\n\n" == schooled


@pytest.mark.parametrize("domain", STUDIED.values(), ids=STUDIED)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_lesson_is_a_problem_alone_as_students_were_schooled_on(domain: Domain, seed: int) -> None:
    rng = random.Random(seed)
    family = domain.made_up(rng)
    variant, other = draw(rng, family), draw(rng, family)
    asked = Prompts(str(PROMPTS / "none")).examine(_lesson(other), _problem(domain, variant))
    schooled = text_of(written(domain, variant, 1, 1))
    assert asked + f" {variant.working}{domain.answer.format(variant.answer)}\n\n" == schooled


# --- the conditions ---------------------------------------------------------------------------------------


def test_with_nothing_changed_the_main_run_comes_out_again(main: Run, tmp_path: Path) -> None:
    again = Condition("same", "").run(main, tmp_path / "same")
    assert again.complete
    assert scores(again) == scores(main)
    for rule in ("maj", "max", "sum", "avg"):
        assert chosen(again, rule) == chosen(main, rule)
    assert Counter(exam_prompts(again)) == Counter(exam_prompts(main))


def test_without_a_lesson_all_lessons_score_alike_and_sum_is_sc(main: Run, tmp_path: Path) -> None:
    run = BY_NAME["no-lesson"].run(main, tmp_path / "none")
    by_problem: dict[str, set[float | None]] = {}
    for (problem, _), score in scores(run).items():
        by_problem.setdefault(problem, set()).add(score)
    assert by_problem.keys() == {p.id for p in two_clusters()}
    assert all(len(found) == 1 for found in by_problem.values())
    assert chosen(run, "sum") == chosen(main, "maj")


def test_an_unrelated_lesson_is_another_clusters_whole_lesson_and_votes_for_its_own_answer(
    main: Run, tmp_path: Path
) -> None:
    run = BY_NAME["unrelated-lesson"].run(main, tmp_path / "unrelated")
    cluster = {p.id: p.cluster for p in two_clusters()}
    with main.view() as view:
        lessons = [(cluster[row.problem], row.lesson) for row in view.lessons()]
        exams = {p.question: p for p in view.problems("exam")}
        families = {p.id: p.family for p in view.problems()}
    prompts, shown = Prompts(), {}
    for place, lesson in lessons:
        for exam in exams.values():
            shown[prompts.examine(lesson, exam)] = (place, exam.family)
    asked = exam_prompts(run)
    assert asked
    for problem, prompt in asked:
        place, family = shown[prompt]
        assert place != cluster[problem]
        assert family == families[problem]
    assert chosen(run, "maj") == chosen(main, "maj")


@pytest.mark.parametrize(("name", "same_cluster"), [("confusable-exams", True), ("unrelated-exams", False)])
def test_exams_of_another_family(main: Run, tmp_path: Path, name: str, same_cluster: bool) -> None:
    run = BY_NAME[name].run(main, tmp_path / name)
    known = {p.question: p for p in exam_pool()}
    taught = {p.id: p for p in two_clusters()}
    asked = exam_prompts(run)
    assert {problem for problem, _ in asked} == set(taught)
    for problem, prompt in asked:
        exam = known[prompt.rsplit("Question: ", 1)[1].removesuffix("\nWorking:")]
        assert exam.family != taught[problem].family
        assert (exam.cluster == taught[problem].cluster) == same_cluster
    assert chosen(run, "maj") == chosen(main, "maj")
    assert len(asked) == len(exam_prompts(main))


def test_the_teacher_can_be_its_own_student(main: Run, tmp_path: Path) -> None:
    run = BY_NAME["teacher-as-student"].run(main, tmp_path / "own")
    with run.view() as view:
        assert {answer.student for answer in view.exam_answers()} == {"school:teacher"}
    assert Counter(exam_prompts(run)) == Counter(exam_prompts(main))


def test_every_sample_counts_under_every_control(main: Run, tmp_path: Path) -> None:
    with main.view() as view:
        taught = Counter(s.problem for s in view.samples() if s.arm == "teach" and s.lesson is not None)
    for name in ("answer-only", "rationale-only"):
        run = BY_NAME[name].run(main, tmp_path / name)
        with run.view() as view:
            assert Counter(s.problem for s in view.samples()) == taught
        assert chosen(run, "maj") == chosen(main, "maj")
        assert scores(run).keys() == scores(main).keys()


# --- the folder -------------------------------------------------------------------------------------------


def test_a_cut_condition_goes_on_and_a_complete_one_is_left_alone(main: Run, tmp_path: Path) -> None:
    condition = BY_NAME["answer-only"]
    whole = condition.run(main, tmp_path / "whole")
    with pytest.raises(InterruptedError):
        condition.run(main, tmp_path / "cut", Cut(3))  # type: ignore[arg-type]
    assert not Run(tmp_path / "cut").complete
    resumed = condition.run(main, tmp_path / "cut")
    assert resumed.complete
    assert scores(resumed) == scores(whole)
    with resumed.view() as view:
        sent = Counter(key for key, _ in view.sent())
        recorded = {c.call: c.session for c in view.calls()}
        # What the first session recorded, the second did not ask for again.
        assert not [k for k, s in view.sent() if s != recorded[k] and recorded[k] == 1]
        assert sent.keys() == recorded.keys()
        sessions = len(view.sessions())
    condition.run(main, tmp_path / "cut")
    with resumed.view() as view:
        assert len(view.sessions()) == sessions


def test_an_unfinished_main_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        solve(
            two_clusters(),
            exams=exam_pool(),
            out=tmp_path / "main",
            lessons=2,
            exam_problems=1,
            repeats=1,
            equal_cost=False,
            watch=Cut(2),  # type: ignore[arg-type]
        )
    with pytest.raises(DataError, match="not finished"):
        BY_NAME["no-lesson"].run(Run(tmp_path / "main"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_problems_without_a_family_to_confuse_them_with_are_left_out(tmp_path: Path) -> None:
    one, _, last, alone, *_ = two_clusters()
    quick = {"lessons": 2, "exam_problems": 1, "repeats": 1, "equal_cost": False}
    main = solve([one, alone, last], exams=exam_pool(), out=tmp_path / "main", **quick)
    run = BY_NAME["confusable-exams"].run(main, tmp_path / "out")
    with run.view() as view:
        assert [p.id for p in view.problems()] == [one.id, last.id]
