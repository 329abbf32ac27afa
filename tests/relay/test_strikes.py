"""Addresses are put on suppression lists behind the mail's back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from mailhub.mail.address import NULL
from mailhub.mail.address import Path as Address
from mailhub.policy.rule import Rule
from mailhub.policy.suppression import Action, Reason, Sending, Terms
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Decided, Event
from mailhub.queue.suppressions import Suppressions
from mailhub.relay.strikes import GATHER, RETRY, WAITING, Strikes
from tests.rig import InlineDisk, run

ANN = Address("ann", "shop.example")
BOB = Address("Bob", "far.example")
ID = QueueId("0k3m9x7c4e2d")


class Rig:
    """Strikes, over lists on a disk."""

    def __init__(self, state: Path) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1_000_000.0
        self.lists = Suppressions(str(state))
        self.terms = Terms()
        self.noted: list[tuple[QueueId, Event]] = []
        self.strikes = Strikes(
            self.lists,
            InlineDisk(),
            self.clock,
            self.clock.seconds,
            self,
            lambda _: Sending("", (), self.terms),
        )

    def note(self, queue_id: QueueId, *events: Event) -> None:
        self.noted += [(queue_id, event) for event in events]

    def rule(self, rule: Rule | None) -> str:
        return str(rule)

    def strike(
        self, path: Address = BOB, reason: Reason = Reason.HARD, sender: Address = ANN
    ) -> None:
        self.strikes.strike(sender, path, reason, "550 5.1.1 No", ID, 3)

    def on_list(self) -> list[str]:
        return [entry.address for entry in self.lists.page()]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    run(made.strikes.stop())
    assert made.clock.getDelayedCalls() == []
    made.lists.close()


def test_gathered(rig: Rig) -> None:
    """What happens together is written together, a moment later."""
    rig.strike()
    rig.strike(Address("eve", "far.example"), Reason.COMPLAINT)
    assert rig.on_list() == []
    rig.clock.advance(GATHER)
    assert rig.on_list() == ["bob@far.example", "eve@far.example"]
    bob, eve = rig.lists.page()
    assert (bob.reason, bob.expires) == (Reason.HARD, rig.clock.seconds() - 1 + 90 * 86_400)
    assert (eve.reason, eve.expires) == (Reason.COMPLAINT, 0.0)


def test_told(rig: Rig) -> None:
    """The journey of the message says so, with the line that decides."""
    rig.strike()
    rig.clock.advance(GATHER)
    [(queue_id, event)] = rig.noted
    assert queue_id == ID
    assert isinstance(event, Decided)
    assert event.numbers == (3,)
    [(what, rule)] = event.verdicts
    assert "bob@far.example" in what
    assert rule == "[suppression] classes"


@pytest.mark.parametrize(
    ("terms", "reason", "path", "sender"),
    [
        (Terms(action=Action.OFF), Reason.HARD, BOB, ANN),
        (Terms(), Reason.EXPIRED, BOB, ANN),
        (Terms(), Reason.HARD, Address("postmaster", "far.example"), ANN),
        (Terms(), Reason.HARD, BOB, NULL),
    ],
)
def test_what_does_not_count(
    rig: Rig, terms: Terms, reason: Reason, path: Address, sender: Address
) -> None:
    """Switched off, or not counted, or never held back: nothing is put on a list."""
    rig.terms = terms
    rig.strike(path, reason, sender)
    rig.clock.advance(GATHER)
    assert rig.on_list() == []


def test_several_are_needed(rig: Rig) -> None:
    """Where it takes two failures, the first is only remembered."""
    rig.terms = Terms(hard_failures=2)
    for expected in ([], ["bob@far.example"]):
        rig.strike()
        rig.clock.advance(GATHER)
        assert rig.on_list() == expected
    assert len(rig.noted) == 1


class TestDiskThatRefuses:
    def test_tried_again(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """What could not be written is written later, in its order, and nothing is lost."""

        def no(*_: object) -> None:
            raise OSError(28, "full")

        with monkeypatch.context() as patch:
            patch.setattr(rig.lists, "strike", no)
            rig.strike()
            rig.clock.advance(GATHER)
            rig.strike(Address("eve", "far.example"))
            rig.clock.advance(RETRY - 1)
        assert rig.on_list() == []
        rig.clock.advance(1)
        assert rig.on_list() == ["bob@far.example", "eve@far.example"]

    def test_bounded(self, rig: Rig) -> None:
        """So many wait, and no more."""
        for number in range(WAITING + 5):
            rig.strike(Address(f"u{number}", "far.example"))
        rig.clock.advance(GATHER)
        assert rig.lists.count() == WAITING


def test_stop_writes(rig: Rig) -> None:
    """What was gathered is written at the end, and nothing is left to come."""
    rig.strike()
    run(rig.strikes.stop())
    assert rig.on_list() == ["bob@far.example"]


class TestForgiving:
    def test_a_complaint(self, rig: Rig) -> None:
        """One that waits to be written is forgiven, too."""
        rig.strike(reason=Reason.COMPLAINT)
        assert run(rig.strikes.forgive(ANN, BOB))
        assert rig.on_list() == []

    def test_nothing_else(self, rig: Rig) -> None:
        """A hard failure is none."""
        rig.strike()
        assert not run(rig.strikes.forgive(ANN, BOB))
        assert rig.on_list() == ["bob@far.example"]


def test_purged(rig: Rig) -> None:
    """What has ended goes."""
    rig.strike()
    rig.clock.advance(GATHER)
    rig.clock.advance(91 * 86_400)
    run(rig.strikes.purge(86_400.0))
    assert rig.on_list() == []
