"""The log of messages: one line for each thing that happens, found by the queue id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from mailhub.mail.address import NULL, parse_address
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.ports.conversation import Client
from mailhub.ports.outgoing import QueueId
from mailhub.queue.item import (
    Cancelled,
    Delivered,
    Expanded,
    Failed,
    Fate,
    Held,
    Item,
    Origin,
    Pending,
    Relayed,
    new_item,
)
from mailhub.relay import maillog

ANN, BOB = parse_address("ann@example.com"), parse_address("bob@far.example")
ORIGIN = Origin("192.0.2.1", "client.example", "ESMTPSA", "ann@example.com")


@pytest.fixture
def lines() -> Iterator[list[str]]:
    found: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        found.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def item(*names: str, origin: Origin = ORIGIN) -> Item:
    paths = [parse_address(name) for name in names or ("bob@far.example",)]
    envelope = Envelope(ANN if origin.address else NULL, tuple(map(Recipient, paths)))
    places = [None] * len(paths)
    return new_item(QueueId("d21jbdp5awxv"), 1_800_000_000.0, envelope, places, 4096, origin)


def test_accepted(lines: list[str]) -> None:
    """Who brought it, as whom, for whom."""
    maillog.accepted(item())
    [line] = lines
    assert line.startswith("d21jbdp5awxv: accepted from <ann@example.com> for <bob@far.example>, ")
    assert line.endswith("by client.example [192.0.2.1] with ESMTPSA as ann@example.com")


def test_notice(lines: list[str]) -> None:
    """Nobody brings our own notices."""
    maillog.accepted(item(origin=Origin()))
    assert lines[0].endswith("from <> for <bob@far.example>, 4096 octets, a notice of our own")


def test_many(lines: list[str]) -> None:
    """A list's line does not name a thousand people."""
    maillog.accepted(item(*(f"u{number}@far.example" for number in range(1000))))
    assert "<u4@far.example> and 995 more, " in lines[0]
    assert "u5@" not in lines[0]


def test_filed(lines: list[str]) -> None:
    """Only those in whose mailboxes it is are named."""
    maillog.filed(item("a@hub.example", "b@hub.example"), [1])
    assert lines == ["d21jbdp5awxv: filed for <b@hub.example>"]


NO = Reply(550, "1.1", ("Nobody",))
LATER = Reply(451, "7.1", ("Come back",))


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        (Delivered(NO, 1.0), "delivered"),
        (Relayed(Reply(250, "0.0", ("Ok",)), 1.0, "mx.far"), "relayed to mx.far: 250 2.0.0 Ok"),
        (Failed(NO, 1.0, "mx.far"), "failed at mx.far: 550 5.1.1 Nobody"),
        (Failed(NO, 1.0), "failed: 550 5.1.1 Nobody"),
        (Failed(LATER, 1.0, expired=True), "expired: 451 4.7.1 Come back"),
        (Expanded(NO, 1.0), "replaced by an alias's addresses"),
        (Cancelled(1.0), "dropped"),
        (Held(Pending(1.0), "by the operator"), "held: by the operator"),
        (Pending(0.0), "deferred until Thu, 1 Jan 1970 00:00:00 +0000"),
        (
            Pending(60.0, 1, LATER, "mx.far"),
            "deferred until Thu, 1 Jan 1970 00:01:00 +0000 at mx.far: 451 4.7.1 Come back",
        ),
    ],
)
def test_fates(lines: list[str], fate: Fate, words: str) -> None:
    """Each way that an attempt can end, with the other side's words."""
    before = item()
    maillog.attempted(before, replace(before, fates=(fate,)))
    assert lines == [f"d21jbdp5awxv: <bob@far.example> {words}"]


def test_unchanged(lines: list[str]) -> None:
    """What has not changed is not told again."""
    before = item("a@far.example", "b@far.example")
    after = replace(before, fates=(Delivered(NO, 1.0), before.fates[1]))
    maillog.attempted(before, after)
    assert lines == ["d21jbdp5awxv: <a@far.example> delivered"]


def test_refused(lines: list[str]) -> None:
    """A refusal is told: of a recipient, of a message, of whatever it was."""
    client = Client("192.0.2.1", 25, helo="client.example")
    refusal = Refusal(550, "1.1", "Nobody")
    maillog.refused(client, refusal, Envelope(ANN), BOB)
    maillog.refused(client, refusal, Envelope(ANN))
    maillog.refused(client, refusal, None)
    by = "by client.example [192.0.2.1]: 550 5.1.1 Nobody"
    assert lines == [
        f"refused <bob@far.example> from <ann@example.com> {by}",
        f"refused mail from <ann@example.com> {by}",
        f"refused mail {by}",
    ]


def test_left_out(lines: list[str]) -> None:
    """The operator hears of an alias that stands for somebody who gets nothing."""
    maillog.left_out(ANN, BOB, Refusal(550, "2.1", "Mailbox disabled"))
    assert lines == [
        "refused <bob@far.example>, whom <ann@example.com> stands for: 550 5.2.1 Mailbox disabled"
    ]
