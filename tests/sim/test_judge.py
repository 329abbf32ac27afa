"""The judge catches what is wrong: faults put into the code on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailhub.net.journal import Journal
from mailhub.queue.spool import Spool
from mailhub.sim.disk import Operation
from mailhub.sim.hub import SimHub
from mailhub.sim.world import World
from mailhub.store.filing import MaildirFiler
from tests.sim.cycle import Pair, cycle


def power_off(pair: Pair, hub: SimHub, _: Operation) -> None:
    """The power fails, and what was not synced is gone."""
    hub.crash(power=True)
    pair.judge.disturbed()


def verdicts(choose: Callable[[Operation], bool]) -> list[str]:
    """What the judge says of cycles that lose their power at each call that is chosen."""
    _, calls, _ = cycle(0, 0, power_off)
    chosen = [number for number, call in enumerate(calls, 1) if choose(call)]
    return [fault for number in chosen for fault in cycle(0, number, power_off)[0]]


def commits(call: Operation) -> bool:
    return call.name == "commit" and call.path == "spool/spool.db"


def test_nothing_is_wrong() -> None:
    """Power cuts at commits of the spool are survived."""
    assert verdicts(commits) == []


def test_a_dropped_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool forgets what was never synced in its mailbox: lost."""
    monkeypatch.setattr(MaildirFiler, "_sync", lambda *_: None)
    with World(1) as world:
        pair = Pair(world)
        pair.send(pair.hubs[0])
        world.run(60)
        pair.hubs[0].crash(power=True)
        pair.start()
        world.run(60)
        assert any(fault.endswith("lost") for fault in pair.judge.verdict())


def test_250_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is told before it is true: lost."""
    honest = Journal.accept

    async def hasty(self: Journal, *arguments: Any) -> None:
        Deferred.fromCoroutine(honest(self, *arguments)).addErrback(lambda _: None)

    monkeypatch.setattr(Journal, "accept", hasty)
    assert any(fault.endswith("lost") for fault in verdicts(commits))


def test_a_recipient_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start after a crash forgets somebody: lost."""
    honest = Spool.recover

    def forgetful(self: Spool, boot_id: str) -> int:
        with self._database.transaction(patient=True):
            self._database.execute("DELETE FROM recipient WHERE state IN (0, 2)")
        self._database.commit()
        return honest(self, boot_id)

    monkeypatch.setattr(Spool, "recover", forgetful)
    assert any(fault.endswith("lost") for fault in verdicts(commits))


def tampered(change: Callable[[Path, bytes], None]) -> list[str]:
    """The verdict where each file that has come to an INBOX is changed behind our backs."""
    with World(1) as world:
        pair = Pair(world)
        pair.send(pair.hubs[0])
        world.run(60)
        for path in list(Path(pair.hubs[0].state).glob("mail/*/ann/new/*")):
            change(path, path.read_bytes())
        return pair.judge.verdict()


def test_a_second_copy() -> None:
    """Whatever is there twice without a doubt is told, and so is a second notice."""

    def again(path: Path, octets: bytes) -> None:
        other = octets.replace(b"Message-ID: <c", b"Message-ID: <C")
        path.with_name("1.again.example").write_bytes(octets)
        path.with_name("2.again.example").write_bytes(other)

    found = tampered(lambda path, octets: again(path, octets) if b"report" in octets else None)
    assert any("2 copies" in fault for fault in found)
    assert "small to nobody@other.example: bounced 2 times" in found


def test_half_of_one() -> None:
    """What is not whole is told."""

    def halve(path: Path, octets: bytes) -> None:
        path.write_bytes(octets[:-9] + bytes(9))

    found = tampered(halve)
    assert any("not whole" in fault for fault in found)


def test_one_that_is_gone() -> None:
    """What is not there is lost."""
    found = tampered(lambda path, _: path.unlink())
    assert "alone to ann@one.example: lost" in found
