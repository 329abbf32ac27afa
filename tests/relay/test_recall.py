"""Journeys that a crash cost their beginning."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mailhub.queue.change import Accept
from mailhub.queue.event import Accepted, Dismissed
from mailhub.queue.ids import number_at, to_queue_id
from mailhub.queue.journeys import Journeys
from mailhub.queue.spool import Spool
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
        (first, event), (second, other) = forgotten(journeys, spool)
    assert (first, second) == (lost, large)
    assert isinstance(event, Accepted)
    assert (event.at, event.sender) == (NOW, "alice@hub.example")
    assert (event.subject, event.message_id) == ("Hi", "<1@x>")
    assert other.subject == ""


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
