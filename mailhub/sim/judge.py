"""The judge of a run: what became of each message, and what must never happen.

    judge = Judge([one, other])
    content = judge.letter("first", "ann@one.example", ["ann@other.example"])
    ...                                 # hand it in
    judge.heard("first")                # its sender was told 250
    judge.disturbed()                   # after each crash, reset and partition
    judge.look(one)                     # as one who reads there; as often as you like
    assert judge.verdict() == []

It believes nobody: senders say what they were told, the mailboxes are read as IMAP reads
them, the spools as a command line would, and receivers (`sim.receiver.Books`) say
what they took.

A message is *in doubt* when it was taken by the next hop and its sender cannot know: a
final reply was lost, or who heard it crashed before that was written. Such a message is
sent again (RFC 5321 §4.5.4.1, RFC 1047), and that alone excuses a second copy. Doubts
are counted at each disturbance: what waits in a spool and has been taken elsewhere.

Invariants that it keeps, for each recipient of a message that got 250:

1. In the end it is one of delivered, bounced, waiting and cancelled.
2. It is delivered once, and once more at most for each doubt.
3. It is bounced once, unless its sender is the null reverse-path: then never; and
   never where it was delivered, unless in doubt.
4. It does not wait beyond its expiry.

And for whatever is seen in a mailbox: it is whole; no UID ever means another
message (RFC 9051 §2.3.1.1); it has not gone round.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.message import Message as Parsed
from hashlib import sha256
from pathlib import Path as File
from typing import Final

from twisted.internet.defer import Deferred

from mailhub.mail.address import parse_address
from mailhub.ports.message import Uid
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Select
from mailhub.queue.item import Held, Item, Pending
from mailhub.queue.rows import State
from mailhub.queue.spool import Spool
from mailhub.sim.disk import QuickDisk
from mailhub.sim.hub import SimHub
from mailhub.sim.manners import Why
from mailhub.sim.receiver import Message, Receiver

EXPIRY: Final = 5 * 86400.0
"""Seconds that a message waits at most: the hub's own default (RFC 5321 §4.5.4.1)."""
_HOPS: Final = 6
"""Received fields (RFC 5321 §4.4) of a message that has not gone round."""
_PATIENCE: Final = 60.0
"""Seconds of the world that reading a mailbox may take, looked at every so often."""
_MOMENT: Final = 0.001
_OF_REPORTS: Final = ("multipart/report", "message/rfc822", "message/delivery-status")
_WAITING: Final = (State.PENDING, State.HELD, State.LOCAL, State.FILED)

Key = tuple[str, str]
"""A Message-ID, and a recipient."""


@dataclass(slots=True)
class Sent:
    """A message that somebody tried to hand in.

    Attributes:
        heard: The moment at which its sender was told 250; None as long as it was not.
        cancelled: Its sender has asked for it not to be sent.
    """

    name: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    heard: float | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient.

    Attributes:
        copies, notices: How often it was delivered, and reported as failed.
        doubts: How often it was in doubt.
        waits: It is still in a spool.
    """

    copies: int
    notices: int
    doubts: int
    waits: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A report of failure, as far as it matters here (RFC 3464)."""

    about: str
    recipients: tuple[str, ...]


class Judge:
    """Judges what happens in a world.

    Attributes:
        sent: By Message-ID.
        doubts: How often a recipient's fate was in doubt.
        wrong: What was wrong on the way.
    """

    def __init__(self, hubs: Sequence[SimHub], expiry: float = EXPIRY) -> None:
        self.sent: dict[str, Sent] = {}
        self.doubts: defaultdict[Key, int] = defaultdict(int)
        self.wrong: list[str] = []
        self._hubs = hubs
        self._world = hubs[0].world
        self._expiry = expiry
        self._uids: dict[tuple[str, int, int], bytes] = {}
        self._taken: Counter[Key] = Counter()  # by receivers
        self._inboxes: dict[str, list[tuple[str, Notice | None]]] = {}  # as last seen

    # ---- What senders and operators say ----------------------------------------------------

    def letter(self, name: str, sender: str, recipients: Iterable[str], size: int = 0) -> bytes:
        """A message to hand in, of so many octets at least; `name` is nobody else's."""
        message_id = _message_id(name)
        head = f"From: <{sender or 'nobody@judge.example'}>\r\nMessage-ID: {message_id}\r\n"
        head += f"Subject: {name}\r\n\r\n"
        lines = "".join(f"{name} line {number:06}\r\n" for number in range(size // 20 + 1))
        content = f"{head}{lines}end of {name}\r\n".encode()
        self.sent[message_id] = Sent(name, sender, tuple(recipients), content)
        return content

    def heard(self, name: str, codes: Sequence[int] = ()) -> None:
        """The final reply to a message was 250, and its sender heard it; `codes` of recipients."""
        sent = self.sent[_message_id(name)]
        sent.heard = self._world.now
        if codes:
            sent.recipients = tuple(
                path for path, code in zip(sent.recipients, codes, strict=True) if code < 300
            )

    def cancelled(self, name: str) -> None:
        """Its sender wants it no more; what has left by then has left."""
        self.sent[_message_id(name)].cancelled = True

    # ---- What receivers say: `sim.receiver.Books` ------------------------------------------

    def accepted(
        self,
        receiver: Receiver,
        message: Message,
        now: float,  # noqa: ARG002
        *,
        heard: bool,
    ) -> None:
        """A receiver took a message."""
        message_id = str(message_from_bytes(message.content)["Message-ID"])
        for recipient in message.recipients:
            key = message_id, recipient
            self._taken[key] += 1
            self.doubts[key] += not heard
        self._whole(message_id, message.content, receiver.manners.name)

    def refused(self, receiver: Receiver, why: Why, number: int, now: float) -> None:
        """See `sim.receiver.Books`, here and below: nothing to judge."""

    def calls(self, receiver: Receiver, open_: int, now: float) -> None: ...

    # ---- What is to be seen ----------------------------------------------------------------

    def disturbed(self) -> None:
        """Something went wrong this moment: which messages are in doubt now?"""
        taken = self._arrived()
        for hub in self._hubs:
            for key, _, ours in _waiting(hub):
                if not ours:
                    self.doubts[key] = max(self.doubts[key], len(taken[key]) + self._taken[key])

    def _arrived(self) -> defaultdict[Key, set[object]]:
        """What hubs have taken for their own mailboxes, filed or not: by queue id."""
        found: defaultdict[Key, set[object]] = defaultdict(set)
        for hub in self._hubs:
            for key, queue_id, ours in _waiting(hub):
                if ours:
                    found[key].add((hub.host.name, queue_id))
            for account, path in _files(hub):
                message_id = str(message_from_bytes(path.read_bytes())["Message-ID"])
                queue_id = path.name.partition("_")[2].partition(".")[0].partition("-")[0]
                found[message_id, account].add((hub.host.name, queue_id))
        return found

    def look(self, hub: SimHub, *, may_fail: bool = False) -> None:
        """Read all INBOXes of a running hub, as over IMAP; the world goes on meanwhile.

        It `may_fail` while the disk does.
        """
        for address in hub.addresses:
            limit = self._world.now + _PATIENCE
            done: list[object] = []
            reading = Deferred.fromCoroutine(self._read(hub, address))
            reading.addBoth(done.append)
            while not done and hub.hub is not None and self._world.now < limit:
                self._world.run(_MOMENT)
            if hub.hub is None:
                return  # it crashed while we read
            if done != [None] and not may_fail:
                self.wrong.append(f"{address} could not be read: {done}")

    async def _read(self, hub: SimHub, address: str) -> None:
        parts = hub.parts
        account = await parts.accounts.account(parse_address(address))
        assert account is not None, "it was made with the hub"
        box = await (await parts.stores.of(account)).open("INBOX")
        await box.refresh()
        seen: list[tuple[str, Notice | None]] = []
        uids = [Uid(uid) for uid in box.uids]
        for uid, octets in zip(uids, await box.whole(uids), strict=True):
            if octets is not None:
                seen.append(self._seen((address, int(box.uid_validity), uid), octets))
        self._inboxes[address] = seen
        await box.release()

    def _seen(self, place: tuple[str, int, int], octets: bytes) -> tuple[str, Notice | None]:
        """A message is in a mailbox under a UID."""
        where = f"{place[0]}, UID {place[2]}"
        digest = sha256(octets).digest()
        if self._uids.setdefault(place, digest) != digest:
            self.wrong.append(f"{where}: another message than it was")
        parsed = message_from_bytes(octets)
        message_id = str(parsed["Message-ID"])
        if len(parsed.get_all("Received", [])) > _HOPS:
            self.wrong.append(f"{where}: {message_id} went round")
        self._whole(message_id, octets, where)
        return message_id, _notice(parsed)

    def _whole(self, message_id: str, octets: bytes, where: str) -> None:
        sent = self.sent.get(message_id)
        if sent is not None:
            whole = octets.endswith(sent.content)
        else:
            whole = octets.rstrip().endswith(b"--")  # a report: the end of its multipart
        if not whole:
            self.wrong.append(f"{where}: {message_id} is not whole, {len(octets)} octets")

    # ---- The verdict -----------------------------------------------------------------------

    @property
    def duplicates(self) -> int:
        """Copies beyond the first, of all messages, as last seen."""
        return sum(max(0, copies - 1) for copies in self._copies().values())

    def _copies(self) -> Counter[Key]:
        """How often each message has arrived."""
        found: Counter[Key] = Counter(self._taken)
        for address, seen in self._inboxes.items():
            found.update((message_id, address) for message_id, _ in seen)
        return found

    def _notices(self) -> defaultdict[Key, set[str]]:
        """For each recipient that failed, the Message-IDs of the reports."""
        found: defaultdict[Key, set[str]] = defaultdict(set)
        for seen in self._inboxes.values():
            for message_id, notice in seen:
                for recipient in notice.recipients if notice is not None else ():
                    found[notice.about, recipient].add(message_id)  # type: ignore[union-attr]
        return found

    def verdict(self) -> list[str]:
        """Look once more everywhere, and say what is wrong; nothing if all is well.

        All hubs must be running.
        """
        for hub in self._hubs:
            self.look(hub)
        waiting = {key for hub in self._hubs for key, _, _ in _waiting(hub)}
        copies, notices = self._copies(), self._notices()
        found = list(self.wrong)
        for message_id, sent in self.sent.items():
            for recipient in sent.recipients:
                key = message_id, recipient
                fate = Fate(copies[key], len(notices[key]), self.doubts[key], key in waiting)
                faults = self._faults(sent, recipient, fate)
                found += [f"{sent.name} to {recipient}: {fault}" for fault in faults]
        for key, number in copies.items():
            if key[0] not in self.sent and number > 1 + self.doubts[key]:
                found.append(f"notice {key[0]} to {key[1]}: {number} copies")
        return found

    def _faults(self, sent: Sent, recipient: str, fate: Fate) -> Iterator[str]:
        somewhere = fate.copies or fate.notices or fate.waits or sent.cancelled
        # Nobody can be told of what a null reverse-path could not reach.
        silent = not sent.sender and not any(recipient in hub.addresses for hub in self._hubs)
        if sent.heard is not None and not somewhere and not silent:
            yield "lost"
        if fate.copies > 1 + fate.doubts:
            yield f"{fate.copies} copies, {fate.doubts} doubts"
        if fate.notices > 1:
            yield f"bounced {fate.notices} times"
        if fate.notices and not sent.sender:
            yield "bounced to nobody"
        if fate.notices and fate.copies and not fate.doubts:
            yield "bounced and delivered"
        if fate.waits and (fate.notices or (fate.copies and not fate.doubts)):
            yield "waits, and was settled"
        if fate.waits and sent.heard is not None and self._world.now > sent.heard + self._expiry:
            yield "waits beyond its expiry"


def _message_id(name: str) -> str:
    return f"<{name.replace(' ', '.')}@judge.example>"


def _waiting(hub: SimHub) -> Iterator[tuple[Key, str, bool]]:
    """What a spool holds, of a running hub or one that has crashed: queue id; and whether ours."""
    spool = Spool(hub.settings.hub.spool, connect=QuickDisk().connect)
    try:
        after: QueueId | None = None
        while found := spool.find(Select(), after, states=_WAITING):
            for item in found:
                message_id = str(message_from_bytes(_content(spool, item))["Message-ID"])
                for place, fate in enumerate(item.fates):
                    if isinstance(fate, Pending | Held):
                        recipient = str(item.envelope.recipients[place].path)
                        ours = item.places[place] is not None
                        yield (message_id, recipient), item.queue_id, ours
            after = found[-1].queue_id
    finally:
        spool.close()


def _content(spool: Spool, item: Item) -> bytes:
    stored = spool.content(item.queue_id)
    return stored if isinstance(stored, bytes) else File(stored).read_bytes()


def _files(hub: SimHub) -> Iterator[tuple[str, File]]:
    """The messages in INBOXes, whoever can see them, with their accounts."""
    for address in hub.addresses:
        user, _, domain = address.partition("@")
        inbox = File(hub.state, "mail", domain, user)
        for path in (*inbox.glob("new/*"), *inbox.glob("cur/*")):
            yield address, path


def _notice(parsed: Parsed) -> Notice | None:
    """What a message reports, if it is a report of failure."""
    if parsed.get_content_type() != "multipart/report":
        return None
    about, failed = "", []
    for part in parsed.walk():
        if part.get_content_type() == "text/rfc822-headers":
            about = str(message_from_string(str(part.get_payload()))["Message-ID"])
        elif part["Action"] == "failed":
            failed.append(str(part["Final-Recipient"]).partition(";")[2].strip())
        elif part.get_content_type() not in _OF_REPORTS and part["Message-ID"]:
            about = str(part["Message-ID"]) if part is not parsed else about
    return Notice(about, tuple(failed)) if failed else None
