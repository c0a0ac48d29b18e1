"""A whole study of M2 with the school's own models, as small as can be: what it runs, resumes, computes and says."""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.data import load_problems
from docendo.errors import StoreError
from docendo.schoolhouse.families import SHIPPED_SEED
from docendo.schoolhouse.world import World, random_method, random_numbers, work
from docendo.stats import paired_difference
from docendo.study.m2.analyse import Results, analyse
from docendo.study.m2.method import Methods, carried_out, steps_of
from docendo.study.m2.page import headlines, render, write_page, write_results
from docendo.study.m2.plan import ARMS, FULL, QUICK, Plan
from docendo.study.m2.run import Study, run_study

SMALL = Plan(
    "A small study",
    quick=True,
    tested="school:m2-dev",
    limit=12,
    lessons={"lessons": 8, "exam_problems": 2, "repeats": 1, "temperature": 1.0},
    margin=0.3,
    pairs=4,
    training={"rate": 1e-3, "likelihood": 1.0, "batch": 2, "steps": 2},
    seeds=(0, 1),
    samples=2,
)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Results]:
    pytest.importorskip("trl", reason="training needs the extra train")
    folder = tmp_path_factory.mktemp("m2")

    class Cut(BaseException):
        """Stands for the machine going down."""

    @contextlib.contextmanager
    def cutting(title: str) -> Iterator[None]:
        if "6/11" in title:
            raise Cut
        yield None

    with pytest.raises(Cut):
        run_study(SMALL, folder / "out", cutting)
    kept = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("test.json")}
    assert len(kept) == 3  # the untuned teacher's, and those of two trainings
    study = run_study(SMALL, folder / "out")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was complete is not made again"
    return study, analyse(study)


class TestRun:
    def test_every_arm_and_seed_is_trained_on_as_many_pairs(self, studied: tuple[Study, Results]) -> None:
        study, _ = studied
        assert [(t.arm, t.seed) for t in study.tuned] == [(arm, s) for arm in ARMS for s in SMALL.seeds]
        assert len({len(t.pairs.train) for t in study.tuned}) == 1
        assert {t.trained.steps for t in study.tuned} == {2}
        for t in study.tuned:
            assert (t.trained.model / "config.json").is_file()
            assert set(t.answers) == {p.id for p in study.tested}

    def test_another_plan_is_refused(self, studied: tuple[Study, Results]) -> None:
        study, _ = studied
        with pytest.raises(StoreError, match="another plan"):
            run_study(replace(SMALL, margin=0.4), study.folder)

    def test_the_lbt_arms_know_no_gold(self, studied: tuple[Study, Results]) -> None:
        study, _ = studied
        for t in study.tuned:
            assert t.arm.golds == (t.arm.lam < 1)
            for pair in t.pairs.train:
                score = t.arm.lam * (pair.chosen.lbt or 0) + (1 - t.arm.lam) * (pair.chosen.correct or 0)
                assert pair.chosen.score == pytest.approx(score)


class TestAnalysis:
    def test_the_primary_difference_is_that_of_the_stored_answers(
        self, studied: tuple[Study, Results]
    ) -> None:
        study, results = studied
        problems = [p for p in study.tested if p.group != "untaught"]

        def values(arm: str) -> list[float]:
            found = []
            for p in problems:
                rows = [
                    json.loads((study.folder / f"{arm}-{seed}" / "test.json").read_text())[p.id]
                    for seed in SMALL.seeds
                ]
                found.append(sum(row["right"] / row["samples"] for row in rows) / len(rows))
            return found

        expected = paired_difference(values("both"), values("correctness"), [p.cluster for p in problems])
        assert results.primary == expected
        assert results.problems == len(problems)
        assert sum(results.by_seed) / 2 == pytest.approx(expected.mean)

    def test_lessons_are_counted_by_answer_and_method(self, studied: tuple[Study, Results]) -> None:
        study, results = studied
        lessons = [c for one in study.ranked for c in one.candidates if c.lbt is not None]
        assert sum(n for n, _ in results.apart.cells.values()) == results.apart.lessons == len(lessons)
        assert results.apart.cells[True, True][0] <= sum(c.correct == 1 for c in lessons)
        assert sum(rows[0].mean.n for rows in results.kinds.values()) == results.problems
        for shown in results.apart.accidents:
            assert shown.correct
            assert not shown.sound

    def test_the_page_says_what_was_found_and_claims_nothing_of_a_slice(
        self, studied: tuple[Study, Results], tmp_path: Path
    ) -> None:
        study, results = studied
        page = write_page(study.plan, results, tmp_path).read_text(encoding="utf-8")
        assert "supports no claim" in page
        assert "Expected of the primary" not in page
        assert all(line in page for line in headlines(study.plan, results)[1:])
        assert all(page.count(f"| {arm.says} |") >= 3 for arm in ARMS)
        write_results(results, tmp_path / "results.json")
        assert json.loads((tmp_path / "results.json").read_text())["problems"] == results.problems
        declared = render(FULL, results)
        verdict = results.primary.mean is not None and results.primary.mean >= 0.018
        if not verdict:
            assert "above zero: missed." in declared


class TestMethods:
    @given(st.integers(0, 10**6), st.integers(3, 4))
    def test_a_working_that_is_carried_out_on_other_numbers_gives_what_its_method_does(
        self, seed: int, things: int
    ) -> None:
        rng = random.Random(seed)
        labels = ("trays", "buns", "rolls", "loaves")[:things]
        method = random_method(rng, things)
        one, other = random_numbers(rng, things), random_numbers(rng, things)
        first, second = work(method, labels, one), work(method, labels, other)
        if first is None or second is None:
            return
        question = ", ".join(f"{n} {label}" for n, label in zip(other, labels, strict=True))
        assert carried_out(steps_of(first[0]), question) == str(second[1])

    @pytest.mark.parametrize(
        "text", ["", "I guess.", "buns 3 plus = 4.", "times 4 = 8.", "buns 3 plus 4, = 7."]
    )
    def test_what_is_no_working_has_no_steps(self, text: str) -> None:
        assert steps_of(text) == ()

    def test_a_right_answer_by_the_wrong_way_is_unsound(self) -> None:
        problems = load_problems("school:m2-exams")
        methods = Methods(problems)
        problem = next(p for p in problems if (p.solution or "").count("=") == 2)
        assert methods.sound(problem, problem.solution or "")
        number, label = next(iter(re.findall(r"(\d+) (\w+)", problem.question)))
        made_up = f"{label} {number} plus {int(problem.answer or 0) - int(number)} = {problem.answer}."
        assert not methods.sound(problem, made_up)


def test_what_is_learnt_from_is_never_tested() -> None:
    sets = {name: load_problems(f"school:{name}") for name in ("m2", "m2-exams", "m2-dev", "m2-test")}
    questions = [{p.question for p in problems} for problems in sets.values()]
    assert sum(map(len, questions)) == len(set().union(*questions))
    assert {p.group for p in sets["m2"]} == {"head", "middle", "tail"}
    tested = [p for p in sets["m2-test"] if p.group != "untaught"]
    assert len(tested) >= 2000
    assert {p.family for p in tested} == {p.family for p in sets["m2"]}
    assert len({f.cluster for f in World(SHIPPED_SEED).families}) == len({p.cluster for p in tested})


def test_the_quick_slice_leaves_the_test_problems_alone() -> None:
    assert FULL.tested == "school:m2-test"
    assert QUICK.tested == "school:m2-dev"
    assert len(FULL.seeds) >= 5
