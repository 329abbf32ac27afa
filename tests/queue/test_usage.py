"""What was sent is counted with the mail."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path as Address
from mailhub.policy.allowance import SLOTS, Used
from mailhub.queue.change import Accept, Count
from mailhub.queue.spool import Spool
from mailhub.queue.usage import REMEMBERED, number_of
from tests.queue import given as make


def test_counted_by_the_slot(spool: Spool) -> None:
    """Messages, recipients, and those of them that are new; subjects are told apart."""
    spool.apply([Count("ann", 100, (1, 2)), Count("ann", 100, (2, 3)), Count("bob", 100, (1,))])
    spool.apply([Count("ann", 101, (1, 9))])
    assert sorted(spool.used("ann", 101), key=lambda it: it.slot) == [
        Used(100, 2, 4, 3),
        Used(101, 1, 2, 1),
    ]
    assert spool.strangers("ann", (1, 2, 50, 50)) == 1


def test_not_accepted_not_counted(spool: Spool) -> None:
    """A message that could not be written leaves no trace."""
    item = make.item()
    spool.apply([Accept(item, b"x")])
    with pytest.raises(Exception, match="UNIQUE"):
        spool.apply([Count("ann", 100, (1,)), Accept(item, b"x")])
    assert spool.used("ann", 100) == []


def test_what_is_old_is_forgotten(spool: Spool) -> None:
    """Slots after a day, acquaintances after half a year."""
    spool.apply([Count("ann", 100, (1,))])
    later = 101 + REMEMBERED
    spool.apply([Count("ann", later, (2,))])
    assert spool.used("ann", later) == [Used(later, 1, 1, 1)]
    assert spool.strangers("ann", (1, 2)) == 1


def test_looked_at_once_a_day(spool: Spool) -> None:
    """Slots go one by one; acquaintances, of which there may be a million, once in a day."""
    looks: list[str] = []
    spool._database._connection.set_trace_callback(
        lambda sql: looks.append(sql) if sql.startswith("DELETE FROM acquaintance") else None
    )
    day = SLOTS["day"]
    spool.apply([Count("ann", 10 * day + slot, (slot,)) for slot in range(3 * day)])
    assert len(looks) == 3
    assert len(spool.used("ann", 13 * day - 1)) == day + 1


def test_recipients_are_numbers() -> None:
    """The same for every spelling of one address, and it fits into a database."""
    assert number_of(Address("Bob", "x.example")) == number_of(Address("bob", "x.example"))
    assert number_of(Address("bob", "x.example")) != number_of(Address("bob", "y.example"))
    assert -(1 << 63) <= number_of(Address("ł", "x.example")) < 1 << 63
