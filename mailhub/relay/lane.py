"""What waits to be attempted, in memory: enough to keep each next hop busy, and no more.

All that waits for the same hosts is a `Lane`: next hops share one whose connections
and limits are the same, such as the exchanges of all domains that one provider runs.
What one flow (whose mail it is, and of which class) has waiting there is a `Line` of
it. Whose turn it is is decided in two steps, by start-time fair queueing: senders
first, then the flows of the sender, each with a tag that grows by 1/weight for every
attempt; the least tag is next. So a campaign of any size takes its share and not more,
and a single message of somebody who was silent is next. Within a flow its lines take
turns, and in a line its items.

Invariants:

1. Memory is bounded by `RunnerLimits`, however much is due: a flow may fill half of
   what is free, a line half of what is free too and `ready_per_hop` at most; a
   flow of which nothing waits always finds a little room.
2. A recipient is waiting or under way once at most.
3. No flow holds the last tenth of the attempts, in all or in one lane: whoever
   comes finds a place.
4. A line whose lane takes no more is looked at again only when the lane does.
5. No step takes longer because more waits.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from itertools import count
from typing import Final

from mailhub.mail.value import value
from mailhub.policy.limits import RunnerLimits
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Due
from mailhub.queue.flow import Flow

RESERVE: Final = 10
"""One part of so many is kept free of any single flow."""
FOOTHOLD: Final = 16
"""Recipients that a flow may have waiting however full memory is."""

Weigh = Callable[[Flow], float]
"""The weight of a flow; more is more turns."""
Places = Callable[[Hashable], int | None]
"""How many attempts make sense at once in a lane; None for as many as anywhere."""


def anywhere(key: Hashable) -> int | None:  # noqa: ARG001
    """As many as to any hop."""
    return None


class Line:
    """The items of one flow that wait in one lane.

    Attributes:
        ready: For each item and hop the recipients, in order of turns.
        waiting: Those recipients, counted.
        active: It is in the rota of its flow.
    """

    __slots__ = ("active", "course", "lane", "ready", "under_way", "waiting")

    def __init__(self, lane: Lane, course: Course) -> None:
        self.lane = lane
        self.course = course
        self.ready: dict[tuple[QueueId, Hashable], list[Due]] = {}
        self.waiting = 0
        self.under_way = 0
        self.active = False


class Lane:
    """Next hops that have their places together.

    Attributes:
        under_way: Attempts.
        parked: Lines with something ready, for which there was no place.
        turns: Those lines by the tags that they had when they were parked.
    """

    __slots__ = ("key", "lines", "parked", "turns", "under_way")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.under_way = 0
        self.lines: dict[Flow, Line] = {}
        self.parked: dict[Line, None] = {}
        self.turns: list[tuple[float, float, int, Line]] = []


class Course:
    """One flow, and where it stands.

    Attributes:
        tag: Of its next attempt, among the flows of its sender.
        rota: Lines that can be served, each once.
        held: Lines that cannot, because the flow has its share of all attempts already; in turn.
    """

    __slots__ = ("flow", "held", "lines", "rota", "sender", "tag", "under_way", "waiting")

    def __init__(self, flow: Flow, sender: Sender) -> None:
        self.flow = flow
        self.sender = sender
        self.tag = sender.clock
        self.rota: deque[Line] = deque()
        self.held: dict[Line, None] = {}
        self.lines = 0
        self.waiting = 0
        self.under_way = 0


class Sender:
    """Whose mail flows are.

    Attributes:
        tag: Of its next attempt, among the senders.
        clock: The tag of the flow that was served last.
        queued: It has an entry in the heap of senders.
    """

    __slots__ = ("clock", "courses", "queued", "tag")

    def __init__(self, tag: float) -> None:
        self.tag = tag
        self.clock = 0.0
        self.courses: dict[Flow, Course] = {}
        self.queued = False


@value(frozen=True, slots=True)
class Job:
    """One attempt's worth of an item's recipients, taken out of a line."""

    line: Line
    queue_id: QueueId
    hop: Hashable
    dues: tuple[Due, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the recipients."""
        return tuple(due.number for due in self.dues)

    @property
    def lane(self) -> Hashable:
        """The key of its lane."""
        return self.line.lane.key

    @property
    def flow(self) -> Flow:
        """Whose turn it was."""
        return self.line.course.flow


class Lanes:
    """All that waits in memory, and whose turn it is.

    Attributes:
        limits: May be replaced; what is under way or waits already is let be.
        weigh: Likewise.
        alone: Whether a recipient is to have an attempt of its own.
    """

    def __init__(
        self,
        limits: RunnerLimits,
        weigh: Weigh = lambda _: 1.0,
        places: Places = anywhere,
        alone: Callable[[Due], bool] = lambda _: False,
    ) -> None:
        self.limits = limits
        self.weigh = weigh
        self.alone = alone
        self._places = places
        self._lanes: dict[Hashable, Lane] = {}
        self._senders: dict[str, Sender] = {}
        self._heap: list[tuple[float, int, Sender]] = []
        self._order = count()
        self._clock = 0.0  # the tag of the sender that was served last
        self._waiting = 0  # recipients waiting, in all lanes
        self._under_way = 0
        self._busy: dict[QueueId, set[int]] = {}  # recipients waiting or under way

    def __len__(self) -> int:
        """How many lanes there are: those that something is done or waited for in."""
        return len(self._lanes)

    def busy(self, queue_id: QueueId) -> bool:
        """Whether a recipient of the item is waiting or under way."""
        return queue_id in self._busy

    def how_busy(self, queue_id: QueueId) -> int:
        """How many recipients of the item are waiting or under way."""
        return len(self._busy.get(queue_id, ()))

    def knows(self, due: Due) -> bool:
        """Whether a recipient is waiting or under way."""
        return due.number in self._busy.get(due.queue_id, ())

    def room(self, flow: Flow) -> int:
        """How many more recipients of a flow may wait."""
        course = self._course(flow)
        free = max(self.limits.ready - self._waiting, 0)
        return max(free // 2, FOOTHOLD) - (course.waiting if course is not None else 0)

    def roomy(self, flow: Flow) -> bool:
        """Whether it is worth looking for more of a flow: half of its room is free."""
        course = self._course(flow)
        return course is None or course.waiting <= self.room(flow)

    def wants(self, key: Hashable, flow: Flow) -> bool:
        """Likewise of a flow in one lane."""
        lane = self._lanes.get(key)
        line = lane.lines.get(flow) if lane is not None else None
        limit = min(self.limits.ready_per_hop, self.room(flow))
        return limit > 0 and (line is None or 2 * line.waiting <= limit)

    def idle(self, flow: Flow) -> bool:
        """Whether nothing of a flow waits or is under way."""
        return self._course(flow) is None

    def _course(self, flow: Flow) -> Course | None:
        sender = self._senders.get(flow.sender)
        return sender.courses.get(flow) if sender is not None else None

    # ---- In --------------------------------------------------------------------------------

    def admit(self, hop: Hashable, due: Due, key: Hashable = None) -> bool:
        """Let a recipient wait for its hop, in the lane of this key; false if there is no room.

        A hop that shares with none is a lane by itself.
        """
        key = hop if key is None else key
        if self.knows(due):
            return True
        room = self.room(due.flow)
        if room <= 0:
            return False
        lane = self._lanes.get(key)
        line = lane.lines.get(due.flow) if lane is not None else None
        if line is None:
            line = self._line(key, due.flow)
        elif line.waiting >= min(self.limits.ready_per_hop, room):
            return False
        line.ready.setdefault((due.queue_id, hop), []).append(due)
        line.waiting += 1
        line.course.waiting += 1
        self._waiting += 1
        self._busy.setdefault(due.queue_id, set()).add(due.number)
        if not line.active and line not in line.lane.parked and line not in line.course.held:
            self._activate(line)
        return True

    def _line(self, key: Hashable, flow: Flow) -> Line:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
        sender = self._senders.get(flow.sender)
        if sender is None:
            sender = self._senders[flow.sender] = Sender(self._clock)
        course = sender.courses.get(flow)
        if course is None:
            course = sender.courses[flow] = Course(flow, sender)
        course.lines += 1
        line = lane.lines[flow] = Line(lane, course)
        return line

    def _activate(self, line: Line) -> None:
        """The line can be served."""
        course = line.course
        sender = course.sender
        if not course.rota:
            # Who was silent has saved nothing up, and owes nothing.
            course.tag = max(course.tag, sender.clock)
        line.active = True
        course.rota.append(line)
        if not sender.queued:
            sender.tag = max(sender.tag, self._clock)
            self._enqueue(sender)

    def _enqueue(self, sender: Sender) -> None:
        sender.queued = True
        heapq.heappush(self._heap, (sender.tag, next(self._order), sender))

    # ---- Out -------------------------------------------------------------------------------

    def next(self) -> Job | None:
        """The job whose turn it is; None if nothing can be served now."""
        if self._under_way >= self.limits.attempts:
            return None
        while self._heap:
            _, _, sender = heapq.heappop(self._heap)
            sender.queued = False
            job = self._of(sender)
            if not sender.queued and any(it.rota for it in sender.courses.values()):
                self._enqueue(sender)
            if job is not None:
                return job
        return None

    def _of(self, sender: Sender) -> Job | None:
        """A job of this sender, if one can be served."""
        while True:
            able = [course for course in sender.courses.values() if course.rota]
            if not able:
                return None
            course = min(able, key=lambda it: it.tag)
            line = course.rota.popleft()
            line.active = False
            if course.under_way >= _share(self.limits.attempts):
                course.held[line] = None
                self._free(line.lane)  # somebody else may have the place there
            elif not self._place(line):
                self._park(line)
            else:
                self._charge(sender, course)
                return self._first(line)

    def _place(self, line: Line) -> bool:
        """Whether the line's lane has a place for it."""
        limit = self._limit(line.lane)
        return line.lane.under_way < limit and line.under_way < _share(limit)

    def _limit(self, lane: Lane) -> int:
        places = self._places(lane.key)
        return self.limits.attempts_per_hop if places is None else places

    def _park(self, line: Line) -> None:
        course = line.course
        line.lane.parked[line] = None
        turn = (course.sender.tag, course.tag, next(self._order), line)
        heapq.heappush(line.lane.turns, turn)

    def _charge(self, sender: Sender, course: Course) -> None:
        price = 1 / self.weigh(course.flow)
        self._clock = max(self._clock, sender.tag)
        sender.tag += price
        sender.clock = max(sender.clock, course.tag)
        course.tag += price

    def _first(self, line: Line) -> Job:
        queue_id, hop = next(iter(line.ready))
        dues = line.ready.pop((queue_id, hop))
        most = 1 if len(dues) > 1 and self.alone(dues[0]) else self.limits.recipients
        taken, left = dues[:most], dues[most:]
        if left:
            line.ready[queue_id, hop] = left  # behind the others
        if line.ready:
            line.active = True
            line.course.rota.append(line)
        line.waiting -= len(taken)
        line.course.waiting -= len(taken)
        self._waiting -= len(taken)
        line.under_way += 1
        line.lane.under_way += 1
        line.course.under_way += 1
        self._under_way += 1
        return Job(line, queue_id, hop, tuple(taken))

    def relax(self) -> None:
        """There may be more places now: look at every line again."""
        for lane in self._lanes.values():
            for line in lane.lines.values():
                if line.ready and not line.active:
                    lane.parked.pop(line, None)
                    line.course.held.pop(line, None)
                    self._activate(line)

    # ---- Ended -----------------------------------------------------------------------------

    def done(self, job: Job) -> None:
        """The attempt has ended; its recipients may be admitted again."""
        line = job.line
        line.under_way -= 1
        line.lane.under_way -= 1
        line.course.under_way -= 1
        self._under_way -= 1
        busy = self._busy[job.queue_id]
        busy.difference_update(job.numbers)
        if not busy:
            del self._busy[job.queue_id]
        self._free(line.lane)
        if line.course.held:
            longest = next(iter(line.course.held))
            del line.course.held[longest]
            self._activate(longest)
        self._forget(line)

    def _free(self, lane: Lane) -> None:
        """A place in a lane is free: let the line have it whose turn comes first."""
        if not lane.parked or lane.under_way >= self._limit(lane):
            return
        full = []
        while lane.turns:
            turn = heapq.heappop(lane.turns)
            line = turn[-1]
            if line not in lane.parked:
                continue
            course = line.course
            if (course.sender.tag, course.tag) > turn[:2]:
                self._park(line)  # others have been served since: it is not so early any more
            elif not self._place(line):
                full.append(turn)  # one at most can have its share
            else:
                del lane.parked[line]
                self._activate(line)
                break
        for turn in full:
            heapq.heappush(lane.turns, turn)

    def _forget(self, line: Line) -> None:
        if line.ready or line.under_way:
            return
        lane, course, sender = line.lane, line.course, line.course.sender
        del lane.lines[course.flow]
        if not lane.lines:
            del self._lanes[lane.key]
        course.lines -= 1
        if not course.lines:
            del sender.courses[course.flow]
        if not sender.courses:
            del self._senders[course.flow.sender]


def _share(limit: int) -> int:
    """So many of `limit` places may one flow hold: all but a tenth."""
    return limit - limit // RESERVE
