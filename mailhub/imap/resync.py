"""What has changed since a MODSEQ: for clients that come back (RFC 7162 §3.2.5, §3.2.6).

Invariants:

1. VANISHED (EARLIER) names no message that this client can see, nor one whose
   removal is still to be told: those get a VANISHED of their own (RFC 7162 §3.2.10).
2. Who asks for more history than there is, or knows what a crash has undone, is
   told of every UID that is not there: too much is said, never too little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterable, Iterator
from itertools import compress
from typing import Final

from mailhub.imap.fetch import Fetching, Spans
from mailhub.imap.item import Fact
from mailhub.imap.modifier import Resync
from mailhub.imap.response import runs
from mailhub.imap.sequence import HIGHEST, intersection
from mailhub.imap.state import Selected
from mailhub.imap.view import vanished
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import ModSeq, Ranges

STEP: Final = 50_000
"""Messages looked through in one step: a few milliseconds."""
EARLIER: Final = b"(EARLIER)"


def credible(mailbox: Mailbox, modseq: int) -> ModSeq:
    """`modseq`, or 0 for a client that cannot have learnt it from what is true."""
    known = ModSeq(modseq)
    return ModSeq(0) if known > mailbox.highest_modseq or mailbox.doubtful(known) else known


async def changed(
    box: Selected, numbers: Iterable[tuple[int, int]], modseq: int
) -> AsyncGenerator[Ranges, None]:
    """Those of the client's sequence numbers whose messages changed after `modseq`, in order.

    An empty answer is a breathing point.
    """
    since = credible(box.mailbox, modseq)
    for batch in Spans(numbers, STEP):
        yield tuple(found for first, last in batch for found in _changed(box, first, last, since))


def _changed(box: Selected, first: int, last: int, since: int) -> Iterator[tuple[int, int]]:
    for run in box.view.runs(first, last):
        modseqs = box.mailbox.modseqs[run.position : run.position + run.length]
        if max(modseqs) > since:
            late = [modseq > since for modseq in modseqs]
            yield from runs(compress(range(run.seq, run.seq + run.length), late))


async def gone(box: Selected, uids: Ranges, modseq: int) -> AsyncGenerator[bytes, None]:
    """VANISHED (EARLIER) for those of `uids` whose messages left after `modseq`."""
    mailbox = box.mailbox
    known = await mailbox.vanished(credible(mailbox, modseq))
    if known is None:
        known = ((1, mailbox.uid_next - 1),) if mailbox.uid_next > 1 else ()
    for line in vanished(box.view.lacking(intersection(uids, known)), EARLIER):
        yield line


async def resynchronise(box: Selected, known: Resync) -> AsyncGenerator[bytes, None]:
    """What a client that comes back must be told, if it knows this very mailbox."""
    mailbox = box.mailbox
    if known.uid_validity != mailbox.uid_validity:
        return  # it finds out for itself                                (RFC 7162 §3.2.5)
    if known.uids is None:
        uids: Ranges = ((1, max(mailbox.uid_next - 1, 1)),)
    else:
        uids = known.uids.ranges
    above = ((matched(mailbox, known) + 1, HIGHEST),)
    async for line in gone(box, intersection(uids, above), known.modseq):
        yield line
    fetching = Fetching(box, (Fact.UID, Fact.FLAGS, Fact.MODSEQ))
    async for numbers in changed(box, box.view.within(uids), known.modseq):
        async for piece in fetching.rows(numbers):
            yield piece
        yield b""


def matched(mailbox: Mailbox, known: Resync) -> int:
    """The highest UID of which client and mailbox agree that it has a certain number.

    Then the client knows of all that is gone below it: between the two nothing
    can have arrived (RFC 7162 §3.2.5.2).
    """
    if known.numbers is None or known.their_uids is None:
        return 0
    best = 0
    for number, uid, length in _aligned(known.numbers.ranges, known.their_uids.ranges):
        best = max(best, _agreed(mailbox, number - 1, uid, length))
    return best


def _agreed(mailbox: Mailbox, position: int, uid: int, length: int) -> int:
    """The highest UID in a run of messages with neighbouring UIDs that lies where it should."""
    uids = mailbox.uids
    length = min(length, len(uids) - position)
    if length <= 0 or uids[position] > uid:
        return 0
    # What UIDs are ahead of their places never shrinks: beyond the last match it is too large.
    places = range(position, position + length)
    ahead = bisect_left(places, uid - position + 1, key=lambda place: uids[place] - place)
    last = ahead - 1
    return uids[position + last] if last >= 0 and uids[position + last] == uid + last else 0


def _aligned(numbers: Ranges, uids: Ranges) -> Iterator[tuple[int, int, int]]:
    """Two sets of equal size as runs that correspond: first number, first UID, length."""
    ours, theirs = list(reversed(numbers)), list(reversed(uids))
    while ours and theirs:
        (number, last), (uid, end) = ours.pop(), theirs.pop()
        length = min(last - number, end - uid) + 1
        yield number, uid, length
        if number + length <= last:
            ours.append((number + length, last))
        if uid + length <= end:
            theirs.append((uid + length, end))
