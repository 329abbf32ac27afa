"""What waits to be attempted, in memory: for each next hop enough to keep it busy, and no more.

Invariants:

1. Memory is bounded by `RunnerLimits`, however much is due: what finds no room stays
   in the spool, and only its domain is remembered (`Lane.backlog`).
2. A recipient is waiting or under way once at most.
3. Turns are taken: between lanes, and in a lane between items, one attempt's
   worth of recipients a turn. Neither a dead hop nor a large item holds up the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from mailhub.policy.limits import RunnerLimits
from mailhub.ports import QueueId
from mailhub.queue.change import Due


class Lane:
    """The waiting items of one next hop, in order, and how many attempts are under way.

    Attributes:
        waiting: Recipients of the items in `ready`.
        busy: Those and the recipients under way.
        backlog: Domains for which more is due in the spool, as they were noticed.
    """

    __slots__ = ("backlog", "busy", "hop", "ready", "under_way", "waiting")

    def __init__(self, hop: Hashable) -> None:
        self.hop = hop
        self.under_way = 0
        self.waiting = 0
        self.busy = 0
        self.backlog: dict[str, None] = {}
        self.ready: dict[QueueId, list[int]] = {}


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt's worth of an item's recipients, taken out of a lane."""

    lane: Lane
    queue_id: QueueId
    numbers: tuple[int, ...]


class Lanes:
    """All lanes, and whose turn it is.

    Attributes:
        limits: May be replaced; what is under way or waits already is let be.
    """

    def __init__(self, limits: RunnerLimits) -> None:
        self.limits = limits
        self._lanes: dict[Hashable, Lane] = {}
        self._rota: deque[Lane] = deque()  # lanes with something ready, each once
        self._hungry: dict[Lane, None] = {}  # lanes with a backlog
        self._waiting = 0  # recipients waiting, in all lanes
        self._under_way = 0
        self._busy: dict[QueueId, set[int]] = {}  # recipients waiting or under way

    def __len__(self) -> int:
        """How many lanes there are: the hops that something is done or waited for."""
        return len(self._lanes)

    @property
    def hungry(self) -> bool:
        """Whether more is due than there was room for."""
        return bool(self._hungry)

    def busy(self, queue_id: QueueId) -> bool:
        """Whether a recipient of the item is waiting or under way."""
        return queue_id in self._busy

    def admit(self, hop: Hashable, due: Due) -> bool:
        """Let a recipient wait for its hop; false if there is no room, which is remembered."""
        if due.number in self._busy.get(due.queue_id, ()):
            return True
        lane = self._lanes.get(hop)
        if lane is None:
            lane = self._lanes[hop] = Lane(hop)
        if lane.waiting >= self.limits.ready_per_hop or self._waiting >= self.limits.ready:
            lane.backlog[due.path.domain] = None
            self._hungry[lane] = None
            return False
        if not lane.ready:
            self._rota.append(lane)
        lane.ready.setdefault(due.queue_id, []).append(due.number)
        lane.waiting += 1
        lane.busy += 1
        self._waiting += 1
        self._busy.setdefault(due.queue_id, set()).add(due.number)
        return True

    def next(self) -> Job | None:
        """The job whose turn it is; None if nothing waits, or as much as allowed is under way."""
        if self._under_way >= self.limits.attempts:
            return None
        for _ in range(len(self._rota)):
            lane = self._rota.popleft()
            if lane.under_way >= self.limits.attempts_per_hop:
                self._rota.append(lane)
                continue
            job = self._first(lane)
            if lane.ready:
                self._rota.append(lane)
            return job
        return None

    def _first(self, lane: Lane) -> Job:
        queue_id = next(iter(lane.ready))
        numbers = lane.ready.pop(queue_id)
        taken, left = numbers[: self.limits.recipients], numbers[self.limits.recipients :]
        if left:
            lane.ready[queue_id] = left  # behind the others
        lane.waiting -= len(taken)
        self._waiting -= len(taken)
        lane.under_way += 1
        self._under_way += 1
        return Job(lane, queue_id, tuple(taken))

    def done(self, job: Job) -> None:
        """The attempt has ended; its recipients may be admitted again."""
        lane = job.lane
        lane.under_way -= 1
        lane.busy -= len(job.numbers)
        self._under_way -= 1
        busy = self._busy[job.queue_id]
        busy.difference_update(job.numbers)
        if not busy:
            del self._busy[job.queue_id]
        self._forget(lane)

    def wanted(self) -> tuple[Lane, str, int] | None:
        """A lane with room, a domain of its backlog, and how many rows to ask the spool for.

        For as many more as are busy: those are still due there.
        The answer is to be given to `refill`.
        """
        if self._waiting > self.limits.ready // 2:
            return None
        half = self.limits.ready_per_hop // 2
        lane = next((lane for lane in self._hungry if lane.waiting <= half), None)
        if lane is None:
            return None
        return lane, next(iter(lane.backlog)), self.limits.page + lane.busy

    def refill(
        self, lane: Lane, domain: str, limit: int, found: Sequence[tuple[Hashable, Due]]
    ) -> None:
        """Admit what the spool has for `wanted`."""
        del lane.backlog[domain]
        del self._hungry[lane]
        for hop, due in found:
            self.admit(hop, due)
        if len(found) >= limit:
            lane.backlog[domain] = None
        if lane.backlog:
            self._hungry[lane] = None  # behind the others
        self._forget(lane)

    def _forget(self, lane: Lane) -> None:
        if not (lane.ready or lane.under_way or lane.backlog):
            self._lanes.pop(lane.hop, None)
