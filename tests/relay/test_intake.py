"""What is asked of mail on its way in: at MAIL, RCPT and DATA."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
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
from mailhub.ports.conversation import Client
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Accept, Count
from mailhub.queue.item import Expanded, Held, Item
from mailhub.queue.look import Reading
from mailhub.relay.addressees import members
from mailhub.relay.allowances import Allowances
from mailhub.relay.faults import refusal
from mailhub.relay.intake import MEMBERS, HubIntake
from mailhub.relay.report import Reporter
from tests.policy.test_access import DIRECTORY, STRANGER, USER
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

    def test_many_members(self) -> None:
        """A large list that is named again and again is looked at in turns, and gets mail once."""
        outside = [f"m{number}@elsewhere.example" for number in range(MEMBERS // 2)]
        directory = FakeDirectory({"bob": True}, {"all": outside})
        turns: list[None] = []

        async def turn() -> None:
            turns.append(None)

        house = House(directory, turn=turn)
        tagged = [Recipient(at(f"all+{number}")) for number in range(4)]
        assert house.take([HEADER], Recipient(at("all")), *tagged).code == 250
        assert len(turns) == 2
        assert len(house.item.envelope.recipients) == len(outside)


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
