"""`hf:` models, held against the built-in engine on the school's own weights."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import docendo
from docendo.errors import ConfigError, ModelError
from docendo.models.base import Model, telling
from docendo.models.gateway import Gateway
from docendo.models.resolve import SHIPPED, opened
from docendo.models.spec import ModelSpec
from docendo.prompts import Prompts
from docendo.types import Call, Example, Lesson, Problem, Prompt, Reply, Sampling

torch = pytest.importorskip("torch", reason="needs the hf extra")
transformers = pytest.importorskip("transformers", reason="needs the hf extra")
torch.set_num_threads(1)

TEMPLATE = (
    "{% for m in messages %}{{ m.content }} {% endfor %}{% if add_generation_prompt %}Working:{% endif %}"
)


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return docendo.load_problems("school:m1", limit=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student as transformers must read it: its tokenizer begins a text as the built-in engine does."""
    path = tmp_path_factory.mktemp("hf") / "student"
    shutil.copytree(SHIPPED / "student", path)
    tokenizer = json.loads((path / "tokenizer.json").read_text())
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    }
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return path


def spec(folder: Path, **more: Any) -> ModelSpec:
    return ModelSpec(model=f"hf:{folder}", options={"dtype": "float32"}, **more)


def ask(models: dict[str, ModelSpec], calls: Sequence[Call]) -> list[Reply]:
    async def work() -> list[Reply]:
        async with opened(models) as made, Gateway(made) as gateway:
            return await gateway.ask(calls)

    return asyncio.run(work())


def batch(model: str, prompts: Sequence[Prompt], samples: int = 1, **sampling: Any) -> list[Call]:
    drawn = Sampling(**{"temperature": 0.0, "max_tokens": 60, **sampling})
    size = len(prompts) * samples
    return [Call(model, p, drawn, i, 3, "exam", "b", size) for p in prompts for i in range(samples)]


def exam(problems: Sequence[Problem]) -> list[str]:
    """Two lessons, each before every problem: prompts that share prefixes of two lengths, or none."""
    prompts = []
    for taught in problems[:2]:
        lesson = Lesson((Example(taught.question, taught.solution or "", taught.answer or ""),))
        for problem in problems:
            prompt = Prompts().examine(lesson, problem)
            assert isinstance(prompt, str)
            prompts.append(prompt)
    return [*prompts, str(Prompts().teach(problems[0]))]


@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 0.8}, {"temperature": 1.5, "top_k": 20, "top_p": 0.9}]
)
def test_replies_are_those_of_the_built_in_engine(
    folder: Path, problems: list[Problem], sampling: dict[str, Any]
) -> None:
    """Greedy and, as both draw by the same numbers, sampled; under one name, which is part of a call."""
    prompts = exam(problems)
    calls = batch("school:student", prompts, samples=3 if sampling else 1, **sampling)
    ours = ask({"school:student": ModelSpec(model="school:student")}, calls)
    theirs = ask({"school:student": spec(folder)}, calls)
    assert [r.text for r in theirs] == [r.text for r in ours]
    assert [(r.stop, r.usage.prompt, r.usage.completion) for r in theirs] == [
        (r.stop, r.usage.prompt, r.usage.completion) for r in ours
    ]


def test_a_shared_prefix_is_computed_once(folder: Path, problems: list[Problem]) -> None:
    replies = ask({"m": spec(folder)}, batch("m", exam(problems)))
    lengths = [r.usage.prompt for r in replies]
    computed = sum(r.usage.prompt - r.usage.cached for r in replies)
    assert computed < 0.7 * sum(lengths)
    assert all(0 <= r.usage.cached <= r.usage.prompt for r in replies)
    again = ask({"m": spec(folder)}, batch("m", [exam(problems)[0]], samples=4, temperature=1.0))
    assert sorted(r.usage.cached for r in again) == [0] + 3 * [lengths[0]]


def test_replies_do_not_depend_on_what_is_asked_beside(folder: Path, problems: list[Problem]) -> None:
    prompts = exam(problems)
    together = ask({"m": spec(folder)}, batch("m", prompts, temperature=0.9))
    for prompt, reply in list(zip(prompts, together, strict=True))[::4]:
        (alone,) = ask({"m": spec(folder)}, batch("m", [prompt], temperature=0.9))
        assert alone.text == reply.text


def test_likelihoods_are_those_of_the_built_in_engine(folder: Path, problems: list[Problem]) -> None:
    pairs = [(prompt, f" {problems[0].solution}") for prompt in exam(problems)]

    async def told(model: Model) -> list[tuple[float, int]]:
        return await telling(model).loglikelihood(pairs)

    async def work() -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
        async with opened({"a": ModelSpec(model="school:student"), "b": spec(folder)}) as models:
            return await told(models["a"]), await told(models["b"])

    ours, theirs = asyncio.run(work())
    assert [tokens for _, tokens in theirs] == [tokens for _, tokens in ours]
    assert [total for total, _ in theirs] == pytest.approx([total for total, _ in ours], abs=1e-3)


def test_a_call_with_a_continuation_is_told_how_likely_it_is(folder: Path, problems: list[Problem]) -> None:
    prompt = exam(problems)[0]
    text = f" {problems[0].solution}"
    asked: list[tuple[Prompt, str]] = [(prompt, text), (prompt, f"{text} no"), ((("user", "a"),), text)]
    calls = [
        Call("m", p, Sampling(), purpose="likelihood", batch="b", batch_size=4, continuation=t)
        for p, t in asked
    ]
    written = Call("m", prompt, Sampling(0.0, max_tokens=5), batch="b", batch_size=4)

    async def work() -> tuple[list[Reply], list[tuple[float, int]]]:
        async with opened({"m": spec(folder)}) as models, Gateway(models) as gateway:
            direct = await telling(models["m"]).loglikelihood(asked[:2])
            return await gateway.ask([*calls, written]), direct

    (one, other, chat, said), direct = asyncio.run(work())
    assert [float(r.text) for r in (one, other)] == pytest.approx([total for total, _ in direct], abs=1e-4)
    assert [r.usage.completion for r in (one, other)] == [tokens for _, tokens in direct]
    assert sorted(r.usage.cached for r in (one, other)) == [0, one.usage.prompt]
    assert (chat.stop, chat.lasting) == ("error", True)
    assert "no chat template" in (chat.error or "")
    assert said.usage.completion == 5


def test_a_run_is_examined_by_likelihood_as_with_the_built_in_engine(
    folder: Path, problems: list[Problem], tmp_path: Path
) -> None:
    scores = []
    for name, student in (("ours", "school:student"), ("theirs", spec(folder))):
        run = docendo.solve(
            problems[:2], out=tmp_path / name, students=[student], prompts="school", lessons=6, exam_problems=2,
            equal_cost=False, exam_score="likelihood",
        )  # fmt: skip
        with run.view() as view:
            scores.append({lesson.lesson.id: lesson.score for lesson in view.lessons()})
            assert {r.stop for r in view.recorded([c.call for c in view.calls()]).values()} <= {
                "stop",
                "length",
            }
    ours, theirs = scores
    assert len(ours) > 2
    assert theirs == pytest.approx(ours, abs=1e-3)


@pytest.mark.parametrize("window", [None, 6])
def test_prefixes_are_joined_as_the_library_reads_whole_prompts(window: int | None) -> None:
    """Also where a model sees only so far back, and padding between a prefix and the rest would count."""
    from docendo.models.hf.compute import Computer, Row

    torch.manual_seed(5)
    config = transformers.MistralConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=window, max_position_embeddings=200, initializer_range=0.5,
        bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = transformers.MistralForCausalLM(config).eval()
    shared = torch.randint(1, 40, (30,)).tolist()
    prompts = [
        tuple(shared[:start] + torch.randint(1, 40, (length,)).tolist())
        for start, length in ((30, 1), (30, 5), (30, 12), (17, 4), (17, 9), (0, 3), (30, 2))
    ]
    rows = [Row(p, 8, 0.0, 1.0, 0, lambda: 0.5, lambda drawn: False) for p in prompts]
    computed = Computer(model, frozenset(), threading.Event()).generate(rows)
    for row in rows:
        whole = model.generate(torch.tensor([row.prompt]), max_new_tokens=8, do_sample=False)
        assert row.drawn == whole[0, len(row.prompt) :].tolist()
    assert sum(computed.values()) < sum(map(len, prompts))


def test_stop_strings_and_limits_end_a_reply(folder: Path, problems: list[Problem]) -> None:
    prompt = exam(problems)[0]
    (whole,) = ask({"m": spec(folder)}, batch("m", [prompt]))
    assert "\nAnswer:" in whole.text
    (cut,) = ask({"m": spec(folder)}, batch("m", [prompt], stop=("\nAnswer:",)))
    assert (cut.text, cut.stop) == (whole.text.partition("\nAnswer:")[0], "stop")
    (short,) = ask({"m": spec(folder)}, batch("m", [prompt], max_tokens=3))
    assert (short.stop, short.usage.completion) == ("length", 3)
    (none,) = ask({"m": spec(folder, context=20)}, batch("m", [prompt]))
    assert (none.stop, none.lasting) == ("error", True)
    assert none.error is not None
    assert "the context is 20" in none.error


def test_a_chat_is_written_by_the_models_template(
    folder: Path, problems: list[Problem], tmp_path: Path
) -> None:
    chat = tmp_path / "chat"
    shutil.copytree(folder, chat)
    (chat / "chat_template.jinja").write_text("<s>" + TEMPLATE)
    turns = (("user", f"Question: {problems[0].question}\n"),)
    text = f"Question: {problems[0].question}\n Working:"
    (plain,) = ask({"m": spec(folder)}, batch("m", [text]))
    (asked,) = ask({"m": spec(chat)}, batch("m", [turns]))
    assert asked.text == plain.text
    assert asked.usage.prompt == plain.usage.prompt
    (refused,) = ask({"m": spec(folder)}, batch("m", [turns]))
    assert refused.error is not None
    assert "no chat template" in refused.error


def test_what_it_can_do_follows_from_the_model(folder: Path) -> None:
    async def work() -> None:
        async with opened({"m": spec(folder)}) as models:
            able = models["m"].capabilities
            assert (able.chat, able.completion, able.loglikelihood, able.batched) == (False, True, True, True)
            assert able.parameters == 1_078_912 or able.parameters
            assert able.digest

    asyncio.run(work())
    with pytest.raises(ConfigError, match="no chat template"):
        asyncio.run(_open(spec(folder, mode="chat")))


async def _open(one: ModelSpec) -> None:
    async with opened({"m": one}):
        pass


def test_a_model_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="model 'm': cannot be loaded"):
        asyncio.run(_open(ModelSpec(model=f"hf:{tmp_path}")))


def test_a_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"pip install 'docendo\[hf\]'"):
        asyncio.run(_open(spec(folder)))


def test_a_run_ends_with_the_built_in_engines_answers(folder: Path, tmp_path: Path) -> None:
    """The whole road, by the same prompts; the teacher is the shipped one in both runs."""
    settings = {"lessons": 3, "exam_problems": 1, "repeats": 1, "limit": 2, "prompts": "school"}
    ours = docendo.solve(out=tmp_path / "ours", **settings)  # type: ignore[arg-type]
    student = spec(folder, name="school:student", max_tokens=128)
    theirs = docendo.solve(out=tmp_path / "theirs", students=[student], **settings)  # type: ignore[arg-type]
    assert theirs.answers() == ours.answers()
