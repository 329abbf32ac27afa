"""Amendments: what operators do to whatever they choose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailhub.mail.address import Path as Address
from mailhub.ports.accounts import AccountId
from mailhub.queue import item as queue
from mailhub.queue.amend import START, At
from mailhub.queue.change import (
    Accept,
    Cancel,
    Flush,
    Hold,
    Release,
    Reroute,
    Respread,
    Select,
    Settle,
)
from mailhub.queue.content import files
from mailhub.queue.item import Held, Local, Pending
from mailhub.queue.rows import State
from mailhub.queue.spool import Spool
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE
from tests.queue.test_spool import large

HERE = Local(AccountId(4))


class TestAmend:
    @pytest.fixture
    def filled(self, spool: Spool) -> Spool:
        spool.apply(
            [
                Accept(make.item(BOB, CAROL, number=1, arrived=2000.0), b"x"),
                Accept(
                    make.item(
                        Address("Bob", "other.example"),
                        DAVE,
                        number=2,
                        arrived=2000.0,
                        sender=Address("zoe", "hub2.example"),
                        places={1: HERE},
                    ),
                    b"x",
                ),
            ]
        )
        return spool

    @pytest.mark.parametrize(
        ("select", "count"),
        [
            (Select(), 3),
            (Select(queue_ids=(make.queue_id(1),)), 2),
            (Select(sender=make.SENDER), 2),
            (Select(sender_domain="hub2.example"), 1),
            (Select(recipient=Address("bob", "other.example")), 1),
            (Select(domain="remote.example"), 2),
            (Select(domain="remote.example", sender_domain="hub2.example"), 0),
        ],
    )
    def test_select(self, filled: Spool, select: Select, count: int) -> None:
        """Selections narrow each other; local parts are compared without regard to case."""
        assert make.amended(filled, Hold(select, "why")) == count
        assert filled.counts().recipients.get("held", 0) == count
        found = filled.find(select, states=(State.HELD,))
        held = [fate for item in found for fate in item.fates if isinstance(fate, Held)]
        assert held == [Held(Pending(2000.0), "why")] * count

    def test_each_as_the_pure_one(self, filled: Spool) -> None:
        """SQL and the pure transitions agree."""
        queue_id = make.queue_id(1)
        item = filled.load(queue_id)
        assert item is not None
        select = Select(queue_ids=(queue_id,))
        make.amended(filled, Flush(select, 1500.0))
        item = queue.flush(item, (0, 1), 1500.0)
        assert filled.load(queue_id) == item
        make.amended(filled, Hold(Select(recipient=CAROL), "why"))
        item = queue.hold(item, (1,), "why")
        assert filled.load(queue_id) == item
        make.amended(filled, Release(select, 1600.0))
        item = queue.release(item, (0, 1), 1600.0)
        assert filled.load(queue_id) == item
        make.amended(filled, Cancel(Select(recipient=CAROL), 1700.0))
        item = queue.cancel(item, (1,), 1700.0)
        assert filled.load(queue_id) == item

    def test_in_steps(self, filled: Spool) -> None:
        """A change to many is made in pieces, until nothing is left to change."""
        steps = []
        at: At | None = START
        while at is not None:
            count, at = filled.amend(Flush(Select(), 1500.0), at, 2)
            steps.append(count)
        assert steps == [2, 1]
        assert make.amended(filled, Flush(Select(), 1400.0), 1) == 3
        assert make.amended(filled, Hold(Select(domain="remote.example"), "x"), 1) == 2
        assert make.amended(filled, Cancel(Select(), 1400.0), 1) == 3

    def test_cancel_ends_items(self, filled: Spool) -> None:
        """An item whose last recipient is cancelled leaves; one being filed is not cancelled."""
        large(filled, make.item(number=3))
        assert make.amended(filled, Cancel(Select(), 1.0)) == 4
        [left] = filled.find(Select())
        assert left.local == (1,)
        assert list(files(filled.directory)) == []

    def test_find_pages(self, filled: Spool) -> None:
        """Listings go on after the last id they gave."""
        [first] = filled.find(Select(), limit=1)
        [second] = filled.find(Select(), first.queue_id, 5)
        assert first.queue_id < second.queue_id
        assert filled.find(Select(), second.queue_id) == []

    def test_reroute(self, filled: Spool) -> None:
        """Another way is kept with the recipient, who is due at once; it does not last longer."""
        select = Select(domain="remote.example")
        assert make.amended(filled, Reroute(select, "direct", 1500.0)) == 2
        assert [(due.route, due.due) for due in make.due(filled, 1500.0)] == [
            ("direct", 1500.0)
        ] * 2
        assert make.amended(filled, Reroute(select, "direct", 1400.0)) == 0
        assert make.amended(filled, Reroute(select, "", 1500.0)) == 2
        assert {due.route for due in make.due(filled, 1500.0)} == {""}

    def test_moments_of_another_time(self, filled: Spool) -> None:
        """Moments beyond any schedule are brought back, before the first attempt as behind it."""
        item = filled.load(make.queue_id(1))
        assert item is not None
        far = replace(item, fates=(Pending(9e9, 1), Pending(9e9)))
        filled.apply([Settle(item, far)])
        assert make.amended(filled, Respread(Select(), 2000.0, 3000.0)) == 2
        now = filled.load(make.queue_id(1))
        assert now is not None
        assert all(isinstance(it, Pending) and 2000.0 <= it.due <= 3000.0 for it in now.fates)

    def test_late_on_purpose(self, spool: Spool) -> None:
        """What its sender wants to be released later waits for that, however the clock is set."""
        spool.apply([Accept(make.item(BOB, arrived=2000.0, hold_until=9e6), b"x")])
        assert make.amended(spool, Respread(Select(), 1000.0, 2000.0)) == 0
        assert make.due(spool, 9e6 - 1) == []

    def test_counts(self, filled: Spool) -> None:
        """How much there is, by state."""
        counts = filled.counts()
        assert (counts.items, counts.oldest) == (2, 2000.0)
        assert counts.recipients == {"pending": 3, "local": 1}
