"""What an IMAP URL names, opened for reading: for CATENATE and URLFETCH.

Invariants:

1. A URL never reaches beyond the account that has logged in, and what others have signed:
   its own server is all that it can name (RFC 4469 §3, RFC 4467 §6).
2. Whatever is wrong with a URL is one refusal, BADURL with the URL (RFC 4469 §4.1): who
   may not read a mailbox does not learn whether it is there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mailhub.imap import url, urlaccess
from mailhub.imap.extract import Known, Source, cut, stretch, study
from mailhub.imap.name import checked
from mailhub.imap.response import PIECE, No, quoted
from mailhub.imap.section import narrow
from mailhub.imap.state import State
from mailhub.mail.address import Path
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
    """What a URL of the client's own account names, or one that somebody signed for him.

    Raises:
        No: BADURL.
    """
    wanted = url.parse(octets, state.limits)
    if wanted is None:
        raise bad_url(octets)
    async with AsyncExitStack() as stack:
        try:
            mailbox = await reached(state, octets, wanted, stack)
            named = await found(mailbox, wanted, stack)
        except (StoreRefused, No):
            raise bad_url(octets) from None
        if named is None:
            raise bad_url(octets)
        yield named


# ---- Mailboxes -------------------------------------------------------------------------------


def ours(state: State, wanted: url.Url) -> bool:
    """Whether a URL is relative, or names this server, and nobody else's mail."""
    if not wanted.server:
        return True
    own = state.account.path if state.account else None
    host = _host(wanted)
    if not wanted.user:
        return host == state.settings.hostname.lower()
    return own is not None and _owner(state, wanted) == own.key


def _owner(state: State, wanted: url.Url) -> str:
    """Whose mail an absolute URL names, ``""`` if it is not here.

    ``ann%40hub.example@mx.hub.example`` and ``ann@hub.example`` are the same.
    """
    local, at, domain = wanted.user.rpartition("@")
    if not at:
        return Path(wanted.user, _host(wanted)).key
    here = _host(wanted) == state.settings.hostname.lower()
    return Path(local, domain.lower()).key if here else ""


def _host(wanted: url.Url) -> str:
    return wanted.server.rsplit(":", 1)[0].lower()


async def reached(state: State, octets: bytes, wanted: url.Url, stack: AsyncExitStack) -> Mailbox:
    """The mailbox of a URL that this session may use, open while `stack` lasts.

    Raises:
        No, StoreRefused: It may not use it, or there is none.
    """
    if wanted.rest:
        return await _signed(state, octets, wanted, stack)
    if not ours(state, wanted):
        raise No("Not here")
    if wanted.mailbox is None:
        if state.selected is None:
            raise No("No mailbox is selected")
        return state.selected.mailbox
    return await entered(state.store, checked(wanted.mailbox, state.limits.name), stack)


async def _signed(state: State, octets: bytes, wanted: url.Url, stack: AsyncExitStack) -> Mailbox:
    """The mailbox of a URL with a signature, as who signed it reaches it (RFC 4467 §6)."""
    access = urlaccess.parse(wanted.rest)
    if access is None or wanted.mailbox is None or not _permitted(state, wanted, access):
        raise No("Not for you")
    owner = _owner(state, wanted) if wanted.user else ""
    reach = await state.stores.named(owner) if owner else None
    if reach is None:
        raise No("Not here")
    name = checked(wanted.mailbox, state.limits.name)
    mailbox = await entered(reach, name, stack)
    key = await reach.url_key(mailbox.mailbox_id)
    if key is None or not urlaccess.genuine(octets, access, key):
        raise No("Not signed")
    return mailbox


def _permitted(state: State, wanted: url.Url, access: urlaccess.Access) -> bool:
    """Whether a URL is for this session, now (RFC 4467 §3)."""
    if access.mechanism != urlaccess.MECHANISM or state.account is None:
        return False
    if access.expires is not None and state.settings.now() >= access.expires:
        return False
    own = state.account.path.key
    if access.kind == "user+":
        local, at, domain = access.user.rpartition("@")
        _, _, home = _owner(state, wanted).rpartition("@")
        return own == (Path(local, domain.lower()) if at else Path(access.user, home)).key
    return access.kind != "submit+" or own in map(str.lower, state.limits.submitters)


async def entered(store: MailStore, name: str, stack: AsyncExitStack) -> Mailbox:
    """A mailbox that is open while `stack` lasts."""
    mailbox = await store.open(name)
    stack.push_async_callback(mailbox.release)
    return mailbox


# ---- Messages --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a URL names, or of which it names something."""

    mailbox: Mailbox
    uid: Uid
    wanted: url.Url
    content: Content
    known: Known


async def message(mailbox: Mailbox, wanted: url.Url, stack: AsyncExitStack) -> Message | None:
    """The message, open while `stack` lasts; None if what is named is not there."""
    if wanted.uid_validity not in (0, mailbox.uid_validity):
        return None
    uid = Uid(wanted.uid)
    content = await mailbox.content(uid)
    if content is None:
        return None
    stack.callback(content.close)
    known = Known(wanted.uid)
    if not await study(mailbox, wanted.uid, [wanted.section], known):
        return None
    if await Source(content, known).span(wanted.section) is None:
        return None
    return Message(mailbox, uid, wanted, content, known)


async def found(mailbox: Mailbox, wanted: url.Url, stack: AsyncExitStack) -> Named | None:
    """What a URL names in its mailbox; None if there is nothing such."""
    named = await message(mailbox, wanted, stack)
    if named is None:
        return None
    content = named.content
    source = Source(content, named.known)
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
