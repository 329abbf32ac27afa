"""The next hops of recipients, and the lanes in which they wait.

Besides the hops of `Outbound` there are two of our own: `LOCAL` for mailboxes of
ours, and a reply for who has no way out: what attempts at these end with.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar, cast

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal, Reply
from mailhub.queue.change import Due
from mailhub.relay.agents import Outbound
from mailhub.relay.lane import Job

H = TypeVar("H", bound=Hashable)
"""What next hops are here: they are only compared."""

LOCAL: Final = object()
"""The hop of recipients that are ours."""

Routing = Callable[[Path, Path, str], H]
"""The next hop for a reverse-path, a forward-path and the way that an operator has sent it (``""``
for none); raises `Refusal`, with which the attempt then ends."""


class Hops(Generic[H]):
    """Those of one runner."""

    def __init__(self, outbound: Outbound[H], route: Routing[H]) -> None:
        self._outbound = outbound
        self._route = route

    def of(self, due: Due) -> Hashable:
        """The next hop of a recipient."""
        if due.local:
            return LOCAL
        try:
            return self._route(due.reverse_path, due.path, due.route)
        except Refusal as refusal:
            return refusal.reply

    def lane(self, hop: Hashable) -> Hashable:
        """The key of the lane of a hop, as far as that is known."""
        return self._outbound.lane(cast(H, hop)) if _leads_out(hop) else hop

    def places(self, lane: Hashable) -> int | None:
        """How many attempts make sense at once in a lane; None for as many as anywhere."""
        return self._outbound.places(lane) if _leads_out(lane) else None

    async def displaced(self, job: Job) -> bool:
        """Whether a job belongs into another lane, which may have to be found out."""
        if not _leads_out(job.hop):
            return False
        hop = cast(H, job.hop)
        if job.lane == hop:
            await self._outbound.find(hop)
        # A lane that was forgotten meanwhile is no other.
        return self._outbound.lane(hop) not in (job.lane, hop)


def _leads_out(hop: Hashable) -> bool:
    """Whether a hop, or a lane, is one of the `Outbound`'s."""
    return hop is not LOCAL and not isinstance(hop, Reply)
