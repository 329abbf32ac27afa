"""The inboxes of everybody in the world: what receivers take is filed here.

An inbox is an ordinary account of a hub of its own, so that IMAP and POP3 read it. It is
made when it is first needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailhub.accounts.password import Secret
from mailhub.assembly import Parts
from mailhub.mail import trace
from mailhub.mail.address import Path, parse_address
from mailhub.mail.date import format_date
from mailhub.ports.accounts import Account
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Appending, Uid
from mailhub.sim.manners import Why
from mailhub.sim.receiver import Message, NoBooks, Receiver

INBOX: Final = "INBOX"


@dataclass(frozen=True, slots=True)
class Mail:
    """One message in an inbox.

    Attributes:
        received: When it came, seconds since the epoch.
    """

    uid: int
    received: int
    content: bytes


class Inboxes(NoBooks):
    """Everybody's; implements `sim.receiver.Books` to learn of what is taken.

    Args:
        parts: Of the hub that holds them.
        secret: Of their password, which everybody knows.
    """

    _log = Logger()

    def __init__(self, parts: Callable[[], Parts], secret: Secret) -> None:
        self._parts = parts
        self._secret = secret

    def accepted(self, receiver: Receiver, message: Message, now: float, *, heard: bool) -> None:
        """See `Books`: file what was taken, for each of its recipients."""
        del heard
        host = receiver.hosts[0].name
        for recipient in message.recipients:
            done = Deferred.fromCoroutine(self._file(host, recipient, message, now))
            done.addErrback(lambda failure: self._log.failure("not filed", failure))

    def refused(self, receiver: Receiver, why: Why, number: int, now: float) -> None:
        """See `Books`: journeys tell that."""

    def afterwards(self, receiver: Receiver, now: float, *, bounced: bool) -> None:
        """See `Books`: likewise."""

    async def _file(self, host: str, recipient: str, message: Message, now: float) -> None:
        path = parse_address(recipient)
        content = _traced(host, path, message, now)
        store = await self._parts().stores.of(self.open(path))
        upload = await store.upload(len(content))
        await upload.write(content)
        await store.append(INBOX, [Appending(upload, internal_date=now)])

    # ---- Inboxes ---------------------------------------------------------------------------

    def open(self, path: Path) -> Account:
        """The inbox of an address, made if need be."""
        accounts = self._parts().accounts
        found = accounts.credentials(path)
        if found is not None:
            return found.account
        if all(domain.name != path.domain for domain in accounts.domains()):
            accounts.add_domain(path.domain)
        return accounts.add_account(path, self._secret)

    def addresses(self) -> list[str]:
        """Those that have one."""
        return sorted(str(account.path) for account in self._parts().accounts.accounts())

    async def messages(self, path: Path) -> list[Mail]:
        """What is in an inbox, the oldest first; nothing where there is none."""
        found = self._parts().accounts.credentials(path)
        if found is None:
            return []
        async with self._mailbox(found.account) as mailbox:
            uids = [Uid(uid) for uid in mailbox.uids]
            dates = list(mailbox.dates)
            contents: list[bytes | None] = []
            for uid in uids:
                content = await mailbox.content(uid)
                if content is None:
                    contents.append(None)
                    continue
                contents.append(await content.read())
                content.close()
        rows = zip(uids, dates, contents, strict=True)
        return [Mail(uid, date, octets) for uid, date, octets in rows if octets is not None]

    async def empty(self, path: Path) -> int:
        """Remove all that is in an inbox; how many messages that were."""
        found = self._parts().accounts.credentials(path)
        if found is None:
            return 0
        async with self._mailbox(found.account) as mailbox:
            return len(await mailbox.expunge([Uid(uid) for uid in mailbox.uids]))

    @asynccontextmanager
    async def _mailbox(self, account: Account) -> AsyncIterator[Mailbox]:
        store = await self._parts().stores.of(account)
        mailbox = await store.open(INBOX)
        try:
            yield mailbox
        finally:
            await mailbox.release()


def _traced(host: str, path: Path, message: Message, now: float) -> bytes:
    """A message with the fields that final delivery puts before it (RFC 5321 §4.4)."""
    sender = f"<{message.sender}>".encode()
    received = f"Received: from [{message.source}] by {host} with ESMTP\r\n"
    received += f"\tfor <{path}>; {format_date(now, 0)}\r\n"
    head = b"Return-Path: " + sender + b"\r\n" + trace.delivered_to(path)
    return head + received.encode() + _undotted(message.content)


def _undotted(content: bytes) -> bytes:
    """Content without the dots that DATA put before lines that begin with one."""
    plain = content.replace(b"\r\n..", b"\r\n.")
    return plain[1:] if plain.startswith(b"..") else plain
