"""Brings index and files together: finds what others changed, gives UIDs. Blocking.

Invariants:

1. A message keeps the UID in its name if this mailbox may have given it that one and
   the index knows nothing to the contrary: at or above the UID that was next
   when index and files last agreed, below the ceiling, and not taken.
2. Any other ``U=`` (moved here from elsewhere, come back after its removal) gives way to a
   new UID. New messages get theirs in the order of delivery.
3. A message without UID lies in ``new`` or was put into ``cur`` by another program; one with
   UID lies in ``cur``. Its name changes by one rename(2), so a crash of this program leaves
   one of the two; one of the machine may leave both, of which that in ``cur`` counts.
4. What another program changed of flags in a name counts, and all else is as the index has it;
   after a crash of the machine the index is right where names were `behind`.
5. A file of ours that is shorter than its name says was torn by a crash of the machine
   before it was synced: it is no message (the spool still has it).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mailhub.store import maildir
from mailhub.store.box import Box, Delta
from mailhub.store.dovecot import Adopted
from mailhub.store.durable import read_file
from mailhub.store.lines import served_size
from mailhub.store.name import (
    INFO,
    Base,
    base_of,
    delivery_order,
    flags_of,
    letters_of,
    numbered,
    own_unique,
    parse_base,
    relettered,
    seconds_of,
)
from mailhub.store.naming import Said
from mailhub.store.rows import Row

TICK: Final = 0.02
"""Seconds within which two changes may leave a directory with the same time."""
SOON: Final = 1.0
"""Seconds after which a directory that had just changed is compared once more."""


class Fresh(NamedTuple):
    """A file that the index does not know.

    Attributes:
        place: ``b"new"`` or ``b"cur"``.
        uid: The one it keeps, if any.
    """

    place: bytes
    name: bytes
    base: Base
    uid: int | None


class Measured(NamedTuple):
    """A file's size as it is served (RFC822.SIZE), its INTERNALDATE, and its size on disk."""

    size: int
    date: int
    stored: int


@dataclass(slots=True)
class Findings:
    """What is different between index and files.

    Attributes:
        renamed: UID, place and name of known messages with another name than before.
        removed: UIDs of those whose files are gone.
        fresh: Files that the index does not know.
    """

    renamed: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    fresh: list[Fresh] = field(default_factory=list)


def refresh(box: Box) -> Delta:
    """Load the box if it is not ready; then see what other programs did since.

    Raises:
        StoreRefused: NONEXISTENT, or LIMIT where UIDs are used up.
        OSError: The disk said no.
        IndexLost: The box must be loaded anew.
    """
    if not box.ready:
        lost, adopted = box.load()
        box.resume()
        return reconcile(box, lost=lost, adopted=adopted)
    if not box.disturbed():
        with box.transaction(write=False):
            pass  # an index that was rebuilt beside us is noticed here, before it costs a UID
        return Delta()
    return reconcile(box)


def reconcile(
    box: Box, *, lost: bool = False, adopted: Adopted | None = None, number: bool = True
) -> Delta:
    """Compare files and index, and make the index agree.

    With `lost` the index knows nothing of this mailbox; `adopted` is what Dovecot
    knew of it. Without `number` no UID is given out.
    """
    looked = box.look()
    uncertain = lost or box.kept.stale
    full = uncertain or box.seen[1] != looked[1] or box.must_verify
    arrived: list[bytes] = []
    try:
        if number and (full or box.seen[0] != looked[0]):
            arrived = maildir.names(box.ground.files, box.path + b"/new")
        box.taken = box.taken or bool(arrived)
        # Another change in the same tick would leave no trace: then look again, at `new` the
        # next time (that is cheap), at `cur` a little later.
        now = box.ground.clock()
        sure = [abs(now - time / 1_000_000_000) > TICK for time in looked]
        box.seen = (looked[0] if sure[0] else 0, looked[1])
        if full:
            findings = _compare(box, arrived, adopted, crashed=uncertain)
            box.verified()
            if not sure[1]:
                box.verify_in(SOON)
        else:
            findings = Findings(fresh=[_fresh(box, b"new", name, adopted) for name in arrived])
        delta = _settle(box, findings, uncertain=uncertain, number=number)
    except BaseException:
        box.missed()
        raise
    if not number:
        box.missed()
    return delta


# ---- Comparing -----------------------------------------------------------------------------


def _compare(box: Box, arrived: list[bytes], adopted: Adopted | None, *, crashed: bool) -> Findings:
    """What is different between the index and ``cur``; `arrived` are the names in ``new``.

    `crashed` is whether the machine may have.
    """
    directory = box.path + b"/cur"
    with box.transaction(write=False) as transaction:
        known = transaction.names(box.kept.id)
    listed = set(maildir.names(box.ground.files, directory))
    gone = known.keys() - listed
    once: set[bytes] = set()
    if gone:
        # readdir(3) may pass over a file that is renamed meanwhile: ask twice.
        once = {base_of(name) for name in listed}
        listed = set(maildir.names(box.ground.files, directory))
        gone = known.keys() - listed
    if crashed:
        arrived = _without_twins(box, arrived, listed)
    here = listed - known.keys()
    fresh = {(b"cur", base_of(name)): name for name in here}
    fresh.update(((b"new", base_of(name)), name) for name in arrived)
    if len(fresh) < len(here) + len(arrived):
        box.missed()  # two files differ in their flags alone: the other one next time
    findings = Findings()
    _drop_ghosts(box, fresh, listed, findings)
    stems: dict[bytes, tuple[bytes, bytes]] = {}
    if gone:
        parsed = ((parse_base(key[1]), key) for key in fresh)
        stems = {bare.stem: key for bare, key in parsed if bare.uid is None}
    for name in gone:
        uid, base = known[name], base_of(name)
        # A file whose name lost its UID had its rename undone by a crash.
        for key in ((b"cur", base), (b"new", base), stems.get(parse_base(base).stem)):
            if key in fresh:
                findings.renamed.append((uid, key[0], fresh.pop(key)))
                break
        else:
            if base in once:
                box.missed()
            else:
                findings.removed.append(uid)
    findings.removed.sort()
    findings.renamed.sort()
    findings.fresh = [_fresh(box, place, name, adopted) for (place, _), name in fresh.items()]
    return findings


def _without_twins(box: Box, arrived: list[bytes], listed: Iterable[bytes]) -> list[bytes]:
    """Remove from ``new`` what lies in ``cur`` as well; the names that are left.

    A message that a session had moved is in both where the power failed when ``cur`` had been
    synced since, and ``new`` had not.
    """
    files = box.ground.files
    stems = {parse_base(base_of(name)).stem: name for name in arrived}
    ours = {stem: name for stem, name in stems.items() if own_unique(stem) is not None}
    gone = set()
    for name in listed if ours else ():
        twin = ours.get(name.partition(b",")[0])
        if twin is None:
            continue
        path = b"/".join((box.path, b"new", twin))
        octets = read_file(files, path)
        if octets is not None and octets == read_file(files, b"/".join((box.path, b"cur", name))):
            box.ground.log(f"left twice by a crash, kept once: {path.decode('utf-8', 'replace')}")
            files.unlink(path)
            gone.add(twin)
    return [name for name in arrived if name not in gone]


def _drop_ghosts(
    box: Box, fresh: dict[tuple[bytes, bytes], bytes], listed: set[bytes], findings: Findings
) -> None:
    """Find files that readdir(3) showed under two names, before and after a rename."""
    claimed = {uid: key for key in fresh if (uid := parse_base(key[1]).uid) is not None}
    for row in box.rows(sorted(claimed)):
        key = claimed[row.uid]
        if base_of(row.name) == key[1] and row.name in listed:
            try:
                box.ground.files.stat(b"/".join((box.path, b"cur", row.name)))
            except FileNotFoundError:
                findings.renamed.append((row.uid, key[0], fresh.pop(key)))


def _fresh(box: Box, place: bytes, name: bytes, adopted: Adopted | None) -> Fresh:
    base = parse_base(base_of(name))
    if adopted is not None:
        return Fresh(place, name, base, adopted.uids.get(base_of(name)))
    kept = base.uid is not None and box.kept.uid_next <= base.uid < box.ceiling
    return Fresh(place, name, base, base.uid if kept else None)


# ---- Making them agree ------------------------------------------------------------------------


def _settle(box: Box, findings: Findings, *, uncertain: bool, number: bool) -> Delta:
    keeping, others = _by_claim(findings.fresh)
    if not number:
        others = []
    kept = box.kept
    changed: list[tuple[bytes, int, int, int]] = []
    rows: list[Row] = []
    # (A lost index may have known greater MODSEQs than this one.)
    stirred = findings.renamed or findings.removed or findings.fresh or uncertain
    modseq = box.next_modseq() if stirred else kept.modseq
    with box.changing() if stirred else nullcontext():
        rows += _take_in_all(box, keeping, trusted=True)
        kept.uid_next = max([kept.uid_next, *(uid + 1 for uid, _ in keeping)])
        if uncertain:
            # UIDs may have been given out that neither names nor index tell of.
            kept.uid_next = max(kept.uid_next, box.ceiling)
            if kept.recent <= 1:
                kept.recent = kept.uid_next
        first = box.allocate(len(others))
        rows += _take_in_all(box, list(enumerate(others, first)), trusted=False)
        changed = _renamed(box, findings.renamed, modseq, crashed=uncertain)
    delta = Delta(
        findings.removed,
        [(uid, flags, at) for _, flags, at, uid in changed if at == modseq],
        [row._replace(modseq=modseq) for row in rows],
    )
    stale, kept.stale = kept.stale, False
    try:
        with box.transaction() as transaction:
            box.remove(transaction, findings.removed)
            transaction.reflag(kept.id, changed)
            box.fall_behind(transaction, _behind(changed, box.known))
            transaction.put(kept.id, delta.added)
            box.save(transaction)
    except OSError:
        kept.stale = stale
        raise
    return delta


def _by_claim(fresh: Iterable[Fresh]) -> tuple[list[tuple[int, Fresh]], list[Fresh]]:
    """Those that keep their UID, in its order; the rest, in the order of delivery."""
    claims: dict[int, Fresh] = {}
    others: list[Fresh] = []
    for file in sorted(fresh, key=lambda file: delivery_order(file.name)):
        if file.uid is None or file.uid in claims:
            others.append(file)
        else:
            claims[file.uid] = file
    return sorted(claims.items()), others


def _take_in_all(box: Box, files: Sequence[tuple[int, Fresh]], *, trusted: bool) -> list[Row]:
    rows = []
    for uid, file in files:
        row = _take_in(box, file, uid, trusted=trusted and file.base.uid == uid)
        if row is not None:
            rows.append(row)
    return rows


def _take_in(box: Box, file: Fresh, uid: int, *, trusted: bool) -> Row | None:
    """Give a file its final name; None if it is none of ours, or gone again."""
    files = box.ground.files
    path = b"/".join((box.path, file.place, file.name))
    letters = letters_of(file.name)
    try:
        measured = measure(box, path, file.base, trusted=trusted)
        if measured is None:
            return None
        size, date, stored = measured
        saved = _saved(box, file.base, date, trusted=trusted)
        flags = flags_of(letters) & box.known
        letters = relettered(letters, flags, box.known)
        name = numbered(file.base.stem, stored, uid, letters, size, saved)
        if file.place != b"cur" or name != file.name:
            files.rename(path, b"/".join((box.path, b"cur", name)))
    except FileNotFoundError:
        box.missed()
        return None
    return Row(uid, name, flags, 0, size, date, saved)


def _saved(box: Box, base: Base, date: int, *, trusted: bool) -> int:
    """When a file came into this mailbox, as well as can be known."""
    if base.uid is not None and not trusted:
        return max(int(box.ground.clock()), 0)  # moved here from another mailbox
    return saved_of(base, date)


def saved_of(base: Base, date: int) -> int:
    """When a message came into its mailbox, by its name; `date` if that does not say."""
    return next((it for it in (base.saved, seconds_of(base.stem)) if it is not None), date)


def measure(box: Box, path: bytes, base: Base, *, trusted: bool) -> Measured | None:
    """Sizes and date of a file; None if it was torn.

    What a name says of the size is believed if we made the name, and it is true.
    """
    files = box.ground.files
    status = files.stat(path)
    own = own_unique(base.stem) is not None
    date = seconds_of(base.stem) if own else None
    if date is None:
        date = max(int(status.st_mtime), 0)
    if (own or trusted) and base.size == status.st_size:
        return Measured(base.served or status.st_size, date, status.st_size)
    if own and base.size is not None and status.st_size < base.size:
        box.ground.log(f"torn by a crash, left out: {path.decode('utf-8', 'replace')}")
        return None
    descriptor = files.open(path, os.O_RDONLY)
    try:
        return Measured(served_size(files, descriptor), date, status.st_size)
    finally:
        files.close(descriptor)


def _renamed(
    box: Box, files: Sequence[tuple[int, bytes, bytes]], modseq: int, *, crashed: bool
) -> list[tuple[bytes, int, int, int]]:
    """Name, flags, MODSEQ and UID for the index; the MODSEQ is old where flags are as before."""
    if not files:
        return []
    with box.transaction(write=False) as transaction:
        rows = transaction.rows(box.kept.id, sorted({uid for uid, _, _ in files}))
        said = Said(box, transaction, crashed=crashed)
    old = {row.uid: row for row in rows}
    changes = []
    for uid, place, name in files:
        row = old[uid]
        flags = said.flags(row, name)
        whole = base_of(row.name) + INFO + letters_of(name)
        if place != b"cur" or base_of(name) != base_of(row.name):
            source = b"/".join((box.path, place, name))
            try:
                box.ground.files.rename(source, b"/".join((box.path, b"cur", whole)))
            except FileNotFoundError:
                box.missed()
                continue
        else:
            whole = name
        changes.append((whole, flags, row.modseq if flags == row.flags else modseq, uid))
    return changes


def _behind(changed: Iterable[tuple[bytes, int, int, int]], known: int) -> list[int]:
    """UIDs of those whose names do not say their flags, in ascending order."""
    return sorted(
        uid for name, flags, _, uid in changed if flags_of(letters_of(name)) & known != flags
    )
