"""The verbal world: enough tasks, repeatable, rules that only examples tell, and no test text in any schooling."""

from __future__ import annotations

import random
import re
from itertools import islice, product

import pytest

from docendo.data import load_problems
from docendo.errors import DataError
from docendo.grading import grade
from docendo.prompts import Prompts
from docendo.refine.nouns import Failure
from docendo.refine.task import task_of
from docendo.schoolhouse.families import GROUPS, split_of
from docendo.schoolhouse.schooling import curriculum, tokenizer, verbal
from docendo.schoolhouse.schooling.domains import DOMAINS
from docendo.schoolhouse.verbal.words import JOINS
from docendo.schoolhouse.verbal.words import foul as is_foul
from docendo.schoolhouse.verbal.world import Rule, VerbalWorld, made_up
from docendo.types import Example, Lesson

VERBAL = DOMAINS["verbal"]


@pytest.mark.parametrize("seed", [1, 2, 77])
def test_a_world_has_many_tasks_whose_names_say_nothing_of_their_rules(seed):
    tasks = VerbalWorld(seed).tasks
    assert len(tasks) == 96
    assert len({t.id for t in tasks}) == len({t.instruction for t in tasks}) == len(tasks)
    assert {t.group for t in tasks} == set(GROUPS)
    assert {t.ruled.rule.join for t in tasks} == {"", *JOINS}
    for one, other in zip(tasks[::2], tasks[1::2], strict=True):
        # Of one cluster: the same texts, and rules that look at a place in common.
        assert one.cluster == other.cluster
        assert one.ruled.kind == other.ruled.kind
        assert one.ruled.rule != other.ruled.rule
        assert {*one.ruled.rule.at} & {*other.ruled.rule.at}


def test_a_world_is_its_seed():
    assert VerbalWorld(3).tasks == VerbalWorld(3).tasks
    assert [t.ruled.rule for t in VerbalWorld(3).tasks] != [t.ruled.rule for t in VerbalWorld(4).tasks]
    task = VerbalWorld(3).tasks[10]
    assert VerbalWorld(3).problems(task) == VerbalWorld(3).problems(task)


def test_a_rule_holds_by_how_many_of_its_words_are_foul():
    fair, foul = "new", "little"
    assert not is_foul(fair)
    assert is_foul(foul)
    expected = {
        "": (False, True),
        "and": (False, False, True),
        "or": (False, True, True),
        "but": (False, True, False),
    }
    for join, by_count in expected.items():
        rule = Rule((0, 2)[: len(by_count) - 1], join)
        for first, second in product((fair, foul), repeat=2):
            text = (first, foul, second)
            count = sum(is_foul(text[at]) for at in rule.at)
            assert rule.holds(text) is by_count[count]
    assert Rule((0, 2), "but").working((fair, foul, foul)) == f"{fair} fair but {foul} foul."


@pytest.mark.parametrize("id", ["v1-01-1", "v1-30-2", "v1-48-2"])
def test_a_task_has_its_parts_half_yes_and_shares_no_text_between_them(id):
    task = task_of(f"school:verbal/{id}")
    assert (len(task.pool), len(task.exam), len(task.validation), len(task.test)) == (24, 24, 24, 40)
    assert not task.dropped
    assert task.instruction.endswith("rule?")
    problems = task.problems()
    assert len({p.question for p in problems}) == len(problems)
    for part, split in (("pool", "exam"), ("exam", "exam"), ("validation", "dev"), ("test", "test")):
        assert {split_of(p.question) for p in task.part(part)} == {split}
        assert sum(p.answer == "yes" for p in task.part(part)) * 2 == len(task.part(part))
    for problem in problems:
        assert grade(problem, f" {problem.solution}\nAnswer: {problem.answer}").score == 1.0


def test_a_working_names_words_of_its_text_and_decides_the_label():
    for task in VerbalWorld(1).tasks[::9]:
        join = task.ruled.rule.join
        for problem in VerbalWorld(1).problems(task):
            said = re.findall(r"(\w+) (fair|foul)", problem.solution)
            assert all(word in problem.question and is_foul(word) is (what == "foul") for word, what in said)
            count = sum(what == "foul" for _, what in said)
            holds = {"": count == 1, "and": count == 2, "or": count > 0, "but": count == 1}[join]
            assert problem.answer == ("yes" if holds else "no")


def test_every_task_of_several_worlds_can_be_drawn():
    for seed in (1, 2):
        for task in VerbalWorld(seed).tasks[::3]:
            assert len(VerbalWorld(seed).problems(task)) == 112


def test_an_unknown_task_is_refused_by_name():
    with pytest.raises(DataError, match="verbal/v1-99-1: no such task"):
        load_problems("school:verbal/v1-99-1")
    assert load_problems("school:verbal/v7-01-1@7")[0].id.startswith("v7-01-1/")


def documents(name: str):
    scribe, rng, weights = curriculum.Scribe(VERBAL.tokenizer()), random.Random(name), verbal.Weights()
    return {
        "students": verbal.in_context_documents(rng, scribe, weights),
        "rewriting": verbal.rewriting_documents(rng, scribe, weights),
        "world": verbal.world_documents(rng, scribe, weights, VerbalWorld(1), 0.8),
    }[name]


@pytest.mark.parametrize("name", ["students", "rewriting", "world"])
def test_schooling_reads_known_words_and_no_text_kept_for_refining(name):
    built, seen = VERBAL.tokenizer(), 0
    unknown = built.token_to_id(tokenizer.UNKNOWN)
    # A teacher also reads sets that are only begun: they end in their first label.
    ends = {built.token_to_id(end) for end in (tokenizer.END, *((" yes", " no") if name == "world" else ()))}
    for ids, weights in islice(documents(name), 80):
        assert unknown not in ids
        assert len(ids) == len(weights)
        assert ids[-1] in ends
        for question in re.findall(r"Question: (.*?)\n", built.decode(ids)):
            assert split_of(question) == "school"
            seen += 1
    assert seen > 400


def test_a_teacher_is_never_shown_an_untaught_task():
    world, built = VerbalWorld(1), VERBAL.tokenizer()
    untaught = [t.instruction for t in world.tasks if t.group == "untaught"]
    assert untaught
    for ids, _ in islice(documents("world"), 150):
        text = built.decode(ids)
        assert not any(instruction in text for instruction in untaught)


def test_a_set_that_replaces_another_follows_the_task_and_its_failed_texts_are_labelled_rightly():
    rng = random.Random(2)
    for _ in range(30):
        ruled = made_up(rng)
        text = "".join(piece.text for piece in verbal.rewritten(rng, ruled, verbal.Weights()))
        failed, better = text.split("Failed:\n")[1].split("Better examples:\n")
        for question, answer in re.findall(
            r"Question: (.*?)\n(?:Working: .*\n)?Answer: (\w+)", failed + better
        ):
            assert ruled.label(_words(ruled, question)) == answer
        assert better.count("Answer: yes") == better.count("Answer: no") == verbal.EXAMPLES // 2


def _words(ruled, question):
    """The words of a text, place by place."""
    spoken = set(re.findall(r"\w+", question))
    return tuple(next(word for word in words if word in spoken) for words in ruled.kind.words)


def test_prompts_say_to_the_token_what_the_teacher_was_schooled_on():
    task = task_of("school:verbal/v1-30-2")
    ruled = next(t.ruled for t in VerbalWorld(1).tasks if t.id == "v1-30-2")
    style, built = Prompts("school"), VERBAL.tokenizer()

    def encoded(pieces):
        return built.encode("".join(piece.text for piece in pieces)).ids

    asked = built.encode(style.propose(task, 6, task.pool[:4])).ids
    shown = verbal._bare(ruled, [_words(ruled, p.question) for p in task.pool[:4]], tokenizer.EXAMPLES)
    assert asked == [*encoded([*verbal._task(ruled), *shown]), built.token_to_id(tokenizer.BETTER)]

    lesson = Lesson(tuple(Example(p.question, p.solution, p.answer) for p in task.pool[:6]))
    failures = [Failure("s", p, "no", "", ("", 0)) for p in task.exam[:2]]
    asked = built.encode(style.rewrite(task, lesson, failures, [], 6)).ids
    old = verbal._set(
        ruled, [_words(ruled, p.question) for p in task.pool[:6]], verbal.Weights(), tokenizer.EXAMPLES
    )[:-1]
    failed = verbal._bare(ruled, [_words(ruled, p.question) for p in task.exam[:2]], tokenizer.FAILED)
    assert asked == [*encoded([*verbal._task(ruled), *old, *failed]), built.token_to_id(tokenizer.BETTER)]
    exam = built.encode(style.examine(lesson, task.test[0])).tokens
    assert exam[-1] == "\nWorking:"
    assert tokenizer.UNKNOWN not in exam
