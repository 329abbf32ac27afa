"""The queue runner, in a time of its own: what is due when, and what is left undone."""

from __future__ import annotations

import errno
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, formatEvent

from mailhub.mail.address import Path as Address
from mailhub.mail.reply import Reply
from mailhub.net.content import Octets
from mailhub.policy.cause import Cause
from mailhub.policy.limits import RunnerLimits
from mailhub.policy.retry import DAY, HOUR, MINUTE, Schedule
from mailhub.queue.change import Cancel, Flush, Hold, Release, Select
from mailhub.queue.item import Held, Item, Pending
from mailhub.queue.spool import Spool
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, LATER, NO, OK
from tests.relay.running import LIMITS, START, Broken, Rig
from tests.rig import run


class TestTime:
    def test_schedule(self, rig: Rig) -> None:
        """A deferred recipient is attempted at the moments of the schedule, and in no other."""
        rig.outbound.says = lambda _, path: LATER
        rig.accept(make.item())
        rig.pass_time(40 * MINUTE)
        moments = [asked[3] - START for asked in rig.outbound.asked]
        assert moments == [0, MINUTE, 6 * MINUTE, 16 * MINUTE, 31 * MINUTE]

    def test_a_whole_life(self, rig: Rig) -> None:
        """After 4 hours the sender is warned, after 5 days told of the failure; once each."""
        rig.outbound.says = lambda _, path: LATER
        item = rig.accept(make.item())
        rig.pass_time(4 * HOUR - 1)
        assert rig.announced == []
        rig.pass_time(1)
        assert len(rig.announced) == 1
        rig.pass_time(5 * DAY - 4 * HOUR - 1)
        assert len(rig.announced) == 1
        assert rig.fates(item) is not None
        rig.pass_time(1)
        assert len(rig.announced) == 2
        assert rig.fates(item) is None
        texts = [rig.spool.content(notice.queue_id) for notice in rig.announced]
        assert b"Action: delayed" in texts[0]
        assert b"Status: 4.4.7" in texts[1]
        assert rig.outbound.asked[-1][3] == START + 5 * DAY

    def test_put_off(self, rig: Rig) -> None:
        """What a next hop puts off is attempted at the moment that it names."""
        rig.outbound.put_off = START + 1234.0
        item = rig.accept(make.item(BOB))
        rig.pass_time()
        assert rig.fates(item) == (Pending(START + 1234.0, 0, LATER, cause=Cause.LOCAL),)
        rig.outbound.put_off = None
        rig.pass_time(1233)
        assert len(rig.outbound.asked) == 1
        rig.pass_time(1)
        assert len(rig.outbound.asked) == 2
        assert rig.fates(item) is None

    def test_asleep_between(self, rig: Rig) -> None:
        """With nothing due the runner waits for one moment, and with nothing pending for none."""
        assert rig.clock.getDelayedCalls() == []
        rig.outbound.says = lambda _, path: LATER
        rig.accept(make.item())
        rig.pass_time()
        [call] = rig.clock.getDelayedCalls()
        assert call.getTime() == START + MINUTE
        rig.pass_time(6 * MINUTE)
        [call] = rig.clock.getDelayedCalls()
        assert call.getTime() == START + 7 * MINUTE  # it waits for 10, but looks at the clock

    def test_the_clock_is_set_forward(self, rig: Rig) -> None:
        """After the machine has slept, what is due meanwhile is attempted soon."""
        rig.outbound.says = lambda _, path: LATER
        rig.accept(make.item())
        rig.pass_time(31 * MINUTE)
        before = len(rig.outbound.asked)
        rig.skew = HOUR
        rig.pass_time(5 * MINUTE)
        assert len(rig.outbound.asked) == before + 1

    def test_the_clock_is_set_back(self, rig: Rig) -> None:
        """A clock set back delays nothing: moments of another time are brought back."""
        rig.outbound.says = lambda _, path: LATER
        rig.accept(make.item(number=1))
        rig.pass_time(5 * MINUTE)
        asked = len(rig.outbound.asked)
        rig.skew = -100 * DAY
        rig.pass_time(2 * MINUTE + Schedule().longest)
        assert len(rig.outbound.asked) > asked

    def test_moments_of_a_clock_that_was_ahead(self, tmp_path: Path) -> None:
        """What an earlier run has put off by a wrong clock is brought back at the start."""
        rig = Rig(tmp_path)
        item = rig.accept(make.item(), tell=False)
        far = replace(item, fates=(Pending(START + 100 * DAY, 1, LATER),))
        run(rig.journal.settle(item, far))
        rig.runner.start()
        rig.pass_time(2 * MINUTE + Schedule().longest)
        asked = [name for _, names, _, _ in rig.outbound.asked for name in names]
        assert asked == ["bob"]
        rig.close()

    def test_a_jump_is_no_storm(self, tmp_path: Path) -> None:
        """Whatever a jump makes due at once is attempted within the limits, and given up later."""
        rig = Rig(tmp_path, RunnerLimits(attempts=3))
        rig.runner.start()
        rig.outbound.says = lambda _, path: LATER
        items = [rig.accept(make.item(Address("x", f"d{n}.example"), number=n)) for n in range(9)]
        rig.pass_time()
        rig.outbound.waits = True
        rig.skew = 30 * DAY
        rig.pass_time(MINUTE)
        assert len(rig.outbound.waiting) == 3
        rig.outbound.waits = False
        while rig.outbound.waiting:
            rig.outbound.go()
        rig.pass_time()
        assert [type(rig.fates(item)[0]) for item in items] == [Pending] * 9  # type: ignore[index]
        rig.close()

    def test_deferred_while_the_index_is_looked_at(self, tmp_path: Path) -> None:
        """A moment before the end of a long look at the index is not overlooked."""
        rig = Rig(tmp_path, RunnerLimits(page=1))
        rig.outbound.says = lambda _, path: LATER
        for n in range(3):
            rig.accept(make.item(number=n), tell=False)
        rig.runner.start()
        rig.pass_time(MINUTE)
        assert len(rig.outbound.asked) == 6
        rig.close()


class TestOperators:
    def test_flush(self, rig: Rig) -> None:
        """What waits is attempted at once when asked for, selected or all."""
        rig.outbound.says = lambda _, path: LATER
        item = rig.accept(make.item())
        rig.pass_time(1)
        assert run(rig.runner.flush(Select(domain="nowhere.example"))) == 0
        rig.pass_time(1)
        assert len(rig.outbound.asked) == 1
        assert run(rig.runner.flush()) == 1
        rig.pass_time()
        assert len(rig.outbound.asked) == 2
        assert rig.fates(item) == (Pending(START + 2 + 5 * MINUTE, 2, LATER, "mx"),)

    def test_from_another_process(self, rig: Rig) -> None:
        """What the command line did is seen at a wake, also if its moment is past."""
        rig.outbound.says = lambda _, path: LATER
        item = rig.accept(make.item())
        rig.pass_time(30)
        other = Spool(str(rig.directory))
        make.amended(other, Flush(Select(), START + 10))
        rig.runner.wake()
        rig.pass_time()
        assert len(rig.outbound.asked) == 2
        make.amended(other, Hold(Select(), "why"))
        rig.pass_time(HOUR)
        assert len(rig.outbound.asked) == 2
        assert isinstance((rig.fates(item) or ())[0], Held)
        make.amended(other, Release(Select(), rig.now()))
        rig.runner.wake()
        rig.pass_time()
        assert len(rig.outbound.asked) == 3
        other.close()

    def test_held_while_attempted(self, rig: Rig) -> None:
        """A hold does not undo what an attempt under way has achieved, and survives its failure."""
        rig.outbound.waits = True
        done, later = rig.accept(make.item(number=1)), rig.accept(make.item(CAROL, number=2))
        rig.pass_time()
        run(rig.journal.amend(Hold(Select(), "why")))
        rig.outbound.says = lambda _, path: LATER if path == CAROL else OK
        rig.outbound.go()
        rig.outbound.go()
        assert rig.fates(done) is None
        [fate] = rig.fates(later) or ()
        assert isinstance(fate, Held)
        assert fate.pending.attempts == 1

    def test_cancelled_while_attempted(self, rig: Rig) -> None:
        """A recipient cancelled meanwhile is not reported; the others of the attempt are."""
        rig.outbound.waits = True
        rig.outbound.says = lambda _, path: NO
        item = rig.accept(make.item(BOB, CAROL))
        rig.pass_time()
        run(rig.journal.amend(Cancel(Select(recipient=BOB), rig.now())))
        rig.outbound.go()
        [notice] = rig.announced
        octets = rig.spool.content(notice.queue_id)
        assert isinstance(octets, bytes)
        assert octets.count(b"Final-Recipient") == 1
        assert rig.fates(item) is None

    def test_gone_while_attempted(self, rig: Rig) -> None:
        """An item dropped meanwhile stays so."""
        rig.outbound.waits = True
        rig.outbound.says = lambda _, path: NO
        rig.accept(make.item(BOB))
        rig.pass_time()
        run(rig.journal.amend(Cancel(Select(), rig.now())))
        rig.outbound.go()
        assert rig.announced == []

    def test_withheld(self, rig: Rig) -> None:
        """What is withheld is not attempted, though it is at hand; afterwards the spool decides."""
        item = rig.accept(make.item(BOB))
        with rig.runner.withheld(item.queue_id) as quiet:
            assert quiet
            rig.pass_time()
            assert rig.outbound.asked == []
            run(rig.journal.amend(Hold(Select(), "why")))
        rig.pass_time()
        assert rig.outbound.asked == []
        run(rig.journal.amend(Release(Select(), rig.now())))
        rig.outbound.waits = True
        rig.runner.wake()
        rig.pass_time()
        with rig.runner.withheld(item.queue_id) as quiet:
            assert not quiet
        rig.outbound.go()
        assert rig.fates(item) is None

    def test_gone_or_held_before_its_turn(self, tmp_path: Path) -> None:
        """What was dropped or held while it waited in memory is not attempted."""
        rig = Rig(tmp_path, RunnerLimits(attempts=1, cache=0))
        rig.outbound.waits = True
        rig.runner.start()
        for n in range(3):
            rig.accept(make.item(number=n))
        rig.pass_time()
        run(rig.journal.amend(Cancel(Select(queue_ids=(make.queue_id(1),)), rig.now())))
        run(rig.journal.amend(Hold(Select(queue_ids=(make.queue_id(2),)), "why")))
        rig.outbound.go()
        rig.pass_time()
        assert len(rig.outbound.asked) == 1
        rig.close()


class TestLimits:
    def test_backlog(self, tmp_path: Path) -> None:
        """A queue far longer than memory allows is worked off completely, and stays in bounds."""
        rig = Rig(
            tmp_path,
            RunnerLimits(attempts=2, attempts_per_hop=1, ready=6, ready_per_hop=3, page=2),
        )
        for n in range(40):
            domain = "dead.example" if n < 30 else "live.example"
            rig.accept(make.item(Address(f"u{n}", domain), number=n), tell=False)
        rig.outbound.waits = True
        rig.runner.start()
        rig.pass_time()
        assert [asked[0] for asked in rig.outbound.asked] == ["dead.example", "live.example"]
        rig.outbound.waiting.pop(0)  # this one never answers
        while rig.outbound.waiting:
            rig.outbound.go()
            rig.pass_time()
        live = [asked for asked in rig.outbound.asked if asked[0] == "live.example"]
        assert len(live) == 10
        assert rig.spool.counts().recipients == {"pending": 30}
        rig.kill()
        rig.outbound.waits = False
        rig.runner.start()
        rig.pass_time()
        assert rig.spool.counts().items == 0
        rig.close()

    def test_other_limits(self, tmp_path: Path) -> None:
        """A higher limit counts at once."""
        rig = Rig(tmp_path, RunnerLimits(attempts=1))
        rig.outbound.waits = True
        rig.runner.start()
        for n in range(3):
            rig.accept(make.item(Address(f"u{n}", f"d{n}.example"), number=n))
        rig.pass_time()
        assert len(rig.outbound.asked) == 1
        rig.runner.obey(RunnerLimits(attempts=2, sleep=20.0), HOUR)
        rig.pass_time()
        assert len(rig.outbound.asked) == 2
        rig.close()

    def test_a_large_item(self, tmp_path: Path) -> None:
        """Many recipients are attempted a part at a time, each once."""
        rig = Rig(tmp_path, RunnerLimits(recipients=10, ready_per_hop=25, attempts_per_hop=1))
        rig.runner.start()
        paths = [Address(f"u{n}", "remote.example") for n in range(95)]
        item = rig.accept(make.item(*paths))
        rig.pass_time()
        asked = [name for _, names, _, _ in rig.outbound.asked for name in names]
        assert sorted(asked) == sorted(path.local for path in paths)
        assert max(len(names) for _, names, _, _ in rig.outbound.asked) == 10
        assert rig.fates(item) is None
        rig.close()

    def test_cache(self, tmp_path: Path) -> None:
        """Fresh content beyond the cache is read back when its turn comes."""
        rig = Rig(tmp_path, RunnerLimits(cache=5))
        rig.runner.start()
        for n in range(2):
            run(rig.journal.accept(make.item(number=n), b"disk"))
            rig.runner.accepted(make.item(number=n), Octets(b"memo"))
        rig.pass_time()
        assert [asked[2] for asked in rig.outbound.asked] == [b"memo", b"disk"]
        assert rig.runner._fresh.get(make.queue_id(0)) is None
        rig.close()


class TestTrouble:
    def test_a_full_disk_loses_no_result(self, tmp_path: Path) -> None:
        """While results cannot be written they are kept, and written as soon as they can be."""
        rig = Rig(tmp_path)
        writer = Broken()
        rig.journal._writer = writer
        rig.runner.start()
        item = rig.accept(make.item())
        writer.refuses = True
        rig.pass_time(100)
        assert rig.fates(item) == item.fates
        assert len(rig.outbound.asked) == 1
        writer.refuses = False
        rig.pass_time(60)
        assert rig.fates(item) is None
        assert len(rig.outbound.asked) == 1
        rig.close()

    def test_an_index_that_cannot_be_read(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, errors: list[LogEvent]
    ) -> None:
        """A failure to look at the queue is logged, and it is looked at again."""

        def due(*_: object) -> object:
            raise OSError(errno.EIO, "I/O error")

        monkeypatch.setattr(rig.journal.reads, "due", due)
        rig.accept(make.item(), tell=False)
        rig.runner.wake()
        rig.pass_time(1)
        assert "the queue could not be looked at: [Errno 5] I/O error" in map(formatEvent, errors)
        monkeypatch.undo()
        rig.pass_time(300)
        assert len(rig.outbound.asked) == 1

    def test_a_backlog_that_cannot_be_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A failure to fetch more stops nothing that is under way."""
        rig = Rig(tmp_path, RunnerLimits(ready_per_hop=1))
        rig.runner.start()
        rig.pass_time()

        def due(*_: object) -> object:
            raise OSError(errno.EIO, "I/O error")

        monkeypatch.setattr(rig.journal.reads, "due", due)
        for n in range(3):
            rig.accept(make.item(number=n))
        rig.pass_time()
        assert len(rig.outbound.asked) == 1
        monkeypatch.undo()
        rig.pass_time(MINUTE)
        assert rig.spool.counts().items == 0
        rig.close()

    @pytest.mark.parametrize("fault", [OSError(errno.EIO, "I/O error"), ValueError("a bug")])
    def test_an_attempt_that_fails(
        self,
        rig: Rig,
        monkeypatch: pytest.MonkeyPatch,
        errors: list[LogEvent],
        fault: Exception,
    ) -> None:
        """Whatever goes wrong in an attempt is logged, and the runner goes on."""

        def load(*_: object) -> object:
            raise fault

        rig.accept(make.item(), tell=False)
        monkeypatch.setattr(rig.journal, "load", load)
        rig.runner.wake()
        rig.pass_time()
        monkeypatch.undo()
        assert any("attempt failed" in formatEvent(event) for event in errors)
        traces = [event for event in errors if "log_failure" in event]
        assert len(traces) == (0 if isinstance(fault, OSError) else 1)
        rig.pass_time(300)
        assert len(rig.outbound.asked) == 1


class TestStop:
    def test_results_are_written(self, tmp_path: Path) -> None:
        """Stopping waits for attempts under way, writes what they come to, and begins no other."""
        rig = Rig(tmp_path, RunnerLimits(attempts=1))
        rig.outbound.waits = True
        rig.runner.start()
        one, two = rig.accept(make.item(number=1)), rig.accept(make.item(number=2))
        rig.pass_time()
        stopping = Deferred.fromCoroutine(rig.runner.stop())
        assert not stopping.called
        rig.outbound.go()
        assert stopping.called
        assert rig.fates(one) is None
        assert rig.fates(two) == two.fates
        assert rig.clock.getDelayedCalls() == []
        run(rig.journal.close())

    def test_not_for_ever(self, tmp_path: Path) -> None:
        """An attempt that does not end in time is cut short, and stays pending."""
        rig = Rig(tmp_path)
        rig.outbound.waits = True
        rig.runner.start()
        item = rig.accept(make.item())
        rig.pass_time()
        stopping = Deferred.fromCoroutine(rig.runner.stop())
        rig.pass_time(29)
        assert not stopping.called
        rig.pass_time(1)
        assert stopping.called
        assert rig.fates(item) == item.fates
        run(rig.journal.close())

    def test_while_the_index_is_looked_at(self, tmp_path: Path) -> None:
        """Stopping in the middle of a long look leaves no call behind, and nothing begins after."""
        rig = Rig(tmp_path, RunnerLimits(page=1))
        for n in range(5):
            rig.accept(make.item(Address("x", f"d{n}.example"), number=n), tell=False)
        rig.runner.start()
        rig.step()
        run(rig.runner.stop())
        asked = len(rig.outbound.asked)
        assert asked < 5
        rig.runner.wake()
        rig.accept(make.item(number=9))
        rig.pass_time(HOUR)
        assert len(rig.outbound.asked) == asked
        rig.close()


def test_woken_while_the_index_is_looked_at(tmp_path: Path) -> None:
    """A wake in the middle of a long look is not forgotten: another look follows."""
    rig = Rig(tmp_path, RunnerLimits(page=1))
    for n in range(3):
        rig.accept(make.item(number=n, arrived=START - 100), tell=False)
    rig.runner.start()
    rig.step()
    rig.accept(make.item(number=9, arrived=START - 200), tell=False)
    rig.runner.wake()
    rig.pass_time()
    assert len(rig.outbound.asked) == 4
    rig.close()


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """A runner killed in an attempt makes it again; killed after it, never."""
    rig = Rig(tmp_path)
    rig.outbound.waits = True
    rig.outbound.says = lambda _, path: NO
    rig.runner.start()
    item = rig.accept(make.item())
    rig.pass_time()
    rig.kill()
    rig.runner.start()
    rig.pass_time()
    assert len(rig.outbound.asked) == 2
    rig.outbound.go()
    rig.kill()
    rig.runner.start()
    rig.pass_time()
    assert len(rig.outbound.asked) == 2
    assert rig.fates(item) is None
    assert len(rig.spool.find(Select())) == 1
    rig.close()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(["accept", "later", "no", "ok", "time", "kill"]), max_size=25),
    st.data(),
)
def test_any_story_ends_well(
    tmp_path_factory: pytest.TempPathFactory, story: list[str], data: st.DataObject
) -> None:
    """Whatever happens in whatever order, each message is at last relayed or bounced, once."""
    rig = Rig(tmp_path_factory.mktemp("spool"))
    verdict = {"now": LATER}
    final: dict[str, list[int]] = {}

    def says(hop: Hashable, path: Address) -> Reply:
        if path.local.startswith("u") and verdict["now"] is not LATER:
            final.setdefault(path.local, []).append(verdict["now"].code)
        return verdict["now"] if path.local.startswith("u") else OK

    rig.outbound.says = says
    rig.runner.start()
    count = 0
    for step in [*story, "ok", "time", "time"]:
        match step:
            case "accept":
                count += 1
                path = Address(f"u{count}", data.draw(st.sampled_from(["a.example", "b.example"])))
                # Notices take the ids behind the last item's.
                item = make.item(path, number=1000 * count, sender=CAROL, arrived=rig.now())
                rig.accept(item, tell=data.draw(st.booleans()))
                rig.runner.wake()
            case "later" | "no" | "ok":
                verdict["now"] = {"later": LATER, "no": NO, "ok": OK}[step]
            case "time":
                rig.pass_time(data.draw(st.floats(1, 5 * HOUR)))
            case "kill":
                rig.kill()
                rig.runner.start()
    rig.pass_time(DAY)
    assert rig.spool.counts().items == 0
    assert sorted(final) == sorted(f"u{n + 1}" for n in range(count))
    assert all(len(codes) == 1 for codes in final.values())
    bounced = [asked for asked in rig.outbound.asked if b"Action: failed" in asked[2]]
    assert len(bounced) == sum(codes == [550] for codes in final.values())
    rig.close()


class TestSharedLanes:
    """Next hops that share connections and limits."""

    def accept(self, rig: Rig, count: int) -> list[Item]:
        domains = [f"d{n}.example" for n in range(count)]
        return [
            rig.accept(make.item(Address("x", domain), number=n))
            for n, domain in enumerate(domains)
        ]

    def test_found_out_once(self, rig: Rig) -> None:
        """Who runs a hop is found out before its first attempt, and costs no other."""
        rig.outbound.runs = {f"d{n}.example": "big" for n in range(50)}
        self.accept(rig, 50)
        rig.pass_time()
        assert set(rig.outbound.found) == set(rig.outbound.runs)
        assert len(rig.outbound.found) == 50
        assert len(rig.outbound.asked) == 50
        self.accept(rig, 50)
        rig.pass_time()
        assert len(rig.outbound.found) == 50

    def test_as_many_as_there_are_places(self, rig: Rig) -> None:
        """However many domains: no more attempts than the provider has places; others go on."""
        rig.outbound.runs = {f"d{n}.example": "big" for n in range(200)}
        rig.outbound.room = {"big": 3}
        rig.outbound.waits = True
        self.accept(rig, 200)
        rig.pass_time()
        assert len(rig.outbound.waiting) == 3
        rig.accept(make.item(Address("y", "other.example"), number=500))
        rig.pass_time()
        assert [hop for hop, *_ in rig.outbound.asked[3:]] == ["other.example"]
        while rig.outbound.waiting:
            rig.outbound.go()
            rig.pass_time()
            assert len(rig.outbound.waiting) <= 4
        assert len(rig.outbound.asked) == 201
        assert rig.spool.counts().items == 0

    def test_nobody_knows(self, rig: Rig) -> None:
        """A hop of which nothing can be found out is attempted by itself."""
        [item] = self.accept(rig, 1)
        rig.pass_time()
        assert rig.outbound.found == ["d0.example"]
        assert rig.fates(item) is None

    def test_forgotten(self, rig: Rig) -> None:
        """A lane whose name is forgotten meanwhile is no reason to begin anew."""
        rig.outbound.runs = {f"d{n}.example": "big" for n in range(9)}
        rig.outbound.room = {"big": 1}
        rig.outbound.waits = True
        self.accept(rig, 9)
        rig.pass_time()
        rig.outbound.runs = {}
        rig.outbound.lanes.clear()
        rig.outbound.found.clear()
        while rig.outbound.waiting:
            rig.outbound.go()
            rig.pass_time()
        assert len(rig.outbound.asked) == 9
        assert rig.outbound.found == []

    def test_stopped_while_asking(self, rig: Rig) -> None:
        """What was being found out when the hub stopped is still to be done."""
        asking: Deferred[None] = Deferred()

        async def find(hop: Hashable) -> None:
            await asking

        rig.outbound.find = find  # type: ignore[method-assign]
        [item] = self.accept(rig, 1)
        rig.pass_time()
        stopping = Deferred.fromCoroutine(rig.runner.stop())
        rig.pass_time(LIMITS.grace)
        assert stopping.called
        fates = rig.fates(item)
        assert fates is not None
        assert isinstance(fates[0], Pending)
