"""Guessing becomes slow, and nobody is locked out by another's guesses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.accounts.throttle import Attempt, Limits, Throttle, canonical, network

LIMITS = Limits(
    free=3,
    first_delay=1.0,
    longest_delay=8.0,
    address_refused=10,
    account_refused=20,
    half_life=100.0,
    proven=10_000.0,
    places=50,
)


def delays(throttle: Throttle, where: str, account: str, times: int) -> list[float | None]:
    """The waits of so many failures in a row."""
    found = (throttle.begin(where, account, 0.0) for _ in range(times))
    return [None if attempt is None else attempt.delay for attempt in found]


def begin(throttle: Throttle, where: str, account: str, now: float) -> Attempt:
    """An attempt that must not be refused."""
    attempt = throttle.begin(where, account, now)
    assert attempt is not None
    return attempt


def test_growing() -> None:
    """Some failures are free, then waits double up to a bound, then nothing is checked."""
    throttle = Throttle(LIMITS)
    assert delays(throttle, "a", "x", 12) == [0, 0, 0, 1, 2, 4, 8, 8, 8, 8, None, None]


def test_many_accounts() -> None:
    """A network that tries each account once is slowed all the same."""
    throttle = Throttle(LIMITS)
    found = [delays(throttle, "a", f"x{number}", 1)[0] for number in range(11)]
    assert found[:4] == [0, 0, 0, 1]
    assert found[10] is None


def test_other_limits() -> None:
    """Failures that were counted before are judged by the limits of the moment."""
    throttle = Throttle(LIMITS)
    delays(throttle, "a", "x", 6)
    throttle.obey(replace(LIMITS, free=0, first_delay=0.5, longest_delay=3.0))
    assert delays(throttle, "a", "x", 1) == [3.0]
    throttle.obey(replace(LIMITS, address_refused=5))
    assert throttle.begin("a", "y", 0.0) is None
    throttle.obey(replace(LIMITS, half_life=1.0))
    assert begin(throttle, "a", "x", 10.0).delay == 0.0


def test_fewer_places() -> None:
    """Where fewer are to be remembered, the oldest are forgotten when the next one comes."""
    throttle = Throttle(LIMITS)
    for number in range(40):
        throttle.succeeded(begin(throttle, f"net{number}", f"x{number}", 0.0), 0.0)
    throttle.obey(replace(LIMITS, places=5))
    throttle.succeeded(begin(throttle, "a", "a", 0.0), 0.0)
    begin(throttle, "b", "b", 0.0)
    assert len(throttle._proven) == 5
    assert not begin(throttle, "net10", "x10", 0.0).known
    assert begin(throttle, "net39", "x39", 0.0).known


def test_many_networks() -> None:
    """An account that is tried from everywhere is guarded, and others are not affected."""
    throttle = Throttle(LIMITS)
    found = [delays(throttle, f"net{number}", "x", 1)[0] for number in range(21)]
    assert found[3] == 1
    assert found[20] is None
    assert delays(throttle, "net99", "y", 1) == [0]


def test_decay() -> None:
    """Time forgives."""
    throttle = Throttle(LIMITS)
    delays(throttle, "a", "x", 10)
    assert throttle.begin("a", "x", 0.0) is None
    assert begin(throttle, "a", "x", 100.0).delay == 4  # 5 failures are left: 2 over
    assert begin(throttle, "a", "x", 1000.0).delay == 0


def test_success_forgives_itself_only() -> None:
    """Logging in to an account of one's own does not wipe out guesses at others'."""
    throttle = Throttle(LIMITS)
    delays(throttle, "a", "victim", 5)
    for _ in range(20):
        throttle.succeeded(begin(throttle, "a", "mine", 0.0), 0.0)
    [delay] = delays(throttle, "a", "victim", 1)
    assert delay == 4


def test_proven_is_not_locked_out() -> None:
    """Where one has logged in before one can, whatever others do there or elsewhere."""
    throttle = Throttle(LIMITS)
    throttle.succeeded(begin(throttle, "home", "x", 0.0), 0.0)
    delays(throttle, "home", "y", 30)
    for number in range(30):
        delays(throttle, f"net{number}", "x", 1)
    assert throttle.begin("elsewhere", "x", 0.0) is None
    assert begin(throttle, "home", "x", 0.0).delay == 0


def test_proven_is_slowed() -> None:
    """Guesses from a known place at the known account are slowed, too, until one is right."""
    throttle = Throttle(LIMITS)
    throttle.succeeded(begin(throttle, "home", "x", 0.0), 0.0)
    assert delays(throttle, "home", "x", 20)[-1] == 8
    throttle.succeeded(begin(throttle, "home", "x", 0.0), 0.0)
    assert begin(throttle, "home", "x", 0.0).delay == 0


def test_proven_is_prompt() -> None:
    """Where one has logged in before only wrong passwords wait, up to a number of them."""
    throttle = Throttle(LIMITS)
    throttle.succeeded(begin(throttle, "home", "x", 0.0), 0.0)
    assert [begin(throttle, "home", "x", 0.0).prompt for _ in range(12)] == [True] * 10 + [
        False
    ] * 2
    assert not begin(throttle, "elsewhere", "x", 0.0).prompt


def test_welcome() -> None:
    """Where somebody has just logged in nobody is refused for others, and all wait less."""
    throttle = Throttle(LIMITS)
    throttle.succeeded(begin(throttle, "office", "x", 0.0), 0.0)
    assert delays(throttle, "office", "y", 3) == [0, 0, 0]
    assert delays(throttle, "office", "z", 20) == [1, 1.6, 1.6, 1.6, 2, 4, *[8] * 14]
    assert delays(throttle, "office", "y2", 1) == [1.6]
    assert begin(throttle, "office", "y3", 3599.0).delay == 0
    for number in range(30):
        throttle.begin("office", f"w{number}", 3700.0)
    assert throttle.begin("office", "y4", 3700.0) is None


def test_proof_ages() -> None:
    """A place is known for a time."""
    throttle = Throttle(LIMITS)
    throttle.succeeded(begin(throttle, "home", "x", 0.0), 0.0)
    assert begin(throttle, "home", "x", 9_999.0).known
    assert not begin(throttle, "home", "x", 10_000.0).known


def test_withdrawn() -> None:
    """An attempt that nobody could judge does not count, known or not."""
    throttle = Throttle(LIMITS)
    for _ in range(30):
        throttle.withdrawn(begin(throttle, "a", "x", 0.0), 0.0)
    throttle.succeeded(begin(throttle, "a", "x", 0.0), 0.0)
    for _ in range(30):
        throttle.withdrawn(begin(throttle, "a", "x", 0.0), 0.0)
    assert begin(throttle, "a", "x", 0.0).delay == 0


def test_unknown_network() -> None:
    """Those who come from no address are slowed for the account alone."""
    throttle = Throttle(LIMITS)
    for number in range(30):
        assert begin(throttle, "", f"x{number}", 0.0).delay == 0
    assert delays(throttle, "", "x", 5)[-1] == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 200), st.booleans(), st.floats(0, 50)),
        max_size=60,
    )
)
def test_invariants(events: list[tuple[int, int, bool, float]]) -> None:
    """Memory is bounded, waits are bounded, and a proven pair is never refused."""
    throttle = Throttle(LIMITS)
    now = 0.0
    proven: list[tuple[str, str]] = []
    for place, name, success, passed in events:
        now += passed
        where, account = f"n{place % 7}", f"a{name % 5}"
        attempt = throttle.begin(where, account, now)
        if (where, account) in proven and now < LIMITS.proven:
            assert attempt is not None
        if attempt is None:
            continue
        assert 0 <= attempt.delay <= LIMITS.longest_delay
        if success:
            throttle.succeeded(attempt, now)
            proven.append((where, account))
    for number in range(60):
        delays(throttle, f"n{number}", f"a{number}", 1)
        throttle.succeeded(begin(throttle, f"m{number}", f"b{number}", now), now)
    for kept in (throttle._networks, throttle._accounts, throttle._pairs):
        assert len(kept._counts) <= LIMITS.places
    assert len(throttle._proven) <= LIMITS.places
    assert len(throttle._welcome) <= LIMITS.places


@pytest.mark.parametrize(
    ("address", "plain", "net"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:1::5", "2001:db8::1:0:0:5", "2001:db8::/64"),
        ("2001:db8:0:1::5", "2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("/run/socket", "/run/socket", "/run/socket"),
        ("a:b", "a:b", "a:b"),
        ("", "", ""),
    ],
)
def test_addresses(address: str, plain: str, net: str) -> None:
    """One client has one spelling, and one customer one network (RFC 6177 §2)."""
    assert canonical(address) == plain
    assert network(address) == net
