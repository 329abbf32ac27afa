"""Commands on messages of the selected mailbox: SEARCH, FETCH, STORE, COPY, MOVE (RFC 3501 §6.4).

A message that another session has expunged keeps its number until the client
is told.  Commands by number that touch such a message do what they can and end
in NO EXPUNGEISSUED (RFC 2180 §4.1.2, §4.2.3, RFC 5530 §3), COPY and MOVE do
nothing then (RFC 2180 §4.4.1); commands by UID pass over what is not there
(RFC 3501 §6.4.8).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

from mailhub.imap.command import Copy, Fetch, Search, Store
from mailhub.imap.fault import to_target
from mailhub.imap.fetch import Fetching, Rows, spans
from mailhub.imap.item import Fact
from mailhub.imap.response import Bad, No, Ok, number_set, status
from mailhub.imap.search import Searching
from mailhub.imap.sequence import Ranges, SequenceSet
from mailhub.imap.state import Output, Selected, State
from mailhub.mail.flag import KEYWORD_SHIFT, SYSTEM_FLAGS
from mailhub.ports import FlagAction, Placed, StoreRefused, Uid

STORE_ROWS: Final = 500
"""Messages whose flags are changed in one step."""

_APPLY: Final[Mapping[FlagAction, Callable[[int, int], int]]] = {
    FlagAction.REPLACE: lambda _bits, given: given,
    FlagAction.ADD: lambda bits, given: bits | given,
    FlagAction.REMOVE: lambda bits, given: bits & ~given,
}


async def search(state: State, command: Search) -> AsyncGenerator[Output, None]:
    """SEARCH and UID SEARCH (RFC 3501 §6.4.4)."""
    for piece in state.box.tell_arrivals():
        yield piece  # whoever polls by SEARCH alone finds new mail
    yield b"* SEARCH"
    async for numbers in Searching(state.box, command.program, by_uid=command.by_uid).found():
        if numbers:
            yield b" %d" * len(numbers) % tuple(numbers)
        yield b""
    yield b"\r\n"
    yield Ok("Search completed")


async def fetch(state: State, command: Fetch) -> AsyncGenerator[Output, None]:
    """FETCH and UID FETCH (RFC 3501 §6.4.5)."""
    if command.by_uid:
        for piece in state.box.tell_arrivals():
            yield piece
    ranges = _numbers(state.box, command.numbers, by_uid=command.by_uid)
    fetching = Fetching(state.box, command.items)
    async for rows in fetching.rows(ranges):
        yield rows
    if fetching.refusal is not None:
        raise fetching.refusal
    _check_missed(missed=fetching.missed, by_uid=command.by_uid)
    yield Ok("Fetch completed")


async def store(state: State, command: Store) -> AsyncGenerator[Output, None]:
    """STORE and UID STORE (RFC 3501 §6.4.6)."""
    box = state.box
    _check_writable(box)
    if command.by_uid:
        for piece in box.tell_arrivals():
            yield piece
    facts = (Fact.UID, Fact.FLAGS) if command.by_uid else (Fact.FLAGS,)
    fetching = Fetching(box, facts)
    ranges = _numbers(box, command.numbers, by_uid=command.by_uid)
    for batch in spans(ranges, STORE_ROWS):
        rows = Rows(box, batch)
        fetching.missed |= rows.missed
        if not rows.uids:
            continue
        untold = box.view.untold(rows.uids)
        believed = {
            uid: box.mailbox.flags[place]
            for uid in rows.uids
            if uid not in untold and (place := box.mailbox.position(Uid(uid))) is not None
        }
        await box.mailbox.store([Uid(uid) for uid in rows.uids], command.action, command.flags)
        box.view.catch_up()
        if command.silent:
            _silence(box, command, believed)
            yield b""
            continue
        async for piece in fetching.rows(tuple(batch)):
            yield piece
    # RFC 2180 §4.2.1: .SILENT over what is gone is no failure
    _check_missed(missed=fetching.missed and not command.silent, by_uid=command.by_uid)
    yield Ok("Store completed")


async def copy(state: State, command: Copy) -> AsyncGenerator[Output, None]:
    """COPY, MOVE and their UID forms, all or nothing (RFC 3501 §6.4.7, RFC 6851 §3)."""
    box = state.box
    if command.move:
        _check_writable(box)
    name = state.name(command.mailbox)
    if command.by_uid:
        for piece in box.tell_arrivals():
            yield piece
    rows = Rows(box, _numbers(box, command.numbers, by_uid=command.by_uid))
    _check_missed(missed=rows.missed, by_uid=command.by_uid)
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
    yield Ok("Move completed")


def _copyuid(placed: Placed) -> str:
    """The COPYUID response code (RFC 4315 §3)."""
    sources, uids = number_set(placed.sources), number_set(placed.uids)
    return f"COPYUID {placed.uid_validity} {sources} {uids}" if uids else ""


def _numbers(box: Selected, given: SequenceSet, *, by_uid: bool) -> Ranges:
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


def _silence(box: Selected, command: Store, believed: Mapping[int, int]) -> None:
    """Say nothing of flags that are what the client thinks, given what it asked for.

    Where another session changed them meanwhile they are not, and will be told
    (RFC 3501 §6.4.6).
    """
    given = _bits(box, command.flags)
    apply = _APPLY[command.action]
    mailbox = box.mailbox
    for uid, bits in believed.items():
        place = mailbox.position(Uid(uid))
        if place is not None and mailbox.flags[place] == apply(bits, given):
            box.view.silence((uid,))


def _bits(box: Selected, names: tuple[str, ...]) -> int:
    bits = 0
    keywords = [keyword.lower() for keyword in box.mailbox.keywords]
    for name in names:
        if name in SYSTEM_FLAGS:
            bits |= SYSTEM_FLAGS[name]
        elif name.lower() in keywords:
            bits |= 1 << keywords.index(name.lower()) + KEYWORD_SHIFT
    return bits


def _check_writable(box: Selected) -> None:
    if box.read_only:
        raise No("The mailbox was opened read-only", "READ-ONLY")


def _check_missed(*, missed: bool, by_uid: bool) -> None:
    if missed and not by_uid:
        raise No("Some of the messages no longer exist", "EXPUNGEISSUED")
