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


def test_lsub_bad_pattern() -> None:
    """A pattern that is no name matches nothing."""
    assert Talk().login().say('a LSUB "" &bad') == ["a OK Lsub completed"]
