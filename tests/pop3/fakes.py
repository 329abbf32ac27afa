"""A mail store, logins and mechanisms in memory, as far as POP3 sees them."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

from mailhub.mail.address import Path
from mailhub.pop3.session import Session
from mailhub.pop3.settings import Limits, Site
from mailhub.ports.accounts import Account, AccountId, LoginFault, LoginRefused, Logins
from mailhub.ports.conversation import Client, Tls
from mailhub.ports.message import Content, Uid, UidValidity
from mailhub.ports.store import MailStores, StoreFault, StoreRefused
from mailhub.sasl.server import ServerMechanisms

ANN = Account(AccountId(1), Path("ann", "hub.example"), "ann")
PASSWORD = "pass word £"
TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", lambda _: None)
MAIL = (
    b"Subject: one\r\n\r\nfirst\r\n",
    b"Subject: two\r\n\r\n.dots\r\n..\r\n.\r\nend",
    b"Subject: three\r\n\r\na\r\nb\r\nc\r\n",
)
VALIDITY = 1234567890


class FakeContent:
    """Octets, and whether they were let go of; reading fails from `broken` on."""

    def __init__(self, octets: bytes, broken: int | None = None) -> None:
        self.octets = octets
        self.size = len(octets)
        self.broken = broken
        self.closed = 0
        self.reads: list[int] = []

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        if self.broken is not None and offset >= self.broken:
            raise OSError("broken")
        found = self.octets[offset:] if length is None else self.octets[offset : offset + length]
        self.reads.append(len(found))
        return found

    def close(self) -> None:
        self.closed += 1


class FakeMailbox:
    """INBOX; `expunged` tells what was removed, `faults` what is to go wrong."""

    def __init__(self, mails: Sequence[bytes]) -> None:
        self.mails = {171 + 1000 * place: octets for place, octets in enumerate(mails)}
        self.uid_validity = UidValidity(VALIDITY)
        self.uids = array("I", self.mails)
        self.sizes = array("Q", map(len, mails))
        self.opened: list[FakeContent] = []
        self.expunged: list[int] = []
        self.refreshed = 0
        self.released = 0
        self.faults: set[str] = set()
        self.broken: int | None = None

    def position(self, uid: Uid) -> int | None:
        return list(self.mails).index(uid) if uid in self.mails else None

    async def refresh(self) -> None:
        self.refreshed += 1
        if "refresh" in self.faults:
            raise OSError("no disk")

    async def content(self, uid: Uid) -> Content | None:
        if "content" in self.faults:
            raise OSError("no disk")
        if uid not in self.mails:
            return None
        self.opened.append(FakeContent(self.mails[uid], self.broken))
        return self.opened[-1]

    async def expunge(self, uids: Sequence[Uid]) -> tuple[Uid, ...]:
        if "expunge" in self.faults:
            raise StoreRefused(StoreFault.SERVER_BUG, "no disk")
        gone = tuple(uid for uid in uids if uid in self.mails and "stuck" not in self.faults)
        for uid in gone:
            del self.mails[uid]
        self.expunged += gone
        return gone

    async def release(self) -> None:
        self.released += 1


class FakeStore:
    """One account's store, and all stores."""

    def __init__(self, mails: Sequence[bytes] = MAIL) -> None:
        self.inbox = FakeMailbox(mails)
        self.locked = False
        self.faults: set[StoreFault] = set()

    async def of(self, account: Account) -> FakeStore:
        assert account == ANN
        return self

    async def lock(self) -> AbstractAsyncContextManager[None]:
        if self.locked:
            raise StoreRefused(StoreFault.IN_USE, "locked")
        return self._lock()

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        self.locked = True
        yield
        self.locked = False

    async def open(self, name: str) -> FakeMailbox:
        assert name == "INBOX"
        for fault in self.faults:
            raise StoreRefused(fault, "no")
        return self.inbox


class FakeLogins:
    """One account with one password; `fault` overrides."""

    def __init__(self) -> None:
        self.fault: LoginFault | None = None
        self.asked: list[tuple[str, str]] = []

    async def password(self, username: str, password: str) -> Account:
        self.asked.append((username, password))
        if self.fault is not None:
            raise LoginRefused(self.fault)
        if (username, password) != ("ann@hub.example", PASSWORD):
            raise LoginRefused(LoginFault.CREDENTIALS)
        return ANN


def session(
    store: FakeStore | None = None,
    *,
    tls: Tls | None = TLS,
    address: str = "192.0.2.7",
    site: Site | None = None,
    limits: Limits | None = None,
    logins: FakeLogins | None = None,
) -> Session:
    """A session with a client, under TLS unless said otherwise."""
    return Session(
        Client(address, 4711, tls=tls),
        site or Site("hub.example", tls=True),
        limits or Limits(),
        cast(Logins, logins or FakeLogins()),
        ServerMechanisms(lambda: "nonce", plaintext_on_loopback=True),
        cast(MailStores, store or FakeStore()),
    )
