"""A mock model that answers sums, and misbehaves in every usual way, always the same for the same call.

What it says, and which fault a call meets, are functions of the request (its text and its seed, so its sample too):
however calls are ordered, repeated or interrupted, the replies that come back in the end are the same. So a run
against it can be held against one without faults, or against one that was killed a hundred times.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace

from docendo.models.endpoint.mock import Answer, Request

_SUM = re.compile(r"(\d+) plus (\d+)")


class FaultyModel:
    """A `MockServer` handler that answers "A plus B" (the last in the prompt), right or wrong by the request.

    Of `faults`, each is met by `each` of a thousand calls. Most pass: the call's first request, or its first two,
    meet it, and the next is answered. `asked` counts requests by call, `answered` those that were answered well;
    `met` counts calls by the fault that they met.
    """

    PASSING = (
        "429",
        "429 come back",
        "500",
        "503",
        "stall",
        "stall in the body",
        "reset",
        "reset in the body",
        "truncated json",
        "invalid json",
        "no choices",
    )
    LASTING = ("500 for ever", "400")
    ODD = ("empty content", "two choices", "slow")  # replies all the same
    FAULTS = PASSING + LASTING + ODD

    def __init__(
        self, faults: tuple[str, ...] = FAULTS, *, each: int = 10, stall: float = 9.0, slow: float = 1.0
    ) -> None:
        """`stall` seconds are to be longer than the client's read timeout; `slow` is the delay of the slow tail."""
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self._faults, self._each, self._stall, self._slow = faults, each, stall, slow

    def __call__(self, request: Request) -> Answer:
        """The answer to a request for a chat or a completion."""
        value = request.json
        key = hashlib.sha256(f"{value.get('seed')} {request.text}".encode("utf-8", "surrogatepass")).digest()
        name = key.hex()
        self.asked[name] += 1
        fault = self._fault(key)
        if self.asked[name] == 1 and fault:
            self.met[fault] += 1
        answer = self._answer(fault, self.asked[name], self._say(request, key, fault))
        # A reply that is as it should be; one that is cut or stalls never reaches the client.
        self.answered[name] += answer.status == 200 and answer.cut is None and b'"choices": [{' in answer.body
        return answer

    def _fault(self, key: bytes) -> str | None:
        """Which fault a call meets: the same share for each, and none for most calls."""
        number = int.from_bytes(key[:4], "big") % 1000 // self._each
        return (
            self.FAULTS[number] if number < len(self.FAULTS) and self.FAULTS[number] in self._faults else None
        )

    def _say(self, request: Request, key: bytes, fault: str | None) -> Answer:
        found = _SUM.findall(request.text)
        right = sum(map(int, found[-1])) if found else 0
        said = right if key[5] < 160 else right + 1 + key[6] % 3
        text = (
            "" if fault == "empty content" else f"Counting on in steps of {key[4] % 9 + 1}.\nAnswer: {said}"
        )
        usage = {"prompt_tokens": len(request.text) // 4, "completion_tokens": 9 if text else 0}
        chat = "messages" in request.json
        return Answer.chat(text, usage=usage) if chat else Answer.completion(text, usage=usage)

    def _answer(self, fault: str | None, times: int, good: Answer) -> Answer:
        """What a call's request number `times` gets."""
        if fault == "500 for ever":
            return Answer.error(500, "this one cannot be answered")
        if fault == "400":
            return Answer.error(400, "this prompt is not allowed")
        if fault == "two choices":
            value = json.loads(good.body)
            return replace(good, body=json.dumps(value | {"choices": value["choices"] * 2}).encode())
        if fault == "slow":
            return replace(good, delay=self._slow)
        if fault not in self.PASSING or times > (2 if fault.startswith(("429", "503")) else 1):
            return good
        return {
            "429": Answer.error(429, "slow down"),
            "429 come back": Answer.error(429, "slow down", retry_after="0.05"),
            "500": Answer.error(500, "an accident"),
            "503": Answer.error(503, "overloaded"),
            "stall": replace(good, delay=self._stall),
            "stall in the body": replace(good, cut=20, stall=self._stall),
            "reset": replace(good, cut=0),
            "reset in the body": replace(good, cut=len(good.body) // 2),
            "truncated json": replace(good, body=good.body[:-20]),
            "invalid json": replace(good, body=b"{'choices': [" + good.body),
            "no choices": replace(good, body=b'{"choices": []}'),
        }[fault]
