"""How many connections an account has, and when that is enough."""

from __future__ import annotations

from mailhub.imap.census import Census
from mailhub.imap.settings import Limits
from mailhub.ports.accounts import AccountId
from tests.imap.given import Talk, store
from tests.rig import run

ANN, BOB = AccountId(1), AccountId(2)


def test_count() -> None:
    """Each account has its own count, which falls as connections go."""
    census = Census()
    census.enter(ANN)
    census.enter(ANN)
    census.enter(BOB)
    assert census.full(ANN, 2)
    assert not census.full(BOB, 2)
    census.leave(ANN)
    assert not census.full(ANN, 2)
    census.leave(ANN)
    census.leave(BOB)
    assert not census.full(ANN, 1)


def test_no_limit() -> None:
    """A limit of 0 is none."""
    census = Census()
    census.enter(ANN)
    assert not census.full(ANN, 0)


def test_session() -> None:
    """One login too many is told so, and may try again once another one has gone."""
    census, mail = Census(), store()
    limits = Limits(connections=1)
    first = Talk(mail, limits=limits, census=census).login()
    second = Talk(mail, limits=limits, census=census)
    refused = "a NO [LIMIT] Too many connections of this account"
    assert second.say("a LOGIN alice secret") == [refused]
    assert second.session._state.phase.value == "not authenticated"
    run(first.session.close())
    run(second.session.close())
    second = Talk(mail, limits=limits, census=census).login()
    assert second.say("b UNAUTHENTICATE")[-1].startswith("b OK")
    run(second.session.close())
    Talk(mail, limits=limits, census=census).login()
