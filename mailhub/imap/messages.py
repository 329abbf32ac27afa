"""Commands on messages of the selected mailbox: FETCH, COPY, MOVE (RFC 3501 §6.4).

A message that another session has expunged keeps its number until the client
is told.  FETCH and STORE by number that touch such a message do what they can and end in
OK EXPUNGEISSUED (RFC 5530 §3): most libraries throw away all that came before a NO, and
whoever deletes what is gone already has what he wants (RFC 2180 §4.1.2 and §4.2.3 would have
NO).  COPY and MOVE do nothing then (RFC 2180 §4.4.1); commands by UID pass over what is not
there (RFC 3501 §6.4.8).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mailhub.imap import resync
from mailhub.imap.command import Copy, Fetch
from mailhub.imap.enabling import aware
from mailhub.imap.fault import to_target
from mailhub.imap.fetch import Fetching, Rows
from mailhub.imap.item import Fact
from mailhub.imap.modifier import Since
from mailhub.imap.name import canonical
from mailhub.imap.permission import check_writable
from mailhub.imap.portion import Portion, portion, too_many
from mailhub.imap.response import Bad, No, Ok, number_set, status
from mailhub.imap.returning import Partial
from mailhub.imap.sequence import SequenceSet
from mailhub.imap.state import Output, Selected, State
from mailhub.ports.message import Placed, Ranges, Uid
from mailhub.ports.store import StoreRefused


async def fetch(state: State, command: Fetch) -> AsyncGenerator[Output, None]:
    """FETCH and UID FETCH (RFC 3501 §6.4.5)."""
    box, since = state.box, command.since
    check_span(command.partial, state.limits.messages)
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
    chosen = portion(box, ranges, state.limits.messages)
    fetching = Fetching(box, command.items)
    if since is None:
        async for rows in fetching.rows(chosen.downward()):
            yield rows
    else:
        async for rows in _changed(box, command.numbers, since, fetching, chosen):
            yield rows
    end = completed("Fetch", missed=fetching.missed and not command.by_uid)
    for output in chosen.ended(fetching.refusal or end):
        yield output


def completed(name: str, *, missed: bool) -> Ok:
    """The end of a command that did all it could, though some of the messages were missing."""
    return Ok(f"{name} completed", "EXPUNGEISSUED" if missed else "")


async def _changed(
    box: Selected, named: SequenceSet, since: Since, fetching: Fetching, chosen: Portion
) -> AsyncGenerator[bytes, None]:
    """Those that have gone since, if that is asked for, and those that have changed."""
    if since.vanished:
        uids = box.view.meant(named, box.mailbox.uid_next - 1 or 1)
        async for line in resync.gone(box, uids, since.modseq):
            yield line
    async for changed in resync.changed(box, chosen.downward(), since.modseq):
        async for rows in fetching.rows(changed):
            yield rows
        yield b""


async def copy(state: State, command: Copy) -> AsyncGenerator[Output, None]:
    """COPY, MOVE and their UID forms, all or nothing (RFC 3501 §6.4.7, RFC 6851 §3)."""
    box = state.box
    if command.move:
        check_writable(box, "te")  # RFC 6851 §3.3: as if STORE and EXPUNGE followed
    name = state.name(command.mailbox)
    if command.by_uid:
        for piece in box.tell_arrivals():
            yield piece
    limits = state.limits
    chosen = portion(
        box,
        numbers(box, command.numbers, by_uid=command.by_uid),
        limits.messages if command.move else limits.saving,
    )
    if not command.move:
        chosen.check()  # all or nothing                                   (RFC 9738 §3.1)
    rows = Rows(box, chosen.ranges)
    if rows.missed and not command.by_uid:
        raise No("Some of the messages no longer exist", "EXPUNGEISSUED")
    if not rows.uids:
        yield Ok("No such messages")
        return
    uids = [Uid(uid) for uid in rows.uids]
    try:
        placed = await (box.mailbox.move if command.move else box.mailbox.copy)(uids, name)
    except StoreRefused as why:
        raise to_target(why) from None
    state.made(canonical(name), placed)
    if not command.move:
        yield Ok("Copy completed", _copyuid(placed))
        return
    # Before the EXPUNGEs, and so not in the tagged response               (RFC 6851 §4.3)
    yield status(b"*", "OK", "Moved", _copyuid(placed))
    for output in chosen.ended(Ok("Move completed", box.reached())):
        yield output


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


def check_span(partial: Partial | None, limit: int) -> None:
    """Whether so many positions may be asked for; how many messages are there is all the same.

    Raises:
        No: They may not (RFC 9738 §3.1).
    """
    if partial is not None and limit and partial.high - partial.low >= limit:
        raise too_many(limit)
