"""Pilots of worlds whose truth is known: what is found must be what is there."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace

import pytest

from docendo.cli import main
from docendo.errors import ConfigError
from docendo.models.endpoint.mock import Answer, MockServer
from docendo.models.scripted import ScriptedModel
from docendo.pilot.advise import findings
from docendo.pilot.diagnose import _needed
from docendo.pilot.run import pilot, resume
from docendo.solve.run import resume as resume_run
from docendo.solve.run import solve
from docendo.store import Store
from docendo.types import Problem, Reply

USED = {"prompt_tokens": 1000, "completion_tokens": 100}
TEACHER, STUDENT = "school:teacher", "school:student"


def problems(families=12, each=4):
    """The right answer is 10 more than the number; the solution says so."""
    return [
        Problem(
            f"f{f}-{i}",
            f"family {chr(97 + f) * 3} of kind {chr(97 + f) * 2} number {100 * f + i}?",
            str(100 * f + i + 10),
            solution="add 10:",
            family=f"f{f}",
            cluster=f"f{f}",
        )
        for f in range(families)
        for i in range(each)
    ]


def asked(call):
    return int(call.prompt.removesuffix("Working:").rstrip().rstrip("?").split()[-1])


def say(step, n):
    return f" add {step}:\nAnswer: {n + step}"


def in_doubt(call):
    """Right in three of eight samples; else one and the same wrong method."""
    return say(10 if call.purpose == "teach" and call.sample % 8 < 3 else 20, asked(call))


def slipping(call):
    """Always the right method, and at times a slip, each another one."""
    n = asked(call)
    slip = 0 if call.sample % 3 else 1 + call.sample
    return f" add 10:\nAnswer: {n + 10 + slip}"


def follows(call):
    """Does as the lesson shows; without one it knows nothing."""
    steps = [step for step in (10, 20) if f"add {step}:" in call.prompt]
    return say(steps[0] if steps else 77, asked(call))


def knows(call):
    return say(10, asked(call))


def models(teach=in_doubt, learn=follows):
    return {TEACHER: ScriptedModel(TEACHER, teach), STUDENT: ScriptedModel(STUDENT, learn)}


def try_out(tmp_path, *, count=16, **kinds):
    return pilot(problems(), out=tmp_path / "p", count=count, models=models(**kinds)).diagnosis()


def verdicts(diagnosis):
    return [finding.verdict for finding in findings(diagnosis)]


def test_a_student_that_follows_and_a_teacher_in_doubt(tmp_path):
    d = try_out(tmp_path)
    (student,) = d.students
    assert (d.problems, d.planned, d.full_problems, d.lessons, d.full_lessons) == (16, 16, 48, 8, 24)
    assert student.alone.mean == 0
    assert student.after_right.mean == student.after_reference.mean == 1
    assert student.after_wrong.mean == 0
    assert student.telling.low == 1
    assert d.teacher.repeated == 1, "a wrong method repeats itself"
    assert (d.teacher.voted.mean, d.teacher.reachable.mean, d.auc) == (0, 1, 1)
    assert d.gain.mean == d.gain.low == 1
    assert d.alike > d.unlike
    assert verdicts(d) == ["good"] * 5


def test_a_teacher_that_slips(tmp_path):
    d = try_out(tmp_path, teach=slipping)
    assert d.teacher.repeated == 0
    assert d.teacher.voted.mean == d.teacher.reachable.mean == 1
    assert d.auc == pytest.approx(0.5), "students follow the method, which is right all the same"
    assert d.gain.mean == 0
    assert d.needed is None
    by_question = {f.question: f for f in findings(d)}
    assert by_question["Is there anything to gain by choosing better?"].verdict == "bad"
    assert "slips" in by_question["Does the teacher err in method, or only slip?"].answer


def test_a_student_that_needs_no_lesson(tmp_path):
    d = try_out(tmp_path, learn=knows)
    assert d.students[0].alone.mean == 1
    assert findings(d)[0].verdict == "bad"
    assert "weaker student" in findings(d)[0].answer


def test_problems_that_move_together_make_a_gain_take_more_of_them_to_show():
    differences = [1.0, 0.0] * 10
    apart = [str(i) for i in range(20)]
    together = [str(i // 2) for i in range(20)]
    alone = _needed(differences, apart)
    assert alone == round(0.25 * (2.8 / 0.5) ** 2)
    assert _needed(sorted(differences), together) == pytest.approx(2 * alone, abs=1)
    assert _needed(differences, ["all"] * 20) == alone
    assert _needed(differences, together) == alone, "never fewer than for problems of their own"


def test_cut_replies_are_told(tmp_path):
    d = try_out(tmp_path, learn=lambda call: Reply(" add", "length"))
    assert d.exam_cut == 1
    assert any("max_tokens" in f.answer for f in findings(d))


@pytest.mark.parametrize(("unknown", "judged"), [(lambda i: i % 4 == 0, 12), (lambda i: True, 0)])
def test_problems_without_a_gold_answer_are_left_out_of_the_figures(tmp_path, unknown, judged):
    whole = problems(families=4)
    taught = [replace(p, answer=None) if unknown(i) else p for i, p in enumerate(whole)]
    d = pilot(taught, exams=whole, out=tmp_path / "p", models=models()).diagnosis()
    assert (d.problems, d.planned) == (judged, 16)
    assert d.students[0].alone.n == d.students[0].after_right.n == d.teacher.right.n == judged
    assert findings(d)
    # SC at equal cost is asked for where it can be judged.
    assert {load.purpose for load in d.loads} == {"greedy", "teach", "exam"} | ({"sc"} if judged else set())


@pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="running programs needs bubblewrap (apt-get install bubblewrap)"
)
def test_programs_are_diagnosed_by_their_tests(tmp_path):
    def times(n):
        tests = [{"args": [i], "expected": n * i} for i in range(2)]
        hidden = [{"args": [-3], "expected": -3 * n}]
        meta = {"entry_point": "times", "visible": tests, "hidden": hidden}
        return Problem(f"times{n}", f"Write times(n): {n} times n.", kind="code", family="times", meta=meta)

    def program(call, *, lesson):
        factor = str(call.prompt).rpartition("Write times(n): ")[2].split()[0]
        return f"Multiply.\n```python\ndef times(n):\n    return {factor if lesson else 'n *'} * n\n```"

    asked = {
        TEACHER: ScriptedModel(TEACHER, lambda call: program(call, lesson=True)),
        STUDENT: ScriptedModel(STUDENT, lambda call: program(call, lesson="Multiply." in str(call.prompt))),
    }
    d = pilot(
        [times(n) for n in (2, 3, 5)],
        out=tmp_path / "p",
        models=asked,
        lessons=2,
        exam_problems=1,
        repeats=1,
        prompts="chat",
    ).diagnosis()
    assert d.problems == 3
    assert (d.students[0].alone.mean, d.students[0].after_right.mean, d.teacher.voted.mean) == (0, 1, 1)


def many_ways(seed):
    """A teacher with ever more methods, each rarer than the last; the right one has rank 1, 2 or 3 of a family."""
    weights = [1 / rank for rank in range(1, 81)]

    def teach(call):
        n = asked(call)
        steps = list(range(20, 99))
        steps.insert(n // 100 % 3, 10)
        drawn = random.Random(f"{seed} {n} {call.sample}").choices(steps, weights)
        return say(drawn[0] if call.purpose != "greedy" else steps[0], n)

    return teach


def as_told(call):
    """Does what the lesson does, which is shown first."""
    told = re.search(r"add (\d+):", call.prompt)
    return say(int(told[1]) if told else 77, asked(call))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_full_run_asks_and_gains_what_its_pilot_reckoned(tmp_path, seed):
    whole = problems(families=24, each=2)

    def opened():
        return models(teach=many_ways(seed), learn=as_told)

    settings = {"exam_problems": 2, "repeats": 1, "seed": seed}
    tried = pilot(whole, out=tmp_path / "p", models=opened(), **settings)
    d = tried.diagnosis()
    run = solve(whole, out=tmp_path / "r", models=opened(), **settings)
    with Store.read(run.folder) as view:
        asked = {row.purpose: row for row in view.totals()}
    loads = {load.purpose: load for load in d.loads}
    assert loads.keys() == asked.keys() == {"greedy", "teach", "exam", "sc"}
    for purpose in ("greedy", "teach"):
        assert loads[purpose].low == loads[purpose].calls == loads[purpose].high == asked[purpose].calls
    for purpose in ("exam", "sc"):
        assert loads[purpose].low < loads[purpose].calls < loads[purpose].high
        assert loads[purpose].calls == pytest.approx(asked[purpose].calls, rel=0.15)
    # Lessons do not grow in step with samples.
    own = next(item.calls for item in tried.bill().items if item.purpose == "exam")
    in_step = own * len(whole) / 30 * 24 / 8
    assert in_step - asked["exam"].calls > 1.5 * abs(loads["exam"].calls - asked["exam"].calls)
    spent = sum(row.usage.prompt + row.usage.completion for row in asked.values())
    assert d.tokens.low < d.tokens.mean < d.tokens.high
    assert d.tokens.mean == pytest.approx(spent, rel=0.15)
    gained = run.summary().overall.differences["sum-sc"].mean
    assert d.full_gain.low < gained < d.full_gain.high
    assert d.gain.mean < d.full_gain.mean


def test_goes_on_where_it_was_stopped_and_asks_nothing_twice(tmp_path):
    calm = pilot(problems(), out=tmp_path / "calm", count=6, models=models())
    first = models()
    found = pilot(problems(), out=tmp_path / "p", count=6, models=first, budget="200 calls", parallel=1)
    assert found.diagnosis().problems < 6
    with pytest.raises(ConfigError, match="docendo pilot --resume"):
        resume_run(found.folder, models=models())
    other = solve(problems(), out=tmp_path / "other", lessons=2, models=models(), equal_cost=False)
    with pytest.raises(ConfigError, match="other: not a pilot; go on with it by `docendo solve --resume"):
        resume(other.folder, models=models())
    second = models()
    found = resume(found.folder, models=second, budget="")
    assert found.diagnosis() == calm.diagnosis()
    seen = [{(c.request, c.sample) for m in opened.values() for c in m.seen} for opened in (first, second)]
    assert not seen[0] & seen[1]


def test_the_seed_draws_the_problems(tmp_path):
    def drawn(seed, name):
        found = pilot(problems(), out=tmp_path / name, count=6, seed=seed, models=models())
        with Store.read(found.folder) as view:
            return [p.id for p in view.problems()]

    assert drawn(0, "a") == drawn(0, "b") != drawn(1, "c")


def test_at_the_command_line_with_the_school(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["pilot", "--count", "4", "--lessons", "6", "--out", "p", "--quiet"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Pilot: 4 problems of 288, 6 lessons each" in out
    assert "Does school:student follow lessons?" in out
    assert "a full run: 288 × 6" in out
    assert main(["pilot", "--resume", "p", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 4
    assert {f["verdict"] for f in found["findings"]} <= {"good", "bad", "unsure"}


def test_adaptive_exams_are_reckoned_by_the_pilots_own_share(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    typed = ["pilot", "--count", "4", "--lessons", "6", "--allocation", "adaptive"]
    assert main([*typed, "--dry-run", "--json"]) == 0
    before = {row["purpose"]: row["calls"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert (before["exam"]["low"], before["exam"]["high"]) == (0, 4 * 6 * 9)
    assert before["control"]["likely"] == 2 * 4 * 9, "controls are whole exams"
    assert main([*typed, "--out", "p", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    asked = {item["purpose"]: item["calls"] for item in found["bill"]["items"]}["exam"]
    load = next(load for load in found["loads"] if load["purpose"] == "exam")
    assert load["calls"] == asked * 288 / 4
    assert 0 < found["exam_share"] < 1
    assert main(["pilot", "--resume", "p", "--quiet"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"asked {100 * found['exam_share']:.0f} % of what whole ones would have" in out
    assert f"At most, all were asked: {load['calls'] / found['exam_share']:,.0f} calls." in out


def test_what_it_and_a_full_run_would_cost_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": p.id, "question": p.question, "answer": p.answer, "solution": p.solution, "family": p.family}
        for p in problems()
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with MockServer(lambda request: Answer.chat("Answer: 4", usage=USED)) as server:
        (tmp_path / "run.toml").write_text(
            "lessons = 24\nexam_problems = 2\nrepeats = 1\n"
            f'[teacher]\nmodel = "openai:m"\nbase_url = "{server.url}"\nprices = {{ prompt = 3, completion = 9 }}\n'
            f'[[students]]\nmodel = "openai:s"\nbase_url = "{server.url}"\n'
        )
        typed = ["pilot", "p.jsonl", "--config", "run.toml", "--count", "6"]
        assert main([*typed, "--dry-run", "--json"]) == 0
        before = {row["purpose"]: row["calls"] for row in json.loads(capsys.readouterr().out)["rows"]}
        assert not (tmp_path / "runs").exists()
        assert main([*typed, "--json", "--quiet"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main([*typed, "--quiet"]) == 0
    asked = {item["purpose"]: item["calls"] for item in found["bill"]["items"]}
    assert asked.keys() == before.keys() == {"greedy", "teach", "exam", "control"}
    assert all(before[what]["low"] <= count <= before[what]["high"] for what, count in asked.items())
    assert (
        before["control"]["high"] == 6 * 2 * 2
    )  # two exam problems, without a lesson and after the reference
    # 48 problems of 24 lessons and a greedy answer, and as many more as the two questions to the one lesson cost, at
    # 1000 tokens sent and 100 written each
    cost = sum(load["money"] for load in found["loads"] if load["money"] is not None)
    assert cost == pytest.approx(48 * (25 + 2) * (3 * 1000 + 9 * 100) / 1e6)
    assert found["money"]["mean"] == pytest.approx(cost)
    assert found["tokens"]["mean"] == pytest.approx(48 * (25 + 2 + 2) * 1100)
    assert found["currency"] == "USD"
    out = " ".join(capsys.readouterr().out.split())
    assert f"In all {48 * 29 * 1100 / 1e6:.1f} M tokens, {cost:.2f} USD." in out
