"""Reading sets out of replies as models really write them, and never failing on anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.refine.parse import read_examples, refuses
from docendo.types import Example

ROWS = [
    {"question": "Taxes fell by half in 2012.", "reasoning": "No tax fell so much.", "answer": "yes"},
    {"question": "The bridge was opened in May.", "reasoning": "It was.", "answer": "no"},
]
WANTED = [Example(r["question"], r["reasoning"], r["answer"]) for r in ROWS]
PLAIN = json.dumps(ROWS, indent=2)
REPLIES = {
    "json": PLAIN,
    "fenced": f"Here are the examples you asked for:\n\n```json\n{PLAIN}\n```\n\nI hope they help!",
    "an object around it": json.dumps({"task": "liar [1]", "examples": ROWS}),
    "one object a line": "\n".join(json.dumps(row) for row in ROWS),
    "commas too many": PLAIN.replace('"yes"', '"yes",').replace("}\n]", "},\n]"),
    "other names": json.dumps(
        [{"Text": r["question"], "Explanation": r["reasoning"], "Label": r["answer"]} for r in ROWS]
    ),
    "line breaks inside": PLAIN.replace("fell by", "fell by"),
    "fields": "\n\n".join(
        f"Question: {r['question']}\nReasoning: {r['reasoning']}\nAnswer: {r['answer']}" for r in ROWS
    ),
    "numbered fields with stars": "\n\n".join(
        f"**{i}. Question:** {r['question']}\n   **Reasoning:** {r['reasoning']}\n   **Answer:** {r['answer']}"
        for i, r in enumerate(ROWS, 1)
    ),
    "headings": "\n\n".join(
        f"### Example {i}:\n**Text**: {r['question']}\n**Rationale**: {r['reasoning']}\n**Label**: {r['answer']}"
        for i, r in enumerate(ROWS, 1)
    ),
    "a text that goes on": f"{ROWS[0]['question']}\nSolution: {ROWS[0]['reasoning']}\nAnswer: yes\n\n"
    f"Problem: {ROWS[1]['question']}\nSolution: {ROWS[1]['reasoning']}\nAnswer: no\n",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_a_set_is_read_however_it_is_written(reply: str) -> None:
    assert read_examples(reply) == WANTED


@pytest.mark.parametrize(
    "reply",
    [
        "1. Taxes fell by half in 2012. (Label: yes)\n2. The bridge was opened in May. (Label: no)",
        '1) "Taxes fell by half in 2012." -> yes\n2) "The bridge was opened in May." -> no',
        "1. Taxes fell by half in 2012.\n   Answer: yes\n\n2. The bridge was opened in May.\n   Answer: no\n",
    ],
)
def test_a_numbered_list_is_read(reply: str) -> None:
    assert [(e.question, e.answer) for e in read_examples(reply)] == [
        ("Taxes fell by half in 2012.", "yes"),
        ("The bridge was opened in May.", "no"),
    ]


def test_a_question_may_begin_like_a_field() -> None:
    text = "Statement: Taxes fell.\nJob title: Mayor\nContext: a speech"
    reply = (
        f"Question: {text}\nReasoning: none.\nAnswer: yes\n\nQuestion: {text}!\nReasoning: none.\nAnswer: no"
    )
    assert [e.question for e in read_examples(reply)] == [text, text + "!"]


def test_premises_and_a_conclusion_are_one_question() -> None:
    rows = [{"premises": ["All cats purr.", "Tom is a cat."], "conclusion": "Tom purrs.", "label": "true"}]
    (example,) = read_examples(json.dumps(rows))
    assert example.question == "Premises:\nAll cats purr.\nTom is a cat.\n\nConclusion:\nTom purrs."


def test_working_may_be_missing() -> None:
    reply = "Ned says that the mill is open.\nWorking:\nAnswer: yes\n\nQuestion: Ann says so.\nWorking:\nAnswer: no"
    assert read_examples(reply) == [
        Example("Ned says that the mill is open.", "", "yes"),
        Example("Ann says so.", "", "no"),
    ]


def test_truth_values_and_numbers_are_texts() -> None:
    rows = [{"question": "a", "answer": True}, {"question": "b", "answer": 7}]
    assert [e.answer for e in read_examples(json.dumps(rows))] == ["true", "7"]


def test_a_list_that_was_cut_gives_what_is_whole() -> None:
    assert read_examples(PLAIN[: PLAIN.index("The bridge")]) == WANTED[:1]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I would rather talk about the weather.",
        "[1, 2, 3]",
        "{}",
        "[" * 5000,
        "Answer:",
        "__import__('os')",
    ],
)
def test_what_is_no_set_gives_none(reply: str) -> None:
    assert read_examples(reply) == []


@given(st.text(alphabet=st.sampled_from('[]{}",:\\ \n*#1.) Question:Answer:Labelé\x00')))
def test_anything_can_be_read(text: str) -> None:
    read_examples(text)


FIELD = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda text: text.strip()
)


@given(st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=4))
def test_json_comes_back_as_it_was(rows: list[tuple[str, str, str]]) -> None:
    reply = json.dumps([{"question": q, "reasoning": r, "answer": a} for q, r, a in rows])
    assert read_examples(reply) == [Example(q.strip(), r.strip(), a.strip()) for q, r, a in rows]


def test_refusals_are_told_from_garbage() -> None:
    assert refuses("I'm sorry, but I can’t help with that.")
    assert not refuses("The answer is a lie.")
