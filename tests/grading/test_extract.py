"""Which program a text holds: blocks, prose, bare bodies, imports; and values on their way between processes."""

from __future__ import annotations

import ast
import contextlib
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.grading.sandbox.inside import wire
from docendo.grading.sandbox.inside.extract import find_program

F = "def f(n):\n    return n + 1"
STARTER = 'from typing import List\n\n\ndef f(n: int) -> List[int]:\n    """Do it.\n    >>> f(1)\n    [1]\n    """\n'
METHOD = "class Solution:\n    def f(self, nums: List[int]) -> int:\n        "


def found(text: str, entry_point: str | None = "f", starter: str = "") -> str:
    program = find_program(text, entry_point, starter)
    assert program is not None, text
    ast.parse(program.source)
    return program.source


@pytest.mark.parametrize(
    "text",
    [
        F,
        f"```python\n{F}\n```",
        f"Sure! Here it is:\n\n```python\n{F}\n```\n\nIt adds one. I hope this helps!",
        f"```\n{F}\n```",
        f"~~~py\n{F}\n~~~",
        f"1. Think.\n   ```python\n{chr(10).join('   ' + line for line in F.split(chr(10)))}\n   ```",
        f"```python\n{F}```",
        f"```Python\n{F}\n",
        f"Here is the function:\n{F}\nThat is all there is to it.",
        f"First some thoughts: from what we know, import nothing.\n\n{F}\n",
        f"Working: add one.\nAnswer: {F}",
        f"Run it with\n```bash\npip install x\n```\nafter\n```python\n{F}\n```\nIt prints\n```text\n2\n```",
    ],
)
def test_a_function_is_found_in_all_its_disguises(text: str) -> None:
    assert found(text).strip() == F


def test_of_several_the_last_that_defines_it_counts() -> None:
    draft = "def f(n):\n    return n"
    usage = "print(f(1))"
    assert (
        found(
            f"```python\n{draft}\n```\nNo, wait:\n```python\n{F}\n```\nUse it:\n```python\n{usage}\n```"
        ).strip()
        == F
    )


def test_what_it_needs_is_taken_from_earlier_blocks() -> None:
    text = "```python\ndef g(n):\n    return 1\n```\nthen\n```python\ndef f(n):\n    return n + g(n)\n```"
    space: dict[str, Any] = {}
    exec(found(text), space)  # written here, not by a model
    assert space["f"](1) == 2


@pytest.mark.parametrize(
    "body",
    [
        "    return [n]",
        "return [n]",
        "    x = n\n    return [x]\n\nThis gives a list with n.",
        "x = n\n    return [x]",
        "```python\n    return [n]\n```",
        "    return [n]\n\n\nif __name__ == '__main__':\n    print(f(1))",
    ],
)
def test_a_bare_body_goes_on_from_the_starter(body: str) -> None:
    space: dict[str, Any] = {"__name__": "program"}
    exec(found(body, starter=STARTER), space)
    assert space["f"](1) == [1]


def test_a_method_of_solution_and_its_body() -> None:
    whole = "class Solution:\n    def f(self, nums: List[int]) -> int:\n        return len(nums)"
    for text in (f"```python\n{whole}\n```", "return len(nums)", "        return len(nums)"):
        space: dict[str, Any] = {}
        exec(found(text, "Solution().f", METHOD), space)
        assert space["Solution"]().f([1, 2]) == 2


def test_forgotten_imports_are_put_before_it_and_nothing_is_taken_away() -> None:
    body = "def f(xs: List[int]) -> Dict[int, int]:\n    heapq.heapify(xs)\n    return Counter(xs), math.inf"
    source = found(f"```python\n{body}\n```")
    assert source.rstrip().endswith(body)
    for line in (
        "import heapq",
        "import math",
        "from typing import Dict, List",
        "from collections import Counter",
    ):
        assert line in source
    future = "from __future__ import annotations\n\n" + body
    assert found(future).startswith("from __future__ import annotations\n")


def test_the_words_of_a_program_survive() -> None:
    program = 'def f(n):\n    """```text\n    Answer: assert\n    ```"""\n    return "Answer: ```"'
    assert found(program).strip() == program


@pytest.mark.parametrize(
    "text", ["", "No.", "```python\n```", "def g(n): return n", "f = ", "```python\ndef f(\n```", "f(1)"]
)
def test_where_there_is_none_none_is_found(text: str) -> None:
    assert find_program(text, "f") is None


def test_a_cut_block_is_not_complete() -> None:
    for text, complete in ((f"```python\n{F}\n```\nand", True), (f"```python\n{F}", False), (F, False)):
        program = find_program(text, "f")
        assert program is not None
        assert program.complete is complete


@given(st.text(alphabet="`~pydef :()\n\t#\"'\\fx=1+-[{", max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    program = find_program(text, "f", STARTER)
    if program is not None:
        ast.parse(program.source)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.frozensets(st.integers() | st.text())
        | st.sets(st.tuples(st.integers(), st.text()))
    ),
    max_leaves=30,
)


@given(PLAIN)
def test_plain_data_come_out_as_they_went_in(value: Any) -> None:
    back = wire.unpack(wire.pack(value))
    assert back == value
    assert type(back) is type(value)


@given(st.binary(max_size=200))
def test_any_bytes_give_plain_data_or_an_error(data: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.unpack(data)


@given(PLAIN, st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_gives_plain_data_or_an_error(value: Any, at: int, byte: int) -> None:
    packed = bytearray(wire.pack(value))
    packed[at % len(packed)] = byte
    with contextlib.suppress(wire.WireError):
        wire.unpack(bytes(packed))


@pytest.mark.parametrize("text", ["1e999999999", "0.5", "1_0/2"])
def test_a_fraction_is_two_whole_numbers_and_is_never_worked_out_from_less(text: str) -> None:
    assert wire.unpack(wire.pack(Fraction(-1, 2))) == Fraction(-1, 2)
    with pytest.raises(wire.WireError, match="fraction"):
        wire.unpack(wire._piece(b"w", f"Fraction {text}".encode()))


def test_what_is_shared_stays_shared() -> None:
    inner: list[int] = [1]
    a, (b,), c = wire.unpack(wire.pack([inner, (inner,), {"x": inner}]))
    assert a is b
    assert a is c["x"]


def test_what_is_no_plain_data_is_refused_or_kept() -> None:
    with pytest.raises(wire.WireError, match="function"):
        wire.pack([test_what_is_shared_stays_shared])
    kept: list[Any] = []
    packed = wire.pack([print], lambda value: kept.append(value) or 0)  # type: ignore[func-returns-value]
    assert kept == [print]
    assert wire.unpack(packed)[0].number == 0
    assert math.isnan(wire.unpack(wire.pack(math.nan)))
