"""A mail store in memory, and logins, for tests of sessions: all of `MailStore`, no disk."""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from mailhub.imap.sequence import merged
from mailhub.imap.structure import summary
from mailhub.imap.unindexed import Unindexed
from mailhub.mail import header
from mailhub.mail.address import Path
from mailhub.mail.digest import Digest, digest
from mailhub.mail.flag import DELETED, KEYWORD_LIMIT, KEYWORD_SHIFT, SEEN, SYSTEM_FLAGS
from mailhub.mail.objectid import object_id
from mailhub.mail.part import Part, parse
from mailhub.mail.rights import ALL, NONE, Acl, Rights, modified
from mailhub.ports.accounts import (
    Account,
    AccountId,
    LoginFault,
    LoginRefused,
    Logins,
    Quota,
    ScramKeys,
    ScramProof,
)
from mailhub.ports.conversation import Tls
from mailhub.ports.finding import Conversation, Found, Place, SentOn, Sorting, Sought, Threadable
from mailhub.ports.message import (
    Appending,
    Change,
    FlagAction,
    Identity,
    ModSeq,
    Placed,
    Ranges,
    Rendering,
    Stored,
    Uid,
    UidValidity,
)
from mailhub.ports.store import Affair, Listed, Notice, Status, StoreFault, StoreRefused, Usage
from mailhub.sasl.mechanism import Exchange, Malformed

UNLIMITED = Quota()
NOW = 1_700_000_000
"""Tue, 14 Nov 2023 22:13:20 UTC: the fake's only moment."""


class FakeContent:
    """A message's octets; `reads` are what it was asked for."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.size = len(octets)
        self.closed = False
        self.reads: list[tuple[int, int | None]] = []

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        self.reads.append((offset, length))
        end = None if length is None else offset + length
        return self._octets[offset:end]

    def close(self) -> None:
        self.closed = True


def holds(digest: Digest, sought: Sought) -> bool:
    """Whether a message holds a text where it is sought, by the brute model."""
    if sought.place is Place.TEXT:
        return any(sought.text in line for line in digest.head.split("\n")) or (
            sought.text in digest.body
        )
    value = getattr(digest, sought.place.value)
    return value is not None and sought.text in value


class FakeMailbox(Unindexed):
    """A mailbox in memory.

    Attributes:
        memory: Changes that are remembered.
        floor: The MODSEQ above which expunges are remembered.
        doubt: MODSEQs between these are of what never was.
        during: Called amid each method that waits: other sessions' doings.
        indexed: It has a full-text index; `unsure` are the UIDs of which that cannot tell.
        left: Messages that the index has still to learn.
        synced: The MODSEQ up to which flags are durable.
    """

    def __init__(self, name: str, uid_validity: int = 7) -> None:
        self.name = name
        self.uid_validity = UidValidity(uid_validity)
        self.uid_next = Uid(1)
        self.highest_modseq = ModSeq(1)
        self.keywords: list[str] = []
        self.uids: array[int] = array("I")
        self.flags: array[int] = array("I")
        self.modseqs: array[int] = array("Q")
        self.sizes: array[int] = array("Q")
        self.dates: array[int] = array("q")
        self.octets: dict[int, bytes] = {}
        self.opened = self.released = self.refreshed = 0
        self.memory = 1_000_000
        self.synced = ModSeq(0)
        self.during: Callable[[], None] = lambda: None
        self.contents: list[FakeContent] = []
        self.parsed: list[Uid] = []
        self.indexed = False
        self.unsure: set[int] = set()
        self.left = self.learnt = self.ordered = self.threaded = 0
        self.digested: list[Uid] = []
        self.remembered: dict[Hashable, object] = {}
        self.conversing: dict[str, set[Conversation]] = {}
        self.summarised: set[Uid] = set()  # their summaries are made
        self.special_use: tuple[str, ...] = ()
        self.mailbox_id = f"F{uid_validity}"
        self.floor = 0
        self.doubt = (0, 0)
        self.expunged: list[tuple[int, int]] = []  # MODSEQ and UID
        self.rights = ALL
        self.ended = ""
        self.acl: dict[str, Rights] = {}
        self.entries: dict[str, bytes] = {}
        self._recent: set[Uid] = set()
        self._log: list[tuple[Change, Uid]] = []
        self._watchers: list[Callable[[], None]] = []
        self._usage: Callable[[int, int], None] = lambda _octets, _messages: None

    @property
    def cursor(self) -> int:
        return len(self._log)

    # ---- What happens by itself ----

    def deliver(self, octets: bytes, flags: int = 0, date: int = NOW) -> Uid:
        """A message arrives."""
        uid = self.uid_next
        self.uid_next = Uid(uid + 1)
        self.uids.append(uid)
        self.flags.append(flags)
        self.sizes.append(len(octets))
        self.dates.append(date)
        self.modseqs.append(self._bump())
        self.octets[uid] = octets
        self._recent.add(uid)
        self._tell([(Change.ARRIVED, uid)])
        return uid

    @property
    def recent_count(self) -> int:
        return len(self._recent)

    def _bump(self) -> int:
        self.highest_modseq = ModSeq(self.highest_modseq + 1)
        return self.highest_modseq

    def _tell(self, changes: Iterable[tuple[Change, Uid]]) -> None:
        some = list(changes)
        if any(change is not Change.FLAGGED for change, _ in some):
            self.remembered.clear()
        self._log.extend(some)
        for woken in tuple(self._watchers):
            woken()

    # ---- Mailbox ----

    def position(self, uid: Uid) -> int | None:
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else None

    def changes(self, cursor: int) -> Sequence[tuple[Change, Uid]] | None:
        return None if len(self._log) - cursor > self.memory else self._log[cursor:]

    def take_recent(self) -> frozenset[Uid]:
        taken = frozenset(uid for uid in self._recent if self.position(uid) is not None)
        self._recent.clear()
        return taken

    def watch(self, woken: Callable[[], None]) -> None:
        self._watchers.append(woken)

    def unwatch(self, woken: Callable[[], None]) -> None:
        self._watchers.remove(woken)

    async def refresh(self) -> None:
        self.refreshed += 1
        self.during()

    def doubtful(self, modseq: ModSeq) -> bool:
        return self.doubt[0] < modseq < self.doubt[1]

    async def vanished(self, modseq: ModSeq) -> Ranges | None:
        self.during()
        if modseq < self.floor or self.doubtful(modseq):
            return None
        return merged((uid, uid) for at, uid in self.expunged if at > modseq)

    async def identities(self, uids: Sequence[Uid]) -> Sequence[Identity | None]:
        self.during()
        return [
            Identity(
                object_id("M", self.octets[uid]).encode(),
                summary(self.octets[uid]).thread or object_id("T", self.octets[uid]).encode(),
                NOW + uid,
            )
            if uid in self.octets
            else None
            for uid in uids
        ]

    async def store(
        self,
        uids: Sequence[Uid],
        action: FlagAction,
        names: Iterable[str],
        unchanged_since: ModSeq | None = None,
    ) -> Stored:
        self.during()
        given = self._bits(names)
        changed = []
        modified = []
        modseq = self.highest_modseq + 1
        for uid in uids:
            place = self.position(uid)
            if place is None:
                continue
            if unchanged_since is not None and self.modseqs[place] > unchanged_since:
                modified.append(uid)
                continue
            bits = self.flags[place]
            after = {
                FlagAction.REPLACE: given,
                FlagAction.ADD: bits | given,
                FlagAction.REMOVE: bits & ~given,
            }[action]
            if after != bits:
                self.flags[place] = after
                self.modseqs[place] = modseq
                changed.append(uid)
        if changed:
            self._bump()
        self._tell([(Change.FLAGGED, uid) for uid in changed])
        return Stored(tuple(changed), tuple(modified))

    def _bits(self, names: Iterable[str]) -> int:
        bits = 0
        for name in names:
            if name in SYSTEM_FLAGS:
                bits |= SYSTEM_FLAGS[name]
                continue
            known = [keyword.lower() for keyword in self.keywords]
            if name.lower() not in known:
                if len(known) == KEYWORD_LIMIT:
                    raise StoreRefused(StoreFault.LIMIT, "No keyword is left")
                self.keywords.append(name)
                known.append(name.lower())
            bits |= 1 << known.index(name.lower()) + KEYWORD_SHIFT
        return bits

    async def durable(self) -> None:
        self.during()
        self.synced = self.highest_modseq

    async def expunge(self, uids: Sequence[Uid]) -> tuple[Uid, ...]:
        self.during()
        gone = []
        for uid in uids:
            place = self.position(uid)
            if place is not None:
                for column in (self.uids, self.flags, self.modseqs, self.sizes, self.dates):
                    del column[place]
                del self.octets[uid]
                gone.append(uid)
        if gone:
            modseq = self._bump()
            self.expunged += [(modseq, uid) for uid in gone]
        self._tell([(Change.EXPUNGED, uid) for uid in gone])
        return tuple(gone)

    def names_of(self, bits: int) -> list[str]:
        """Flags by name."""
        found = [name for name, bit in SYSTEM_FLAGS.items() if bits & bit]
        named = enumerate(self.keywords, KEYWORD_SHIFT)
        return found + [name for place, name in named if bits & 1 << place]

    async def copy(self, uids: Sequence[Uid], target: str) -> Placed:
        self.during()
        return self.copied(uids, target)

    def copied(self, uids: Sequence[Uid], target: str) -> Placed:
        raise NotImplementedError(uids, target)

    async def move(self, uids: Sequence[Uid], target: str) -> Placed:
        placed = await self.copy(uids, target)
        await self.expunge(placed.sources)
        return placed

    async def content(self, uid: Uid) -> FakeContent | None:
        self.during()
        octets = self.octets.get(uid)
        if octets is None:
            return None
        self.contents.append(FakeContent(octets))
        return self.contents[-1]

    async def whole(self, uids: Sequence[Uid]) -> Sequence[bytes | None]:
        self.during()
        return [self.octets.get(uid) for uid in uids]

    async def structure(self, uid: Uid) -> Part | None:
        self.during()
        self.parsed.append(uid)
        return parse(self.octets[uid]) if uid in self.octets else None

    async def headers(self, uids: Sequence[Uid]) -> Sequence[bytes | None]:
        self.during()
        found = [self.octets.get(uid) for uid in uids]
        return [
            None if octets is None else header.bounded(octets[: header.end(octets)])
            for octets in found
        ]

    async def fields(self, names: Sequence[bytes], uids: Sequence[Uid]) -> Sequence[bytes | None]:
        found = await self.headers(uids)
        return [None if block is None else header.wanted(block, names) for block in found]

    async def rendered(
        self, what: Rendering, uids: Sequence[Uid], *, make: bool = True
    ) -> Sequence[bytes | None]:
        self.during()
        self.summarised |= set(uids) if make else set()
        found = [self.octets.get(uid) if uid in self.summarised else None for uid in uids]
        return [
            None if octets is None else getattr(summary(octets), what.value) for octets in found
        ]

    async def learn(self) -> int:
        self.during()
        self.learnt += 1
        self.left = max(self.left - 1, 0)
        return self.left

    async def digests(self, uids: Sequence[Uid]) -> Sequence[Digest | None]:
        self.during()
        self.digested += uids
        return await super().digests(uids)

    async def find(self, sought: Sought | SentOn) -> Found | None:
        self.during()
        if not self.indexed:
            return None
        if isinstance(sought, SentOn):
            compare = {"<": operator.lt, "=": operator.eq, ">=": operator.ge}[sought.comparison]
            days = (
                (uid, digest(self.octets[uid]).day, date // 86400)
                for uid, date in zip(self.uids, self.dates, strict=True)
            )
            sure = [
                uid
                for uid, sent, arrived in days
                if compare(arrived if sent is None else sent, sought.day)
            ]
            return Found(array("I", sure))
        if sought.place.value in ("head", "body", "text") and len(sought.text) < 3:
            return None
        sure = [uid for uid in self.uids if holds(digest(self.octets[uid]), sought)]
        unsure = [uid for uid in self.uids if uid in self.unsure]
        return Found(array("I", [uid for uid in sure if uid not in unsure]), array("I", unsure))

    async def order(
        self,
        criteria: Sequence[Sorting],
        among: Sequence[Uid] | None = None,
        scores: Mapping[int, int] | None = None,
    ) -> array[int]:
        self.during()
        self.ordered += 1
        return await super().order(criteria, among, scores)

    async def threadables(self, first: Uid, limit: int) -> Sequence[Threadable]:
        self.during()
        self.threaded += 1
        return await super().threadables(first, limit)

    async def conversations(self, algorithm: str) -> Sequence[Conversation]:
        self.during()
        return sorted(self.conversing.get(algorithm, ()))

    async def keep_conversations(
        self,
        algorithm: str,
        instead_of: Sequence[Conversation],
        conversations: Sequence[Conversation],
    ) -> None:
        self.during()
        kept = self.conversing.setdefault(algorithm, set())
        kept.difference_update(instead_of)
        kept.update(conversations)

    def octets_of(self, uid: Uid) -> bytes | None:
        return self.octets.get(uid)

    @property
    def memo(self) -> dict[Hashable, object]:
        return self.remembered

    async def release(self) -> None:
        self.released += 1


class FakeUpload:
    """A message on its way; `refusal` is raised by the next `write`."""

    def __init__(self, refusal: StoreRefused | None = None) -> None:
        self.octets = b""
        self.largest = 0
        self.aborted = False
        self.refusal = refusal

    async def write(self, octets: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.octets += octets
        self.largest = max(self.largest, len(octets))

    async def abort(self) -> None:
        self.aborted = True


class _Box(FakeMailbox):
    """A mailbox that knows its store."""

    def __init__(self, store: FakeStore, name: str, uid_validity: int) -> None:
        super().__init__(name, uid_validity)
        self._store = store

    def copied(self, uids: Sequence[Uid], target: str) -> Placed:
        other = self._store.box(target)
        sources = [uid for uid in uids if uid in self.octets]
        self._store.check_quota(sum(len(self.octets[uid]) for uid in sources))
        placed = []
        for uid in sources:
            place = self.position(uid)
            assert place is not None
            bits = other._bits(self.names_of(self.flags[place]))
            placed.append(other.deliver(self.octets[uid], bits, self.dates[place]))
        return Placed(other.uid_validity, tuple(sources), tuple(placed))


class FakeStore:
    """One account's reach: mailboxes of its own; INBOX is there.

    Attributes:
        admin: It may set quotas.
        others: Where other accounts' mailboxes would be.
        entries: The server's annotations.
    """

    def __init__(self, quota: Quota = UNLIMITED) -> None:
        self.admin = False
        self.others = "Other Users/"
        self.unwatch_metadata()
        self.entries: dict[str, bytes] = {}
        self.boxes: dict[str, FakeMailbox] = {}
        self.subscribed: set[str] = set()
        self.listeners: dict[Callable[[Notice], None], None] = {}
        self.quota = quota
        self.uploads: list[FakeUpload] = []
        self.refusal: StoreRefused | None = None  # of the next upload's writes
        self.keys: dict[str, bytes] = {}  # of signed URLs
        self.made_keys = 0
        self.roots: dict[str, str] = {}  # quota roots that are not the account's own
        self._validity = 6
        self._make("INBOX")

    @property
    def inbox(self) -> FakeMailbox:
        return self.boxes["INBOX"]

    def _make(self, name: str) -> FakeMailbox:
        self._validity += 1
        self.boxes[name] = _Box(self, name, self._validity)
        return self.boxes[name]

    def box(self, name: str) -> FakeMailbox:
        if name not in self.boxes:
            raise StoreRefused(StoreFault.NONEXISTENT, f"No mailbox {name}")
        return self.boxes[name]

    def check_quota(self, more: int) -> None:
        if more <= 0:
            return
        used = sum(len(octets) for box in self.boxes.values() for octets in box.octets.values())
        if self.quota.octets and used + more > self.quota.octets:
            raise StoreRefused(StoreFault.OVER_QUOTA, "Over quota")

    def listen(self, told: Callable[[Notice], None]) -> None:
        self.listeners[told] = None

    async def overhear(self) -> None: ...

    def unlisten(self, told: Callable[[Notice], None]) -> None:
        self.listeners.pop(told, None)

    def announce(self, affair: Affair, name: str, old: str = "") -> None:
        """Let who listens hear of something."""
        for told in list(self.listeners):
            told(Notice(affair, name, old))

    # ---- MailStore ----

    async def list(self) -> Sequence[Listed]:
        names = set(self.boxes) | self.subscribed
        return [
            Listed(
                name,
                selectable=name in self.boxes,
                subscribed=name in self.subscribed,
                special_use=self.boxes[name].special_use if name in self.boxes else (),
            )
            for name in sorted(names)
        ]

    async def create(self, name: str, special_use: Sequence[str] = ()) -> None:
        if name in self.boxes:
            raise StoreRefused(StoreFault.ALREADY_EXISTS, f"{name} is there already")
        self._make(name).special_use = tuple(special_use)

    async def delete(self, name: str) -> None:
        box = self.box(name)
        del self.boxes[name]
        await box.expunge([Uid(uid) for uid in box.uids])

    async def rename(self, name: str, new: str) -> None:
        box = self.box(name)
        if new in self.boxes:
            raise StoreRefused(StoreFault.ALREADY_EXISTS, f"{new} is there already")
        if name == "INBOX":
            self._make(new)
            await box.move([Uid(uid) for uid in box.uids], new)
            return
        for old in [key for key in self.boxes if key == name or key.startswith(f"{name}/")]:
            renamed = self.boxes.pop(old)
            renamed.name = new + old[len(name) :]
            self.boxes[renamed.name] = renamed

    async def subscribe(self, name: str) -> None:
        self.subscribed.add(name)

    async def unsubscribe(self, name: str) -> None:
        self.subscribed.discard(name)

    async def status(self, name: str) -> Status:
        box = self.box(name)
        return Status(
            messages=len(box.uids),
            recent=box.recent_count,
            unseen=sum(not bits & SEEN for bits in box.flags),
            deleted=sum(bool(bits & DELETED) for bits in box.flags),
            size=sum(box.sizes),
            uid_next=box.uid_next,
            uid_validity=box.uid_validity,
            highest_modseq=box.highest_modseq,
            mailbox_id=box.mailbox_id,
        )

    async def open(self, name: str) -> FakeMailbox:
        box = self.box(name)
        box.opened += 1
        return box

    async def upload(
        self, size: int | None = None, name: str = "INBOX", freed: int = 0
    ) -> FakeUpload:
        self.check_quota((size or 0) - freed)
        self.uploads.append(FakeUpload(self.refusal))
        return self.uploads[-1]

    async def append(self, name: str, messages: Sequence[Appending], freed: int = 0) -> Placed:
        box = self.box(name)
        uids = []
        for message in messages:
            assert isinstance(message.upload, FakeUpload)
            bits = box._bits(message.flags)
            date = NOW if message.internal_date is None else int(message.internal_date)
            uids.append(box.deliver(message.upload.octets, bits, date))
        return Placed(box.uid_validity, (), tuple(uids))

    async def usage(self) -> Usage:
        octets = sum(sum(box.sizes) for box in self.boxes.values())
        count = sum(len(box.uids) for box in self.boxes.values())
        return Usage(octets, count, self.quota, len(self.boxes))

    # ---- Reach ----

    async def url_key(self, mailbox_id: str) -> bytes | None:
        return self.keys.get(mailbox_id)

    async def make_url_key(self, mailbox_id: str, *, anew: bool) -> bytes:
        if anew or mailbox_id not in self.keys:
            self.made_keys += 1
            self.keys[mailbox_id] = b"%032d" % self.made_keys
        return self.keys[mailbox_id]

    async def forget_url_keys(self) -> None:
        self.keys.clear()

    async def rights(self, name: str) -> Rights:
        return self.box(name).rights

    async def owned(self, name: str) -> str:
        self._allowed(name, "a")
        return "alice@hub.example"

    def _allowed(self, name: str, letter: str) -> FakeMailbox:
        box = self.box(name)
        if letter not in box.rights:
            raise StoreRefused(StoreFault.NO_PERMISSION, "Not allowed")
        return box

    async def acl(self, name: str) -> Acl:
        return {"alice@hub.example": ALL, **self._allowed(name, "a").acl}

    async def set_acl(self, name: str, identifier: str, change: str) -> None:
        box = self._allowed(name, "a")
        box.acl[identifier] = modified(box.acl.get(identifier, NONE), change)

    async def delete_acl(self, name: str, identifier: str) -> None:
        self._allowed(name, "a").acl.pop(identifier, None)

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        return self.box(name).entries if name else self.entries

    async def set_metadata(self, name: str, changes: Mapping[str, bytes | None]) -> None:
        entries = self.box(name).entries if name else self.entries
        if len({**entries, **changes}) > 5:
            raise StoreRefused(StoreFault.TOO_MANY_ENTRIES, "Too many annotations")
        for entry, value in changes.items():
            if value is None:
                entries.pop(entry, None)
            else:
                entries[entry] = value

    def watch_metadata(self, told: Callable[[str, Sequence[str]], None]) -> None:
        self.annotated = told

    def unwatch_metadata(self) -> None:
        self.annotated = lambda _name, _entries: None

    async def quota_root(self, name: str) -> str:
        self.box(name)
        return self.roots.get(name, "")

    async def usage_of(self, root: str) -> Usage:
        if root:
            raise StoreRefused(StoreFault.NONEXISTENT, "No such quota root")
        return await self.usage()

    async def set_quota(self, root: str, quota: Quota) -> None:
        if not self.admin:
            raise StoreRefused(StoreFault.NO_PERMISSION, "Quotas are set by the operator")
        await self.usage_of(root)
        self.quota = quota

    async def lock(self) -> AbstractAsyncContextManager[None]:
        raise StoreRefused(StoreFault.IN_USE, "IMAP does not ask for it")


ALICE = Account(AccountId(1), Path("alice", "hub.example"), "alice")


class FakeStores:
    """`ports.store.MailStores` with one store."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store

    async def of(self, account: Account) -> FakeStore:
        return self.store

    async def named(self, address: str) -> FakeStore | None:
        return self.store if address == ALICE.path.key else None


class FakeLogins:
    """Opens for ``alice`` and ``secret``; other names are faults by their own name."""

    async def password(self, username: str, password: str) -> Account:
        faults = {fault.value: fault for fault in LoginFault}
        if username in faults:
            raise LoginRefused(faults[username])
        if (username, password) not in {("alice", "secret"), ("alice", "schlüssel")}:
            raise LoginRefused(LoginFault.CREDENTIALS)
        return ALICE

    async def scram_keys(self, username: str) -> ScramKeys:
        raise LoginRefused(LoginFault.CREDENTIALS)

    async def scram(self, username: str, proof: ScramProof) -> Account:
        raise LoginRefused(LoginFault.CREDENTIALS)


class FakePlain:
    """PLAIN: the client speaks first, and once."""

    initial = True

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self.account: Account | None = None

    async def step(self, response: bytes) -> bytes | None:
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise Malformed
        try:
            _, username, password = (part.decode() for part in parts)
        except UnicodeDecodeError:
            raise Malformed from None
        self.account = await self._logins.password(username, password)
        return None


class FakeTwice:
    """A mechanism in which the server speaks first, and last."""

    initial = False

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._steps = [b"Name?", b"Welcome"]
        self._name = ""
        self.account: Account | None = None

    async def step(self, response: bytes) -> bytes | None:
        self._name += response.decode()
        if self._steps:
            return self._steps.pop(0)
        self.account = await self._logins.password(self._name, "secret")
        return None


class FakeMechanisms:
    """PLAIN under TLS or on loopback; X-TWICE always."""

    def offered(self, tls: Tls | None, address: str) -> tuple[str, ...]:
        plain = tls is not None or address == "127.0.0.1"
        return ("X-TWICE", "PLAIN") if plain else ("X-TWICE",)

    def begin(self, name: str, logins: Logins, tls: Tls | None) -> Exchange | None:
        if name == "PLAIN":
            return FakePlain(logins)
        return FakeTwice(logins) if name == "X-TWICE" else None
