"""Whom the runner has its attempts made by, and what it makes of what they say."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, TypeVar

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Reply
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Outcome
from mailhub.queue.item import Answer, Item

H_contra = TypeVar("H_contra", bound=Hashable, contravariant=True)


class Outbound(Protocol[H_contra]):
    """Hands messages to next hops."""

    def lane(self, hop: H_contra) -> Hashable:
        """What all hops have in common that share connections and limits with this one.

        The hop itself, as long as nobody knows.
        """

    async def find(self, hop: H_contra) -> None:
        """Find out what `lane` is to say, if that can be done."""

    def places(self, lane: Hashable) -> int | None:
        """How many attempts make sense at once in a lane; None for as many as anywhere."""

    async def deliver(self, hop: H_contra, envelope: Envelope, content: Content) -> Outcome:
        """Try to hand `content` on, for all recipients of `envelope`.

        Whatever goes wrong out there is an outcome, not an exception.
        """


class LocalAgent(Protocol):
    """Files for recipients of ours whose first filing was put off."""

    async def deliver(
        self, item: Item, numbers: Sequence[int], content: Content
    ) -> Sequence[Reply]:
        """File durably; one reply for each of `numbers`."""


Announce = Callable[[Item, Content], None]
"""Tells local delivery and the runner of an item that was just committed."""


def answers(outcome: Outcome) -> list[Answer]:
    """The outcome, one answer for each recipient."""
    count = len(outcome.replies)
    hosts = outcome.hosts or (_speaker(outcome),) * count
    dsn = outcome.dsn or (False,) * count
    causes = outcome.causes or (None,) * count
    return [
        Answer(reply, host, knows, outcome.put_off, cause)
        for reply, host, knows, cause in zip(outcome.replies, hosts, dsn, causes, strict=True)
    ]


def _speaker(outcome: Outcome) -> str:
    """Whose words the replies are, as far as the last attempt tells."""
    if not outcome.attempts or outcome.attempts[-1].stage == "connect":
        return ""
    return outcome.attempts[-1].host
