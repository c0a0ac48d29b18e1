from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.errors import ConfigError
from docendo.models.budget import Budget, Ledger, Spent, any_of, money, not_asked
from docendo.models.gateway import Gateway
from docendo.models.scripted import ScriptedModel
from docendo.models.spec import Prices
from docendo.store import Store
from docendo.types import Call, Reply, Sampling, Usage

PRICES = Prices(prompt=2.0, cached=0.5, completion=8.0)


def call(sample, model="m", batch="", size=1):
    return Call(model, "a b", Sampling(), sample=sample, batch=batch, batch_size=size)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "budget"),
        [
            ("5 USD", Budget(money=5)),
            ("$0.25", Budget(money=0.25)),
            ("2k usd", Budget(money=2000)),
            ("3m calls", Budget(calls=3_000_000)),
            ("2M tokens", Budget(tokens=2_000_000)),
            ("1.5k calls, 30 min", Budget(calls=1500, seconds=1800)),
            ("90s", Budget(seconds=90)),
            ("2 h", Budget(seconds=7200)),
            ("10 eur,1k tok", Budget(money=10, tokens=1000, currency="EUR")),
            ("3€", Budget(money=3, currency="EUR")),
        ],
    )
    def test_reads_what_people_write(self, text, budget):
        assert Budget.parse(text) == budget

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " , ",
            "5",
            "many tokens",
            "-3 calls",
            "0 calls",
            "1 call, 2 calls",
            "5 bananas",
            "5 USD, 3 EUR",
        ],
    )
    def test_refuses_the_rest_by_name(self, text):
        with pytest.raises(ConfigError, match="budget"):
            Budget.parse(text)

    @given(st.integers(1, 10**9), st.integers(1, 10**9))
    def test_whole_numbers_are_kept(self, calls, tokens):
        assert Budget.parse(f"{calls} calls, {tokens} tokens") == Budget(calls=calls, tokens=tokens)


def test_conditions_compose():
    first = any_of(Budget(calls=3), lambda spent: "full moon" if spent.tokens > 10 else None)
    assert first(Spent(calls=2)) is None
    assert first(Spent(calls=2, usage=Usage(11))) == "full moon"
    assert "3 calls" in (first(Spent(calls=3)) or "")


def test_money_counts_cached_tokens_at_their_price():
    assert money(Usage(prompt=1_000_000, cached=400_000, completion=100_000), PRICES) == pytest.approx(
        0.6 * 2 + 0.4 * 0.5 + 0.1 * 8
    )
    assert money(Usage(10, 5, 3), Prices(prompt=1, completion=1)) == pytest.approx(13e-6)
    assert money(Usage(10, 5, 3), None) == 0


def test_currencies_are_not_added_up():
    with pytest.raises(ConfigError, match=r"EUR.*USD"):
        Ledger(prices={"a": PRICES, "b": Prices(prompt=1, completion=1, currency="EUR")})


def test_what_is_in_flight_counts_as_likely_spent():
    ledger = Ledger(Budget(tokens=100))
    ledger.left("m")
    ledger.came("m", Usage(prompt=20, completion=10))
    for _ in range(2):
        assert ledger.may_leave()
        ledger.left("m")
    assert ledger.spent().usage == Usage(60, 0, 30)
    assert ledger.may_leave()
    ledger.left("m")
    assert not ledger.may_leave()
    assert "100 tokens" in (ledger.why or "")


def test_earlier_sessions_count():
    assert not Ledger(Budget(calls=5), before=[("m", 5, Usage(1))]).may_leave()


def ask(models, calls, *, store=None, ledger=None):
    async def work():
        async with Gateway(models, store, ledger) as gateway:
            return await gateway.ask(calls)

    return asyncio.run(work())


@pytest.mark.parametrize("limit", [1, 3])
def test_no_call_leaves_after_the_limit_and_none_in_flight_is_lost(limit):
    model = ScriptedModel("m", lambda c: f"{c.sample}", delay=0.01, limit=limit)
    replies = ask({"m": model}, [call(i) for i in range(12)], ledger=Ledger(Budget(calls=5)))
    assert [r.text for r in replies if not not_asked(r)] == [str(i) for i in range(5)]
    assert len(model.seen) == 5
    assert [not_asked(r) for r in replies] == [False] * 5 + [True] * 7
    assert "5 calls" in replies[-1].error


def test_a_batch_leaves_whole_or_not_at_all():
    model = ScriptedModel("m", lambda c: "x", batched=True)
    calls = [call(i, batch=f"b{i // 4}", size=4) for i in range(12)]
    replies = ask({"m": model}, calls, ledger=Ledger(Budget(calls=5)))
    assert [not_asked(r) for r in replies] == [False] * 8 + [True] * 4


def test_what_was_not_asked_is_asked_another_day(tmp_path):
    with Store.create(tmp_path / "run", kind="solve", config={}, seed=0) as store:
        first = ScriptedModel("m", lambda c: f"{c.sample}")
        ask({"m": first}, [call(i) for i in range(6)], store=store, ledger=Ledger(Budget(calls=4)))
        second = ScriptedModel("m", lambda c: f"{c.sample}")
        replies = ask({"m": second}, [call(i) for i in range(6)], store=store)
        assert [r.text for r in replies] == [str(i) for i in range(6)]
        assert [c.sample for c in second.seen] == [4, 5]
        assert not list(store.errors())


def test_recorded_replies_are_free(tmp_path):
    with Store.create(tmp_path / "run", kind="solve", config={}, seed=0) as store:
        ask({"m": ScriptedModel("m", lambda c: "x")}, [call(i) for i in range(4)], store=store)
        model = ScriptedModel("m", lambda c: "y")
        replies = ask({"m": model}, [call(i) for i in range(6)], store=store, ledger=Ledger(Budget(calls=1)))
        assert [r.text for r in replies] == ["x", "x", "x", "x", "y", ""]


def test_failed_calls_are_paid_for_too():
    failing = ScriptedModel("m", lambda c: Reply("", "error", Usage(prompt=50), error="no"), limit=1)
    replies = ask({"m": failing}, [call(i) for i in range(6)], ledger=Ledger(Budget(tokens=100)))
    assert [not_asked(r) for r in replies] == [False, False, True, True, True, True]
