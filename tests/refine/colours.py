"""A small task with a hidden rule, and scripted models that really go by the examples they are shown.

Each text names a colour, and the colour alone decides its label. A student knows the label of a colour only from the
examples in its prompt, and says "no" to others. The teacher knows the rule, but not which colours there are: it writes
of the colours that its prompt shows it, and so needs to be shown what students fail at.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

from docendo.models.endpoint.mock import Answer, MockServer, Request
from docendo.models.scripted import ScriptedModel
from docendo.refine.task import Task
from docendo.types import Call, Problem, Reply, Sampling

COLOURS = ("red", "green", "blue", "white", "black", "brown", "grey", "pink", "gold", "teal", "cyan", "lime")
THINGS = ("cup", "hat", "door", "boat", "chair", "lamp", "stone", "leaf", "coat", "bell", "drum", "kite")
PLACES = ("hill", "lake", "road", "barn", "mill", "yard", "shop", "dock", "cave", "park", "shed", "moor")
YES = set(COLOURS[::2])
WORDS = re.compile(r"\b(?:" + "|".join(COLOURS) + r")\b")


def label(colour: str) -> str:
    return "yes" if colour in YES else "no"


def texts(seed: int = 0) -> list[str]:
    rare = ("red", "blue", "black")  # which are those that a teacher thinks of first
    found = [
        f"The {c} {t} by the {p} is old."
        for c in COLOURS
        for t in THINGS[: 2 if c in rare else 12]
        for p in PLACES
    ]
    random.Random(seed).shuffle(found)
    return found


def problem(text: str, name: str) -> Problem:
    meta = {"labels": ["no", "yes"]}
    return Problem(name, text, answer=label(WORDS.findall(text)[0]), kind="label", meta=meta)


def task(seed: int = 0, size: int = 24) -> Task:
    drawn = iter(enumerate(texts(seed)))
    parts = [
        tuple(problem(text, f"{part}/{i}") for i, text in (next(drawn) for _ in range(count)))
        for part, count in (("pool", 24), ("exam", size), ("validation", size), ("test", 3 * size))
    ]
    return Task("colours", "Say whether it glows.", *parts)


def said(call: Call) -> str:
    return call.prompt if isinstance(call.prompt, str) else "\n\n".join(text for _, text in call.prompt)


def answer_by_examples(call: Call) -> str:
    """A student: what the examples say of the colour that is asked about."""
    turns = [text for role, text in call.prompt if role != "system"]
    known = {}
    for question, reply in zip(turns[:-1:2], turns[1:-1:2], strict=True):
        known[WORDS.findall(question)[0]] = reply.rsplit(" ", 1)[-1]
    colour = WORDS.findall(turns[-1])[0]
    return f"The colour is {colour}.\n\nFinal answer: {known.get(colour, 'no')}"


def write_set(call: Call, count: int = 6) -> str:
    """A teacher: examples with the colours of the failures it is shown, then with those of the old set."""
    rng = random.Random(f"{call.request} {call.sample}")
    text = said(call)
    failed = WORDS.findall(text.split("got wrong:")[-1]) if "got wrong:" in text else []
    old = WORDS.findall(text.split("got wrong:")[0])
    if call.purpose == "propose":
        old = ["red", "green"]
    wanted = list(dict.fromkeys([*failed, *old, *COLOURS]))
    half = count // 2
    picked = [c for c in wanted if label(c) == "yes"][:half] + [c for c in wanted if label(c) == "no"][:half]
    rng.shuffle(picked)
    rows = [
        {
            "question": f"A {c} {rng.choice(THINGS)} from {rng.choice('abcdefgh')}{rng.randrange(999)} shines.",
            "reasoning": f"What is {c} {'glows' if label(c) == 'yes' else 'does not glow'}.",
            "answer": label(c),
        }
        for c in picked
    ]
    return json.dumps(rows)


def reflect(call: Call) -> str:
    return "The students have not seen these colours: " + ", ".join(dict.fromkeys(WORDS.findall(said(call))))


def teaching(call: Call) -> str:
    if call.purpose in ("propose", "rewrite"):
        return write_set(call)
    return reflect(call) if call.purpose == "reflect" else answer_by_examples(call)


Script = Callable[[Call], Reply | str]


def models(teacher: Script = teaching, *students: Script, batched: bool = False) -> dict[str, ScriptedModel]:
    students = students or (answer_by_examples,)
    made = {"teacher": ScriptedModel("teacher", teacher, batched=batched)}
    for number, student in enumerate(students, 1):
        made[f"student{number}"] = ScriptedModel(f"student{number}", student, batched=batched)
    return made


def speak(request: Request) -> Answer:
    """The scripted teacher and student, told apart by what they are asked."""
    value = request.json
    turns = tuple((m["role"], m["content"]) for m in value["messages"])
    system = turns[0][1]
    purpose = "exam"
    if "You write worked examples" in system:
        purpose = "rewrite" if "got wrong" in turns[1][1] else "propose"
    elif "You read where they failed" in system:
        purpose = "reflect"
    call = Call("m", turns, Sampling(), purpose=purpose)
    said = {"exam": answer_by_examples, "reflect": reflect}.get(purpose, write_set)(call)
    return Answer.chat(said, usage={"prompt_tokens": 50, "completion_tokens": 9})


SMALL = ["--examples", "6", "--rounds", "2", "--beam", "2", "--minibatch", "12", "--reflections", "2"]


def typed(server: MockServer, rows: Path, *more: str) -> list[str]:
    models = ["--teacher", "openai:big", "--student", "openai:small", "--base-url", server.url]
    return ["refine", f"labels:{rows}?labels=no,yes", *models, *SMALL, *more]
