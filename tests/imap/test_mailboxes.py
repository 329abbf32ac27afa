"""Commands on mailboxes that the dialogues do not show."""

from __future__ import annotations

from tests.imap.given import Talk


def test_rename_children() -> None:
    """RENAME takes children along, and news of INBOX's are told."""
    talk = Talk().select()
    talk.say("a RENAME Work Play")
    assert talk.say('b LIST "" Play*')[:-1] == [
        '* LIST (\\HasChildren) "/" Play',
        '* LIST (\\HasNoChildren) "/" Play/Reports',
    ]
    assert talk.say("c RENAME INBOX Old")[:3] == ["* 3 EXPUNGE", "* 2 EXPUNGE", "* 1 EXPUNGE"]


def test_status_gives_back() -> None:
    """A mailbox that was opened to add sizes up is given back."""
    talk = Talk().login()
    talk.say("a STATUS INBOX (DELETED-STORAGE)")
    assert talk.store.inbox.opened == talk.store.inbox.released == 1


def test_names_in_unicode() -> None:
    """A refusal that names a mailbox in Unicode stays US-ASCII."""
    assert Talk().login().say("a SELECT &AOQ-") == ["a NO [NONEXISTENT] No mailbox ?"]


def test_called_otherwise() -> None:
    """A client of IMAP4rev2 hears what the name is that it did not use (RFC 9051 §6.3.9.7)."""
    talk = Talk().login()
    assert talk.say("a CREATE inbox/Sub") == ["a OK [MAILBOXID (F11)] Create completed"]
    talk.say("e ENABLE IMAP4rev2")
    composed, apart = "Inbox/Gr\u00fcn", "Inbox/Gru\u0308n"
    created = talk.say(f'b CREATE "{apart}"')
    shown = composed.replace("Inbox", "INBOX")
    assert created[0] == f'* LIST (\\HasNoChildren) "/" "{shown}" ("OLDNAME" ("{apart}"))'
    assert talk.say(f'c RENAME INBOX/Sub "{apart}x"')[0] == (
        f'* LIST (\\HasNoChildren) "/" "{shown}x" ("OLDNAME" (INBOX/Sub))'
    )
    assert len(talk.say("d RENAME Work Play")) == 1
    assert talk.say("f EXAMINE inbox")[-2] == (
        '* LIST (\\HasChildren) "/" INBOX ("OLDNAME" (inbox))'
    )
    assert talk.say(f'g DELETE "{composed}"')[0] == (
        f'* LIST (\\NonExistent) "/" "{shown}" ("OLDNAME" ("{composed}"))'
    )


def test_lsub_bad_pattern() -> None:
    """A pattern that is no name matches nothing."""
    assert Talk().login().say('a LSUB "" &bad') == ["a OK Lsub completed"]
