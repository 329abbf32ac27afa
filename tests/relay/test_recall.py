"""Journeys that a crash cost their beginning."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mailhub.policy.cause import Cause
from mailhub.ports.accounts import AccountId
from mailhub.queue.change import Accept, Settle
from mailhub.queue.event import Accepted, Dismissed, Fated, State, tried
from mailhub.queue.ids import number_at, to_queue_id
from mailhub.queue.item import Local, Pending
from mailhub.queue.journey import Attempted
from mailhub.queue.journeys import Journeys
from mailhub.queue.spool import Spool
from mailhub.queue.standing import standing
from mailhub.relay import chronicle
from mailhub.relay.recall import MARGIN, forgotten
from tests.queue import given as make

NOW = 1_800_000_000.0


def test_what_is_in_the_spool_alone(tmp_path: Path) -> None:
    """Of spooled mail without a journey the beginning is made of what the spool knows."""
    known, lost, large = (to_queue_id(number_at(NOW) + n) for n in range(3))
    with (
        closing(Spool(str(tmp_path))) as spool,
        closing(Journeys(str(tmp_path), now=NOW)) as journeys,
    ):
        for queue_id in (known, lost):
            item = replace(make.item(), queue_id=queue_id, arrived=NOW)
            spool.apply([Accept(item, b"Subject: Hi\r\nMessage-ID: <1@x>\r\n\r\n")])
        spool.apply([Accept(replace(make.item(), queue_id=large), None)])
        journeys.write({known: [Dismissed(NOW, "")]})
        (first, [event]), (second, [other]) = forgotten(journeys, spool)
    assert (first, second) == (lost, large)
    assert isinstance(event, Accepted)
    assert isinstance(other, Accepted)
    assert (event.at, event.sender) == (NOW, "alice@hub.example")
    assert (event.subject, event.message_id) == ("Hi", "<1@x>")
    assert other.subject == ""


def test_attempts(tmp_path: Path) -> None:
    """What was attempted in the last moments is told as the spool has it, once."""
    before = make.item(
        make.BOB, make.CAROL, make.DAVE, places={2: Local(AccountId(1))}, arrived=NOW
    )
    reply, host = make.LATER, "mx.remote.example"
    late = Pending(NOW + 300, 1, reply, host, cause=Cause.GREYLISTED)
    after = replace(before, fates=(late, before.fates[1], late))
    attempt = Attempted((0, 2), make.attempt(started=NOW + 1))
    with (
        closing(Spool(str(tmp_path))) as spool,
        closing(Journeys(str(tmp_path), now=NOW)) as journeys,
    ):
        spool.apply([Accept(before, b"x")])
        spool.apply([Settle(before, after, (attempt,))])
        accepted = chronicle.accepted(before, NOW)
        journeys.write({before.queue_id: [accepted]})
        [(queue_id, lost)] = forgotten(journeys, spool)
        journeys.write({queue_id: lost})
        assert forgotten(journeys, spool) == []
    assert queue_id == before.queue_id
    assert lost == [
        tried((0, 2), attempt.attempt),
        Fated(NOW + 2, (0, 2), State.DEFERRED, reply.text, host, NOW + 300),
    ]
    assert standing([accepted, *lost]).word == "Delayed"


def test_what_is_old_is_let_be(tmp_path: Path) -> None:
    """What came long before the last journey had one: that it is gone is no crash's doing."""
    old, new = to_queue_id(number_at(NOW)), to_queue_id(number_at(NOW + MARGIN + 1))
    with (
        closing(Spool(str(tmp_path))) as spool,
        closing(Journeys(str(tmp_path), now=NOW)) as journeys,
    ):
        spool.apply([Accept(replace(make.item(), queue_id=old), b"x")])
        journeys.write({new: [Dismissed(NOW, "")]})
        assert forgotten(journeys, spool) == []


def test_a_hub_without_mail(tmp_path: Path) -> None:
    """There is nothing to remember where nothing was."""
    with (
        closing(Spool(str(tmp_path))) as spool,
        closing(Journeys(str(tmp_path), now=NOW)) as journeys,
    ):
        assert forgotten(journeys, spool) == []
