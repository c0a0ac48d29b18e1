"""A server to test against, on this machine: it says what a function says, and can misbehave in every usual way.

    with MockServer(lambda request: Answer.chat("4")) as server:
        docendo.solve(..., teacher="openai:mock", ...)  # with base_url = server.url

It runs in a thread of its own, or (`python -m docendo.models.endpoint.mock`) in a process of its own. It speaks just
enough HTTP/1.1 for clients that send whole requests with a length; it is no server for anybody else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from types import TracebackType
from typing import Any, Self

_LONG = 120.0  # seconds: the server's thread does what it is told at once, unless the machine is far too busy
_WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 500: "Server Error"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent: method, path with query, headers (names in lower case), body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The prompt: of a completion, or the messages' contents in lines."""
        value = self.json
        if "messages" in value:
            return "\n".join(str(message["content"]) for message in value["messages"])
        return str(value.get("prompt", ""))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does: send `body` after `delay` seconds.

    Where `cut` is a number, only so many bytes of the body are sent of those that the headers promise; then the
    connection is reset, or, where `stall` is given, nothing happens for so many seconds before it is.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None
    stall: float = 0.0

    @classmethod
    def chat(cls, text: str | None, *, finish: str = "stop", usage: Any = None, **message: Any) -> Answer:
        """A chat completion with one choice; `message` has further fields of it."""
        said = {"role": "assistant", "content": text, **message}
        choice = {"index": 0, "message": said, "finish_reason": finish}
        value = {
            "id": "mock",
            "object": "chat.completion",
            "created": 0,
            "model": "mock",
            "choices": [choice],
        }
        return cls(body=json.dumps(value if usage is None else value | {"usage": usage}).encode())

    @classmethod
    def completion(
        cls, text: str, *, finish: str = "stop", usage: Any = None, logprobs: Any = None
    ) -> Answer:
        """A text completion with one choice."""
        choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish}
        value = {
            "id": "mock",
            "object": "text_completion",
            "created": 0,
            "model": "mock",
            "choices": [choice],
        }
        return cls(body=json.dumps(value if usage is None else value | {"usage": usage}).encode())

    @classmethod
    def echo(cls, tokens: Sequence[str], logs: Sequence[float | None], *, usage: Any = None) -> Answer:
        """A text completion that shows what was read and drawn, with log-probabilities, as for `echo` and `logprobs`.

        A prompt's first token has None.
        """
        told = {
            "tokens": list(tokens),
            "token_logprobs": list(logs),
            "text_offset": list(accumulate(map(len, tokens[:-1]), initial=0)),
        }
        return cls.completion("".join(tokens), finish="length", usage=usage, logprobs=told)

    @classmethod
    def error(cls, status: int, message: str, **headers: str) -> Answer:
        """An error as OpenAI's API words it; `retry_after` stands for `retry-after`, and so on."""
        body = json.dumps({"error": {"message": message, "type": "mock", "param": None, "code": None}})
        return cls(status, body.encode(), {name.replace("_", "-"): value for name, value in headers.items()})

    def head(self) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} {_WORDS.get(self.status, 'Status')}"]
        headers = {"content-type": "application/json", "content-length": str(len(self.body)), **self.headers}
        return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items()), "\r\n"]).encode("latin-1")


Handler = Callable[[Request], Answer | Awaitable[Answer]]


class _Connection(asyncio.Protocol):
    """One client's connection: its requests are answered one after another."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._data = b""
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._work is not None:
            self._work.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._work is None and (request := self._next()) is not None:
            self._serve(request)

    def _next(self) -> Request | None:
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._data = rest[length:]
        method, path, _ = first.split(" ", 2)
        return Request(method, path, headers, rest[:length])

    def _serve(self, request: Request) -> None:
        said = self._handler(request)
        if isinstance(said, Answer) and not said.delay and said.cut is None:
            self._transport.write(said.head() + said.body)  # the common case, without a task
        else:
            self._work = asyncio.create_task(self._perform(said))

    async def _perform(self, said: Answer | Awaitable[Answer]) -> None:
        answer = said if isinstance(said, Answer) else await said
        await asyncio.sleep(answer.delay)
        if answer.cut is None:
            self._transport.write(answer.head() + answer.body)
        else:
            self._transport.write(answer.head() + answer.body[: answer.cut])
            await asyncio.sleep(answer.stall or 0.01)  # or what was written may be lost with the reset
            self._transport.abort()
        self._work = None
        if not self._transport.is_closing() and (request := self._next()) is not None:
            self._serve(request)


class MockServer:
    """A server whose answer to a request is `handler(request)`; a context manager, listening on 127.0.0.1.

    The handler runs on the server's thread; it may be a coroutine function.
    """

    def __init__(self, handler: Handler, port: int = 0) -> None:
        """Listen on `port`, or a free one where it is 0."""
        self._handler = handler
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mock server", daemon=True)
        self._thread.start()
        self.port = port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        try:
            self.start()
        except BaseException:
            self._stop_loop()
            raise

    @property
    def url(self) -> str:
        """What to give as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Listen, again where it was stopped, on the same port."""
        self._do(self._listen())

    def stop(self) -> None:
        """Stop listening and cut every connection: the server is down until `start`."""
        self._do(self._cut())

    def close(self) -> None:
        """Stop for good; safe to call twice."""
        if self._thread.is_alive():
            self.stop()
            self._stop_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _listen(self) -> None:
        def connection() -> _Connection:
            made = _Connection(self._handler)
            self._connections.add(made)
            return made

        self._server = await self._loop.create_server(connection, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in self._connections:
            with contextlib.suppress(AttributeError):  # not connected yet
                connection._transport.abort()
        self._connections.clear()
        await asyncio.sleep(0)

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_LONG)

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LONG)
        self._loop.close()


def main() -> None:
    """Serve one fixed reply to everything until interrupted, and say where."""
    parser = argparse.ArgumentParser(description="A server that gives every call the same reply.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--text", default="Answer: 4")
    given = parser.parse_args()
    usage = {"prompt_tokens": 10, "completion_tokens": 3}
    chat, text = (make(given.text, usage=usage) for make in (Answer.chat, Answer.completion))
    with MockServer(
        lambda request: chat if request.path.endswith("/chat/completions") else text, given.port
    ) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
