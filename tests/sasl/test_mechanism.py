"""The server side of SASL, as sessions see it."""

from __future__ import annotations

from mailhub.sasl.mechanism import Exchange, Malformed, Mechanisms
from tests.rig import run
from tests.smtp.fakes import ACCOUNT, FakeExchange, FakeLogins, FakeMechanisms


def test_last_words() -> None:
    """What the server says last is a challenge like any other, and an empty response ends it."""
    exchange: Exchange = FakeExchange([], [b"server-final"])
    assert run(exchange.step(b"right")) == b"server-final"
    assert exchange.account is None
    assert run(exchange.step(b"")) is None
    assert exchange.account == ACCOUNT


def test_unknown() -> None:
    """A name that is not offered begins nothing."""
    mechanisms: Mechanisms = FakeMechanisms()
    assert mechanisms.offered(None, "192.0.2.1") == ()
    assert mechanisms.begin("NONE", FakeLogins(), None) is None


def test_malformed() -> None:
    """A response that does not parse is not a wrong password."""
    assert issubclass(Malformed, Exception)
