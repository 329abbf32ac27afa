"""Makes an account's index anew from its maildirs: ``mailhub index rebuild``. Blocking.

Invariants:

1. No UID, UIDVALIDITY, flag or keyword is lost: they lie in names and UID lists, but for flags
   that no name says yet, which lie in the index, and are taken from there if it can be read.
   MODSEQs stay where they are known, and only grow where they are not.
2. It may run beside a hub: each mailbox is done in one transaction, the hub notices and
   loads it anew, and nobody is given a UID here (what has none yet gets it
   when the mailbox is opened).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mailhub.ports.message import Rendering, Summary
from mailhub.store import dovecot, learning, maildir, reading, reconcile
from mailhub.store.box import Box
from mailhub.store.files import Files
from mailhub.store.ground import Ground
from mailhub.store.index import FILE as INDEX
from mailhub.store.index import Index, IndexLost, IndexPool
from mailhub.store.limits import Limits
from mailhub.store.name import (
    INBOX,
    base_of,
    flags_of,
    letters_of,
    mailbox_of,
    parse_base,
)
from mailhub.store.naming import Said
from mailhub.store.profile import Profiles
from mailhub.store.rows import Row

Progress = Callable[[str, int, int], None]
"""Told the mailbox, how many of its messages are done, and how many there are."""


def rebuild(
    path: str,
    *,
    clock: Callable[[], float],
    host: str,
    boot: str,
    summarise: Callable[[bytes], Summary],
    log: Callable[[str], None],
    progress: Progress,
    files: Files | None = None,
) -> int:
    """Rebuild the index of the account whose maildir is `path`; returns how many messages it has.

    Raises:
        OSError: The disk said no; the index is whole, but maybe not complete.
    """
    ground = Ground(files or Files(), clock, host, str, summarise, log, Limits())
    account = os.fsencode(path)
    pool = IndexPool(1)
    index = Index(account + b"/" + INDEX, pool, ground.files, boot, log)
    profiles = Profiles(ground.files, account, clock, log)
    try:
        total = 0
        _forget_texts(index)
        for directory in maildir.directories(ground.files, account):
            box = Box(ground, index, profiles, account, directory)
            total += _rebuild(box, progress)
        return total
    finally:
        pool.close()


def _rebuild(box: Box, progress: Progress) -> int:
    name = mailbox_of(box.directory) or INBOX
    lost, adopted = _load(box)
    if adopted is not None:
        reconcile.reconcile(box, lost=lost, adopted=adopted, number=False)
    uids = _rows(box, lost=lost and adopted is None)
    progress(name, 0, len(uids))
    size = box.ground.limits.read_ahead_messages
    for start in range(0, len(uids), size):
        reading.rendered(Rendering.ENVELOPE, box, uids[start : start + size])
        _learn(box, uids[start : start + size])
        progress(name, min(start + size, len(uids)), len(uids))
    return len(uids)


def _forget_texts(index: Index) -> None:
    """Begin the full-text index anew, without what lies in it of messages that are gone."""
    try:
        with index.transaction() as transaction:
            transaction.texts.forget()
            transaction.rebuilt()
    except IndexLost:  # it was corrupt, and is a new one now
        pass


def _learn(box: Box, uids: list[int]) -> None:
    """Have the full-text index know these."""
    done = 0
    while uids[-1] > done:
        done = learning.learn(box, [uid for uid in uids if uid > done])


def _load(box: Box) -> tuple[bool, dovecot.Adopted | None]:
    try:
        return box.load()
    except IndexLost:  # it was corrupt, and is a new one now
        return box.load()


def _rows(box: Box, *, lost: bool) -> list[int]:
    """Write a mailbox's rows by the names of its files; returns the UIDs."""
    kept = box.kept
    with box.transaction() as transaction:
        old = {row.uid: row for row in transaction.rows_from(kept.id, 0, -1)}
        uncertain = lost or kept.stale
        said = Said(box, transaction, crashed=uncertain)
        rows: dict[int, Row] = {}
        for _ in range(2):  # readdir(3) may pass over a file that is renamed meanwhile
            for name in maildir.names(box.ground.files, box.path + b"/cur"):
                row = _row(box, name, old, said, uncertain=uncertain)
                if row is not None:
                    rows.setdefault(row.uid, row)
        # What is not there goes when the mailbox is opened, if it is really not there.
        rows = old | rows
        kept.uid_next = max([kept.uid_next, *(uid + 1 for uid in rows)])
        if uncertain:
            kept.uid_next = max(kept.uid_next, box.ceiling)
            kept.recent = max(kept.recent, kept.uid_next if lost else 1)
        transaction.clear(kept.id)
        transaction.put(kept.id, (rows[uid] for uid in sorted(rows)))
        box.fall_behind(
            transaction, (uid for uid in sorted(rows) if _differs(rows[uid], box.known))
        )
        kept.stale = False
        # A MODSEQ that nobody had can only be given by whoever has the mailbox open.
        if uncertain or any(row.flags != old[uid].flags for uid, row in rows.items() if uid in old):
            kept.doubt, kept.certain = 0, kept.modseq + 1
        box.missed()  # whoever opens it compares it with the files once more
        box.save(transaction)
        transaction.rebuilt()
    return sorted(rows)


def _differs(row: Row, known: int) -> bool:
    """Whether a message's name does not say its flags."""
    return flags_of(letters_of(row.name)) & known != row.flags


def _row(box: Box, name: bytes, old: dict[int, Row], said: Said, *, uncertain: bool) -> Row | None:
    base = parse_base(base_of(name))
    if base.uid is None or not 0 < base.uid < box.ceiling:
        return None
    before = old.get(base.uid)
    if before is None:
        # Not ours, unless the index may have missed it.
        if base.uid < box.kept.uid_next and not uncertain:
            return None
    elif base_of(before.name) != base_of(name):
        return None
    try:
        measured = reconcile.measure(box, b"/".join((box.path, b"cur", name)), base, trusted=True)
    except FileNotFoundError:
        return None
    if measured is None:
        return None
    modseq = box.kept.modseq if before is None else before.modseq
    flags = flags_of(letters_of(name)) & box.known if before is None else said.flags(before, name)
    saved = reconcile.saved_of(base, measured.date)
    return Row(base.uid, name, flags, modseq, measured.size, measured.date, saved)
