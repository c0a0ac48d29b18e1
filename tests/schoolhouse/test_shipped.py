"""The models that ship: ordinary folders that transformers reads too, that do what their cards say, and are small."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from docendo.grading import grade
from docendo.models.engine import Engine, Request
from docendo.models.resolve import SHIPPED, shipped
from docendo.schoolhouse.reading import GOOD, Reader, held_out
from docendo.schoolhouse.sets import problems
from docendo.schoolhouse.world import World

EXAMS = {
    "arithmetic": problems("m1-dev-exams"),
    "code": problems("code-dev-exams"),
    "verbal": [
        replace(problem, family=f"v1-{number:02}-1")
        for number in range(1, 25)
        for problem in problems(f"verbal/v1-{number:02}-1")
        if problem.meta["split"] == "validation"
    ],
}
MODELS = (
    "teacher", "student", "student-2", "code-teacher", "code-student", "verbal-teacher", "verbal-student",
    "verbal-student-2", "writer",
)  # fmt: skip


def domain_of(name):
    first = name.split("-")[0]
    return first if first in EXAMS else "arithmetic"


def worked(problem):
    """What the school writes after "Working:"."""
    if problem.kind == "code":
        return f" {problem.meta['strategy']}\nAnswer:\n```python\n{problem.solution}\n```"
    return f" {problem.solution}\nAnswer: {problem.answer}"


def exam_pairs(domain, count):
    """Two variants of each of some families."""
    families = {}
    for problem in EXAMS[domain]:
        families.setdefault(problem.family, []).append(problem)
    return [(a, b) for a, b, *_ in families.values()][:count]


def prompts(domain, count):
    """Exam prompts in the students' form: a worked variant of the family, then another to work."""
    return [
        (f"Question: {a.question}\nWorking:{worked(a)}\n\nQuestion: {b.question}\nWorking:", worked(b))
        for a, b in exam_pairs(domain, count)
    ]


def test_a_teacher_and_two_different_students_ship_and_are_small():
    assert set(shipped()) == set(MODELS)
    sizes = {
        (SHIPPED / name / "model.safetensors").stat().st_size for name in ("teacher", "student", "student-2")
    }
    assert len(sizes) == 3
    assert sum(p.stat().st_size for p in SHIPPED.rglob("*") if p.is_file()) < 20e6


@pytest.mark.parametrize("name", ["student", "student-2", "code-student"])
def test_students_follow_as_their_cards_say(name):
    engine = Engine(SHIPPED / name)
    asked = prompts(domain_of(name), 144)
    requests = [Request(engine.text.encode(prompt), 100) for prompt, _ in asked]
    right = [r.text == wanted for r, (_, wanted) in zip(engine.generate(requests), asked, strict=True)]
    card = (SHIPPED / name / "README.md").read_text()
    stated = float(re.search(r"follows a shown method .*\| ([\d.]+)%", card)[1]) / 100
    assert sum(right) / len(right) > stated - 0.06


def test_the_writer_writes_problems_as_its_card_says():
    engine, reader, card = (
        Engine(SHIPPED / "writer"),
        Reader(World()),
        (SHIPPED / "writer" / "README.md").read_text(),
    )
    taught = problems("m1-dev")[:144]
    requests = [
        Request(engine.text.encode(f"Question: {p.question}\n\nQuestion:"), 60, temperature=0.7, key=i)
        for i, p in enumerate(taught)
    ]
    good = {"read": [], "held out": []}
    for problem, reply in zip(taught, engine.generate(requests), strict=True):
        sort, _ = reader.judge(problem.family, reply.text.strip())
        good["held out" if held_out(problem.family) else "read"].append(sort in GOOD)
    for families, found in good.items():
        stated = float(re.search(rf"has an answer .*{families} families \| ([\d.]+)%", card)[1]) / 100
        assert sum(found) / len(found) > stated - 0.15


@pytest.mark.parametrize("name", ["verbal-student", "verbal-student-2"])
def test_verbal_students_go_by_the_examples_they_are_shown(name):
    engine = Engine(SHIPPED / name)
    shown, after, alone = {}, [], []
    for problem in EXAMS["verbal"]:
        shown.setdefault(problem.family, []).append(problem)
    for own in shown.values():
        examples = "".join(f"Question: {p.question}\nWorking:{worked(p)}\n\n" for p in own[:6])
        for problem in own[6:10]:
            asked = f"Question: {problem.question}\nWorking:"
            after.append((problem, examples + asked))
            alone.append((problem, asked))
    right = []
    for asked in (after, alone):
        replies = engine.generate([Request(engine.text.encode(prompt), 16) for _, prompt in asked])
        scores = [
            grade(problem, reply.text).score or 0.0
            for (problem, _), reply in zip(asked, replies, strict=True)
        ]
        right.append(sum(scores) / len(scores))
    assert right[0] > 0.9
    assert right[1] < 0.75


@pytest.mark.parametrize("name", ["code-teacher", "code-student"])
def test_code_models_write_python_that_passes_what_was_asked(name):
    if shutil.which("bwrap") is None:
        pytest.skip("running programs needs bubblewrap (apt-get install bubblewrap)")
    engine = Engine(SHIPPED / name)
    pairs = exam_pairs("code", 12)
    asked = [prompt for prompt, _ in prompts("code", 12)]
    replies = engine.generate([Request(engine.text.encode(prompt), 100) for prompt in asked])
    grades = [grade(b, reply.text, exam=True) for (_, b), reply in zip(pairs, replies, strict=True)]
    for judged in grades:
        assert judged.answer is not None
        compile(judged.answer, "answer", "exec")  # parsed, never run here
    # A student does what the lesson shows; a teacher too, which read lessons before it read its world.
    assert sum(judged.score or 0.0 for judged in grades) / len(grades) > 0.5


@pytest.mark.parametrize("name", MODELS)
def test_transformers_gives_the_same_greedy_tokens(name):
    torch = pytest.importorskip("torch", reason="needs the train extra")
    transformers = pytest.importorskip("transformers", reason="needs the train extra")
    torch.set_num_threads(1)
    folder = SHIPPED / name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    engine = Engine(folder)
    asked = [prompt for prompt, _ in prompts(domain_of(name), 12)]
    ours = engine.generate([Request(engine.text.encode(prompt), 40) for prompt in asked])
    for prompt, result in zip(asked, ours, strict=True):
        ids = engine.text.encode(prompt)
        assert tokenizer.decode(ids[1:]) == prompt
        with torch.no_grad():
            theirs = model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids)),
                max_new_tokens=40,
                do_sample=False,
                pad_token_id=0,
            )
        assert theirs[0, len(ids) :].tolist() == list(result.tokens)


def test_a_thousand_greedy_answers_and_their_log_likelihoods_are_those_of_transformers():
    """Each token must be the reference's choice after those before it, so that the whole is its greedy answer."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    transformers = pytest.importorskip("transformers", reason="needs the train extra")
    torch.set_num_threads(1)
    folder = SHIPPED / "student-2"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    engine = Engine(folder)
    texts = [
        f"Question: {a.question}\nWorking: {a.solution}\nAnswer: {a.answer}\n\nQuestion: {b.question}\nWorking:"
        for a, b in zip(
            EXAMS["arithmetic"][::2], EXAMS["arithmetic"][1::2], strict=True
        )  # of one family, as they stand together
    ][:1008]
    asked = sorted((engine.text.encode(text) for text in texts), key=len)  # batches of like lengths
    answers = [list(result.tokens) for result in engine.generate([Request(ids, 48) for ids in asked])]
    scores = engine.loglikelihood(list(zip(asked, answers, strict=True)))
    assert len({tuple(ids) for ids in asked}) >= 1000
    for start in range(0, len(asked), 48):
        rows = [[*asked[i], *answers[i]] for i in range(start, min(start + 48, len(asked)))]
        width = max(map(len, rows))
        with torch.inference_mode():
            padded = torch.tensor(
                [row + [0] * (width - len(row)) for row in rows]
            )  # what comes after is not seen
            logs = model(padded).logits[:, :-1].log_softmax(-1)
        for i, own in enumerate(logs, start):
            at = torch.arange(len(asked[i]) - 1, len(asked[i]) + len(answers[i]) - 1)
            assert own[at].argmax(-1).tolist() == answers[i]
            assert scores[i].total == pytest.approx(own[at, answers[i]].double().sum().item(), abs=1e-4)
