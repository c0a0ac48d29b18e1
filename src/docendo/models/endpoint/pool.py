"""What the models of a run share: one door and one HTTP client an endpoint."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from docendo.models.endpoint import address as addresses
from docendo.models.endpoint.address import Address
from docendo.models.endpoint.door import Door
from docendo.models.spec import Limits

if TYPE_CHECKING:
    import httpx2


class Endpoints:
    """Doors and connections by address; an async context manager, which closes them."""

    def __init__(self) -> None:
        self._doors: dict[tuple[str, str | None], Door] = {}
        self._clients: dict[str, httpx2.AsyncClient] = {}

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

    def client(self, address: Address) -> httpx2.AsyncClient:
        """The client for an endpoint; how many requests it has at once is the door's business."""
        import httpx2  # only here: models of this machine do without it

        if address.base not in self._clients:
            self._clients[address.base] = httpx2.AsyncClient(
                verify=addresses.trust(address.base),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
                timeout=None,
                trust_env=not _is_here(address.base),  # a proxy is of no use on the way to this machine
            )
        return self._clients[address.base]

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
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.aclose()


def _is_here(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
