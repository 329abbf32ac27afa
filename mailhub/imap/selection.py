"""Commands that open, tidy and leave a mailbox (RFC 3501 §6.3.1, §6.3.2, §6.4.1 to §6.4.3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

from mailhub.imap.command import Check, Close, Expunge, Select
from mailhub.imap.enabling import aware
from mailhub.imap.fetch import Rows
from mailhub.imap.listing import response
from mailhub.imap.name import read
from mailhub.imap.permission import check_writable
from mailhub.imap.portion import Portion
from mailhub.imap.response import Bad, Ok, status
from mailhub.imap.resync import resynchronise
from mailhub.imap.state import Output, Phase, Selected, State
from mailhub.imap.urlaccess import MECHANISM
from mailhub.imap.view import View, flags_response, permanent_flags
from mailhub.mail.flag import DELETED, SEEN
from mailhub.mail.rights import NONE, writable
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Ranges, Uid

EXPUNGE_ROWS: Final = 500
"""Messages that are removed in one step."""


async def select(state: State, command: Select) -> AsyncGenerator[Output, None]:
    """SELECT and EXAMINE. Where they fail no mailbox is selected (RFC 3501 §6.3.1).

    What other programs did to the maildir is seen by opening it.
    """
    how = command.how
    if how.resync is not None and "QRESYNC" not in state.enabled:
        raise Bad("QRESYNC was not enabled")  # RFC 7162 §3.2.5
    if state.selected is not None:
        await state.deselect()
        yield status(b"*", "OK", "The other mailbox is closed", "CLOSED")  # RFC 7162 §3.2.11
    if how.condstore or how.resync is not None:
        aware(state)
    name = state.name(command.mailbox)
    mailbox = await state.store.open(name)
    try:
        # EXAMINE leaves \Recent to others, and only counts it             (RFC 3501 §6.3.2)
        recent = (await state.store.status(name)).recent if command.read_only else 0
    except BaseException:
        await mailbox.release()
        raise
    recents = () if command.read_only else mailbox.take_recent()
    view = View(mailbox, recents, state.manner)
    read_only = command.read_only or not writable(mailbox.rights)
    selected = Selected(mailbox, view, read_only, state.changed)
    mailbox.watch(selected.changed)
    state.selected = selected
    state.phase = Phase.SELECTED
    yield _described(selected, view.recent or recent)
    if not state.manner.recent:
        called = read(command.mailbox, utf8=state.manner.utf8)
        # RFC 9051 §6.3.2
        yield response(await state.store.list(), mailbox.name, state.spelt, called)
    if how.resync is not None:
        async for piece in resynchronise(selected, how.resync):
            yield piece
    access = "READ-ONLY" if read_only else "READ-WRITE"
    yield Ok("Examine completed" if command.read_only else "Select completed", access)


def _described(selected: Selected, recent: int) -> bytes:
    """The untagged responses of SELECT (RFC 3501 §6.3.1)."""
    mailbox = selected.mailbox
    lines = [
        flags_response(mailbox.keywords),
        permanent_flags(mailbox.keywords, NONE if selected.read_only else mailbox.rights),
        b"* %d EXISTS\r\n" % selected.view.exists + selected.view.tell_recent(recent),
    ]
    unseen = _first_unseen(mailbox)
    manner = selected.view.manner
    if unseen is not None and manner.recent and not manner.uid_only:
        lines.append(status(b"*", "OK", "First unseen", f"UNSEEN {unseen}"))
    lines.append(status(b"*", "OK", "UIDs valid", f"UIDVALIDITY {mailbox.uid_validity}"))
    lines.append(status(b"*", "OK", "Predicted next UID", f"UIDNEXT {mailbox.uid_next}"))
    lines.append(status(b"*", "OK", "Highest", f"HIGHESTMODSEQ {mailbox.highest_modseq}"))
    lines.append(status(b"*", "OK", "Its own", f"MAILBOXID ({mailbox.mailbox_id})"))
    lines.append(status(b"*", "OK", "URLs are signed", f"URLMECH {MECHANISM}"))  # RFC 4467 §5
    return b"".join(lines)


def _first_unseen(mailbox: Mailbox) -> int | None:
    return next((seq for seq, bits in enumerate(mailbox.flags, 1) if not bits & SEEN), None)


async def check(state: State, _command: Check) -> AsyncGenerator[Output, None]:
    """CHECK: all is kept safe as it is; what is left of it is NOOP (RFC 3501 §6.4.1)."""
    await state.box.mailbox.refresh()
    yield Ok("Check completed")


async def close(state: State, command: Close) -> AsyncGenerator[Output, None]:
    """CLOSE expunges without a word (RFC 3501 §6.4.2), UNSELECT does not (RFC 3691 §2)."""
    selected = state.box
    if command.expunge and not selected.read_only and "e" in selected.mailbox.rights:
        for uids in _batches(_deleted(selected, None)):
            await selected.mailbox.expunge(uids)
            yield b""
    await state.deselect()
    yield Ok("Close completed" if command.expunge else "Unselect completed")


async def expunge(state: State, command: Expunge) -> AsyncGenerator[Output, None]:
    """EXPUNGE and UID EXPUNGE (RFC 4315 §2.1); the session tells what is gone."""
    selected = state.box
    check_writable(selected, "e")
    among = None if command.uids is None else selected.view.by_uids(command.uids)
    found = _deleted(selected, among)
    limit = 0 if among is None else state.limits.messages
    going = found[-limit:]
    chosen = Portion((), limit, going[0] if len(going) < len(found) else 0)
    expunged = False
    for uids in _batches(going[::-1]):
        expunged |= bool(await selected.mailbox.expunge(uids))
        yield b""
    for output in chosen.ended(Ok("Expunge completed", selected.reached() if expunged else "")):
        yield output


def _deleted(selected: Selected, among: Ranges | None) -> list[Uid]:
    r"""UIDs of messages with ``\Deleted``, ascending."""
    mailbox = selected.mailbox
    uids, flags = mailbox.uids, mailbox.flags
    if among is not None:
        rows = Rows(selected, among)
        pairs = zip(rows.uids, rows.bits, strict=True)
    else:
        pairs = zip(uids, flags, strict=True)
    return [Uid(uid) for uid, bits in pairs if bits & DELETED]


def _batches(uids: Sequence[Uid]) -> Iterator[Sequence[Uid]]:
    for start in range(0, len(uids), EXPUNGE_ROWS):
        yield uids[start : start + EXPUNGE_ROWS]
