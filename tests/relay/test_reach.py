"""Addresses in order, and those that must not be used."""

from __future__ import annotations

import pytest

from mailhub.mail.reply import Refusal
from mailhub.policy.limits import Family
from mailhub.policy.provider import Source
from mailhub.relay.reach import Astray, UnnamedAddresses, in_order, usable

ONE, TWO, SIX, OURS = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::99"


def test_order() -> None:
    """A family may come first, or alone."""
    found = [ONE, SIX, TWO]
    orders = {family: in_order(found, family, lambda _: None) for family in Family}
    assert orders[Family.BOTH] == [SIX, ONE, TWO]
    assert orders[Family.IPV4_FIRST] == [ONE, SIX, TWO]
    assert orders[Family.IPV4] == [ONE, TWO]
    assert orders[Family.IPV6] == [SIX]


def test_usable() -> None:
    """A source of one family reaches that; one without a name does not show itself over IPv6."""
    assert usable("mx", [ONE, SIX], Source(), unnamed=False) == [ONE, SIX]
    assert usable("mx", [ONE, SIX], Source(), unnamed=True) == [ONE]
    assert usable("mx", [ONE, SIX], Source("six", ipv6=OURS), unnamed=False) == [SIX]
    with pytest.raises(Refusal, match="source six"):
        usable("mx", [ONE], Source("six", ipv6=OURS), unnamed=False)
    with pytest.raises(Refusal, match="named addresses"):
        usable("mx", [SIX], Source(), unnamed=True)


def test_unnamed_for_an_hour() -> None:
    """After an hour it is looked again."""
    unnamed = UnnamedAddresses()
    unnamed.add(OURS, 1000.0)
    assert unnamed.any(OURS, 1001.0)
    assert unnamed.any("", 1001.0)
    assert not unnamed.any("2001:db8::5", 1001.0)
    assert not unnamed.any("", 1000.0 + UnnamedAddresses.LONGEST)


def test_astray() -> None:
    """Hosts that lose their way are remembered for a while, and not without end."""
    astray = Astray()
    astray.add("a.example", 100.0)
    assert astray.has("a.example", 99.0)
    assert not astray.has("a.example", 100.0)
    assert not astray.has("b.example", 99.0)
    for number in range(Astray.MOST):
        astray.add(f"{number}.example", 200.0)
    assert not astray.has("a.example", 99.0)
    assert astray.has("0.example", 99.0)
