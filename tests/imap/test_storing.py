"""Conditional STORE amid other sessions (what one alone sees is in the dialogues)."""

from __future__ import annotations

from mailhub.imap.storing import STORE_ROWS
from mailhub.ports.message import FlagAction, ModSeq, Uid
from mailhub.ports.store import StoreFault, StoreRefused
from tests.imap.fakes import FakeStore
from tests.imap.given import BARE, Talk
from tests.rig import run


def flag(talk: Talk, uid: int, name: str = "\\Flagged") -> None:
    """Another session changes a flag."""
    run(talk.store.inbox.store([Uid(uid)], FlagAction.ADD, [name]))


def test_decided_where_it_is_done() -> None:
    """A change that comes between command and deed counts: nothing is overwritten."""
    talk = Talk().select()
    inbox = talk.store.inbox
    known = inbox.highest_modseq

    def during() -> None:
        inbox.during = lambda: None
        flag(talk, 2)

    inbox.during = during
    heard = talk.say(f"a STORE 1:3 (UNCHANGEDSINCE {known}) FLAGS.SILENT (\\Draft)")
    assert heard[-1] == "a OK [MODIFIED 2] Some had changed"
    assert any(line.startswith("* 2 FETCH (UID 2 MODSEQ (5) FLAGS (") for line in heard)
    assert inbox.names_of(inbox.flags[1]) == ["\\Seen", "\\Flagged"]


def test_durable_before_it_is_answered() -> None:
    """OK says that the flags will be there after a loss of power; nothing changed costs no sync."""
    talk = Talk().select()
    inbox = talk.store.inbox
    talk.say("a STORE 1:3 +FLAGS.SILENT (\\Draft)")
    assert inbox.synced == inbox.highest_modseq
    inbox.synced = ModSeq(0)
    talk.say("b STORE 1:3 +FLAGS.SILENT (\\Draft)")
    assert inbox.synced == 0


def test_not_durable() -> None:
    """A disk that cannot sync them is told of."""
    talk = Talk().select()
    inbox = talk.store.inbox
    calls = iter([None, StoreRefused(StoreFault.SERVER_BUG, "Cannot store: broken")])

    def during() -> None:
        if (fault := next(calls)) is not None:
            raise fault

    inbox.during = during
    heard = talk.say("a STORE 1 +FLAGS.SILENT (\\Draft)")
    assert heard[-1].startswith("a NO [SERVERBUG]")


def test_gone_and_modified() -> None:
    """NO and MODIFIED together, where some are gone and some had changed (RFC 7162 §3.1.3)."""
    talk = Talk().select()
    known = talk.store.inbox.highest_modseq
    flag(talk, 1)
    run(talk.store.inbox.expunge([Uid(3)]))
    heard = talk.say(f"a STORE 1:3 (UNCHANGEDSINCE {known}) +FLAGS (\\Draft)")
    assert heard[-1] == "a NO [MODIFIED 1] Some of the messages no longer exist"


def test_doubted() -> None:
    """Who was told what a crash undid may change nothing before it has asked again."""
    talk = Talk().select()
    talk.store.inbox.doubt = (3, 9)
    heard = talk.say("a STORE 1 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Draft)")
    assert heard[-1] == "a OK [MODIFIED 1] Some had changed"
    assert not talk.store.inbox.flags[0]


def test_batches() -> None:
    """More than one step can do: all are named, as numbers or as UIDs."""
    mail = FakeStore()
    for _ in range(STORE_ROWS + 5):
        mail.inbox.deliver(BARE)
    talk = Talk(mail).select()
    run(mail.inbox.expunge([Uid(1)]))
    talk.say("n NOOP")
    for command, named in (("STORE", f"1:{STORE_ROWS + 4}"), ("UID STORE", f"2:{STORE_ROWS + 5}")):
        heard = talk.say(f"a {command} {named} (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen)")
        assert heard[-1] == f"a OK [MODIFIED {named}] Some had changed"
