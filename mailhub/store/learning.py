"""Takes messages into the full-text index, and reads them for those it does not know. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from mailhub.mail.digest import Digest, dated, digest
from mailhub.store.box import Box
from mailhub.store.reading import Opener
from mailhub.store.texts import key_of

SCANNED: int = 50_000
"""Messages of which is asked in one go whether the index has them: some 20 ms."""


def digests(box: Box, uids: Sequence[int]) -> dict[int, Digest]:
    """What an index would keep of messages, made of their files; none of those that are gone."""
    opener, found = Opener(box), {}
    for row in box.rows(uids):
        octets = opener.whole(row)
        if octets is not None:
            found[row.uid] = digest(octets)
    return found


def learn(box: Box, uids: Sequence[int]) -> int:
    """Index the first of those messages that have no digest, as many as one step allows.

    A file that cannot be read is passed over, as if it was empty: one broken file must
    not keep the others from being found.

    Returns:
        The last UID of `uids` up to which all have theirs now.
    """
    mailbox, limits = box.kept.id, box.ground.limits
    first, last = key_of(mailbox, uids[0]), key_of(mailbox, uids[-1])
    with box.transaction(write=False) as transaction:
        keys = transaction.texts.missing(first, last, limits.index_batch)
    if not keys:
        return uids[-1]
    opener, made, room = Opener(box), [], limits.index_octets
    done = uids[-1] if len(keys) < limits.index_batch else keys[-1] - key_of(mailbox, 0)
    for row in box.rows([key - key_of(mailbox, 0) for key in keys]):
        if room <= 0:
            done = row.uid - 1
            break
        room -= row.size
        octets: bytes | None = b""
        with suppress(OSError):
            octets = opener.whole(row)
        if octets is not None:
            made.append((key_of(mailbox, row.uid), dated(digest(octets), row.date)))
    if made:
        with box.transaction() as transaction:
            transaction.texts.put(made, documents=limits.full_text)
    return done
