"""Names of hosts: what is asked of the DNS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from mailhub.mail.value import value

T = TypeVar("T")


@value(frozen=True, slots=True)
class Answer(Generic[T]):
    """The records of a name; none if the name exists without such records.

    Attributes:
        authentic: Signed, checked by a resolver that the operator trusts.
    """

    records: tuple[T, ...]
    authentic: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Mx:
    """An MX record; `host` is a domain in lower case without final dot, ``""`` for the root."""

    preference: int
    host: str


@value(frozen=True, slots=True)
class Tlsa:
    """A TLSA record: three numbers and data, as RFC 6698 §2.1 has them."""

    usage: int
    selector: int
    matching: int
    data: bytes


class NoSuchDomain(Exception):
    """The name does not exist (NXDOMAIN): asking again will not help soon."""


class LookupFailed(Exception):
    """No answer: a time-out, SERVFAIL, or nonsense. Asking later may help."""


class Resolver(Protocol):
    """Asks the DNS. Each method follows CNAMEs, and raises `NoSuchDomain` or `LookupFailed`."""

    async def mx(self, domain: str) -> Answer[Mx]:
        """The MX records of a domain."""

    async def addresses(self, host: str) -> Answer[str]:
        """The IPv4 and IPv6 addresses of a host, as text."""

    async def txt(self, name: str) -> Answer[bytes]:
        """The TXT records of a name, each with its strings joined."""

    async def ptr(self, address: str) -> Answer[str]:
        """The host names of an IP address."""

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """The TLSA records of a name, ``_25._tcp.mx.example``."""
