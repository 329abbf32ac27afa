"""What is chosen is found by an index, and is what looking at everything would find."""

from __future__ import annotations

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.queue.change import Accept, Hold, Select
from mailhub.queue.choosing import INDEXED, Way, conditions, domains_of, found_by, way_of
from mailhub.queue.flow import Flow
from mailhub.queue.item import Item, Origin, new_item
from mailhub.queue.rows import State
from mailhub.queue.spool import Spool
from tests.queue import given as make

ANN, BOB = Path("ann", "hub.example"), Path("Bob", "hub.example")
FAR = [Path("x", f"d{n}.example") for n in range(3)]
SELECTIONS = [
    Select(sender=Path("ANN", "hub.example")),
    Select(sender_domain="hub.example"),
    Select(account=Path("Ann", "hub.example")),
    Select(recipient=Path("X", "d1.example")),
    Select(domain="d1.example"),
    Select(domains=("d1.example", "d2.example", "no.example")),
    Select(domains=("d1.example",)),
    Select(domain="d1.example", account=ANN),
    Select(sender=BOB, recipient=Path("x", "d0.example")),
    Select(queue_ids=(make.queue_id(3), make.queue_id(4))),
    Select(sender=NULL),
    Select(),
]


def item(number: int) -> Item:
    who = (ANN, BOB)[number % 2]
    sender = NULL if number % 7 == 0 else who
    recipients = tuple(Recipient(FAR[(number + n) % 3]) for n in range(1 + number % 2))
    return new_item(
        make.queue_id(number),
        1000.0,
        Envelope(sender, recipients),
        [None] * len(recipients),
        1,
        Origin("192.0.2.1", "c", "ESMTPSA", str(who)),
        flow=Flow(str(who).casefold(), ("normal", "bulk")[number % 3 == 0]),
    )


@pytest.fixture
def filled(spool: Spool) -> Spool:
    spool.apply([Accept(item(number), b"x") for number in range(30)])
    held = Select(queue_ids=tuple(make.queue_id(number) for number in range(0, 30, 4)))
    make.amended(spool, Hold(held, "for a test"))
    return spool


def expected(select: Select, state: State) -> list[tuple[int, int]]:
    """Items and recipients, by looking at each."""
    found = []
    for number in range(30):
        it = item(number)
        if (number % 4 == 0) != (state is State.HELD):
            continue
        for place, recipient in enumerate(it.envelope.recipients):
            if fits(select, it, recipient.path):
                found.append((number, place))
    return found


def fits(select: Select, it: Item, path: Path) -> bool:
    def same(one: Path | None, other: object) -> bool:
        return one is None or str(one).casefold() == str(other).casefold()

    sender = it.envelope.reverse_path
    return (
        (not select.queue_ids or it.queue_id in select.queue_ids)
        and same(select.sender, sender)
        and select.sender_domain in (None, sender.domain)
        and same(select.recipient, path)
        and select.domain in (None, path.domain)
        and (not select.domains or path.domain in select.domains)
        and same(select.account, it.origin.account)
    )


@pytest.mark.parametrize("select", SELECTIONS)
@pytest.mark.parametrize("state", sorted(INDEXED))
def test_found(filled: Spool, select: Select, state: State) -> None:
    """The items, page by page, in order."""
    wanted = list(dict.fromkeys(number for number, _ in expected(select, state)))
    ids = []
    after = None
    while page := filled.find(select, after, 4, (state,)):
        ids += [it.queue_id for it in page]
        after = page[-1].queue_id
    assert ids == [make.queue_id(number) for number in wanted]


@pytest.mark.parametrize("select", SELECTIONS)
def test_both_states(filled: Spool, select: Select) -> None:
    """Pending and held ones together, each item once; other states by looking."""
    wanted = {number for state in INDEXED for number, _ in expected(select, state)}
    found = filled.find(select, None, 100, INDEXED)
    assert [it.queue_id for it in found] == [make.queue_id(n) for n in sorted(wanted)]
    assert filled.find(select, None, 100, tuple(State)) == found


@pytest.mark.parametrize("select", SELECTIONS)
def test_changed(filled: Spool, select: Select, monkeypatch: pytest.MonkeyPatch) -> None:
    """An amendment reaches all that are chosen, and nobody else, in steps of any size."""
    changed: list[tuple[int, int]] = []
    filled.amended = lambda change, keys: changed.extend((it.item, it.number) for it in keys)
    make.amended(filled, Hold(select, "why"), limit=2)
    numbers = {make.queue_id(n): n for n in range(30)}
    from mailhub.queue.ids import to_queue_id  # noqa: PLC0415

    assert sorted((numbers[to_queue_id(it)], place) for it, place in changed) == expected(
        select, State.PENDING
    )


@pytest.mark.parametrize(
    ("select", "way"),
    [
        (Select(queue_ids=(make.queue_id(1),), domain="x.example"), Way.ITEMS),
        (Select(recipient=BOB, sender=ANN), Way.DOMAINS),
        (Select(domains=("a.example",), account=ANN), Way.DOMAINS),
        (Select(account=ANN, sender=ANN), Way.ACCOUNT),
        (Select(sender=ANN), Way.SENDER),
        (Select(sender_domain="x.example"), Way.SENDER),
        (Select(), Way.ALL),
    ],
)
def test_ways(select: Select, way: Way) -> None:
    """The narrowest of what is said."""
    assert way_of(select) is way


def test_domains() -> None:
    """A recipient has one, and several may be named."""
    assert domains_of(Select(recipient=BOB)) == ("hub.example",)
    assert domains_of(Select(domain="a.example")) == ("a.example",)
    assert domains_of(Select(domains=("a.example", "b.example"))) == ("a.example", "b.example")
    assert domains_of(Select(sender=BOB)) == ()


@pytest.mark.parametrize("state", sorted(INDEXED))
@pytest.mark.parametrize("select", SELECTIONS)
def test_plans(filled: Spool, select: Select, state: State) -> None:
    """No table is looked through where something is chosen that has an index."""
    if way_of(select) not in (Way.DOMAINS, Way.ACCOUNT):
        return
    found, where = found_by(select, state), conditions(select)
    plan = filled._database.rows(
        "EXPLAIN QUERY PLAN SELECT r.item FROM recipient r CROSS JOIN item i ON i.id=r.item"
        f" WHERE r.state={state:d} AND {found.sql} {where.sql}",
        *found.parameters,
        *where.parameters,
    )
    steps = [row[3] for row in plan]
    index = "waiting" if state is State.PENDING else "held"
    assert any(f"SEARCH r USING INDEX {index} (flow=?" in step for step in steps), steps
