"""Accounts, and the one door for their credentials."""

from __future__ import annotations

from enum import Enum
from typing import NewType, Protocol

from mailhub.mail.address import Path
from mailhub.mail.value import value

AccountId = NewType("AccountId", int)


@value(frozen=True, slots=True)
class Quota:
    """Limits of an account; 0 is none.

    Attributes:
        octets: Sum of the sizes of all messages.
        messages: Their number.
        mailboxes: The number of its mailboxes, INBOX included.
    """

    octets: int = 0
    messages: int = 0
    mailboxes: int = 0


@value(frozen=True, slots=True)
class Account:
    """A person's account.

    Attributes:
        path: Its address, in the spelling it was created with.
        maildir: Its maildir, relative to the hub's state directory.
        admin: It belongs to the operator, and may do over IMAP what is the operator's to do.
    """

    id: AccountId
    path: Path
    maildir: str
    quota: Quota = Quota()
    enabled: bool = True
    admin: bool = False


class LoginFault(Enum):
    """Why a login was refused."""

    CREDENTIALS = "credentials"
    """Wrong, unknown, or disabled: deliberately one and the same."""
    THROTTLED = "throttled"
    """Too many failures from there; nothing was checked."""
    UNAVAILABLE = "unavailable"
    """We could not check: the database or the hashing pool failed or is full."""


class LoginRefused(Exception):
    """No login; `fault` says why, for each protocol to word it."""

    def __init__(self, fault: LoginFault) -> None:
        self.fault = fault
        super().__init__(fault.value)


@value(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


@value(frozen=True, slots=True)
class ScramProof:
    """A client's proof, and what it was computed over (RFC 5802 §3)."""

    auth_message: bytes
    proof: bytes


class Logins(Protocol):
    """The one door for credentials, as one client's conversation sees it.

    Each method may take as long as a slowed-down failure takes, and raises
    `LoginRefused`.
    """

    async def password(self, username: str, password: str) -> Account:
        """The account that this name and password open."""

    async def scram_keys(self, username: str) -> ScramKeys:
        """The keys of an account; made up, but the same each time, for an unknown one."""

    async def scram(self, username: str, proof: ScramProof) -> Account:
        """The account, if `proof` fits the keys that `scram_keys` gave."""


class Directory(Protocol):
    """Who is hosted here. Paths are compared by `Path.key`; nothing is expanded or stripped."""

    async def hosted(self, domain: str) -> bool:
        """Whether mail for this domain ends here."""

    async def account(self, path: Path) -> Account | None:
        """The account with exactly this address, enabled or not."""

    async def alias(self, path: Path) -> tuple[Path, ...] | None:
        """What an alias stands for; None if there is no such alias."""

    async def catch_all(self, domain: str) -> tuple[Path, ...] | None:
        """Where mail for unknown local parts of a hosted domain goes; None for nowhere."""

    async def postmaster(self, domain: str) -> Path | None:
        """Who gets postmaster@ and abuse@ where neither is an account nor an alias."""
