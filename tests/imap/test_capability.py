"""Capabilities: what is announced, and when."""

from __future__ import annotations

from mailhub.imap.capability import ALWAYS, capabilities, login_allowed
from mailhub.imap.settings import Limits
from mailhub.imap.syntax import _GRAMMAR
from mailhub.ports.conversation import Tls
from tests.imap.given import Talk


def listed(talk: Talk) -> set[str]:
    return set(capabilities(talk.session._state).split())


LIMIT = "APPENDLIMIT=52428800"


def test_before_and_after() -> None:
    """AUTH, STARTTLS and LOGINDISABLED are of the time before login (RFC 3501 §6.2.1)."""
    talk = Talk(address="192.0.2.1")
    assert listed(talk) - set(ALWAYS) == {LIMIT, "AUTH=X-TWICE", "STARTTLS", "LOGINDISABLED"}
    assert not login_allowed(talk.session._state)
    talk.session.secured(Tls("TLSv1.3", "X", lambda _: None))
    assert listed(talk) - set(ALWAYS) == {LIMIT, "AUTH=X-TWICE", "AUTH=PLAIN"}
    talk.login()
    assert listed(talk) == {*ALWAYS, LIMIT, "UNAUTHENTICATE", "COMPRESS=DEFLATE"}


def test_commands_are_there() -> None:
    """Each announced extension's command is in the table of verbs."""
    needs = {
        "ID": "ID",
        "ENABLE": "ENABLE",
        "IDLE": "IDLE",
        "NAMESPACE": "NAMESPACE",
        "UIDPLUS": "UID EXPUNGE",
        "UNSELECT": "UNSELECT",
        "MOVE": "UID MOVE",
        "QUOTA": "GETQUOTAROOT",
    }
    for name, verb in needs.items():
        assert name in ALWAYS
        assert verb in _GRAMMAR


def test_limits() -> None:
    """What an operator limits is announced, and one of the two limits is enough."""
    assert "MESSAGELIMIT=7" in listed(Talk(limits=Limits(messages=7, saved=5)))
    assert "SAVELIMIT=5" not in listed(Talk(limits=Limits(messages=7, saved=5)))
    assert "SAVELIMIT=5" in listed(Talk(limits=Limits(saved=5)))


def test_no_unauthenticate() -> None:
    """UNAUTHENTICATE can be taken away, and is not offered under compression (RFC 8437 §3, §8)."""
    talk = Talk(limits=Limits(unauthenticate=False)).login()
    assert "UNAUTHENTICATE" not in listed(talk)
    assert talk.say("a UNAUTHENTICATE") == ["a BAD That cannot be undone here"]
    talk = Talk().login()
    talk.say("a COMPRESS DEFLATE")
    assert "UNAUTHENTICATE" not in listed(talk)


def test_uncompressed() -> None:
    """COMPRESS is not offered, and refused, where the operator does not want it."""
    talk = Talk(limits=Limits(compress=False)).login()
    assert "COMPRESS=DEFLATE" not in listed(talk)
    assert talk.raw(b"a COMPRESS DEFLATE\r\nb NOOP\r\n") == (
        b"a NO [CANNOT] Nothing is compressed here\r\nb OK Nothing done\r\n"
    )
