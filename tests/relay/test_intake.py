"""What is asked of mail on its way in, what is put before it, and when it is ours."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from mailhub.mail.address import NULL, Path, parse_path
from mailhub.mail.envelope import Envelope, Notify, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.net.content import Octets
from mailhub.net.journal import Journal
from mailhub.policy.access import Rules
from mailhub.policy.allowance import Action, Allowance, Used
from mailhub.policy.backup import Backup
from mailhub.policy.limits import IntakeLimits, JournalLimits
from mailhub.policy.retry import Schedule
from mailhub.ports.accounts import Account, Quota
from mailhub.ports.conversation import Client, Tls
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Accept, Count
from mailhub.queue.flow import Flow
from mailhub.queue.item import Expanded, Held, Item, Origin
from mailhub.queue.look import Reading
from mailhub.relay.addressees import members
from mailhub.relay.allowances import Allowances
from mailhub.relay.faults import refusal
from mailhub.relay.intake import HubIntake
from mailhub.relay.report import Reporter
from tests.policy.test_access import ALICE, DIRECTORY, STRANGER, USER
from tests.policy.test_alias import FakeDirectory, at
from tests.rig import run
from tests.wording import LANGUAGES, other

BOB = Recipient(at("bob"))
CAROL = Recipient(parse_path("carol@elsewhere.example"))
SENDER = parse_path("dan@elsewhere.example")
HEADER = b"Subject: hello\r\n\r\n"


class FakeLarge:
    """A `LargeContent` in memory."""

    def __init__(self, journal: FakeJournal, head: bytes) -> None:
        self.head = head
        self.journal = journal
        self.pieces: list[bytes] = []
        self.aborted = False

    async def write(self, octets: bytes) -> None:
        if self.journal.fault is not None:
            raise self.journal.fault
        self.pieces.append(octets)

    def stored(self) -> Octets:
        return Octets(b"the file: " + b"".join(self.pieces))

    async def abort(self) -> None:
        self.aborted = True


class FakeJournal:
    """Accepts at once, or when it is told to, or fails."""

    def __init__(self) -> None:
        self.limits = JournalLimits(inline=1000)
        self.accepted: list[tuple[Item, bytes]] = []
        self.also: list[Accept] = []
        self.counts: list[Count] = []
        self.files: list[FakeLarge] = []
        self.fault: OSError | None = None
        self.waiting: Deferred[None] | None = None

    def large(self, queue_id: QueueId, head: bytes = b"") -> FakeLarge:
        self.files.append(FakeLarge(self, head))
        return self.files[-1]

    async def accept(self, item: Item, content: bytes | FakeLarge, *also: Accept | Count) -> None:
        if self.waiting is not None:
            await self.waiting
        if self.fault is not None:
            raise self.fault
        octets = content if isinstance(content, bytes) else b"".join(content.pieces)
        self.accepted.append((item, octets))
        self.also += [each for each in also if isinstance(each, Accept)]
        self.counts += [each for each in also if isinstance(each, Count)]


class House:
    """An intake, and what comes out of it."""

    def __init__(
        self,
        directory: Any = DIRECTORY,
        limits: IntakeLimits | None = None,
        rules: Rules | None = None,
        **more: Any,
    ) -> None:
        self.journal = FakeJournal()
        self.announced: list[tuple[Item, Content]] = []
        self.number = 0
        rules = rules or Rules()
        reporter = Reporter(
            "hub.example",
            self.ids,
            lambda: 0.0,
            lambda bits: 7,
            lambda recipient: members(recipient, directory, rules.aliases),
            lambda item, place: Schedule(),
            LANGUAGES,
            other,
        )
        self.intake = HubIntake(
            cast("Journal", self.journal),
            directory,
            lambda item, content: self.announced.append((item, content)),
            reporter,
            "hub.example",
            self.ids,
            lambda: 0.0,
            rules,
            limits,
            **more,
        )

    def ids(self) -> QueueId:
        self.number += 1
        return QueueId(f"id{self.number}")

    def take(
        self,
        pieces: Iterable[bytes],
        *recipients: Recipient,
        client: Client = STRANGER,
        envelope: Envelope | None = None,
    ) -> Reply:
        """What a message is answered."""
        envelope = envelope or Envelope(SENDER)
        run(self.intake.sender(client, envelope))
        for recipient in recipients or (BOB,):
            run(self.intake.recipient(client, envelope, recipient))
            envelope = envelope.to(recipient)
        draft = run(self.intake.draft(client, envelope))
        written = False
        try:
            for piece in pieces:
                run(draft.write(piece))
            written = True
            reply: Reply = now(draft.commit())
        except Refusal as refusal:
            if not written:  # a failed commit ends the draft by itself
                run(draft.abort())
            return refusal.reply
        return reply

    @property
    def item(self) -> Item:
        return self.journal.accepted[-1][0]

    @property
    def content(self) -> bytes:
        return self.journal.accepted[-1][1]

    @property
    def received(self) -> str:
        """The Received field before the content."""
        return self.content.partition(b"+0000\r\n")[0].decode() + "+0000\r\n"


def now(coroutine: Any) -> Any:
    """The result of a coroutine over Deferreds that does not have to wait."""
    done = Deferred.fromCoroutine(coroutine)
    found: list[Any] = []
    done.addBoth(found.append)
    [result] = found
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


class TestContent:
    def test_received_in_front(self) -> None:
        """Mail is kept as it came, behind our Received."""
        house = House()
        message = HEADER + b"..\r\n\x00\xff\r\n"
        assert house.take([message]).text == "250 2.0.0 Ok, queued as id1"
        assert house.content.endswith(b"+0000\r\n" + message)
        assert house.received == (
            "Received: from [192.0.2.1] ([192.0.2.1])\r\n"
            "\tby hub.example (mailhub) with SMTP id id1\r\n"
            "\tfor <bob@hub.example>;\r\n"
            "\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        )
        assert house.item.size == len(house.content)
        [(item, content)] = house.announced
        assert item == house.item
        assert run(content.read()) == house.content

    @pytest.mark.parametrize(
        "message",
        [
            b"A: b\r\nC: d\r\n\r\nbody\r\n",
            b"\r\nbody without header\r\n",
            b"A: b\r\n",
            b"A: b\r\n\r\n",
            b"",
            b"no header, no end",
            b"A: b\r\n\r\n\r\n\r\n",
            b"A: " + b"x" * 3000 + b"\r\n\r\n" + b"y" * 3000,
        ],
    )
    def test_any_cut(self, message: bytes) -> None:
        """However it arrives, the same is kept."""
        cuts = [
            [message],
            [message[i : i + 1] for i in range(len(message))],
            [message[i : i + 700] for i in range(0, len(message), 700)],
            [message[: len(message) // 2], message[len(message) // 2 :]],
        ]
        for pieces in cuts:
            house = House(limits=IntakeLimits(piece=1500))
            assert house.take(pieces).code == 250
            assert house.content == house.received.encode() + message

    def test_large(self) -> None:
        """What does not fit into memory goes to a file, in pieces, with its head before it."""
        house = House(limits=IntakeLimits(piece=2000))
        body = [b"x" * 400] * 20
        assert house.take([HEADER, *body]).code == 250
        [file] = house.journal.files
        assert file.head == (
            b"Return-Path: <dan@elsewhere.example>\r\nDelivered-To: bob@hub.example\r\n"
        )
        assert max(map(len, file.pieces)) <= 2400
        assert len(file.pieces) > 2
        assert house.content == house.received.encode() + HEADER + b"".join(body)
        assert house.item.head == file.head
        assert house.item.size == len(house.content)
        assert cast("Octets", house.announced[0][1]).octets == b"the file: " + house.content

    @pytest.mark.parametrize("recipients", [[CAROL], [BOB, CAROL], [BOB, Recipient(at("alice"))]])
    def test_large_for_others(self, recipients: list[Recipient]) -> None:
        """A file that is not one mailbox's alone has no head."""
        house = House()
        house.take(
            [HEADER, b"x" * 2000],
            *recipients,
            client=replace(ALICE, submission=False),
            envelope=Envelope(NULL),
        )
        assert house.journal.files[0].head == house.item.head == b""

    def test_abort(self) -> None:
        """What is given up leaves nothing, large or small."""
        house = House(limits=IntakeLimits(piece=10))
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER + b"x" * 2000))
        run(draft.abort())
        run(draft.abort())
        assert house.journal.files[0].aborted
        assert house.journal.accepted == []


class TestHeader:
    def test_loop(self) -> None:
        """Too many hosts, or a mailbox it was in, end a loop (RFC 5321 §6.3)."""
        house = House(limits=IntakeLimits(hops=3))
        assert house.take([b"Received: x\r\n" * 3 + HEADER]).code == 250
        assert house.take([b"Received: x\r\n" * 4 + HEADER]).status == "5.4.6"
        assert house.take([b"Delivered-To: bob@hub.example\r\n" + HEADER]).status == "5.4.6"
        assert house.take([b"Delivered-To: carol@elsewhere.example\r\n" + HEADER]).code == 250

    def test_loop_without_header_end(self) -> None:
        """A message that is all header is judged at its end."""
        house = House(limits=IntakeLimits(hops=3))
        assert house.take([b"Received: x\r\n" * 4]).status == "5.4.6"
        assert house.journal.accepted == []

    def test_endless_header(self) -> None:
        """A header section without end is bounded: judged by its beginning, or refused."""
        house = House(limits=IntakeLimits(header=1000, hops=3))
        endless = [b"A: b\r\n" * 100] * 10
        assert house.take(endless).code == 250
        assert house.content.endswith(b"+0000\r\n" + b"".join(endless))
        assert house.take([b"Received: x\r\n" * 100] * 10).status == "5.4.6"
        assert house.take(endless, client=USER, envelope=Envelope(NULL)).status == "5.3.4"

    def test_stranger_is_not_mended(self) -> None:
        """Mail from other hosts passes as it is, odd or not."""
        message = b"Bcc: x\r\nFrom: alice@hub.example\r\nno field\r\n\r\n"
        house = House()
        house.take([message])
        assert house.content.endswith(b"+0000\r\n" + message)


class TestSubmission:
    def submit(self, house: House, message: bytes, client: Client = USER) -> Reply:
        envelope = Envelope(at("alice"))
        return house.take([message], CAROL, client=client, envelope=envelope)

    def test_mended(self) -> None:
        """Date and Message-ID are added, Bcc is removed, the rest stays (RFC 6409 §8)."""
        for client in (USER, ALICE):
            house = House()
            message = b"From: alice@hub.example\r\nBcc: eve@x.example\r\nTo: y\r\n\r\nBcc: body\r\n"
            assert self.submit(house, message, client).code == 250
            assert house.content.endswith(
                b"+0000\r\n"
                b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
                b"Message-ID: <id1@hub.example>\r\n"
                b"From: alice@hub.example\r\nTo: y\r\n\r\nBcc: body\r\n"
            )
            assert house.item.size == len(house.content)

    def test_no_header(self) -> None:
        """Text alone gets a header, and stays text."""
        house = House()
        self.submit(house, b"Hello\r\n")
        assert house.content.endswith(b"From: <alice@hub.example>\r\n\r\nHello\r\n")

    def test_other_sender(self) -> None:
        """A Sender who is somebody else goes."""
        house = House()
        self.submit(house, b"Sender: root@x\r\nFrom: alice@hub.example\r\n" + HEADER)
        assert b"root" not in house.content

    def test_not_mine(self) -> None:
        """Writing as somebody else is refused, at MAIL and in From."""
        house = House()
        assert self.submit(house, b"From: bob@hub.example\r\n" + HEADER).status == "5.7.1"
        with pytest.raises(Refusal):
            run(house.intake.sender(USER, Envelope(at("bob"))))
        house = House(rules=Rules(own_senders=False))
        assert self.submit(house, b"From: bob@hub.example\r\n" + HEADER).code == 250

    def test_tls_required(self) -> None:
        """What domains demand of TLS may fail, if a message says so alone (RFC 8689 §4.1)."""
        house = House()
        self.submit(house, b"TLS-Required: No\r\n" + HEADER)
        assert house.item.envelope.tls_optional
        house.take([b"TLS-Required: No\r\n" + HEADER])
        assert house.item.envelope.tls_optional
        strict = Envelope(SENDER, require_tls=True)
        house.take([b"TLS-Required: No\r\n" + HEADER], envelope=strict)
        assert not house.item.envelope.tls_optional

    def test_priority_in_received(self) -> None:
        """The priority that was asked for stands in Received (RFC 6710 §4.1)."""
        house = House()
        house.take([HEADER], envelope=Envelope(SENDER, priority=-3))
        assert "\r\n\tPRIORITY -3\r\n" in house.received

    def test_hidden_client(self) -> None:
        """Where our users are need not be told to the world; strangers are told of."""
        house = House(limits=IntakeLimits(hide_clients=True))
        self.submit(house, HEADER)
        assert "192.0.2.1" not in house.received
        house.take([HEADER])
        assert "192.0.2.1" in house.received

    def test_trace(self) -> None:
        """How it came stands in Received and in the item."""
        house = House()
        tls = Tls("TLSv1.3", "TLS_AES_128", lambda kind: None)
        client = replace(USER, tls=tls, helo="laptop", protocol="ESMTPSA")
        self.submit(house, HEADER, client)
        assert (
            "from laptop ([192.0.2.1])\r\n\tby hub.example (mailhub) with ESMTPSA id id1\r\n"
            in (house.received)
        )
        assert "(TLSv1.3 TLS_AES_128)" in house.received
        assert house.item.origin == Origin("192.0.2.1", "laptop", "ESMTPSA", "alice@hub.example")


class TestRecipients:
    def test_expanded(self) -> None:
        """The item has the members, here and elsewhere; nobody learns of the others."""
        directory = FakeDirectory(
            {"alice": True, "bob": True}, {"team": ["alice", "bob", "carol@elsewhere.example"]}
        )
        house = House(directory)
        assert house.take([HEADER], Recipient(at("team")), BOB).code == 250
        paths = [str(each.path) for each in house.item.envelope.recipients]
        assert paths == ["alice@hub.example", "bob@hub.example", "carol@elsewhere.example"]
        assert house.item.local == (0, 1)
        assert house.item.remote == (2,)
        assert "for" not in house.received

    def test_list_reported(self) -> None:
        """A sender who asked for success of a list gets it with the commit (RFC 3461 §5.2.7)."""
        directory = FakeDirectory({"alice": True, "bob": True}, {"team": ["alice", "bob"]})
        house = House(directory)
        house.take([HEADER], Recipient(at("team"), Notify.SUCCESS))
        assert isinstance(house.item.fates[0], Expanded)
        [notice] = house.journal.also
        assert notice.item.envelope.reverse_path == NULL
        assert [item for item, _ in house.announced] == [house.item, notice.item]
        assert b"Action: expanded" in (notice.content or b"")
        assert b"Subject: hello" in (notice.content or b"")

    def test_refused(self) -> None:
        """RCPT says no as policy does."""
        house = House()
        for path, status in ((at("nobody"), "5.1.1"), (CAROL.path, "5.7.1")):
            with pytest.raises(Refusal) as caught:
                run(house.intake.recipient(STRANGER, Envelope(), Recipient(path)))
            assert caught.value.reply.status == status

    def test_full(self) -> None:
        """A full mailbox is told at RCPT, where nobody else would get it; for later."""
        asked: list[tuple[str, int]] = []

        async def over_quota(account: Account, size: int) -> bool:
            asked.append((account.path.local, size))
            return account.path.local == "bob"

        house = House(LimitedDirectory(), over_quota=over_quota)
        envelope = Envelope(SENDER, size=5)
        with pytest.raises(Refusal) as caught:
            run(house.intake.recipient(STRANGER, envelope, BOB))
        assert caught.value.reply.text == "452 4.2.2 Mailbox full"
        run(house.intake.recipient(STRANGER, envelope, Recipient(at("team"))))
        run(house.intake.recipient(STRANGER, Envelope(), Recipient(at("out"))))
        run(house.intake.recipient(STRANGER, Envelope(), Recipient(at("free"))))
        run(House(LimitedDirectory()).intake.recipient(STRANGER, Envelope(), BOB))
        assert asked == [("bob", 5), ("bob", 5), ("alice", 5)]

    def test_vanished(self) -> None:
        """Who is gone between RCPT and DATA is refused then."""
        house = House()
        with pytest.raises(Refusal):
            run(house.intake.draft(STRANGER, Envelope(SENDER, (Recipient(at("nobody")),))))


@dataclass
class LimitedDirectory(FakeDirectory):
    """All but ``free`` have a quota."""

    accounts: dict[str, bool] = field(
        default_factory=lambda: {"alice": True, "bob": True, "free": True}
    )
    aliases: dict[str, list[str]] = field(
        default_factory=lambda: {"team": ["bob", "alice"], "out": ["bob", "x@elsewhere.example"]}
    )

    async def account(self, path: Path) -> Account | None:
        found = await super().account(path)
        if found is None or found.path.local == "free":
            return found
        return replace(found, quota=Quota(octets=10))


class BrokenDirectory(FakeDirectory):
    """Cannot be read, from the moment it is told so."""

    broken = True

    async def hosted(self, domain: str) -> bool:
        if self.broken:
            raise OSError(errno.EIO, "accounts.db")
        return await super().hosted(domain)


class TestAliases:
    @pytest.fixture
    def logged(self) -> Iterator[list[str]]:
        found: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            found.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        yield found
        globalLogPublisher.removeObserver(observe)

    def test_left_out(self, logged: list[str]) -> None:
        """Whoever an alias stands for and takes no mail is told to the log; the others get it."""
        directory = FakeDirectory({"bob": True, "gone": False}, {"both": ["bob", "gone"]})
        house = House(directory)
        assert house.take([HEADER], Recipient(at("both"))).code == 250
        assert [recipient.path for recipient in house.item.envelope.recipients] == [at("bob")]
        assert any("refused <gone@hub.example>, whom <both@hub.example>" in it for it in logged)


class TestFaults:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (errno.ENOSPC, "452 4.3.1 Out of disk space, try again later"),
            (errno.EDQUOT, "452 4.3.1 Out of disk space, try again later"),
            (errno.EIO, "451 4.3.0 Temporary failure, try again later"),
        ],
    )
    def test_disk(self, number: int, text: str) -> None:
        """A disk that says no is a reply; nothing is kept, nothing announced."""
        assert refusal(OSError(number, "x")).reply.text == text
        house = House()
        house.journal.fault = OSError(number, "x")
        assert house.take([HEADER]).text == text
        assert house.take([HEADER, b"x" * 3000]).text == text  # refused as it is committed
        assert house.journal.files[-1].aborted
        house = House(limits=IntakeLimits(piece=100))
        house.journal.fault = OSError(number, "x")
        assert house.take([HEADER, b"x" * 3000, b"y" * 3000]).text == text
        assert house.announced == []

    def test_directory(self) -> None:
        """So is a database of accounts that cannot be read."""
        directory = BrokenDirectory({"alice": True, "bob": True})
        house = House(directory)
        alice_at_work = Envelope(at("alice+work"))
        for asked in (
            house.intake.sender(USER, alice_at_work),
            house.intake.recipient(STRANGER, Envelope(), BOB),
            house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))),
        ):
            with pytest.raises(Refusal) as caught:
                run(cast("Any", asked))
            assert caught.value.reply.status == "4.3.0"
        directory.broken = False
        draft = run(house.intake.draft(USER, Envelope(SENDER, (BOB,))))
        directory.broken = True
        with pytest.raises(Refusal) as caught:
            run(draft.write(b"From: alice+work@hub.example\r\n\r\n"))
        assert caught.value.reply.status == "4.3.0"

    def test_quota_unknown(self) -> None:
        """And a mailbox whose quota cannot be read."""

        async def over_quota(account: Account, size: int) -> bool:
            raise OSError(errno.EIO, "maildirsize")

        house = House(LimitedDirectory(), over_quota=over_quota)
        with pytest.raises(Refusal) as caught:
            run(house.intake.recipient(STRANGER, Envelope(), BOB))
        assert caught.value.reply.status == "4.3.0"


class TestCommit:
    def test_not_before(self) -> None:
        """250 is said when the journal has said so."""
        house = House()
        house.journal.waiting = Deferred()
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER))
        reply = Deferred.fromCoroutine(draft.commit())
        assert not reply.called
        house.journal.waiting.callback(None)
        assert reply.called
        assert len(house.announced) == 1

    def test_client_gone(self) -> None:
        """A commit that was begun ends, and is announced, whoever hangs up."""
        house = House()
        waiting: Deferred[None] = Deferred()
        house.journal.waiting = waiting
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER))
        reply = Deferred.fromCoroutine(draft.commit())
        reply.addErrback(lambda failure: failure.trap(CancelledError))
        reply.cancel()
        with suppress(Refusal):
            run(draft.abort())
        waiting.callback(None)
        assert len(house.announced) == 1

    def test_waits_for_room(self) -> None:
        """Nothing is committed that local delivery could not bear."""
        room: Deferred[None] = Deferred()

        async def patience() -> None:
            await room

        house = House(patience=patience)
        draft = run(house.intake.draft(STRANGER, Envelope(SENDER, (BOB,))))
        run(draft.write(HEADER))
        reply = Deferred.fromCoroutine(draft.commit())
        assert house.journal.accepted == []
        room.callback(None)
        assert reply.called
        assert len(house.journal.accepted) == 1


class TestFlows:
    """Whose mail it is, of which class, and how urgent."""

    LETTER = b"From: a@hub.example\r\nSubject: x\r\n\r\n"

    def test_class(self) -> None:
        """A newsletter is bulk, a letter is not; strangers' mail is one flow."""
        house = House()
        house.take([self.LETTER])
        assert house.item.flow == Flow("", "normal", 0)
        house.take([b"Precedence: bulk\r\n" + self.LETTER])
        assert house.item.flow.name == "bulk"

    def test_urgent_only_for_some(self) -> None:
        """Who may not go before others is told which priority it is (RFC 6710 §4.1)."""
        house = House()
        reply = house.take([self.LETTER], envelope=Envelope(SENDER, priority=4))
        assert (reply.status, house.item.flow.priority) == ("2.3.6", 0)
        assert reply.lines[0].startswith("0 ")
        assert house.item.envelope.priority == 0, "and so are the hosts behind us"
        reply = house.take([self.LETTER], envelope=Envelope(SENDER, priority=-4))
        assert (reply.status, house.item.flow.priority) == ("2.0.0", -4)
        trusted = House(rules=Rules(trusted=(ip_network("192.0.2.0/24"),)))
        trusted.take([self.LETTER], envelope=Envelope(SENDER, priority=4))
        assert trusted.item.flow == Flow(SENDER.domain, "normal", 4)

    def test_released_later(self) -> None:
        """What is to be held for its sender is due when it is released."""
        house = House()
        house.take([self.LETTER], envelope=Envelope(SENDER, hold_for=60))
        assert house.item.release == house.item.arrived + 60
        assert house.item.local == ()


class TestBackups:
    """Domains that we take mail for while their own hosts are down."""

    FAR = Recipient(Path("eve", "backed.example"))

    def test_from_anybody(self) -> None:
        """Strangers may send there, and nowhere else."""
        house = House(rules=Rules(backups=(Backup("x", ("backed.example",)),)))
        assert house.take([b"\r\n"], self.FAR).positive
        assert house.item.remote == (0,)
        with pytest.raises(Refusal, match="Relaying denied"):
            house.take([b"\r\n"], Recipient(Path("eve", "far.example")))

    def test_only_who_is_there(self) -> None:
        """With a list of recipients, others are refused."""
        listed = Backup("x", ("backed.example",), frozenset({"ann@backed.example"}))
        house = House(rules=Rules(backups=(listed,)))
        with pytest.raises(Refusal, match=r"5\.1\.1"):
            house.take([b"\r\n"], self.FAR)

    def test_verified(self) -> None:
        """Or the domain's own hosts are asked; not about mail of our own users."""
        asked: list[str] = []

        class Verifying:
            async def check(self, path: Path) -> None:
                asked.append(str(path))
                raise Refusal(450, "1.1", "Later")

        backup = Backup("x", ("backed.example",), verify=True)
        rules = Rules(backups=(backup,), own_senders=False)
        house = House(rules=rules, verifier=Verifying())
        with pytest.raises(Refusal, match=r"450 4\.1\.1"):
            house.take([b"\r\n"], self.FAR)
        assert house.take([HEADER], self.FAR, client=USER).positive
        assert asked == ["eve@backed.example"]


class TestAllowances:
    """What those who have logged in may send."""

    def house(self, action: Action) -> House:
        house = House()
        reads = cast("Reading", NoneSent())
        limit = Allowance("accounts", recipients_per_hour=1, action=action)
        self.told: list[tuple[str, str]] = []
        house.intake.allowances = Allowances(
            (limit,), reads, lambda: 0.0, lambda *words: self.told.append(words)
        )
        return house

    def test_counted_and_held(self) -> None:
        """A message beyond the allowance is taken, held with the reason, and counted."""
        house = self.house(Action.HOLD)
        client = USER
        envelope = Envelope(at("alice"))
        letter = f"From: {at('alice')}\r\n\r\n".encode()
        far = [Recipient(Path(f"u{n}", "far.example")) for n in range(2)]
        assert house.take([letter], far[0], client=client, envelope=envelope).positive
        assert not any(isinstance(fate, Held) for fate in house.item.fates)
        assert house.take([letter], *far, client=client, envelope=envelope).positive
        assert all(isinstance(fate, Held) for fate in house.item.fates)
        assert [len(each.recipients) for each in house.journal.counts] == [1, 2]
        assert len(self.told) == 1

    def test_refused(self) -> None:
        """Or the recipient that is one too many is put off."""
        house = self.house(Action.REFUSE)
        client = USER
        far = [Recipient(Path(f"u{n}", "far.example")) for n in range(2)]
        with pytest.raises(Refusal, match=r"4\.7\.1"):
            house.take([b"\r\n"], *far, client=client, envelope=Envelope(at("alice")))


class NoneSent:
    """A spool in which nothing was sent yet."""

    def used(self, subject: str, hour: int) -> list[Used]:
        return []

    def strangers(self, subject: str, recipients: Sequence[int]) -> int:
        return len(recipients)
