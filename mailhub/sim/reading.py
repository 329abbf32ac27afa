"""Reads all of an account's mail as a program does: over IMAP, and over POP3.

    shelves = await by_imap(host, "ann@one.example", "secret")
    drops = await by_pop3(host, "ann@one.example", "secret")

From the hub's own machine, through its ports. What is read is told, and what the protocols
forbid is told as a fault: UIDs out of order or twice, sizes that are not the octets',
an answer with another command's tag.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from mailhub.sim.network import Host

IMAP: Final = 143
POP3: Final = 110
_LOOPBACK: Final = "127.0.0.1"
# literal = "{" number64 "}" CRLF *CHAR8   (RFC 9051 §9)
_LITERAL: Final = re.compile(rb"\{(\d+)\}$")
_FETCHED: Final = re.compile(
    rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) RFC822\.SIZE (\d+) BODY\[\] \{(\d+)\}"
)
_STATUS: Final = re.compile(rb'\* STATUS "?([^"]*?)"? \(MESSAGES (\d+)\)')
_VALIDITY: Final = re.compile(rb"\[UIDVALIDITY (\d+)\]")
_NEXT: Final = re.compile(rb"\[UIDNEXT (\d+)\]")


class Refused(Exception):
    """The server said no."""


@dataclass(slots=True)
class Shelf:
    """A mailbox, as IMAP shows it.

    Attributes:
        messages: Octets, by UID; `flags` likewise.
    """

    name: str
    validity: int = 0
    uid_next: int = 0
    messages: dict[int, bytes] = field(default_factory=dict)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Talk(TwistedProtocol):
    """A conversation in lines and octets, with whoever awaits them."""

    transport: Any

    def __init__(self) -> None:
        self._buffer = b""
        self._more: Deferred[None] | None = None
        self._lost: Failure | None = None
        self._tags = 0

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = reason
        self._wake()

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)

    async def _wait(self) -> None:
        if self._lost is not None:
            raise ConnectionDone("the server has hung up")
        self._more = Deferred()
        await self._more

    async def line(self) -> bytes:
        """The next line, without its end."""
        while b"\r\n" not in self._buffer:
            await self._wait()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    async def take(self, count: int) -> bytes:
        """So many octets."""
        while len(self._buffer) < count:
            await self._wait()
        octets, self._buffer = self._buffer[:count], self._buffer[count:]
        return octets

    def say(self, line: str) -> None:
        """Say a line."""
        self.transport.write(f"{line}\r\n".encode())

    # ---- IMAP ------------------------------------------------------------------------------

    async def command(self, text: str, literal: bytes | None = None) -> list[tuple[bytes, bytes]]:
        """Give an IMAP command; the responses, each with its last literal.

        Raises:
            Refused: It was answered with NO, BAD or BYE, or out of order.
        """
        self._tags += 1
        tag = f"a{self._tags}".encode()
        self.transport.write(tag + b" " + text.encode() + b"\r\n")
        found: list[tuple[bytes, bytes]] = []
        while True:
            response, octets = await self._response()
            if response.startswith(b"+") and literal is not None:
                self.transport.write(literal + b"\r\n")
                literal = None
            elif response.startswith(b"* "):
                found.append((response, octets))
            elif response.startswith(tag + b" OK"):
                found.append((response, octets))
                return found
            else:
                raise Refused(f"{text.split(maxsplit=1)[0]}: {response.decode(errors='replace')}")

    async def _response(self) -> tuple[bytes, bytes]:
        response, octets = b"", b""
        while True:
            response += await self.line()
            found = _LITERAL.search(response)
            if found is None:
                return response, octets
            octets = await self.take(int(found[1]))

    # ---- POP3 ------------------------------------------------------------------------------

    async def ask(self, text: str, *, lines: bool = False) -> list[bytes]:
        """Give a POP3 command; what is said, and the lines behind it if there are to be any.

        Raises:
            Refused: It was answered with -ERR.
        """
        if text:
            self.say(text)
        said = await self.line()
        if not said.startswith(b"+OK"):
            raise Refused(f"{text.split(maxsplit=1)[0]}: {said.decode(errors='replace')}")
        found = [said]
        while lines:
            line = await self.line()
            if line == b".":
                break
            found.append(line.removeprefix(b"."))
        return found


class _Caller(ClientFactory):
    """Makes one conversation."""

    noisy = False

    def __init__(self) -> None:
        self.made: Deferred[Talk] = Deferred()

    def buildProtocol(self, addr: Any) -> Talk:  # noqa: ARG002
        talk = Talk()
        self.made.callback(talk)
        return talk

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: ARG002
        self.made.errback(reason)


async def call(host: Host, port: int) -> Talk:
    """Call a port of a host, from itself."""
    caller = _Caller()
    host.reactor.connectTCP(_LOOPBACK, port, caller)
    return await caller.made


async def login(host: Host, address: str, password: str) -> Talk:
    """An IMAP conversation behind a login."""
    talk = await call(host, IMAP)
    await talk.line()
    await talk.command(f"LOGIN {address} {password}")
    return talk


async def by_imap(
    host: Host, address: str, password: str, apart: Sequence[str] = ()
) -> dict[str, Shelf]:
    """All mailboxes of an account in which something lies; those apart are not read."""
    talk = await login(host, address, password)
    shelves = {}
    for line, _ in await talk.command('LIST "" "*" RETURN (STATUS (MESSAGES))'):
        found = _STATUS.match(line)
        if found is not None and int(found[2]) and (name := found[1].decode()) not in apart:
            shelves[name] = await _shelf(talk, name)
    await talk.command("LOGOUT")
    return shelves


async def _shelf(talk: Talk, name: str) -> Shelf:
    shelf = Shelf(name)
    for line, _ in await talk.command(f'SELECT "{name}"'):
        if (found := _VALIDITY.search(line)) is not None:
            shelf.validity = int(found[1])
        elif (found := _NEXT.search(line)) is not None:
            shelf.uid_next = int(found[1])
    last = 0
    for line, octets in await talk.command("UID FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[])"):
        fetched = _FETCHED.match(line)
        if fetched is None:
            continue
        uid, size = int(fetched[1]), int(fetched[3])
        if uid <= last:
            shelf.faults.append(f"UID {uid} behind {last}")
        if size != len(octets):
            shelf.faults.append(f"UID {uid} has {len(octets)} octets, and not {size}")
        last = uid
        shelf.messages[uid] = octets
        shelf.flags[uid] = frozenset(fetched[2].decode().split())
    return shelf


async def by_pop3(host: Host, address: str, password: str) -> tuple[dict[str, bytes], list[str]]:
    """All messages of a maildrop by their unique-ids, and what was wrong with it."""
    talk = await call(host, POP3)
    await talk.ask("")
    await talk.ask(f"USER {address}")
    await talk.ask(f"PASS {password}")
    sizes = [line.split() for line in (await talk.ask("LIST", lines=True))[1:]]
    names = [line.split() for line in (await talk.ask("UIDL", lines=True))[1:]]
    found: dict[str, bytes] = {}
    faults = []
    for (number, size), (same, name) in zip(sizes, names, strict=True):
        lines = await talk.ask(f"RETR {number.decode()}", lines=True)
        octets = b"".join(line + b"\r\n" for line in lines[1:])
        unique = name.decode()
        if number != same:
            faults.append(f"LIST has number {number!r} where UIDL has {same!r}")
        if len(octets) != int(size):
            faults.append(f"{unique} has {len(octets)} octets, and not {size.decode()}")
        if unique in found:
            faults.append(f"{unique} is there twice")
        found[unique] = octets
    await talk.ask("QUIT")
    return found, faults
