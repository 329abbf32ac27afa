"""Commands on messages of the selected mailbox: FETCH, COPY, MOVE (RFC 3501 §6.4).

A message that another session has expunged keeps its number until the client
is told.  Commands by number that touch such a message do what they can and end
in NO EXPUNGEISSUED (RFC 2180 §4.1.2, §4.2.3, RFC 5530 §3), COPY and MOVE do
nothing then (RFC 2180 §4.4.1); commands by UID pass over what is not there
(RFC 3501 §6.4.8).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mailhub.imap import resync
from mailhub.imap.command import Copy, Fetch
from mailhub.imap.enabling import aware
from mailhub.imap.fault import to_target
from mailhub.imap.fetch import Fetching, Rows
from mailhub.imap.item import Fact
from mailhub.imap.permission import check_writable
from mailhub.imap.response import Bad, No, Ok, number_set, status
from mailhub.imap.returning import Partial
from mailhub.imap.sequence import SequenceSet
from mailhub.imap.state import Output, Selected, State
from mailhub.ports.message import Placed, Ranges, Uid
from mailhub.ports.store import StoreRefused


async def fetch(state: State, command: Fetch) -> AsyncGenerator[Output, None]:
    """FETCH and UID FETCH (RFC 3501 §6.4.5)."""
    box, since = state.box, command.since
    if since is not None and since.vanished and "QRESYNC" not in state.enabled:
        raise Bad("VANISHED wants ENABLE QRESYNC")  # RFC 7162 §3.2.6
    if Fact.MODSEQ in command.items:
        yield aware(state)
    if command.by_uid:
        # What is gone and was seen here is told first, and not as EARLIER  (RFC 7162 §3.2.10)
        told = box.tell(expunges=True) if since and since.vanished else box.tell_arrivals()
        for piece in told:
            yield piece
    ranges = part(numbers(box, command.numbers, by_uid=command.by_uid), command.partial)
    fetching = Fetching(box, command.items)
    if since is None:
        async for rows in fetching.rows(ranges):
            yield rows
    else:
        if since.vanished:
            uids = box.view.meant(command.numbers, box.mailbox.uid_next - 1 or 1)
            async for line in resync.gone(box, uids, since.modseq):
                yield line
        async for changed in resync.changed(box, ranges, since.modseq):
            async for rows in fetching.rows(changed):
                yield rows
            yield b""
    if fetching.refusal is not None:
        raise fetching.refusal
    check_missed(missed=fetching.missed, by_uid=command.by_uid)
    yield Ok("Fetch completed")


async def copy(state: State, command: Copy) -> AsyncGenerator[Output, None]:
    """COPY, MOVE and their UID forms, all or nothing (RFC 3501 §6.4.7, RFC 6851 §3)."""
    box = state.box
    if command.move:
        check_writable(box, "te")  # RFC 6851 §3.3: as if STORE and EXPUNGE followed
    name = state.name(command.mailbox)
    if command.by_uid:
        for piece in box.tell_arrivals():
            yield piece
    rows = Rows(box, numbers(box, command.numbers, by_uid=command.by_uid))
    check_missed(missed=rows.missed, by_uid=command.by_uid)
    if not rows.uids:
        yield Ok("No such messages")
        return
    uids = [Uid(uid) for uid in rows.uids]
    try:
        placed = await (box.mailbox.move if command.move else box.mailbox.copy)(uids, name)
    except StoreRefused as why:
        raise to_target(why) from None
    if not command.move:
        yield Ok("Copy completed", _copyuid(placed))
        return
    # Before the EXPUNGEs, and so not in the tagged response               (RFC 6851 §4.3)
    yield status(b"*", "OK", "Moved", _copyuid(placed))
    yield Ok("Move completed", box.reached())


def _copyuid(placed: Placed) -> str:
    """The COPYUID response code (RFC 4315 §3)."""
    sources, uids = number_set(placed.sources), number_set(placed.uids)
    return f"COPYUID {placed.uid_validity} {sources} {uids}" if uids else ""


def numbers(box: Selected, given: SequenceSet, *, by_uid: bool) -> Ranges:
    """The client's sequence numbers that a command means.

    Raises:
        Bad: A sequence number that means no message (RFC 3501 §9 seq-number).
    """
    if by_uid:
        return box.view.by_uids(given)
    numbers = box.view.by_numbers(given)
    if numbers is None:
        raise Bad("No message has such a number")
    return numbers


def part(ranges: Ranges, partial: Partial | None) -> Ranges:
    """Of the messages in ranges those at some positions, or all (RFC 9394 §3.2)."""
    if partial is None:
        return ranges
    count = sum(last - first + 1 for first, last in ranges)
    low, high = partial.low, partial.high
    if low < 0:
        low, high = max(count + low + 1, 1), count + high + 1
    found = []
    for first, last in ranges:
        length = last - first + 1
        begin, end = max(low, 1), min(high, length)
        if begin <= end:
            found.append((first + begin - 1, first + end - 1))
        low, high = low - length, high - length
    return tuple(found)


def check_missed(*, missed: bool, by_uid: bool) -> None:
    """Whether all messages that were named by number are still there.

    Raises:
        No: Some are not (RFC 2180 §4.1.2).
    """
    if missed and not by_uid:
        raise No("Some of the messages no longer exist", "EXPUNGEISSUED")
