r"""What one client has been told of a mailbox, and what it must be told next.

The mailbox is shared and always shows what is true now; a client knows what it
was told.  The difference is kept as little as can be, since thousands of idle
clients have a view each:

- `_told`, the highest UID the client knows of.  All messages of the mailbox up
  to it are known; those above are *arrivals*, not yet told.
- *Ghosts*: known messages that are gone, which the client has not been told, and the
  MODSEQ up to which it has been told everything.
- The UIDs of known messages whose flags changed, or, once they are many, the
  modification sequence since which flags must be told.

A sequence number is the rank of a UID among known messages, ghosts included,
so it means one thing until the EXPUNGE is said (RFC 3501 §7.4.1).

Invariants:

1. Pure: no I/O, no waiting. A response is made and counted as told in one step.
2. The numbers 1 to `exists` are the client's; nothing here ever names another.
3. Flags told late are the present ones; no change of flags is lost.
4. The size of a view does not depend on that of the mailbox, only on the
   number of untold changes.

A mailbox that has forgotten changes we never saw leaves the view `lost`: what the
client knows cannot be corrected any more, and the session must end.  This does
not happen while `catch_up` is called at each change (`ports.mailbox.Mailbox.watch`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from mailhub.imap.manner import PLAIN, Manner
from mailhub.imap.response import RECENT, FlagLists, runs, status
from mailhub.imap.sequence import SequenceSet, merged
from mailhub.mail.flag import KEYWORD_LIMIT, SYSTEM_FLAGS
from mailhub.mail.rights import Rights, may_set
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Change, Ranges, Uid

ROWS: Final = 2000
"""EXPUNGE responses made in one step: about 32 KiB."""
FLAG_ROWS: Final = 500
"""FETCH responses with flags made in one step: about 32 KiB."""
VANISHED_ROWS: Final = 1000
"""UIDs, or ranges of them, in one VANISHED response."""
FLAG_PENDING_LIMIT: Final = 1000
"""UIDs of untold flag changes that are remembered one by one."""
FEW: Final = 16
"""Ghosts that are inserted one by one rather than sorted in."""


class Run(NamedTuple):
    """Known and living messages that are neighbours in numbers and in the arrays.

    Attributes:
        seq: Sequence number of the first.
        position: Its place in the mailbox's arrays.
        length: How many there are.
    """

    seq: int
    position: int
    length: int


class View:
    """One client's picture of a mailbox.

    Attributes:
        manner: How its client wants to be told.
        lost: The picture cannot be corrected any more.
        saved: UIDs that the last SEARCH with SAVE found, for ``$`` (RFC 5182 §2.1).
    """

    __slots__ = (
        "_complete", "_cursor", "_flagged", "_ghosts", "_keywords", "_mailbox", "_modseq",
        "_numbers", "_recent", "_since", "_told", "lost", "manner",
        "saved",
    )  # fmt: skip

    def __init__(
        self, mailbox: Mailbox, recent: Iterable[int] = (), manner: Manner = PLAIN
    ) -> None:
        self.manner = manner
        self._mailbox = mailbox
        self._modseq = self._complete = int(mailbox.highest_modseq)
        self._cursor = mailbox.cursor
        self._told = mailbox.uids[-1] if mailbox.uids else 0
        self._ghosts: array[int] = array("I")  # UIDs, ascending
        self._numbers: array[int] | None = None  # their sequence numbers, once asked for
        self._flagged: set[int] = set()
        self._since: int | None = None  # all flags changed later are untold
        self._recent: Ranges = tuple(runs(sorted(recent)))
        self._keywords = len(mailbox.keywords)
        self.lost = False
        self.saved: Ranges = ()

    # ---- What the client knows ----

    @property
    def exists(self) -> int:
        """How many messages the client knows of."""
        self.catch_up()
        return self._living + len(self._ghosts)

    @property
    def highest_uid(self) -> int:
        """The largest UID the client knows of, which ``*`` stands for; 0 for none."""
        self.catch_up()
        living = self._living
        uid = self._mailbox.uids[living - 1] if living else 0
        return max(uid, self._ghosts[-1]) if self._ghosts else uid

    @property
    def complete(self) -> int:
        """A MODSEQ up to which the client knows of all that is gone."""
        return self._complete if self._ghosts else int(self._mailbox.highest_modseq)

    @property
    def recent(self) -> int:
        r"""How many messages that the client knows of are ``\Recent`` to it."""
        uids = self._mailbox.uids
        return sum(bisect_right(uids, b) - bisect_left(uids, a) for a, b in self._recent)

    def seq(self, uid: int) -> int | None:
        """The sequence number of a known and living message."""
        self.catch_up()
        place = self._mailbox.position(Uid(uid)) if uid <= self._told else None
        return None if place is None else place + 1 + bisect_left(self._ghosts, uid)

    def number(self, uid: int) -> int | None:
        """The sequence number of a known message, living or not yet told to be gone."""
        place = bisect_left(self._ghosts, uid)
        if place < len(self._ghosts) and self._ghosts[place] == uid:
            return self._rank(uid) + 1
        return self.seq(uid)

    @property
    def settled(self) -> bool:
        """Whether the client knows exactly the messages that there are."""
        self.catch_up()
        return not self._ghosts and self._living == len(self._mailbox.uids)

    @property
    def parting(self) -> Sequence[int]:
        """UIDs of known messages whose EXPUNGE is still to be told, ascending."""
        self.catch_up()
        return self._ghosts

    def by_numbers(self, numbers: SequenceSet) -> Ranges | None:
        """Sequence numbers with ``*`` resolved; None if one of them means no message."""
        if numbers.saved:
            return self.by_uids(numbers)
        exists = self.exists
        found = numbers.resolved(exists)
        return None if not exists or found[-1][1] > exists else found

    def by_uids(self, uids: SequenceSet) -> Ranges:
        """The sequence numbers of those messages with these UIDs that there are."""
        return self.within(self.meant(uids, self.highest_uid))

    def meant(self, uids: SequenceSet, highest: int) -> Ranges:
        """The UIDs that a set stands for, with ``*`` and ``$`` resolved."""
        return self.saved if uids.saved else uids.resolved(highest)

    def within(self, uids: Ranges) -> Ranges:
        """The sequence numbers of those messages whose UIDs lie in these ranges."""
        found = ((self._rank(first) + 1, self._rank(last + 1)) for first, last in uids)
        return merged(pair for pair in found if pair[0] <= pair[1])

    def lacking(self, uids: Ranges) -> Iterator[tuple[int, int]]:
        """Those ranges of `uids` that the client does not know, or no more."""
        self.catch_up()
        known = self._mailbox.uids
        for first, last in uids:
            living = known[bisect_left(known, first) : bisect_right(known, min(last, self._told))]
            ghosts = self._ghosts[
                bisect_left(self._ghosts, first) : bisect_right(self._ghosts, last)
            ]
            there = array("I", sorted([*living, *ghosts])) if ghosts else living
            yield from gaps(there, first, last)

    def runs(self, first: int, last: int) -> Iterator[Run]:
        """The living messages among these sequence numbers; ghosts are left out."""
        self.catch_up()
        ghosts = self._ghost_numbers()
        passed = bisect_left(ghosts, first)
        while first <= last:
            end = min(ghosts[passed] - 1, last) if passed < len(ghosts) else last
            if first <= end:
                yield Run(first, first - 1 - passed, end - first + 1)
            first = end + 2
            passed += 1

    def recent_among(self, first: int, last: int) -> set[int]:
        r"""UIDs from `first` to `last` that are ``\Recent`` to this client."""
        if not self.manner.recent:
            return set()
        return {
            uid
            for low, high in self._recent
            if low <= last and high >= first
            for uid in range(max(low, first), min(high, last) + 1)
        }

    # ---- What has happened ----

    def catch_up(self) -> None:
        """Note what has changed in the mailbox. Cheap; to be called at each change."""
        if self._mailbox.cursor == self._cursor:
            return
        if not self._ghosts:
            self._complete = self._modseq
        self._modseq = int(self._mailbox.highest_modseq)
        changes = self._mailbox.changes(self._cursor)
        if changes is None:
            self.lost = True
            return
        self._cursor = self._mailbox.cursor
        told = self._told  # of those above the client has never heard
        if self._since is None:
            self._flagged.update(
                [uid for change, uid in changes if change is Change.FLAGGED and uid <= told]
            )
        gone = [uid for change, uid in changes if change is Change.EXPUNGED and uid <= told]
        if gone:
            self._bury(gone)
        if len(self._flagged) > FLAG_PENDING_LIMIT:
            self._remember_less()

    def remind(self, uids: Iterable[int]) -> None:
        """The client shall be told the flags of these, though they may not have changed."""
        if self._since is None:
            self._flagged.update(uids)

    def silence(self, uids: Iterable[int]) -> None:
        """The client knows the present flags of these: it was told, or changed them itself."""
        if self._flagged:
            self._flagged.difference_update(uids)

    def untold(self, uids: Iterable[int]) -> set[int]:
        """Those of `uids` whose flags have changed without the client being told."""
        if self._since is None:
            return self._flagged.intersection(uids)
        return set(uids)

    # ---- What to say ----

    def tell(
        self, *, expunges: bool, recents: Callable[[], Iterable[int]], flags: bool = True
    ) -> Iterator[bytes]:
        r"""Everything the client must be told to be up to date, in pieces.

        Args:
            expunges: Whether EXPUNGE may be said now (RFC 3501 §7.4.1).
            recents: Claims the UIDs that are ``\Recent`` to this client.
            flags: Whether it wants to hear of flags now.
        """
        if expunges:
            yield from self._tell_expunges()
        yield from self.tell_arrivals(recents)
        if flags:
            yield from self._tell_flags()
        yield from self.tell_keywords()
        if self._ghosts and self.manner.modseqs:
            # Lest a client that loses the connection now believes to know all   (RFC 7162 §3.2)
            yield status(b"*", "OK", "Some have gone since", f"HIGHESTMODSEQ {self.complete}")

    def tell_arrivals(self, recents: Callable[[], Iterable[int]]) -> Iterator[bytes]:
        """EXISTS and RECENT, if there is mail the client has not heard of (RFC 3501 §7.3.1)."""
        self.catch_up()
        uids = self._mailbox.uids
        if not uids or uids[-1] <= self._told:
            return
        self._told = uids[-1]
        fresh = runs(sorted(recents()))
        self._recent = merged([*self._recent, *fresh])
        yield b"* %d EXISTS\r\n" % self.exists + self.tell_recent(self.recent)

    def tell_recent(self, count: int) -> bytes:
        """RECENT, for who knows it."""
        return b"* %d RECENT\r\n" % count if self.manner.recent else b""

    def _tell_expunges(self) -> Iterator[bytes]:
        """From the highest number down, so that no number below is shifted."""
        self.catch_up()
        if self.manner.vanished or self.manner.uid_only:
            while self._ghosts:
                gone, self._ghosts, self._numbers = self._ghosts, array("I"), None
                yield from vanished(runs(gone))
                self.catch_up()
        while self._ghosts:
            numbers = self._ghost_numbers()
            said = numbers[-ROWS:]
            del numbers[-ROWS:], self._ghosts[-ROWS:]
            said.reverse()
            yield b"* %d EXPUNGE\r\n" * len(said) % tuple(said)
            self.catch_up()

    def tell_keywords(self) -> Iterator[bytes]:
        """New keywords, which FLAGS must introduce before a message bears them.

        When this ends, there are none that the client has not heard of.
        """
        while len(self._mailbox.keywords) > self._keywords:
            keywords = self._mailbox.keywords
            self._keywords = len(keywords)
            yield flags_response(keywords) + permanent_flags(keywords, self._mailbox.rights)

    def _tell_flags(self) -> Iterator[bytes]:
        if self._since is not None:
            since, self._since = self._since, None
            mailbox = self._mailbox
            changed = [
                uid
                for uid, modseq in zip(mailbox.uids, mailbox.modseqs, strict=False)
                if modseq > since and uid <= self._told
            ]
        else:
            changed = sorted(self._flagged)
        self._flagged.clear()
        for start in range(0, len(changed), FLAG_ROWS):
            yield from self.tell_keywords()
            yield b"".join(self._flag_lines(changed[start : start + FLAG_ROWS]))

    def _flag_lines(self, uids: Sequence[int]) -> Iterator[bytes]:
        """With UID, as RFC 9051 §7.5.2 advises for what was not asked for."""
        self.catch_up()
        manner = self.manner
        lists = FlagLists(self._mailbox.keywords)
        recent = self.recent_among(uids[0], uids[-1])
        modseqs = self._mailbox.modseqs
        for uid in uids:
            place = self._mailbox.position(Uid(uid))
            if place is None:
                continue  # its EXPUNGE is still to be told
            seq = place + 1 + bisect_left(self._ghosts, uid)
            bits = self._mailbox.flags[place] | (RECENT if uid in recent else 0)
            head = (
                b"* %d UIDFETCH (" % uid if manner.uid_only else b"* %d FETCH (UID %d " % (seq, uid)
            )
            modseq = b"MODSEQ (%d) " % modseqs[place] if manner.modseqs else b""
            yield b"%b%bFLAGS %b)\r\n" % (head, modseq, lists[bits])

    # ---- Arithmetic ----

    @property
    def _living(self) -> int:
        """How many of the mailbox's messages the client knows of."""
        return bisect_right(self._mailbox.uids, self._told)

    def _rank(self, uid: int) -> int:
        """How many known messages have a smaller UID."""
        living = bisect_left(self._mailbox.uids, min(uid, self._told + 1))
        return living + bisect_left(self._ghosts, uid)

    def _ghost_numbers(self) -> array[int]:
        """The ghosts' sequence numbers, ascending: they stay the same until told."""
        if self._numbers is None:
            uids = self._mailbox.uids
            self._numbers = array(
                "I",
                (bisect_left(uids, uid) + place for place, uid in enumerate(self._ghosts, 1)),
            )
        return self._numbers

    def _bury(self, gone: Sequence[int]) -> None:
        if len(gone) <= FEW:
            for uid in gone:
                insort(self._ghosts, uid)
        else:
            self._ghosts = array("I", sorted([*self._ghosts, *gone]))
        self._numbers = None
        self._flagged.difference_update(gone)

    def _remember_less(self) -> None:
        """Replace many UIDs by the lowest modification sequence among them."""
        mailbox = self._mailbox
        places = [mailbox.position(Uid(uid)) for uid in self._flagged]
        self._since = min(
            (mailbox.modseqs[place] - 1 for place in places if place is not None),
            default=mailbox.highest_modseq,
        )
        self._flagged.clear()


def gaps(numbers: array[int], first: int, last: int) -> Iterator[tuple[int, int]]:
    """What lies from `first` to `last` between ascending `numbers` that all lie there."""
    stack = [(0, len(numbers), first, last)]
    while stack:
        begin, end, low, high = stack.pop()
        if end - begin == high - low + 1:
            continue  # not one is lacking
        if begin == end:
            yield low, high
            continue
        middle = (begin + end) // 2
        number = numbers[middle]
        stack.append((middle + 1, end, number + 1, high))
        stack.append((begin, middle, low, number - 1))


def vanished(uids: Iterable[tuple[int, int]], tag: bytes = b"") -> Iterator[bytes]:
    """VANISHED responses for runs of UIDs (RFC 7162 §3.2.10); the tag is ``(EARLIER)`` or none."""
    said: list[tuple[int, int]] = []
    for run in uids:
        said.append(run)
        if len(said) == VANISHED_ROWS:
            yield _vanished(said, tag)
            said = []
    if said:
        yield _vanished(said, tag)


def _vanished(uids: Iterable[tuple[int, int]], tag: bytes) -> bytes:
    known = ",".join(str(a) if a == b else f"{a}:{b}" for a, b in uids)
    return b"* VANISHED " + (tag + b" " if tag else b"") + known.encode() + b"\r\n"


def flags_response(keywords: Sequence[str]) -> bytes:
    """The flags that messages of this mailbox may bear (RFC 3501 §7.2.6)."""
    return b"* FLAGS (%b)\r\n" % " ".join((*SYSTEM_FLAGS, *keywords)).encode()


def permanent_flags(keywords: Sequence[str], rights: Rights) -> bytes:
    r"""Those that somebody with these rights may change; ``\*`` while new keywords can be made.

    RFC 3501 §7.1, RFC 4314 §5.1.1.
    """
    names = [flag for flag in (*SYSTEM_FLAGS, *keywords) if may_set(flag, rights)]
    if not names:
        return status(b"*", "OK", "No flags can be changed", "PERMANENTFLAGS ()")
    if len(keywords) < KEYWORD_LIMIT and may_set("\\*", rights):
        names.append("\\*")
    return status(b"*", "OK", "Flags can be changed", f"PERMANENTFLAGS ({' '.join(names)})")
