"""HTTPS, as far as mail needs it."""

from __future__ import annotations

from typing import Protocol


class FetchFailed(Exception):
    """Nothing came of a request; the text says why.

    Attributes:
        untrusted: The server's certificate was no good.
    """

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        self.untrusted = untrusted
        super().__init__(text)


class Web(Protocol):
    """Talks HTTPS to servers whose certificates are verified; redirections are not followed."""

    async def get(self, host: str, path: str, limit: int) -> bytes:
        """A plain text of at most `limit` octets.

        Raises:
            FetchFailed: Anything else came, or nothing in time.
        """

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        """Hand over octets of a media type. Raises likewise."""
