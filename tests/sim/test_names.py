"""The world's DNS."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Resolver
from mailhub.sim.names import FAILED_TTL, NEGATIVE_TTL, TIMEOUT, TTL, Fault, SimResolver
from mailhub.sim.wire import Link
from mailhub.sim.world import World


class Asking:
    """A host that looks names up."""

    def __init__(self, *, trusted: bool = False) -> None:
        self.world = World(1)
        self.host = self.world.host("asks.example", link=Link(0.01))
        self.resolver: Resolver = SimResolver(self.host, self.world.names, trusted=trusted)
        self.world.host("mx.a.example", "192.0.2.1", "2001:db8::1")
        self.world.names.mail("a.example", "mx.a.example", "backup.a.example")

    def ask(self, question: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
        """What comes of it, and how long it takes."""
        results: list[Any] = []
        asked = self.world.now
        Deferred.fromCoroutine(question).addBoth(results.append)
        self.world.run_until(lambda: results, 60)
        found = getattr(results[0], "value", results[0])
        return found, round(self.world.now - asked, 6)


def test_records() -> None:
    """Records are found, both ways, after a round trip; and then from memory."""
    asking = Asking()
    wanted = Answer((Mx(10, "mx.a.example"), Mx(20, "backup.a.example")))
    assert asking.ask(asking.resolver.mx("A.example.")) == (wanted, 0.02)
    assert asking.ask(asking.resolver.mx("a.example")) == (wanted, 0.0)
    addresses = Answer(("192.0.2.1", "2001:db8::1"))
    assert asking.ask(asking.resolver.addresses("mx.a.example"))[0] == addresses
    assert asking.ask(asking.resolver.ptr("192.0.2.1"))[0] == Answer(("mx.a.example",))
    asking.world.names.add("txt", "_x.a.example", b"v=1")
    assert asking.ask(asking.resolver.txt("_x.a.example"))[0] == Answer((b"v=1",))
    assert asking.ask(asking.resolver.txt("a.example"))[0] == Answer(())


def test_names_that_are_not_there() -> None:
    """A name that does not exist is not a name without records."""
    asking = Asking()
    for name in ("b.example", "x.a.example"):
        found, _ = asking.ask(asking.resolver.mx(name))
        assert isinstance(found, NoSuchDomain)
    found, _ = asking.ask(asking.resolver.mx("mx.a.example"))
    assert found == Answer(())


@pytest.mark.parametrize(
    ("fault", "trusted", "wanted", "seconds"),
    [
        (Fault.TIMEOUT, False, LookupFailed, TIMEOUT),
        (Fault.SERVFAIL, False, LookupFailed, 0.02),
        (Fault.NXDOMAIN, False, NoSuchDomain, 0.02),
        (Fault.EMPTY, False, Answer, 0.02),
        (Fault.BOGUS, True, LookupFailed, 0.02),
        (Fault.BOGUS, False, Answer, 0.02),
    ],
)
def test_faults(fault: Fault, trusted: bool, wanted: type, seconds: float) -> None:
    """Each fault is what a resolver would see of it, and passes."""
    asking = Asking(trusted=trusted)
    zone = asking.world.names.zone("a.example")
    zone.faults.append((fault, asking.world.now, asking.world.now + 60))
    found, took = asking.ask(asking.resolver.mx("a.example"))
    assert (type(found), took) == (wanted, seconds)
    asking.world.run(max(60, TTL, NEGATIVE_TTL, FAILED_TTL))
    found, _ = asking.ask(asking.resolver.mx("a.example"))
    assert len(found.records) == 2


def test_a_failure_is_kept_for_a_moment() -> None:
    """Who asks again at once is told the same without asking."""
    asking = Asking()
    zone = asking.world.names.zone("a.example")
    zone.faults.append((Fault.SERVFAIL, asking.world.now, asking.world.now + 1))
    asking.ask(asking.resolver.mx("a.example"))
    asking.world.run(2)
    assert isinstance(asking.ask(asking.resolver.mx("a.example"))[0], LookupFailed)
    asking.world.run(FAILED_TTL)
    assert isinstance(asking.ask(asking.resolver.mx("a.example"))[0], Answer)


def test_signed_zones() -> None:
    """A signed answer is authentic to those who trust their resolver; a forged one fails there."""
    for trusted in (True, False):
        asking = Asking(trusted=trusted)
        zone = asking.world.names.zone("a.example")
        zone.secure = True
        assert asking.ask(asking.resolver.mx("a.example"))[0].authentic is trusted
        zone.lies["addresses", "mx.a.example"] = ["203.0.113.66"]
        found, _ = asking.ask(asking.resolver.addresses("mx.a.example"))
        assert isinstance(found, LookupFailed) is trusted
        if not trusted:
            assert found == Answer(("203.0.113.66",))
