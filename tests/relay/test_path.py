"""The whole way of a message for a mailbox of ours, over a real spool and real maildirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Secret
from mailhub.accounts.record import address
from mailhub.mail.envelope import Envelope, Notify, Recipient
from mailhub.mail.reply import Refusal
from mailhub.net.journal import Journal
from mailhub.policy.alias import Rules
from mailhub.policy.limits import JournalLimits
from mailhub.policy.retry import Schedule
from mailhub.ports.accounts import Quota, ScramKeys
from mailhub.ports.conversation import Client
from mailhub.ports.message import Content, Summary
from mailhub.queue.ids import QueueIds
from mailhub.queue.item import Item
from mailhub.queue.spool import Spool
from mailhub.relay.addressees import members
from mailhub.relay.intake import HubIntake
from mailhub.relay.local import LocalDelivery
from mailhub.relay.report import Reporter
from mailhub.store.stores import Stores
from tests.rig import InlineDisk, run
from tests.wording import LANGUAGES, other

SECRET = Secret("$argon2id$…", ScramKeys(b"salt", 4096, b"stored", b"server"))
ALICE, BOB = address("alice@hub.example"), address("bob@hub.example")
TEAM = address("team@hub.example")
CLIENT = Client("192.0.2.1", 4711, helo="client.example", protocol="ESMTP")


class Hub:
    """What `service` makes of these parts, but for sockets and the runner; a crash is a new one."""

    def __init__(self, root: FilePath, token: str = "1", inline: int = 2000) -> None:
        self.root = root
        self.clock = Clock()
        disk = InlineDisk()
        self.accounts = Accounts(root / "accounts.db")
        spool = Spool(str(root / "spool"))
        self.ids = QueueIds(self.now, lambda bits: 0, spool.floor())
        self.journal = Journal(spool, disk, disk, JournalLimits(inline=inline))
        self.stores = Stores(
            str(root),
            disk,
            clock=self.now,
            host="hub.example",
            token=token,
            boot="boot",
            summarise=lambda octets: Summary(b"", b"", b""),
            log=lambda line: None,
        )
        reporter = Reporter(
            "hub.example",
            self.ids,
            self.now,
            lambda bits: 7,
            lambda recipient: members(recipient, self.accounts, Rules()),
            lambda item, place: Schedule(),
            LANGUAGES,
            other,
        )
        self.local = LocalDelivery(
            self.journal,
            self.stores.filer(),
            self.accounts.by_id,
            reporter,
            self.announce,
            lambda: None,
            self.clock,
            self.now,
            lambda: 0.5,
            lambda item, place: Schedule(),
        )
        self.remote: list[Item] = []
        self.intake = HubIntake(
            self.journal,
            self.accounts,
            self.announce,
            reporter,
            "hub.example",
            self.ids,
            self.now,
            over_quota=self.stores.over_quota,
            patience=self.local.room,
        )

    def now(self) -> float:
        return 1_700_000_000.0 + self.clock.seconds()

    def announce(self, item: Item, content: Content) -> None:
        self.local.accepted(item, content)
        if item.remote:
            self.remote.append(item)

    def send(self, message: bytes, *recipients: Recipient) -> str:
        """What a message is answered."""
        envelope = Envelope(address("dan@elsewhere.example"))
        for recipient in recipients:
            run(self.intake.recipient(CLIENT, envelope, recipient))
            envelope = envelope.to(recipient)
        draft = run(self.intake.draft(CLIENT, envelope))
        run(draft.write(message))
        return str(done(draft.commit()).text)

    def mailbox(self, name: str) -> list[bytes]:
        """The messages in somebody's INBOX."""
        found = []
        for place in ("new", "cur"):
            directory = self.root / "mail" / "hub.example" / name / place
            if directory.exists():
                found += [path.read_bytes() for path in sorted(directory.iterdir())]
        return found

    def spooled(self) -> int:
        """Items in the spool."""
        spool = Spool(str(self.root / "spool"))
        try:
            return spool.counts().items
        finally:
            spool.close()

    def settle(self) -> None:
        """Let everything happen that is to happen."""
        for _ in range(3):
            self.clock.advance(0)
            self.clock.advance(2)

    def close(self) -> None:
        done(self.local.stop())
        done(self.journal.close())
        self.stores.close()
        self.accounts.close()


def done(coroutine: Any) -> Any:
    """The result of a coroutine over Deferreds that does not have to wait."""
    found: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(found.append)
    [result] = found
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


@pytest.fixture
def root(tmp_path: FilePath) -> FilePath:
    with Accounts(tmp_path / "accounts.db") as accounts:
        accounts.add_domain("hub.example")
        accounts.add_account(ALICE, SECRET)
        accounts.add_account(BOB, SECRET, Quota(octets=5000))
        accounts.add_alias(TEAM, (ALICE, BOB, address("carol@elsewhere.example")))
    return tmp_path


@pytest.fixture
def hub(root: FilePath) -> Iterator[Hub]:
    hub = Hub(root)
    yield hub
    hub.close()


SMALL = b"Subject: small\r\n\r\n.text\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 200


def test_small(hub: Hub) -> None:
    """Accepted, filed at once, synced later, and then gone from the spool."""
    assert hub.send(SMALL, Recipient(ALICE)).startswith("250 2.0.0 Ok, queued as ")
    assert hub.spooled() == 1
    hub.clock.advance(0)
    [message] = hub.mailbox("alice")
    assert message.startswith(
        b"Return-Path: <dan@elsewhere.example>\r\n"
        b"Delivered-To: alice@hub.example\r\n"
        b"Received: from client.example ([192.0.2.1])\r\n"
    )
    assert message.endswith(b"\r\n" + SMALL)
    assert hub.spooled() == 1
    hub.clock.advance(2)
    assert hub.spooled() == 0


def test_large_is_written_once(hub: Hub, root: FilePath) -> None:
    """A large message for one mailbox is the spool's own file, under another name."""
    hub.send(LARGE, Recipient(ALICE))
    hub.clock.advance(0)
    [path] = (root / "mail/hub.example/alice/new").iterdir()
    assert path.stat().st_nlink == 2
    hub.settle()
    assert path.stat().st_nlink == 1
    [message] = hub.mailbox("alice")
    assert message.count(b"Return-Path:") == 1
    assert message.endswith(b"\r\n" + LARGE)
    assert hub.spooled() == 0


def test_large_for_several(hub: Hub) -> None:
    """For several each gets a copy, with trace fields of its own."""
    hub.send(LARGE, Recipient(ALICE), Recipient(BOB))
    hub.settle()
    for name in ("alice", "bob"):
        [message] = hub.mailbox(name)
        assert message.startswith(
            f"Return-Path: <dan@elsewhere.example>\r\nDelivered-To: {name}@hub.example\r\n".encode()
        )
        assert message.endswith(b"\r\n" + LARGE)
    assert hub.spooled() == 0


def test_here_and_elsewhere(hub: Hub) -> None:
    """What is for others, too, stays for them."""
    hub.send(SMALL, Recipient(TEAM))
    hub.settle()
    assert len(hub.mailbox("alice")) == len(hub.mailbox("bob")) == 1
    [item] = hub.remote
    left = hub.journal.load(item.queue_id)
    assert left is not None
    assert left.open == (2,)


def test_success_is_reported(hub: Hub) -> None:
    """A sender who asked gets a notice, once the message is durable."""
    hub.send(SMALL, Recipient(ALICE, Notify.SUCCESS))
    hub.clock.advance(0)
    assert hub.remote == []
    hub.settle()
    [notice] = hub.remote
    assert notice.envelope.recipients[0].path == address("dan@elsewhere.example")
    assert hub.spooled() == 1


def test_full_mailbox(hub: Hub) -> None:
    """A mailbox that is over its quota is refused at RCPT."""
    hub.send(LARGE, Recipient(BOB))
    hub.settle()
    with pytest.raises(Refusal) as caught:
        run(hub.intake.recipient(CLIENT, Envelope(size=4000), Recipient(BOB)))
    assert caught.value.reply.text == "452 4.2.2 Mailbox full"


@pytest.mark.parametrize("moment", ["accepted", "filed"])
def test_crash(root: FilePath, moment: str) -> None:
    """Whatever moment the process is killed at: each message is in its mailbox, once."""
    hub = Hub(root)
    for number in range(5):
        hub.send(SMALL + b"%d\r\n" % number, Recipient(ALICE), Recipient(BOB))
    hub.send(LARGE, Recipient(ALICE))
    if moment == "filed":
        hub.clock.advance(0)
    # It is gone, without a word.
    again = Hub(root, "2")
    assert done(again.journal.recover("boot")) == 0
    assert done(again.local.recover(again.ids())) == 6
    again.settle()
    for name, count in (("alice", 6), ("bob", 5)):
        assert len(again.mailbox(name)) == len(set(again.mailbox(name))) == count
    assert again.spooled() == 0
    assert not [path for path in (root / "spool" / "content").rglob("*") if path.is_file()]
    again.close()
