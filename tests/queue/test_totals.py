"""How much waits for each domain."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.mail.address import parse_address
from mailhub.mail.reply import Reply
from mailhub.policy.retry import Schedule
from mailhub.ports.accounts import AccountId
from mailhub.queue import totals as module
from mailhub.queue.change import Accept, Hold, Select, Settle
from mailhub.queue.ids import moment_of, number_at, to_queue_id
from mailhub.queue.item import Answer, Local, attempted
from mailhub.queue.journey import Attempted
from mailhub.queue.spool import Spool
from mailhub.queue.totals import totals
from tests.queue import given as make

LATER = Reply(450, "2.0", ("Later",))
path = parse_address


def test_totals(tmp_path: Path) -> None:
    """Waiting, due, held; the oldest, and what the last attempt there ended with."""
    with closing(Spool(str(tmp_path))) as spool:
        one = make.item(*(path(f"{n}@far.example") for n in range(3)), number=1)
        two = make.item(path("x@near.example"), path("y@far.example"), number=2)
        spool.apply([Accept(one, b"x"), Accept(two, b"x")])
        now = one.arrived + 10
        near, far = make.attempt("mx.near", LATER), make.attempt("mx.far", LATER)
        after = attempted(two, {0: Answer(LATER, "mx.near"), 1: Answer(LATER)}, now, Schedule())
        tried = (Attempted((0,), near), Attempted((1,), replace(far, ended=77.0)))
        spool.apply([Settle(two, after, tried)])
        spool.amend(Hold(Select(recipient=path("1@far.example")), "why"))
    far_total, near_total = totals(str(tmp_path), now)
    assert (far_total.domain, far_total.waiting, far_total.due, far_total.held) == (
        *("far.example", 3, 2, 1),
    )
    assert far_total.oldest == one.queue_id
    assert (far_total.host, far_total.reply, far_total.ended) == ("mx.far", "450 4.2.0 Later", 77.0)
    assert (near_total.domain, near_total.host, near_total.due) == ("near.example", "mx.near", 0)
    assert far_total.first is not None
    assert far_total.last is not None
    assert far_total.first < now < far_total.last


def test_ours(tmp_path: Path) -> None:
    """What could not be filed is told apart; what is about to be filed does not wait."""
    with closing(Spool(str(tmp_path))) as spool:
        places = {0: Local(AccountId(1)), 1: Local(AccountId(2))}
        item = make.item(path("a@hub.example"), path("b@hub.example"), places=places)
        spool.apply([Accept(item, b"x")])
        after = attempted(item, {0: Answer(LATER)}, item.arrived, Schedule())
        spool.apply([Settle(item, after, ())])
    [total] = totals(str(tmp_path), item.arrived)
    assert (total.local, total.waiting, total.host) == (True, 1, "")


def test_nothing(tmp_path: Path) -> None:
    """Looking at a hub without a spool makes none."""
    assert totals(str(tmp_path / "spool"), 0.0) == []
    assert not (tmp_path / "spool").exists()


def test_many_domains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a million domains the attempts of the largest are looked for, and no others."""
    monkeypatch.setattr(module, "SAMPLED", 1)
    with closing(Spool(str(tmp_path))) as spool:
        item = make.item(path("x@a.example"), path("y@b.example"))
        spool.apply([Accept(item, b"x")])
        after = attempted(item, dict.fromkeys((0, 1), Answer(LATER)), item.arrived, Schedule())
        spool.apply([Settle(item, after, (Attempted((0, 1), make.attempt("mx", LATER)),))])
    assert [total.host for total in totals(str(tmp_path), item.arrived)] == ["mx", ""]


def test_moment_of_an_id() -> None:
    """A queue id tells when it was given out."""
    assert moment_of(to_queue_id(number_at(1234.5) + 7)) == 1234.5
