"""What a model can do, on texts and numbers held out for tuning: the figures of logs and model cards."""

from __future__ import annotations

import random

import torch

from docendo.schoolhouse.families import GROUPS, Split
from docendo.schoolhouse.reading import GOOD, Reader, held_out
from docendo.schoolhouse.schooling import curriculum, verbal, writing
from docendo.schoolhouse.schooling.curriculum import Scribe
from docendo.schoolhouse.schooling.domains import Domain, FamilyDomain, WritingDomain
from docendo.schoolhouse.schooling.model import Llama
from docendo.schoolhouse.verbal.words import LABELS
from docendo.schoolhouse.verbal.world import Ruled, VerbalWorld, made_up


@torch.no_grad()
def follow_rate(model: Llama, domain: FamilyDomain, seed: int, count: int = 256, split: str = "dev") -> float:
    """Share of exam workings (with answer) that greedy decoding would write exactly as the lesson's method demands.

    Families are made up on the spot; the numbers come from `split`. Teacher forcing gives the same verdict as
    decoding, since greedy decoding reproduces a text exactly if every one of its tokens is the likeliest.
    """
    scribe = Scribe(domain.tokenizer())
    rng = random.Random(f"docendo follow {seed}")
    right = 0
    for _ in range(count // 32):
        docs = []
        for _ in range(32):
            family = domain.made_up(rng)
            lesson = curriculum.written(domain, curriculum.draw(rng, family, split), 0.0, 0.0)
            exam = curriculum.written(domain, curriculum.draw(rng, family, split), 0.0, 1.0)
            docs.append(scribe.document(lesson + exam))
        right += sum(_reproduced(model, domain.row, docs))
    return right / (count // 32 * 32)


@torch.no_grad()
def group_accuracy(
    model: Llama, domain: FamilyDomain, world: int, split: str = "dev", per_family: int = 1
) -> dict[str, float]:
    """Per group: share of problems whose reference working and answer greedy decoding would write, without a lesson."""
    scribe, rng = Scribe(domain.tokenizer()), random.Random("docendo group accuracy")
    found: dict[str, float] = {}
    for group in GROUPS:
        docs = [
            scribe.document(curriculum.written(domain, curriculum.draw(rng, family, split), 0.0, 1.0))
            for family in domain.world(world).families
            if family.group == group
            for _ in range(per_family)
        ]
        verdicts = [
            v for i in range(0, len(docs), 32) for v in _reproduced(model, domain.row, docs[i : i + 32])
        ]
        found[group] = sum(verdicts) / len(verdicts)
    return found


@torch.no_grad()
def told_rate(model: Llama, domain: Domain, seed: int, count: int = 256, split: Split = "dev") -> float:
    """Share of texts that are worked and labelled rightly after six examples of a made-up task, half of each label.

    A text whose case the examples leave out can only be guessed at, so no model reaches 1.
    """
    scribe, rng = Scribe(domain.tokenizer()), random.Random(f"docendo told {seed}")
    docs = []
    for _ in range(count):
        ruled = made_up(rng)
        lesson = [ruled.draw(rng, label, split) for label in verbal.labels(rng, verbal.EXAMPLES)]
        text = ruled.draw(rng, rng.choice(LABELS), split)
        docs.append(scribe.document(verbal.question_after(ruled, lesson, text)))
    return _share(model, domain, docs)


@torch.no_grad()
def label_rates(model: Llama, domain: Domain, world: int) -> dict[str, float]:
    """Per group: share of texts that a teacher would work and label rightly as a set's first, under its instruction."""
    scribe, rng = Scribe(domain.tokenizer()), random.Random("docendo label rates")
    found: dict[str, float] = {}
    for group in GROUPS:
        docs = [
            scribe.document(verbal.begun_set(rng, task.ruled, task.ruled.draw(rng, label, "dev"), "dev"))
            for task in VerbalWorld(world).tasks
            if task.group == group
            for label in LABELS * 3
        ]
        found[group] = _share(model, domain, docs)
    return found


@torch.no_grad()
def rewriting_rates(model: Llama, domain: Domain, world: int) -> dict[str, float]:
    """As `label_rates`, of sets that replace one of another rule, after failed problems; and on made-up tasks."""
    scribe, rng = Scribe(domain.tokenizer()), random.Random("docendo rewriting rates")
    every = VerbalWorld(world).tasks
    tasks: dict[str, list[Ruled]] = {g: [t.ruled for t in every if t.group == g] for g in GROUPS}
    tasks["made-up"] = [made_up(rng) for _ in range(64)]
    found: dict[str, float] = {}
    for group, own in tasks.items():
        docs = [
            scribe.document(verbal.begun_rewriting(rng, ruled, ruled.draw(rng, label, "dev")))
            for ruled in own
            for label in LABELS * 3
        ]
        found[group] = _share(model, domain, docs)
    return found


@torch.no_grad()
def writing_rates(model: Llama, domain: WritingDomain, world: int, count: int = 96) -> dict[str, float]:
    """Share of problems written that are of the method, have an answer and are no copy; read and held-out families.

    Args:
        model: the writer.
        domain: its domain.
        world: the world whose families are asked for, each by variants of the split "dev".
        count: problems that are written, at temperature 0.7, families in turn.
    """
    made, rng = domain.world(world), random.Random("docendo writing rates")
    reader = Reader(made)
    found: dict[str, list[bool]] = {"read": [], "held out": []}
    # The stride of 7, which divides no world's number of families, visits clusters in a mixed order.
    families = [made.families[i * 7 % len(made.families)] for i in range(count)]
    questions = [(family.id, curriculum.draw(rng, family, "dev").question) for family in families]
    for start in range(0, len(questions), 96):
        part = questions[start : start + 96]
        texts = _continued(model, domain, [writing.asked(question) for _, question in part])
        for (family, question), text in zip(part, texts, strict=True):
            good = text != question and reader.judge(family, text)[0] in GOOD
            found["held out" if held_out(family) else "read"].append(good)
    return {name: sum(verdicts) / len(verdicts) for name, verdicts in found.items()}


def _continued(
    model: Llama, domain: Domain, prompts: list[str], temperature: float = 0.7, most: int = 48
) -> list[str]:
    """What a model writes after each prompt, up to the token that ends a text; sampled by a fixed seed."""
    tokenizer = domain.tokenizer()
    scribe, end = Scribe(tokenizer), tokenizer.token_to_id("\n\n")
    drawn = torch.Generator().manual_seed(0)
    rows = [[scribe.bos, *tokenizer.encode(prompt).ids] for prompt in prompts]
    starts, open_ = [len(row) for row in rows], set(range(len(rows)))
    for _ in range(most):
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        positions = torch.arange(ids.shape[1]).expand(ids.shape)
        last = torch.tensor([len(row) - 1 for row in rows])
        stream = model(ids, torch.zeros_like(ids), positions)[torch.arange(len(rows)), last]
        chances = torch.softmax(model.logits(stream) / temperature, -1)
        chosen = torch.multinomial(chances, 1, generator=drawn)[:, 0].tolist()
        for i in sorted(open_):
            if chosen[i] == end:
                open_.discard(i)
            else:
                rows[i].append(chosen[i])
        if not open_:
            break
    return [tokenizer.decode(row[at:]).strip() for row, at in zip(rows, starts, strict=True)]


def _share(model: Llama, domain: Domain, docs: list[curriculum.Document]) -> float:
    length = max(len(tokens) for tokens, _ in docs)
    parts = (docs[i : i + 32] for i in range(0, len(docs), 32))
    return sum(right for part in parts for right in _reproduced(model, length, part)) / len(docs)


def _reproduced(model: Llama, length: int, docs: list[curriculum.Document]) -> list[bool]:
    """For each document: whether every token of weight 1 is the likeliest."""
    ids = torch.zeros(len(docs), length, dtype=torch.long)
    weights = torch.zeros(len(docs), length)
    for i, (tokens, worth) in enumerate(docs):
        ids[i, : len(tokens)], weights[i, : len(tokens)] = torch.tensor(tokens), torch.tensor(worth)
    positions = torch.arange(length).expand(len(docs), length)
    likeliest = model.logits(model(ids[:, :-1], torch.zeros_like(ids)[:, :-1], positions[:, :-1])).argmax(-1)
    return ((likeliest == ids[:, 1:]) | (weights[:, 1:] == 0)).all(1).tolist()
