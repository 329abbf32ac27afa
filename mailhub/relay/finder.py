"""Finds what is due in the spool, and lets as much of it into memory as there is room for.

The spool tells of each flow which strands (its pending recipients of one domain)
are due. They are looked at in the order of their moments, each flow from where
it was left, and their recipients are fetched as long as `Lanes` has room: what
finds none stays in the spool, and only that there is more is remembered, of a
strand (`_Strand.behind`) or of all the rest of a flow (`_Flow.behind`).

Invariants:

1. Whoever is due is in memory, or its strand or its flow is behind, or its moment is
   later than the last look at its flow (`_Flow.next`) or strand (`_Strand.next`).
2. What is behind is fetched when there is room again.
3. Memory is bounded as `Lanes` is: there is a `_Strand` only for strands with
   something in memory, or that were refused for want of room when looked at; of
   these no more than `BEHIND` for each flow.
4. No step takes longer in a long queue. (A page of rows at most is read in one.)
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Protocol

from mailhub.queue.change import Due, Strand
from mailhub.queue.flow import Flow
from mailhub.relay.lane import Job, Lanes

NEVER: Final = math.inf
_TRIES: Final = 8
"""Strands looked at when there is room again, before others have their turn."""

BEHIND: Final = 20_000
"""Strands of one flow that were refused, beyond which no others of it are looked at."""

Key = Flow | tuple[Flow, str]
"""Who has a next moment: a flow, or a strand."""


class Source(Protocol):
    """What the finder reads: see `queue.look.Reading`."""

    def awaited(self) -> list[tuple[Flow, float]]: ...
    def strands(
        self, flow: Flow, now: float, after: tuple[float, str], limit: int
    ) -> list[Strand]: ...
    def next_due(self, flow: Flow, after: float) -> float | None: ...
    def due(self, flow: Flow, domain: str, now: float, limit: int) -> list[Due]: ...
    def next_in(self, flow: Flow, domain: str, after: float) -> float | None: ...


@dataclass(slots=True)
class _Strand:
    """A strand that something of is in memory, or was refused.

    Attributes:
        busy: Its recipients in memory.
        behind: More of it is due than found room.
        lane: The key of the lane where the last of them was refused.
        next: When more of it is due.
    """

    busy: int = 0
    behind: bool = False
    lane: Hashable = None
    next: float = NEVER


@dataclass(slots=True)
class _Flow:
    """How far a flow has been looked at.

    Attributes:
        cursor: Moment and domain of the last strand that was.
        behind: There was no room to go on.
        next: When to look again.
        strands: Lanes that strands which are behind wait for, with their domains.
        waiting: Those strands, counted.
    """

    cursor: tuple[float, str] = (-NEVER, "")
    behind: bool = False
    next: float = NEVER
    strands: dict[Hashable, dict[str, None]] = field(default_factory=dict)
    waiting: int = 0


class Finder:
    """Between the spool and the lanes of one runner.

    Args:
        hop: The next hop of a recipient.
        page: Rows read at once.
        lane: The key of the lane of a hop, as far as that is known.
    """

    def __init__(
        self,
        source: Source,
        lanes: Lanes,
        hop: Callable[[Due], Hashable],
        page: int,
        lane: Callable[[Hashable], Hashable] = lambda hop: hop,
    ) -> None:
        self.page = page
        self._lane = lane
        self._source = source
        self._lanes = lanes
        self._hop = hop
        self._flows: dict[Flow, _Flow] = {}
        self._strands: dict[tuple[Flow, str], _Strand] = {}
        self._moments: list[tuple[float, int, Key]] = []
        self._order = count()

    @property
    def next(self) -> float:
        """When to look again; never, if nothing waits."""
        while self._moments:
            moment, _, key = self._moments[0]
            if self._next_of(key) == moment:
                return moment
            heapq.heappop(self._moments)
        return NEVER

    def begin(self) -> None:
        """Look at everything anew: others may have changed it."""
        self._flows = {
            flow: _Flow(strands=known.strands, waiting=known.waiting)
            for flow, known in self._flows.items()
            if known.strands or not self._lanes.idle(flow)
        }
        for flow, moment in self._source.awaited():
            self._set(flow, moment)

    # ---- What happens ----------------------------------------------------------------------

    def fresh(self, due: Due) -> bool:
        """A recipient was accepted just now: whether it was let in at once."""
        flow = self._flows.setdefault(due.flow, _Flow(cursor=(due.due, "")))
        strand = self._strands.get((due.flow, due.path.domain))
        if (strand is None and flow.behind) or (strand is not None and strand.behind):
            return False  # behind those who came before it
        return self._admit(due)

    def put_off(self, flow: Flow, moment: float) -> None:
        """Recipients were accepted that are due later."""
        known = self._flows.setdefault(flow, _Flow())
        self._set(flow, min(known.next, moment))

    def deferred(self, flow: Flow, domain: str, moment: float) -> None:
        """A recipient that is in memory is pending again."""
        strand = self._strands.get((flow, domain))
        if strand is not None:
            self._set((flow, domain), min(strand.next, moment))
        else:
            self.put_off(flow, moment)

    def done(self, job: Job) -> None:
        """An attempt has ended, and the lanes have been told."""
        for due in job.dues:
            key = (due.flow, due.path.domain)
            strand = self._strands.get(key)
            if strand is not None:
                strand.busy -= 1
                self._perhaps_forget(key, strand)

    def again(self, dues: Iterable[Due]) -> None:
        """Recipients that were in memory have another lane than was known: let them in there."""
        for due in dues:
            self._admit(due)
            key = (due.flow, due.path.domain)
            self._perhaps_forget(key, self._strands[key])

    def refill(self, flow: Flow, lane: Hashable, now: float) -> bool:
        """Let more of a flow in, of which an attempt in `lane` has ended; false to be asked again.

        The lane comes first, if something waits for it, then the flow's others in turn.
        """
        known = self._flows.get(flow)
        if known is None:
            return True
        if lane in known.strands and self._lanes.wants(lane, flow):
            self._fetch(flow, next(iter(known.strands[lane])), now)
        for _ in range(_TRIES):
            if not self._lanes.roomy(flow):
                return True
            if known.strands:
                waiting = next(iter(known.strands))
                known.strands[waiting] = known.strands.pop(waiting)  # the next time another
                if self._lanes.wants(waiting, flow):
                    self._fetch(flow, next(iter(known.strands[waiting])), now)
                    continue
            if known.behind:
                self._page(flow, known, now)
            elif not known.strands:
                return True
        return not self._lanes.idle(flow)

    def look(self, now: float) -> Iterator[None]:
        """Let in what has become due; stops after each page of rows."""
        while self.next <= now:
            _, _, key = heapq.heappop(self._moments)
            if isinstance(key, Flow):
                known = self._flows[key]
                known.next = NEVER
                while not self._page(key, known, now):
                    yield
            else:
                self._strands[key].next = NEVER
                self._fetch(*key, now)
            yield

    # ---- How -------------------------------------------------------------------------------

    def _next_of(self, key: Key) -> float:
        if isinstance(key, Flow):
            known = self._flows.get(key)
            return NEVER if known is None else known.next
        strand = self._strands.get(key)
        return NEVER if strand is None else strand.next

    def _set(self, key: Key, moment: float) -> None:
        """Note when to look at a flow or a strand."""
        owner = (
            self._flows.setdefault(key, _Flow()) if isinstance(key, Flow) else self._strands[key]
        )
        if owner.next != moment:
            owner.next = moment
            if moment < NEVER:
                heapq.heappush(self._moments, (moment, next(self._order), key))

    def _page(self, key: Flow, flow: _Flow, now: float) -> bool:
        """Look at the next strands of a flow; whether that was all that can be done now."""
        found = self._source.strands(key, now, flow.cursor, self.page)
        for strand in found:
            if self._lanes.room(key) <= 0 or flow.waiting >= BEHIND:
                flow.behind = True
                return True
            self._fetch(key, strand.domain, now)
            flow.cursor = (strand.due, strand.domain)
        if len(found) == self.page:
            return False
        flow.behind = False
        flow.cursor = (now, "")
        following = self._source.next_due(key, now)
        self._set(key, NEVER if following is None else following)
        return True

    def _fetch(self, flow: Flow, domain: str, now: float) -> None:
        """Let recipients of one strand in, as many as there is room for."""
        key = (flow, domain)
        strand = self._strands.setdefault(key, _Strand())
        self._in_time(key, strand)
        # Those in memory are still due in the spool, too.
        limit = self.page + strand.busy
        found = self._source.due(flow, domain, now, limit)
        for due in found:
            if not self._admit(due):
                break
        else:
            if len(found) == limit:
                self._fall_behind(key, strand, self._lane(self._hop(found[-1])))
        if not strand.behind:
            following = self._source.next_in(flow, domain, now)
            self._set(key, NEVER if following is None else following)
        self._perhaps_forget(key, strand)

    def _admit(self, due: Due) -> bool:
        key = (due.flow, due.path.domain)
        strand = self._strands.setdefault(key, _Strand())
        known = self._lanes.knows(due)
        hop = self._hop(due)
        lane = self._lane(hop)
        if not self._lanes.admit(hop, due, lane):
            self._fall_behind(key, strand, lane)
            return False
        if not known:
            strand.busy += 1
        return True

    def _fall_behind(self, key: tuple[Flow, str], strand: _Strand, lane: Hashable) -> None:
        self._in_time(key, strand)  # its lane may be another one now
        strand.behind, strand.lane = True, lane
        flow = self._flows.setdefault(key[0], _Flow())
        flow.strands.setdefault(lane, {})[key[1]] = None
        flow.waiting += 1

    def _in_time(self, key: tuple[Flow, str], strand: _Strand) -> None:
        """The strand is being looked at: it is not behind, until that is found."""
        if strand.behind:
            strand.behind = False
            flow = self._flows[key[0]]
            flow.waiting -= 1
            waiting = flow.strands
            del waiting[strand.lane][key[1]]
            if not waiting[strand.lane]:
                del waiting[strand.lane]

    def _perhaps_forget(self, key: tuple[Flow, str], strand: _Strand) -> None:
        if strand.busy <= 0 and not strand.behind:
            del self._strands[key]
            if strand.next < NEVER:
                known = self._flows[key[0]]
                self._set(key[0], min(known.next, strand.next))
