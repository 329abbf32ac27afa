"""One mailbox on disk: its maildir, its UID list and its rows in the index, kept together.

Blocking, and not safe from several threads: who uses a box holds the mailbox's lock.
What is done to it is in `reconcile`, `change`, `transfer`, `placing` and `reading`.

Invariants:

1. The index shows what memory shows: both change by the same `Delta`, or neither does.
2. Messages come and go first among the files, then in the index. What a crash or an error
   leaves between the two, `reconcile` finds and makes good from the files.
3. Flags change first in the index, then in the files' names, and are `behind` until then.
   What another program changes in a name meanwhile is what it wants of those flags.
4. `seen` is what the times of change of ``new`` and ``cur`` were when index and files
   last agreed; 0 for one of which that is not sure.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from mailhub.imap.response import runs
from mailhub.mail.flag import KEYWORD_LIMIT, KEYWORD_SHIFT, SYSTEM_FLAGS
from mailhub.mail.objectid import object_id
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import dovecot, maildir, uidlist
from mailhub.store.durable import Corrupt, sync_directory
from mailhub.store.ground import Ground
from mailhub.store.index import Index, IndexLost
from mailhub.store.name import known_bits, own_unique, parse_base, seconds_of
from mailhub.store.profile import Profiles
from mailhub.store.rows import Kept, Row, Transaction
from mailhub.store.uidlist import UID_LIMIT, UidList

_SYSTEM: Final = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}


@dataclass(slots=True)
class Delta:
    """What has become different in a mailbox, in the order in which it is to be told.

    Attributes:
        removed: UIDs, in ascending order.
        changed: UID, flags and MODSEQ of messages whose flags are others now.
        added: New messages, in ascending order of UID.
    """

    removed: Sequence[int] = ()
    changed: Sequence[tuple[int, int, int]] = ()
    added: Sequence[Row] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.changed or self.added)


class Vanished(StoreRefused):
    """The mailbox has been deleted."""

    def __init__(self, box: Box) -> None:
        self.box = box
        super().__init__(StoreFault.NONEXISTENT, "No such mailbox")


class Replaced(Vanished):
    """The mailbox has been deleted, and another one put in its place."""


class Box:
    """One mailbox on disk.

    Attributes:
        path: Its maildir.
        directory: The same below the account's; empty for INBOX.
        ready: `load` has succeeded.
        behind: Names may not say their messages' flags yet, or not durably.
        ceiling: Above all UIDs given out, durably; `modseq_ceiling` likewise of MODSEQs.
        mailbox_id: MAILBOXID (RFC 8474 §4).
        keywords: Names, for the letters from ``a`` up.
    """

    def __init__(
        self, ground: Ground, index: Index, profiles: Profiles, account: bytes, directory: bytes
    ) -> None:
        self.ground = ground
        self.index = index
        self.account = account
        self.directory = directory
        self.ready = False
        self.behind = False
        self.keywords: tuple[str, ...] = ()
        self.kept = Kept(0, 0, 1, 1, 1)
        self.ceiling = 1
        self.modseq_ceiling = 2
        self.mailbox_id = ""
        self.seen = (0, 0)
        self.taken = True  # names have left `new`, as far as we know, since it was synced
        self._profiles = profiles
        self._generation = -1
        self._identity = 0  # of its `cur`; 0 before it was loaded
        self._missed = False
        self._verify_at = math.inf

    @property
    def path(self) -> bytes:
        """The maildir."""
        return self.account + b"/" + self.directory if self.directory else self.account

    def sync_new(self) -> None:
        """Make it durable that messages have left ``new``: before one of them leaves the mailbox.

        Its name there is as old as its delivery: a loss of power would bring it back.

        Raises:
            OSError: The disk said no.
        """
        if self.taken:
            sync_directory(self.ground.files, self.path + b"/new")
            self.taken = False

    @property
    def known(self) -> int:
        """The flag bits that mean something here."""
        return known_bits(len(self.keywords))

    # ---- Loading --------------------------------------------------------------------------

    def load(self) -> tuple[bool, dovecot.Adopted | None]:
        """Read UID list and index row, or make them; `reconcile` must follow.

        Returns:
            Whether the index knew nothing of this mailbox, and what Dovecot
            knew of it, if it is seen for the first time.

        Raises:
            Vanished: There is no such maildir.
            OSError: The disk said no.
            IndexLost: Try again.
        """
        files = self.ground.files
        try:
            identity = maildir.changed(files, self.path).identity
        except (FileNotFoundError, NotADirectoryError):
            raise Vanished(self) from None
        if self._identity not in (0, identity):
            raise Replaced(self)
        self._identity = identity
        adopted, uid_list = None, self._uid_list()
        if uid_list is None:
            adopted = dovecot.load(files, self.path)
            uid_list = self._begin(adopted)
        self.keywords, self.ceiling = uid_list.keywords, uid_list.ceiling
        self.modseq_ceiling, self.mailbox_id = uid_list.modseq, uid_list.mailbox_id
        with self.index.transaction() as transaction:
            kept = transaction.mailbox(self.directory)
            lost = kept is None or kept.uid_validity != uid_list.uid_validity
            if kept is None or lost:
                kept = transaction.add_mailbox(self.directory, uid_list.uid_validity)
            transaction.departures.forget_departed(
                self.ground.clock() - self.ground.limits.departed
            )
            self.behind = transaction.behind.any(kept.id)
            self._generation = self.index.generation
        if lost:
            kept.modseq = kept.floor = self.modseq_ceiling - 1
        elif kept.stale:
            _doubt(kept, self.modseq_ceiling)
        if self.kept.uid_validity == kept.uid_validity:
            # It was loaded before, and the index may have forgotten what we gave out.
            kept.uid_next = kept.uid_next if lost else max(kept.uid_next, self.kept.uid_next)
            kept.modseq = max(kept.modseq, self.kept.modseq)
            kept.recent = max(kept.recent, self.kept.recent)
        self.kept = kept
        # A crash may have left names that were written, and the index not told.
        self.seen = (0, 0) if self.behind else (kept.new_changed, kept.cur_changed)
        self._verify_at = math.inf
        limits = self.ground.limits
        maildir.sweep(files, self.path, self.ground.clock() - limits.stale)
        self.ready = True
        return lost, adopted

    def resume(self) -> None:
        """Go on from a MODSEQ that nobody doubts, and that is below the ceiling.

        Messages whose MODSEQ is among those that are doubted get the new one.

        Raises:
            OSError: The disk said no; the box must be loaded anew.
            IndexLost: The same.
        """
        if self.kept.modseq < self.kept.certain or self.kept.modseq >= self.modseq_ceiling:
            self.ready = False
            modseq = self.next_modseq()
            with self.index.transaction() as transaction:
                # Else no STORE that is conditional on what such a message has could succeed.
                transaction.renew(self.kept.id, self.kept.doubt, self.kept.certain, modseq)
            self.ready = True

    def _uid_list(self) -> UidList | None:
        try:
            return uidlist.load(self.ground.files, self.path)
        except Corrupt as error:
            self.ground.log(f"set aside, the mailbox gets a new UIDVALIDITY: {error}")
            with suppress(OSError):
                self.ground.files.rename(error.path, error.path + b".corrupt")
            return None

    def _begin(self, adopted: dovecot.Adopted | None) -> UidList:
        if adopted is None:
            uid_list = UidList(self._profiles.next_uid_validity())
        else:
            self._profiles.seen(adopted.uid_validity)
            uid_list = UidList(adopted.uid_validity, adopted.uid_next, keywords=adopted.keywords)
        uid_list = replace(uid_list, mailbox_id=object_id("F", self._birth()))
        uidlist.save(self.ground.files, self.path, uid_list)
        return uid_list

    def _birth(self) -> bytes:
        """What tells this mailbox from every other one: when and where it began."""
        return f"{self.ground.host} {self.ground.clock()} {self.ground.unique()}".encode()

    # ---- Index ----------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Transaction]:
        """Have the index for a while.

        Raises:
            IndexLost: It is not the one that this box was loaded from.
            OSError: The disk said no; `reconcile` will compare files and index.
        """
        try:
            with self.index.transaction(write=write) as transaction:
                if self.index.generation != self._generation:
                    raise IndexLost
                yield transaction
        except IndexLost:
            self.ready = False
            raise
        except OSError:
            self.missed()
            raise

    def save(self, transaction: Transaction) -> None:
        """Write the mailbox's own row."""
        self.kept.new_changed, self.kept.cur_changed = self.seen
        transaction.save_mailbox(self.kept)

    def rows(self, uids: Sequence[int]) -> list[Row]:
        """What the index has of `uids` (in ascending order)."""
        with self.transaction(write=False) as transaction:
            return transaction.rows(self.kept.id, uids)

    def fall_behind(self, transaction: Transaction, uids: Iterable[int]) -> None:
        """Note that flags of messages (in ascending order) have changed, and their names not."""
        spans = list(runs(uids))
        if spans:
            transaction.behind.note(self.kept.id, self.kept.modseq, spans)
            self.behind = True

    # ---- What is seen of the directories -------------------------------------------------------

    def look(self) -> tuple[int, int]:
        """The directories' times of change, now.

        Raises:
            Vanished: It was deleted.
            Replaced: Another maildir stands in its place.
        """
        try:
            found = maildir.changed(self.ground.files, self.path)
        except FileNotFoundError:
            raise Vanished(self) from None
        if found.identity != self._identity:
            raise Replaced(self)
        return found.new, found.cur

    def disturbed(self) -> bool:
        """Whether files and index may differ; asked without the mailbox's lock it is a guess.

        Raises:
            Vanished: It was deleted.
            OSError: The disk said no.
        """
        return self.look() != self.seen or self.kept.stale or self.must_verify

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the directories: what we do inside ``cur`` counts as seen.

        Not so in ``new``: local delivery puts files there without asking us, also now.
        """
        before = self.look()
        seen = self.seen
        self.verify_in(self.ground.limits.verify)
        self.missed()
        self._missed = False
        yield
        after = self.look()
        if not self._missed:
            self.seen = seen[0], after[1] if before[1] == seen[1] else 0

    @property
    def doubted(self) -> bool:
        """Whether names in ``cur`` may be others than the index has them."""
        return not self.seen[1]

    def missed(self) -> None:
        """Files and index may not agree: compare them soon."""
        self._missed = True
        self.seen = (0, 0)

    @property
    def must_verify(self) -> bool:
        """Whether a change by another may be hidden behind another one of the same moment."""
        return self.ground.clock() >= self._verify_at

    def verify_in(self, seconds: float) -> None:
        """Compare all files with the index after a while, whatever the directories' times say."""
        self._verify_at = min(self._verify_at, self.ground.clock() + seconds)

    def verified(self) -> None:
        """All files have been compared with the index."""
        self._verify_at = math.inf

    # ---- Numbers and names given out --------------------------------------------------------

    def next_modseq(self) -> int:
        """A MODSEQ greater than all before; the ceiling is durable above it.

        Raises:
            OSError: The disk said no.
        """
        if self.kept.modseq + 1 >= self.modseq_ceiling:
            block = self.ground.limits.modseq_block
            self._raise_ceilings(self.ceiling, self.kept.modseq + 1 + block)
        self.kept.modseq += 1
        return self.kept.modseq

    def allocate(self, count: int) -> int:
        """The first of `count` UIDs that nobody had before; the ceiling is durable above them.

        Raises:
            StoreRefused: LIMIT where UIDs are used up.
            OSError: The disk said no.
        """
        first = self.kept.uid_next
        if first + count > UID_LIMIT:
            raise StoreRefused(StoreFault.LIMIT, "No UIDs are left in this mailbox")
        if first + count > self.ceiling:
            self.raise_ceiling(first + count)
        self.kept.uid_next = first + count
        return first

    def raise_ceiling(self, uid: int) -> None:
        """Make a ceiling durable that leaves room above `uid`."""
        modseq = max(self.modseq_ceiling, self.kept.modseq + self.ground.limits.modseq_block)
        self._raise_ceilings(min(uid + self.ground.limits.uid_block, UID_LIMIT), modseq)

    def _raise_ceilings(self, uid: int, modseq: int) -> None:
        before = self.ceiling, self.modseq_ceiling
        self.ceiling, self.modseq_ceiling = uid, modseq
        try:
            self._save_uid_list()
        except BaseException:
            self.ceiling, self.modseq_ceiling = before
            raise

    def _save_uid_list(self) -> None:
        kept = self.kept
        uid_list = UidList(
            kept.uid_validity, self.ceiling, self.modseq_ceiling, self.keywords, self.mailbox_id
        )
        uidlist.save(self.ground.files, self.path, uid_list)

    def bits(self, names: Iterable[str], *, make: bool = True, spare: bool = False) -> int:
        r"""The bits of flags by name; unknown keywords get a letter, if `make`.

        Names of system flags that cannot be stored (``\Recent``) count as nothing, and
        so do, with `spare`, keywords for which no letter is left.

        Raises:
            StoreRefused: LIMIT where no letter is left, CANNOT for a name
                that is no keyword (RFC 3501 §9, flag-keyword).
            OSError: The disk said no.
        """
        keywords = list(self.keywords)
        letters = {keyword.lower(): n for n, keyword in enumerate(keywords)}
        bits = 0
        for name in names:
            lowered = name.lower()
            if lowered.startswith("\\"):
                bits |= _SYSTEM.get(lowered, 0)
                continue
            if lowered not in letters:
                if not make or (spare and len(keywords) >= KEYWORD_LIMIT):
                    continue
                if len(keywords) >= KEYWORD_LIMIT:
                    raise StoreRefused(StoreFault.LIMIT, "No more keywords in this mailbox")
                if not name or not name.isascii() or not name.isprintable() or " " in name:
                    raise StoreRefused(StoreFault.CANNOT, "Not a keyword")
                letters[lowered] = len(keywords)
                keywords.append(name)
            bits |= 1 << (KEYWORD_SHIFT + letters[lowered])
        if len(keywords) > len(self.keywords):
            before, self.keywords = self.keywords, tuple(keywords)
            try:
                self._save_uid_list()
            except BaseException:
                self.keywords = before
                raise
        return bits

    def remove(self, transaction: Transaction, uids: Sequence[int]) -> None:
        """Forget messages (in ascending order), and remember that they left at this MODSEQ."""
        if not uids:
            return
        kept, limit = self.kept, self.ground.limits.expunged
        left = list(runs(uids))
        transaction.remove(kept.id, left)
        transaction.departures.expunge(kept.id, kept.modseq, left)
        kept.runs += len(left)
        if kept.runs > 2 * limit:
            kept.floor = max(kept.floor, transaction.departures.forget_expunged(kept.id, limit))
            kept.runs = limit

    def note_departure(self, transaction: Transaction, rows: Iterable[Row]) -> None:
        """Remember filed messages that leave: their filing may yet be repeated."""
        now = self.ground.clock()
        young = now - self.ground.limits.departed
        gone = []
        for row in rows:
            stem = parse_base(row.name).stem
            unique = own_unique(stem)
            if unique is None:
                continue
            if (seconds_of(stem) or 0) > young or unique in self.ground.promised:
                gone.append(unique)
        if gone:
            transaction.departures.depart(gone, now)

    def __str__(self) -> str:
        return os.fsdecode(self.path)


def _doubt(kept: Kept, ceiling: int) -> None:
    """Go on above what clients may have been told, and the crash took from us."""
    kept.doubt = kept.modseq if kept.doubt >= kept.certain else min(kept.doubt, kept.modseq)
    kept.certain = ceiling
    kept.modseq = ceiling
