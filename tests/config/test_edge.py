"""What the configuration says of the edge is what the edge says of itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from mailhub.config import edge
from mailhub.config.edge import like
from mailhub.net.dns import DnsLimits
from mailhub.net.dnswire import Patience
from mailhub.net.journal import Limits as JournalLimits
from mailhub.relay.intake import Limits as IntakeLimits
from mailhub.relay.lane import Limits as LaneLimits
from mailhub.relay.pool import PoolLimits
from mailhub.relay.remote import Family, RemoteLimits

PAIRS: list[tuple[Any, Any]] = [
    (edge.Pool(), PoolLimits()),
    (edge.Runner(), LaneLimits()),
    (edge.Intake(), IntakeLimits()),
    (edge.Journal(), JournalLimits()),
    (edge.DnsCache(), DnsLimits()),
    (edge.DnsPatience(), Patience()),
]


@pytest.mark.parametrize(("told", "obeyed"), PAIRS, ids=lambda it: type(it).__qualname__)
def test_same(told: Any, obeyed: Any) -> None:
    """Each has the attributes and defaults of the edge's own, and becomes it."""
    assert asdict(told) == asdict(obeyed)
    assert like(type(obeyed), told) == obeyed


def test_reach() -> None:
    """A family is a word in the configuration, and a member of the edge's enumeration."""
    assert asdict(edge.Reach()) | {"family": Family.BOTH} == asdict(RemoteLimits())
    for family in Family:
        reach = edge.Reach(3, 4, family.value)
        made = like(RemoteLimits, reach, family=Family(reach.family))
        assert made == RemoteLimits(3, 4, family)
