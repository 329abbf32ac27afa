"""Flows and strands: their numbers, and the moments of their firsts."""

from __future__ import annotations

import pytest

from mailhub.queue import strands
from mailhub.queue.change import Accept
from mailhub.queue.flow import COMMON, Flow
from mailhub.queue.spool import Spool
from tests.queue import given as make

BULK = Flow("alice@hub.example", "bulk", -3)


def test_a_flow_has_one_number(spool: Spool) -> None:
    """Whichever connection asks, and however often."""
    spool.apply([Accept(make.item(flow=BULK), b"x")])
    other = spool.another()
    number = spool._strands.number(BULK)
    assert other._strands.number(BULK) == number
    assert other._strands.flow(number) == BULK
    assert other._strands.every() == [(number, BULK)]
    other.close()


def test_a_flow_that_was_rolled_back(spool: Spool) -> None:
    """A number that never became durable is not used."""
    item = make.item(flow=BULK)
    with pytest.raises(AttributeError):
        spool.apply([Accept(item, b"x"), Accept(None, b"")])  # type: ignore[arg-type]
    assert spool._strands.every() == []
    spool.apply([Accept(item, b"x")])
    assert [flow for _, flow in spool._strands.every()] == [BULK]
    assert spool.load(item.queue_id) == item


def test_flows_without_mail_are_forgotten(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a start, if there are many; those with mail stay."""
    spool.apply([Accept(make.item(flow=BULK), b"x")])
    with spool._database.transaction(patient=True):
        for number in range(3):
            spool._strands.number(Flow(f"gone{number}"))
    spool._database.commit()
    spool.recover("boot")
    assert len(spool._strands.every()) == 4
    monkeypatch.setattr(strands, "FLOWS_KEPT", 2)
    spool.recover("boot")
    assert [flow for _, flow in spool._strands.every()] == [BULK]


def test_only_what_is_pending_makes_a_strand(spool: Spool) -> None:
    """A strand without a pending recipient has no row."""
    spool.apply([Accept(make.item(flow=COMMON), b"x")])
    strand = spool._strands
    strand.touch(strand.number(COMMON), "nobody.example")
    strand.refresh()
    assert [it.domain for it in make.strands(spool, 1e10)] == ["remote.example"]
