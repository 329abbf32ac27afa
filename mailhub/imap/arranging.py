"""THREAD (RFC 5256 §3): what is kept of it in the index is brought up to date, and said.

A whole mailbox is said from its `conversations`: those that are touched by what came or left
are arranged anew. A part of a mailbox is arranged each time.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Generator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, TypeVar

from mailhub.imap import conversations, threads
from mailhub.imap.command import Thread
from mailhub.imap.response import PIECE, Ok
from mailhub.imap.searches import gathered, numbered, ordered, search_of, taught
from mailhub.imap.state import Output, Selected, State
from mailhub.ports.finding import Conversation, Sorting, SortKey, Threadable
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Uid

T = TypeVar("T")

ROWS: Final = 4000
"""Messages that THREAD takes from the index in one step."""


async def thread(state: State, command: Thread) -> AsyncGenerator[Output, None]:
    """THREAD and UID THREAD (RFC 5256 §3)."""
    box = state.box
    for piece in box.tell_arrivals():
        yield piece
    uids = array("I")
    searching = search_of(state, command.program, by_uid=True)
    searching.chosen.check()
    async for breath in gathered(state, searching, uids):
        yield breath
    memo = ("thread", command.algorithm, command.by_uid)
    whole = box.view.settled and len(uids) == len(box.mailbox.uids)
    known = box.mailbox.memo.get(memo) if whole else None
    if not isinstance(known, bytes):
        async for breath in taught(state, box.mailbox):
            yield breath
        said: list[bytes] = []
        keeping = whole and command.algorithm in conversations.ALGORITHMS
        async for piece in (_conversed if keeping else _threaded)(box, command, uids):
            if piece:
                said.append(piece)
            yield b""
        known = b"".join(said)
        if whole and box.view.settled and len(uids) == len(box.mailbox.uids):
            box.mailbox.memo[memo] = known
    yield b"* THREAD" + b" " * bool(known)
    for start in range(0, len(known), PIECE):
        yield known[start : start + PIECE]
    yield b"\r\n"
    yield Ok("Thread completed")


# ---- A part of a mailbox ------------------------------------------------------------------------


async def _threaded(
    box: Selected, command: Thread, uids: Sequence[int]
) -> AsyncGenerator[bytes, None]:
    """The thread lists of found messages."""
    messages: list[Threadable] = []
    async for breath in _asked(box.mailbox, frozenset(uids), messages):
        yield breath
    order = await _order(box, messages, uids)
    forests: list[threads.Forest] = []
    for _ in _run(threads.threaded(command.algorithm, messages, order), forests):
        yield b""
    [forest] = forests
    known = [message.uid for message in messages]
    numbers = known if command.by_uid else numbered(box, known)
    for piece in threads.pieces(forest, numbers):
        yield piece


async def _asked(
    mailbox: Mailbox, members: AbstractSet[int], messages: list[Threadable]
) -> AsyncGenerator[bytes, None]:
    """Ask the index for messages, in pieces."""
    first = 0
    while some := await mailbox.threadables(Uid(first), ROWS):
        messages += [it for it in some if it.uid in members]
        first = some[-1].uid + 1
        yield b""


async def _order(box: Selected, messages: list[Threadable], uids: Sequence[int]) -> Sequence[int]:
    """The places of messages in the order of sending; those that have left are taken out."""
    order = await ordered(box, [Sorting(SortKey.DATE)], uids)
    there = frozenset(order)
    messages[:] = [message for message in messages if message.uid in there]
    places = {message.uid: place for place, message in enumerate(messages)}
    return [places[uid] for uid in order if uid in places]


def _run(working: Generator[None, None, T], results: list[T]) -> Generator[None, None, None]:
    """Work step by step; the result comes into a list."""
    results.append((yield from working))


# ---- A whole mailbox ----------------------------------------------------------------------------


async def _conversed(
    box: Selected, command: Thread, uids: array[int]
) -> AsyncGenerator[bytes, None]:
    """The thread lists of all messages."""
    kept = await box.mailbox.conversations(command.algorithm)
    yield b""
    stale = conversations.stale(kept, frozenset(uids))
    current = None if stale is None else await _renewed(box, command, kept, stale)
    if current is None:
        found: list[list[Conversation]] = []
        async for piece in _anew(box, command, uids, kept, found):
            yield piece
        if not found:
            return  # all has been said
        [current] = found
    for shape, members in conversations.parts(current, threads.PIECE_MEMBERS):
        yield shape % tuple(members if command.by_uid else numbered(box, members))


async def _renewed(
    box: Selected, command: Thread, kept: Sequence[Conversation], stale: conversations.Stale
) -> Sequence[Conversation] | None:
    """Conversations without what is stale of them; None where too much is."""
    if not stale.come and not stale.gone:
        return kept
    if len(stale.come) > conversations.NAMES:
        return None
    mailbox = box.mailbox
    fresh = await mailbox.threadables_of([Uid(uid) for uid in sorted(stale.come)])
    names = conversations.names(fresh)
    if names is None or len(fresh) < len(stale.come):
        return None
    related = frozenset(await mailbox.related(*names)) if fresh else frozenset()
    clusters, members = conversations.touched(kept, related | stale.gone)
    members = (members | stale.come) - stale.gone
    if len(members) > conversations.ANEW:
        return None
    messages = await mailbox.threadables_of([Uid(uid) for uid in sorted(members)])
    order = sorted(range(len(messages)), key=lambda place: (messages[place].sent, place))
    results: list[list[Conversation]] = []
    for _ in _run(conversations.converse(command.algorithm, messages, order), results):
        pass  # they are few
    [anew] = results
    await mailbox.keep_conversations(
        command.algorithm, [it for it in kept if it.cluster in clusters], anew
    )
    return sorted([*(it for it in kept if it.cluster not in clusters), *anew])


async def _anew(
    box: Selected,
    command: Thread,
    uids: array[int],
    kept: Sequence[Conversation],
    found: list[list[Conversation]],
) -> AsyncGenerator[bytes, None]:
    """Find all conversations, and keep them; where that would not pay, say the threads."""
    messages: list[Threadable] = []
    async for breath in _asked(box.mailbox, frozenset(uids), messages):
        yield breath
    if not conversations.worth_keeping(messages):
        async for piece in _threaded(box, command, uids):
            yield piece
        return
    order = await _order(box, messages, uids)
    for _ in _run(conversations.converse(command.algorithm, messages, order), found):
        yield b""
    await box.mailbox.keep_conversations(command.algorithm, kept, found[0])
