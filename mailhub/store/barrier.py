"""One sync for all who wait for it."""

from __future__ import annotations

from collections.abc import Callable

from mailhub.ports.disk import Disk


class Barrier:
    """Whoever has passed it knows that what was written before is durable.

    Those who come while a sync is under way share the next one.

    Args:
        sync: Blocking: make durable what has been written.
    """

    def __init__(self, disk: Disk, sync: Callable[[], None]) -> None:
        self._disk = disk
        self._sync = sync
        self._lock = disk.lock()
        self._asked = self._passed = 0

    async def passed(self) -> None:
        """Wait for a sync that begins now or later.

        Raises:
            OSError: What was written may not be durable.
        """
        self._asked += 1
        ticket = self._asked
        async with self._lock:
            if self._passed < ticket:
                together = self._asked
                await self._disk.run(self._sync)
                self._passed = together
