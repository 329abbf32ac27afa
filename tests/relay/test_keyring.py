"""The keys of return paths, over restarts and years."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mailhub.policy.returnpath import DAY, ROTATION, Ticket, day_of
from mailhub.ports.outgoing import QueueId
from mailhub.queue.suppressions import Suppressions
from mailhub.relay.keyring import Keyring
from tests.rig import InlineDisk, run

LIFE = 30


class Rig:
    def __init__(self, state: Path) -> None:
        self.now = 1_800_000_000.0
        self.lists = Suppressions(str(state))
        self._secrets = count()
        self.keyring = self.start()

    def start(self) -> Keyring:
        return Keyring(
            self.lists, lambda: b"secret %d" % next(self._secrets), lambda: self.now, LIFE
        )

    @property
    def ticket(self) -> Ticket:
        return Ticket(day_of(self.now), QueueId("0k3m9x7c4e2d"), 1)

    def renew(self) -> None:
        run(self.keyring.renew(self.lists, InlineDisk()))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.lists.close()


def test_over_a_restart(rig: Rig) -> None:
    """What was signed before a restart is known after it."""
    path = rig.keyring.path(rig.ticket, "hub.example")
    assert rig.start().read(path) == rig.ticket
    assert len(rig.lists.keys()) == 1


def test_renewed(rig: Rig) -> None:
    """In time a new key signs; what the old one has signed is known as long as it lives."""
    rig.renew()
    assert len(rig.lists.keys()) == 1, "not yet"
    rig.now += ROTATION * DAY
    old, path = rig.ticket, rig.keyring.path(rig.ticket, "hub.example")
    rig.renew()
    assert len(rig.lists.keys()) == 2
    rig.now += LIFE * DAY
    rig.renew()
    assert rig.keyring.read(path) == old
    rig.now += 2 * DAY
    rig.renew()
    assert rig.keyring.read(path) is None
    assert len(rig.lists.keys()) == 1
    assert rig.start().read(rig.keyring.path(rig.ticket, "hub.example")) == rig.ticket


def test_a_disk_that_refuses(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that could not be kept signs nothing."""
    rig.now += ROTATION * DAY

    def no(_: object) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr(rig.lists, "keep_keys", no)
        with pytest.raises(OSError, match="full"):
            rig.renew()
    rig.now += DAY
    path = rig.keyring.path(rig.ticket, "hub.example")
    assert rig.start().read(path) == rig.ticket
