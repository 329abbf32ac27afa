"""Lanes: whose turn it is, and what is kept in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import Path
from mailhub.policy.limits import RunnerLimits
from mailhub.ports import QueueId
from mailhub.queue.change import Due
from mailhub.relay.lane import Job, Lane, Lanes
from tests.queue import given as make


def due(item: int, number: int = 0, domain: str = "a.example") -> Due:
    return Due(1000.0, make.queue_id(item), number, Path("x", domain), make.SENDER, local=False)


def take(lanes: Lanes) -> Job:
    job = lanes.next()
    assert job is not None
    return job


def ask(lanes: Lanes) -> tuple[Lane, str, int]:
    wanted = lanes.wanted()
    assert wanted is not None
    return wanted


def test_turns_between_hops() -> None:
    """A hop with much to do does not hold up the others."""
    lanes = Lanes(RunnerLimits())
    for n in range(3):
        lanes.admit("a", due(n))
    lanes.admit("b", due(10))
    hops = [take(lanes).lane.hop for _ in range(4)]
    assert hops == ["a", "b", "a", "a"]
    assert lanes.next() is None


def test_turns_between_items() -> None:
    """An item with many recipients goes behind the others after each attempt."""
    lanes = Lanes(RunnerLimits(recipients=2))
    for n in range(5):
        lanes.admit("a", due(1, n))
    lanes.admit("a", due(2))
    jobs = [take(lanes) for _ in range(4)]
    assert [(job.queue_id == make.queue_id(1), job.numbers) for job in jobs] == [
        (True, (0, 1)),
        (False, (0,)),
        (True, (2, 3)),
        (True, (4,)),
    ]


def test_a_hop_that_is_slow() -> None:
    """Attempts are limited for each hop, and in all."""
    lanes = Lanes(RunnerLimits(attempts=3, attempts_per_hop=2))
    for n in range(5):
        lanes.admit("slow", due(n))
        lanes.admit("b", due(n, 1))
    hops = [take(lanes).lane.hop for _ in range(3)]
    assert sorted(map(str, hops)) == ["b", "slow", "slow"]
    assert lanes.next() is None
    lanes = Lanes(RunnerLimits(attempts_per_hop=1))
    lanes.admit("slow", due(1))
    lanes.admit("slow", due(2))
    first = take(lanes)
    assert lanes.next() is None
    lanes.done(first)
    assert take(lanes).queue_id == make.queue_id(2)


def test_once() -> None:
    """A recipient that waits or is under way is not admitted again, until that is over."""
    lanes = Lanes(RunnerLimits())
    assert lanes.admit("a", due(1))
    assert lanes.admit("a", due(1))
    job = take(lanes)
    assert lanes.next() is None
    assert lanes.admit("a", due(1))
    assert lanes.next() is None
    assert lanes.busy(job.queue_id)
    lanes.done(job)
    assert not lanes.busy(job.queue_id)
    assert len(lanes) == 0
    lanes.admit("a", due(1))
    assert lanes.next() is not None


def test_backlog() -> None:
    """What finds no room is remembered by its domain, and asked for when there is room."""
    lanes = Lanes(RunnerLimits(ready_per_hop=4, page=10))
    assert all(lanes.admit("a", due(n)) for n in range(4))
    assert not lanes.admit("a", due(4, domain="b.example"))
    assert not lanes.admit("a", due(5, domain="c.example"))
    assert lanes.hungry
    assert lanes.wanted() is None
    jobs = [take(lanes), take(lanes)]
    lane, domain, limit = ask(lanes)
    assert (lane.hop, domain, limit) == ("a", "b.example", 14)
    lanes.refill(lane, domain, limit, [("a", due(4, domain="b.example"))])
    assert lanes.hungry
    for job in jobs:
        lanes.done(job)
    take(lanes)
    lane, domain, limit = ask(lanes)
    assert domain == "c.example"
    lanes.refill(lane, domain, limit, [])
    assert not lanes.hungry
    assert lanes.wanted() is None


def test_a_backlog_that_goes_on() -> None:
    """A domain of which there is more than was asked for stays in the backlog."""
    lanes = Lanes(RunnerLimits(ready_per_hop=2, page=1))
    for n in range(4):
        lanes.admit("a", due(n))
    job = take(lanes)
    lanes.done(job)
    lane, domain, limit = ask(lanes)
    assert limit == 2
    lanes.refill(lane, domain, limit, [("a", due(1)), ("a", due(2))])
    assert list(lane.backlog) == ["a.example"]


def test_a_full_house() -> None:
    """The limit of all hops together makes a new hop wait in the backlog, and it is not lost."""
    lanes = Lanes(RunnerLimits(ready=2))
    assert lanes.admit("a", due(1))
    assert lanes.admit("a", due(2))
    assert not lanes.admit("b", due(3, domain="b.example"))
    lanes.done(take(lanes))
    lane, domain, limit = ask(lanes)
    assert (lane.hop, domain) == ("b", "b.example")
    lanes.refill(lane, domain, limit, [("b", due(3, domain="b.example"))])
    assert {str(take(lanes).lane.hop), str(take(lanes).lane.hop)} == {"a", "b"}
    lanes = Lanes(RunnerLimits(ready=1))
    lanes.admit("a", due(1))
    lanes.admit("b", due(2, domain="b.example"))
    lanes.done(take(lanes))
    lane, domain, limit = ask(lanes)
    lanes.refill(lane, domain, limit, [])
    assert len(lanes) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 9)) | st.just("run"),
        max_size=60,
    )
)
def test_everything_gets_its_turn(steps: list[tuple[str, int, int] | str]) -> None:
    """Whatever comes in whatever order is attempted: at once or from the backlog, one at a time."""
    limits = RunnerLimits(
        attempts=3, attempts_per_hop=2, recipients=2, ready=8, ready_per_hop=4, page=2
    )
    lanes = Lanes(limits)
    spool: dict[tuple[QueueId, int], str] = {}  # what is due, and its hop
    under_way: list[Job] = []
    attempted: set[tuple[QueueId, int]] = set()

    def settle() -> None:
        job = under_way.pop(0)
        for number in job.numbers:
            assert (job.queue_id, number) not in attempted
            attempted.add((job.queue_id, number))
            assert spool.pop((job.queue_id, number)) == job.lane.hop
        lanes.done(job)
        if wanted := lanes.wanted():
            lane, domain, limit = wanted
            rows = [
                (hop, Due(1.0, q, n, Path("x", hop), make.SENDER, local=False))
                for (q, n), hop in spool.items()
                if hop == domain
            ]
            lanes.refill(lane, domain, limit, rows[:limit])

    for step in steps:
        if isinstance(step, str):
            if under_way:
                settle()
        else:
            hop, item, number = step
            each = due(item * 3 + "abc".index(hop), number, hop)
            if (each.queue_id, number) not in attempted:
                spool[each.queue_id, number] = hop
                lanes.admit(hop, each)
        while job := lanes.next():
            under_way.append(job)
            assert len(job.numbers) <= 2
        assert len(under_way) <= 3
    while under_way:
        settle()
        while job := lanes.next():
            under_way.append(job)
    assert spool == {}
    assert len(lanes) == 0
