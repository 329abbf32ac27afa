"""Commands that search: SEARCH, SORT, THREAD and CANCELUPDATE (RFC 3501 §6.4.4, RFC 5256 §3).

All of them find first (`search`), then arrange, then say; the result is in memory as
four octets a message, so that what is said comes in one piece whatever happens meanwhile.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from mailhub.imap.command import CancelUpdate, Search, Sort
from mailhub.imap.contexts import SearchContext, check_tag, frozen, refused
from mailhub.imap.criteria import Key
from mailhub.imap.enabling import aware
from mailhub.imap.progress import Progress
from mailhub.imap.response import Bad, Ok, runs
from mailhub.imap.returning import ALL, Returning, Source, esearch
from mailhub.imap.search import Searching, tells_modseq
from mailhub.imap.state import Output, Selected, State
from mailhub.ports.finding import Sorting, SortKey
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Uid

C = TypeVar("C", Search, Sort)

NUMBERS: Final = 5000
"""Numbers that are turned into octets in one step."""
ROWS: Final = 4000
"""Messages that THREAD takes from the index in one step."""
SPARSE: Final = 20
"""Messages in a mailbox for each that is sorted, from which those are sorted by themselves."""
SPARSE_LIMIT: Final = 1000
"""Messages that are sorted so at most."""


async def search(state: State, command: Search) -> AsyncGenerator[Output, None]:
    """SEARCH and UID SEARCH (RFC 3501 §6.4.4, RFC 4731 §3)."""
    box, returning = state.box, command.returning
    if command.charset and "UTF8=ACCEPT" in state.enabled:
        raise Bad("All is UTF-8 since UTF8=ACCEPT was enabled")  # RFC 6855 §3
    if returning is None and not state.manner.recent:
        returning = ALL  # RFC 9051 §6.4.4: all that is not asked for otherwise
    if tells_modseq(command.program):
        yield aware(state)
    for piece in box.tell_arrivals():
        yield piece  # whoever polls by SEARCH alone finds new mail
    command = _begun(state, command)
    searching = search_of(state, command.program, by_uid=command.by_uid)
    numbers = array("I")
    async for breath in gathered(state, searching, numbers):
        yield breath
    if returning is None:
        async for piece in _told(box, command, numbers):
            yield piece
    else:
        async for breath in _save(box, returning, numbers, by_uid=command.by_uid):
            yield breath
        async for piece in _returned(state, command, returning, numbers, searching.scores):
            yield piece
    for output in searching.chosen.ended(Ok("Search completed")):
        yield output


async def sort(state: State, command: Sort) -> AsyncGenerator[Output, None]:
    """SORT and UID SORT (RFC 5256 §3, RFC 5267 §3)."""
    box, returning = state.box, command.returning
    if tells_modseq(command.program):
        yield aware(state)
    for piece in box.tell_arrivals():
        yield piece
    command = _begun(state, command)
    searching = search_of(state, command.program, by_uid=True)
    searching.chosen.check()  # what is to be sorted cannot be sorted in parts  (RFC 9738 §3.3)
    uids = array("I")
    async for breath in gathered(state, searching, uids):
        yield breath
    async for breath in taught(state, box.mailbox):
        yield breath
    numbers = array("I")
    async for breath in _sorted(box, command, uids, searching.scores, numbers):
        yield breath
    if returning is None:
        async for piece in _told(box, command, numbers):
            yield piece
    else:
        # What is saved has no order: of all that was found the order of UIDs is at hand
        whole = returning.saved(numbers) is numbers
        saved, by_uid = (uids, True) if whole else (numbers, command.by_uid)
        async for breath in _save(box, returning, saved, by_uid=by_uid):
            yield breath
        async for piece in _returned(state, command, returning, numbers, searching.scores):
            yield piece
    yield Ok("Sort completed")


async def cancel_update(state: State, command: CancelUpdate) -> AsyncGenerator[Output, None]:
    """CANCELUPDATE: those results are kept up to date no longer (RFC 5267 §4.3.5)."""
    for tag in command.tags:
        state.box.contexts.pop(tag, None)
    yield Ok("No more updates")


def search_of(state: State, program: Key, *, by_uid: bool) -> Searching:
    """A search in the selected mailbox."""
    settings = state.settings
    return Searching(
        state.box, program, by_uid=by_uid, now=settings.now(), limit=settings.limits.messages
    )


async def gathered(
    state: State, searching: Searching, numbers: array[int]
) -> AsyncGenerator[bytes, None]:
    """Have a search done; a breath between two steps, and now and then how far it is."""
    progress = Progress(state)
    begun = False
    async for some in searching.found():
        if begun:
            yield progress.told(searching.done, searching.goal)
        begun = True
        numbers.extend(some)


async def taught(state: State, mailbox: Mailbox) -> AsyncGenerator[bytes, None]:
    """Have the index know all messages; breaths likewise."""
    progress, goal = Progress(state), 0
    while left := await mailbox.learn():
        goal = max(goal, left)
        yield progress.told(goal - left, goal)


# ---- Sorting -------------------------------------------------------------------


async def _sorted(
    box: Selected,
    command: Sort,
    uids: array[int],
    scores: Mapping[int, int],
    numbers: array[int],
) -> AsyncGenerator[bytes, None]:
    """Find the numbers of found messages, in order."""
    mailbox, criteria = box.mailbox, command.sorting
    memo = ("sort", criteria, command.by_uid)
    scored = any(it.key is SortKey.RELEVANCY for it in criteria)
    whole = not scored and box.view.settled and len(uids) == len(mailbox.uids)
    known = mailbox.memo.get(memo) if whole else None
    if isinstance(known, array):
        numbers.extend(known)
        return
    order = await ordered(box, criteria, uids, scores if scored else None)
    if len(order) > len(uids):
        members = frozenset(uids)
        order, every = array("I"), order
        for start in range(0, len(every), NUMBERS):
            order.extend([uid for uid in every[start : start + NUMBERS] if uid in members])
            yield b""
    if command.by_uid:
        numbers.extend(order)
    else:
        for start in range(0, len(order), NUMBERS):
            numbers.extend(numbered(box, order[start : start + NUMBERS]))
            if start:
                yield b""
    if whole and box.view.settled and len(numbers) == len(mailbox.uids):
        mailbox.memo[memo] = numbers


async def ordered(
    box: Selected,
    criteria: Sequence[Sorting],
    uids: Sequence[int],
    scores: Mapping[int, int] | None = None,
) -> array[int]:
    """UIDs in order: of these, or, where they are many, of all that there are."""
    mailbox = box.mailbox
    if len(uids) <= SPARSE_LIMIT and len(uids) * SPARSE <= len(mailbox.uids):
        return await mailbox.order(criteria, [Uid(uid) for uid in uids], scores)
    return await mailbox.order(criteria, None, scores)


def numbered(box: Selected, uids: Sequence[int]) -> list[int]:
    """The sequence numbers of messages, in the same order; none of those that have gone."""
    if not box.view.settled:
        numbers = map(box.view.number, uids)
        return [number for number in numbers if number is not None]
    known = box.mailbox.uids
    if not known:
        return []
    first, last = known[0], known[-1]
    if last - first == len(known) - 1:  # not one has ever gone from between
        return [uid - first + 1 for uid in uids if first <= uid <= last]
    found = [(bisect_left(known, uid), uid) for uid in uids]
    return [place + 1 for place, uid in found if place < len(known) and known[place] == uid]


# ---- Saying it ---------------------------------------------------------------------------------


async def _told(
    box: Selected, command: Search | Sort, numbers: Sequence[int]
) -> AsyncGenerator[bytes, None]:
    """The old response, with the highest MODSEQ where one was asked for (RFC 7162 §3.1.9)."""
    yield b"* SORT" if isinstance(command, Sort) else b"* SEARCH"
    for start in range(0, len(numbers), NUMBERS):
        if start:
            yield b""
        some = numbers[start : start + NUMBERS]
        yield b" %d" * len(some) % tuple(some)
    highest: list[int] = []
    async for breath in _highest(box, numbers, command, highest):
        yield breath
    yield (b" (MODSEQ %d)" % max(highest) if any(highest) else b"") + b"\r\n"


def _begun(state: State, command: C) -> C:
    """A search whose program means the same after it, where it is kept up to date or saved.

    One that is to be saved and fails leaves nothing saved (RFC 5182 §2.1); until then ``$`` in it
    is what was saved before.

    Raises:
        Bad: It cannot be kept up to date.
    """
    box, returning = state.box, command.returning
    if returning is None or not returning.options & {"SAVE", "UPDATE"}:
        return command
    if "UPDATE" in returning:
        check_tag(box, state.tag)
    command = replace(command, program=frozen(box, command.program))
    if "SAVE" in returning:
        box.view.saved = ()
    return command


async def _returned(
    state: State,
    command: Search | Sort,
    returning: Returning,
    numbers: Sequence[int],
    scores: Mapping[int, int],
) -> AsyncGenerator[bytes, None]:
    """The ESEARCH response, and what comes with it."""
    box, tag = state.box, state.tag
    if "UPDATE" in returning:
        if len(box.contexts) >= state.limits.contexts:
            yield refused(tag, "Too many contexts")
        else:
            uids = array("I")
            cursor = box.mailbox.cursor
            for start in range(0, len(numbers), NUMBERS):
                some = numbers[start : start + NUMBERS]
                uids.extend(some if command.by_uid else uids_of(box, some))
                yield b""
            latest = box.view.highest_uid
            box.contexts[tag] = SearchContext(command, tag, uids, cursor, latest)
    if returning.silent:
        return
    # Of the messages that are returned the highest                          (RFC 4731 §3.2)
    told = returning.saved(numbers) if returning.bounds_only else numbers
    highest: list[int] = []
    async for breath in _highest(box, told, command, highest):
        yield breath
    if scores and not command.by_uid:
        pairs = ((box.view.number(uid), score) for uid, score in scores.items())
        scores = {number: score for number, score in pairs if number is not None}
    source = Source(tag, command.by_uid)
    for piece in esearch(source, returning, numbers, modseq=max(highest, default=0), scores=scores):
        yield piece
        if len(numbers) > NUMBERS:
            yield b""


async def _highest(
    box: Selected, numbers: Sequence[int], command: Search | Sort, found: list[int]
) -> AsyncGenerator[bytes, None]:
    """Find the highest MODSEQ of messages, if their search asked for MODSEQs."""
    if not tells_modseq(command.program):
        return
    mailbox = box.mailbox
    for start in range(0, len(numbers), NUMBERS):
        some = numbers[start : start + NUMBERS]
        uids = some if command.by_uid else uids_of(box, some)
        places = (mailbox.position(Uid(uid)) for uid in uids)
        found.append(max((mailbox.modseqs[it] for it in places if it is not None), default=0))
        yield b""


def uids_of(box: Selected, numbers: Sequence[int]) -> array[int]:
    """The UIDs of messages by their sequence numbers, in their order."""
    uids = array("I")
    for first, last in runs(numbers):
        for run in box.view.runs(first, last):
            uids.extend(box.mailbox.uids[run.position : run.position + run.length])
    return uids


async def _save(
    box: Selected, returning: Returning, numbers: Sequence[int], *, by_uid: bool
) -> AsyncGenerator[bytes, None]:
    """Keep a result for ``$`` (RFC 5182 §2.1)."""
    if "SAVE" not in returning:
        return
    kept = returning.saved(numbers)
    if kept is not numbers:
        kept = sorted(kept)
    ranges: list[tuple[int, int]] = []
    for start in range(0, len(kept), NUMBERS):
        some = kept[start : start + NUMBERS]
        for low, high in runs(some if by_uid else uids_of(box, some)):
            if ranges and low == ranges[-1][1] + 1:
                ranges[-1] = ranges[-1][0], high
            else:
                ranges.append((low, high))
        yield b""
    box.view.saved = tuple(ranges)
