"""What was sent with a return path of ours is known until it has outlived that."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path as Address
from mailhub.mail.envelope import Notify, Recipient
from mailhub.policy.retry import Schedule
from mailhub.policy.returnpath import Ticket
from mailhub.queue.change import Accept, Outlived, Returned, Sent, Settle, Stale
from mailhub.queue.item import Answer, attempted
from mailhub.queue.sent import TOGETHER
from mailhub.queue.spool import Spool
from tests.queue import given as make

BOB = Recipient(Address("b ob", "far.example"), Notify.FAILURE, "rfc822;bob@far.example")


def sent(day: int = 100, number: int = 0) -> Sent:
    return Sent(Ticket(day, make.queue_id(1), number), make.SENDER, BOB, "envelope+2B1")


def test_found(spool: Spool) -> None:
    """It is found by what its return path names, with all that a notice of it needs."""
    spool.apply([sent()])
    assert spool.sent(sent().ticket) == sent()
    assert spool.sent(sent(number=1).ticket) is None
    assert spool.sent(sent(day=101).ticket) is None


def test_sent_twice(spool: Spool) -> None:
    """What was in doubt, and sent again, is one."""
    spool.apply([sent()])
    spool.apply([sent()])
    assert spool.sent(sent().ticket) == sent()


def test_comes_back_once(spool: Spool) -> None:
    """Whoever tells of a second return is told that it was told; nothing else is written."""
    spool.apply([sent()])
    spool.apply([Returned(sent().ticket)])
    item = make.item(number=7)
    with pytest.raises(Stale):
        spool.apply([Accept(item, b"x"), Returned(sent().ticket)])
    assert spool.load(item.queue_id) is None
    with pytest.raises(Stale):
        spool.apply([Returned(sent(number=1).ticket)])


def test_written_with_the_fate(spool: Spool) -> None:
    """A fate that is not written leaves nothing behind."""
    before = make.item()
    spool.apply([Accept(before, b"x")])
    after = attempted(before, {0: Answer(make.OK, "mx")}, 2000.0, Schedule())
    spool.apply([Settle(before, after), sent()])
    assert spool.sent(sent().ticket) is not None
    with pytest.raises(Stale):
        spool.apply([Settle(before, after), sent(number=1)])
    assert spool.sent(sent(number=1).ticket) is None


def test_outlived(spool: Spool) -> None:
    """Old rows go bit by bit, day by day; the others stay."""
    spool.apply([sent(99, number) for number in range(TOGETHER + 1)])
    spool.apply([sent(100)])
    assert spool.outlived(100)
    spool.apply([Outlived(100)])
    assert spool.outlived(100)
    spool.apply([Outlived(100)])
    assert not spool.outlived(100)
    assert spool.sent(sent(100).ticket) is not None
