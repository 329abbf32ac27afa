"""A POP3 session: what may be said when, and what comes of it (RFC 1939).

Octets in, octets out; `net.conversation` carries them, `ports` are asked for
everything else.

Invariants:

1. What each state allows is a type in `pop3.command`: a handler is only ever
   given what its state allows.
2. Nothing is removed but by QUIT after a login (RFC 1939 §6); a connection that
   ends otherwise, for whatever reason, leaves the mailbox as it was.
3. Only one session has an account's maildrop (RFC 1939 §4); IMAP sessions never
   notice, save that messages go at QUIT.
4. A password in the clear is never asked for, unless the client is on this
   machine and the operator allows it.
5. A pipelining client is answered in order, one command at a time (RFC 2449 §6.6).

We differ from an RFC on purpose: messages with UTF-8 in their headers are sent
as they are whether the client said UTF8 or not (RFC 6856 §2.1 would have them
downgraded or refused), because clients cope and no server does otherwise.
RETR sets no flag: what was fetched by POP3 is still unread for IMAP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Final, assert_never

from mailhub.pop3 import command as said
from mailhub.pop3.command import Always, Authorization, Err, Garbled, Transaction
from mailhub.pop3.login import Door
from mailhub.pop3.maildrop import Maildrop
from mailhub.pop3.reader import Overlong, Reader
from mailhub.pop3.settings import Limits, Site
from mailhub.pop3.transfer import END, PIECE, Stuffing, Top
from mailhub.ports.accounts import Account, Logins
from mailhub.ports.conversation import Client, Tls
from mailhub.ports.message import Content
from mailhub.ports.store import MailStores, StoreFault, StoreRefused
from mailhub.sasl.mechanism import Mechanisms

_CAPABILITIES: Final = (
    "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER",
    "UTF8 USER", "LANG", "IMPLEMENTATION mailhub",
)  # fmt: skip
_LANGUAGES: Final = ("en", "i-default")
"""What we speak, both being English (RFC 6856 §3.2; RFC 2277 §4.5)."""
_OK: Final = b"+OK\r\n"

Answer = bytes | AsyncGenerator[bytes, None]


def _nobody() -> None:
    """Nobody is to be woken yet."""


class Session:
    """One client's conversation; implements `ports.conversation.Session`."""

    __slots__ = (
        "_client",
        "_door",
        "_errors",
        "_held",
        "_limits",
        "_logins",
        "_maildrop",
        "_mechanisms",
        "_reader",
        "_site",
        "_stores",
        "closed",
        "patience",
        "stage",
        "wake",
        "wants_tls",
    )

    def __init__(
        self,
        client: Client,
        site: Site,
        limits: Limits,
        logins: Logins,
        mechanisms: Mechanisms,
        stores: MailStores,
    ) -> None:
        self._client = client
        self._site = site
        self._limits = limits
        self._logins = logins
        self._mechanisms = mechanisms
        self._stores = stores
        self.patience = limits.patience
        self.closed = False
        self.wants_tls = False
        self.stage = 0  # patience begins anew when it changes: with each line, not each octet
        self.wake: Callable[[], None] = _nobody
        self._reader = Reader()
        self._errors = 0
        self._held = AsyncExitStack()  # what a login holds: the lock, and INBOX
        self._maildrop: Maildrop | None = None  # there is one in the TRANSACTION state
        self._begin()

    def _begin(self) -> None:
        self._door = Door(self._client, self._site, self._logins, self._mechanisms)

    # ---- What the driver calls -------------------------------------------------------------

    async def greet(self) -> bytes:
        """The greeting; without the timestamp that would offer APOP (RFC 1939 §4, §7)."""
        return f"+OK {self._site.hostname} POP3 mailhub\r\n".encode()

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived."""
        self._reader.feed(octets)

    async def respond(self) -> AsyncGenerator[bytes, None]:
        """Answer all lines that are whole."""
        while not self.closed and not self.wants_tls:
            try:
                line = self._line()
                if line is None:
                    return
                self.stage += 1
                answer = await self._answer(line)
            except Err as err:
                self._count(err)
                answer = bytes(err)
            if isinstance(answer, bytes):
                if answer:
                    yield answer
                continue
            try:
                async with aclosing(answer) as pieces:
                    async for piece in pieces:
                        yield piece
            except OSError:
                self.closed = True  # amid a message: whatever else we said would be part of it

    def secured(self, tls: Tls) -> None:
        """The handshake has succeeded: forget what was learnt in the clear (RFC 2595 §4)."""
        if self._reader.pending:
            self.closed = True  # these octets came before the handshake: who knows from whom
        self._client = replace(self._client, tls=tls)
        self.wants_tls = False
        self._begin()

    def timed_out(self) -> bytes:
        """Nothing: the connection closes without a response (RFC 1939 §3)."""
        return b""

    def going_down(self) -> bytes:
        """What is said when the hub stops."""
        return bytes(Err("The server is going down", "SYS/TEMP"))

    async def close(self) -> None:
        """Let go of the maildrop; nothing that was marked is removed."""
        self.closed = True
        await self._held.aclose()

    # ---- Lines -----------------------------------------------------------------------------

    def _line(self) -> bytes | None:
        """The next line.

        Raises:
            Garbled: It was too long; an exchange under way is given up.
        """
        limits = self._limits
        limit = limits.auth_line if self._maildrop is None else limits.line
        try:
            line = self._reader.line(limit)
        except Overlong:
            line = b""
        else:
            if line is None or len(line) < limits.line - 1:
                return line
            if self._door.waiting or line[:5].upper() == b"AUTH ":
                return line
        self.stage += 1
        self._door.forget()
        raise Garbled("Line too long")

    async def _answer(self, line: bytes) -> Answer:
        if self._door.waiting:
            return await self._entered(await self._door.respond(line))
        command = said.parse(line)
        drop = self._maildrop
        if isinstance(command, Transaction):
            if drop is None:
                raise Err("Log in first")
            return await self._transaction(command, drop)
        if isinstance(command, Always):
            return await self._always(command)
        if drop is not None:
            raise Err("You are logged in")
        return await self._authorization(command)

    def _count(self, err: Err) -> None:
        """Close when the peer has erred too often."""
        self._errors += isinstance(err, Garbled)
        limits = self._limits
        if self._errors >= limits.errors or self._door.failures >= limits.logins:
            self.closed = True

    async def _always(self, command: Always) -> bytes:
        match command:
            case said.Capa():
                return self._capabilities()
            case said.Lang(wanted):
                return _language(wanted)
            case said.Quit():
                return await self._quit()
            case _:
                assert_never(command)

    def _capabilities(self) -> bytes:
        """CAPA; what logins need is announced after one, too (RFC 2449 §6)."""
        lines = ["+OK Capabilities follow", *_CAPABILITIES]
        if self._door.plaintext:
            lines.append("USER")
        if mechanisms := self._door.mechanisms:
            lines.append("SASL " + " ".join(mechanisms))  # RFC 5034 §3
        if self._site.tls and self._client.tls is None:
            lines.append("STLS")
        return _lines(lines)

    async def _quit(self) -> bytes:
        """Enter the UPDATE state: remove what is marked, let go, close (RFC 1939 §6)."""
        self.closed = True
        if self._maildrop is None:
            return b"+OK Bye\r\n"
        try:
            removed = await self._maildrop.remove()
        except (StoreRefused, OSError):
            removed = False
        await self._held.aclose()
        if not removed:
            raise Err("Some deleted messages were not removed", "SYS/TEMP")
        return b"+OK Bye\r\n"

    # ---- AUTHORIZATION ---------------------------------------------------------------------

    async def _authorization(self, command: Authorization) -> bytes:
        if not isinstance(command, said.Pass):
            self._door.forget()  # PASS must follow USER at once (RFC 1939 §7)
        match command:
            case said.User(name):
                self._door.user(name)
                return _OK
            case said.Pass(password):
                return await self._entered(await self._door.password(password))
            case said.Auth(""):
                return _lines(["+OK Mechanisms follow", *self._door.mechanisms])
            case said.Auth():
                return await self._entered(await self._door.begin(command))
            case said.Stls():
                return self._stls()
            case said.Utf8():
                return b"+OK UTF8 enabled\r\n"
            case _:
                assert_never(command)

    def _stls(self) -> bytes:
        if self._client.tls is not None:
            raise Err("TLS is active already")
        if not self._site.tls:
            raise Err("STLS is not available")
        if self._reader.pending:
            # Obeyed within TLS, what is pipelined behind STLS would seem to come
            # from whoever the handshake is made with. Drop the connection.
            self.closed = True
            return b""
        self.wants_tls = True
        return b"+OK Begin TLS negotiation\r\n"

    async def _entered(self, account: Account | bytes) -> bytes:
        """Pass a challenge on; or lock and open the account's maildrop (RFC 1939 §4).

        Raises:
            Err: Another session has it, or the store failed; nobody is logged in then.
        """
        if isinstance(account, bytes):
            return account
        try:
            self._maildrop = await self._opened(account)
        except StoreRefused as refused:
            await self._held.aclose()
            if refused.fault is StoreFault.IN_USE:
                raise Err("Another session has the maildrop", "IN-USE") from None
            raise Err("The maildrop cannot be opened", "SYS/TEMP") from None
        except OSError:
            await self._held.aclose()
            raise Err("The maildrop cannot be opened", "SYS/TEMP") from None
        return b"+OK %d messages\r\n" % self._maildrop.count

    async def _opened(self, account: Account) -> Maildrop:
        store = await self._stores.of(account)
        await self._held.enter_async_context(await store.lock())
        mailbox = await store.open("INBOX")
        self._held.push_async_callback(mailbox.release)
        await mailbox.refresh()
        return Maildrop(mailbox)

    # ---- TRANSACTION -----------------------------------------------------------------------

    async def _transaction(self, command: Transaction, drop: Maildrop) -> Answer:
        match command:
            case said.Retr(number):
                return await _sent(drop, number, None)
            case said.Top(number, lines):
                return await _sent(drop, number, Top(lines))
            case said.Dele(number):
                drop.mark(drop.place(number))
                return _OK
            case said.List(number):
                return _listed(drop, number)
            case said.Uidl(number):
                return _identified(drop, number)
            case said.Stat():
                return b"+OK %d %d\r\n" % (drop.count, drop.octets)
            case said.Rset():
                drop.unmark()
                return _OK
            case said.Noop():
                return _OK
            case _:
                assert_never(command)


async def _sent(drop: Maildrop, number: int, top: Top | None) -> Answer:
    """The answer to RETR, or to TOP: whole if the content is short, else in pieces.

    Raises:
        Err: There is nothing to send.
    """
    content = await drop.content(drop.place(number))
    try:
        octets = await content.read(0, PIECE)
    except OSError:
        content.close()
        raise Err("The message cannot be read now", "SYS/TEMP") from None
    heading = b"+OK %d octets\r\n" % content.size if top is None else _OK
    stuffing = Stuffing()
    first = heading + stuffing.take(octets if top is None else top.take(octets))
    if len(octets) >= content.size or (top is not None and top.done):
        content.close()
        return first + stuffing.end()
    return _pieces(content, first, stuffing, top)


async def _pieces(
    content: Content, first: bytes, stuffing: Stuffing, top: Top | None
) -> AsyncGenerator[bytes, None]:
    """The first piece of a long answer, and the others as they are read.

    Raises:
        OSError: Reading failed amid the answer.
    """
    try:
        yield first
        offset = PIECE
        while offset < content.size and (top is None or not top.done):
            octets = await content.read(offset, PIECE)
            if not octets:
                raise OSError("the message became shorter")
            offset += len(octets)
            yield stuffing.take(octets if top is None else top.take(octets))
        yield stuffing.end()
    finally:
        content.close()


def _listed(drop: Maildrop, number: int | None) -> Answer:
    """LIST."""
    if number is not None:
        return b"+OK %d %d\r\n" % (number, drop.size(drop.place(number)))
    heading = b"+OK %d messages (%d octets)\r\n" % (drop.count, drop.octets)
    return _listing(heading, drop.sizes())


def _identified(drop: Maildrop, number: int | None) -> Answer:
    """UIDL."""
    if number is not None:
        return b"+OK %d %b\r\n" % (number, drop.unique_id(drop.place(number)))
    return _listing(_OK, drop.unique_ids())


async def _listing(heading: bytes, rows: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    yield heading
    for lines in rows:
        yield lines
    yield END


def _lines(lines: list[str]) -> bytes:
    """A short multi-line response."""
    return "\r\n".join([*lines, ".\r\n"]).encode()


def _language(wanted: str) -> bytes:
    """LANG: the list, or the one chosen by the range (RFC 6856 §3.2; RFC 4647 §3.4)."""
    if not wanted:
        return _lines(["+OK Languages follow", *(f"{tag} English" for tag in _LANGUAGES)])
    tag = wanted.lower()
    if tag == "*" or tag in _LANGUAGES or tag.startswith("en-"):
        return f"+OK {tag if tag in _LANGUAGES else 'en'} Responses are in English\r\n".encode()
    raise Err("We speak English only")
