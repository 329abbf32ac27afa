"""What is owed to senders is told: together, in time, once."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailhub.mail.address import NULL
from mailhub.mail.address import Path as Address
from mailhub.policy.retry import MINUTE
from mailhub.queue.change import Select
from mailhub.queue.item import Item
from mailhub.relay.teller import Teller
from tests.queue import given as make
from tests.queue.given import LATER, NO, OK
from tests.relay.running import LIMITS, Rig

PATHS = [Address("x", f"d{n}.example") for n in range(5)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.runner.start()
    rig.pass_time()
    yield rig
    rig.close()


def notices(rig: Rig) -> list[Item]:
    return [item for item in rig.announced if item.envelope.reverse_path == NULL]


def told_of(rig: Rig, notice: Item) -> int:
    """How many recipients a notice reports on."""
    content = rig.spool.content(notice.queue_id)
    assert isinstance(content, bytes)
    return content.count(b"\r\nFinal-Recipient:")


def test_failures_that_happen_together(rig: Rig) -> None:
    """One message to five hosts that refuse it makes one bounce, and not five."""
    rig.outbound.says = lambda _, path: NO
    item = rig.accept(make.item(*PATHS))
    rig.pass_time()
    [notice] = notices(rig)
    assert told_of(rig, notice) == 5
    assert rig.fates(item) is None


def test_the_last_attempt_succeeds(rig: Rig) -> None:
    """Also when the attempt that everybody waited for has nothing to report."""
    rig.outbound.says = lambda _, path: OK if path == PATHS[-1] else NO
    rig.accept(make.item(*PATHS))
    rig.pass_time()
    [notice] = notices(rig)
    assert told_of(rig, notice) == 4


def test_no_longer_than_a_minute(rig: Rig) -> None:
    """A host that takes its time does not keep the sender from knowing of the others."""
    rig.outbound.says = lambda _, path: NO
    rig.outbound.waits = True
    rig.accept(make.item(*PATHS))
    rig.pass_time()
    for _ in range(3):
        rig.outbound.go()
    rig.pass_time(LIMITS.gather - 1)
    assert notices(rig) == []
    rig.pass_time(2)
    [notice] = notices(rig)
    assert told_of(rig, notice) == 3


def test_what_waits_on_is_no_reason_to_wait(rig: Rig) -> None:
    """Recipients that are put off are not being attempted: what failed is told at once."""
    rig.outbound.says = lambda _, path: LATER if path == PATHS[0] else NO
    item = rig.accept(make.item(*PATHS))
    rig.pass_time()
    [notice] = notices(rig)
    assert told_of(rig, notice) == 4
    assert rig.fates(item) is not None


def test_after_a_crash(tmp_path: Path) -> None:
    """What was owed when the hub was killed is told at the next start, once."""
    rig = Rig(tmp_path)
    rig.runner.start()
    rig.outbound.says = lambda _, path: NO
    rig.outbound.waits = True
    rig.accept(make.item(*PATHS))
    rig.pass_time()
    rig.outbound.go()
    rig.pass_time()
    assert notices(rig) == []
    rig.kill()
    rig.outbound.waits = False
    rig.outbound.says = lambda _, path: OK
    rig.runner.start()
    rig.pass_time(MINUTE)
    [notice] = notices(rig)
    assert told_of(rig, notice) == 1
    rig.pass_time(MINUTE)
    assert [item.queue_id for item in rig.spool.find(Select())] == [notice.queue_id]
    rig.close()


def test_a_disk_that_fails(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be told is told later."""
    rig.outbound.says = lambda _, path: NO
    teller: Teller = rig.runner._teller

    def owed(*_: object) -> object:
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(rig.journal.reads, "owed", owed)
    rig.accept(make.item(*PATHS))
    rig.pass_time()
    assert notices(rig) == []
    assert teller.next > rig.now()
    monkeypatch.undo()
    rig.pass_time(MINUTE)
    assert len(notices(rig)) == 1
