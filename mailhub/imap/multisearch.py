r"""ESEARCH: one search in several mailboxes (RFC 7377).

Each mailbox is opened as SELECT would open it, without taking anybody's ``\Recent``,
and left again; mailboxes that have gone, or may not be read, are passed over.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace

from mailhub.imap.command import MultiSearch, Source
from mailhub.imap.contexts import frozen
from mailhub.imap.name import INBOX, SEPARATOR
from mailhub.imap.response import Bad, Ok, runs
from mailhub.imap.returning import Source as About
from mailhub.imap.returning import esearch
from mailhub.imap.search import Searching, tells_modseq
from mailhub.imap.searches import gathered
from mailhub.imap.state import Output, Selected, State
from mailhub.imap.view import View
from mailhub.ports.message import Uid
from mailhub.ports.store import Listed, StoreRefused


async def multi_search(state: State, command: MultiSearch) -> AsyncGenerator[Output, None]:
    """ESEARCH; results are UIDs, and a mailbox without any is not spoken of (RFC 7377 §2.1)."""
    if "SAVE" in command.returning and state.selected is not None:
        box = state.selected
        command = replace(command, program=frozen(box, command.program))
        box.view.saved = ()
    for name in await _names(state, command.sources):
        selected = state.selected
        if selected is not None and selected.mailbox.name == name:
            async for piece in _searched(state, command, selected):
                yield piece
            continue
        try:
            mailbox = await state.store.open(name)
        except StoreRefused:
            continue
        try:
            other = Selected(mailbox, View(mailbox), read_only=True, changed=_nothing)
            async for piece in _searched(state, command, other):
                yield piece
        finally:
            await mailbox.release()
    yield Ok("Search completed")


def _nothing() -> None:
    """Nobody is told of changes in a mailbox that is only searched."""


async def _searched(
    state: State, command: MultiSearch, box: Selected
) -> AsyncGenerator[bytes, None]:
    """The search in one mailbox."""
    searching = Searching(box, command.program, by_uid=True, now=state.settings.now())
    uids = array("I")
    async for breath in gathered(state, searching, uids):
        yield breath
    if "SAVE" in command.returning:
        box.view.saved = tuple(runs(command.returning.saved(uids)))
    if not uids or command.returning.silent:
        return
    mailbox = box.mailbox
    modseq = 0
    if tells_modseq(command.program):
        places = (mailbox.position(Uid(uid)) for uid in uids)
        modseq = max((mailbox.modseqs[it] for it in places if it is not None), default=0)
    about = About(state.tag, True, state.spelt(mailbox.name), mailbox.uid_validity)
    for piece in esearch(about, command.returning, uids, modseq=modseq, scores=searching.scores):
        yield piece


async def _names(state: State, sources: Sequence[Source] | None) -> list[str]:
    """The mailboxes to search, each once.

    Raises:
        Bad: The selected one, where none is selected (RFC 7377 §2.2).
    """
    if sources is None:
        sources = (Source("SELECTED"),)
    if any(source.kind == "SELECTED" for source in sources) and state.selected is None:
        raise Bad("No mailbox is selected")
    listed = await state.store.list()
    found: dict[str, None] = {}
    for source in sources:
        found.update(dict.fromkeys(_of(state, source, listed)))
    return list(found)


def _of(state: State, source: Source, listed: Sequence[Listed]) -> Iterator[str]:
    """The mailboxes of one source (RFC 5465 §6)."""
    given = [state.name(octets) for octets in source.mailboxes]
    match source.kind:
        case "SELECTED":
            yield state.box.mailbox.name
        case "INBOXES":
            yield INBOX  # all mail is delivered there
        case "PERSONAL":
            others = state.store.others
            yield from (
                it.name
                for it in listed
                if it.selectable and not (others and it.name.startswith(others))
            )
        case "SUBSCRIBED":
            yield from (it.name for it in listed if it.selectable and it.subscribed)
        case "MAILBOXES":
            yield from given
        case kind:
            for root in given:
                yield from _subtree(root, listed, levels=1 if kind == "SUBTREE-ONE" else None)


def _subtree(root: str, listed: Sequence[Listed], levels: int | None) -> Iterator[str]:
    for it in listed:
        below = it.name.removeprefix(root + SEPARATOR)
        if it.selectable and (
            it.name == root
            or (below != it.name and (levels is None or below.count(SEPARATOR) < levels))
        ):
            yield it.name
