"""Accounts are kept within what they may send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path as Directory

import pytest

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy.allowance import Action, Allowance
from mailhub.ports.accounts import AccountId
from mailhub.queue.change import Accept, Release, Select
from mailhub.queue.item import Held, Local
from mailhub.queue.spool import Spool
from mailhub.relay.allowances import Allowances, hold_all
from tests.queue import given as make

ANN = Path("ann", "hub.example")


class Rig:
    def __init__(self, directory: Directory) -> None:
        self.spool = Spool(str(directory))
        self.now = 1e6
        self.told: list[tuple[str, str]] = []

    def allow(self, *allowances: Allowance) -> Allowances:
        return Allowances(
            allowances, self.spool, lambda: self.now, lambda *words: self.told.append(words)
        )

    def send(self, allowances: Allowances, to: Sequence[Path]) -> bool:
        """Send a message; whether it is held."""
        counts, excess = allowances.settle(ANN, to)
        self.spool.apply(counts)
        allowances.settled(counts)
        return excess is not None


@pytest.fixture
def rig(tmp_path: Directory) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.spool.close()


def paths(count: int, first: int = 0) -> list[Path]:
    return [Path(f"u{n}", "far.example") for n in range(first, first + count)]


def test_held(rig: Rig) -> None:
    """Beyond the limit everything is taken and held; the postmaster hears of it once a day."""
    allowances = rig.allow(Allowance("accounts", recipients_per_hour=10))
    assert not rig.send(allowances, paths(10))
    assert rig.send(allowances, paths(1))
    assert rig.send(allowances, paths(1))
    [(subject, text)] = rig.told
    assert "ann@hub.example" in subject
    assert "[limit accounts] recipients per hour" in text
    rig.now += 25 * 3600
    assert not rig.send(allowances, paths(10))
    assert rig.send(allowances, paths(10))
    assert len(rig.told) == 2


def test_refused(rig: Rig) -> None:
    """The recipient that is one too many is put off, and so is each message after."""
    allowances = rig.allow(Allowance("x", recipients_per_day=5, action=Action.REFUSE))
    allowances.check(ANN, paths(5))
    with pytest.raises(Refusal, match=r"4\.7\.1"):
        allowances.check(ANN, paths(6))
    assert not rig.send(allowances, paths(5))
    with pytest.raises(Refusal):
        allowances.check(ANN, paths(1))
    allowances.check(ANN, ())
    allowances.check(Path("bob", "hub.example"), paths(5))


@pytest.mark.parametrize("action", [Action.REFUSE, Action.HOLD])
def test_at_the_same_time(rig: Rig, action: Action) -> None:
    """What is on its way into the spool counts, until it is there or is not."""
    allowances = rig.allow(Allowance("x", recipients_per_day=5, action=action))
    counts, excess = allowances.settle(ANN, paths(3))
    assert excess is None

    def beyond() -> bool:
        try:
            counts, excess = allowances.settle(ANN, paths(3))
        except Refusal:
            return True
        allowances.settled(counts)
        return excess is not None

    assert beyond()
    allowances.settled(counts)
    assert not beyond(), "it has not come into the spool"
    rig.spool.apply(counts)
    assert beyond()


def test_warned(rig: Rig) -> None:
    """A warning holds nothing back."""
    allowances = rig.allow(Allowance("x", messages_per_hour=1, action=Action.WARN))
    assert not rig.send(allowances, paths(1))
    assert not rig.send(allowances, paths(1))
    assert len(rig.told) == 1


def test_new_recipients(rig: Rig) -> None:
    """Whom one writes to anyway does not count; a list of strangers does."""
    allowances = rig.allow(Allowance("x", new_per_day=10))
    assert not rig.send(allowances, paths(10))
    for _ in range(5):
        assert not rig.send(allowances, paths(10))
    assert rig.send(allowances, paths(1, 100))


def test_over_a_restart(rig: Rig) -> None:
    """What was sent before the hub was started counts."""
    limit = Allowance("x", recipients_per_hour=10)
    assert not rig.send(rig.allow(limit), paths(10))
    assert rig.send(rig.allow(limit), paths(1))


def test_a_domain_together(rig: Rig) -> None:
    """Accounts of one domain can share."""
    allowances = rig.allow(Allowance("x", together=True, messages_per_day=1))
    assert not rig.send(allowances, paths(1))
    counts, excess = allowances.settle(Path("bob", "hub.example"), paths(1))
    assert [each.subject for each in counts] == ["hub.example"]
    assert excess is not None


def test_everybody_is_held() -> None:
    """A mailbox of ours, too, waits until it is released."""
    here = Local(AccountId(4))
    item = hold_all(make.item(make.BOB, make.DAVE, places={1: here}), "why")
    assert (item.local, item.remote) == ((), ())
    assert [fate.why for fate in item.fates if isinstance(fate, Held)] == ["why", "why"]


def test_held_and_released(rig: Rig) -> None:
    """In the spool as in memory: released, a local recipient is due like any other."""
    item = hold_all(make.item(make.DAVE, places={0: Local(AccountId(4))}), "why")
    rig.spool.apply([Accept(item, b"x")])
    assert rig.spool.load(item.queue_id) == item
    assert rig.spool.unfiled() == []
    assert make.amended(rig.spool, Release(Select(), 1001.0)) == 1
    assert [due.local for due in make.due(rig.spool, 1001.0)] == [True]
