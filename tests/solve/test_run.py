"""The road from the outside: what a run leaves, with scripted models in place of real ones."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace

import pytest

import docendo
from docendo import Problem, Store
from docendo.errors import ConfigError, DataError, ModelError, StoreError, UnspeakableError
from docendo.models.scripted import ScriptedModel
from docendo.types import Example, Reply

TEACHER, STUDENT = "school:teacher", "school:student"


def problems(families=6, each=4, gold=True):
    """Addition problems; the right answer of every one is 10 more than its number."""
    return [
        Problem(
            f"f{f}-{i}",
            f"family {f} number {100 * f + i}?",
            str(100 * f + i + 10) if gold or i else None,
            family=f"f{f}",
            cluster=f"c{f // 2}",
            group="even" if f % 2 == 0 else "odd",
        )
        for f in range(families)
        for i in range(each)
    ]


def number(prompt):
    return int(prompt.rstrip().removesuffix("Working:").rstrip().rstrip("?").split()[-1])


def draw(call, sides):
    return int(hashlib.sha256(f"{call.request} {call.sample}".encode()).hexdigest(), 16) % sides


def teach(call):
    """A third of the lessons add 10 (right), the rest 20: the majority is wrong."""
    step = 20 if call.purpose == "greedy" or draw(call, 3) else 10
    n = number(call.prompt)
    return f" add {step}: {n} + {step} = {n + step}.\nAnswer: {n + step}"


def follow(call):
    """Does what the lesson did."""
    step = 10 if "add 10:" in call.prompt else 20
    n = number(call.prompt)
    return f" add {step}: {n} + {step} = {n + step}.\nAnswer: {n + step}"


def models(**changes):
    return {
        TEACHER: ScriptedModel(TEACHER, changes.get("teach", teach), parameters=1000),
        STUDENT: ScriptedModel(STUDENT, changes.get("follow", follow), parameters=500),
    }


def test_exams_overturn_a_wrong_majority(tmp_path):
    run = docendo.solve(problems(), out=tmp_path / "r", models=models())
    found = run.summary().json()
    assert run.complete
    assert found["problems"] == 24
    assert found["arms"]["greedy"]["accuracy"] == 0
    assert found["arms"]["sc"]["accuracy"] < 0.2
    assert found["arms"]["sum"]["accuracy"] == found["arms"]["oracle"]["accuracy"] > 0.95
    low, high = found["differences"]["sum-sc"]["ci"]
    assert 0 < low <= found["differences"]["sum-sc"]["mean"] <= high
    assert found["auc"] == 1
    assert set(found["groups"]) == {"even", "odd"}
    # Samples are whole, and rounded up: a problem's equal cost may exceed its exams' by one sample.
    arms = found["arms"]
    assert 1 <= arms["sc_equal_cost"]["cost"] / arms["sum"]["cost"] < 1.1


def test_every_arm_is_charged_for_the_prompt_whoever_read_it(tmp_path):
    """The greedy call is asked beside the samples; where it read their common prompt, SC alone would have to."""

    def run(name, reads):
        def asked(call):
            cached = 0 if (call.purpose, call.sample) in reads else 8
            said = teach(call)
            return docendo.Reply(said, "stop", docendo.Usage(10, cached, len(said.split())))

        found = docendo.solve(problems(1), out=tmp_path / name, models=models(teach=asked), lessons=4)
        return {arm: row["cost"] for arm, row in found.summary().json()["arms"].items()}

    first = {("sc", 4)}  # of the further samples one reads it again, as those are asked later
    by_greedy, by_sample = (
        run(name, first | {who}) for name, who in (("g", ("greedy", 0)), ("s", ("teach", 0)))
    )
    for arm in ("sc", "max", "sum", "avg", "oracle"):
        assert by_greedy[arm] == by_sample[arm], arm
    assert by_greedy["sum"] <= by_greedy["sc_equal_cost"]


def test_identical_lessons_are_examined_once_and_voted_each(tmp_path):
    run = docendo.solve(problems(1), out=tmp_path / "r", models=models(), lessons=12, equal_cost=False)
    with run.view() as view:
        for problem in view.problems():
            record = view.problem_record(problem.id)
            assert len(record.lessons) <= 2
            assert len(record.exam_answers) == len(record.lessons) * 9
            assert sum(s.arm == "teach" for s in record.samples) == 12
            exam = {a.exam_problem for a in record.exam_answers}
            assert problem.id not in exam
            assert all(record.exam[id].family == problem.family for id in exam)
            weights = {d.choice.rule: d.choice.weight for d in record.decisions}
            right = sum(s.grade.score == 1 for s in record.samples if s.arm == "teach")
            if right:
                assert weights["sum"] == right
                assert weights["max"] == 1


@pytest.mark.parametrize("more", [{}, {"question": "family of kind number 5?"}])
def test_a_problem_that_is_there_twice_is_refused_before_there_is_a_folder(tmp_path, more):
    own = problems(1)
    with pytest.raises(DataError, match="'f0-0' is there twice"):
        docendo.solve([*own, replace(own[0], **more)], exams=own, out=tmp_path / "r", models=models())
    assert not (tmp_path / "r").exists()


def test_what_is_on_its_way_when_a_run_breaks_is_recorded_all_the_same(tmp_path):
    """One problem is finished and the disk, say, fails; the teacher has been asked about the others, and answers."""
    first = problems(1)[0]

    class Failing:
        def started(self, *rest):
            pass

        def stage(self, *rest):
            pass

        def finished(self, solved):
            raise OSError("no space left")

    asked = models()
    slow = {
        TEACHER: ScriptedModel(
            TEACHER, teach, delay=lambda call: 0.0 if first.question in call.prompt else 1.0
        )
    }
    run = {"lessons": 2, "equal_cost": False, "parallel": 4}
    with pytest.raises(OSError, match="no space left"):
        docendo.solve(problems(1), out=tmp_path / "r", models=asked | slow, watch=Failing(), **run)
    with Store.read(tmp_path / "r") as view:
        assert {key for key, _ in view.sent()} == {row.call for row in view.calls()}
        assert sum(row.purpose == "teach" for row in view.calls()) > 2


def test_truncated_lessons_teach_nothing_and_are_counted(tmp_path):
    def cut(call):
        if call.purpose == "teach" and call.sample % 2:
            return docendo.Reply(" add 10 and the", "length")
        return teach(call)

    run = docendo.solve(
        problems(2), out=tmp_path / "r", models=models(teach=cut), lessons=10, equal_cost=False
    )
    found = run.summary().json()
    assert found["states"]["truncated"] == 8 * 5
    assert found["states"]["ok"] == 8 * 5
    with run.view() as view:
        assert all(s.lesson is None for s in view.samples() if s.grade.state == "truncated")


def test_problems_without_gold_are_answered_and_not_judged(tmp_path):
    run = docendo.solve(problems(3, gold=False), out=tmp_path / "r", models=models())
    found = run.summary().json()
    assert found["finished"] == 12
    assert found["problems"] == 9
    assert set(run.answers()) == {p.id for p in problems(3)}
    with run.view() as view:
        assert all(d.correct is None for d in view.decisions("f0-0"))
        assert not [s for s in view.samples("f0-0") if s.arm == "sc"]


def test_scoring_given_lessons_examines_them_and_asks_no_teacher(tmp_path):
    taught = problems(1)
    n = 0
    lessons = {
        "f0-0": [
            Example(taught[0].question, f"add 20: {n} + 20 = {n + 20}.", f"{n + 20}"),
            Example(taught[0].question, f"add 20: {n} + 20 = {n + 20}.", f"{n + 20}"),
            Example(taught[0].question, f"add 10: {n} + 10 = {n + 10}.", f"{n + 10}"),
        ]
    }
    only = {STUDENT: models()[STUDENT]}
    run = docendo.score(lessons, problems=taught, out=tmp_path / "r", models=only)
    assert run.answers() == {"f0-0": "10"}
    arms = run.summary().json()["arms"]
    assert set(arms) == {"sc", "max", "sum", "avg", "oracle"}
    assert arms["sc"]["accuracy"] == 0
    assert arms["sum"]["accuracy"] == 1
    file = tmp_path / "lessons.jsonl"
    rows = [{"question": e.question, "rationale": e.rationale, "answer": e.answer} for e in lessons["f0-0"]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = docendo.score(file, problems=taught, out=tmp_path / "s", models={STUDENT: models()[STUDENT]})
    assert again.summary().json()["arms"] == arms
    file.write_text(json.dumps(rows[0] | {"question": "what?"}) + "\n")
    with pytest.raises(DataError, match=r"lessons\.jsonl:1: question 'what\?' is not among"):
        docendo.score(file, problems=taught, models=only)


def test_one_problem_alone(tmp_path):
    first, *others = problems(1)
    solved = asyncio.run(docendo.asolve(first, others, models=models(), lessons=12))
    assert solved.answer == first.answer
    assert solved.choices["maj"].answer != first.answer
    assert len(solved.exam.problems) == 3


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_run_that_fails_midway_goes_on_from_what_was_recorded(tmp_path, cut):
    calm = docendo.solve(problems(), out=tmp_path / "calm", models=models())
    asked = []

    def dying(call):
        asked.append(call)
        if len(asked) > 30 * cut:
            raise RuntimeError("the machine is gone")
        return follow(call)

    with pytest.raises(ModelError, match="the machine is gone"):
        docendo.solve(problems(), out=tmp_path / "r", models=models(follow=dying), parallel=3)
    first = models()
    run = docendo.resume(tmp_path / "r", models=first)
    assert run.summary().json() == calm.summary().json()
    with run.view() as view:
        recorded = {r.call: r.session for r in view.calls()}
        assert not [key for key, session in view.sent() if recorded[key] < session]
        assert len(view.sessions()) == 2
    assert len(first[STUDENT].seen) < len([k for k in recorded])


def test_a_run_is_not_gone_on_with_by_other_weights(tmp_path):
    def with_weights(digest):
        both = models()
        both[TEACHER].capabilities = replace(both[TEACHER].capabilities, digest=digest)
        return both

    docendo.solve(problems(1), out=tmp_path / "r", models=with_weights("a" * 64), lessons=3)
    with pytest.raises(ModelError, match="is not the one that"):
        docendo.resume(tmp_path / "r", models=with_weights("b" * 64))
    assert docendo.resume(tmp_path / "r", models=with_weights("a" * 64)).complete


def test_seeds_decide_and_repeat(tmp_path):
    tables = [
        docendo.solve(problems(), out=tmp_path / str(i), models=models(), seed=seed, parallel=i + 1).summary()
        for i, seed in enumerate((1, 1, 2))
    ]
    assert tables[0].json() == tables[1].json()
    assert [f.keys for f in tables[0].facts] != [f.keys for f in tables[2].facts]


def test_a_run_keeps_which_exams_it_selected_and_goes_on_with_them(tmp_path):
    """Nearest goes by the whole pool, which a resumed run does not have any more."""
    taught = [replace(p, family=None) for p in problems(3)]
    copy = replace(taught[0], id="copy")

    def dying(call):
        if call.purpose == "exam" and draw(call, 40) == 0:
            raise RuntimeError("the machine is gone")
        return follow(call)

    whole = {"exams": [*taught, copy], "lessons": 4, "equal_cost": False}
    calm = docendo.solve(taught, out=tmp_path / "calm", models=models(), **whole)
    with pytest.raises(ModelError, match="the machine is gone"):
        docendo.solve(taught, out=tmp_path / "r", models=models(follow=dying), parallel=1, **whole)
    run = docendo.resume(tmp_path / "r", models=models())
    assert run.summary().json() == calm.summary().json()
    with run.view() as view:
        selections = list(view.selections())
        assert [row.problem for row in selections] == [p.id for p in taught]
        assert {row.how for row in selections} == {"nearest"}
        assert tuple(p.id for p in view.exam_of("f0-0")) == selections[0].problems
        asked = {a.exam_problem for a in view.problem_record("f0-0").exam_answers}
        assert asked == set(selections[0].problems)
    found = run.summary().json()["exams"]
    assert found["found_by"] == {"nearest": 12}
    assert found["left_out"]["near-copies of it"] >= 1
    assert any("near-cop" in line for line in run.summary().exams_said())


class TestBadInput:
    def test_settings_are_checked_before_anything_is_made(self, tmp_path):
        for wrong, hint in (
            ({"lesons": 3}, "did you mean lessons"),
            ({"lessons": 0}, "at least 1"),
            ({"lessons": "many"}, "not a whole number"),
            ({"temperature": 11}, "out of range"),
            ({"students": []}, "at least one student"),
            ({"students": [STUDENT, STUDENT]}, "named twice"),
            ({"prompts": "nowhere"}, "no style or folder"),
        ):
            with pytest.raises(ConfigError, match=hint):
                docendo.solve(problems(), out=tmp_path / "r", models=models(), **wrong)
        assert not (tmp_path / "r").exists()

    def test_a_problem_without_exam_problems_is_named(self, tmp_path):
        lonely = [*problems(), Problem("alone", "family 9 number 1?", "11", family="f9")]
        with pytest.raises(DataError, match=r"'alone'.*'f9'"):
            docendo.solve(lonely, out=tmp_path / "r", models=models(), exam_select="variants")
        assert not (tmp_path / "r").exists()

    def test_an_empty_set(self, tmp_path):
        with pytest.raises(DataError, match="no problems"):
            docendo.solve([], out=tmp_path / "r", models=models())

    def test_a_row_in_place_of_a_problem(self, tmp_path):
        with pytest.raises(DataError, match=r"problem 1: is a dict.*docendo\.Problem\(\*\*row\)"):
            docendo.solve([problems()[0], {"id": "a"}], out=tmp_path / "r", models=models())

    def test_words_that_no_model_can_read(self, tmp_path):
        class Picky(ScriptedModel):
            def check(self, text):
                if "family 3" in text:
                    raise UnspeakableError("unknown words: family")

        picky = {TEACHER: Picky(TEACHER, teach), STUDENT: models()[STUDENT]}
        with pytest.raises(UnspeakableError, match=r"f3-0.*unknown words"):
            docendo.solve(problems(), out=tmp_path / "r", models=picky)
        assert not (tmp_path / "r").exists()

    def test_a_folder_that_holds_something(self, tmp_path):
        (tmp_path / "r").mkdir()
        (tmp_path / "r" / "mine.txt").write_text("keep")
        with pytest.raises(StoreError, match="r"):
            docendo.solve(problems(), out=tmp_path / "r", models=models())
        assert [p.name for p in (tmp_path / "r").iterdir()] == ["mine.txt"]

    def test_a_model_of_no_known_form(self, tmp_path):
        for name in ("gpt-5", "school:nobody", "school:"):
            with pytest.raises(ConfigError, match="school:"):
                docendo.solve(problems(), out=tmp_path / "r", teacher=name)
        assert not (tmp_path / "r").exists()


def test_a_run_folder_is_one_file_that_tells_everything(tmp_path):
    run = docendo.solve(problems(2), out=tmp_path / "r", models=models(), lessons=4)
    assert [p.name for p in run.folder.iterdir()] == ["run.sqlite"]
    with Store.read(run.folder) as view:
        record = view.problem_record("f1-2")
        assert all(record.reply(row).text for row in (*record.samples, *record.exam_answers))
        assert view.config["settings"]["lessons"] == 4


def test_a_lesson_after_which_a_student_is_cut_throughout_is_scored_by_the_others_and_the_run_says_so(
    tmp_path,
):
    """The wrong lesson wins by it here, which is documented (docs/exams.md); a run must say for how many it is so."""

    def rambling(call):
        """After the right lesson wrong, after the wrong one cut."""
        if "add 10:" in call.prompt:
            return " I do not know.\nAnswer: 0"
        return Reply(" and then, and then", "length")

    def strong(call):
        """Right whatever the lesson."""
        n = number(call.prompt)
        return f" add 10: {n} + 10 = {n + 10}.\nAnswer: {n + 10}"

    def solve(weak, folder):
        both = {
            TEACHER: ScriptedModel(TEACHER, teach),
            STUDENT: ScriptedModel(STUDENT, strong),
            "school:student-2": ScriptedModel("school:student-2", weak),
        }
        return docendo.solve(
            problems(2),
            out=folder,
            models=both,
            students=[STUDENT, "school:student-2"],
            lessons=6,
            equal_cost=False,
        ).summary()

    found = solve(rambling, tmp_path / "r")
    scores = {pair for f in found.facts for pair in zip(f.lesson_right, f.scores, strict=True)}
    assert scores == {(True, 0.5), (False, 1.0)}, "who rambled is no part of the wrong lesson's score"
    wrong = sum(right is False for f in found.facts for right in f.lesson_right)
    assert found.uncounted == (wrong, wrong, 0)
    assert found.json()["exams"]["uncounted"]["without_a_student"] == wrong
    assert any("without any answer of one of the students" in line for line in found.exams_said())
    calm = solve(follow, tmp_path / "calm")
    assert calm.uncounted == (0, 0, 0)
    assert not any("cut or failed" in line for line in calm.exams_said())


def test_a_lesson_none_of_whose_exam_answers_counts_has_no_weight(tmp_path):
    def rambling(call):
        return follow(call) if "add 10:" in call.prompt else Reply(" and then, and then", "length")

    found = docendo.solve(
        problems(2), out=tmp_path / "r", models=models(follow=rambling), lessons=6, equal_cost=False
    ).summary()
    assert found.uncounted[2] == found.uncounted[0] > 0
    for f in found.facts:
        assert {score for score, right in zip(f.scores, f.lesson_right, strict=True) if not right} == {None}
        assert f.correct["sum"] or not any(f.right)
