"""The models that ship: ordinary folders that transformers reads too, that do what their cards say, and are small."""

from __future__ import annotations

import re

import pytest

from docendo.models.engine import Engine, Request
from docendo.models.resolve import SHIPPED, shipped
from docendo.schoolhouse.sets import problems

EXAMS = problems("m1-dev-exams")


def prompts(count):
    """Exam prompts in the students' form: a worked variant of the family, then another to work."""
    pairs = list(zip(EXAMS[::8], EXAMS[1::8], strict=True))[:count]
    return [
        (
            f"Question: {a.question}\nWorking: {a.solution}\nAnswer: {a.answer}\n\n"
            f"Question: {b.question}\nWorking:",
            f" {b.solution}\nAnswer: {b.answer}",
        )
        for a, b in pairs
    ]


def test_a_teacher_and_two_different_students_ship_and_are_small():
    assert set(shipped()) >= {"teacher", "student", "student-2"}
    sizes = {(SHIPPED / name / "model.safetensors").stat().st_size for name in shipped()}
    assert len(sizes) == len(shipped())
    assert sum(p.stat().st_size for p in SHIPPED.rglob("*") if p.is_file()) < 20e6


@pytest.mark.parametrize("name", ["student", "student-2"])
def test_students_follow_as_their_cards_say(name):
    engine = Engine(SHIPPED / name)
    asked = prompts(144)
    requests = [Request(engine.text.encode(prompt), 60) for prompt, _ in asked]
    right = [r.text == wanted for r, (_, wanted) in zip(engine.generate(requests), asked, strict=True)]
    card = (SHIPPED / name / "README.md").read_text()
    stated = float(re.search(r"follows a shown method .*\| ([\d.]+)%", card)[1]) / 100
    assert sum(right) / len(right) > stated - 0.06


@pytest.mark.parametrize("name", ["teacher", "student", "student-2"])
def test_transformers_gives_the_same_greedy_tokens(name):
    torch = pytest.importorskip("torch", reason="needs the train extra")
    transformers = pytest.importorskip("transformers", reason="needs the train extra")
    torch.set_num_threads(1)
    folder = SHIPPED / name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    engine = Engine(folder)
    asked = [prompt for prompt, _ in prompts(24)]
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
        for a, b in zip(EXAMS[::2], EXAMS[1::2], strict=True)  # of one family, as they stand together
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
