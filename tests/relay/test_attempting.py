"""Attempts: who is asked what, and what follows from the answers."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from twisted.logger import LogEvent, formatEvent

from mailhub.mail.address import NULL
from mailhub.mail.address import Path as Address
from mailhub.mail.envelope import DeliverBy, Notify, Recipient
from mailhub.net.content import Octets
from mailhub.policy.limits import RunnerLimits
from mailhub.policy.retry import HOUR, MINUTE
from mailhub.queue.change import Accept, Select
from mailhub.queue.item import Pending, Relayed
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, LATER, NO, OK
from tests.relay.running import HERE, START, Rig
from tests.rig import run


class TestAttempts:
    def test_fresh(self, rig: Rig) -> None:
        """A fresh item is attempted in the next turn, without being read from the disk."""
        run(rig.journal.accept(make.item(), b"stored"))
        rig.runner.accepted(make.item(), Octets(b"in memory"))
        assert rig.outbound.asked == []
        rig.pass_time()
        assert rig.outbound.asked == [("remote.example", ["bob"], b"in memory", START)]
        assert rig.fates(make.item()) is None

    def test_what_the_spool_held(self, tmp_path: Path) -> None:
        """At the start all that is due is attempted, however many pages it fills."""
        rig = Rig(tmp_path, RunnerLimits(page=3))
        items = [rig.accept(make.item(number=n), tell=False) for n in range(10)]
        rig.runner.start()
        rig.pass_time()
        assert len(rig.outbound.asked) == 10
        assert [rig.fates(item) for item in items] == [None] * 10
        rig.close()

    def test_grouped_by_hop(self, rig: Rig) -> None:
        """Recipients of one item and one hop share an attempt."""
        erin = Address("erin", "other.example")
        rig.accept(make.item(BOB, erin, CAROL))
        rig.pass_time()
        assert [asked[:2] for asked in rig.outbound.asked] == [
            ("remote.example", ["bob", "carol"]),
            ("other.example", ["erin"]),
        ]

    def test_each_its_own_fate(self, rig: Rig) -> None:
        """Of one attempt some recipients may be settled and others wait."""
        rig.outbound.says = lambda _, path: LATER if path == CAROL else OK
        item = rig.accept(make.item(BOB, CAROL))
        rig.pass_time()
        assert rig.fates(item) == (
            Relayed(OK, START, "mx"),
            Pending(START + MINUTE, 1, LATER, "mx"),
        )

    @pytest.mark.parametrize(("stage", "host"), [("rcpt", "mx"), ("connect", "")])
    def test_facts_that_are_not_given(self, rig: Rig, stage: str, host: str) -> None:
        """Whose words a reply is can also be told from the attempts."""
        rig.outbound.stage = stage
        rig.outbound.facts = False
        rig.outbound.says = lambda _, path: LATER
        item = rig.accept(make.item(BOB))
        rig.pass_time()
        assert rig.fates(item) == (Pending(START + MINUTE, 1, LATER, host),)

    def test_a_refused_route(self, rig: Rig) -> None:
        """Where no route can be found, its refusal is what the attempt ends with."""
        item = rig.accept(make.item(Address("x", "refused.example"), sender=NULL))
        rig.pass_time()
        assert rig.fates(item) is None
        assert rig.outbound.asked == []

    def test_before_the_start(self, tmp_path: Path) -> None:
        """What is accepted before the start is found by the start."""
        rig = Rig(tmp_path)
        rig.accept(make.item())
        rig.runner.start()
        rig.pass_time()
        assert len(rig.outbound.asked) == 1
        rig.close()

    def test_a_mistake_of_ours(self, rig: Rig, errors: list[LogEvent]) -> None:
        """A bug in delivery defers the recipient, is logged, and harms no other."""
        rig.outbound.fails = ZeroDivisionError()
        item = rig.accept(make.item(), tell=True)
        rig.pass_time()
        [fate] = rig.fates(item) or ()
        assert isinstance(fate, Pending)
        assert fate.reply is not None
        assert fate.reply.text == "451 4.3.0 Internal error; will try again"
        assert any("attempt failed" in formatEvent(event) for event in errors)
        rig.outbound.fails = None
        rig.pass_time(MINUTE)
        assert rig.fates(item) is None

    def test_large_content(self, rig: Rig) -> None:
        """Content in a file is read without its head."""
        item = make.item(content=b"0123456789")
        item = replace(item, head=b"head")
        large = rig.journal.large(item.queue_id, b"head")
        run(large.write(b"0123456789"))
        run(rig.journal.accept(item, large))
        rig.runner.accepted(item, rig.journal.content(item))
        rig.pass_time()
        assert rig.outbound.asked[0][2] == b"0123456789"

    def test_content_that_is_gone(self, rig: Rig) -> None:
        """A content file that somebody removed defers the item; it is not dropped silently."""
        item = make.item(content=b"0123456789")
        run(rig.journal.commit(Accept(item, None)))
        rig.runner.accepted(item, rig.journal.content(item))
        rig.pass_time()
        [fate] = rig.fates(item) or ()
        assert isinstance(fate, Pending)
        assert fate.attempts == 1


class TestReports:
    def test_a_bounce(self, rig: Rig) -> None:
        """A failure ends the item and makes a notice, in one commit."""
        rig.outbound.says = lambda _, path: NO if path == BOB else OK
        item = rig.accept(make.item(BOB), b"Subject: x\r\n\r\n")
        rig.pass_time()
        [notice] = rig.announced
        assert notice.envelope.reverse_path == NULL
        assert notice.places == (HERE,)
        assert [i.queue_id for i in rig.spool.find(Select())] == [notice.queue_id]
        assert rig.fates(item) is None

    def test_too_late(self, rig: Rig) -> None:
        """What its sender wanted by a certain time is attempted no more behind that (RFC 2852)."""
        rig.outbound.says = lambda _, path: LATER
        item = make.item(BOB)
        by = DeliverBy(30, returned=True)
        rig.accept(replace(item, envelope=replace(item.envelope, by=by)))
        rig.pass_time()
        rig.pass_time(MINUTE)
        [notice] = rig.announced
        octets = rig.spool.content(notice.queue_id)
        assert isinstance(octets, bytes)
        assert b"within the time that you, or your program, had set." in b" ".join(octets.split())
        assert b"Status: 5.4.7\r\n" in octets
        assert len(rig.outbound.asked) == 1

    def test_a_bounce_to_a_remote_sender(self, rig: Rig) -> None:
        """A notice is relayed like any item, and a failure of its own is told to nobody."""
        rig.outbound.says = lambda _, path: NO
        rig.accept(make.item(BOB, sender=CAROL))
        rig.pass_time()
        assert [asked[1] for asked in rig.outbound.asked] == [["bob"], ["carol"]]
        assert rig.spool.find(Select()) == []
        assert len(rig.announced) == 1

    def test_success(self, rig: Rig) -> None:
        """Who asks for it is told that the message was relayed."""
        rig.accept(make.item(Recipient(BOB, Notify.SUCCESS)))
        rig.pass_time()
        [notice] = rig.announced
        octets = rig.spool.content(notice.queue_id)
        assert b"Action: relayed" in octets


class TestLocal:
    def test_put_off(self, rig: Rig) -> None:
        """A recipient of ours whose filing was put off is handed to local delivery when due."""
        item = make.item(DAVE, places={0: HERE}, arrived=START)
        item = replace(item, fates=(Pending(START + 60, 1, LATER),))
        rig.accept(item)
        rig.runner.wake()
        rig.pass_time(59)
        assert rig.agent.asked == []
        rig.pass_time(1)
        assert rig.agent.asked == [(item.queue_id, (0,))]
        assert rig.fates(item) is None
        assert rig.agent.held == set()

    def test_a_fate_that_is_not_written(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """Local delivery answers for the message until what came of it is written."""
        item = make.item(DAVE, places={0: HERE}, arrived=START)
        item = replace(item, fates=(Pending(START + 60, 1, LATER),))
        rig.accept(item)
        commit = rig.journal.commit

        async def full(*changes: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(rig.journal, "commit", full)
        rig.runner.wake()
        rig.pass_time(60)
        assert rig.agent.refused
        assert rig.agent.held == {(item.queue_id, 0)}
        monkeypatch.setattr(rig.journal, "commit", commit)
        rig.pass_time(HOUR)
        assert rig.fates(item) is None
        assert rig.agent.held == set()

    def test_fresh_ones_are_not_ours(self, rig: Rig) -> None:
        """Fresh local recipients belong to local delivery."""
        item = rig.accept(make.item(DAVE, places={0: HERE}))
        rig.pass_time(HOUR)
        assert rig.agent.asked == []
        assert rig.fates(item) == item.fates
