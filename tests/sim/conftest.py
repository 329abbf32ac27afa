"""Every world that a test makes ends with it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest
from twisted.logger import globalLogBeginner

from mailhub.sim.world import World


@pytest.fixture(autouse=True, scope="session")
def _no_history() -> None:
    """Twisted keeps what is logged before logging begins, and with it the hubs that logged it."""
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


@pytest.fixture(autouse=True)
def _worlds_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[weakref.ref[World]] = []
    begin = World.__init__

    def begun(world: World, *arguments: object, **words: object) -> None:
        begin(world, *arguments, **words)  # type: ignore[arg-type]  # whatever it is
        made.append(weakref.ref(world))

    monkeypatch.setattr(World, "__init__", begun)
    yield
    for reference in made:
        world = reference()
        if world is not None:
            world.close()
