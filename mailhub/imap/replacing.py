"""REPLACE: a message in place of another one, in one step (RFC 8508).

It is an APPEND (`imap.append`) whose end removes what it replaces: only once the new
message is in its mailbox, so that a draft is never in neither.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mailhub.imap.append import Uploading
from mailhub.imap.command import Replace
from mailhub.imap.composition import Literal
from mailhub.imap.permission import check_writable
from mailhub.imap.reader import Announced, Reader
from mailhub.imap.response import Bad, No, Ok, status
from mailhub.imap.sequence import SequenceSet
from mailhub.imap.state import Output, Selected, State
from mailhub.ports.message import Uid
from mailhub.ports.store import StoreRefused


class Replacing(Uploading):
    """A REPLACE whose message is on its way.

    Args:
        uid: Of the message that is to go.
        freed: What its going means to the quota of the mailbox `name` (RFC 8508 §3.4).
    """

    __slots__ = ("_box", "_uid")

    def __init__(self, state: State, name: str, box: Selected, uid: Uid, freed: int) -> None:
        super().__init__(state, name, freed)
        self._box = box
        self._uid = uid

    async def filed(self) -> AsyncGenerator[Output, None]:
        """Put the message into its mailbox, and remove the other one."""
        if len(self._messages) > 1:
            raise Bad("One message replaces one")
        appended = await self.file()
        # Before the EXPUNGE, and so not in the tagged response               (RFC 8508 §3.2)
        yield status(b"*", "OK", "The new message is there", appended.code)
        await self._box.mailbox.expunge([self._uid])
        yield Ok("Replace completed", self._box.reached())


def replaced(box: Selected, numbers: SequenceSet, *, by_uid: bool) -> Uid:
    """The UID of the one message that a command names.

    Raises:
        Bad: It names none by number, or many.
        No: It is gone.
    """
    found = box.view.by_uids(numbers) if by_uid else box.view.by_numbers(numbers)
    if found is None:
        raise Bad("No message has such a number")
    runs = [run for first, last in found for run in box.view.runs(first, last)]
    if sum(last - first + 1 for first, last in found) > 1:
        raise Bad("One message is replaced")
    if not runs:
        raise No("That message is gone", "EXPUNGEISSUED")
    return Uid(box.mailbox.uids[runs[0].position])


async def replacing(state: State, command: Replace) -> Replacing:
    """Begin.

    Raises:
        Condition: It is refused.
    """
    box = state.box
    check_writable(box, "te")  # RFC 8508 §4.1
    uid = replaced(box, command.number, by_uid=command.by_uid)
    name = state.name(command.mailbox)
    return Replacing(state, name, box, uid, await _freed(state, name, uid))


async def _freed(state: State, name: str, uid: Uid) -> int:
    """Octets that the quota of a mailbox has back when a message of the selected one goes."""
    mailbox, store = state.box.mailbox, state.store
    place = mailbox.position(uid)
    if place is None:
        return 0
    try:
        alike = await store.quota_root(name) == await store.quota_root(mailbox.name)
    except StoreRefused:
        return 0  # there is no such mailbox, as whoever asks for it will hear
    return mailbox.sizes[place] if alike else 0


async def replace(
    state: State, reader: Reader, announced: Announced, command: Replace
) -> tuple[bytes, Replacing]:
    """Begin a REPLACE; what is to be said, and how it goes on.

    Raises:
        Condition: It is refused, and `reader` must be told.
    """
    uploading = await replacing(state, command)
    return await uploading.begun(reader, announced, command.stretch), uploading


async def without_literal(state: State, command: Replace) -> AsyncGenerator[Output, None]:
    """A REPLACE all of whose octets come from URLs (RFC 8508 §4.2)."""
    if command.stretch.literal is not Literal.NONE:
        raise Bad("Expected a literal")
    uploading = await replacing(state, command)
    async for output in uploading.taken(command.stretch.steps):
        yield output
