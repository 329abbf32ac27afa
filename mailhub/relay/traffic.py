"""Who may send where just now: places, slots and orders for each provider, from each source.

A message that is to be sent directly takes a turn here first. Turns are given by what
`policy.repute` says of the provider, by the number of places that there are, and in
the order of their asking.

Invariants:

1. No provider holds up the others. One that takes all it may leaves as many places
   free as it has; those whose last attempt reached nobody have a quarter together.
2. Nobody waits here for long: a turn that is not near is refused at once
   (`PutOff`), with the moment to come again, and these moments are apart.
3. Memory is bounded by `GATES`; only providers that are like strangers are forgotten.
4. What was learnt is on disk some seconds later. If the disk refuses, that is told,
   and tried again; mail goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final, Protocol, Self

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailhub.mail.reply import Refusal, Reply
from mailhub.net.afterwards import Afterwards
from mailhub.policy import pace as pacing
from mailhub.policy import repute as standing
from mailhub.policy.classify import Verdict
from mailhub.policy.limits import PoolLimits
from mailhub.policy.pace import Limits
from mailhub.policy.provider import ANY_SOURCE, Provider, Source
from mailhub.policy.repute import News, Repute, Way
from mailhub.ports.disk import Disk

GATES: Final = 10_000
"""Providers remembered in memory."""
WAIT: Final = 2.0
"""Seconds that a message waits for its slot in here, instead of coming again."""
FEW: Final = 4
"""So many more than it has places may wait for a provider."""
AHEAD: Final = 2
"""So many more than find a place make sense, so that a place that is free is taken at once."""
SPREAD: Final = 600.0
"""Seconds over which those who were sent away come again."""
LOOK: Final = 600.0
"""Seconds after which mail of a provider that is suspended without end is looked at again."""
RECENT: Final = 0.125
"""The weight of the last message in what is said of the time that one takes."""
SAVE: Final = 30.0
"""Seconds after which what was learnt is written: a crash may lose so much of it."""

Key = tuple[str, str]
"""A provider's name, and a source's."""


class PutOff(Exception):
    """There is no turn now; `reply` says why, and `until` when to come again."""

    def __init__(self, reply: Reply, until: float) -> None:
        self.reply = reply
        self.until = until
        super().__init__(reply.text)


class Stopping(Exception):
    """There will be no more turns."""


class Memory(Protocol):
    """Where what was learnt is kept (`queue.reputes`); blocking."""

    def save(self, changed: Mapping[Key, Repute], gone: Sequence[Key] = ()) -> None:
        """Remember some, and forget others."""


Tell = Callable[[Provider, Source, News], None]
"""Tells the operator what is new about a provider."""


class Gate:
    """The way to one provider from one source.

    Attributes:
        key: Its name.
        provider: As it is configured now.
        limits: What that comes to.
        repute: How we stand.
        busy: Messages on their way.
    """

    def __init__(self, traffic: Traffic, provider: Provider, source: Source) -> None:
        self.key = provider.name, source.name
        self.provider = provider
        self.source = source
        self.limits = traffic.limits_of(provider)
        self.repute = Repute()
        self.busy = 0
        self.users = 0
        self.waiting: deque[Deferred[None]] = deque()
        self.horizon = 0.0  # the last moment that somebody was told to come again
        self.service = 1.0  # seconds that a message took lately
        self._seats: dict[object, int] = {}  # connections at work, and how many may follow on each
        self._seated = 0  # the sum of them
        self._traffic = traffic

    @property
    def places(self) -> int:
        """How many connections there may be."""
        return standing.places(self.repute, self.limits)

    @property
    def room(self) -> int:
        """How many messages may be on their way: one on each connection, and those behind."""
        places, seats = self.places, self._seats
        if self.repute.trial or not seats:
            return places
        # Of connections there are more than places for a while, when the pace has fallen.
        return places + self._seated * min(len(seats), places) // len(seats)

    @property
    def full(self) -> bool:
        """Whether no more messages may be on their way."""
        return self.busy >= self.room

    def seat(self, link: object, count: int) -> None:
        """So many messages may follow on this connection."""
        self._seated += count - self._seats.get(link, 0)
        self._seats[link] = count
        self._traffic.more_room(self)

    def unseat(self, link: object) -> None:
        """None may."""
        self._seated -= self._seats.pop(link, 0)

    def begins(self, slot: float | None) -> float | None:
        """A transaction is about to begin, which has a slot or needs one; when it may, if not now.

        Time has passed since its slot was taken: it counts where it is seen to begin.
        """
        pace, now = self.repute.pace, self._traffic.now()
        if slot is not None and not self.limits.rated:
            return None
        moved = pacing.moved(pace, slot, now) if slot is not None else None
        if moved is not None:
            self.repute = replace(self.repute, pace=moved)
            return None
        soonest = pacing.slot(pace, self.limits, now)
        if soonest > now:
            return self._traffic.ticket(self, soonest)
        self._traffic.change(self, standing.begun(self.repute, self.provider, now))
        return None

    # ---- What happens ----------------------------------------------------------------------

    def taken(self, reply: Reply) -> None:
        """A message was taken."""
        now = self._traffic.now()
        self._traffic.change(self, standing.taken(self.repute, self.limits, reply, now))

    def refused(self, verdict: Verdict, reply: Reply, stage: str) -> None:
        """A message, or we, were refused."""
        now = self._traffic.now()
        after = standing.refused(
            self.repute, self.provider, self.limits, verdict, reply, stage, now
        )
        self._traffic.change(self, after)

    def unreached(self, reply: Reply) -> None:
        """Nobody was reached."""
        self._traffic.change(self, standing.unreached(self.repute, reply, self._traffic.now()))


class Turn(AbstractAsyncContextManager["Turn"]):
    """The right to send one message at a gate, at its slot; and more, as far as there are slots.

    Attributes:
        over: When there may be another transaction, if there was one too many.
    """

    __slots__ = ("_gate", "_slot", "_started", "_traffic", "over")

    def __init__(self, traffic: Traffic, gate: Gate) -> None:
        self.over: float | None = None
        self._traffic = traffic
        self._gate = gate
        self._slot: float | None = None
        self._started = 0.0

    async def __aenter__(self) -> Self:
        self._slot = await self._traffic.begin(self._gate)
        self._started = self._traffic.seconds()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        took = self._traffic.seconds() - self._started
        self._traffic.end(self._gate, took if kind is None else None)

    def begins(self) -> bool:
        """Whether a transaction may begin now: the first at our slot, the others at their own."""
        slot, self._slot = self._slot, None
        self.over = self._gate.begins(slot)
        return self.over is None

    def put_off(self) -> PutOff:
        """Why nothing more is sent now."""
        assert self.over is not None, "there was one too many"
        return PutOff(_slower(self._gate), self.over)


class Traffic:
    """All gates.

    Args:
        clock: For waiting; `now` is for dates.
        chance: Numbers from 0 up to 1.
        memory: Called in `disk`'s thread.
        known: What was remembered.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], float],
        chance: Callable[[], float],
        tell: Tell,
        limits: PoolLimits,
        *,
        memory: Memory | None = None,
        disk: Disk | None = None,
        known: Mapping[Key, Repute] | None = None,
    ) -> None:
        self.now = now
        self._clock = clock
        self.seconds = clock.seconds
        self._chance = chance
        self._tell = tell
        self._limits = limits
        self._memory = memory
        self._disk = disk
        self._known = dict(known or {})  # of gates that nobody has come to yet
        self._gates: dict[Key, Gate] = {}
        self._crowded: dict[Gate, None] = {}  # gates with somebody waiting, in turn
        self._busy = 0
        self._letting_in = self._once_more = False
        self._dirty: dict[Key, Gate] = {}
        self._gone: set[Key] = set()
        self._later = Afterwards("remembering providers", self._write, clock)
        self._stopping = False

    def obey(self, limits: PoolLimits) -> None:
        """Go by other limits."""
        self._limits = limits
        for gate in self._gates.values():
            gate.limits = self.limits_of(gate.provider)
        self._let_in()

    def limits_of(self, provider: Provider) -> Limits:
        """What is configured for a provider."""
        connections = provider.connections or self._limits.destination
        return Limits(connections, provider.per_minute, provider.per_hour, provider.per_day)

    # ---- Turns -----------------------------------------------------------------------------

    def gate(self, provider: Provider, sources: Sequence[Source] = ()) -> Gate:
        """The gate to take: the source that is ready first, and of these the least busy."""
        gates = [self._gate(provider, source) for source in sources or (ANY_SOURCE,)]
        if len(gates) == 1:
            return gates[0]
        now = self.now()

        def rank(gate: Gate) -> tuple[float, float, float]:
            held = max(gate.repute.suspended, gate.repute.rest, gate.repute.detour, now)
            ready = pacing.slot(gate.repute.pace, gate.limits, now)
            return max(held, ready), (gate.busy + len(gate.waiting)) / gate.places, self._chance()

        return min(gates, key=rank)

    def room(self, provider: Provider, sources: Sequence[Source] = ()) -> int:
        """How many messages for a provider are worth being begun, those under way included."""
        found = 0
        for source in sources or (ANY_SOURCE,):
            gate = self._gates.get((provider.name, source.name))
            found += self.limits_of(provider).connections if gate is None else gate.room
        return found + AHEAD

    def blocked(self, provider: Provider, sources: Sequence[Source] = ()) -> bool:
        """Whether mail for a provider takes the detour, from whatever source."""
        gates = [self._gates.get((provider.name, it.name)) for it in sources or (ANY_SOURCE,)]
        return all(gate is not None and self.way(gate) is Way.DETOUR for gate in gates)

    def way(self, gate: Gate) -> Way:
        """Where a message goes now."""
        return standing.way(gate.repute, gate.provider, self.now())

    def turn(self, gate: Gate) -> Turn:
        """For ``async with``: wait for one's turn to send directly, and be at work while in it.

        Raises:
            PutOff: There is none for a while.
            Refusal: Nobody answers there, which others have found out.
            Stopping: There will be none.
        """
        return Turn(self, gate)

    async def begin(self, gate: Gate) -> float:
        """What a turn begins with: its slot. Raises as `turn`."""
        gate.users += 1
        try:
            self._check(gate)
            await self._enter(gate)
            try:
                return await self._slot(gate)
            except BaseException:
                self._leave(gate)
                raise
        except BaseException:
            gate.users -= 1
            raise

    def end(self, gate: Gate, seconds: float | None) -> None:
        """What it ends with, after so many seconds; None if that tells nothing of what it takes."""
        if seconds is not None:
            gate.service += (seconds - gate.service) * RECENT
        self._leave(gate)
        gate.users -= 1

    def _check(self, gate: Gate) -> None:
        if self._stopping:
            raise Stopping
        now, repute, name = self.now(), gate.repute, gate.provider.name
        way = self.way(gate)
        if way is Way.WAIT:
            words = f"Mail for {name} is suspended: {repute.why}"
            raise PutOff(Reply(451, "3.2", (words,)), min(repute.suspended, now + LOOK))
        if way is Way.DEAD:
            words = f"Tried lately, and not again yet: {repute.reply}"
            raise Refusal(451, "4.1", words)
        slot = pacing.slot(repute.pace, gate.limits, now)
        if slot > now + WAIT:
            raise PutOff(_slower(gate), self.ticket(gate, slot))
        if len(gate.waiting) >= gate.limits.connections + FEW:
            words = f"Much mail for {name}: this waits for its turn"
            soon = now + gate.service * 2
            raise PutOff(Reply(451, "3.2", (words,)), self.ticket(gate, soon))

    async def _slot(self, gate: Gate) -> float:
        """Take the next slot of the pace, and wait for it; when it was."""
        if self.way(gate) is not Way.DIRECT:
            self._check(gate)  # things have changed while we waited for a place
        now = self.now()
        slot = pacing.slot(gate.repute.pace, gate.limits, now)
        if slot > now + 2 * WAIT:
            raise PutOff(_slower(gate), self.ticket(gate, slot))
        self.change(gate, standing.begun(gate.repute, gate.provider, slot))
        if slot > now:
            await deferLater(self._clock, slot - now)
        return slot

    def ticket(self, gate: Gate, soonest: float) -> float:
        """When to come again: each a little later, so that not all come back at once."""
        rate = gate.repute.pace.rate
        apart = max(
            pacing.MINUTE / rate if rate else 0.0,
            *(
                length / limit
                for limit, length in (
                    (gate.limits.per_minute, pacing.MINUTE),
                    (gate.limits.per_hour, pacing.HOUR),
                    (gate.limits.per_day, pacing.DAY),
                )
                if limit
            ),
            gate.service / gate.places,
        )
        gate.horizon = max(gate.horizon + apart, soonest)
        if gate.horizon > soonest + SPREAD:
            # More wait than can have a moment of their own: those will have to come again.
            return soonest + SPREAD * (0.5 + self._chance() / 2)
        return gate.horizon

    async def _enter(self, gate: Gate) -> None:
        if not gate.waiting and self._may(gate):
            self._take(gate)
            return
        turn: Deferred[None] = Deferred()
        gate.waiting.append(turn)
        self._crowded[gate] = None
        try:
            await turn
        except BaseException:
            if turn in gate.waiting:
                gate.waiting.remove(turn)
            raise

    def _take(self, gate: Gate) -> None:
        gate.busy += 1
        self._busy += 1

    def _leave(self, gate: Gate) -> None:
        gate.busy -= 1
        self._busy -= 1
        self._let_in()

    def _may(self, gate: Gate) -> bool:
        """Whether there is a place for one more."""
        total = self._limits.total
        free = total - self._busy
        if free <= 0 or gate.full or gate.busy >= max(1, free):
            return False
        if not gate.repute.troubled:
            return True
        troubled = sum(it.busy for it in self._gates.values() if it.busy and it.repute.troubled)
        return troubled < max(1, total // 4)

    def more_room(self, gate: Gate) -> None:
        """A gate has more room than before."""
        if gate.waiting:
            self._let_in()

    def _let_in(self) -> None:
        """Give free places away, gate by gate in turn.

        Whoever gets one runs at once, and may well change what there is to give.
        """
        if self._letting_in:
            self._once_more = True
            return
        self._letting_in = self._once_more = True
        try:
            while self._once_more:
                self._once_more = False
                for gate in list(self._crowded):
                    self._let_into(gate)
        finally:
            self._letting_in = False

    def _let_into(self, gate: Gate) -> None:
        if gate.waiting and self._may(gate):
            del self._crowded[gate]
            turn = gate.waiting.popleft()
            if gate.waiting:
                self._crowded[gate] = None  # behind the others
            self._take(gate)
            self._once_more = True
            turn.callback(None)
        elif not gate.waiting:
            self._crowded.pop(gate, None)

    # ---- Gates -----------------------------------------------------------------------------

    def _gate(self, provider: Provider, source: Source) -> Gate:
        key = provider.name, source.name
        gate = self._gates.pop(key, None)
        if gate is None:
            self._forget_some()
            gate = Gate(self, provider, source)
            gate.repute = self._known.pop(key, gate.repute)
        if gate.provider is not provider:
            gate.provider, gate.limits = provider, self.limits_of(provider)
        gate.source = source
        self._gates[key] = gate  # the last that anybody came to
        return gate

    def _forget_some(self) -> None:
        """Make room for one more gate, at the cost of those that nobody came to for longest."""
        if len(self._gates) < GATES:
            return
        now = self.now()
        idle = [it for it in self._gates.values() if not it.users and not _held(it.repute, now)]
        for gate in idle[: GATES // 10]:
            del self._gates[gate.key]
            self._dirty.pop(gate.key, None)
            self._gone.add(gate.key)

    def all(self) -> list[Gate]:
        """Every gate that something is known of."""
        return list(self._gates.values())

    def remembered(self) -> Mapping[Key, Repute]:
        """What is remembered of gates that nobody has come to since the start."""
        return self._known

    def change(self, gate: Gate, after: Repute) -> None:
        """Stand so with a provider from now on, tell what is worth it, and write it down."""
        before, gate.repute = gate.repute, after
        for news in standing.news(before, after, gate.provider, self.now()):
            self._tell(gate.provider, gate.source, news)
        if self._memory is not None and not self._dirty:
            self._later.ask(SAVE)  # as it was for all others that wait for it
        self._dirty[gate.key] = gate
        if gate.waiting:
            self._let_in()

    # ---- On disk ---------------------------------------------------------------------------

    async def _write(self) -> None:
        memory, disk = self._memory, self._disk
        assert memory is not None
        assert disk is not None
        dirty, self._dirty = self._dirty, {}
        gone, self._gone = self._gone, set()
        changed = {key: gate.repute for key, gate in dirty.items() if _kept(gate)}
        strangers = [key for key in dirty if key not in changed]
        try:
            await disk.run(memory.save, changed, [*gone, *strangers])
        except OSError as error:
            self._log.error("how we stand with providers is not written: {why}", why=error)
            self._dirty = {**dirty, **self._dirty}
            self._gone |= gone
            self._later.ask(SAVE)

    async def stop(self) -> None:
        """Give no more turns, and write what was learnt."""
        self._stopping = True
        for gate in list(self._crowded):
            while gate.waiting:
                gate.waiting.popleft().errback(Stopping())
        self._crowded.clear()
        await self._later.stop()
        if self._memory is not None and (self._dirty or self._gone):
            await self._write()


def _held(repute: Repute, now: float) -> bool:
    """Whether something of it must not be forgotten."""
    return max(repute.suspended, repute.detour, repute.rest) > now or repute.pace.slowed


def _kept(gate: Gate) -> bool:
    """Whether it is worth a row: of those without a name, only what holds mail back."""
    repute = gate.repute
    if gate.provider.listed:
        return repute.special
    return bool(repute.suspended or repute.detour or repute.pace.slowed)


def _slower(gate: Gate) -> Reply:
    pace = gate.repute.pace
    told = standing.told_pace(pace) if pace.slowed else "the rate that is configured"
    return Reply(451, "3.2", (f"Mail for {gate.provider.name} goes at {told}",))
