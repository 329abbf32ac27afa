"""The judge of a run: what became of each message, and what must never happen.

    judge = Judge([one, other])
    content = judge.letter("first", "ann@one.example", ["ann@other.example"])
    ...                                 # hand it in
    judge.heard("first")                # its sender was told 250
    judge.disturbed()                   # after each crash, reset and partition
    judge.look(one)                     # as one who reads there; as often as you like
    assert judge.verdict() == []

It believes nobody: senders say what they were told, mailboxes are read over IMAP and POP3
(`sim.reading`), the spools as a command line would (`sim.evidence`), receivers
(`sim.receiver.Books`) say what they took, and a witness listens in on every connection
(`sim.witness`).

A message is *in doubt* when it was taken by the next hop and its sender cannot know: a
final reply was lost, or who heard it crashed before that was written. Such a message is
sent again (RFC 5321 §4.5.4.1, RFC 1047), and that alone excuses a second copy. Doubts
are counted at each disturbance: what waits in a spool and has been taken elsewhere. What a
middlebox hands in a second time (`wire.Link.doubled`) is counted apart: there are two
messages from then on, and each may come to its own end.

Invariants that it keeps, for each recipient of a message that got 250:

1. In the end it is one of delivered, bounced, waiting and cancelled.
2. It is delivered once, and once more at most for each doubt and for each doubling.
3. Where its sender wants to know of delivery, that is told, and for no more than there was.
4. It is bounced once, unless its sender is the null reverse-path: then never; and
   never where it was delivered, unless in doubt.
5. It does not wait beyond its expiry.
6. It is not sent any more once its sender was told that it is cancelled.

Of one that was refused nothing is delivered. And for whatever is seen in a mailbox: it is
whole; no UID and no unique-id ever means another message (RFC 9051 §2.3.1.1, RFC 1939 §7),
and none is given out that was passed already; it has not gone round. And on every connection:
each reply belongs to its command, 250 is said of what is durable, and nothing is sent faster
than the configuration says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from twisted.internet.defer import Deferred

from mailhub.mail.address import parse_address
from mailhub.sim import evidence, reading
from mailhub.sim.dialogue import Transaction
from mailhub.sim.evidence import Key, Waiting
from mailhub.sim.hub import SimHub
from mailhub.sim.manners import Why
from mailhub.sim.network import Host
from mailhub.sim.reading import Shelf
from mailhub.sim.receiver import Message, Receiver
from mailhub.sim.witness import Witness

EXPIRY: Final = 5 * 86400.0
"""Seconds that a message waits at most: the hub's own default (RFC 5321 §4.5.4.1)."""
HOPS: Final = 6
"""Received fields (RFC 5321 §4.4) of a message that has not gone round."""
_PATIENCE: Final = 60.0
"""Seconds of the world that reading a mailbox may take, looked at every so often."""
_MOMENT: Final = 0.001
_DELIVERED_INTO: Final = ("INBOX", "Archive")
"""Mailboxes that mail is delivered to, or is moved to from there."""


@dataclass(slots=True)
class Sent:
    """A message that somebody tried to hand in.

    Attributes:
        heard: The moment at which its sender was told 250; None as long as it was not.
        refused: Recipients that were not accepted.
        cancelled: Its sender has asked for it not to be sent.
        instead: Recipients, and those that were put in their places.
        notify: Its sender wants to be told of success.
    """

    name: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    heard: float | None = None
    refused: tuple[str, ...] = ()
    cancelled: bool = False
    instead: dict[str, str] = field(default_factory=dict)
    notify: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient.

    Attributes:
        copies, notices: How often it was delivered, and reported as failed.
        successes: How often it was reported as delivered.
        doubts: How often it was in doubt.
        doubled: How often a middlebox has handed it in.
        waits: It is still in a spool.
        most: Copies that there may be, since it was cancelled; None as long as it was not.
    """

    copies: int
    notices: int
    successes: int
    doubts: int
    doubled: int
    waits: bool
    most: int | None


_Reports = defaultdict[Key, set[str]]
"""For each recipient, the Message-IDs of what reports of it."""


class Judge:
    """Judges what happens in a world.

    Attributes:
        sent: By Message-ID.
        shelves: Mailboxes by account, as last seen over IMAP.
        witness: Who listens in.
        doubts: How often a recipient's fate was in doubt; `doubled` how often a middlebox
            has handed it in.
        wrong: What was wrong on the way.
    """

    def __init__(self, hubs: Sequence[SimHub], expiry: float = EXPIRY, hops: int = HOPS) -> None:
        self.sent: dict[str, Sent] = {}
        self.shelves: dict[str, dict[str, Shelf]] = {}
        self.doubts: defaultdict[Key, int] = defaultdict(int)
        self.doubled: Counter[Key] = Counter()
        self.wrong: list[str] = []
        self._hubs = {hub.host.name: hub for hub in hubs}
        self._world = hubs[0].world
        self._expiry = expiry
        self._hops = hops
        self._names: dict[tuple[str, str], bytes] = {}  # what was seen under a UID or unique-id
        self._next: dict[tuple[str, int], int] = {}  # UIDs that are still to come
        self._taken: Counter[Key] = Counter()  # by receivers
        self._most: dict[Key, int] = {}  # copies when it was cancelled
        self.witness = Witness(self._world.network, self._hubs, self._answered)

    # ---- What senders and operators say ----------------------------------------------------

    def letter(
        self,
        name: str,
        sender: str,
        recipients: Iterable[str],
        size: int = 0,
        *,
        notify: bool = False,
    ) -> bytes:
        """A message to hand in, of so many octets at least; `name` is nobody else's."""
        message_id = id_of(name)
        head = f"From: <{sender or 'nobody@judge.example'}>\r\nMessage-ID: {message_id}\r\n"
        head += f"Subject: {name}\r\n\r\n"
        lines = "".join(f"{name} line {number:06}\r\n" for number in range(size // 20 + 1))
        content = f"{head}{lines}end of {name}\r\n".encode()
        self.sent[message_id] = Sent(name, sender, tuple(recipients), content, notify=notify)
        return content

    def heard(self, name: str, codes: Sequence[int] = ()) -> None:
        """The final reply to a message was 250, and its sender heard it; `codes` of recipients."""
        sent = self.sent[id_of(name)]
        sent.heard = self._world.now
        if codes:
            answered = list(zip(sent.recipients, codes, strict=True))
            sent.recipients = tuple(path for path, code in answered if code < 300)
            sent.refused = tuple(path for path, code in answered if code >= 300)

    def cancelled(self, name: str, *, surely: SimHub | None = None) -> None:
        """Its sender wants it no more; what has left by then has left.

        `surely` is the hub that has told him so: what it holds no more must not go on from there.
        """
        message_id = id_of(name)
        self.sent[message_id].cancelled = True
        if surely is None or not self.witness.quiet(surely):
            return
        taken = self._arrived()
        others = (hub for hub in self._hubs.values() if hub is not surely)
        elsewhere = {it.key for hub in others for it in evidence.waiting(hub)}
        for recipient in self.sent[message_id].recipients:
            key = message_id, recipient
            if key not in elsewhere:
                self._most[key] = len(taken[key]) + self._taken[key]

    def edited(self, name: str, old: str, new: str) -> None:
        """A recipient may have been replaced by another."""
        self.sent[id_of(name)].instead[old] = new

    # ---- What receivers and the witness say ------------------------------------------------

    def accepted(
        self,
        receiver: Receiver,
        message: Message,
        now: float,  # noqa: ARG002
        *,
        heard: bool,
    ) -> None:
        """A receiver took a message."""
        message_id = evidence.message_id_of(message.content)
        for recipient in message.recipients:
            key = message_id, recipient
            self._taken[key] += 1
            self.doubts[key] += not heard
        self._whole(message_id, message.content, receiver.manners.name)

    def refused(self, receiver: Receiver, why: Why, number: int, now: float) -> None:
        """See `sim.receiver.Books`, here and below: nothing to judge."""

    def afterwards(self, receiver: Receiver, now: float, *, bounced: bool) -> None: ...
    def calls(self, receiver: Receiver, open_: int, now: float) -> None: ...

    def _answered(self, host: Host, transaction: Transaction, copied: bool) -> None:
        """A server has said what becomes of a message."""
        if transaction.code >= 300:
            return
        message_id = evidence.message_id_of(transaction.content)
        self._round(message_id, transaction.content, host.name)
        if copied:
            self.doubled.update((message_id, path) for path in transaction.accepted)
        hub = self._hubs.get(host.name)
        if hub is None:
            return
        here = [it for it in evidence.waiting(hub) if it.key[0] == message_id]
        if not here and not any(key[0] == message_id for key in self._arrived()):
            self.wrong.append(f"{host.name}: 250 for {message_id}, which is nowhere")
        if transaction.account and not all(it.held for it in here):
            allowances = hub.settings.allowances
            account = parse_address(transaction.account)
            paths, now = transaction.accepted, self._world.now
            self.witness.rates.submitted(host.name, allowances, account, paths, now)

    # ---- What is to be seen ----------------------------------------------------------------

    def disturbed(self) -> None:
        """Something went wrong this moment: which messages are in doubt now?"""
        taken = self._arrived()
        for each in self._waiting():
            if not each.ours:
                key = each.key
                self.doubts[key] = max(self.doubts[key], len(taken[key]) + self._taken[key])

    @property
    def waits(self) -> bool:
        """Whether something waits anywhere, and not for somebody to let it go."""
        return any(not each.held for each in self._waiting())

    def _waiting(self) -> Iterator[Waiting]:
        for hub in self._hubs.values():
            yield from evidence.waiting(hub)

    def _arrived(self) -> defaultdict[Key, set[object]]:
        """What hubs have taken for their own mailboxes, filed or not: by queue id."""
        found: defaultdict[Key, set[object]] = defaultdict(set)
        for hub in self._hubs.values():
            for each in evidence.waiting(hub):
                if each.ours:
                    found[each.key].add((hub.host.name, each.queue_id))
            for account, path in evidence.files(hub):
                message_id = evidence.message_id_of(path.read_bytes())
                queue_id = path.name.partition("_")[2].partition(".")[0].partition("-")[0]
                found[message_id, account].add((hub.host.name, queue_id))
        return found

    def look(self, hub: SimHub, *, may_fail: bool = False) -> None:
        """Read all mailboxes of a running hub, over IMAP and POP3; the world goes on meanwhile.

        It `may_fail` while the disk does.
        """
        for address in hub.addresses:
            limit = self._world.now + _PATIENCE
            done: list[object] = []
            looking = Deferred.fromCoroutine(self._read(hub, address))
            looking.addBoth(done.append)
            while not done and hub.hub is not None and self._world.now < limit:
                self._world.run(_MOMENT)
            if hub.hub is None:
                return  # it crashed while we read
            if done != [None] and not may_fail:
                self.wrong.append(f"{address} could not be read: {done}")

    async def _read(self, hub: SimHub, address: str) -> None:
        password = hub.passwords[address]
        apart = (hub.settings.journey.mailbox,)
        shelves = await reading.by_imap(hub.host, address, password, apart)
        for shelf in shelves.values():
            self._shelved(address, shelf)
        self.shelves[address] = shelves
        drop, faults = await reading.by_pop3(hub.host, address, password)
        self.wrong += [f"{address}: {fault}" for fault in faults]
        for name, octets in drop.items():
            self._seen(f"{address} by POP3", name, octets)

    def _shelved(self, address: str, shelf: Shelf) -> None:
        """A mailbox was seen."""
        where = f"{address} {shelf.name} {shelf.validity}"
        place = f"{address} {shelf.name}", shelf.validity
        self.wrong += [f"{where}: {fault}" for fault in shelf.faults]
        before = self._next.get(place, 1)
        if shelf.uid_next < before:
            self.wrong.append(f"{where}: UIDNEXT is {shelf.uid_next} and was {before}")
        for uid, octets in shelf.messages.items():
            if uid >= shelf.uid_next:
                self.wrong.append(f"{where}: UID {uid}, and UIDNEXT is {shelf.uid_next}")
            self._seen(where, str(uid), octets)
        self._next[place] = max(before, shelf.uid_next)

    def _seen(self, where: str, name: str, octets: bytes) -> None:
        """A message is in a mailbox under a UID, or a unique-id."""
        digest = sha256(octets).digest()
        if self._names.setdefault((where, name), digest) != digest:
            self.wrong.append(f"{where}: under {name} is another message than there was")
        message_id = evidence.message_id_of(octets)
        self._round(message_id, octets, where)
        self._whole(message_id, octets, f"{where}: {name}")

    def _round(self, message_id: str, octets: bytes, where: str) -> None:
        if len(evidence.head_of(octets).get_all("Received", [])) > self._hops:
            self.wrong.append(f"{where}: {message_id} went round")

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

    def _inboxes(self) -> Iterator[tuple[str, bytes]]:
        """Accounts, and the messages in their INBOX."""
        for address, shelves in self.shelves.items():
            for name in _DELIVERED_INTO:
                if (shelf := shelves.get(name)) is not None:
                    yield from ((address, octets) for octets in shelf.messages.values())

    def _copies(self) -> Counter[Key]:
        """How often each message has arrived."""
        found: Counter[Key] = Counter(self._taken)
        found.update((evidence.message_id_of(octets), who) for who, octets in self._inboxes())
        return found

    def _notices(self) -> tuple[_Reports, _Reports]:
        """The reports of failure, and of success."""
        failed, delivered = _Reports(set), _Reports(set)
        for _, octets in self._inboxes():
            notice = evidence.notice(octets)
            if notice is None:
                continue
            for found, recipients in ((failed, notice.failed), (delivered, notice.delivered)):
                for recipient in recipients:
                    found[notice.about, recipient].add(evidence.message_id_of(octets))
        return failed, delivered

    def verdict(self) -> list[str]:
        """Look once more everywhere, and say what is wrong; nothing if all is well.

        All hubs must be running.
        """
        for hub in self._hubs.values():
            self.look(hub)
        waits = {each.key for each in self._waiting()}
        copies, (failed, delivered) = self._copies(), self._notices()
        found = [*self.wrong, *self.witness.faults]
        for message_id, sent in self.sent.items():
            for recipient in sent.recipients:
                paths = {recipient, sent.instead.get(recipient, recipient)}
                keys = [(message_id, path) for path in paths]
                fate = Fate(
                    sum(copies[key] for key in keys),
                    sum(len(failed[key]) for key in keys),
                    sum(len(delivered[key]) for key in keys),
                    sum(self.doubts[key] for key in keys),
                    sum(self.doubled[key] for key in keys),
                    any(key in waits for key in keys),
                    self._most.get((message_id, recipient)),
                )
                faults = self._faults(sent, recipient, fate)
                found += [f"{sent.name} to {recipient}: {fault}" for fault in faults]
            for recipient in sent.refused:
                if copies[message_id, recipient]:
                    found.append(f"{sent.name} to {recipient}: refused, and delivered")
        for key, number in copies.items():
            if key[0] not in self.sent and number > 1 + self.doubts[key] + self.doubled[key]:
                found.append(f"notice {key[0]} to {key[1]}: {number} copies")
        return found

    def _faults(self, sent: Sent, recipient: str, fate: Fate) -> Iterator[str]:
        somewhere = fate.copies or fate.notices or fate.waits or sent.cancelled
        several = fate.doubts or fate.doubled
        # Nobody can be told of what a null reverse-path could not reach.
        ours = any(recipient in hub.addresses for hub in self._hubs.values())
        if sent.heard is not None and not somewhere and (sent.sender or ours):
            yield "lost"
        if fate.copies > 1 + fate.doubts + fate.doubled:
            yield f"{fate.copies} copies, {fate.doubts} doubts"
        if fate.notices > 1 + fate.doubled:
            yield f"bounced {fate.notices} times"
        if fate.notices and not sent.sender:
            yield "bounced to nobody"
        if fate.notices and fate.copies and not several:
            yield "bounced and delivered"
        if fate.waits and (fate.notices or fate.copies) and not several:
            yield "waits, and was settled"
        if fate.waits and sent.heard is not None and self._world.now > sent.heard + self._expiry:
            yield "waits beyond its expiry"
        if fate.successes > fate.copies:
            yield f"reported as delivered {fate.successes} times"
        if sent.notify and fate.copies and not fate.successes and sent.heard is not None:
            yield "delivered, and its sender was not told"
        if fate.most is not None and fate.copies > fate.most + fate.doubts + fate.doubled:
            yield "sent after it was cancelled"


def id_of(name: str) -> str:
    """The Message-ID of a message."""
    return f"<{name.replace(' ', '.')}@judge.example>"
