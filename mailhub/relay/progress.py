"""What became of a message's recipients so far, while it is tried here and there.

Invariants:

1. Every recipient has one reply in the end: a host's, or an excuse, which is why the
   hosts that were tried were of no use.
2. A permanent excuse never replaces a temporary one: no message bounces while one
   host may come back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.policy.cause import Cause
from mailhub.ports.outgoing import Attempt, Outcome
from mailhub.relay.names import Names


@value(frozen=True, slots=True)
class Excuse:
    """Why a host was of no use.

    Attributes:
        host: Whose words these are; ``""`` if they are ours.
    """

    reply: Reply
    cause: Cause
    host: str = ""


_NOBODY = Excuse(Reply(451, "4.1", ("No host to try",)), Cause.UNREACHABLE)


@dataclass(slots=True)
class Fate:
    """One recipient's.

    Attributes:
        reply: A host's; None while there is none.
        cause: What stands behind it, if it is negative.
        host: Whose reply it is.
        dsn: That host reports from there on.
        blocked: A host said that we are blocked.
    """

    reply: Reply | None = None
    cause: Cause | None = None
    host: str = ""
    dsn: bool = False
    excuse: Excuse | None = None
    blocked: bool = False


@dataclass(slots=True)
class Progress:
    """The message's.

    Attributes:
        unfit: Hosts that cannot take the message at all.
        reached: Some host has spoken to us.
        provider: Who is to take it.
    """

    envelope: Envelope
    names: Names
    fates: list[Fate]
    attempts: list[Attempt] = field(default_factory=list)
    unfit: set[str] = field(default_factory=set)
    reached: bool = False
    provider: str = ""

    @classmethod
    def of(cls, envelope: Envelope, names: Names) -> Progress:
        """Nothing yet."""
        return cls(envelope, names, [Fate() for _ in envelope.recipients])

    @property
    def open(self) -> list[int]:
        """The recipients that are still to be answered for."""
        return [number for number, fate in enumerate(self.fates) if fate.reply is None]

    def settle(
        self, number: int, reply: Reply, cause: Cause | None, host: str, *, dsn: bool
    ) -> None:
        """A host has answered for a recipient."""
        fate = self.fates[number]
        fate.reply, fate.cause, fate.host, fate.dsn = reply, cause, host, dsn
        fate.blocked = fate.blocked or cause is Cause.BLOCKED

    def excuse(self, excuse: Excuse, numbers: Sequence[int] | None = None) -> None:
        """Note why a host was of no use."""
        for number in self.open if numbers is None else numbers:
            fate = self.fates[number]
            fate.blocked = fate.blocked or excuse.cause is Cause.BLOCKED
            before = fate.excuse
            if before is None or before.reply.permanent or not excuse.reply.permanent:
                fate.excuse = excuse

    def blocked(self) -> list[int]:
        """The recipients that were refused because we are blocked."""
        return [
            number
            for number, fate in enumerate(self.fates)
            if fate.blocked and (fate.reply is None or fate.cause is Cause.BLOCKED)
        ]

    def reopen(self, numbers: Collection[int]) -> None:
        """Whatever was said to these recipients shall not count: there is another way."""
        for number in numbers:
            self.fates[number] = Fate()

    def outcome(self, put_off: float | None = None) -> Outcome:
        """The end of it: whoever has no reply gets the excuse."""
        for fate in self.fates:
            if fate.reply is None:
                excuse = fate.excuse or _NOBODY
                fate.reply, fate.cause, fate.host = excuse.reply, excuse.cause, excuse.host
        return Outcome(
            tuple(fate.reply for fate in self.fates if fate.reply is not None),
            tuple(self.attempts),
            tuple(fate.host for fate in self.fates),
            tuple(fate.dsn for fate in self.fates),
            tuple(fate.cause for fate in self.fates),
            lookups=tuple(self.names.lookups),
            provider=self.provider,
            put_off=put_off,
        )
