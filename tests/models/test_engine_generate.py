"""Generation and scoring, held against a textbook forward pass and against each request on its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_llama
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models

from docendo.errors import ModelError
from docendo.models.engine import Engine, Request, Result
from docendo.models.engine.llama import Llama

SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"num_key_value_heads": 2, "tie_word_embeddings": False, "num_hidden_layers": 3},
    {"num_key_value_heads": 1, "hidden_size": 16, "num_attention_heads": 2, "vocab_size": 130},
)


@pytest.fixture(scope="module", params=range(len(SHAPES)))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    number = request.param
    return Engine(tiny_llama.write(tmp_path_factory.mktemp("models") / "m", seed=number, **SHAPES[number]))


@pytest.fixture
def plain(tmp_path: Path) -> Engine:
    return Engine(tiny_llama.write(tmp_path / "m"))


def exam_tree(seed: int, vocab: int = 61) -> list[list[int]]:
    """An instruction, five lessons, three problems after each, each asked three times."""
    rng = np.random.default_rng(seed)
    shared = [0, *rng.integers(3, vocab, 9).tolist()]
    prompts = []
    for _ in range(5):
        lesson = shared + rng.integers(3, vocab, int(rng.integers(8, 14))).tolist()
        for _ in range(3):
            prompts += [lesson + rng.integers(3, vocab, int(rng.integers(3, 9))).tolist()] * 3
    return prompts


def sharpened(folder: Path) -> Engine:
    """A model whose attention scores are far out of the range of float32's exp."""
    tiny_llama.write(folder)
    stored = load_file(folder / "model.safetensors")
    for name in stored:
        if "q_proj" in name or "k_proj" in name:
            stored[name] *= 6
    save_file(stored, folder / "model.safetensors")
    return Engine(folder)


def check_same(engine: Engine, one: Result, other: Result, prompt: list[int]) -> None:
    """Equal but for where they part, if they do: that must have been a tie as far as float32 can tell."""
    if one.tokens == other.tokens:
        assert one.why == other.why
        assert one.text == other.text
        return
    at = next(i for i, (a, b) in enumerate(zip(one.tokens, other.tokens, strict=False)) if a != b)
    head = [*prompt, *one.tokens[:at]]
    a, b = engine.loglikelihood([(head, [one.tokens[at]]), (head, [other.tokens[at]])])
    assert a.total == pytest.approx(b.total, abs=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_greedy_tokens_and_log_likelihoods_are_the_textbooks(tmp_path: Path, seed: int) -> None:
    changes = SHAPES[seed]
    engine = Engine(tiny_llama.write(tmp_path / "m", seed=seed, **changes))
    config = tiny_llama.CONFIG | changes
    weights = tiny_llama.weights(config, seed)
    prompts = exam_tree(seed)
    results = engine.generate([Request(prompt, 20) for prompt in prompts])
    for prompt, result in list(zip(prompts, results, strict=True))[::3]:
        logs = tiny_llama.log_softmax(tiny_llama.logits(config, weights, [*prompt, *result.tokens])[0])
        assert list(result.tokens) == logs[len(prompt) - 1 : -1].argmax(-1).tolist()
        for cut in (1, len(prompt) // 2, len(prompt)):
            score = engine.loglikelihood([(prompt[:cut], [*prompt[cut:], *result.tokens])])[0]
            after = [*prompt[cut:], *result.tokens]
            assert score.total == pytest.approx(logs[np.arange(len(after)) + cut - 1, after].sum(), abs=1e-4)
            assert score.tokens == len(after)


def test_scores_beyond_the_range_of_exp_are_exact_too(tmp_path: Path) -> None:
    """Attention is computed without subtracting maxima as long as float32 has room; here it has none."""
    engine, prompts = sharpened(tmp_path / "m"), exam_tree(0)[:12:3]
    stored = load_file(tmp_path / "m" / "model.safetensors")
    results = engine.generate([Request(prompt, 8) for prompt in prompts])
    peaks = []
    for prompt, result in zip(prompts, results, strict=True):
        logits, peak = tiny_llama.logits(tiny_llama.CONFIG, stored, [*prompt, *result.tokens])
        peaks.append(peak)
        logs = tiny_llama.log_softmax(logits)
        chosen = logs[len(prompt) - 1 : -1][np.arange(len(result.tokens)), list(result.tokens)]
        assert chosen == pytest.approx(logs[len(prompt) - 1 : -1].max(-1), abs=2e-3)
        score = engine.loglikelihood([(prompt[:1], prompt[1:])])[0]
        assert score.total == pytest.approx(
            logs[np.arange(len(prompt) - 1), prompt[1:]].sum(), abs=1e-3 * len(prompt)
        )
    assert max(peaks) > 120  # exp of this overflows float32: the test would prove nothing otherwise


# Few different tokens, so that prompts share prefixes, repeat and contain one another in every way.
TREES = st.lists(
    st.tuples(st.lists(st.integers(3, 6), min_size=1, max_size=30), st.integers(1, 10)),
    min_size=1,
    max_size=14,
)


@given(tree=TREES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_of_requests_gives_what_each_gives_alone(engine: Engine, tree: list[Any]) -> None:
    requests = [Request(prompt, new) for prompt, new in tree]
    for request, result in zip(requests, engine.generate(requests), strict=True):
        alone = engine.generate([request])[0]
        check_same(engine, result, alone, list(request.tokens))
        assert alone.cached == 0
        assert result.prompt == alone.prompt == len(request.tokens)


@given(tree=TREES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_of_pairs_scores_what_each_scores_alone(engine: Engine, tree: list[Any]) -> None:
    pairs = [(prompt[:cut], prompt[cut:]) for prompt, cut in tree]
    for pair, score in zip(pairs, engine.loglikelihood(pairs), strict=True):
        alone = engine.loglikelihood([pair])[0]
        assert score.total == pytest.approx(alone.total, abs=1e-4)
        assert score.tokens == alone.tokens == len(pair[1])


@given(tree=TREES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_distinct_prefix_is_counted_once(plain: Engine, tree: list[Any]) -> None:
    results = plain.generate([Request(prompt, 1) for prompt, _ in tree])
    seen: set[tuple[int, ...]] = set()
    for (prompt, _), result in zip(tree, results, strict=True):
        prefixes = {tuple(prompt[: i + 1]) for i in range(len(prompt))}
        assert result.prompt == len(prompt)
        assert result.cached == len(prefixes & seen)
        seen |= prefixes


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sampled_answers_do_not_depend_on_what_else_is_asked(engine: Engine, seed: int) -> None:
    prompts = exam_tree(seed)
    requests = [Request(p, 5 + i % 30, temperature=1.0, key=i) for i, p in enumerate(prompts)]
    together = engine.generate(requests)
    order = np.random.default_rng(seed).permutation(len(requests))[: len(requests) // 2]
    for i, result in zip(order, engine.generate([requests[i] for i in order]), strict=True):
        assert result.tokens == together[i].tokens
    assert len({result.tokens for result in together}) > len(set(map(tuple, prompts)))


@pytest.mark.parametrize("temperature", [0.0, 0.02, 0.1, 0.2, 2.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_samples_that_drew_the_same_so_far_are_computed_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, temperature: float, seed: int
) -> None:
    """At any moment samples may part, and end: over blocks of steps and anew arranged rooms."""
    prompts = [prompt for prompt in exam_tree(seed)[::9] for _ in range(6)]
    requests = [
        Request(prompt, 20 + 7 * (i % 4), temperature, key=100 * seed + i) for i, prompt in enumerate(prompts)
    ]
    rows: list[int] = []
    embed = Llama.embed

    def counted(self: Llama, tokens: Any) -> Any:
        rows.append(len(tokens))
        return embed(self, tokens)

    monkeypatch.setattr(Llama, "embed", counted)
    together = engine.generate(requests)
    computed = sum(rows)
    monkeypatch.undo()
    alone = [engine.generate([request])[0] for request in requests]
    for one, other, prompt in zip(together, alone, prompts, strict=True):
        check_same(engine, one, other, prompt)
    prefixes = {
        (*prompt, *result.tokens[:n])
        for prompt, result in zip(prompts, together, strict=True)
        for n in range(1, len(result.tokens))
    }
    fresh = sum(result.prompt - result.cached for result in together)
    assert computed == fresh + len(prefixes)
    if temperature < 1:
        assert len(prefixes) < sum(len(result.tokens) - 1 for result in together)


@pytest.mark.parametrize("make", [lambda path: Engine(tiny_llama.write(path)), sharpened])
def test_the_same_batch_gives_the_same_bytes_whatever_ran_before(
    tmp_path: Path, make: Callable[[Path], Engine]
) -> None:
    engine = make(tmp_path / "m")
    requests = [Request(p, 5 + i % 25, temperature=0.9, key=i) for i, p in enumerate(exam_tree(0))]
    pairs = [(p[:5], p[5:]) for p in exam_tree(1)]
    first, scores = engine.generate(requests), engine.loglikelihood(pairs)
    for seed in (2, 3):
        engine.generate([Request(p, 3 + seed * i, key=i) for i, p in enumerate(exam_tree(seed))])
        assert engine.generate(requests) == first
        assert engine.loglikelihood(pairs) == scores


@pytest.mark.parametrize("samples", [1, 5, 24])
def test_long_answers_stay_right_as_room_grows_and_samples_finish(tmp_path: Path, samples: int) -> None:
    """Past every growth of the room for generated tokens, with rows leaving all the way."""
    config = tiny_llama.CONFIG | {"max_position_embeddings": 400, "eos_token_id": None}
    engine = Engine(tiny_llama.write(tmp_path / "m", **config))
    weights = tiny_llama.weights(config, 0)
    rng = np.random.default_rng(samples)
    requests = [
        Request([0, *rng.integers(3, 61, 4 + i % 3).tolist()], 300 if i == 0 else 3 + 7 * i)
        for i in range(samples)
    ]
    for request, result in zip(requests, engine.generate(requests), strict=True):
        assert len(result.tokens) == request.max_tokens
        whole = [*request.tokens, *result.tokens]
        expected = tiny_llama.logits(config, weights, whole)[0][len(request.tokens) - 1 : -1]
        gaps = expected.max(-1) - expected[np.arange(len(result.tokens)), list(result.tokens)]
        assert gaps.max() < 1e-3


def test_the_end_token_ends_an_answer_and_is_not_in_its_text(plain: Engine) -> None:
    requests = [Request(p, 80, temperature=1.0, key=i) for i, p in enumerate(exam_tree(3))]
    ended = [result for result in plain.generate(requests) if result.why == "eos"]
    assert ended
    for result in ended:
        assert result.tokens[-1] == tiny_llama.END
        assert tiny_llama.END not in result.tokens[:-1]
        assert result.completion == len(result.tokens)
        assert result.text == plain.text.decode(result.tokens[:-1])


def test_max_tokens_and_the_context_cut_answers(tmp_path: Path) -> None:
    engine = Engine(tiny_llama.write(tmp_path / "m", eos_token_id=None))
    context = engine.config.context
    prompts = [[5] * n for n in (1, context - 10, context - 1)]
    results = engine.generate([Request(prompt, 10) for prompt in prompts])
    assert [(r.why, r.completion) for r in results] == [("length", 10), ("length", 10), ("context", 1)]
    results = engine.generate([Request(prompt, 11) for prompt in prompts])
    assert [(r.why, r.completion) for r in results] == [("length", 11), ("context", 10), ("context", 1)]


def test_requests_that_cannot_be_served_say_why_and_hinder_no_other(plain: Engine) -> None:
    good = Request([0, 5, 7], 6)
    faults = {
        "empty": replace(good, tokens=[]),
        "context of 96": replace(good, tokens=[5] * 96),
        "id 61 is out of range": replace(good, tokens=[0, 61]),
        "id -1 is out of range": replace(good, tokens=[-1]),
        "max_tokens": replace(good, max_tokens=0),
        "temperature": replace(good, temperature=-0.1),
        "temperature is nan": replace(good, temperature=math.nan),
        "top_k": replace(good, top_k=-1),
        "top_p is 0": replace(good, top_p=0.0),
        "top_p is 1.5": replace(good, top_p=1.5),
        "stop string": replace(good, stop=("a", "")),
    }
    results = plain.generate([good, *faults.values(), good])
    for named, result in zip(faults, results[1:-1], strict=True):
        assert result.why == "error"
        assert named in (result.error or "")
        assert (result.text, result.tokens, result.prompt) == ("", (), 0)
    alone = plain.generate([good])[0]
    assert results[0].tokens == results[-1].tokens == alone.tokens
    assert results[-1].cached == 3
    assert plain.generate([]) == []


def test_pairs_that_cannot_be_scored_say_why(plain: Engine) -> None:
    scores = plain.loglikelihood(
        [([5], [6]), ([], [6]), ([5], [99]), ([5] * 90, [6] * 7), ([5], []), ([5], [6])]
    )
    assert [bool(score.error) for score in scores] == [False, True, True, True, False, False]
    assert scores[0].total == scores[-1].total
    assert (scores[0].cached, scores[-1].cached) == (0, 2)  # the same pair: computed once
    assert (scores[4].total, scores[4].tokens) == (0.0, 0)
    assert "context" in (scores[3].error or "")
    assert plain.loglikelihood([]) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_stop_string_cuts_the_text_where_it_first_is(plain: Engine, seed: int) -> None:
    """Stop strings within a token, across tokens, and ending in the space that begins the next token."""
    request = Request([0, 5 + seed, 9], 60, temperature=1.0, key=seed)
    free = plain.generate([request])[0]
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(free.text) - 8, 12)
    stops = [free.text[at : at + int(rng.integers(1, 8))] for at in starts] + [" ", "w", free.text[-4:]]
    asked = [replace(request, stop=(stop, "never said")) for stop in stops]
    for stop, result in zip(stops, plain.generate(asked), strict=True):
        assert result.why == "stop"
        assert result.text == free.text[: free.text.index(stop)]
        assert result.tokens == free.tokens[: len(result.tokens)]
        assert stop in plain.text.decode(result.tokens)
        assert stop not in plain.text.decode(result.tokens[:-1])
        assert result.completion == len(result.tokens)


def test_the_first_of_several_stop_strings_counts(plain: Engine) -> None:
    request = Request([0, 5, 9], 40, temperature=1.0, key=3)
    words = plain.generate([request])[0].text.split(" ")
    later, sooner = f" {words[6]}", f" {words[3]} {words[4]}"
    result = plain.generate([replace(request, stop=(later, sooner))])[0]
    text = " ".join(words)
    assert result.text == text[: min(text.index(later), text.index(sooner))]
    # Both may be complete with one token: the text still ends before the one that begins first.
    both = (f"{words[4][-1]} {words[5]}", f"{words[3]} {words[4]} {words[5]}")
    result = plain.generate([replace(request, stop=both)])[0]
    assert result.text == text[: min(text.index(stop) for stop in both)]


def test_stop_strings_that_a_decoder_completes_between_tokens(tmp_path: Path) -> None:
    """Where the tokenizer's decoder puts the spaces, no token has one."""
    folder = tiny_llama.write(tmp_path / "m")
    words = {f"w{i}": i for i in range(3, 61)} | {"<s>": 0, "<unk>": 1, "end": 2}
    Tokenizer(models.WordLevel(words, unk_token="<unk>")).save(str(folder / "tokenizer.json"))
    engine = Engine(folder)
    request = Request([0, 5, 9], 30, temperature=1.0, key=1)
    first, second = engine.generate([request])[0].text.split(" ")[:2]
    for stop in (f"{first} ", " ", f" {second}"):
        result = engine.generate([replace(request, stop=(stop,))])[0]
        assert (result.text, result.why) == (f"{first} {second}".partition(stop)[0], "stop")
        assert result.completion == 2


def test_logits_that_overflow_are_an_error_and_no_answer(tmp_path: Path) -> None:
    folder = tiny_llama.write(tmp_path / "m", tie_word_embeddings=False)
    stored = load_file(folder / "model.safetensors")
    stored["lm_head.weight"] *= np.float32(1e38)
    save_file(stored, folder / "model.safetensors")
    engine = Engine(folder)
    with np.errstate(all="ignore"):
        with pytest.raises(ModelError, match="infinite logits"):
            engine.generate([Request([5, 6], 3)])
        with pytest.raises(ModelError, match="infinite logits"):
            engine.loglikelihood([([5], [6, 7])])
