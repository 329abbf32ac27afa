"""UIDBATCHES: a mailbox in ranges of UIDs that hold so many messages each (RFC 10022).

A client that goes through a large mailbox piece by piece learns from it where the pieces
begin and end, from the newest down, without a list of all UIDs and without sequence numbers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import islice
from typing import Final

from mailhub.imap.command import UidBatches
from mailhub.imap.response import Bad, No, Ok, string
from mailhub.imap.state import Output, State

FEWEST: Final = 500
"""Messages in a batch: every server must take so few (RFC 10022 §3.1)."""
MOST: Final = 10_000
"""Batches that one command asks for: ours."""
RANGES: Final = 2_000
"""Ranges that are made into octets in one step: 46 KiB at most."""


async def uid_batches(state: State, command: UidBatches) -> AsyncGenerator[Output, None]:
    """UIDBATCHES; the result of a search that was saved stays what it is."""
    first, last = command.wanted or (1, MOST)
    if first > last:
        raise Bad("The first batch comes first", "CLIENTBUG")
    if command.size < FEWEST:
        raise No(f"A batch has {FEWEST} messages at least", "TOOFEW")
    if last - first >= MOST:
        raise No(f"At most {MOST} batches at once", "TOOMANY")
    box = state.box
    for piece in box.tell_arrivals():
        yield piece
    uids = box.mailbox.uids[:]  # nothing that happens meanwhile moves the bounds
    ranges = islice(batches(uids, command.size), first - 1, last)
    # uidbatches-response = "UIDBATCHES" SP search-correlator [SP uid-range *("," uid-range)]
    yield b"* UIDBATCHES (TAG %b)" % string(state.tag)
    mark = b" "
    while some := list(islice(ranges, RANGES)):
        yield mark + b",".join(b"%d:%d" % bounds for bounds in some)
        mark = b","
    yield b"\r\n"
    yield Ok("Uidbatches completed")


def batches(uids: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Ranges (highest, lowest) that hold `size` messages each, and leave no UID out.

    Args:
        uids: Ascending.
        size: The last range, which goes down to UID 1, may hold fewer.
    """
    high = uids[-1] if uids else 0
    for end in range(len(uids), 0, -size):
        low = uids[end - size] if end > size else 1
        yield high, low
        high = low - 1
