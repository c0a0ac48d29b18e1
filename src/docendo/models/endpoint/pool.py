"""What the models of a run share: one door and one set of connections an endpoint.

A transport of the HTTP library with room for many connections looks at each of them whenever a request begins or
ends; with 64 of them that is most of the work of a call. So each transport here has one, and those that are free
lie on a stack.
"""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from docendo.models.endpoint import address as addresses
from docendo.models.endpoint.address import Address
from docendo.models.endpoint.door import Door
from docendo.models.spec import Limits

if TYPE_CHECKING:
    import ssl

    import httpx2


class Connections:
    """Connections to one endpoint; as many as are in use at once."""

    def __init__(self, base: str) -> None:
        self._trusted: ssl.SSLContext = addresses.trust(base)
        self._proxy = _proxy_for(base)
        self._free: list[httpx2.AsyncHTTPTransport] = []
        self._closed = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx2.AsyncHTTPTransport]:
        """A connection for one request, to be used again unless it breaks."""
        transport = self._free.pop() if self._free else self._new()
        try:
            yield transport
        except BaseException:
            await transport.aclose()
            raise
        if self._closed:
            await transport.aclose()
        else:
            self._free.append(transport)

    def _new(self) -> httpx2.AsyncHTTPTransport:
        import httpx2  # only here: models of this machine do without it

        return httpx2.AsyncHTTPTransport(
            verify=self._trusted, limits=httpx2.Limits(max_connections=1), proxy=self._proxy
        )

    async def aclose(self) -> None:
        """Close those that are free; those in use are closed when they come back."""
        self._closed = True
        while self._free:
            await self._free.pop().aclose()


class Endpoints:
    """Doors and connections by address; an async context manager, which closes them."""

    def __init__(self) -> None:
        self._doors: dict[tuple[str, str | None], Door] = {}
        self._connections: dict[str, Connections] = {}

    def door(self, address: Address, limits: Limits) -> Door:
        """The door of an endpoint: of several models' limits the smallest, and the longest patience."""
        key = (address.base, address.secret)
        door = self._doors.get(key)
        if door is None:
            door = self._doors[key] = Door(address.base, limits.concurrency, limits.patience)
        door.most = min(door.most, limits.concurrency)
        door.limit = min(door.limit, float(door.most))
        door.patience = max(door.patience, limits.patience)
        return door

    def connections(self, address: Address) -> Connections:
        """The connections to an endpoint; how many there are at once is the door's business."""
        if address.base not in self._connections:
            self._connections[address.base] = Connections(address.base)
        return self._connections[address.base]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; safe to call twice."""
        for door in self._doors.values():
            door.close()
        every = list(self._connections.values())
        self._connections.clear()
        for connections in every:
            await connections.aclose()


def _proxy_for(base: str) -> str | None:
    """The proxy that the environment names for an address; none on the way to this machine."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
