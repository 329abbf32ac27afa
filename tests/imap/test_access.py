"""ACL commands that the dialogues do not show."""

from __future__ import annotations

from mailhub.mail.rights import NONE, Rights
from tests.imap.given import Talk


def test_not_allowed() -> None:
    """Who may not administer is told so by each command."""
    talk = Talk().login()
    talk.store.inbox.rights = Rights("lrs")
    for command in (
        "GETACL INBOX",
        "SETACL INBOX bob l",
        "DELETEACL INBOX bob",
        "LISTRIGHTS INBOX bob",
    ):
        assert talk.say(f"a {command}") == ["a NO [NOPERM] Not allowed"]
    assert talk.say("b MYRIGHTS INBOX")[0] == "* MYRIGHTS INBOX lrs"


def test_no_rights() -> None:
    """No rights are an empty string, which needs its quotes."""
    talk = Talk().login()
    talk.store.inbox.rights = NONE
    assert talk.say("a MYRIGHTS INBOX")[0] == '* MYRIGHTS INBOX ""'


def test_identifiers_in_unicode() -> None:
    """Identifiers are UTF-8, and go as strings that can carry them (RFC 4314 §3)."""
    talk = Talk().login()
    talk.raw("a SETACL INBOX {6+}\r\njürg\x01 l\r\n".encode())
    heard = talk.raw("b SETACL INBOX {5+}\r\njürg l\r\n".encode())
    assert heard == b"b OK Setacl completed\r\n"
    told = talk.raw(b"c GETACL INBOX\r\n")
    assert b" {5}\r\nj\xc3\xbcrg l\r\n" in told


def test_name_of_a_mailbox() -> None:
    """Names that are none are refused as everywhere."""
    talk = Talk().login()
    assert talk.say("a MYRIGHTS &bad") == ["a NO [CANNOT] Mailbox name is not modified UTF-7"]
