"""Mailboxes whose names are behind."""

from __future__ import annotations

from pathlib import Path

from mailhub.ports.message import FlagAction
from tests.rig import run
from tests.store.world import TEXT, Hub, StepDisk


def test_each_once(tmp_path: Path) -> None:
    """A mailbox is followed once, however often its flags change, and by one at a time."""
    hub = Hub(tmp_path)
    wanted: list[float] = []
    following = hub.stores.following
    following.wanted = wanted.append
    for name in ("INBOX", "Sent"):
        hub.append(TEXT, name=name)
        mailbox = hub.open(name)
        for flag in ("\\Seen", "\\Flagged"):
            run(mailbox.store([1], FlagAction.ADD, [flag]))
        assert mailbox.users == 2
    assert wanted == [following.delay] * 2
    run(following.follow())
    assert [hub.store.mailboxes[name].users for name in (b"", b".Sent")] == [1, 1]
    assert len(wanted) == 2
    run(following.follow())


def test_found_when_it_is_opened(tmp_path: Path) -> None:
    """What a killed process left behind is followed once somebody looks at the mailbox."""
    hub = Hub(tmp_path)
    hub.append(TEXT)
    run(hub.open().store([1], FlagAction.ADD, ["\\Seen"]))
    hub.restart()
    run(hub.store.status("INBOX"))
    hub.follow()
    assert hub.cur()[0].endswith(":2,S")


def test_two_at_once(tmp_path: Path) -> None:
    """The hub stops while names follow: both come to an end, and the mailbox is let go once."""
    disk = StepDisk()
    hub = Hub(tmp_path)
    hub.append(TEXT)
    hub.disk = disk
    hub.restart()
    opening = disk.start(hub.stores.of(hub.account))
    disk.finish(opening)
    opening = disk.start(opening.result.open("INBOX"))
    disk.finish(opening)
    mailbox = opening.result
    disk.finish(disk.start(mailbox.store([1], FlagAction.ADD, ["\\Seen"])))
    both = [disk.start(hub.stores.following.follow()) for _ in range(2)]
    disk.finish(*both)
    assert [task.result for task in both] == [None, None]
    assert mailbox.users == 1
    assert hub.cur()[0].endswith(":2,S")
