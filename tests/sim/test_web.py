"""The world's web."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from mailhub.ports.web import FetchFailed, Web
from mailhub.sim.web import Pages, SimWeb
from mailhub.sim.wire import Link
from mailhub.sim.world import World


class Surfing:
    """A host that asks for pages."""

    def __init__(self) -> None:
        self.world = World(1)
        self.pages = Pages()
        host = self.world.host("asks.example", link=Link(0.01))
        self.web: Web = SimWeb(host, self.pages)

    def ask(self, question: Coroutine[Any, Any, Any]) -> Any:
        results: list[Any] = []
        Deferred.fromCoroutine(question).addBoth(results.append)
        assert results == [], "it takes its time"
        self.world.run(1)
        return getattr(results[0], "value", results[0])


def test_pages() -> None:
    """A page that is there is given, one that is not fails."""
    surfing = Surfing()
    surfing.pages.put("a.example", "/x", b"hello")
    assert surfing.ask(surfing.web.get("a.example", "/x", 100)) == b"hello"
    for host, path, limit in (
        ("a.example", "/y", 9),
        ("b.example", "/x", 9),
        ("a.example", "/x", 2),
    ):
        assert isinstance(surfing.ask(surfing.web.get(host, path, limit)), FetchFailed)


def test_failures() -> None:
    """A page may fail in a way of its own."""
    surfing = Surfing()
    surfing.pages.put("a.example", "/x", FetchFailed("expired", untrusted=True))
    found = surfing.ask(surfing.web.get("a.example", "/x", 100))
    assert isinstance(found, FetchFailed)
    assert found.untrusted


def test_handing_over() -> None:
    """What is handed over is kept."""
    surfing = Surfing()
    surfing.pages.put("a.example", "/in", b"")
    surfing.ask(surfing.web.post("a.example", "/in", "text/plain", b"report"))
    assert surfing.pages.posted == [("a.example", "/in", "text/plain", b"report")]
    assert isinstance(surfing.ask(surfing.web.post("b.example", "/", "x", b"")), FetchFailed)
