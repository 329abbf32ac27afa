"""A port that is bound before there is anything behind it."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol

from mailhub.net.door import Door

ADDRESS = IPv4Address("TCP", "127.0.0.1", 40000)


def test_closed() -> None:
    """Whoever comes before the hub is open is turned away."""
    assert Door("smtp").buildProtocol(ADDRESS) is None


def test_open() -> None:
    """The factory behind the door builds the protocol."""
    door = Door("smtp")
    door.behind = Factory.forProtocol(Protocol)
    assert isinstance(door.buildProtocol(ADDRESS), Protocol)


def test_its_name_in_the_log() -> None:
    """The log tells which service listens, not which class."""
    assert Door("imaps").logPrefix() == "imaps"
