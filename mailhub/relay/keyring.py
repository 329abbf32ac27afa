"""The keys of return paths while the hub runs: made at the first start, renewed in time."""

from __future__ import annotations

from collections.abc import Callable

from mailhub.mail.address import Path
from mailhub.policy.returnpath import Key, Keys, Ticket, day_of, renewed
from mailhub.ports.disk import Disk
from mailhub.queue.suppressions import Suppressions


class Keyring:
    """Signs, and reads what it has signed.

    Args:
        lists: Where the keys are kept.
        secret: Makes one.

    Attributes:
        life: Days for which a return path is known; may be replaced.

    Raises:
        OSError: The disk said no.
    """

    def __init__(
        self,
        lists: Suppressions,
        secret: Callable[[], bytes],
        now: Callable[[], float],
        life: int,
    ) -> None:
        self.life = life
        self._secret = secret
        self._now = now
        kept = lists.keys()
        self._keys = Keys(self._wanted(kept))
        if self._keys.all != kept:
            lists.keep_keys(self._keys.all)

    def path(self, ticket: Ticket, domain: str) -> Path:
        """The return path in a domain that names this."""
        return self._keys.path(ticket, domain)

    def read(self, path: Path) -> Ticket | None:
        """What a return path of ours names; None for any other path."""
        return self._keys.read(path, day_of(self._now()), self.life)

    async def renew(self, lists: Suppressions, disk: Disk) -> None:
        """Have a new key if one is due, and let those go that nothing needs.

        `lists` are for the disk's threads. Raises `OSError`; then the keys stay as they are.
        """
        wanted = self._wanted(self._keys.all)
        if wanted != self._keys.all:
            await disk.run(lists.keep_keys, wanted)
            self._keys = Keys(wanted)

    def _wanted(self, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        return renewed(keys, self._secret(), day_of(self._now()), self.life)
