"""The backend for endpoints: pulls calls, sends each until it is answered or given up, and yields the replies.

Its own retries govern: what a failure means is said by `faults`, how many calls are in flight by the `door`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from docendo.errors import ConfigError, ModelError
from docendo.models.base import Capabilities
from docendo.models.endpoint import faults, likelihood, wire
from docendo.models.endpoint.address import Address, address_of, identity
from docendo.models.endpoint.door import Door, Ticket
from docendo.models.endpoint.faults import Fault
from docendo.models.endpoint.likelihood import Told
from docendo.models.endpoint.pool import Endpoints
from docendo.models.endpoint.rate import Rate
from docendo.models.spec import ModelSpec
from docendo.types import Call, Prompt, Reply, Sampling

if TYPE_CHECKING:
    import httpx2

WAITING = 1024
"""Calls that may wait to be sent again, besides those in flight, before no more are pulled."""

_BACKOFF = (0.5, 60.0)  # seconds: the mean of the first wait, and the longest
_ALL_REFUSED = 16  # calls refused in the same words, none answered: a setting is wrong, not a prompt
_ALL_PAGES = 12  # web pages in place of answers, none answered: the address is wrong
_PAUSE = 60.0  # longest pause for what only the headers of an answer say
_LETTERS_A_TOKEN = 4  # an estimate before the server's own count
_LONGEST = (
    64 * 2**20
)  # bytes of a response's body, unpacked: far more than any reply, far less than the memory
_UNKNOWN = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|not allowed|only the default",
    re.IGNORECASE,
)


# Where requests go, their headers, and their timeouts, in the forms that the HTTP library takes without a copy.
_To = tuple["httpx2.URL", list[tuple[bytes, bytes]], dict[str, float | None]]


class EndpointModel:
    """A model behind an OpenAI-compatible endpoint. Make one with `open`.

    `notes` collects what a user should know of how the model is asked (a field that its server refuses), for
    whoever takes them out.
    """

    def __init__(
        self,
        spec: ModelSpec,
        name: str,
        address: Address,
        endpoints: Endpoints,
        own: bool,
    ) -> None:
        self.notes: deque[str] = deque()
        self._spec, self._name, self._address = spec, name, address
        self._endpoints, self._own = endpoints, own
        self._door: Door = endpoints.door(address, spec.limits)
        self._chat = spec.mode != "completion"
        self._url = address.url("chat/completions" if self._chat else "completions")
        self._requests = Rate(spec.limits.requests_per_minute)
        self._tokens = Rate(spec.limits.tokens_per_minute)
        self._dropped: tuple[str, ...] = ()
        self._answered = self._told = self._uncounted = False
        self._pages = 0
        self._refusals: dict[str, set[str]] = {}
        self._to: _To | None = None
        self._jitter = random.Random(name)

    @classmethod
    def open(
        cls, spec: ModelSpec, name: str | None = None, endpoints: Endpoints | None = None
    ) -> EndpointModel:
        """Stand the model of a specification behind a name; nothing is sent yet.

        Args:
            spec: an `openai:` or `azure:` model.
            name: by which calls address it; the specification's label where None.
            endpoints: shared with the run's other models, and closed by its owner; the model's own where None.

        Raises:
            ConfigError: no address or key, or a field that cannot be sent.
        """
        for field in ("stream", "n", "messages", "prompt"):
            if field in spec.body:
                raise ConfigError(
                    f"model {spec.label!r}: {field!r} cannot be among the extra fields of its requests; remove it"
                )
        return cls(
            spec, name or spec.label, address_of(spec), endpoints or Endpoints(), own=endpoints is None
        )

    @property
    def name(self) -> str:
        """The name by which calls address this model."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do; the digest is of what decides a request's meaning, besides the call."""
        return Capabilities(
            chat=self._chat,
            completion=not self._chat,
            loglikelihood=not self._chat,
            continuations=not self._chat,
            continue_partial="continue_final_message" not in self._dropped,
            parameters=self._spec.parameters,
            context=self._spec.context,
            digest=identity(self._spec),
        )

    @property
    def place(self) -> str:
        """Its endpoint's address, without secrets."""
        return self._address.shown

    def check(self, text: str) -> None:
        """Any text can be sent."""

    def trouble(self) -> str | None:
        """Why no replies come at the moment, in words; None where all is well. Any thread may ask."""
        return self._door.trouble(time.monotonic())  # which is also the event loop's clock

    async def aclose(self) -> None:
        """Close the connections, where they are not shared."""
        if self._own:
            await self._endpoints.aclose()

    # --- many calls ---------------------------------------------------------------------------------------

    async def run(self, calls: AsyncIterator[Call]) -> AsyncIterator[tuple[Call, Reply]]:
        """Pull calls and yield each with its reply; see `Model.run`.

        Raises:
            ModelError: the key or the model is refused, or the endpoint has been down for longer than patience.
                Before it is raised, requests that are on their way come back and are yielded.
        """
        finished: asyncio.Queue[tuple[Call, Reply] | None] = asyncio.Queue()
        pulling = asyncio.create_task(self._pull(calls, finished), name=f"calls for {self._name}")
        try:
            while (pair := await finished.get()) is not None:
                yield pair
            await pulling
        finally:
            pulling.cancel()
            with contextlib.suppress(asyncio.CancelledError, ModelError):
                await pulling

    async def _pull(
        self, calls: AsyncIterator[Call], finished: asyncio.Queue[tuple[Call, Reply] | None]
    ) -> None:
        """Put every call's reply on `finished`, and None at the end, whatever the end is."""
        room = asyncio.Semaphore(self._spec.limits.concurrency + WAITING)
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        flying: set[asyncio.Task[None]] = set()

        async def answer(call: Call, ticket: Ticket) -> None:
            try:
                finished.put_nowait((call, await self._answer(call, ticket, broken)))
            except Exception as error:
                if not broken.done():
                    broken.set_exception(error)
            finally:
                room.release()

        async def pull() -> None:
            async for call in calls:
                await room.acquire()
                await self._requests.take(1)
                await self._tokens.take(_tokens_of(call))
                # A slot is taken with a call in hand: one that is held for a call to come may be another model's.
                task = asyncio.create_task(answer(call, await self._door.enter()))
                flying.add(task)
                task.add_done_callback(flying.discard)
            while flying:
                await asyncio.wait(flying)

        pulled = asyncio.create_task(pull())
        try:
            await asyncio.wait([pulled, broken], return_when=asyncio.FIRST_COMPLETED)
            if pulled.done() and (error := pulled.exception()) is not None and not broken.done():
                broken.set_exception(error)
            if broken.done():
                pulled.cancel()
                while flying:  # what is on its way was paid for
                    await asyncio.wait(flying)
                broken.result()
        finally:
            for task in (pulled, *flying):
                task.cancel()
            await asyncio.gather(pulled, *flying, return_exceptions=True)
            if not broken.done():
                broken.cancel()
            elif not broken.cancelled():
                broken.exception()
            finished.put_nowait(None)

    async def loglikelihood(self, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[float, int]]:
        """How likely each continuation is after its prompt; see `TellsLikelihood`.

        Raises:
            ModelError: the model is spoken to in chats, or its server does not tell; the message says what would.
        """
        found: dict[str, Reply] = {}
        asked = [
            Call(self._name, prompt, Sampling(), purpose="likelihood", continuation=text)
            for prompt, text in pairs
        ]

        async def stream() -> AsyncIterator[Call]:
            for call in asked:
                yield call

        async for call, reply in self.run(stream()):
            found[call.request] = reply
        told = []
        for i, call in enumerate(asked):
            reply = found[call.request]
            if not isinstance(reply, Told):
                why = (reply.error or "").removeprefix(f"{self._name}: ")
                raise ModelError(f"{self._name}: pair {i}: {why}")
            told.append((float(reply.text), reply.tokens))
        return told

    # --- one call -----------------------------------------------------------------------------------------

    async def _answer(self, call: Call, ticket: Ticket, broken: asyncio.Future[None]) -> Reply:
        """Send a call, again where that may help, until there is a reply or it is given up."""
        if not self._chat and not isinstance(call.prompt, str):
            self._door.give_back(ticket)
            why = f"{self._name}: completes texts and cannot chat; set its mode to chat, or give it prompts of one text"
            return Reply("", "error", error=why, lasting=True)
        if self._chat and call.continuation is not None:
            self._door.give_back(ticket)
            why = f"{self._name}: tells log-likelihoods only of texts that it completes; set its mode to completion"
            return Reply("", "error", error=why, lasting=True)
        limits, clock = self._spec.limits, asyncio.get_running_loop().time
        tried, counted, lost, spent = 0, 0, 0, 0.0
        while True:
            began, dropped = clock(), self._dropped
            outcome = await self._attempt(call, ticket)
            tried, spent = tried + 1, spent + clock() - began
            if isinstance(outcome, Reply):
                return replace(outcome, given_up=lost) if lost else outcome
            lost += outcome.may_cost
            if not self._drop(outcome, dropped):  # else it is another request, and leaves at once
                if outcome.kind in ("fatal", "lasting"):
                    return replace(self._refused(outcome, call), given_up=lost)
                # Being asked to wait, or finding nobody there, is no failure of this call: patience bounds both.
                counted += outcome.kind not in ("rate", "down")
                wait = self._wait(outcome, tried)
                if counted >= limits.attempts or spent + wait > limits.patience:
                    self._check_wait(outcome)
                    why = f"{self._name}: gave up after {tried} attempts in {spent:.0f} s: {outcome.message}"
                    return Reply("", "error", error=why, given_up=lost)
                await asyncio.wait([broken], timeout=wait)
                spent += wait
            await self._requests.take(1)  # the server counts what it refuses, too
            ticket = await self._door.enter(again=True)
            if broken.done():
                self._door.give_back(ticket)
                raise ModelError(f"{self._name} stopped working")  # broken says why

    async def _attempt(self, call: Call, ticket: Ticket) -> Reply | Fault:
        """Send one request; a reply, or why there is none. Gives the ticket back."""
        try:
            outcome = await self._send(call)
        except BaseException:
            self._door.give_back(ticket)
            raise
        self._door.leave(ticket, outcome if isinstance(outcome, Fault) else None, call.request)
        return outcome

    async def _send(self, call: Call) -> Reply | Fault:
        import httpx2

        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(
                self._spec.limits.patience
            ):  # a server may send a byte now and then for ever
                status, headers, body = await self._exchange(call)
        except _TooLongError as error:
            return Fault("passing", str(error), may_cost=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
            fault = faults.of_exception(error)
            return replace(fault, message=self._address.hidden(fault.message))
        if status != 200:
            fault = faults.of_response(status, headers, body)
            if call.continuation is not None and not self._told:
                fault = likelihood.refused(fault)
            return replace(fault, message=self._address.hidden(fault.message))
        if "ratelimit" in "".join(headers):  # few servers have them, and looking for each takes its time
            self._door.pause(min(faults.pause_of(headers) or 0.0, _PAUSE))
        seconds = asyncio.get_running_loop().time() - began
        if call.continuation is None:
            outcome = wire.reply(body, call, seconds)
            if isinstance(outcome, Fault) and not self._answered and body.lstrip()[:1] == b"<":
                outcome = self._page(outcome)
        else:
            outcome = likelihood.told(body, call, seconds, self._told)
            self._told = self._told or isinstance(outcome, Told)
        if isinstance(outcome, Fault):
            lost = outcome.status is None and body.lstrip()[:1] != b"<"  # an answer, which cannot be read
            return replace(outcome, message=self._address.hidden(outcome.message), may_cost=lost)
        if outcome.stop != "error":
            self._answered = True
            used = outcome.usage.prompt - outcome.usage.cached + outcome.usage.completion
            if not (used or outcome.usage.cached or self._uncounted):
                self._uncounted = True
                self.notes.append(
                    f"{self._name}: the server counts no tokens, so 0 are counted here, and no budget of tokens or "
                    "money can hold; limit calls or time"
                )
            if used:
                self._tokens.give_back(_tokens_of(call) - used)
        return outcome

    async def _exchange(self, call: Call) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the response to a call."""
        import httpx2

        if self._to is None:
            limits = self._spec.limits
            timeouts = {"connect": limits.connect_timeout, "read": limits.read_timeout}
            raw = [(k.encode("ascii"), v.encode("utf-8")) for k, v in self._address.headers.items()]
            self._to = httpx2.URL(self._url), raw, {**timeouts, "write": limits.read_timeout, "pool": None}
        url, headers, timeout = self._to
        extra = dict[str, object](self._spec.body)
        if call.continuation is not None:
            call, extra = likelihood.as_sent(call), extra | likelihood.FIELDS
        body = wire.request(call, self._address.model, chat=self._chat, dropped=self._dropped, extra=extra)
        request = httpx2.Request("POST", url, headers=headers, content=body, extensions={"timeout": timeout})
        async with self._endpoints.connections(self._address).one() as connection:
            response = await connection.handle_async_request(request)
            try:
                return response.status_code, response.headers, await _body_of(response)
            finally:
                await response.aclose()

    # --- what failures lead to ----------------------------------------------------------------------------

    def _wait(self, fault: Fault, tried: int) -> float:
        """Seconds until a call is sent again: what the server asks for, else doubling, either way spread out."""
        doubling = min(_BACKOFF[0] * 2 ** min(tried - 1, 30), _BACKOFF[1]) * self._jitter.uniform(0.5, 1.5)
        return doubling if fault.wait is None else fault.wait * self._jitter.uniform(1.0, 1.1)

    def _check_wait(self, fault: Fault) -> None:
        """A server that asks for a longer wait than there is patience is not this one call's fault."""
        patience = self._spec.limits.patience
        if fault.kind in ("rate", "busy") and fault.wait is not None and fault.wait > patience:
            failure = ModelError(
                f"{self._name}: {self._door.name} asks to wait {fault.wait:,.0f} s, longer than limits.patience "
                f"({patience:,.0f} s): {fault.message}. Go on with the run later"
            )
            self._door.fail(failure)
            raise failure

    def _drop(self, fault: Fault, dropped: tuple[str, ...]) -> bool:
        """Leave out the field that the server does not know, from now on; whether that is worth another request."""
        if fault.kind != "lasting" or fault.status not in (400, 422):
            return False
        if self._dropped != dropped:
            return True  # another call learned of it meanwhile
        field = self._field_of(fault)
        if field is None or field in self._dropped:
            return False
        self._dropped += (field,)
        if field == wire.TOKENS:
            return True
        done = "differs from what was asked for" if field != "seed" else "cannot be repeated"
        self.notes.append(
            f"{self._name} is asked without {field!r}, which {self._door.name} refuses; what is sampled {done}. "
            f"The server said: {fault.message}"
        )
        return True

    def _field_of(self, fault: Fault) -> str | None:
        known = [name for name in wire.SPARE if name not in self._spec.body]
        if wire.TOKENS not in self._spec.body and wire.TOKENS_NOW in fault.message:
            return wire.TOKENS
        if not _UNKNOWN.search(fault.message):
            return None
        if fault.field in known:
            return fault.field
        named = (name for name in known if re.search(rf"(?<!\w){name}(?!\w)", fault.message))
        return next(named, None)

    def _refused(self, fault: Fault, call: Call) -> Reply:
        """What a call that will not be answered leaves; stops the model where none would be."""
        if fault.kind == "fatal":
            raise ModelError(self._advice(fault))
        if not self._answered:
            same = self._refusals.setdefault(fault.message, set())
            same.add(call.request)
            if len(same) >= _ALL_REFUSED:
                raise ModelError(
                    f"{self._name}: {self._door.name} has answered none of {len(same)} different requests and always "
                    f"says: {fault.message}. Change the setting that it names for this model, and make a new run"
                )
        # Before the first answer the fault may be anybody's, so such calls are asked again on a resume.
        return Reply("", "error", error=f"{self._name}: {fault.message}", lasting=self._answered)

    def _page(self, fault: Fault) -> Fault:
        """Of a web page in place of an answer: a router may send one now and then, but not each time from the start."""
        self._pages += 1
        if self._pages < _ALL_PAGES:
            return fault
        return replace(
            fault, kind="fatal", message=f"{fault.message}. Check base_url, which mostly ends in /v1"
        )

    def _advice(self, fault: Fault) -> str:
        address, status = self._address, fault.status
        if status == 401 or (status == 403 and address.secret is None):
            what = "refuses the key in" if address.secret else "wants a key; put one into"
            todo = f"{what} {address.key_env}"
        elif status == 403:
            todo = f"does not let the key in {address.key_env} use this model"
        elif status in (402, 429):
            todo = f"has no credit left for the key in {address.key_env}"
        elif status is not None:
            todo = (
                f"has no model {address.model!r}, or is not spoken to at {self._url}: check the model's name and "
                "base_url (which ends in /v1 for most servers)"
            )
        else:
            return f"{self._name}: {self._door.name}: {fault.message}"
        return f"{self._name}: {self._door.name} {todo}. It said: {fault.message}"


class _TooLongError(Exception):
    """A body that is not read to its end."""


async def _body_of(response: httpx2.Response) -> bytes:
    """The body, unless a server that is broken or hostile sends without end."""
    parts: list[bytes] = []
    length = 0
    async with contextlib.aclosing(response.aiter_bytes()) as body:
        async for part in body:
            parts.append(part)
            length += len(part)
            if length > _LONGEST:
                limit = f"longer than {_LONGEST >> 20} MiB and was not read to its end"
                raise _TooLongError(f"the response is {limit}")
    return b"".join(parts)


def _tokens_of(call: Call) -> float:
    """About how many tokens a call is counted as before it is answered."""
    prompt = call.prompt if isinstance(call.prompt, str) else "".join(text for _, text in call.prompt)
    if call.continuation is not None:
        return (len(prompt) + len(call.continuation)) / _LETTERS_A_TOKEN + 1
    return len(prompt) / _LETTERS_A_TOKEN + call.sampling.max_tokens
