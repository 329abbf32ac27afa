"""Whom the runner has its attempts made by, and what it makes of what they say."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Protocol, TypeVar

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.returnpath import Ticket
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Outcome
from mailhub.queue.change import Change, Due
from mailhub.queue.flow import Flow
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

    async def deliver(self, item: Item, places: Sequence[int], content: Content) -> Sequence[Reply]:
        """File durably, for the recipients at these places; one reply for each."""

    def unwritten(self) -> None:
        """The disk refuses to write what came of it, for now."""

    def let_go(self, item: Item, places: Sequence[int]) -> None:
        """What came of it is written, or will not be."""


class Guard(Protocol):
    """Keeps mail back that is not to be sent, and says under which return path the rest goes."""

    def concerns(self, flow: Flow, reverse_path: Path) -> bool:
        """Whether there is anything to ask about such mail; else nothing more is asked."""

    def alone(self, due: Due) -> bool:
        """Whether a recipient is to have an attempt of its own."""

    def refused(self, item: Item, places: Sequence[int]) -> Mapping[int, Answer]:
        """Answers for recipients who are not to be attempted, by their places."""

    async def sent_as(
        self, hop: Hashable, item: Item, places: Sequence[int], envelope: Envelope
    ) -> tuple[Envelope, Ticket | None]:
        """The envelope to hand over, and what its return path names if that is ours."""

    def known(self, item: Item, answers: Mapping[int, Answer]) -> Sequence[Change]:
        """What is to be written together with the fates that follow from answers."""

    def settled(self, item: Item, answers: Mapping[int, Answer]) -> None:
        """They are written."""


class Unguarded:
    """A `Guard` that lets all mail go as it is."""

    def concerns(self, flow: Flow, reverse_path: Path) -> bool:  # noqa: ARG002  # here and below
        """There is nothing to ask."""
        return False

    def alone(self, due: Due) -> bool:  # noqa: ARG002
        """Recipients go together."""
        return False

    def refused(self, item: Item, places: Sequence[int]) -> Mapping[int, Answer]:  # noqa: ARG002
        """Nobody is."""
        return {}

    async def sent_as(
        self,
        hop: Hashable,  # noqa: ARG002
        item: Item,  # noqa: ARG002
        places: Sequence[int],  # noqa: ARG002
        envelope: Envelope,
    ) -> tuple[Envelope, Ticket | None]:
        """As it is."""
        return envelope, None

    def known(self, item: Item, answers: Mapping[int, Answer]) -> Sequence[Change]:  # noqa: ARG002
        """Nothing."""
        return ()

    def settled(self, item: Item, answers: Mapping[int, Answer]) -> None:
        """Nothing follows."""


Announce = Callable[[Item, Content], None]
"""Tells local delivery and the runner of an item that was just committed."""


def answers(outcome: Outcome, ticket: Ticket | None = None) -> list[Answer]:
    """The outcome, one answer for each recipient; `ticket` is of the return path that was used."""
    count = len(outcome.replies)
    hosts = outcome.hosts or (_speaker(outcome),) * count
    dsn = outcome.dsn or (False,) * count
    causes = outcome.causes or (None,) * count
    return [
        # Whoever was answered by the far side was attempted, whatever became of the others.
        Answer(
            reply,
            host,
            knows,
            outcome.put_off if cause is Cause.LOCAL else None,
            cause,
            ticket=ticket,
        )
        for reply, host, knows, cause in zip(outcome.replies, hosts, dsn, causes, strict=True)
    ]


def _speaker(outcome: Outcome) -> str:
    """Whose words the replies are, as far as the last attempt tells."""
    if not outcome.attempts or outcome.attempts[-1].stage == "connect":
        return ""
    return outcome.attempts[-1].host
