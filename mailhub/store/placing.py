"""Puts new messages into maildirs: uploads of APPEND, and filings of local delivery. Blocking.

Invariants:

1. A message appears under its final name with all its octets: it is written under
   ``tmp`` and renamed, or linked.
2. What APPEND places is durable when `append` returns, unless a ledger promises it, and
   all of it is there or none.
3. A filing that is repeated finds its message by its unique part, whatever became of the
   name since; one that a crash of the machine tore is made whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mailhub.ports.filing import Filing
from mailhub.ports.message import Uid
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import maildir
from mailhub.store.box import Box, Delta
from mailhub.store.durable import sync_directory, write_file
from mailhub.store.files import CANNOT_LINK, Files
from mailhub.store.ground import Ground
from mailhub.store.index import Index, IndexLost
from mailhub.store.name import (
    base_of,
    make_stem,
    numbered,
    own_unique,
    parse_base,
    relettered,
    spelt_unique,
    unnumbered,
)
from mailhub.store.rows import Row
from mailhub.store.transfer import copy_file


@dataclass(frozen=True, slots=True)
class Incoming:
    """An uploaded message.

    Attributes:
        octets: Its content; or the path of a file (on this file system, ours to take).
        date: INTERNALDATE, seconds since the epoch.
        unique: The middle of its name, if it is promised elsewhere and need not be synced.
    """

    octets: bytes
    path: bytes | None
    size: int
    flags: tuple[str, ...]
    date: float
    unique: str = ""


@dataclass(eq=False, slots=True)
class Append:
    """A session's APPEND, waiting to be carried out together with others'."""

    messages: Sequence[Incoming]
    settled: bool = False
    uids: tuple[Uid, ...] = ()
    error: StoreRefused | None = None


def append(box: Box, messages: Sequence[Incoming]) -> Delta:
    """Add messages, all or none, those that are not promised durably; the box must be ready.

    Raises:
        StoreRefused: LIMIT where no keyword or UID is left.
        OSError: The disk said no; nothing was added.
        IndexLost: The box must be loaded anew; nothing was added.
    """
    files, path = box.ground.files, box.path
    bits = [box.bits(message.flags) for message in messages]
    first = box.allocate(len(messages))
    modseq = box.next_modseq()
    saved = max(int(box.ground.clock()), 0)
    rows: list[Row] = []
    temporary: list[bytes] = []
    try:
        for message in messages:
            temporary.append(path + b"/tmp/" + box.ground.unique().encode())
            _write(files, message, temporary[-1])
        with box.changing():
            for uid, message, flags, name in zip(
                range(first, first + len(messages)), messages, bits, temporary, strict=True
            ):
                unique = message.unique or os.path.basename(name).decode()
                if message.unique:
                    box.ground.promised.add(spelt_unique(unique))
                row = Row(uid, b"", flags, modseq, message.size, 0, saved)
                row = _row(box, message, row, unique)
                files.rename(name, path + b"/cur/" + row.name)
                rows.append(row)
            if not all(message.unique for message in messages):
                sync_directory(files, path + b"/cur")
        with box.transaction() as transaction:
            transaction.put(box.kept.id, rows)
            box.save(transaction)
    except (OSError, IndexLost):
        box.missed()
        for name in [*temporary, *(path + b"/cur/" + row.name for row in rows)]:
            with suppress(OSError):
                files.unlink(name)
        raise
    return Delta(added=rows)


def _row(box: Box, message: Incoming, row: Row, unique: str) -> Row:
    stem = make_stem(message.date, unique, box.ground.host)
    letters = relettered(b"", row.flags, box.known)
    name = numbered(stem, row.size, row.uid, letters, saved=row.saved)
    return row._replace(name=name, date=max(int(message.date), 0))


def _write(files: Files, message: Incoming, path: bytes) -> None:
    if message.path is None:
        write_file(files, path, (message.octets,), sync=not message.unique)
    else:
        descriptor = files.open(message.path, os.O_RDONLY)
        try:
            files.fsync(descriptor)
        finally:
            files.close(descriptor)
        files.rename(message.path, path)
    # Other programs take the file's time for INTERNALDATE.
    when = max(int(message.date), 0)
    files.utime(path, (when, when))


# ---- Filings -------------------------------------------------------------------------------


@dataclass(slots=True)
class Batch:
    """Filings into one mailbox.

    Attributes:
        account: The account's maildir.
        directory: The mailbox's, below it.
        box: Set if sessions have the mailbox open: then messages get their UIDs at once.
        filings: What is to be filed, and whether it may have been filed before.
        faults: What became of each.
        paths: Where each lies, by its unique; None where that is not known.
        delta: What is new in an open mailbox.
        lost: The index failed behind the files: the mailbox must be refreshed.
    """

    account: bytes
    directory: bytes
    index: Index
    box: Box | None
    filings: Sequence[tuple[Filing, bool]]
    faults: list[StoreRefused | None]
    paths: dict[str, bytes | None]
    delta: Delta
    lost: bool = False

    @property
    def path(self) -> bytes:
        """The mailbox's maildir."""
        return self.account + b"/" + self.directory if self.directory else self.account


def deliver(ground: Ground, batch: Batch) -> None:
    """File messages, visible but not yet synced; each may fail by itself."""
    before = _filed(ground, batch)
    todo = []
    for position, (filing, _) in enumerate(batch.filings):
        found = before.get(spelt_unique(filing.unique))
        if found is None:
            todo.append(position)
        else:
            with _fault(batch, position):
                _mend(ground, batch, filing, found)
    if not todo:
        return
    if batch.box is None:
        for position in todo:
            with _fault(batch, position):
                filing = batch.filings[position][0]
                path = (
                    batch.path
                    + b"/new/"
                    + unnumbered(_stem(ground, filing), _size(ground.files, filing))
                )
                place(ground.files, batch.path, filing, path)
                batch.paths[filing.unique] = path
    else:
        _deliver_open(ground, batch, batch.box, todo)


def _deliver_open(ground: Ground, batch: Batch, box: Box, todo: Sequence[int]) -> None:
    """Give each message a UID, and put it where messages with UIDs lie."""
    rows: list[Row] = []
    try:
        first = box.allocate(len(todo))
        with box.changing():
            modseq = box.next_modseq()
            for uid, position in enumerate(todo, first):
                with _fault(batch, position):
                    filing = batch.filings[position][0]
                    size = _size(ground.files, filing)
                    arrived = max(int(filing.arrived), 0)
                    name = numbered(_stem(ground, filing), size, uid)
                    path = b"/".join((box.path, b"cur", name))
                    place(ground.files, box.path, filing, path)
                    batch.paths[filing.unique] = path
                    rows.append(Row(uid, name, 0, modseq, size, arrived, arrived))
        with box.transaction() as transaction:
            transaction.put(box.kept.id, rows)
            box.save(transaction)
        batch.delta = Delta(added=rows)
    except (OSError, IndexLost, StoreRefused) as error:
        box.missed()
        batch.lost = True
        filed = batch.paths
        for position in todo:
            if batch.filings[position][0].unique not in filed:
                batch.faults[position] = batch.faults[position] or as_refused(error)


def _stem(ground: Ground, filing: Filing) -> bytes:
    return make_stem(filing.arrived, filing.unique, ground.host)


def _size(files: Files, filing: Filing) -> int:
    """RFC822.SIZE, by the octets there are."""
    if isinstance(filing.content, str):
        return len(filing.head) + files.stat(os.fsencode(filing.content)).st_size - filing.skip
    return len(filing.head) + len(filing.content)


class _fault:  # noqa: N801 -- reads as a statement
    """Keeps the failure of one filing from the others."""

    def __init__(self, batch: Batch, position: int) -> None:
        self._batch = batch
        self._position = position

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, OSError):
            return False
        self._batch.faults[self._position] = as_refused(error)
        return True


def as_refused(error: Exception) -> StoreRefused:
    """The refusal that tells of a fault of the disk."""
    if isinstance(error, StoreRefused):
        return error
    return StoreRefused(StoreFault.SERVER_BUG, f"Cannot store: {error}")


def place(files: Files, mailbox: bytes, filing: Filing, path: bytes) -> None:
    """Make the file of a filing, under its final name `path` at once.

    Raises:
        OSError: The disk said no; nothing is there.
    """
    if isinstance(filing.content, str):
        source = os.fsencode(filing.content)
        if filing.linkable:
            try:
                with suppress(FileExistsError):
                    files.link(source, path)
            except OSError as error:
                if error.errno not in CANNOT_LINK:
                    raise
            else:
                return
    temporary = mailbox + b"/tmp/" + os.path.basename(path)
    if isinstance(filing.content, str):
        copy_file(files, source, temporary, head=filing.head, skip=filing.skip, sync=False)
    else:
        write_file(files, temporary, (filing.head + filing.content,), sync=False)
    try:
        files.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            files.unlink(temporary)
        raise


# ---- Filings that are repeated ------------------------------------------------------------------


def _filed(ground: Ground, batch: Batch) -> Mapping[bytes, bytes]:
    """Where those filings lie that were carried out before; ``b""`` for one that has left."""
    doubtful = {spelt_unique(filing.unique) for filing, repeated in batch.filings if repeated}
    return _whereabouts(ground.files, batch.account, batch.directory, batch.index, doubtful)


def lacking(box: Box, messages: Sequence[Incoming]) -> list[Incoming]:
    """Those promised messages that are not in their mailbox, nor were there and have left.

    A file that a crash tore is removed: its message is to be placed again.
    """
    spelt = {spelt_unique(message.unique): message for message in messages}
    for unique in spelt:
        box.ground.promised.add(unique)
    files = box.ground.files
    found = _whereabouts(files, box.account, box.directory, box.index, set(spelt))
    for unique, path in found.items():
        if path and _torn(files, path, spelt[unique].size):
            files.unlink(path)
        else:
            del spelt[unique]
    return list(spelt.values())


def _torn(files: Files, path: bytes, size: int) -> bool:
    try:
        return files.stat(path).st_size != size
    except FileNotFoundError:
        return False  # renamed or removed this moment: it was whole


def _whereabouts(
    files: Files, account: bytes, directory: bytes, index: Index, uniques: set[bytes]
) -> dict[bytes, bytes]:
    """Where messages lie by their unique parts; ``b""`` for one that has left the mailbox.

    It may have been moved to another mailbox; a crash may even have kept the
    index from knowing.
    """
    found: dict[bytes, bytes] = {}
    if not uniques:
        return found
    path = account + b"/" + directory if directory else account
    search(files, path, uniques, found)
    left = uniques - found.keys()
    if left:
        with suppress(OSError, IndexLost), index.transaction(write=False) as transaction:
            found.update(
                (unique, b"") for unique in left if transaction.departures.departed(unique)
            )
    if uniques - found.keys():
        elsewhere: dict[bytes, bytes] = {}
        for other in maildir.directories(files, account):
            if other != directory:
                path = account + b"/" + other if other else account
                search(files, path, uniques, elsewhere)
        found = {**dict.fromkeys(elsewhere, b""), **found}
    return found


def search(files: Files, path: bytes, uniques: set[bytes], found: dict[bytes, bytes]) -> None:
    """Find the files in a mailbox that have one of these unique parts."""
    for place_name in (b"/new", b"/cur"):
        for name in maildir.names(files, path + place_name):
            unique = own_unique(name)
            if unique in uniques:
                found[unique] = path + place_name + b"/" + name


def _mend(ground: Ground, batch: Batch, filing: Filing, path: bytes) -> None:
    """Leave a message that was filed before alone, unless a crash tore it."""
    batch.paths[filing.unique] = path or None
    size = parse_base(base_of(os.path.basename(path))).size
    if not path or size != _size(ground.files, filing):
        return
    try:
        torn = ground.files.stat(path).st_size != size
    except FileNotFoundError:
        return  # renamed or removed this moment: it was whole
    if torn:
        # To be copied: link(2) does not replace a file.
        place(ground.files, batch.path, replace(filing, linkable=False), path)
        if batch.box is not None:
            batch.box.missed()
            batch.lost = True
