"""Recipients corrected and added."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path as Address
from mailhub.ports.accounts import AccountId
from mailhub.queue.change import (
    Accept,
    Edit,
    Stale,
)
from mailhub.queue.item import Local, Pending
from mailhub.queue.spool import Spool
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, LATER, OK
from tests.queue.test_spool import answer

HERE = Local(AccountId(4))


class TestEdit:
    def test_correct(self, spool: Spool) -> None:
        """Another address begins anew; an attempt at the old one that ends now is stale."""
        item = make.item(BOB, CAROL)
        spool.apply([Accept(item, b"x"), answer(item, LATER)])
        before = spool.load(item.queue_id)
        assert before is not None
        eve = Address("eve", "other.example")
        assert spool.edit(Edit(item.queue_id, 0, eve, None, 1002.0))
        now = spool.load(item.queue_id)
        assert now is not None
        assert now.envelope.recipients[0].path == eve
        assert now.fates[0] == Pending(1002.0)
        assert [strand.domain for strand in make.strands(spool, 1002.0)] == [
            "remote.example",
            "other.example",
        ]
        with pytest.raises(Stale):
            spool.apply([answer(before, OK)])

    def test_add(self, spool: Spool) -> None:
        """One more recipient, perhaps one of ours: the item waits for it too."""
        item = make.item(BOB)
        spool.apply([Accept(item, b"x")])
        assert spool.edit(Edit(item.queue_id, None, DAVE, AccountId(4), 1002.0))
        spool.apply([answer(item, OK)])
        now = spool.load(item.queue_id)
        assert now is not None
        assert now.places == (None, HERE)
        assert [(due.number, due.local) for due in make.due(spool, 1002.0)] == [(1, True)]
        spool.apply([answer(now, None, OK)])
        assert spool.load(item.queue_id) is None

    def test_what_is_settled_stays(self, spool: Spool) -> None:
        """A recipient that is settled is not corrected, nor one that there is not."""
        item = make.item(BOB, CAROL)
        spool.apply([Accept(item, b"x"), answer(item, OK)])
        for number in (0, 7):
            assert not spool.edit(Edit(item.queue_id, number, DAVE, None, 1002.0))
        assert not spool.edit(Edit(make.queue_id(9), None, DAVE, None, 1002.0))
