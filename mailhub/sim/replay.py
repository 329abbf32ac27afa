"""Replays recorded traffic against another configuration, and tells what would change.

What was recorded are journeys, as ``mailhub journey --json`` prints them: who handed in what
when, and what the world answered. The world of a replay answers each recipient as it did at
that moment. A host that said "try again" at ten past and took it at half past did change its mind
in between: midway, as far as anybody knows.
What nobody asked is not known: a recipient that was never attempted is taken at once.

Only what differs in kind is told: another fate, another next hop, another number of
attempts, or a delivery that comes much sooner or later.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

from mailhub.config.settings import Settings
from mailhub.mail.address import Path, parse_address
from mailhub.mail.reply import Refusal, Reply
from mailhub.policy.route import Smarthost, route
from mailhub.sim.campaign import Posting as Message
from mailhub.sim.campaign import Stream, content
from mailhub.sim.manners import Manners, Why
from mailhub.sim.memory import Refused
from mailhub.sim.providers import Providers
from mailhub.sim.receiver import Conversation, Receiver
from mailhub.sim.receiver import Message as Taken
from mailhub.sim.result import duration
from mailhub.sim.sender import Errand, SenderFactory
from mailhub.sim.simulation import failures, hub_of
from mailhub.sim.world import World

MUCH: Final = 60.0
"""Seconds sooner or later that are worth telling; and a tenth of what it took."""
_DIRECT: Final = "the recipients' own hosts"
_MARGIN: Final = 3600.0
_ENDS: Final = {"delivered", "relayed", "expanded", "failed", "expired", "cancelled"}


class NotJourneys(ValueError):
    """The file does not hold journeys."""


@dataclass(slots=True)
class Fate:
    """What became of a recipient.

    Attributes:
        end: ``delivered``, ``failed``, or ``waiting``.
        took: Seconds from handing in to the end.
        by: The next hop: a smarthost's name, or nothing for the recipients' own hosts.
    """

    end: str = "waiting"
    took: float = 0.0
    attempts: int = 0
    by: str = ""


@dataclass(slots=True)
class Recorded:
    """One message, as it was.

    Attributes:
        answers: For each recipient what it was told, each from a moment on.
    """

    queue_id: str
    at: float
    sender: str
    recipients: tuple[str, ...]
    size: int
    answers: list[list[tuple[float, Reply]]] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """What would be otherwise for a recipient."""

    queue_id: str
    recipient: str
    was: str
    would: str

    def as_dict(self) -> dict[str, str]:
        """For a program."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.queue_id} <{self.recipient}>: {self.was}; it would be {self.would}"


# ---- Reading -------------------------------------------------------------------------------


def read(path: str) -> list[Recorded]:
    """The messages of a file, in the order in which they were handed in.

    Raises:
        NotJourneys: It holds something else.
        OSError: It cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        journeys = json.loads(text)
        found = [_recorded(journey) for journey in journeys]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise NotJourneys(f"{path}: not what `mailhub journey --json` prints ({why})") from None
    messages = [it for it in found if it is not None]
    if not messages:
        raise NotJourneys(f"{path}: no message in it")
    return sorted(messages, key=lambda it: (it.at, it.queue_id))


def _recorded(journey: Any) -> Recorded | None:
    """A message that somebody handed in; None for a notice of the hub's own."""
    events = journey["events"]
    accepted = next((it for it in events if it["event"] == "accepted"), None)
    if accepted is None or not accepted["address"]:
        return None
    recipients = tuple(accepted["recipients"])
    made = Recorded(
        str(journey["id"]),
        float(accepted["at"]),
        str(accepted["sender"]),
        recipients,
        int(accepted["size"]),
        [[] for _ in recipients],
        [Fate() for _ in recipients],
    )
    for event in events:
        if event["event"] == "tried":
            _note_attempt(made, event)
        elif event["event"] == "fated":
            _note_fate(made, event)
        elif event["event"] == "filed":
            _end(made, int(event["number"]), "delivered", float(event["at"]))
    return made


def _note_attempt(made: Recorded, event: Any) -> None:
    for number in event["numbers"]:
        made.fates[number].attempts += 1
        made.fates[number].by = str(event["host"])


def _note_fate(made: Recorded, event: Any) -> None:
    state, at = str(event["state"]), float(event["at"])
    reply = _reply(str(event["reply"]))
    for number in event["numbers"]:
        if reply is not None and event["host"]:
            made.answers[number].append((at, reply))
        if state in _ENDS:
            good = state in ("delivered", "relayed", "expanded")
            _end(made, number, "delivered" if good else "failed", at)
            if good:
                made.answers[number].append((at, Reply(250, "0.0", ("Ok",))))


def _end(made: Recorded, number: int, end: str, at: float) -> None:
    made.fates[number].end = end
    made.fates[number].took = max(0.0, at - made.at)


def _reply(text: str) -> Reply | None:
    """``450 4.2.0 Come back``, or None where nothing was said."""
    code, _, rest = text.partition(" ")
    if not code.isdigit() or not 200 <= int(code) < 600:
        return None
    return Reply.parse(int(code), [rest or "…"])


# ---- Replaying -----------------------------------------------------------------------------


class _Script(Receiver):
    """All the world's hosts: answers each recipient as it was answered then."""

    play: _Play

    def judge_recipient(self, talk: Conversation, path: str) -> Refused | None:
        key = (talk.sender, path.lower())
        self.play.attempted(key, self.manners.name)
        reply = self.play.answer(key)
        if reply is None or reply.positive:
            return None
        return Refused(reply, Why.OTHER)

    def take(self, message: Taken, *, heard: bool) -> float:
        for path in message.recipients:
            self.play.ended((message.sender, path.lower()), "delivered")
        if not message.sender and b"Action: failed" in message.content:
            for path in failures(message.content):
                self.play.ended((message.recipients[0], path.lower()), "failed")
        return Receiver.take(self, message, heard=heard)


class _Play:
    """A replay under way."""

    def __init__(self, world: World, settings: Settings, messages: Sequence[Recorded]) -> None:
        self.world = world
        self._messages = messages
        self._offset = world.start - messages[0].at
        self.fates: dict[tuple[str, str], list[Fate]] = {}
        self._scripts: dict[tuple[str, str], list[tuple[float, Reply]]] = {}
        self._begun: dict[tuple[str, str], list[float]] = {}
        providers = Providers(world)
        smarthosts = {it.hop.host: it.hop for it in settings.routes if it.hop is not None}
        hosts: Iterable[tuple[Manners, int]] = [
            (Manners(_DIRECT, ("*",), ("mx.everybody.example",)), 25),
            *(
                (Manners(f"smarthost {name}", (), (name,)), hop.port)
                for name, hop in smarthosts.items()
            ),
        ]
        for manners, port in hosts:
            script = providers.add(manners, _Script, port=port)
            assert isinstance(script, _Script), "that is its class"
            script.play = self
        self.hub = hub_of(world, settings, "")
        for message in messages:
            for path, answers in zip(message.recipients, message.answers, strict=True):
                key = (message.sender, path.lower())
                self._scripts.setdefault(key, []).extend(answers)
        for key, answers in self._scripts.items():
            self._scripts[key] = _switches(sorted(answers, key=lambda it: it[0]))

    def answer(self, key: tuple[str, str]) -> Reply | None:
        """What a recipient was told at this moment; what it was told first, before that."""
        answers = self._scripts.get(key)
        if not answers:
            return None
        now = self.world.now - self._offset
        place = bisect_right(answers, now, key=lambda it: it[0])
        return answers[max(place - 1, 0)][1]

    def attempted(self, key: tuple[str, str], name: str) -> None:
        """A recipient was attempted."""
        for fate in self.fates.get(key, ()):
            if fate.end == "waiting":
                fate.attempts += 1
                fate.by = "" if name == _DIRECT else name.partition(" ")[2]

    def ended(self, key: tuple[str, str], end: str) -> None:
        """A recipient has met its fate: that of the first message that waits for it."""
        for fate, began in zip(self.fates.get(key, ()), self._begun.get(key, ()), strict=False):
            if fate.end == "waiting":
                fate.end, fate.took = end, self.world.now - began
                return

    def hand_in(self, message: Recorded) -> list[Fate]:
        """Hand a message in, now; the fates of its recipients to come."""
        made = []
        for path in message.recipients:
            fate = Fate()
            key = (message.sender, path.lower())
            self.fates.setdefault(key, []).append(fate)
            self._begun.setdefault(key, []).append(self.world.now)
            made.append(fate)
        sender = parse_address(message.sender) if message.sender else Path("", "")
        stream = Stream("replay", sender, size=max(512, message.size))
        octets = content(stream, Message(0, message.recipients), self.world.now)

        def done(code: int, codes: tuple[int, ...]) -> None:
            for place, fate in enumerate(made):
                refused = code >= 500 or (place < len(codes) and codes[place] >= 500)
                if refused and fate.end == "waiting":
                    fate.end, fate.by = "refused by the hub", ""

        todo = [Errand(message.sender, message.recipients, octets, done)]
        host = self.hub.host
        factory = SenderFactory(host, lambda: todo.pop() if todo else None, lambda: None)
        host.reactor.connectTCP("127.0.0.1", 25, factory)
        return made


def _switches(answers: list[tuple[float, Reply]]) -> list[tuple[float, Reply]]:
    """From when on each answer was given: midway between the one before and itself."""
    moments = [answers[0][0]] if answers else []
    moments += [(before[0] + after[0]) / 2 for before, after in pairwise(answers)]
    return [(moment, reply) for moment, (_, reply) in zip(moments, answers, strict=True)]


def replay(
    settings: Settings,
    messages: Sequence[Recorded],
    seed: str = "1",
    until: float = 0.0,
    between: Callable[[], object] = lambda: None,
) -> list[Difference]:
    """What would be otherwise with these settings; `between` is called between turns."""
    with World(seed) as world:
        play = _Play(world, settings, messages)
        play.hub.start()
        fates: list[list[Fate]] = []
        first = messages[0].at
        for message in messages:
            world.at(message.at - first, lambda it: fates.append(play.hand_in(it)), message)
        last = messages[-1].at - first
        limit = until or last + settings.schedule.lifetime + _MARGIN

        def over() -> bool:
            between()
            return len(fates) == len(messages) and all(
                fate.end != "waiting" for each in fates for fate in each
            )

        world.run_until(over, limit)
        stopped = play.hub.stop()
        world.run_until(lambda: stopped.called, _MARGIN)
    return [
        difference
        for message, found in zip(messages, fates, strict=False)
        for path, was, would in zip(message.recipients, message.fates, found, strict=True)
        if (difference := _difference(settings, message, path, was, would)) is not None
    ]


def _difference(
    settings: Settings, message: Recorded, path: str, was: Fate, would: Fate
) -> Difference | None:
    hosts = {it.hop.host for it in settings.routes if it.hop is not None}
    before = was.by if was.by in hosts else ""
    far = abs(was.took - would.took)
    same = (
        was.end == would.end
        and before == would.by
        and (was.end == "waiting" or far <= max(MUCH, was.took / 10))
        and abs(was.attempts - would.attempts) <= max(1, was.attempts // 10)
    )
    if same:
        return None
    return Difference(
        message.queue_id,
        path,
        _told(was, before),
        _told(would, _by(settings, message, path, would)),
    )


def _by(settings: Settings, message: Recorded, path: str, would: Fate) -> str:
    """By whom it would go: also where it never got that far."""
    if would.by:
        return would.by
    try:
        address = parse_address(path)
        sender = parse_address(message.sender) if message.sender else Path("", "")
        hop = route(sender, address, settings.routes)
    except Refusal:
        return ""
    return hop.host if isinstance(hop, Smarthost) else ""


def _told(fate: Fate, by: str) -> str:
    tries = f"{fate.attempts} attempt{'s' if fate.attempts != 1 else ''}"
    way = f" by {by}" if by else ""
    if fate.end == "waiting":
        return f"waiting{way} after {tries}"
    return f"{fate.end}{way} after {duration(fate.took)}, {tries}"
