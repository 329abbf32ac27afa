"""The mailbox of what was sent, in a whole hub: submitted by SMTP, seen and cancelled by IMAP."""

from __future__ import annotations

import base64
import errno
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path as FilePath
from typing import Any

import pytest
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.python.failure import Failure

from mailhub.mail.address import parse_address
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.header import Header
from mailhub.ports.outgoing import QueueId
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.queue.change import Cancel
from mailhub.queue.event import Fated, State
from mailhub.queue.item import Origin, new_item
from mailhub.queue.journeys import Journeys
from mailhub.relay.queuedesk import draft_header
from mailhub.store.upload import DiskUpload
from tests.hubs import ALICE, PASSWORD, Peer, World, populated, settings

CONNECTOR: Any = None
"""Nobody asks a failed connection's connector for anything."""
ROUTE = """
[route far]
recipients = *
host = 192.0.2.1:2525
tls = none
"""


@pytest.fixture
def world(tmp_path: FilePath) -> Iterator[World]:
    made = populated(tmp_path / "state")
    yield configured(made)
    if made.hub.running:
        made.stop()


def configured(made: World, more: str = "") -> World:
    made.settings = settings(made.state, ROUTE + more)
    made.hub.settings = made.settings
    made.start()
    return made


def submit(world: World, *to: str, header: str = "To: <bob@far.example>\r\n") -> QueueId:
    """Submit a message as Alice; its queue id."""
    peer = world.call(587)
    peer.say()
    peer.say("EHLO client.example\r\n")
    login = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
    assert peer.say(f"AUTH PLAIN {login}\r\n").startswith("235")
    peer.say(f"MAIL FROM:<{ALICE}>\r\n")
    for each in to or ("bob@far.example",):
        assert peer.say(f"RCPT TO:<{each}>\r\n").startswith("250")
    peer.say("DATA\r\n")
    heard = peer.say(f"Subject: Hi\r\nFrom: {ALICE}\r\n{header}\r\nText\r\n.\r\n")
    [queue_id] = re.findall(r"250 2.0.0 Ok, queued as (\w+)", heard)
    peer.say("QUIT\r\n")
    return QueueId(queue_id)


def refuse(world: World) -> None:
    """The next hop refuses the connections that are tried, and what follows is written."""
    tried, world.reactor.tcpClients = list(world.reactor.tcpClients), []
    for _, _, factory, *_ in tried:
        factory.clientConnectionFailed(CONNECTOR, Failure(Refused()))
    world.reactor.pump([0.0, 0.3, 0.3, 0.0])


def released(world: World, queue_id: QueueId) -> None:
    """A message that could not be taken back is on no hold: it is attempted at once."""
    assert world.hub.parts is not None
    item = world.hub.parts.journal.load(queue_id)
    assert item is not None
    assert item.remote == (0,)
    world.reactor.pump([0.1, 0.1])
    assert world.reactor.tcpClients, "it is attempted at once"
    refuse(world)


def imap(world: World, mailbox: str = "Queue") -> Peer:
    peer = world.call(143)
    peer.say()
    assert "OK" in peer.say(f'l LOGIN {ALICE} "{PASSWORD}"\r\n')
    assert "s OK" in peer.say(f"s SELECT {mailbox}\r\n")
    return peer


class TestSeen:
    def test_live(self, world: World) -> None:
        """Amid IDLE a sender sees mail appear, its keywords change, and then its story."""
        peer = imap(world)
        peer.say("i IDLE\r\n")
        submit(world)
        world.reactor.pump([0.3, 0.0, 0.0])
        assert "* 1 EXISTS" in peer.say()
        [(_, _, factory, *_)] = world.reactor.tcpClients
        factory.clientConnectionFailed(CONNECTOR, Failure(Refused()))
        world.reactor.pump([0.0, 0.0, 0.0])
        assert "* 1 FETCH (UID 1 FLAGS (\\Seen $SubmitPending $Delayed))" in peer.say()
        world.reactor.pump([0.3, 0.0])
        assert "* 1 EXPUNGE\r\n* 1 EXISTS" in peer.say()
        peer.say("DONE\r\n")
        heard = peer.say("f UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n")
        assert "UID 2 FLAGS (\\Seen $SubmitPending $Delayed)" in heard
        assert "Subject: Delayed: bob@far.example: Hi" in heard
        assert "Connection refused" in heard

    def test_notify(self, world: World) -> None:
        """A client that has another mailbox selected hears of it, if it asked (RFC 5465)."""
        peer = imap(world, "INBOX")
        events = "(MessageNew MessageExpunge FlagChange)"
        assert "n OK" in peer.say(f"n NOTIFY SET (mailboxes Queue {events})\r\n")
        peer.say("i IDLE\r\n")
        submit(world)
        world.reactor.pump([0.3, 0.0, 0.0])
        assert "* STATUS Queue (MESSAGES 1 UIDNEXT 2" in peer.say()
        refuse(world)
        assert "* STATUS Queue (MESSAGES 1 UIDNEXT 3" in peer.say()
        peer.say("DONE\r\n")
        assert "n OK" in peer.say("n NOTIFY NONE\r\n")
        parts = world.hub.parts
        assert parts is not None
        assert parts.mail.opened == 0

    def test_old_mail_is_found(self, world: World) -> None:
        """What was sent before anybody looked is there, under the same UIDs after a start."""
        submit(world)
        refuse(world)
        first = imap(world).say("f FETCH 1:* (UID)\r\n")
        world.stop()
        again = configured(World(world.state))
        try:
            assert imap(again).say("f FETCH 1:* (UID)\r\n") == first
        finally:
            again.stop()

    def test_others_mail(self, world: World) -> None:
        """Everybody sees what they sent themselves."""
        peer = world.call(25)
        peer.say("EHLO far.example\r\nMAIL FROM:<x@far.example>\r\n")
        peer.say(f"RCPT TO:<{ALICE}>\r\nDATA\r\n")
        peer.say("Subject: x\r\n\r\n.\r\n")
        world.reactor.pump([0.3, 0.0])
        assert "s OK" in imap(world, "INBOX").say("s SELECT Queue\r\n")
        assert "MESSAGES 0" in imap(world).say("s STATUS Queue (MESSAGES)\r\n")

    def test_not_over_pop3(self, world: World) -> None:
        """POP3 has one mailbox, and that is not it."""
        submit(world)
        refuse(world)
        peer = world.call(110)
        peer.say()
        peer.say(f"USER {ALICE}\r\n")
        assert "+OK" in peer.say(f"PASS {PASSWORD}\r\n")
        assert peer.say("STAT\r\n") == "+OK 0 0\r\n"

    def test_written_by_another_process(self, world: World) -> None:
        """What the command line writes is seen at the next poll, or when it wakes the hub."""
        queue_id = submit(world)
        refuse(world)
        peer = imap(world)
        with closing(Journeys(str(world.state), now=0.0)) as other:
            now = world.reactor.seconds()
            other.write({queue_id: [Fated(now, (0,), State.HELD, "by the operator")]})
        assert "EXPUNGE" in peer.say("n NOOP\r\n")
        assert "by the operator" in peer.say("f FETCH 1 BODY.PEEK[]\r\n")
        assert "n OK Nothing done" in peer.say("n NOOP\r\n")


class TestChanged:
    def test_expunge_cancels(self, world: World) -> None:
        """What is deleted is not sent, ever; and it stays away."""
        queue_id = submit(world)
        refuse(world)
        peer = imap(world)
        peer.say("d STORE 1 +FLAGS (\\Deleted)\r\n")
        assert "* 1 EXPUNGE\r\ne OK" in peer.say("e EXPUNGE\r\n")
        assert world.hub.parts is not None
        assert world.hub.parts.journal.load(queue_id) is None
        world.reactor.pump([0.3, 600.0, 600.0])
        assert not world.reactor.tcpClients
        assert "* 0 EXISTS" in imap(world).say("s SELECT Queue\r\n")

    def test_gone_for_those_who_come_back(self, world: World) -> None:
        """What was deleted is gone also for one who opens the mailbox in the next moment."""
        submit(world)
        refuse(world)
        peer = imap(world)
        peer.say("d STORE 1 +FLAGS (\\Deleted)\r\n")
        peer.say("e EXPUNGE\r\n")
        assert "* 0 EXISTS" in peer.say("s SELECT Queue\r\n")

    def test_what_is_being_sent(self, world: World) -> None:
        """While a connection is made nothing can be cancelled, and that is said."""
        queue_id = submit(world)
        world.reactor.pump([0.3, 0.0])
        peer = imap(world)
        peer.say("d STORE 1 +FLAGS (\\Deleted)\r\n")
        assert "e NO [INUSE]" in peer.say("e EXPUNGE\r\n")
        assert "m NO [INUSE]" in peer.say("m MOVE 1 Drafts\r\n")
        assert world.hub.parts is not None
        assert world.hub.parts.journal.load(queue_id) is not None
        refuse(world)

    def test_back_to_drafts(self, world: World) -> None:
        """What is moved to Drafts lies there as it was written, and is not sent."""
        queue_id = submit(world, "bob@far.example", "secret@far.example")
        refuse(world)
        peer = imap(world)
        assert "COPYUID" in peer.say("m MOVE 1 Drafts\r\n")
        assert world.hub.parts is not None
        assert world.hub.parts.journal.load(queue_id) is None
        heard = imap(world, "Drafts").say("f FETCH 1 (FLAGS BODY.PEEK[])\r\n")
        assert "\\Draft" in heard
        assert "Bcc: <secret@far.example>" in heard
        assert "Received" not in heard
        assert "\r\n\r\nText\r\n" in heard

    def test_drafts_that_are_full(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """If the draft cannot be written the message is sent as if nothing had been asked."""
        queue_id = submit(world)
        refuse(world)
        peer = imap(world)
        assert "m NO [TRYCREATE]" in peer.say("m MOVE 1 Nowhere\r\n")
        parts = world.hub.parts
        assert parts is not None
        [alice] = parts.accounts.accounts()
        monkeypatch.setattr(parts.stores.store_of(alice), "append", _full)
        assert "m NO [OVERQUOTA]" in peer.say("m MOVE 1 Drafts\r\n")
        released(world, queue_id)

    def test_nothing_is_left(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where one of several cannot be taken back none is, and no upload is left behind."""
        submit(world)
        refuse(world)
        submit(world, ALICE)
        world.reactor.pump([0.3, 0.0])
        uploads: list[DiskUpload] = []
        write = DiskUpload.write

        async def noted(upload: DiskUpload, octets: bytes) -> None:
            uploads.append(upload)
            await write(upload, octets)

        monkeypatch.setattr(DiskUpload, "write", noted)
        peer = imap(world)
        assert "m NO [CANNOT] It has been sent" in peer.say("m MOVE 1:2 Drafts\r\n")
        assert len(uploads) == 1
        assert all(upload._failed and not upload._pieces for upload in uploads)
        assert "* 2 EXISTS" in imap(world).say("s SELECT Queue\r\n")
        refuse(world)

    def test_what_cannot_be_cancelled(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """If cancelling fails the draft goes again: no message is in both (RFC 6851 §3.3)."""
        queue_id = submit(world)
        refuse(world)
        peer = imap(world)
        parts = world.hub.parts
        assert parts is not None
        amend = parts.journal.amend

        async def full(change: Any) -> int:
            if isinstance(change, Cancel):
                raise OSError(errno.ENOSPC, "No space left on device")
            return await amend(change)

        monkeypatch.setattr(parts.journal, "amend", full)
        assert "m NO" in peer.say("m MOVE 1 Drafts\r\n")
        assert "* 0 EXISTS" in peer.say("s SELECT Drafts\r\n")
        released(world, queue_id)

    def test_what_was_sent(self, world: World) -> None:
        """What was delivered is no draft any more; Trash takes its letter."""
        submit(world, ALICE)
        world.reactor.pump([0.3, 0.0])
        peer = imap(world)
        assert "m NO [CANNOT] It has been sent" in peer.say("m MOVE 1 Drafts\r\n")
        assert "m NO [CANNOT]" in peer.say("m MOVE 1 Archive\r\n")
        assert "m OK" in peer.say("m MOVE 1 Trash\r\n")
        assert "Subject: Delivered" in imap(world, "Trash").say("f FETCH 1 BODY.PEEK[]\r\n")
        assert "* 0 EXISTS" in imap(world).say("s SELECT Queue\r\n")


async def _full(*_: object) -> None:
    raise StoreRefused(StoreFault.OVER_QUOTA, "Over quota")


def test_another_name(tmp_path: FilePath) -> None:
    """The operator names it; what bears the name in the store is hidden, and comes back."""
    world = configured(populated(tmp_path / "state"), "[journey]\nmailbox = Postausgang\n")
    peer = imap(world, "INBOX")
    assert "Postausgang" in peer.say('l LIST "" "*"\r\n')
    assert "c OK" in peer.say("c CREATE Queue\r\n")
    world.stop()
    again = configured(World(world.state))
    assert imap(again, "INBOX").say('l LIST "" "*"\r\n').count("Queue") == 1
    again.stop()


@pytest.mark.parametrize("line", ["mailbox =", "keep = 0"])
def test_switched_off(tmp_path: FilePath, line: str) -> None:
    """Without it everything is the store's own."""
    world = configured(populated(tmp_path / "state"), f"[journey]\n{line}\n")
    peer = imap(world, "INBOX")
    assert "Queue" not in peer.say('l LIST "" "*"\r\n')
    assert "c OK" in peer.say("c CREATE Queue\r\n")
    world.stop()


def test_a_draft_again() -> None:
    """A draft has no trace; its blind recipients are those that no field names."""
    to = ("bob@far.example", "Eve@far.example", "x@far.example")
    envelope = Envelope(parse_address(ALICE), tuple(Recipient(parse_address(each)) for each in to))
    item = new_item(QueueId("d21m6d8nes8h"), 0.0, envelope, (None,) * 3, 1, Origin())
    block = (
        b"Received: from x\r\n by y\r\nTo: Bob <bob@far.example>\r\nCc: <eve@FAR.example>\r\n\r\n"
    )
    header = Header(draft_header(block, item))
    assert header.first(b"bcc") == b"<x@far.example>"
    assert b"received" not in header
    assert header.block.endswith(b"Cc: <eve@FAR.example>\r\n\r\n")
