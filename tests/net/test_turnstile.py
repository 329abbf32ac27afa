"""The turnstile."""

from __future__ import annotations

from mailhub.net.turnstile import Full, Turnstile


def test_total() -> None:
    """One too many in all is kept out, until somebody leaves."""
    turnstile = Turnstile(total=2)
    assert turnstile.enter("192.0.2.1") is None
    assert turnstile.enter("192.0.2.1") is None
    assert turnstile.enter("192.0.2.2") is Full.IN_ALL
    turnstile.leave("192.0.2.1")
    assert turnstile.enter("192.0.2.2") is None
    assert turnstile.inside == 2


def test_per_address() -> None:
    """One too many from an address is kept out; an IPv6 /64 is one address."""
    turnstile = Turnstile(per_address=1)
    assert turnstile.enter("192.0.2.1") is None
    assert turnstile.enter("192.0.2.1") is Full.FROM_THERE
    assert turnstile.enter("192.0.2.2") is None
    assert turnstile.enter("2001:db8::1") is None
    assert turnstile.enter("2001:db8::2%eth0") is Full.FROM_THERE
    assert turnstile.enter("2001:db8:0:1::1") is None
    turnstile.leave("2001:db8::1")
    assert turnstile.enter("2001:db8::2") is None


def test_unlimited() -> None:
    """0 is no limit; limits may change while people are inside; odd addresses count as they are."""
    turnstile = Turnstile()
    for _ in range(100):
        assert turnstile.enter(":odd") is None
    turnstile.per_address = 50
    assert turnstile.enter(":odd") is Full.FROM_THERE
    for _ in range(100):
        turnstile.leave(":odd")
    assert turnstile.inside == 0
    assert turnstile.enter(":odd") is None
