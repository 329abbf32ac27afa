"""The finder: all that is due comes into memory in time, and never more than there is room for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path as Directory

import pytest

from mailhub.mail.address import Path
from mailhub.policy.limits import RunnerLimits
from mailhub.queue.change import Accept, Due, Select, Settle
from mailhub.queue.flow import COMMON, Flow
from mailhub.queue.ids import to_number
from mailhub.queue.item import Answer, Item, Pending, attempted
from mailhub.queue.spool import Spool
from mailhub.relay import finder as module
from mailhub.relay.finder import NEVER, Finder
from mailhub.relay.lane import Job, Lanes
from tests.queue import given as make
from tests.queue.given import LATER, OK
from tests.queue.test_spool import SCHEDULE

BULK = Flow("shop@hub.example", "bulk")
LIMITS = RunnerLimits(attempts=4, attempts_per_hop=2, ready=40, ready_per_hop=8, page=5)


class Rig:
    """A finder over a real spool; attempts end when the test says so."""

    def __init__(self, directory: Directory, limits: RunnerLimits = LIMITS) -> None:
        self.spool = Spool(str(directory))
        self.lanes = Lanes(limits)
        self.runs: dict[object, str] = {}  # who runs the hosts of domains
        self.finder = Finder(
            self.spool,
            self.lanes,
            lambda due: due.path.domain,
            limits.page,
            lambda hop: self.runs.get(hop, hop),
        )
        self.under_way: deque[Job] = deque()
        self.asked: list[str] = []
        self.now = 1000.0
        self.most = 0

    def accept(self, *items: Item) -> None:
        self.spool.apply([Accept(item, b"x") for item in items])

    def start(self) -> None:
        while (job := self.lanes.next()) is not None:
            self.under_way.append(job)
            self.asked += [str(due.path) for due in job.dues]
        self.most = max(self.most, self.lanes._waiting)

    def look(self) -> None:
        for _ in self.finder.look(self.now):
            self.start()
        self.start()

    def begin(self) -> None:
        self.finder.begin()
        self.look()

    def end(self, reply: object = OK) -> None:
        """End the attempt that has been under way longest."""
        job = self.under_way.popleft()
        part = self.spool.load(job.queue_id, job.numbers)
        if part is not None:
            said = {
                place: Answer(reply)  # type: ignore[arg-type]
                for place, fate in enumerate(part.fates)
                if isinstance(fate, Pending)
            }
            after = attempted(part, said, self.now, SCHEDULE)
            self.spool.apply([Settle(part, after)])
            for fate, recipient in zip(after.fates, after.envelope.recipients, strict=True):
                if isinstance(fate, Pending):
                    self.finder.deferred(part.flow, recipient.path.domain, fate.due)
        self.lanes.done(job)
        self.finder.done(job)
        while not self.finder.refill(job.flow, job.lane, self.now):
            pass
        self.start()

    def finish(self, reply: object = OK) -> None:
        while self.under_way:
            self.end(reply)


@pytest.fixture
def rig(tmp_path: Directory) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.spool.close()


def many(
    count: int, domain: str = "remote.example", first: int = 0, flow: Flow = COMMON
) -> list[Item]:
    return [make.item(Path(f"u{n}", domain), number=first + n, flow=flow) for n in range(count)]


def test_a_long_queue(rig: Rig) -> None:
    """All of it is attempted, once, and memory holds a part of it at a time."""
    rig.accept(*many(300), *many(300, "other.example", 1000))
    rig.begin()
    rig.finish()
    assert len(rig.asked) == 600
    assert len(set(rig.asked)) == 600
    assert rig.most <= LIMITS.ready
    assert rig.finder.next == NEVER
    assert not rig.finder._strands


def test_many_domains(rig: Rig) -> None:
    """The same for as many domains."""
    rig.accept(*(make.item(Path("x", f"d{n}.example"), number=n) for n in range(300)))
    rig.begin()
    rig.finish()
    assert len(set(rig.asked)) == len(rig.asked) == 300


def test_a_dead_provider_hides_nobody(rig: Rig) -> None:
    """What waits for one hop that does not answer is one strand to whoever looks for others."""
    rig.accept(*many(400, "dead.example"), *many(30, "live.example", 1000))
    read: list[Due] = []
    reads = rig.spool.due

    def due(flow: Flow, domain: str, now: float, limit: int) -> list[Due]:
        found = reads(flow, domain, now, limit)
        read.extend(found)
        return found

    rig.spool.due = due  # type: ignore[method-assign]
    rig.begin()
    for _ in range(200):
        if rig.under_way[0].hop == "dead.example":
            rig.under_way.rotate()
            if all(job.hop == "dead.example" for job in rig.under_way):
                break
            continue
        rig.end()
    live = [path for path in rig.asked if path.endswith("@live.example")]
    assert len(live) == 30
    assert len([each for each in read if each.path.domain == "dead.example"]) < 40


def test_another_flow_is_not_behind(rig: Rig) -> None:
    """A campaign fills its own room: mail of another flow, though later, comes in at once."""
    rig.accept(*(make.item(Path("x", f"d{n}.example"), number=n, flow=BULK) for n in range(200)))
    rig.begin()
    reset = make.item(Path("me", "d7.example"), number=900, arrived=1001.0)
    rig.accept(reset)
    rig.now = 1001.0
    path = reset.envelope.recipients[0].path
    fresh = Due(1001.0, reset.queue_id, 0, path, make.SENDER, local=False)
    assert rig.finder.fresh(fresh)
    rig.end()
    rig.end()
    assert "me@d7.example" in rig.asked
    rig.finish()
    assert len(rig.asked) == len(set(rig.asked)) == 201


def test_fresh_mail_waits_behind_its_own(rig: Rig) -> None:
    """Where there is no room a fresh recipient stays in the spool, and is found in its turn."""
    rig.begin()
    items = many(100)
    rig.accept(*items)
    paths = [(item.queue_id, item.envelope.recipients[0].path) for item in items]
    let_in = [
        rig.finder.fresh(Due(1000.0, queue_id, 0, path, make.SENDER, local=False))
        for queue_id, path in paths
    ]
    assert sum(let_in) == LIMITS.ready_per_hop
    rig.start()
    rig.finish()
    assert len(set(rig.asked)) == len(rig.asked) == 100


def test_put_off_and_found(rig: Rig) -> None:
    """Whoever is put off is found at the moment, and nothing is looked for before it."""
    rig.accept(*many(30))
    rig.begin()
    rig.finish(LATER)
    assert len(rig.asked) == 30
    assert rig.finder.next == 1060.0
    rig.now = 1060.0
    rig.look()
    rig.finish()
    assert len(rig.asked) == 60


def test_put_off_while_its_strand_is_busy(rig: Rig) -> None:
    """A moment is kept though other mail for the same domain is being attempted all the time."""
    rig.accept(*many(2))
    rig.begin()
    rig.end(LATER)
    rig.now = 1060.0
    assert rig.finder.next == 1060.0
    rig.look()
    assert rig.asked.count("u0@remote.example") == 2
    rig.finish()


def test_a_later_moment_of_a_busy_strand(rig: Rig) -> None:
    """What an earlier run has put off is kept in mind while its strand is busy."""
    early, late = make.item(number=1), make.item(number=2, arrived=1500.0)
    rig.accept(early, late)
    rig.begin()
    assert len(rig.asked) == 1
    assert rig.finder.next == 1500.0
    rig.now = 1500.0
    rig.look()
    assert len(rig.asked) == 2
    rig.finish()


def test_to_be_released(rig: Rig) -> None:
    """What is accepted for later is looked at then."""
    rig.begin()
    rig.finder.put_off(COMMON, 2000.0)
    assert rig.finder.next == 2000.0


def test_looked_at_anew(rig: Rig) -> None:
    """Beginning anew in the middle of everything loses and doubles nothing."""
    rig.accept(*many(60), *many(60, "other.example", 1000, flow=BULK))
    rig.begin()
    for step in range(200):
        if not rig.under_way:
            break
        if step % 3 == 0:
            rig.begin()
        rig.end()
    assert len(set(rig.asked)) == len(rig.asked) == 120


def test_cancelled_meanwhile(rig: Rig) -> None:
    """Strands that are behind and then empty do not stop the others."""
    rig.accept(*(item for d in range(6) for item in many(30, f"d{d}.example", d * 100)))
    rig.begin()
    gone = {make.queue_id(n) for n in range(600) if n % 100 >= 3 and n < 500}
    for item in rig.spool.find(Select(), limit=1000):
        if item.queue_id in gone and not rig.lanes.busy(item.queue_id):
            rig.spool.apply([Settle(item, make.cancelled(item))])
    rig.finish()
    left = rig.spool.find(Select())
    assert [to_number(item.queue_id) for item in left] == []


class TestSharedLanes:
    """Domains whose exchanges are the same provider's."""

    def domains(self, rig: Rig, count: int) -> None:
        items = [make.item(Path("x", f"d{n:03}.example"), number=n) for n in range(count)]
        rig.accept(*items)
        rig.runs.update((f"d{n:03}.example", "big") for n in range(count))

    def test_fetched_in_turn(self, rig: Rig) -> None:
        """All of them come, and never more at once than a lane may have waiting."""
        self.domains(rig, 60)
        rig.begin()
        assert rig.most <= LIMITS.ready_per_hop
        rig.finish()
        assert sorted(rig.asked) == [f"x@d{n:03}.example" for n in range(60)]
        assert not rig.finder._strands

    def test_others_beside_them(self, rig: Rig) -> None:
        """What waits for one provider does not keep the flow's other mail from being found."""
        self.domains(rig, 60)
        rig.accept(make.item(Path("y", "other.example"), number=99))
        rig.begin()
        assert "y@other.example" in rig.asked

    def test_displaced(self, rig: Rig) -> None:
        """A recipient whose lane becomes known waits there, or behind those who do."""
        rig.accept(*[make.item(Path("x", f"d{n}.example"), number=n) for n in range(40)])
        rig.begin()
        rig.runs.update((f"d{n}.example", "big") for n in range(40))
        moved = 0
        while rig.under_way and rig.under_way[0].lane != "big":
            job = rig.under_way.popleft()
            rig.lanes.done(job)
            rig.finder.done(job)
            rig.finder.again(job.dues)
            moved += 1
            while not rig.finder.refill(job.flow, job.lane, rig.now):
                pass
            for due in job.dues:
                rig.asked.remove(str(due.path))
            rig.start()
        assert moved
        rig.finish()
        assert sorted(rig.asked) == sorted(f"x@d{n}.example" for n in range(40))

    def test_bounded(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """No more strands are remembered than there is to be; the rest is found all the same."""
        monkeypatch.setattr(module, "BEHIND", 10)
        self.domains(rig, 80)
        rig.begin()
        assert len(rig.finder._strands) <= 10 + LIMITS.ready_per_hop + LIMITS.attempts + LIMITS.page
        rig.finish()
        assert len(rig.asked) == 80
        assert rig.finder._flows[COMMON].waiting == 0
