"""Refusals, told one by one as long as that helps, and then in numbers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailhub.policy.refused import CROWDS, EACH, MOST, NAMED, WINDOW, Refused, Tally

NO = Refused(
    1000.0, 1000.0, 1, "RCPT", "192.0.2.1", "client.example", "", "", "a@far.example",
    "x@hub.example", "550 5.1.1 No such mailbox here", "",
)  # fmt: skip


def guess(number: int, address: str = "192.0.2.1", at: float = 1000.0) -> Refused:
    return replace(NO, at=at, until=at, recipient=f"u{number}@hub.example", address=address)


def test_one_by_one() -> None:
    """What is refused now and then is told as it was."""
    tally = Tally()
    tally.add(NO)
    assert tally.take(1000.0) == [NO]
    assert tally.take(1001.0) == []
    assert not tally.counting


def test_the_same_again() -> None:
    """A client that tries the same again and again is told once more, with a number."""
    tally = Tally()
    for at in (1000.0, 1100.0, 1200.0):
        tally.add(replace(NO, at=at, until=at))
    assert tally.take(1200.0) == [NO]
    assert tally.counting
    assert tally.take(tally.ends) == [replace(NO, at=1100.0, until=1200.0, count=2)]


def test_guesses() -> None:
    """One who guesses recipients is told some times, and then counted."""
    tally = Tally()
    for number in range(1000):
        tally.add(guess(number, at=1000.0 + number / 100))
    told = tally.take(1010.0)
    assert [it.recipient for it in told] == [f"u{n}@hub.example" for n in range(EACH)]
    [rest] = tally.take(1000.0 + WINDOW)
    assert (rest.count, rest.alike, rest.at, rest.until) == (980, True, 1000.2, 1009.99)
    tally.add(guess(0, at=2000.0))
    assert len(tally.take(2000.0)) == 1, "told one by one again"


def test_of_one_network() -> None:
    """An IPv6 client has a /64 full of addresses, and is one client."""
    tally = Tally()
    for number in range(EACH + 5):
        tally.add(guess(number, f"2001:db8::{number:x}"))
    assert len(tally.take(1000.0)) == EACH
    tally.add(guess(1, "2001:db8:0:1::1"))
    tally.add(guess(1, "fe80::1%eth0"))
    assert len(tally.take(1000.0)) == 2


def test_other_reasons() -> None:
    """Each reason is told by itself, and so is each account."""
    tally = Tally()
    for number in range(EACH):
        tally.add(guess(number))
    tally.add(replace(NO, reply="452 4.2.2 Mailbox full"))
    tally.add(replace(NO, account="ann@hub.example"))
    assert len(tally.take(1000.0)) == EACH + 2


def test_many_networks() -> None:
    """A crowd of strangers is counted, and an account in it is still told one by one."""
    tally = Tally()
    for number in range(5000):
        tally.add(guess(number, f"10.0.{number // 250}.{number % 250}"))
    tally.add(replace(NO, account="ann@hub.example"))
    told = tally.take(1000.0)
    assert len(told) == NAMED + 1
    assert told[-1].account == "ann@hub.example"
    rest = tally.rest()
    assert len(rest) == CROWDS + 1
    assert sum(it.count for it in rest) == 5000 - NAMED
    assert rest[-1].address == ""


def test_a_clock_that_was_set_back() -> None:
    """What was counted is told, and a new window begins."""
    tally = Tally()
    tally.add(NO)
    tally.add(replace(NO, at=1001.0, until=1001.0))
    tally.take(1001.0)
    assert [it.count for it in tally.take(5.0)] == [1]


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 400), st.sampled_from(["", "ann", "bob"])),
        max_size=300,
    )
)
def test_none_is_lost(tries: list[tuple[int, int, str]]) -> None:
    """Every refusal is in one row, and there are not many rows."""
    tally, told = Tally(), []
    at = 1000.0
    for later, number, account in tries:
        at += later
        tally.add(replace(guess(number, at=at), account=account))
        if number % 5 == 0:
            told += tally.take(at)
    told += tally.rest()
    assert sum(it.count for it in told) == len(tries)
    assert len(told) <= MOST
