"""The rounds, from the outside: scripted models that go by their prompts, through the real gateway and prompts."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from colours import COLOURS, Script, answer_by_examples, models, task, teaching, write_set

from docendo.models.budget import Budget, Ledger
from docendo.models.gateway import Gateway
from docendo.prompts import Prompts
from docendo.refine.measures import change, readout
from docendo.refine.plan import Refining
from docendo.refine.walk import Refined, State, walk
from docendo.solve.plan import Settings
from docendo.types import Call, Example, Lesson, Reply, Usage

SMALL = {"examples": 6, "rounds": 3, "beam": 2, "minibatch": 16, "reflections": 2, "failures": 3}


def refine(
    teacher: Script = teaching,
    *students: Script,
    budget: Budget | None = None,
    before: State | None = None,
    given: tuple[Lesson, ...] = (),
    batched: bool = False,
    seed: int = 0,
    **settings: object,
) -> tuple[Refined, dict]:
    made = models(teacher, *students, batched=batched)
    plan = Settings(
        teacher="teacher",
        students=tuple(m for m in made if m != "teacher"),
        student_temperature=0.0,
        seed=seed,
    )

    async def work() -> Refined:
        async with Gateway(made, None, Ledger(budget)) as gateway:
            how = Refining.of(SMALL | settings)
            return await walk(task(), plan, how, Prompts("chat"), gateway.ask, given=given, before=before)

    return asyncio.run(work()), made


def accuracy(refined: Refined, lesson: str, part: str = "test", model: str = "student1") -> float:
    return readout(refined.book, refined.task, lesson, model, refined.task.part(part)).accuracy.mean


def test_reading_failures_makes_better_sets() -> None:
    refined, _ = refine()
    first, last = refined.rounds[0].best, refined.rounds[-1].best
    assert accuracy(refined, last) > accuracy(refined, first) + 0.05
    assert change(refined.book, refined.task, last, first, ["student1"], refined.task.test).accuracy.low > 0


def test_a_set_says_where_it_comes_from() -> None:
    refined, _ = refine()
    sets = refined.candidates
    reflections = {r.id: r for round in refined.rounds for r in round.reflections}
    rewritten = [c for c in sets.values() if c.how == "rewritten"]
    assert rewritten
    for candidate in rewritten:
        assert all(sets[parent].round < candidate.round for parent in candidate.parents)
        (reflection,) = (reflections[id] for id in candidate.reflections)
        assert reflection.parent in candidate.parents
        assert reflection.failures


@pytest.mark.parametrize("search", ["reflect", "rewrite", "propose", "sample", "random"])
def test_the_best_set_never_gets_worse_on_validation(search: str) -> None:
    refined, _ = refine(search=search, seed=len(search))
    scores = [accuracy(refined, r.best, "validation") for r in refined.rounds]
    assert scores == sorted(scores)
    assert len(refined.rounds) == 4


def test_nothing_but_read_outs_sees_the_test_problems() -> None:
    refined, made = refine()
    test = {p.question for p in refined.task.test}
    for model in made.values():
        for call in model.seen:
            shown = any(text in question for _, text in call.prompt for question in test if question in text)
            assert shown == (call.purpose == "readout")


def test_sets_hold_no_text_of_exam_validation_or_test_problems() -> None:
    refined, _ = refine(search="sample", start="train")
    kept_away = {p.question for part in ("exam", "validation", "test") for p in refined.task.part(part)}
    examples = [e for c in refined.candidates.values() for e in c.lesson.examples]
    assert examples
    assert not kept_away & {e.question for e in examples}
    assert {e.question for e in examples} <= {p.question for p in refined.task.pool}


def test_select_only_searches_ask_the_teacher_for_no_failures() -> None:
    _, made = refine(search="propose")
    assert {c.purpose for c in made["teacher"].seen} == {"propose", "readout"}
    _, made = refine(search="sample", start="train")
    assert {c.purpose for c in made["teacher"].seen} == {"readout"}


def test_rewriting_without_reflections() -> None:
    refined, made = refine(search="rewrite")
    assert {c.purpose for c in made["teacher"].seen} == {"propose", "rewrite", "readout"}
    assert accuracy(refined, refined.rounds[-1].best) > accuracy(refined, refined.rounds[0].best)


def test_random_search_asks_for_no_more_calls_than_reflecting() -> None:
    by_search = {}
    for search in ("reflect", "random"):
        refined, _ = refine(search=search, start="train", bare=False)
        counts = Counter()
        for round in refined.rounds[1:]:
            counts.update({k: v for k, v in round.calls.items() if k != "readout"})
        by_search[search] = sum(counts.values())
    assert 0.8 * by_search["reflect"] <= by_search["random"] <= 1.1 * by_search["reflect"]


def test_reflections_can_be_mixed() -> None:
    refined, _ = refine(reflections=3, mix=2)
    found = [c.reflections for c in refined.candidates.values() if c.reflections]
    assert found
    assert {len(own) for own in found} == {2}


def test_the_arm_without_students_learns_from_the_teachers_own_failures() -> None:
    made = models()
    plan = Settings(teacher="teacher", students=("teacher",), student_temperature=0.0)

    async def work() -> Refined:
        async with Gateway(made) as gateway:
            return await walk(task(), plan, Refining.of(SMALL), Prompts("chat"), gateway.ask)

    refined = asyncio.run(work())
    assert not made["student1"].seen
    failures = [f for r in refined.rounds for reflection in r.reflections for f in reflection.failures]
    assert {f.student for f in failures} == {"teacher"}


def half_deaf(colours: tuple[str, ...]) -> Script:
    """A student that cannot tell some colours from "no"."""

    def answer(call: Call) -> str:
        text = answer_by_examples(call)
        return "\n\nFinal answer: no" if any(f"is {c}." in text for c in colours) else text

    return answer


def test_several_students_fail_apart_and_all_their_failures_are_read() -> None:
    refined, _ = refine(teaching, half_deaf(COLOURS[:6]), half_deaf(COLOURS[6:]))
    failures = [f for r in refined.rounds for reflection in r.reflections for f in reflection.failures]
    assert {f.student for f in failures} == {"student1", "student2"}


def bad(kind: str) -> Script:
    """A teacher whose every set of round 1 and later is of no use, each in the same way."""
    test = task().validation[0].question

    def reply(call: Call) -> Reply | str:
        if call.purpose != "rewrite":
            return teaching(call)
        good = write_set(call)
        return {
            "garbage": "%%% ??? {[",
            "few": good.split("}, {")[0] + "}]",
            "copied": good.replace('"question": "A ', f'"question": "{test} ', 1),
            "cut": Reply(good[:150], "length", Usage(10, 0, 20)),
            "refused": "I'm sorry, but I can't help with that.",
            "failed": Reply("", "error", error="server on fire"),
            "empty": "  \n",
            "label": good.replace('"answer": "yes"', '"answer": "maybe"'),
            "lopsided": good.replace('"answer": "yes"', '"answer": "no"'),
            "twice": good.replace(good.split('"question": "')[1].split('"')[0], "A red cup."),
        }[kind]

    return reply


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("garbage", "unreadable"),
        ("few", "too few examples"),
        ("copied", "copied"),
        ("cut", "cut off"),
        ("refused", "refused"),
        ("failed", "failed"),
        ("empty", "empty"),
        ("label", "label out of range"),
        ("lopsided", "unbalanced"),
    ],
)
def test_a_teacher_that_writes_nothing_of_use_is_counted_and_survived(kind: str, reason: str) -> None:
    refined, _ = refine(bad(kind))
    assert [r.number for r in refined.rounds] == [0, 1, 2, 3]
    for round in refined.rounds[1:]:
        assert {r.reason for r in round.rejections} == {reason}
        assert len(round.rejections) == 4
        assert round.best == refined.rounds[0].best


def test_a_teacher_that_cannot_begin_is_stood_in_for_by_training_problems() -> None:
    refined, _ = refine(lambda call: "no." if call.purpose == "propose" else teaching(call))
    first = refined.rounds[0]
    assert {c.how for c in first.candidates} == {"train", "none"}
    assert len(first.rejections) == 3 * 2  # each wave asks for both again
    assert {c.how for c in refined.rounds[1].candidates} == {"rewritten"}


def test_a_budget_stops_with_the_best_set_so_far() -> None:
    whole, made = refine()
    calls = sum(len(model.seen) for model in made.values())
    for share in (0.0, 0.3, 0.7):
        cut, _ = refine(budget=Budget(calls=max(1, int(calls * share))))
        assert cut.cut
        assert len(cut.rounds) < 4
        assert [r.best for r in cut.rounds] == [r.best for r in whole.rounds][: len(cut.rounds)]
        assert (cut.best is None) == (not cut.rounds)


def test_a_walk_that_was_cut_goes_on_from_its_whole_rounds_and_ends_the_same() -> None:
    whole, _ = refine()
    seats = {(e.asked.lesson, e.asked.problem, e.asked.model, e.asked.repeat): e for e in whole.book.fresh()}
    for kept in (1, 3):
        rounds = tuple(whole.rounds[:kept])
        entries = tuple(e for e in seats.values() if e.asked.round < kept)
        again, made = refine(before=State(rounds, entries))
        assert again.rounds == whole.rounds
        assert "propose" not in {c.purpose for c in made["teacher"].seen}


def test_batched_models_get_whole_batches() -> None:
    refined, made = refine(batched=True)
    assert len(refined.rounds) == 4
    for model in made.values():
        sizes = Counter(call.batch for call in model.seen)
        assert all(sizes[call.batch] == call.batch_size for call in model.seen)
    assert [r.best for r in refined.rounds] == [r.best for r in refine()[0].rounds]


def test_patience_ends_a_walk_that_gains_nothing() -> None:
    refined, _ = refine(bad("garbage"), patience=2)
    assert [r.number for r in refined.rounds] == [0, 1, 2]
    assert refined.rounds[-1].ended == "no significant gain on validation in 2 rounds"


def test_sets_of_the_users_own_are_where_it_starts() -> None:
    own = Lesson(
        tuple(Example(f"A {c} thing.", "", "yes" if i % 2 else "no") for i, c in enumerate(COLOURS[:6]))
    )
    refined, made = refine(given=(own,), bare=False)
    assert [c.how for c in refined.rounds[0].candidates] == ["given"]
    assert "propose" not in {c.purpose for c in made["teacher"].seen}


def test_the_teachers_working_can_explain_drawn_examples() -> None:
    refined, made = refine(search="sample", start="train", rationales="teacher")
    worked = [c for c in made["teacher"].seen if c.purpose == "teach"]
    assert len(worked) == len(refined.task.pool)
    rationales = {e.rationale for c in refined.candidates.values() for e in c.lesson.examples}
    assert all(text.startswith("The colour is") for text in rationales)


def test_the_same_prompt_is_never_asked_for_the_same_sample_however_often_it_is_asked() -> None:
    """Without problems to show, every request for a starting set is one prompt: a sample of its own, or a replay."""
    made = models(lambda call: "no." if call.purpose == "propose" else teaching(call))
    plan = Settings(teacher="teacher", students=("student1",), student_temperature=0.0)
    how = {"shown": 0, "starts": 130, "search": "propose", "candidates": 1100, "rounds": 2, "bare": False}

    async def work() -> None:
        async with Gateway(made) as gateway:
            await walk(task(size=2), plan, Refining.of(SMALL | how), Prompts("chat"), gateway.ask)

    asyncio.run(work())
    asked = [(call.request, call.sample) for call in made["teacher"].seen if call.purpose == "propose"]
    assert len(set(asked)) == len(asked) == 3 * 130 + 2 * 1100
    assert len({request for request, _ in asked}) == 1
