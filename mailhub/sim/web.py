"""The world's web: pages that hosts serve over HTTPS, for a hub that asks for them.

What stands behind a page, its server and its certificate, is not played: a page is there,
or fails as it is told to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.task import deferLater

from mailhub.ports.web import FetchFailed
from mailhub.sim.clock import Ground

if TYPE_CHECKING:
    from mailhub.sim.network import Host


class Pages(Ground):
    """All pages of a world.

    Attributes:
        posted: What was handed over, in order: host, path, media type, octets.
    """

    def __init__(self) -> None:
        self._pages: dict[tuple[str, str], bytes | FetchFailed] = {}
        self.posted: list[tuple[str, str, str, bytes]] = []

    def put(self, host: str, path: str, page: bytes | FetchFailed) -> None:
        """Let a page be there; or the failure that comes in its place."""
        self._pages[host, path] = page

    def find(self, host: str, path: str) -> bytes:
        """A page.

        Raises:
            FetchFailed: There is none.
        """
        found = self._pages.get((host, path))
        if found is None:
            raise FetchFailed("404 Not Found")
        if isinstance(found, FetchFailed):
            raise FetchFailed(*found.args, untrusted=found.untrusted)
        return found


class SimWeb:
    """A `ports.web.Web` for one host."""

    def __init__(self, host: Host, pages: Pages) -> None:
        self._host = host
        self._pages = pages

    async def get(self, host: str, path: str, limit: int) -> bytes:
        """See `ports.web.Web`, here and below."""
        await self._round_trips()
        page = self._pages.find(host, path)
        if len(page) > limit:
            raise FetchFailed(f"more than {limit} octets")
        return page

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        await self._round_trips()
        self._pages.find(host, path)
        self._pages.posted.append((host, path, kind, octets))

    async def _round_trips(self) -> None:
        """TCP, TLS and a request take three."""
        await deferLater(self._host.reactor, 6 * self._host.link.latency)
