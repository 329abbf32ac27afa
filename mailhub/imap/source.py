"""What an IMAP URL names, opened for reading: for CATENATE and URLFETCH.

Invariants:

1. A URL never reaches beyond the account that has logged in: its own server and its
   own mailboxes are all that it can name (RFC 4469 §3).
2. Whatever is wrong with a URL is one refusal, BADURL with the URL (RFC 4469 §4.1): who
   may not read a mailbox does not learn whether it is there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mailhub.imap import url
from mailhub.imap.extract import Known, Source, cut, stretch, study
from mailhub.imap.name import checked
from mailhub.imap.response import PIECE, No, quoted
from mailhub.imap.section import narrow
from mailhub.imap.state import State
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Content, Uid
from mailhub.ports.store import MailStore, StoreRefused


@dataclass(frozen=True, slots=True)
class Named:
    """Octets that a URL names: some in memory, or a stretch of a message."""

    octets: bytes
    content: Content | None
    start: int
    size: int

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The octets.

        Raises:
            Broken: They are not there any more.
        """
        if self.content is None:
            yield self.octets
            return
        async for piece in stretch(self.content, self.start, self.start + self.size):
            yield piece


def bad_url(octets: bytes) -> No:
    """The refusal of a URL (RFC 4469 §4.1)."""
    return No("There is no such message", f"BADURL {quoted(octets).decode('latin-1')}")


@asynccontextmanager
async def opened(state: State, octets: bytes) -> AsyncIterator[Named]:
    """What a URL of the client's own account names.

    Raises:
        No: BADURL.
    """
    wanted = url.parse(octets, state.limits)
    if wanted is None or wanted.rest or not _ours(state, wanted):
        raise bad_url(octets)
    async with AsyncExitStack() as stack:
        try:
            mailbox = await _mailbox(state, wanted, stack)
            named = await found(mailbox, wanted, stack)
        except (StoreRefused, No):
            raise bad_url(octets) from None
        if named is None:
            raise bad_url(octets)
        yield named


def _ours(state: State, wanted: url.Url) -> bool:
    """Whether a URL is relative, or names this server, and nobody else's mail."""
    if not wanted.server:
        return True
    account = state.account
    user = str(account.path) if account else ""
    host = wanted.server.rsplit(":", 1)[0]
    return host.lower() == state.settings.hostname.lower() and wanted.user in ("", user)


async def _mailbox(state: State, wanted: url.Url, stack: AsyncExitStack) -> Mailbox:
    if wanted.mailbox is None:
        if state.selected is None:
            raise No("No mailbox is selected")
        return state.selected.mailbox
    return await entered(state.store, checked(wanted.mailbox, state.limits.name), stack)


async def entered(store: MailStore, name: str, stack: AsyncExitStack) -> Mailbox:
    """A mailbox that is open while `stack` lasts."""
    mailbox = await store.open(name)
    stack.push_async_callback(mailbox.release)
    return mailbox


async def found(mailbox: Mailbox, wanted: url.Url, stack: AsyncExitStack) -> Named | None:
    """What a URL names in its mailbox; None if there is nothing such."""
    if wanted.uid_validity not in (0, mailbox.uid_validity):
        return None
    content = await mailbox.content(Uid(wanted.uid))
    if content is None:
        return None
    stack.callback(content.close)
    known = Known(wanted.uid)
    if not await study(mailbox, wanted.uid, [wanted.section], known):
        return None
    source = Source(content, known)
    place = await source.span(wanted.section)
    if place is None:
        return None
    if wanted.section.names:
        octets = cut(await source.fields(place, wanted.section), wanted.partial)
        return Named(octets, None, 0, len(octets))
    start, end = narrow(place, *wanted.partial) if wanted.partial else place
    if content.size <= PIECE:
        octets = (await content.read())[start:end]
        return Named(octets, None, 0, len(octets))
    return Named(b"", content, start, end - start)
