"""Looking into the spool: what is due is found, and a part of what is large."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailhub.mail.address import NULL
from mailhub.mail.address import Path as Address
from mailhub.ports.accounts import AccountId
from mailhub.queue.change import (
    Accept,
    Due,
    Hold,
    Select,
    Settle,
    Stale,
    Told,
)
from mailhub.queue.flow import COMMON, Flow
from mailhub.queue.item import Item, Local, Pending, Relayed
from mailhub.queue.spool import Spool
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, LATER, NO, OK
from tests.queue.test_spool import answer

HERE = Local(AccountId(4))


class TestDue:
    def fill(self, spool: Spool, count: int = 6) -> list[Item]:
        found = []
        for n in range(count):
            path = Address("x", f"d{n % 2}.example")
            item = make.item(path, BOB, number=n, arrived=1000.0 + n // 2)
            spool.apply([Accept(item, b"x")])
            found.append(item)
        return found

    def test_by_strands(self, spool: Spool) -> None:
        """What is due is told by flow and domain, each with its first moment, in order."""
        self.fill(spool)
        assert make.strands(spool, 999.0) == []
        whole = make.strands(spool, 1001.0)
        assert [(it.domain, it.due) for it in whole] == [
            ("d0.example", 1000.0),
            ("d1.example", 1000.0),
            ("remote.example", 1000.0),
        ]
        after = (1000.0, "d0.example")
        assert spool.strands(COMMON, 1001.0, after, 1) == [whole[1]]

    def test_of_a_strand(self, spool: Spool) -> None:
        """Its recipients come in order of moments, with all that finding their hop needs."""
        items = self.fill(spool)
        found = spool.due(COMMON, "d1.example", 1001.0, 9)
        assert [due.queue_id for due in found] == [items[1].queue_id, items[3].queue_id]
        assert found[0] == Due(
            1000.0, items[1].queue_id, 0, Address("x", "d1.example"), make.SENDER, local=False
        )
        assert spool.due(COMMON, "d1.example", 1001.0, 1) == found[:1]

    def test_flows_are_told_apart(self, spool: Spool) -> None:
        """Two senders' mail to one domain is two strands."""
        bulk = Flow("alice@hub.example", "bulk", -3)
        spool.apply(
            [Accept(make.item(number=1), b"x"), Accept(make.item(number=2, flow=bulk), b"x")]
        )
        assert spool.awaited() == [(COMMON, 1000.0), (bulk, 1000.0)]
        [due] = spool.due(bulk, "remote.example", 1000.0, 9)
        assert (due.queue_id, due.flow) == (make.queue_id(2), bulk)
        loaded = spool.load(make.queue_id(2))
        assert loaded is not None
        assert loaded.flow == bulk

    def test_next(self, spool: Spool) -> None:
        """The next moment, or none; held and fresh local recipients have none."""
        assert spool.next_due(COMMON, 0.0) is None
        assert spool.latest() is None
        self.fill(spool)
        assert spool.next_due(COMMON, 0.0) == 1000.0
        assert spool.next_due(COMMON, 1000.0) is None, "each strand has its first moment only"
        assert spool.next_in(COMMON, "remote.example", 1000.0) == 1001.0
        assert spool.next_in(COMMON, "remote.example", 1002.0) is None
        local = make.item(DAVE, places={0: HERE}, number=50, arrived=5000.0)
        spool.apply([Accept(local, b"x")])
        assert spool.latest() == 1000.0
        assert spool.next_due(COMMON, 1002.0) is None

    def test_a_strand_has_the_moment_of_its_first(self, spool: Spool) -> None:
        """As recipients come, are put off and leave, and when the last has left there is none."""
        first, second = make.item(number=1), make.item(number=2, arrived=1500.0)
        spool.apply([Accept(second, b"x")])
        assert spool.next_due(COMMON, 0.0) == 1500.0
        spool.apply([Accept(first, b"x")])
        assert spool.next_due(COMMON, 0.0) == 1000.0
        put_off = answer(first, LATER)
        spool.apply([put_off])
        assert spool.next_due(COMMON, 0.0) == put_off.after.fates[0].due  # type: ignore[union-attr]
        make.amended(spool, Hold(Select(queue_ids=(first.queue_id,)), "x"))
        assert spool.next_due(COMMON, 0.0) == 1500.0
        spool.apply([answer(second, OK)])
        assert spool.awaited() == []

    def test_to_be_released(self, spool: Spool) -> None:
        """What its sender wants sent later is pending until then, a local recipient too."""
        item = make.item(BOB, DAVE, places={1: HERE}, hold_for=500)
        spool.apply([Accept(item, b"x")])
        assert spool.unfiled() == []
        assert make.due(spool, 1499.0) == []
        assert [due.local for due in make.due(spool, 1500.0)] == [True, False]
        loaded = spool.load(item.queue_id)
        assert loaded is not None
        assert (loaded.release, loaded.fates) == (1500.0, item.fates)


class TestParts:
    """Messages with more recipients than anybody wants to load at once."""

    def test_some_recipients(self, spool: Spool) -> None:
        """A part knows its recipients' numbers; what is done to it is done to them."""
        item = make.item(BOB, CAROL, DAVE)
        spool.apply([Accept(item, b"x")])
        part = spool.load(item.queue_id, (1, 2))
        assert part is not None
        assert (part.numbers, part.total, part.whole) == ((1, 2), 3, False)
        assert [it.path for it in part.envelope.recipients] == [CAROL, DAVE]
        spool.apply([answer(part, OK, LATER)])
        now = spool.load(item.queue_id)
        assert now is not None
        assert isinstance(now.fates[1], Relayed)
        assert isinstance(now.fates[0], Pending)
        assert now.fates[2].attempts == 1  # type: ignore[union-attr]

    def test_the_last_part_takes_the_item_along(self, spool: Spool) -> None:
        """However it is taken apart, an item leaves when its last recipient is settled."""
        item = make.item(BOB, CAROL, DAVE)
        spool.apply([Accept(item, b"x")])
        for numbers in ((1,), (0, 2)):
            assert spool.load(item.queue_id) is not None
            part = spool.load(item.queue_id, numbers)
            assert part is not None
            spool.apply([answer(part, *[OK] * len(numbers))])
        assert spool.load(item.queue_id) is None


class TestOwed:
    def owing(self, spool: Spool) -> tuple[Item, Settle]:
        item = make.item(BOB, CAROL, DAVE)
        spool.apply([Accept(item, b"x")])
        settle = replace(answer(item, NO, OK, NO), owed=(0,), owed_at=1060.0)
        spool.apply([settle])
        return item, settle

    def test_an_item_stays_until_all_is_told(self, spool: Spool) -> None:
        """Settled as it may be: its sender is to hear of it, and when is kept with it."""
        item, settle = self.owing(spool)
        assert spool.owing(9) == [(1060.0, item.queue_id)]
        part = spool.owed(item.queue_id)
        assert part is not None
        assert (part.numbers, part.fates) == ((0,), settle.after.fates[:1])
        notice = make.item(number=2, sender=NULL)
        spool.apply([Told(part), Accept(notice, b"notice")])
        assert spool.load(item.queue_id) is None
        assert spool.owing(9) == []

    def test_told_once(self, spool: Spool) -> None:
        """Whoever tells it a second time is stale, and his notice is not written."""
        item, _ = self.owing(spool)
        part = spool.owed(item.queue_id)
        assert part is not None
        spool.apply([Told(part)])
        with pytest.raises(Stale):
            spool.apply([Told(part), Accept(make.item(number=2), b"notice")])
        assert spool.load(make.queue_id(2)) is None
        assert spool.owed(item.queue_id) is None
