"""Lanes: whose turn it is, and what is kept in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import Path
from mailhub.policy.limits import RunnerLimits
from mailhub.queue.change import Due
from mailhub.queue.flow import COMMON, Flow
from mailhub.relay.lane import FOOTHOLD, Job, Lanes
from tests.queue import given as make

BULK = Flow("shop@hub.example", "bulk")
RESET = Flow("shop@hub.example", "normal")
OTHER = Flow("eve@hub.example", "normal")
WEIGHTS = {"bulk": 1.0, "normal": 10.0}


def due(item: int, number: int = 0, flow: Flow = COMMON, domain: str = "a.example") -> Due:
    path = Path("x", domain)
    return Due(1000.0, make.queue_id(item), number, path, make.SENDER, local=False, flow=flow)


def weigh(flow: Flow) -> float:
    return WEIGHTS[flow.name]


def take(lanes: Lanes) -> Job:
    job = lanes.next()
    assert job is not None
    return job


def test_turns_between_hops() -> None:
    """A hop with much to do does not hold up the others."""
    lanes = Lanes(RunnerLimits())
    for n in range(3):
        lanes.admit("a", due(n))
    lanes.admit("b", due(10))
    assert [take(lanes).hop for _ in range(4)] == ["a", "b", "a", "a"]
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


def test_those_who_go_alone() -> None:
    """Recipients that must not share an attempt have one each, and a turn for each."""
    lanes = Lanes(RunnerLimits(recipients=5), alone=lambda due: due.flow == BULK)
    for n in range(3):
        lanes.admit("a", due(1, n, BULK))
        lanes.admit("a", due(2, n, RESET))
    jobs = [take(lanes) for _ in range(4)]
    assert sorted((job.flow.name, job.numbers) for job in jobs) == [
        ("bulk", (0,)),
        ("bulk", (1,)),
        ("bulk", (2,)),
        ("normal", (0, 1, 2)),
    ]


def test_a_hop_that_is_slow() -> None:
    """Attempts are limited for each hop, and in all; who was refused has the next free place."""
    lanes = Lanes(RunnerLimits(attempts=3, attempts_per_hop=2))
    for n in range(5):
        lanes.admit("slow", due(n))
        lanes.admit("b", due(n, 1))
    hops = [take(lanes).hop for _ in range(3)]
    assert sorted(map(str, hops)) in (["b", "b", "slow"], ["b", "slow", "slow"])
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
    assert job.numbers == (0,)
    assert lanes.admit("a", due(1))
    assert lanes.next() is None
    assert lanes.busy(job.queue_id)
    lanes.done(job)
    assert not lanes.busy(job.queue_id)
    assert len(lanes) == 0
    lanes.admit("a", due(1))
    assert take(lanes).numbers == (0,)


def test_a_campaign_takes_its_share() -> None:
    """Senders share by what their mail weighs: one bulk attempt for ten others."""
    lanes = Lanes(RunnerLimits(attempts=1), weigh)
    for n in range(200):
        lanes.admit("a", due(n, flow=BULK))
        lanes.admit("a", due(n, 1, flow=OTHER))
    served: Counter[str] = Counter()
    for _ in range(110):
        job = take(lanes)
        served[job.flow.name] += 1
        lanes.done(job)
    assert 8 <= served["bulk"] <= 12


def test_a_single_message_of_the_campaigner() -> None:
    """What a sender sends beside his campaign is next, and finds a place though all are taken."""
    lanes = Lanes(RunnerLimits(attempts=20, attempts_per_hop=10), weigh)
    for n in range(1000):
        lanes.admit("a", due(n, flow=BULK))
        lanes.admit(f"hop{n}", due(n, 1, flow=BULK, domain=f"d{n}.example"))
    busy = []
    while (job := lanes.next()) is not None:
        busy.append(job)
    assert len(busy) == 18, "the last tenth is free"
    assert Counter(job.hop for job in busy)["a"] <= 9
    assert lanes.admit("a", due(5000, flow=RESET))
    assert take(lanes).flow == RESET


def test_who_was_silent_is_next() -> None:
    """Whoever comes into a crowd has his turn at once, and gains nothing by having waited."""
    lanes = Lanes(RunnerLimits(attempts=1), weigh)
    third = Flow("bob@hub.example", "normal")
    for n in range(100):
        lanes.admit("a", due(n, flow=OTHER))
        lanes.admit("a", due(n, 1, flow=third))
    for _ in range(50):
        lanes.done(take(lanes))
    for n in range(30):
        lanes.admit("a", due(1000 + n, flow=RESET))
    served: Counter[Flow] = Counter()
    for _ in range(30):
        job = take(lanes)
        served[job.flow] += 1
        lanes.done(job)
    assert all(9 <= served[flow] <= 11 for flow in (OTHER, third, RESET)), served


def test_a_full_house() -> None:
    """No flow fills memory: half of what is free is left to others, and everybody gets in."""
    lanes = Lanes(RunnerLimits(ready=100, ready_per_hop=1000))
    admitted = sum(lanes.admit(f"h{n}", due(n, flow=BULK)) for n in range(300))
    assert admitted == 33
    assert sum(lanes.admit(f"h{n}", due(n, 1, flow=OTHER)) for n in range(300)) == 22
    for number in range(30):
        flow = Flow(f"late{number}")
        let_in = sum(lanes.admit(f"h{n}", due(n, 2 + number, flow=flow)) for n in range(300))
        assert let_in >= min(FOOTHOLD, 300)


def test_a_dead_hop_does_not_fill_a_flows_room() -> None:
    """One hop's mail takes half of what its flow may have, at most."""
    lanes = Lanes(RunnerLimits(ready=400, ready_per_hop=1000))
    assert 60 <= sum(lanes.admit("dead", due(n)) for n in range(1000)) <= 100
    assert lanes.admit("live", due(5000))
    assert not lanes.wants("dead", COMMON)
    assert lanes.wants("live", COMMON)


def test_more_places() -> None:
    """When limits rise, those who were refused a place are looked at again."""
    lanes = Lanes(RunnerLimits(attempts_per_hop=1))
    for n in range(3):
        lanes.admit("a", due(n))
    take(lanes)
    assert lanes.next() is None
    lanes.limits = RunnerLimits(attempts_per_hop=3)
    lanes.relax()
    assert lanes.next() is not None
    assert lanes.next() is not None


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(1, 30),
            st.integers(0, 4),
            st.sampled_from([BULK, RESET, OTHER, COMMON]),
        ),
        max_size=120,
    ),
    st.integers(1, 4),
    st.integers(1, 3),
    st.data(),
)
def test_everything_gets_its_turn(
    asked: list[tuple[str, int, int, Flow]], attempts: int, per_hop: int, data: st.DataObject
) -> None:
    """Whatever ends in whatever order, all that was let in is served once, within the limits."""
    limits = RunnerLimits(attempts=attempts, attempts_per_hop=per_hop, recipients=2)
    lanes = Lanes(limits, weigh)
    hops: dict[int, tuple[str, Flow]] = {}
    wanted = set()
    for hop, item, number, flow in asked:
        to, its = hops.setdefault(item, (hop, flow))
        if lanes.admit(to, due(item, number, its)):
            wanted.add((make.queue_id(item), number))
    served: list[tuple[str, int]] = []
    busy: list[Job] = []
    while True:
        while (job := lanes.next()) is not None:
            busy.append(job)
            served += [(job.queue_id, number) for number in job.numbers]
        assert len(busy) <= attempts
        assert all(count <= per_hop for count in Counter(job.hop for job in busy).values())
        if not busy:
            break
        lanes.done(busy.pop(data.draw(st.integers(0, len(busy) - 1))))
    assert sorted(served) == sorted(wanted)
    assert len(lanes) == 0


def of(places: dict[str, int]) -> Callable[[Hashable], int | None]:
    """The places of lanes; as many as anywhere in those that are not named."""
    return lambda key: places.get(str(key))


class TestSharedLanes:
    """Hops with the same hosts have their places together."""

    def test_places(self) -> None:
        """As many attempts as the lane has places, whichever hops they are for."""
        lanes = Lanes(RunnerLimits(), places=of({"big": 2}))
        for n in range(4):
            lanes.admit(f"d{n}", due(n, domain=f"d{n}"), "big")
        lanes.admit("alone", due(9))
        jobs = [take(lanes) for _ in range(3)]
        assert lanes.next() is None
        assert [(job.hop, job.lane) for job in jobs if job.lane == "big"] == [
            ("d0", "big"),
            ("d1", "big"),
        ]
        lanes.done(jobs[0])
        assert take(lanes).hop == "d2"

    def test_one_hop_each(self) -> None:
        """An item's recipients are attempted hop by hop, though the lane is one."""
        lanes = Lanes(RunnerLimits())
        for n, hop in enumerate("abab"):
            lanes.admit(hop, due(1, n), "big")
        assert [(it.hop, it.numbers) for it in (take(lanes), take(lanes))] == [
            ("a", (0, 2)),
            ("b", (1, 3)),
        ]

    def test_more_places(self) -> None:
        """Places that were added are taken once an attempt has ended."""
        places = {"big": 1}
        lanes = Lanes(RunnerLimits(), places=of(places))
        for n in range(5):
            lanes.admit(f"d{n}", due(n), "big")
        job = take(lanes)
        assert lanes.next() is None
        places["big"] = 3
        lanes.done(job)
        assert [take(lanes).hop for _ in range(3)] == ["d1", "d2", "d3"]
        assert lanes.next() is None

    def test_the_next_turn(self) -> None:
        """A place that becomes free goes to the sender whose turn it is, however many wait."""
        lanes = Lanes(RunnerLimits(), places=of({"big": 1}))
        flows = [Flow(f"s{n}@hub.example", "normal") for n in range(20)]
        for n, flow in enumerate(flows):
            for item in range(2):
                lanes.admit("d", due(10 * n + item, flow=flow), "big")
        lanes.admit("alone", due(999, flow=flows[3]))
        served = []
        under_way = []
        while (job := lanes.next()) is not None:
            under_way.append(job)
        while under_way:
            job = under_way.pop(0)
            if job.lane == "big":
                served.append(job.flow)
            lanes.done(job)
            while (job_ := lanes.next()) is not None:
                under_way.append(job_)
        first = served[:19]
        assert len(set(first)) == 19, "nobody twice before all others"
        assert flows[3] not in first, "who was served elsewhere comes later"
        assert Counter(served) == Counter(flows * 2)

    def test_looking_at_few(self) -> None:
        """Whose turn it is is found without looking at all that wait."""
        looked = []

        def places(key: object) -> int:
            looked.append(key)
            return 1

        lanes = Lanes(RunnerLimits(ready=100_000), places=places)
        for n in range(2000):
            lanes.admit("d", due(n, flow=Flow(f"s{n}", "normal")), "big")
        job = take(lanes)
        assert lanes.next() is None
        looked.clear()
        lanes.done(job)
        take(lanes)
        assert len(looked) < 10
