"""A message that is handed over, and what became of it, recipient by recipient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.ports.message import Content
from mailhub.smtp.announce import Needs
from mailhub.smtp.wire import Broken

May = Callable[[], bool]
"""Asked right before each transaction whether it may begin."""


def always() -> bool:
    """It may."""
    return True


@dataclass(slots=True)
class Handover:
    """What became of one envelope on one connection.

    Attributes:
        replies: For each recipient; None where the connection broke first.
        ours: The recipients whose reply is ours: this server cannot take the
            message, and another may.
        fault: What broke the connection, if anything did.
        accepted: What RCPT was answered with, for those that were accepted.
        final: The reply to DATA or to the content, if it came to that.
    """

    replies: list[Reply | None]
    ours: set[int] = field(default_factory=set)
    fault: Broken | None = None
    accepted: dict[int, Reply] = field(default_factory=dict)
    final: Reply | None = None

    @property
    def open(self) -> list[int]:
        """The recipients without a reply."""
        return [number for number, reply in enumerate(self.replies) if reply is None]


@value(frozen=True, slots=True)
class Job:
    """A message that is ready to be handed on: nothing was said of it yet."""

    envelope: Envelope
    content: Content
    beginning: bytes
    need: Needs
    result: Handover
    may: May = always


def settle(result: Handover, batch: Sequence[int], heard: Sequence[Reply]) -> list[int]:
    """Note the replies to MAIL and RCPT; return the recipients that were accepted."""
    if heard and not heard[0].positive:
        for number in batch:
            result.replies[number] = heard[0]
        return []
    accepted: list[int] = []
    for number, reply in zip(batch, heard[1:], strict=False):
        if reply.positive:
            accepted.append(number)
            result.accepted[number] = reply
        elif not (accepted and _too_many(reply)):
            result.replies[number] = reply
    return accepted


def conclude(result: Handover, accepted: Sequence[int], final: Reply) -> None:
    """Note the reply to DATA or to the content, which is that to all who were accepted."""
    result.final = final
    for number in accepted:
        result.replies[number] = final


def _too_many(reply: Reply) -> bool:
    """Whether a recipient is only to wait for the next transaction (RFC 5321 §4.5.3.1.10).

    552 is what RFC 821 said; a mailbox that is full says 4.2.2 or 5.2.2.
    """
    return reply.code in (452, 552) and reply.detail in ("", "5.3")
