"""Looks names up for one attempt, and remembers what came of it for the journey."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mailhub.mail.address import is_ip_address
from mailhub.mail.reply import Refusal
from mailhub.ports.outgoing import Lookup
from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Resolver, Tlsa

T = TypeVar("T")


class Names:
    """The names of one attempt.

    Attributes:
        lookups: What was looked up, in order.
    """

    def __init__(self, resolver: Resolver, time: Callable[[], float]) -> None:
        self.lookups: list[Lookup] = []
        self._noted_already: set[tuple[str, str, bool]] = set()
        self._resolver = resolver
        self._time = time

    async def mx(self, domain: str) -> Answer[Mx]:
        """As `ports.resolver.Resolver.mx`."""
        return await self._noted(f"MX {domain}", self._resolver.mx(domain), _shown)

    async def addresses(self, host: str) -> Answer[str]:
        """As `ports.resolver.Resolver.addresses`."""
        if is_ip_address(host):
            return await self._resolver.addresses(host)  # nobody is asked
        return await self._noted(f"A/AAAA {host}", self._resolver.addresses(host), str)

    async def exchanges(self, domain: str) -> Answer[Mx]:
        """Likewise, where without an answer there is no sending.

        Raises:
            Refusal: There is no such domain, or none can be looked up now.
        """
        try:
            return await self.mx(domain)
        except NoSuchDomain:
            raise Refusal(550, "1.2", f"The domain {domain} does not exist") from None
        except LookupFailed as failure:
            raise Refusal(451, "4.3", f"Looking up {domain} failed: {failure}") from None

    async def txt(self, name: str) -> Answer[bytes]:
        """As `ports.resolver.Resolver.txt`."""
        return await self._noted(f"TXT {name}", self._resolver.txt(name), _shown_text)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """As `ports.resolver.Resolver.tlsa`."""
        return await self._noted(f"TLSA {name}", self._resolver.tlsa(name), _shown_tlsa)

    async def has_name(self, address: str) -> bool:
        """Whether an address has a name (PTR) that leads back to it; yes, if nobody can tell."""
        try:
            names = await self._noted(f"PTR {address}", self._resolver.ptr(address), str)
            for name in names.records:
                if address in (await self.addresses(name)).records:
                    return True
        except NoSuchDomain:
            return False
        except LookupFailed:
            return True
        return False

    async def _noted(
        self,
        question: str,
        asked: Coroutine[Any, Any, Answer[T]],
        shown: Callable[[T], str],
    ) -> Answer[T]:
        started = self._time()
        try:
            answer = await asked
        except NoSuchDomain:
            self._note(started, question, "no such name")
            raise
        except LookupFailed as failure:
            self._note(started, question, f"failed: {failure}")
            raise
        text = ", ".join(map(shown, answer.records)) or "no records"
        self._note(started, question, text, authentic=answer.authentic)
        return answer

    def _note(self, started: float, question: str, text: str, *, authentic: bool = False) -> None:
        """Remember what came of a question; what is answered the same again is one lookup."""
        key = question, text, authentic
        if key not in self._noted_already:
            self._noted_already.add(key)
            self.lookups.append(Lookup(started, self._time(), question, text, authentic))


def _shown_text(text: bytes) -> str:
    return f'"{text.decode("utf-8", "backslashreplace")}"'


def _shown(mx: Mx) -> str:
    return f"{mx.preference} {mx.host or '.'}"


def _shown_tlsa(record: Tlsa) -> str:
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex()[:16]}…"
