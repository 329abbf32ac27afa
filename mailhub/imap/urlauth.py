r"""URLAUTH: URLs that let others read one message, and what they get of it (RFC 4467, RFC 5524).

Who has a URL signed lets those whom it names read what it names, as if they were him, until
it expires or he changes the mailbox's key.  Nothing is selected, and ``\Seen`` is not set.

Invariants:

1. Whatever is wrong with a URL that is fetched, the answer is NIL: nobody learns what is
   there by trying (RFC 4467 §6).
2. The owner's rights are asked at the time of use: a mailbox that he may no longer read
   nobody else reads by his URLs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Container
from contextlib import AsyncExitStack, aclosing, suppress

from mailhub.imap import source, structure, url, urlaccess
from mailhub.imap.command import GenUrlAuth, ResetKey, UrlFetch
from mailhub.imap.downgrade import downgraded
from mailhub.imap.extract import Source
from mailhub.imap.item import Kind, Octets
from mailhub.imap.name import checked
from mailhub.imap.response import Bad, No, Ok, string
from mailhub.imap.section import Section, UnknownEncoding, find
from mailhub.imap.source import Message
from mailhub.imap.state import Output, State
from mailhub.mail.part import Part
from mailhub.ports.store import StoreRefused

MECHANISMS = f"URLMECH {urlaccess.MECHANISM}"
"""The response code that tells the mechanisms (RFC 4467 §5)."""


async def generate(state: State, command: GenUrlAuth) -> AsyncGenerator[Output, None]:
    """GENURLAUTH: sign URLs (RFC 4467 §7)."""
    made = [string(await _signed(state, octets, how)) for octets, how in command.urls]
    yield b"* GENURLAUTH %b\r\n" % b" ".join(made)
    yield Ok("The URLs are signed")


async def _signed(state: State, octets: bytes, mechanism: str) -> bytes:
    """A URL with its signature.

    Raises:
        Bad: It cannot have one (RFC 4467 §7).
    """
    wanted = url.parse(octets, state.limits)
    access = None if wanted is None else urlaccess.parse(wanted.rest)
    if mechanism != urlaccess.MECHANISM:
        raise Bad("No such URL authorization mechanism")
    if wanted is None or wanted.mailbox is None or access is None or access.mechanism:
        raise Bad("Expected a URL with URLAUTH and without a signature")
    if not (wanted.server and wanted.user and source.ours(state, wanted)):
        raise Bad("URLs are signed by whom they name, at the server that they name")
    try:
        async with AsyncExitStack() as stack:
            name = checked(wanted.mailbox, state.limits.name)
            mailbox = await source.entered(state.store, name, stack)
            key = await state.store.make_url_key(mailbox.mailbox_id, anew=False)
    except (StoreRefused, No):
        raise Bad("There is no such mailbox") from None
    return urlaccess.signed(octets, key)


async def reset(state: State, command: ResetKey) -> AsyncGenerator[Output, None]:
    """RESETKEY: make the URLs of a mailbox void, or all that there are (RFC 4467 §7)."""
    if any(mechanism != urlaccess.MECHANISM for mechanism in command.mechanisms):
        raise Bad("No such URL authorization mechanism")
    if command.mailbox is None:
        await state.store.forget_url_keys()
    else:
        async with AsyncExitStack() as stack:
            name = state.name(command.mailbox)
            mailbox = await source.entered(state.store, name, stack)
            await state.store.make_url_key(mailbox.mailbox_id, anew=True)
    yield Ok("Older URLs are void", MECHANISMS)


async def fetch(state: State, command: UrlFetch) -> AsyncGenerator[Output, None]:
    """URLFETCH: what URLs name, one by one (RFC 4467 §7, RFC 5524 §3)."""
    yield b"* URLFETCH"
    for octets, wanted in command.urls:
        yield b" %b " % string(octets)
        async for piece in _fetched(state, octets, wanted):
            yield piece
    yield b"\r\n"
    yield Ok("That is what the URLs name")


async def _fetched(
    state: State, octets: bytes, wanted: tuple[str, ...]
) -> AsyncGenerator[bytes, None]:
    """What one URL names; without words about it, all of that and nothing else."""
    async with AsyncExitStack() as stack:
        message = await _message(state, octets, stack)
        if message is None:
            yield b"NIL"
            return
        if not wanted:
            async for piece in _body(message):
                yield piece
        # What describes it comes first                                  (RFC 5524 §3)
        for place, word in enumerate(sorted(wanted, key="BODYPARTSTRUCTURE".__ne__)):
            yield b" " * bool(place) + b"(%b " % word.encode()
            async with aclosing(_told(state, message, word, wanted)) as told:
                async for piece in told:
                    yield piece
            yield b")"


async def _message(state: State, octets: bytes, stack: AsyncExitStack) -> Message | None:
    """The message of a URL that this session may use, open while `stack` lasts."""
    wanted = url.parse(octets, state.limits)
    if wanted is None or not wanted.rest:
        return None
    try:
        mailbox = await source.reached(state, octets, wanted, stack)
        return await source.message(mailbox, wanted, stack)
    except (StoreRefused, No, OSError):
        return None


def _told(
    state: State, message: Message, word: str, wanted: Container[str]
) -> AsyncGenerator[bytes, None]:
    match word:
        case "BODYPARTSTRUCTURE":
            return _structure(state, message, decoded="BINARY" in wanted)
        case "BINARY" if not message.wanted.section.kind:
            return _binary(message)
        case _:
            return _body(message)


async def _body(message: Message) -> AsyncGenerator[bytes, None]:
    wanted = message.wanted
    source = Source(message.content, message.known)
    async for piece in source.body(Octets(b"", wanted.section, wanted.partial)):
        yield piece


async def _binary(message: Message) -> AsyncGenerator[bytes, None]:
    """The part decoded; NIL if its encoding is none that we know (RFC 5524 §3.2)."""
    wanted = message.wanted
    item = Octets(b"", Section(wanted.section.part), wanted.partial, kind=Kind.BINARY)
    source = Source(message.content, message.known)
    try:
        await source.measure(item.section.part)
    except UnknownEncoding:
        yield b"NIL"
        return
    async for piece in source.binary(item):
        yield piece


async def _structure(
    state: State, message: Message, *, decoded: bool
) -> AsyncGenerator[bytes, None]:
    """The BODYSTRUCTURE of what is named; NIL if that is no part but some of one.

    Where it is told `decoded`, its encoding and size are what they then are (RFC 5524 §3).
    """
    section, tree = message.wanted.section, message.known.tree
    if tree is None:
        tree = await message.mailbox.structure(message.uid)
    part = find(tree, section.part) if tree and section.part else tree
    if part is None or section.kind:
        yield b"NIL"
        return
    if decoded and section.part and not part.children:
        with suppress(UnknownEncoding):
            part = await _plain(message, part)
    told = structure.body(part, extended=True)
    yield told if state.manner.utf8 else downgraded(told)


async def _plain(message: Message, part: Part) -> Part:
    """A part as it is without its encoding.

    Raises:
        UnknownEncoding: It cannot be decoded.
    """
    size = lines = 0
    encoding = b"7bit"
    async for piece in Source(message.content, message.known).decoded(message.wanted.section.part):
        size += len(piece)
        lines += piece.count(b"\n")
        if b"\0" in piece:
            encoding = b"binary"
        elif encoding == b"7bit" and not piece.isascii():
            encoding = b"8bit"
    return part._replace(encoding=encoding, end=part.body + size, lines=lines)
