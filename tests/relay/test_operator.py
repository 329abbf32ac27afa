"""Notes to the postmaster."""

from __future__ import annotations

import email
from collections.abc import Sequence
from email import policy
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Recipient
from mailhub.mail.reply import Refusal
from mailhub.net.journal import Journal
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import QueueId
from mailhub.queue.item import Item, Local
from mailhub.relay.operator import Operator, note
from tests.rig import run

HERE = Local(AccountId(7))
ME = Path("postmaster", "hub.example")
ID = QueueId("Q1")


class FakeJournal:
    def __init__(self) -> None:
        self.accepted: list[tuple[Item, bytes]] = []
        self.error: OSError | None = None

    async def accept(self, item: Item, content: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.accepted.append((item, content))


class World:
    def __init__(self) -> None:
        self.journal = FakeJournal()
        self.announced: list[Item] = []
        self.nobody = False
        self.operator = Operator(
            cast(Journal, self.journal),
            "hub.example",
            lambda: ID,
            lambda: 1_700_000_000.0,
            self.expand,
            lambda item, _: self.announced.append(item),
            ME,
        )

    async def expand(self, recipient: Recipient) -> Sequence[tuple[Recipient, Local | None]]:
        if self.nobody:
            raise Refusal(550, "1.1", "No such user")
        return [(recipient, HERE)]


@pytest.fixture
def world() -> World:
    return World()


def test_note(world: World) -> None:
    """A note is mail from nobody to the postmaster, durable before it is announced."""
    world.operator.tell("google blocks us", "google blocks us\n\nLook.")
    [(item, content)] = world.journal.accepted
    assert item.envelope.reverse_path == NULL
    assert item.envelope.recipients == (Recipient(ME),)
    assert item.places == (HERE,)
    assert item.size == len(content)
    assert world.announced == [item]


def test_nobody(world: World) -> None:
    """Without a postmaster, or where that mailbox cannot be had, nothing is sent."""
    world.nobody = True
    world.operator.tell("x", "y")
    world.nobody = False
    world.operator.postmaster = None
    world.operator.tell("x", "y")
    assert world.journal.accepted == []


def test_elsewhere(world: World) -> None:
    """What is sent elsewhere, a report on TLS, arrives whatever is wrong with the TLS."""
    there = Path("tls", "far.example")
    run(world.operator.post(there, b"Subject: Report\r\n\r\n"))
    [(item, _)] = world.journal.accepted
    assert item.envelope.recipients == (Recipient(there),)
    assert item.envelope.tls_optional
    assert world.announced == [item]


def test_bad_disk(world: World) -> None:
    """A disk that refuses is told to the log, and nothing is announced."""
    world.journal.error = OSError(28, "No space left on device")
    world.operator.tell("x", "y")
    assert world.announced == []


@given(st.text(), st.text())
def test_message(subject: str, text: str) -> None:
    """Whatever another host said, it is one header and one text."""
    octets = note("hub.example", ID, 1_700_000_000.0, ME, subject, text)
    message: Any = email.message_from_bytes(octets, policy=policy.default)
    assert message["To"] == str(ME)
    assert message["Auto-Submitted"] == "auto-generated"
    assert len(message.keys()) == 9
    assert b"\n" not in octets.replace(b"\r\n", b"")
