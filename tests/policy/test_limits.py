"""What the hub allows itself."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from mailhub.policy import limits
from mailhub.policy.loop import HOPS_LIMIT

EVERY: list[Any] = [
    limits.IntakeLimits(),
    limits.JournalLimits(),
    limits.LocalLimits(),
    limits.RunnerLimits(),
    limits.RemoteLimits(),
    limits.PoolLimits(),
    limits.DnsLimits(),
    limits.DnsPatience(),
]


@pytest.mark.parametrize("value", EVERY, ids=lambda it: type(it).__name__)
def test_frozen(value: Any) -> None:
    """Limits are replaced as a whole, by those who are told to obey others: never changed."""
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, 0)


def test_what_the_standard_asks_for() -> None:
    """The defaults are not below it."""
    assert limits.IntakeLimits().hops >= HOPS_LIMIT >= 100  # RFC 5321 §6.3
    assert limits.RunnerLimits().recipients <= 100  # RFC 5321 §4.5.3.1.8
    assert limits.RemoteLimits().addresses >= 2  # RFC 5321 §5.1
    assert 3600 <= limits.DnsLimits().negative <= 3 * 3600  # RFC 2308 §5
    assert limits.DnsLimits().failure <= 300  # RFC 2308 §7


def test_memory() -> None:
    """A part is not larger than the whole."""
    journal, local, runner = limits.JournalLimits(), limits.LocalLimits(), limits.RunnerLimits()
    assert journal.inline < journal.in_flight
    assert local.sync_octets <= local.pending_octets
    assert runner.attempts_per_hop <= runner.attempts
    assert runner.ready_per_hop <= runner.ready
