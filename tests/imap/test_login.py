"""Logins that the dialogues do not show."""

from __future__ import annotations

from mailhub.ports.accounts import Account, LoginFault
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.sasl.server import ServerMechanisms
from tests.imap.fakes import FakeStore, FakeStores
from tests.imap.given import Talk


def test_not_utf8() -> None:
    """Names and passwords that are not UTF-8 open nothing."""
    talk = Talk()
    assert talk.raw(b'a LOGIN "\xff" x\r\n').startswith(b"a NO [AUTHENTICATIONFAILED]")
    assert talk.session._state.refused_logins == 1


def test_throttled() -> None:
    """Each fault has its code."""
    talk = Talk()
    for fault in (LoginFault.THROTTLED, LoginFault.UNAVAILABLE):
        assert talk.say(f"a LOGIN {fault.value} x")[0].startswith("a NO [UNAVAILABLE]")


def test_no_store() -> None:
    """An account whose mail is not to be had is not logged in."""

    class Broken(FakeStores):
        async def of(self, account: Account) -> FakeStore:
            raise StoreRefused(StoreFault.SERVER_BUG, "The disk said no")

    talk = Talk()
    talk.session._state.stores = Broken(talk.store)
    assert talk.say("a LOGIN alice secret") == ["a NO [SERVERBUG] The disk said no"]
    assert talk.say('b LIST "" *') == ["b BAD Log in first"]


def test_user_name_at_once() -> None:
    """LOGIN has no RFC; curl gives the user name as initial response, and is asked for the rest."""
    talk = Talk()
    talk.session._state.mechanisms = ServerMechanisms(lambda: "x" * 16, plaintext_on_loopback=True)
    assert talk.say("a AUTHENTICATE LOGIN YWxpY2U=") == ["+ UGFzc3dvcmQ6"]
    assert talk.say("c2VjcmV0")[0].startswith("a OK")


def test_cancelled_connection() -> None:
    """A long response line is BAD, and ends the exchange."""
    talk = Talk()
    talk.say("a AUTHENTICATE PLAIN")
    assert talk.say("x" * 33000) == ["a BAD Command line too long"]
    assert talk.say("b NOOP") == ["b OK Nothing done"]
