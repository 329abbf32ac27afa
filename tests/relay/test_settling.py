"""What the spool still answers for settles before it is moved or removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mailhub.mail.address import Path
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.store import StoreRefused
from mailhub.relay.settling import Settling
from tests.relay.sending import start

ANN, BOB = (
    Account(AccountId(number), Path(name, "hub.example"), f"hub.example/{name}")
    for number, name in enumerate(("ann", "bob"))
)


class Rig:
    """A settling, and how often it asked for a sync."""

    def __init__(self) -> None:
        self.settling = Settling()
        self.asked = 0

    def hurry(self) -> None:
        self.asked += 1

    def hold(self, *uniques: str, account: Account = ANN) -> None:
        for unique in uniques:
            self.settling.hold(account, unique, self.hurry)

    def settle(self, *uniques: str) -> Sequence[Any]:
        return start(self.settling.settle(ANN, uniques))


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.settling.recovered()
    return rig


def test_nothing_to_wait_for(rig: Rig) -> None:
    """What is durable settles at once, whatever others wait for."""
    rig.hold("b1", account=BOB)
    rig.hold("a1")
    assert rig.settle("a0", "b1") == [None]
    assert rig.asked == 0
    assert rig.settling.any(ANN)
    rig.settling.let_go(ANN, "a1")
    assert not rig.settling.any(ANN)
    assert rig.settling.any(BOB)


def test_waiting(rig: Rig) -> None:
    """The sync is asked for at once, and again as long as something is left."""
    rig.hold("a1", "a2", "a3")
    done = rig.settle("a1", "a2")
    assert (done, rig.asked) == ([], 1)
    rig.settling.let_go(ANN, "a1")
    assert (done, rig.asked) == ([], 2)
    rig.settling.let_go(ANN, "a2")
    assert done == [None]
    assert rig.settling.any(ANN), "the third one"


def test_a_disk_that_fails(rig: Rig) -> None:
    """Whoever waits is refused; who asks later may be luckier."""
    rig.hold("a1")
    done = rig.settle("a1")
    rig.settling.failed()
    [failure] = done
    assert failure.check(StoreRefused)
    again = rig.settle("a1")
    rig.settling.let_go(ANN, "a1")
    assert again == [None]


def test_before_the_spool_was_looked_through() -> None:
    """Nobody knows yet what it holds: all wait."""
    rig = Rig()
    assert rig.settling.any(ANN)
    done = rig.settle("a1")
    assert done == []
    rig.hold("a1")
    rig.settling.recovered()
    assert (done, rig.asked) == ([], 1)
    rig.settling.let_go(ANN, "a1")
    assert done == [None]
